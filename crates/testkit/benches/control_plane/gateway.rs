//! The gateway beside the engine itself, nginx and the LiteLLM proxy: the same stand-in for an engine, the same clients.
//!
//! Clients and engine use the same cores as the proxies, which slows every proxy. A request through the gateway also crosses
//! a worker, over mutual TLS, as it does on a real server.

mod clients;
mod others;
mod stage;

use crate::Table;
use clients::{Ask, Target};
use stage::{Measured, Rig};
use std::time::Duration;

/// How many clients ask at the same time.
const CLIENTS: [usize; 3] = [1, 64, 512];
/// How long one measurement takes, and how often each is repeated in turn with the others.
const MEASURE: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
const STREAMS: usize = 5_000;

/// Measures every proxy that this machine has.
pub(super) async fn beside_others(table: &mut Table) {
    let Some(binary) = std::env::var_os("INVENTIV_BIN") else {
        println!("skipped: INVENTIV_BIN is not set; `cargo xtask bench` sets it");
        return;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let rig = Rig::start(&binary).await;
    // First: workers notice after some minutes that an engine of this kind answers nobody.
    for (what, goal) in [("gateway", "≤ 40"), ("nginx", "")] {
        memory(table, &rig, what, goal).await;
    }
    for clients in CLIENTS {
        throughput(table, &rig, clients).await;
    }
    for clients in CLIENTS {
        added_latency(table, &rig, clients).await;
    }
    events(table, &rig).await;
}

/// The middle one of several measurements.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Measures all targets in turn, several times, so that a change of the machine's speed affects all of them.
async fn in_turn(targets: &[Target], ask: &Ask, clients: usize) -> Vec<(String, Vec<Measured>)> {
    let mut all: Vec<(String, Vec<Measured>)> = targets.iter().map(|t| (t.name.clone(), Vec::new())).collect();
    for _ in 0..ROUNDS {
        for (target, (_, measured)) in targets.iter().zip(&mut all) {
            measured.push(clients::closed_loop(target, ask, clients, MEASURE).await);
        }
    }
    all
}

async fn throughput(table: &mut Table, rig: &Rig, clients: usize) {
    let all = in_turn(&rig.at_once, &Ask::answer(0), clients).await;
    let rate =
        |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, m)| median(m.iter().map(|m| m.per_second).collect()));
    for (name, measured) in &all {
        let row = format!("{clients} clients, answers at once, {name}");
        table.row(&row, median(measured.iter().map(|m| m.per_second).collect()), "requests/s", "");
    }
    let Some(gateway) = rate("gateway") else { return };
    for (other, goal) in [("nginx", "≥ 0.7"), ("nginx over TLS", ""), ("LiteLLM", "≥ 10")] {
        let Some(other_rate) = rate(other) else { continue };
        table.row(&format!("{clients} clients, answers at once, gateway / {other}"), gateway / other_rate, "×", goal);
    }
}

/// With an engine that takes its time, so that about the same number of requests comes in each second.
async fn added_latency(table: &mut Table, rig: &Rig, clients: usize) {
    let words = match clients {
        1 => 0,
        64 => 5,
        _ => 40,
    };
    let all = in_turn(&rig.slow, &Ask::answer(words), clients).await;
    let ms = |m: &[Measured], of: fn(&Measured) -> f64| median(m.iter().map(of).collect());
    let Some((_, direct)) = all.iter().find(|(n, _)| n == "engine") else { return };
    let (p50, p99) = (ms(direct, |m| m.p50_ms), ms(direct, |m| m.p99_ms));
    let what = format!("{clients} clients, answers after {} ms", words * 10);
    table.row(&format!("{what}, engine: p50"), p50, "ms", "");
    table.row(&format!("{what}, engine: p99"), p99, "ms", "");
    for (name, measured) in all.iter().filter(|(n, _)| n != "engine") {
        let goals = if name == "gateway" && clients == 64 { ["≤ 0.3", "≤ 2"] } else { ["", ""] };
        table.row(&format!("{what}, {name}: added at p50"), ms(measured, |m| m.p50_ms) - p50, "ms", goals[0]);
        table.row(&format!("{what}, {name}: added at p99"), ms(measured, |m| m.p99_ms) - p99, "ms", goals[1]);
    }
}

async fn events(table: &mut Table, rig: &Rig) {
    for (name, measured) in in_turn(&rig.at_once, &Ask::stream(200), 64).await {
        let row = format!("64 clients, streams of 200 words, {name}");
        table.row(&row, median(measured.iter().map(|m| m.events_per_second).collect()), "events/s", "");
    }
}

/// The memory of a proxy while streams are open.
async fn memory(table: &mut Table, rig: &Rig, name: &str, goal: &str) {
    let Some((target, processes)) = rig.waiting.iter().find(|(t, _)| t.name == name) else { return };
    let before = stage::memory_kb(processes);
    let open = clients::open_streams(target, &Ask::stream(200), STREAMS).await;
    let kb = stage::memory_kb(processes) - before;
    table.row(&format!("{} open streams, {name}: memory of each", open.len()), kb / open.len() as f64, "KB", goal);
}
