//! Trials that only compute, while tests wait for processes and timers.

use crate::programs;
use std::fs::File;
use std::process::{Child, Command};

/// A program that runs at the lowest priority, so that it delays no test. It ends with this value.
pub(crate) struct Background {
    name: &'static str,
    log: std::path::PathBuf,
    child: Child,
}

impl Background {
    /// Starts a program that was built before. What it prints is shown by [`Background::finish`].
    pub(crate) fn start(name: &'static str, program: &str, args: &[&str]) -> Result<Self, String> {
        let folder = programs::target().join(programs::PROFILE);
        let log = programs::target().join(format!("{program}.log"));
        let error = |e: std::io::Error| format!("{name}: {e}");
        let out = File::create(&log).map_err(error)?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(folder.join(program)).args(args);
        let child = command.stdout(out.try_clone().map_err(error)?).stderr(out).spawn().map_err(error)?;
        println!("== {name}: begun, beside what follows");
        Ok(Self { name, log, child })
    }

    /// Waits for its end and shows what it printed.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        let status = self.child.wait().map_err(|e| format!("{}: {e}", self.name))?;
        println!("== {}", self.name);
        print!("{}", std::fs::read_to_string(&self.log).map_err(|e| format!("{}: {e}", self.log.display()))?);
        if !status.success() {
            return Err(format!("{} failed: {status}", self.name));
        }
        println!("== {}: ok", self.name);
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            eprintln!("{} is ended; what it printed is in {}", self.name, self.log.display());
            // It may end at this moment.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
