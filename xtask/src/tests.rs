//! `cargo xtask test`: runs all tests, on SQLite and on a private PostgreSQL, and prints the totals.

use crate::postgres::Server;
use crate::root;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// How many tests run at once on each core: most of them wait for processes and for timers.
const AT_ONCE: usize = 3;

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let postgres = Server::start()?;
    println!("PostgreSQL: {}", postgres.about);
    let mut command = crate::programs::cargo_command();
    command
        .args(["test", "--profile", crate::programs::PROFILE, "--workspace", "--no-fail-fast"])
        .args(args)
        .current_dir(root())
        .stdout(Stdio::piped());
    postgres.tell(&mut command);
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        command.env("RUST_TEST_THREADS", (AT_ONCE * cores).to_string());
    }
    let mut child = command.spawn().map_err(|e| format!("cargo test: {e}"))?;
    let mut sum = Sum::default();
    for line in BufReader::new(child.stdout.take().ok_or("cargo test has no output")?).lines() {
        let line = line.map_err(|e| e.to_string())?;
        sum.add(&line);
        println!("{line}");
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    drop(postgres);
    println!("\n{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.ignored);
    if !status.success() {
        return Err(format!("tests failed ({status})"));
    }
    if sum.passed == 0 && args.is_empty() {
        return Err("no test ran".to_owned());
    }
    Ok(())
}

/// The totals of a test run.
#[derive(Default)]
pub(crate) struct Sum {
    pub(crate) passed: u64,
    failed: u64,
    ignored: u64,
}

impl Sum {
    /// Reads lines such as `test result: ok. 16 passed; 0 failed; 0 ignored; …`.
    pub(crate) fn add(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        let words: Vec<&str> = rest.split([' ', ';', '.']).filter(|w| !w.is_empty()).collect();
        for pair in words.windows(2) {
            let Ok(n) = pair[0].parse::<u64>() else { continue };
            match pair[1] {
                "passed" => self.passed += n,
                "failed" => self.failed += n,
                "ignored" => self.ignored += n,
                _ => {}
            }
        }
    }
}
