//! `cargo xtask simulate`: tells stories drawn from seeds, and says which went wrong.

use inventiv_testkit::simulate::{Counts, tell};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const USAGE: &str =
    "simulate [--seeds N] [--first SEED]: tells N stories, 200 if left out, from SEED on, 1 if left out";

struct Args {
    seeds: u64,
    first: u64,
}

fn args() -> Result<Args, String> {
    let mut found = Args { seeds: 200, first: 1 };
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        let number = given.next().and_then(|n| n.parse().ok()).ok_or(USAGE)?;
        match flag.as_str() {
            "--seeds" => found.seeds = number,
            "--first" => found.first = number,
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(found)
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let (next, sum, failed) = (AtomicU64::new(0), Mutex::new(Counts::default()), AtomicU64::new(0));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= args.seeds {
                        return;
                    }
                    match tell(args.first + n) {
                        Ok(counts) => add(&sum, counts),
                        Err(e) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            eprintln!("seed {}: {}\n  {}\n", e.seed, e.why, e.trace.join("\n  "));
                        }
                    }
                }
            });
        }
    });
    let (sum, failed) = (sum.into_inner().unwrap_or_default(), failed.into_inner());
    println!(
        "{} stories in {:.0} s: {} instances, {} crashes, {} faults, {} things done by strangers, {} ticks, {} volumes kept; {failed} went wrong",
        args.seeds,
        began.elapsed().as_secs_f32(),
        sum.instances,
        sum.crashes,
        sum.faults,
        sum.strangers,
        sum.ticks,
        sum.kept
    );
    let told = [sum.crashes as u64, sum.faults, sum.strangers as u64, sum.kept as u64];
    if args.seeds >= 50 && told.contains(&0) {
        eprintln!("stories without crashes, faults, strangers or kept volumes prove nothing");
        return ExitCode::FAILURE;
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn add(sum: &Mutex<Counts>, c: Counts) {
    if let Ok(mut sum) = sum.lock() {
        sum.instances += c.instances;
        sum.crashes += c.crashes;
        sum.faults += c.faults;
        sum.strangers += c.strangers;
        sum.kept += c.kept;
        sum.ticks += c.ticks;
    }
}
