//! Recovery after a restart, a pass after few changes, and rate limiting by the cloud.

use super::{Table, request};
use inventiv_testkit::{Database, PROJECT, Setup, World};
use scaleway_emulator::options::Options;
use serde_json::json;

async fn world() -> World {
    let emulator = Options { journal_len: 1_000_000, seed: Some(1), ..Options::default() };
    World::with(Database::Sqlite, Setup { emulator, ..Setup::default() }).await
}

/// The number of server pages read.
fn pages_read(w: &World) -> usize {
    let journal = w.emulator.journal();
    let entries = journal["entries"].as_array().unwrap();
    entries.iter().filter(|e| e["method"] == "GET" && e["path"].as_str().unwrap().ends_with("fr-par-2/servers")).count()
}

/// Runs ticks with listings until nothing waits: in a large zone, the proof of a deletion waits for the next listing.
async fn settle_a_large_zone(w: &World) {
    for _ in 0..600 {
        w.resync().await;
        w.advance_ms(9_000);
        if w.store.next_wake(&format!("scaleway:{PROJECT}")).await.unwrap().is_none() {
            return;
        }
    }
    panic!("the zone does not settle");
}

/// Restarts the process with a thousand instances in creation and counts the listings until each has progressed.
pub(super) async fn restart_in_flight(table: &mut Table) {
    const LIVES: usize = 1_000;
    let w = world().await;
    for _ in 0..LIVES {
        w.create(request("L40S-1-48G")).await;
    }
    for _ in 0..3 {
        w.tick().await;
    }
    let versions = async |w: &World| {
        let filter = inventiv_store::InstanceFilter { limit: 5_000, ..Default::default() };
        let all = w.store.instances(&filter).await.unwrap();
        all.into_iter().map(|a| a.instance.version).collect::<Vec<i64>>()
    };
    let w = w.restarted().await;
    // Everything that they wait for has happened by now: only the new process can delay them.
    w.advance_ms(60_000);
    let (before, listed) = (versions(&w).await, pages_read(&w));
    let mut seconds = 0;
    loop {
        w.tick().await;
        seconds += 1;
        let moved = versions(&w).await.iter().zip(&before).filter(|(now, then)| now > then).count();
        if moved == LIVES || seconds == 600 {
            let pages = LIVES.div_ceil(100) as f64;
            let lists = (pages_read(&w) - listed) as f64 / pages;
            table.row("restart with 1,000 creations: listings until all have progressed", lists, "listings", "≤ 2");
            table.row("the same: time on the cloud's clock", f64::from(seconds), "s", "");
            assert_eq!(moved, LIVES);
            return;
        }
    }
}

/// The cost of a pass after few of many instances changed.
pub(super) async fn a_few_of_many(table: &mut Table) {
    const MANY: usize = 10_000;
    const FEW: usize = 100;
    let w = world().await;
    let mut ids = Vec::new();
    for _ in 0..MANY {
        ids.push(w.create(json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "data_volume_gb": 0})).await);
    }
    w.settle().await;
    w.advance_ms(120_000);
    w.resync().await;
    for id in ids.iter().take(FEW) {
        w.terminate(id).await;
    }
    let touched = w.orchestrator.tick(true).await.unwrap().steps;
    table.row("a pass over 10,000 instances of which 100 changed: touched", touched as f64, "instances", "100");
    let before = w.requests("GET", "/zones/fr-par-2/servers/") + w.requests("GET", "/zones/fr-par-2/volumes/");
    settle_a_large_zone(&w).await;
    let after = w.requests("GET", "/zones/fr-par-2/servers/") + w.requests("GET", "/zones/fr-par-2/volumes/");
    let each = (after - before) as f64 / (FEW * 2) as f64;
    table.row("their deletion: reads by id for each resource, including the proof", each, "calls", "");
}

/// Half of the requests get a 429: counts failed instances and leaks.
pub(super) async fn storm_of_429(table: &mut Table) {
    const LIVES: usize = 30;
    let w = world().await;
    let storm = json!({"path": "/*/zones/fr-par-2/*", "percent": 50, "effect": {"error": "rate_limited"}});
    w.emulator.add_fault(&storm).unwrap();
    let mut ids = Vec::new();
    for _ in 0..LIVES {
        ids.push(w.create(request("L40S-1-48G")).await);
    }
    w.settle().await;
    let mut ready = 0;
    for id in &ids {
        ready += usize::from(w.show(id).await["status"] == "ready");
        w.terminate(id).await;
    }
    w.settle().await;
    table.row("30 instances, half of the requests get a 429: ready", ready as f64, "instances", "30");
    table.row("the same: servers and volumes left over", (w.left().0 + w.left().1) as f64, "", "0");
}
