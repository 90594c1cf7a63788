//! What was found: a table for people, JSON for programs.

use crate::play::{Played, Verdict};
use crate::recording::Exchange;
use crate::scope::{Product, is_core, kind, product};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Default, Clone, Copy)]
struct Count {
    equal: u64,
    different: u64,
    out: u64,
}

impl Count {
    fn score(self) -> f64 {
        let judged = self.equal + self.different;
        #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
        if judged == 0 { 100.0 } else { self.equal as f64 * 100.0 / judged as f64 }
    }
}

/// Everything that was found.
#[derive(Default)]
pub(crate) struct Report {
    files: Vec<Value>,
    products: BTreeMap<Product, Count>,
    kinds: BTreeMap<String, Count>,
    reasons: BTreeMap<&'static str, u64>,
    /// Kind, place → how often, and where first.
    places: BTreeMap<(String, String), (u64, String)>,
    seeded: u64,
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
                    Verdict::Equal => count.equal += 1,
                    Verdict::Different(_) => count.different += 1,
                    Verdict::OutOfScope(_) => count.out += 1,
                }
            }
            match verdict {
                Verdict::Equal => {}
                Verdict::OutOfScope(reason) => {
                    *self.reasons.entry(reason).or_default() += 1;
                    out.push(json!({"index": e.index, "method": e.method, "path": e.path, "reason": reason}));
                }
                Verdict::Different(found) => {
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
        let as_of = jiff::Timestamp::from_microsecond(played.as_of_us).map(|t| t.to_string()).unwrap_or_default();
        self.files.push(json!({
            "file": file, "as_of": as_of, "equal": own.equal, "different": own.different, "out_of_scope": own.out,
            "seeded": played.seeded, "differences": differences, "left_out": out,
        }));
    }

    fn all(&self) -> Count {
        self.products.values().fold(Count::default(), |a, b| Count {
            equal: a.equal + b.equal,
            different: a.different + b.different,
            out: a.out + b.out,
        })
    }

    /// Equal of all that was judged, in percent.
    pub(crate) fn score(&self) -> f64 {
        self.all().score()
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
        let core = self.kinds.iter().filter(|(k, _)| is_core(k)).fold(Count::default(), |a, (_, b)| Count {
            equal: a.equal + b.equal,
            different: a.different + b.different,
            out: a.out + b.out,
        });
        println!();
        row("servers, volumes and block volumes", core);
        row("all", self.all());
        println!("\nout of scope, by reason:");
        for (reason, n) in &self.reasons {
            println!("  {n:>5}  {reason}");
        }
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
            "score": self.score(), "all": counts(&self.all()), "products": products, "kinds": kinds,
            "out_of_scope": self.reasons, "recordings": self.files,
        });
        format!("{report:#}\n")
    }
}

/// A place with every number in brackets left out.
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
