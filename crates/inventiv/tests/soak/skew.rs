//! Processes whose clocks are wrong.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Made for the programs of this system.
pub(crate) struct Skew(PathBuf);

impl Skew {
    /// `None` where processes cannot be told another time: only Linux is known to.
    pub(crate) fn make(folder: &Path) -> Option<Self> {
        if !cfg!(target_os = "linux") {
            println!("all clocks are right: only on Linux can they be set wrong");
            return None;
        }
        let (source, made) = (folder.join("skew.c"), folder.join("skew.so"));
        std::fs::write(&source, include_str!("skew.c")).unwrap();
        // What links Rust is there.
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&made).arg(&source).status();
        assert!(compiled.unwrap().success(), "cc");
        let skew = Self(made);
        let unix = |seconds: i64| -> i64 {
            let said = Command::new("date").arg("+%s").envs(skew.environment(seconds)).output().unwrap();
            String::from_utf8(said.stdout).unwrap().trim().parse().unwrap()
        };
        assert!((unix(300) - unix(-300) - 600).abs() < 60, "a clock was set wrong");
        Some(skew)
    }

    /// What a process needs to be wrong by so many seconds.
    pub(crate) fn environment(&self, seconds: i64) -> [(String, String); 2] {
        [
            ("LD_PRELOAD".to_owned(), self.0.display().to_string()),
            ("INVENTIV_TEST_SKEW_SECONDS".to_owned(), seconds.to_string()),
        ]
    }
}
