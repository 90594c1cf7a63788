//! A long history: frequent API requests and passes, with empty tables and with full ones.

use crate::{Table, request};
use inventiv_testkit::past::repeat_life;
use inventiv_testkit::{Database, World};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Instant;

/// With 18 lines and two volumes each: a million lines, and more than a hundred thousand volumes.
const LIVES: u32 = 56_000;
const LIVING: usize = 100;
const TIMES: usize = 60;

/// The median of each operation, in milliseconds.
async fn measure(world: &World, living: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    let median = |mut ms: Vec<f64>| {
        ms.sort_by(f64::total_cmp);
        ms[ms.len() / 2]
    };
    for path in [
        "/instances?limit=100",
        "/instances?status=ready&limit=100",
        "/instances?zone=fr-par-2&status=ready&limit=100",
        "/instances?zone=pl-waw-2",
        "/instances?model_id=Qwen%2FQwen2.5-7B-Instruct&status=ready&limit=100",
        "/volumes?limit=100",
        "/volumes?status=retained",
        "/volumes?status=attached&zone=fr-par-2&limit=100",
        "/action_logs?limit=100",
        &format!("/action_logs?instance_id={living}"),
        &format!("/instances/{living}"),
        &format!("/instances/{living}/proof"),
        "/accounts",
        "/audit",
        "/metrics",
    ] {
        let mut ms = Vec::new();
        for _ in 0..TIMES {
            let began = Instant::now();
            assert_eq!(world.call("GET", path, None).await.0, 200);
            ms.push(began.elapsed().as_secs_f64() * 1e3);
        }
        all.insert(format!("GET {}", path.replace(living, "ID")), median(ms));
    }
    for (what, resync) in [("a tick with nothing to do", false), ("a pass over 100 living instances", true)] {
        let mut ms = Vec::new();
        for _ in 0..TIMES / 3 {
            let began = Instant::now();
            world.orchestrator.tick(resync).await.unwrap();
            ms.push(began.elapsed().as_secs_f64() * 1e3);
            world.advance_ms(1_000);
        }
        all.insert(what.to_owned(), median(ms));
    }
    let mut ms = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        world.call("POST", "/audit", Some(json!({}))).await;
        world.orchestrator.audit_due().await.unwrap();
        ms.push(began.elapsed().as_secs_f64() * 1e3);
        world.advance_ms(1_000);
    }
    all.insert("an audit".to_owned(), median(ms));
    let mut ms = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        let id = world.create(request("L4-1-24G")).await;
        world.until_status(&id, "ready").await;
        world.terminate(&id).await;
        world.until_status(&id, "terminated").await;
        ms.push(began.elapsed().as_secs_f64() * 1e3);
    }
    all.insert("one instance life cycle, from request to proof".to_owned(), median(ms));
    all
}

pub(super) async fn empty_and_full(table: &mut Table, kind: Database) {
    let world = World::new(kind).await;
    let over = world.create(request("L4-1-24G")).await;
    world.until_status(&over, "ready").await;
    world.terminate(&over).await;
    world.until_status(&over, "terminated").await;
    let mut living = String::new();
    for _ in 0..LIVING {
        living = world.create(request("L4-1-24G")).await;
    }
    world.until_status(&living, "ready").await;
    world.settle().await;
    let empty = measure(&world, &living).await;
    let rows = repeat_life(&world.database_url, &over, LIVES).await;
    for (name, n) in rows {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        table.row(&format!("a long history, {kind:?}: rows of {name}"), n as f64, "rows", "");
    }
    let full = measure(&world, &living).await;
    for (what, before) in empty {
        table.row(&format!("{kind:?}, {what}: empty tables"), before, "ms", "");
        table.row(&format!("{kind:?}, {what}: full ÷ empty"), full[&what] / before, "ratio", "≤ 2");
    }
}
