//! `cargo xtask vm`: the product's user data, bootstrap, worker and data volume in a real virtual machine.
//!
//! [`machine`] starts QEMU, [`life`] is an instance with the calls to its worker, [`steps`] is what is proven. What
//! every run needs, an image of Debian and the worker's program, `xtask` makes before.

mod life;
mod machine;
mod steps;

use std::process::ExitCode;
use std::time::Instant;
use steps::{Places, Trial};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "vm_trial IMAGE PROGRAM RUN: the folder with base.img, vmlinuz and initrd.img; the worker's \
                     program; an empty folder for the disks of this run";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [image, program, run] = args.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    // QEMU runs in a folder of its own.
    let whole = |path: &String| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let places = Places { image: whole(image), program: whole(program), run: whole(run) };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(until_stopped(trial(places))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// A signal to stop ends the machine, too.
async fn until_stopped(trial: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let mut asked = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    tokio::select! {
        done = trial => done,
        _ = asked.recv() => Err("the trial was stopped".to_owned()),
        _ = tokio::signal::ctrl_c() => Err("the trial was stopped".to_owned()),
    }
}

async fn trial(places: Places) -> Result<(), String> {
    let began = Instant::now();
    let mut trial = Trial::new(places)?;
    trial.run().await.map_err(|e| {
        let console = trial.machine.as_ref().map(machine::Machine::console).unwrap_or_default();
        format!("the trial failed after {:.0} s: {e}\nthe machine's console:\n{console}", began.elapsed().as_secs_f32())
    })?;
    println!("a real virtual machine: everything holds ({:.0} s)", began.elapsed().as_secs_f32());
    Ok(())
}
