//! The crash matrix: injects every applicable fault once at every provider call and every commit of every scenario.
//!
//! The cases are generated: each scenario runs once without a fault, and its calls and commits become the rows. Of a
//! read that is repeated between two changes, only the first and the last count. A cell runs the scenario from the
//! start, with one fault at its call or commit. It is checked against the emulator's state: it settles, nothing leaks,
//! there are no duplicates, and kept volumes and third parties' volumes are untouched. A cell also fails if its fault
//! does not occur.

mod injection;
mod stage;
mod third_party;

use crate::cores::keep_to_core;
use injection::Kind;
use stage::{Stage, Told};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What users do while a fault is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scenario {
    /// Request an instance.
    Create,
    /// Request one whose boot volume must grow.
    Resize,
    /// After a crash, adopt a server whose creation got no answer.
    Adopt,
    /// Terminate an instance during its creation, after so many calls.
    Cancel(usize),
    /// Terminate a ready instance.
    Terminate,
    /// Terminate one and keep its data volume.
    Retain,
    /// Release a kept volume.
    Release,
    /// Request an instance that reuses a kept volume.
    Reuse,
    /// Request an instance with a model, which its worker serves.
    Serve,
    /// Terminate one whose model answers.
    Drain,
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
            Self::Reuse => "reuse",
            Self::Serve => "serve",
            Self::Drain => "drain",
        }
    }
}

/// Where the fault is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Nowhere,
    /// At the nth call since arming.
    Call(usize),
    /// At the nth commit.
    Commit(usize),
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    scenario: Scenario,
    at: At,
    kind: Kind,
}

/// A cell and the row that shows it.
struct Numbered {
    cell: Cell,
    row: String,
}

/// The result of the whole matrix.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The table, for people.
    pub table: String,
    /// How many cells there are, run or not.
    pub all: usize,
    /// Cells that were run and checked.
    pub judged: usize,
    /// Actions of third parties that had no target yet or were refused by the cloud: not counted as cells.
    pub nothing_to_strike: usize,
    /// The failures, one text each.
    pub failed: Vec<String>,
    /// Suspects that the audits reported in all cells, not counted as leaks.
    pub suspects: usize,
}

/// Runs every `every`th cell of those whose description contains `word`.
///
/// # Errors
/// A scenario fails without a fault; then no cell proves anything.
pub fn play(every: usize, word: &str) -> Result<Outcome, String> {
    let cells = generate(word)?;
    let chosen: Vec<&Numbered> = cells.iter().step_by(every.max(1)).collect();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // Each worker spends much of its time waiting for its database.
    let workers = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (next, results, chosen) = (&next, &results, &chosen);
            scope.spawn(move || {
                keep_to_core(worker);
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

/// All cells: the calls and commits of each scenario, each with every applicable fault.
fn generate(word: &str) -> Result<Vec<Numbered>, String> {
    let mut cells = Vec::new();
    let untouched = |scenario| {
        let cell = Cell { scenario, at: At::Nowhere, kind: Kind::CrashBefore };
        Stage::new(cell).and_then(Stage::play).map_err(|e| format!("{} fails without a fault: {e}", scenario.name()))
    };
    let fixed = [
        Scenario::Create,
        Scenario::Resize,
        Scenario::Adopt,
        Scenario::Terminate,
        Scenario::Retain,
        Scenario::Release,
        Scenario::Reuse,
        Scenario::Serve,
        Scenario::Drain,
    ];
    for scenario in fixed {
        add(&mut cells, scenario, &untouched(scenario)?, 0, word);
    }
    for moment in moments(&untouched(Scenario::Create)?.calls) {
        let scenario = Scenario::Cancel(moment);
        add(&mut cells, scenario, &untouched(scenario)?, moment, word);
    }
    Ok(cells)
}

/// When to terminate an instance during its creation: before and after every change, and at the end.
fn moments(calls: &[(String, String)]) -> Vec<usize> {
    let changes = calls.iter().enumerate().filter(|(_, (method, _))| method != "GET").map(|(n, _)| n);
    let around: BTreeSet<usize> = changes.flat_map(|n| [n, n + 1]).chain([0, calls.len()]).collect();
    around.into_iter().collect()
}

/// The calls to inject faults into: every change, and of each read between two changes the first and the last.
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
                outcome.failed.push(format!("{at} ({:?}): its fault did not occur", numbered.cell.scenario));
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
