//! The provider calls and durations of one instance life cycle.

use super::{Stage, Table, stage};
use inventiv_testkit::Database;
use scaleway_emulator::options::ClockMode;
use std::time::{Duration, Instant};

/// How many life cycles with drawn durations run concurrently, each with a separate control plane and cloud.
const LIVES: u64 = 8;

/// The measurements of one life cycle.
struct Life {
    ready_s: f64,
    ended_s: f64,
    calls_to_ready: f64,
    calls_to_end: f64,
}

/// Life cycles of an L40S with a 200 GB data volume, in real time.
pub(super) async fn of_one_life(table: &mut Table) {
    let seeds = std::iter::once(None).chain((0..LIVES).map(Some));
    let lives = futures::future::join_all(seeds.map(one)).await;
    let (median, drawn) = lives.split_at(1);
    rows(table, "one life cycle at median durations", median);
    rows(table, &format!("one life cycle, mean of {LIVES} drawn"), drawn);
}

fn rows(table: &mut Table, what: &str, lives: &[Life]) {
    let mean = |of: fn(&Life) -> f64| lives.iter().map(of).sum::<f64>() / lives.len() as f64;
    table.row(&format!("{what}: POST to ready"), mean(|l| l.ready_s), "s", "≤ 25.5");
    table.row(&format!("{what}: DELETE to ended and proven"), mean(|l| l.ended_s), "s", "≤ 19.6");
    table.row(&format!("{what}: calls until ready"), mean(|l| l.calls_to_ready), "calls", "");
    table.row(&format!("{what}: calls until ended and proven"), mean(|l| l.calls_to_end), "calls", "");
    table.row(&format!("{what}: calls in total"), mean(|l| l.calls_to_ready + l.calls_to_end), "calls", "≤ 45");
}

async fn one(seed: Option<u64>) -> Life {
    let s = stage(Database::Sqlite, ClockMode::Real, 20.0, 1_000, seed).await;
    // Exclude the first listing and the first audit of the control plane.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = requests(&s);
    let began = Instant::now();
    let id = s.create("L40S-1-48G", 1).await.remove(0);
    until(&s, &id, "ready").await;
    let (ready_s, at_ready) = (began.elapsed().as_secs_f64(), requests(&s));
    let began = Instant::now();
    s.call("DELETE", &format!("/instances/{id}"), None).await;
    until(&s, &id, "terminated").await;
    let (ended_s, at_end) = (began.elapsed().as_secs_f64(), requests(&s));
    if std::env::var_os("BENCH_TRACE").is_some() && seed.is_none() {
        trace(&s);
    }
    s.stop().await;
    Life { ready_s, ended_s, calls_to_ready: at_ready - before, calls_to_end: at_end - at_ready }
}

fn requests(s: &Stage) -> f64 {
    s.emulator.journal()["requests"].as_f64().unwrap()
}

async fn until(s: &Stage, id: &str, status: &str) {
    let path = format!("/instances/{id}");
    while s.call("GET", &path, None).await["status"] != status {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn trace(s: &Stage) {
    for e in s.emulator.journal()["entries"].as_array().unwrap() {
        let word = |name: &str| e[name].as_str().map(str::to_owned).unwrap_or_default();
        println!("  {} {} {}?{} {}", word("at"), word("method"), word("path"), word("query"), e["status"]);
    }
}
