//! Runs the provider contract suite on the emulator; `inventiv doctor --live` runs it on a real account.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_core::observed::VolumeState;
use inventiv_core::time::Timestamp;
use inventiv_providers::clouds::scaleway::{self, Scaleway};
use inventiv_providers::contract::{self, Line, Suite};
use inventiv_providers::{CloudProvider, Existence, NewServer, NewVolume, VolumeRef};
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
    let credentials = scaleway::credentials::read(&env, None).unwrap();
    Scaleway::new(&credentials, Arc::new(InProcess::new(emulator.router())), 1e6, Arc::new(|| Timestamp(1)))
}

const RUN: &str = "0123456789ab";

fn suite<'a>(cloud: &'a Scaleway, stop: &'a (dyn Fn() -> bool + Send + Sync)) -> Suite<'a> {
    Suite {
        cloud,
        zone: ZONE.to_owned(),
        instance_type: "PLAY2-PICO".to_owned(),
        image: "ubuntu_noble".to_owned(),
        every: Duration::from_millis(2),
        patience: Duration::from_secs(20),
        limit: Duration::from_secs(60),
        late: Duration::from_millis(30),
        run: RUN.to_owned(),
        stop,
        say: &|_| {},
    }
}

async fn run(emulator: &Emulator) -> Vec<Line> {
    let cloud = cloud(emulator);
    let offers = cloud.offers(ZONE).await.unwrap();
    assert_eq!(contract::cheapest(&offers).unwrap().instance_type, "PLAY2-PICO");
    suite(&cloud, &|| false).run().await
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
async fn the_contract_holds_and_nothing_is_left_for_every_unknown_behaviour_of_the_cloud() {
    type Change = fn(&mut Options);
    let unknowns: [Change; 6] = [
        |_| {},
        |o| o.delete_running_server = true,
        |o| o.terminate_stopped_server = true,
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
async fn the_next_run_removes_what_a_killed_one_left_and_nothing_of_third_parties() {
    let e = emulator(|_| {});
    let third_parties = http::Request::builder().method("POST").uri("/_emulator/third-parties");
    let body = bytes::Bytes::from(json!({"servers": 1, "volumes": 1}).to_string());
    assert!(e.handle(&third_parties.body(body).unwrap()).status().is_success());
    let before = left(&e);
    // Killed right after its creations, before it removed anything.
    let killed = cloud(&e);
    let new = NewServer {
        name: format!("{}-ba9876543210-server", contract::PREFIX),
        tags: Vec::new(),
        instance_type: "PLAY2-PICO".to_owned(),
        image: "ubuntu_noble".to_owned(),
        boot_storage: inventiv_core::offer::BootStorage::Block,
        user_data: None,
    };
    let server = killed.create_server(ZONE, &new).await.unwrap().value;
    killed.start_server(ZONE, &server.id).await.unwrap();
    let lines = run(&e).await;
    assert_eq!(broken(&lines), Vec::<&Line>::new(), "{lines:#?}");
    assert!(lines.iter().any(|l| matches!(l, Line::Removed(what) if what.contains(&server.id))), "{lines:#?}");
    assert_eq!(left(&e), before, "only resources of third parties: {:#}", e.state());
}

#[tokio::test]
async fn a_cloud_that_breaks_the_contract_is_reported_and_nothing_is_left() {
    let e = emulator(|_| {});
    e.add_fault(&json!({"method": "POST", "path": "*/attach-volume", "effect": {"then": "hang"}})).unwrap();
    e.add_fault(&json!({"method": "POST", "path": "*/action", "nth": 1, "effect": {"error": "internal_server_error"}}))
        .unwrap();
    let cloud = cloud(&e);
    let suite = Suite { patience: Duration::from_millis(500), ..suite(&cloud, &|| false) };
    let lines = suite.run().await;
    assert_eq!(broken(&lines).len(), 1, "{lines:#?}");
    assert_eq!(left(&e), 0, "{:#}", e.state());
}

#[tokio::test]
async fn the_cleanup_continues_whatever_answer_fails() {
    for path in ["*/servers*", "*/volumes*"] {
        for method in ["GET", "PATCH", "POST", "DELETE"] {
            let e = emulator(|o| o.seed = Some(1));
            let fault =
                json!({"method": method, "path": path, "percent": 30, "effect": {"error": "internal_server_error"}});
            e.add_fault(&fault).unwrap();
            let cloud = cloud(&e);
            let lines = suite(&cloud, &|| false).run().await;
            assert_eq!(left(&e), 0, "{method} {path}: {lines:#?}");
            assert!(
                lines.iter().any(|l| matches!(l, Line::Kept(contract::NOTHING_LEFT, _))),
                "{method} {path}: {lines:#?}"
            );
        }
    }
}

#[tokio::test]
async fn the_cleanup_continues_after_a_listing_that_keeps_failing() {
    let e = emulator(|_| {});
    let cloud = cloud(&e);
    // More failures than retries: the first listing of the run fails, and so does the first one of its last check.
    let fault = json!({"method": "GET", "path": "*/servers", "times": 6, "effect": {"error": "internal_server_error"}});
    e.add_fault(&fault).unwrap();
    let lines = suite(&cloud, &|| false).run().await;
    assert_eq!(broken(&lines), Vec::<&Line>::new(), "{lines:#?}");
    assert_eq!(left(&e), 0, "{lines:#?}");
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_found_and_removed() {
    for path in ["*/servers", "*/volumes"] {
        let e = emulator(|_| {});
        e.add_fault(&json!({"method": "POST", "path": path, "nth": 1, "effect": {"cut": "after"}})).unwrap();
        // Listings do not show it at once either.
        e.add_fault(&json!({"method": "GET", "path": path, "effect": {"lag_ms": 20_000}})).unwrap();
        let cloud = cloud(&e);
        let lines = suite(&cloud, &|| false).run().await;
        assert_eq!(broken(&lines).len(), 1, "{lines:#?}");
        assert_eq!(left(&e), 0, "{path}: {lines:#?} {:#}", e.state());
        assert!(lines.iter().any(|l| matches!(l, Line::Removed(_))), "{lines:#?}");
    }
}

#[tokio::test]
async fn stopped_at_any_moment_it_leaves_nothing_and_says_so() {
    // Stop at the nth check of the stop flag, which comes before every step and read.
    for asked in (0..60).step_by(3) {
        let e = emulator(|_| {});
        let cloud = cloud(&e);
        let count = std::sync::atomic::AtomicU32::new(0);
        let stop = || count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= asked;
        let lines = suite(&cloud, &stop).run().await;
        assert_eq!(broken(&lines), Vec::<&Line>::new(), "{lines:#?}");
        assert!(matches!(lines.last(), Some(Line::Kept(contract::NOTHING_LEFT, _))), "{lines:#?}");
        assert_eq!(left(&e), 0, "after {asked}: {lines:#?}");
    }
}

#[tokio::test]
async fn resources_of_third_parties_stay_even_if_attached_to_ours() {
    let e = emulator(|_| {});
    let cloud = cloud(&e);
    let server = |name: String| NewServer {
        name,
        tags: Vec::new(),
        instance_type: "PLAY2-PICO".to_owned(),
        image: "ubuntu_noble".to_owned(),
        boot_storage: inventiv_core::offer::BootStorage::Block,
        user_data: None,
    };
    let near = cloud.create_server(ZONE, &server("inventiv-doctorate-db".to_owned())).await.unwrap().value;
    // A third party's volume on a server that an earlier run left.
    let left_over = format!("{}-ba9876543210-server", contract::PREFIX);
    let ours = cloud.create_server(ZONE, &server(left_over)).await.unwrap().value;
    let foreign =
        NewVolume { name: "wedding-photos".to_owned(), tags: Vec::new(), size_bytes: 5_000_000_000, perf_iops: None };
    let foreign = cloud.create_volume(ZONE, &foreign).await.unwrap().value;
    let foreign = VolumeRef::new(foreign.id, foreign.volume_type);
    while !matches!(cloud.volume(ZONE, &foreign).await.unwrap(), Existence::Exists(v) if v.state == VolumeState::Available)
    {
        tokio::task::yield_now().await;
    }
    cloud.attach_volume(ZONE, &ours.id, &foreign).await.unwrap();
    let lines = run(&e).await;
    assert_eq!(broken(&lines), Vec::<&Line>::new(), "{lines:#?}");
    assert!(lines.iter().any(|l| matches!(l, Line::Spared(what) if what.contains("wedding-photos"))), "{lines:#?}");
    assert!(matches!(cloud.server(ZONE, &near.id).await.unwrap(), Existence::Exists(_)));
    assert!(matches!(cloud.server(ZONE, &ours.id).await.unwrap(), Existence::Gone(_)));
    let Existence::Exists(kept) = cloud.volume(ZONE, &foreign).await.unwrap() else { panic!("the volume is gone") };
    assert_eq!(kept.name, "wedding-photos");
    assert_eq!(left(&e), 3, "the third party's server, its boot volume and its volume: {:#}", e.state());
}
