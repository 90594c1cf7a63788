//! Processes with skewed clocks.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A library to preload, compiled for this system.
pub(crate) struct Skew(PathBuf);

impl Skew {
    /// `None` where clocks cannot be skewed: only Linux is supported.
    pub(crate) fn make(folder: &Path) -> Option<Self> {
        if !cfg!(target_os = "linux") {
            println!("no clock is skewed: this works only on Linux");
            return None;
        }
        let (source, made) = (folder.join("skew.c"), folder.join("skew.so"));
        std::fs::write(&source, include_str!("skew.c")).unwrap();
        // Rust needs `cc` as its linker, so it is installed.
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&made).arg(&source).status();
        assert!(compiled.unwrap().success(), "cc");
        let skew = Self(made);
        let unix = |seconds: i64| -> i64 {
            let said = Command::new("date").arg("+%s").envs(skew.environment(seconds)).output().unwrap();
            String::from_utf8(said.stdout).unwrap().trim().parse().unwrap()
        };
        assert!((unix(300) - unix(-300) - 600).abs() < 60, "the clocks are skewed");
        Some(skew)
    }

    /// The environment of a process with a clock that is wrong by so many seconds.
    pub(crate) fn environment(&self, seconds: i64) -> [(String, String); 2] {
        [
            ("LD_PRELOAD".to_owned(), self.0.display().to_string()),
            ("INVENTIV_TEST_SKEW_SECONDS".to_owned(), seconds.to_string()),
        ]
    }
}
