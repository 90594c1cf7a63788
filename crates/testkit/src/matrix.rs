//! The crash matrix: every provider call and every commit of every scenario, each struck once in every way that fits it.
//!
//! Nothing here is a list of cases: each scenario is told once without a blow, and the calls and commits that this made
//! are the rows. Of a read that is repeated while nothing is changed, the first and the last are struck. A cell tells it again from the start, strikes its one call or commit, and is judged by what the
//! emulator holds: it comes to rest, nothing leaked, nothing is doubled, and what is kept or somebody else's was never
//! touched. A cell whose blow did not happen fails, too.

mod injection;
mod stage;
mod third_party;

use injection::Kind;
use stage::{Stage, Told};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What users do while something is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scenario {
    /// An instance is asked for.
    Create,
    /// The same, with a boot volume that is to be grown.
    Resize,
    /// One whose creation was not answered is found again after a crash.
    Adopt,
    /// One that is being made is not wanted any more, after so many calls.
    Cancel(usize),
    /// One that is ready goes.
    Terminate,
    /// The same, its data volume kept.
    Retain,
    /// A volume that was kept goes.
    Release,
}

impl Scenario {
    const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Resize => "resize",
            Self::Adopt => "adopt",
            Self::Cancel(_) => "cancel",
            Self::Terminate => "terminate",
            Self::Retain => "retain",
            Self::Release => "release",
        }
    }
}

/// Where the blow falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Nowhere,
    /// The nth call since it was armed.
    Call(usize),
    /// The nth commit.
    Commit(usize),
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    scenario: Scenario,
    at: At,
    kind: Kind,
}

/// A cell with the row that it is shown in.
struct Numbered {
    cell: Cell,
    row: String,
}

/// What the whole matrix came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The table, for people.
    pub table: String,
    /// How many cells there are, played or not.
    pub all: usize,
    /// Cells that were struck and judged.
    pub judged: usize,
    /// Blows of third parties that found nothing of ours yet, or that the cloud refused: no cells.
    pub nothing_to_strike: usize,
    /// What went wrong, one text each.
    pub failed: Vec<String>,
    /// Suspects that the audits reported, over all cells: counted apart from what leaked.
    pub suspects: usize,
}

/// Plays every `every`th cell, or only those whose description contains `word`.
///
/// # Errors
/// When a scenario goes wrong without any blow: then no cell says anything.
pub fn play(every: usize, word: &str) -> Result<Outcome, String> {
    let cells = generate(word)?;
    let chosen: Vec<&Numbered> = cells.iter().step_by(every.max(1)).collect();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // Each waits for its database for a good part of the time.
    let workers = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(numbered) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let reported = Stage::new(numbered.cell).and_then(Stage::play);
                    if let Ok(mut results) = results.lock() {
                        results.push((*numbered, reported));
                    }
                }
            });
        }
    });
    Ok(Outcome { all: cells.len(), ..sum(results.into_inner().unwrap_or_default()) })
}

/// Every cell: the calls and commits of each scenario, each with every blow that fits it.
fn generate(word: &str) -> Result<Vec<Numbered>, String> {
    let mut cells = Vec::new();
    let untouched = |scenario| {
        let cell = Cell { scenario, at: At::Nowhere, kind: Kind::CrashBefore };
        Stage::new(cell).and_then(Stage::play).map_err(|e| format!("{} without any blow: {e}", scenario.name()))
    };
    let fixed =
        [Scenario::Create, Scenario::Resize, Scenario::Adopt, Scenario::Terminate, Scenario::Retain, Scenario::Release];
    for scenario in fixed {
        add(&mut cells, scenario, &untouched(scenario)?, 0, word);
    }
    for moment in moments(&untouched(Scenario::Create)?.calls) {
        let scenario = Scenario::Cancel(moment);
        add(&mut cells, scenario, &untouched(scenario)?, moment, word);
    }
    Ok(cells)
}

/// When an instance that is being made may be given up: before every change, after it, and at the end.
fn moments(calls: &[(String, String)]) -> Vec<usize> {
    let changes = calls.iter().enumerate().filter(|(_, (method, _))| method != "GET").map(|(n, _)| n);
    let around: BTreeSet<usize> = changes.flat_map(|n| [n, n + 1]).chain([0, calls.len()]).collect();
    around.into_iter().collect()
}

/// Every change, and of each read between two changes the first and the last.
fn worth_striking(calls: &[(String, String)]) -> Vec<usize> {
    let mut chosen = BTreeSet::new();
    let mut reads: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (n, (method, path)) in calls.iter().enumerate() {
        if method == "GET" {
            reads.entry(injection::row(method, path)).or_insert((n, n)).1 = n;
        } else {
            chosen.insert(n);
            chosen.extend(std::mem::take(&mut reads).into_values().flat_map(|(first, last)| [first, last]));
        }
    }
    chosen.extend(reads.into_values().flat_map(|(first, last)| [first, last]));
    chosen.into_iter().collect()
}

fn add(cells: &mut Vec<Numbered>, scenario: Scenario, reported: &Told, from: usize, word: &str) {
    let name = scenario.name();
    for n in worth_striking(&reported.calls).into_iter().filter(|n| *n >= from) {
        let (method, path) = &reported.calls[n];
        let row = format!("{name:<9} {}", injection::row(method, path));
        for kind in Kind::ALL.into_iter().filter(|k| k.fits(method, path)) {
            if format!("{row} {}", kind.texts().0).contains(word) {
                cells.push(Numbered { cell: Cell { scenario, at: At::Call(n), kind }, row: row.clone() });
            }
        }
    }
    let row = format!("{name:<9} commits");
    for n in 0..reported.commits {
        for kind in Kind::ALL.into_iter().filter(|k| k.is_of_commits()) {
            if format!("{row} {}", kind.texts().0).contains(word) {
                cells.push(Numbered { cell: Cell { scenario, at: At::Commit(n), kind }, row: row.clone() });
            }
        }
    }
}

fn sum(results: Vec<(&Numbered, Result<Told, String>)>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut rows: BTreeMap<&str, BTreeMap<Kind, (usize, usize)>> = BTreeMap::new();
    for (numbered, reported) in results {
        let kind = numbered.cell.kind;
        let at = format!("{} {:?}, {}", numbered.row, numbered.cell.at, kind.texts().0);
        let held = match reported {
            Ok(reported) if reported.fired => {
                outcome.suspects += reported.suspects;
                true
            }
            Ok(_) if kind.is_a_strangers() => {
                outcome.nothing_to_strike += 1;
                continue;
            }
            Ok(_) => {
                outcome.failed.push(format!("{at} ({:?}): its blow never fell", numbered.cell.scenario));
                false
            }
            Err(why) => {
                outcome.failed.push(format!("{at} ({:?}): {why}", numbered.cell.scenario));
                false
            }
        };
        outcome.judged += 1;
        let count = rows.entry(&numbered.row).or_default().entry(kind).or_default();
        count.0 += 1;
        count.1 += usize::from(!held);
    }
    outcome.table = table(&rows);
    outcome
}

fn table(rows: &BTreeMap<&str, BTreeMap<Kind, (usize, usize)>>) -> String {
    let width = rows.keys().map(|r| r.len()).max().unwrap_or(0);
    let mut text = String::new();
    for kind in Kind::ALL {
        let (what, head) = kind.texts();
        let _ = writeln!(text, "{head:>8}  {what}");
    }
    let _ = write!(text, "\n{:width$}", "");
    for kind in Kind::ALL {
        let _ = write!(text, " {:>7}", kind.texts().1);
    }
    for (row, cells) in rows {
        let _ = write!(text, "\n{row:width$}");
        for kind in Kind::ALL {
            let shown = match cells.get(&kind) {
                None => "·".to_owned(),
                Some((n, 0)) => n.to_string(),
                Some((n, bad)) => format!("{bad}/{n}!"),
            };
            let _ = write!(text, " {shown:>7}");
        }
    }
    text
}
