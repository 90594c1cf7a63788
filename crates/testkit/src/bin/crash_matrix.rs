//! `cargo xtask crash-matrix`: injects every fault at every call and commit of every scenario, and prints the results.

use inventiv_testkit::matrix::play;
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "crash_matrix [--every N] [WORD]: runs every Nth cell (default: all); with WORD, only cells whose row or fault contains it";

fn main() -> ExitCode {
    let (mut every, mut word) = (1, String::new());
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        if arg == "--every" {
            match given.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0) {
                Some(n) => every = n,
                None => return usage(),
            }
        } else if arg.starts_with('-') || !word.is_empty() {
            return usage();
        } else {
            word = arg;
        }
    }
    let began = Instant::now();
    let outcome = match play(every, &word) {
        Ok(outcome) => outcome,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", outcome.table);
    for failed in &outcome.failed {
        eprintln!("\n{failed}");
    }
    println!(
        "\n{} of {} cells in {:.0} s: {} failed; {} suspects reported; {} actions of third parties had no target",
        outcome.judged,
        outcome.all,
        began.elapsed().as_secs_f32(),
        outcome.failed.len(),
        outcome.suspects,
        outcome.nothing_to_strike
    );
    if outcome.judged == 0 {
        eprintln!("no cell was run");
        return ExitCode::FAILURE;
    }
    if outcome.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
