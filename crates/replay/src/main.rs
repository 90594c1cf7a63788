//! The judge of the emulator: plays recordings of the real API against it and compares every exchange.
//!
//! It shares no code with the emulator beyond sending a request and moving the clock.

mod compare;
mod names;
mod passed;
mod play;
mod recording;
mod report;
mod scope;

use clap::Parser;
use play::{Chance, Played, play};
use recording::Exchange;
use std::path::PathBuf;
use std::process::ExitCode;

/// Plays every recording of a folder against a fresh emulator and compares every exchange.
#[derive(Parser)]
struct Args {
    /// The folder with recordings (*.jsonl.gz).
    folder: PathBuf,
    /// Where to write everything that was found, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Only recordings whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Leaves out the differences; the report has them.
    #[arg(long)]
    brief: bool,
    /// Fails below this score, in percent, and where nothing was judged or more than 5 % of the products was left out.
    #[arg(long, default_value_t = 0.0)]
    goal: f64,
    /// Fails below this score of servers, volumes and block volumes, in percent.
    #[arg(long, default_value_t = 0.0)]
    core_goal: f64,
}

/// How much of Instance, Block and Marketplace may be left out, in percent.
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

/// How many seeds are tried where the medians of all durations do not tell the recorded story.
const SEEDS: i64 = 40;

/// The API grew over time, and a recording says only when the youngest thing in it was made: it is played as of then, and
/// if that differs, as of each later change of the API, with what is chance drawn otherwise; the best counts.
fn play_when_it_was(exchanges: &[Exchange]) -> Played {
    let youngest = exchanges.iter().map(|e| latest(&e.answer)).max().unwrap_or(i64::MIN);
    let changes: Vec<i64> = scaleway_emulator::changes_us().into_iter().filter(|at| *at > youngest).collect();
    let first = if youngest == i64::MIN { changes.first().copied().unwrap_or(0) } else { youngest };
    let mut best = play(exchanges, Chance { as_of_us: first, lingers: false, seed: None });
    let mut or = |chance: fn(Chance, i64) -> Chance, value: i64| {
        let (different, out) = best.wrong();
        if different > 0 {
            let played = play(exchanges, chance(best.chance, value));
            // Another seed must not leave out what was judged; as of another date, other stock may be presupposed.
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

/// The latest moment at which something in an answer was made or changed.
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
