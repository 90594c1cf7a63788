//! The report: a table for people, JSON for programs.

use crate::play::{Match, Played};
use crate::recording::Exchange;
use crate::scope::{Product, is_core, kind, product};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Default, Clone, Copy)]
pub(crate) struct Count {
    equal: u64,
    different: u64,
    out: u64,
}

impl Count {
    pub(crate) const fn judged(self) -> u64 {
        self.equal + self.different
    }

    pub(crate) fn score(self) -> f64 {
        let judged = self.judged();
        #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
        if judged == 0 { 100.0 } else { self.equal as f64 * 100.0 / judged as f64 }
    }
}

/// The results of all recordings.
#[derive(Default)]
pub(crate) struct Report {
    files: Vec<Value>,
    products: BTreeMap<Product, Count>,
    kinds: BTreeMap<String, Count>,
    reasons: BTreeMap<&'static str, u64>,
    /// Kind and place → number of differences, and the first example.
    places: BTreeMap<(String, String), (u64, String)>,
    seeded: u64,
    passed: u64,
    moved_for_changes: u64,
}

impl Report {
    pub(crate) fn add(&mut self, file: &str, exchanges: &[Exchange], played: &Played) {
        let (mut differences, mut out) = (Vec::new(), Vec::new());
        let mut own = Count::default();
        for (e, verdict) in exchanges.iter().zip(&played.verdicts) {
            let kind = kind(&e.path);
            let counts = [
                &mut own,
                self.products.entry(product(&e.path)).or_default(),
                self.kinds.entry(kind.clone()).or_default(),
            ];
            for count in counts {
                match verdict {
                    Match::Equal | Match::Passed => count.equal += 1,
                    Match::Different(_) => count.different += 1,
                    Match::OutOfScope(_) => count.out += 1,
                }
            }
            match verdict {
                Match::Equal => {}
                Match::Passed => self.passed += 1,
                Match::OutOfScope(reason) => {
                    *self.reasons.entry(reason).or_default() += 1;
                    out.push(json!({"index": e.index, "method": e.method, "path": e.path, "reason": reason}));
                }
                Match::Different(found) => {
                    for d in found {
                        let place = (format!("{} {kind}", e.method), without_numbers(&d.at));
                        let example = format!("{file}#{}: {} → {}", e.index, short(&d.recorded), short(&d.emulated));
                        self.places.entry(place).or_insert((0, example)).0 += 1;
                    }
                    let found: Vec<Value> = found
                        .iter()
                        .map(|d| json!({"at": d.at, "recorded": d.recorded, "emulated": d.emulated}))
                        .collect();
                    differences
                        .push(json!({"index": e.index, "method": e.method, "path": e.path, "differences": found}));
                }
            }
        }
        self.seeded += played.seeded.len() as u64;
        self.moved_for_changes += played.moved_for_changes;
        let as_of =
            jiff::Timestamp::from_microsecond(played.chance.as_of_us).map(|t| t.to_string()).unwrap_or_default();
        self.files.push(json!({
            "file": file, "as_of": as_of, "equal": own.equal, "different": own.different, "out_of_scope": own.out,
            "seeded": played.seeded, "differences": differences, "left_out": out,
        }));
    }

    fn all(&self) -> Count {
        sum(self.products.values().copied())
    }

    /// Equal exchanges in percent of all compared ones.
    pub(crate) fn score(&self) -> f64 {
        self.all().score()
    }

    /// How many exchanges were compared.
    pub(crate) fn judged(&self) -> u64 {
        self.all().judged()
    }

    /// Servers, volumes and block volumes.
    pub(crate) fn core(&self) -> Count {
        sum(self.kinds.iter().filter(|(k, _)| is_core(k)).map(|(_, count)| *count))
    }

    /// The share of Instance, Block and Marketplace exchanges that was left out, in percent.
    pub(crate) fn out_of_scope(&self) -> f64 {
        let wanted = [Product::Instance, Product::Block, Product::Marketplace];
        let count = sum(wanted.iter().filter_map(|p| self.products.get(p).copied()));
        #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
        let share = count.out as f64 * 100.0 / (count.equal + count.different + count.out).max(1) as f64;
        share
    }

    pub(crate) fn print(&self, brief: bool) {
        println!("{:<44} {:>7} {:>10} {:>13} {:>8}", "", "equal", "different", "out of scope", "score");
        let row = |name: &str, c: Count| {
            println!("{name:<44} {:>7} {:>10} {:>13} {:>7.2}%", c.equal, c.different, c.out, c.score());
        };
        for (name, count) in &self.kinds {
            row(name, *count);
        }
        println!();
        for (product, count) in &self.products {
            row(product.text(), *count);
        }
        println!();
        row("servers, volumes and block volumes", self.core());
        row("all", self.all());
        println!("\nout of scope, by reason:");
        for (reason, n) in &self.reasons {
            println!("  {n:>5}  {reason}");
        }
        println!(
            "left out of Instance, Block and Marketplace: {:.2} %; polls whose state was skipped: {}; changes that had to \
             wait for an event: {}",
            self.out_of_scope(),
            self.passed,
            self.moved_for_changes
        );
        println!("seeded: {} facts in {} recordings (the report names each)", self.seeded, self.files.len());
        if brief {
            return;
        }
        if !self.places.is_empty() {
            println!("\ndifferences, the most frequent first:");
        }
        let mut places: Vec<_> = self.places.iter().collect();
        places.sort_by_key(|(_, (n, _))| std::cmp::Reverse(*n));
        for ((kind, at), (n, example)) in places.into_iter().take(60) {
            println!("  {n:>5}  {kind}  {at}\n         {example}");
        }
    }

    pub(crate) fn json(&self) -> String {
        let counts =
            |c: &Count| json!({"equal": c.equal, "different": c.different, "out_of_scope": c.out, "score": c.score()});
        let products: BTreeMap<&str, Value> = self.products.iter().map(|(p, c)| (p.text(), counts(c))).collect();
        let kinds: BTreeMap<&String, Value> = self.kinds.iter().map(|(k, c)| (k, counts(c))).collect();
        let report = json!({
            "score": self.score(), "core": counts(&self.core()), "left_out_percent": self.out_of_scope(),
            "passed_polls": self.passed, "changes_that_waited": self.moved_for_changes, "all": counts(&self.all()), "products": products, "kinds": kinds,
            "out_of_scope": self.reasons, "recordings": self.files,
        });
        format!("{report:#}\n")
    }
}

fn sum(counts: impl Iterator<Item = Count>) -> Count {
    counts.fold(Count::default(), |a, b| Count {
        equal: a.equal + b.equal,
        different: a.different + b.different,
        out: a.out + b.out,
    })
}

/// A place without the numbers in brackets.
fn without_numbers(at: &str) -> String {
    let mut out = String::with_capacity(at.len());
    let mut inside = false;
    for c in at.chars() {
        inside = (inside || c == '[') && c != ']';
        if !inside || c == '[' {
            out.push(c);
        }
    }
    out
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
