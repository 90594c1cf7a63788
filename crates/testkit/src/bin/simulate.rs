//! `cargo xtask simulate`: executes runs drawn from seeds and prints those that fail.

use inventiv_testkit::cores::keep_to_core;
use inventiv_testkit::simulate::{Counts, Failed, PAIRS, pair_text, run};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const USAGE: &str = "simulate [--seeds N] [--first SEED]: executes N runs (default 200), seeds from SEED (default 1)";

/// With at least so many runs, every pair of a call and a fault must have been injected [`LEAST`] times.
const ENOUGH: u64 = 2_000;
const LEAST: u64 = 20;
/// How many runs lie between two progress lines.
const TELL_EVERY: u64 = 1_000;
/// One in so many runs is executed twice.
const TWICE_EVERY: u64 = 25;

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
    // Each worker spends much of its time waiting for its database.
    let workers = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (next, sum, failed, args) = (&next, &sum, &failed, &args);
            scope.spawn(move || {
                keep_to_core(worker);
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= args.seeds {
                        return;
                    }
                    if n > 0 && n.is_multiple_of(TELL_EVERY) {
                        // The other workers may not have finished their current runs.
                        let go_on = (args.first + n).saturating_sub(workers as u64).max(args.first);
                        eprintln!("{n} runs; after an interruption now, continue with --first {go_on}");
                    }
                    match tell_well(args.first + n) {
                        Ok(counts) => add(sum, counts),
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
    print_sum(&args, &sum, failed, began.elapsed());
    let least = (0..PAIRS).map(|n| (sum.faults.get(&n).copied().unwrap_or(0), n)).min().unwrap_or_default();
    println!("{PAIRS} pairs of a call and a fault; the rarest was injected {} times: {}", least.0, pair_text(least.1));
    let reported = [
        sum.crashes,
        sum.in_commits,
        sum.faults.len(),
        sum.stale,
        sum.hidden,
        sum.late,
        sum.third_parties,
        sum.kept,
        sum.reused,
        sum.served,
        sum.worker_calls,
        sum.replicas,
        sum.followed,
    ];
    if args.seeds >= 50 && reported.contains(&0) {
        eprintln!(
            "runs without crashes, faults, late calls, third parties, kept or reused volumes, or replicas prove nothing"
        );
        return ExitCode::FAILURE;
    }
    if args.seeds >= ENOUGH && least.0 < LEAST {
        eprintln!("{} runs that inject a fault less than {LEAST} times prove nothing about it", args.seeds);
        return ExitCode::FAILURE;
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_sum(args: &Args, sum: &Counts, failed: u64, took: Duration) {
    println!(
        "{} runs in {:.0} s ({:.1} per second), {failed} failed: {} instances ({} with a model, {} replicas of {} services, {} of which followed their load after the faults, {} of them when asked to try again, {} calls to workers), {} crashes ({} of them in a commit), {} faults, {} with stale reads, {} losses of project visibility, {} late calls, {} actions of third parties, {} ticks, {} volumes kept, {} given to another instance, {} suspects reported, {} resources billed as in the ledger ({} never observed), {} charges of orphans",
        args.seeds,
        took.as_secs_f32(),
        f64::from(u32::try_from(args.seeds).unwrap_or(u32::MAX)) / took.as_secs_f64(),
        sum.instances,
        sum.served,
        sum.replicas,
        sum.services,
        sum.followed,
        sum.warmed,
        sum.worker_calls,
        sum.crashes,
        sum.in_commits,
        sum.faults.values().sum::<u64>(),
        sum.stale,
        sum.hidden,
        sum.late,
        sum.third_parties,
        sum.ticks,
        sum.kept,
        sum.reused,
        sum.suspects,
        sum.billed,
        sum.unseen,
        sum.orphan_rows
    );
}

/// Executes a run, and some runs twice: both must be equal, or a failing seed could not be reproduced.
fn tell_well(seed: u64) -> Result<Counts, Box<Failed>> {
    let first = run(seed)?;
    if seed.is_multiple_of(TWICE_EVERY) && run(seed)? != first {
        let why = "not deterministic: a second run differs".to_owned();
        return Err(Box::new(Failed { seed, why, trace: Vec::new() }));
    }
    Ok(first)
}

fn add(sum: &Mutex<Counts>, c: Counts) {
    if let Ok(mut sum) = sum.lock() {
        sum.instances += c.instances;
        sum.replicas += c.replicas;
        sum.services += c.services;
        sum.followed += c.followed;
        sum.warmed += c.warmed;
        sum.crashes += c.crashes;
        for (pair, times) in c.faults {
            *sum.faults.entry(pair).or_default() += times;
        }
        sum.in_commits += c.in_commits;
        sum.late += c.late;
        sum.suspects += c.suspects;
        sum.billed += c.billed;
        sum.unseen += c.unseen;
        sum.orphan_rows += c.orphan_rows;
        sum.stale += c.stale;
        sum.hidden += c.hidden;
        sum.third_parties += c.third_parties;
        sum.kept += c.kept;
        sum.reused += c.reused;
        sum.served += c.served;
        sum.worker_calls += c.worker_calls;
        sum.ticks += c.ticks;
    }
}
