//! What we rely on a provider for, shown on the emulator: the suite that `inventiv doctor --live` runs on a real account.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_core::time::Timestamp;
use inventiv_providers::contract::{self, Line, Suite};
use inventiv_providers::scaleway::Scaleway;
use inventiv_providers::{CloudProvider, credentials};
use inventiv_testkit::{InProcess, PROJECT};
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, DeleteInUse, Options};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const ZONE: &str = "fr-par-2";

fn cloud(emulator: &Emulator) -> Scaleway {
    let env = |name: &str| match name {
        "SCW_SECRET_KEY" => Some("22222222-2222-4222-8222-222222222222".to_owned()),
        "SCW_DEFAULT_PROJECT_ID" => Some(PROJECT.to_owned()),
        "SCW_API_URL" => Some("http://emulator".to_owned()),
        _ => None,
    };
    let credentials = credentials::read(&env).unwrap();
    Scaleway::new(&credentials, Arc::new(InProcess::new(emulator.router())), 1e6, Arc::new(|| Timestamp(1)))
}

async fn run(emulator: &Emulator) -> Vec<Line> {
    let cloud = cloud(emulator);
    let offers = cloud.offers(ZONE).await.unwrap();
    let suite = Suite {
        cloud: &cloud,
        zone: ZONE.to_owned(),
        instance_type: contract::cheapest(&offers).unwrap().instance_type.clone(),
        image: "ubuntu_noble".to_owned(),
        every: Duration::from_millis(2),
        patience: Duration::from_secs(20),
        say: &|_| {},
    };
    suite.run().await
}

fn emulator(change: impl FnOnce(&mut Options)) -> Emulator {
    let mut options = Options { clock: ClockMode::Scaled(2_000), ..Options::default() };
    change(&mut options);
    Emulator::new(options)
}

fn broken(lines: &[Line]) -> Vec<&Line> {
    lines.iter().filter(|l| matches!(l, Line::Broken(..))).collect()
}

fn left(e: &Emulator) -> usize {
    let state = e.state();
    ["servers", "volumes", "ips"].iter().map(|k| state[*k].as_array().unwrap().len()).sum()
}

#[tokio::test]
async fn every_promise_is_kept_and_nothing_is_left_whatever_the_cloud_does_where_nobody_knows() {
    type Change = fn(&mut Options);
    let unknowns: [Change; 4] = [
        |_| {},
        |o| o.delete_in_use_block_volume = DeleteInUse::Accepted,
        |o| o.lingers_stopped_after_terminate = true,
        |o| o.seed = Some(5),
    ];
    for change in unknowns {
        let e = emulator(change);
        let lines = run(&e).await;
        assert_eq!(broken(&lines), Vec::<&Line>::new(), "{lines:#?}");
        assert_eq!(left(&e), 0, "{:#}", e.state());
        assert!(lines.iter().filter(|l| matches!(l, Line::Kept(..))).count() >= 13, "{lines:#?}");
    }
}

#[tokio::test]
async fn what_a_killed_run_left_is_taken_away_by_the_next_and_strangers_are_let_be() {
    let e = emulator(|_| {});
    let strangers = http::Request::builder().method("POST").uri("/_emulator/strangers");
    let body = bytes::Bytes::from(json!({"servers": 1, "volumes": 1}).to_string());
    assert!(e.handle(&strangers.body(body).unwrap()).status().is_success());
    let before = left(&e);
    // Killed right after it made things: none of them was taken away.
    let killed = cloud(&e);
    let new = inventiv_providers::NewServer {
        name: format!("{}-server", contract::PREFIX),
        tags: Vec::new(),
        instance_type: "PLAY2-PICO".to_owned(),
        image: "ubuntu_noble".to_owned(),
        boot_storage: inventiv_core::offer::BootStorage::Block,
    };
    let server = killed.create_server(ZONE, &new).await.unwrap().value;
    killed.start_server(ZONE, &server.id).await.unwrap();
    let lines = run(&e).await;
    assert_eq!(broken(&lines), Vec::<&Line>::new(), "{lines:#?}");
    assert!(lines.iter().any(|l| matches!(l, Line::Removed(what) if what.contains(&server.id))), "{lines:#?}");
    assert_eq!(left(&e), before, "only the strangers': {:#}", e.state());
}

#[tokio::test]
async fn a_cloud_that_breaks_a_promise_is_told_and_nothing_is_left() {
    let e = emulator(|_| {});
    e.add_fault(&json!({"method": "POST", "path": "*/attach-volume", "effect": {"then": "hang"}})).unwrap();
    e.add_fault(&json!({"method": "POST", "path": "*/action", "nth": 1, "effect": {"error": "internal_server_error"}}))
        .unwrap();
    let cloud = cloud(&e);
    let suite = Suite {
        cloud: &cloud,
        zone: ZONE.to_owned(),
        instance_type: "PLAY2-PICO".to_owned(),
        image: "ubuntu_noble".to_owned(),
        every: Duration::from_millis(2),
        patience: Duration::from_millis(500),
        say: &|_| {},
    };
    let lines = suite.run().await;
    assert_eq!(broken(&lines).len(), 1, "{lines:#?}");
    assert_eq!(left(&e), 0, "{:#}", e.state());
}
