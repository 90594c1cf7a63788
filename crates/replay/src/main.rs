//! Tests the emulator: replays recordings of the real API against it and compares every exchange.
//!
//! It shares no code with the emulator beyond sending a request and moving the clock.

mod compare;
mod names;
mod passed;
mod play;
mod recording;
mod report;
mod scope;
mod seed;
mod sent;

use clap::Parser;
use play::{Chance, Played, play};
use recording::Exchange;
use std::path::PathBuf;
use std::process::ExitCode;

/// Replay every recording of a folder against a new emulator and compare every exchange.
#[derive(Parser)]
struct Args {
    /// Folder with recordings (*.jsonl.gz).
    folder: PathBuf,
    /// Write the full report to this file, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Replay only recordings whose name contains this text.
    #[arg(long)]
    only: Option<String>,
    /// Do not print the differences; the report has them.
    #[arg(long)]
    brief: bool,
    /// Fail below this score in percent, if nothing was compared, or if more than 5 % of the products was left out.
    #[arg(long, default_value_t = 0.0)]
    goal: f64,
    /// Fail below this score of servers, volumes and block volumes, in percent.
    #[arg(long, default_value_t = 0.0)]
    core_goal: f64,
}

/// The largest share of Instance, Block and Marketplace exchanges that may be left out, in percent.
const OUT_MAX: f64 = 5.0;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("replay: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<bool, String> {
    let mut files = recording::find(&args.folder)?;
    if let Some(part) = &args.only {
        files.retain(|f| f.to_string_lossy().contains(part.as_str()));
    }
    if files.is_empty() {
        return Err(format!("no recording (*.jsonl.gz) in {}", args.folder.display()));
    }
    let mut report = report::Report::default();
    for file in &files {
        let exchanges = recording::read(file)?;
        let name = file.strip_prefix(&args.folder).unwrap_or(file).to_string_lossy().into_owned();
        report.add(&name, &exchanges, &play_when_it_was(&exchanges));
    }
    report.print(args.brief);
    if let Some(path) = &args.report {
        std::fs::write(path, report.json()).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    if args.goal == 0.0 && args.core_goal == 0.0 {
        return Ok(true);
    }
    Ok(report.judged() > 0
        && report.core().judged() > 0
        && report.score() >= args.goal
        && report.core().score() >= args.core_goal
        && report.out_of_scope() <= OUT_MAX)
}

/// How many seeds are tried if the median durations do not reproduce a recording.
const SEEDS: i64 = 40;

/// Replays a recording as of its probable date. The API changed over time, and a recording shows only when its newest
/// resource was created. If the replay as of that date differs, it is tried as of each later API change and with other
/// random draws. The best result counts.
fn play_when_it_was(exchanges: &[Exchange]) -> Played {
    let youngest = exchanges.iter().map(|e| latest(&e.answer)).max().unwrap_or(i64::MIN);
    let changes: Vec<i64> = scaleway_emulator::changes_us().into_iter().filter(|at| *at > youngest).collect();
    let first = if youngest == i64::MIN { changes.first().copied().unwrap_or(0) } else { youngest };
    let mut best = play(exchanges, Chance { as_of_us: first, lingers: false, seed: None });
    let mut or = |chance: fn(Chance, i64) -> Chance, value: i64| {
        let (different, out) = best.wrong();
        if different > 0 {
            let played = play(exchanges, chance(best.chance, value));
            // Another seed must not leave out more than before. Another date may: the stock it assumes can differ.
            let leaves_out_more = played.chance.seed.is_some() && played.wrong().1 > out;
            if played.wrong().0 < different && !leaves_out_more {
                best = played;
            }
        }
    };
    for at in changes {
        or(|chance, as_of_us| Chance { as_of_us, ..chance }, at);
    }
    or(|chance, _| Chance { lingers: true, ..chance }, 0);
    for seed in 1..=SEEDS {
        or(|chance, seed| Chance { seed: Some(seed.unsigned_abs()), ..chance }, seed);
    }
    best
}

/// The latest creation or modification time in an answer.
fn latest(answer: &serde_json::Value) -> i64 {
    use serde_json::Value;
    const KEYS: [&str; 5] = ["created_at", "creation_date", "started_at", "updated_at", "modification_date"];
    let nested = |values: &mut dyn Iterator<Item = &Value>| values.map(latest).max().unwrap_or(i64::MIN);
    match answer {
        Value::Array(items) => nested(&mut items.iter()),
        Value::Object(map) => {
            let own = KEYS.iter().filter_map(|k| map.get(*k)?.as_str()?.parse::<jiff::Timestamp>().ok());
            let own = own.map(jiff::Timestamp::as_microsecond).max().unwrap_or(i64::MIN);
            own.max(nested(&mut map.values()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => i64::MIN,
    }
}
