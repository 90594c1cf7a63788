//! Services whose replicas fail: another candidate, a replacement, and an end of the replacements.

use crate::stage::{CHEAP, LARGE, Stage, ZONE, is_ready_with, living, replica, request};
use inventiv_testkit::{Database, WorkerFault};
use scaleway_emulator::options::{Options, StockRefusal};
use serde_json::{Value, json};

fn without_stock(kinds: &[&str], is_shown: bool, refusal: StockRefusal) -> Options {
    Options {
        out_of_stock: kinds.iter().map(|kind| (ZONE.to_owned(), (*kind).to_owned())).collect(),
        stock_is_shown: is_shown,
        stock_refusal: refusal,
        ..Options::default()
    }
}

/// How many instances of a type were created for the service.
async fn made(stage: &Stage, kind: &str) -> usize {
    let (_, page) = stage.w.call("GET", "/instances?limit=500", None).await;
    page["items"].as_array().unwrap().iter().filter(|i| i["instance_type"] == kind).count()
}

#[tokio::test]
async fn a_type_without_stock_fails_over_to_the_next_one() {
    for database in Database::both() {
        for refusal in [StockRefusal::Create, StockRefusal::PowerOn] {
            let mut stage = Stage::with(database, without_stock(&[CHEAP], false, refusal)).await;
            stage.create(request(1, 2)).await;
            let shown = stage.until(10, "it answers", |s| is_ready_with(s, 1)).await;
            assert_eq!(living(&shown)[0]["instance_type"], LARGE, "{refusal:?}");
            assert_eq!((made(&stage, CHEAP).await, made(&stage, LARGE).await), (1, 1), "{refusal:?}");
            let candidate = &shown["candidates"][0];
            assert_eq!(candidate["avoided_because"], "out of stock", "{refusal:?}: {candidate}");
            assert!(candidate["avoided_until"].is_string(), "{candidate}");
            assert_eq!(shown["candidates"][1]["avoided_because"], Value::Null);

            // While it is avoided, another replica does not try it again. Afterwards, it is the preferred one again.
            stage.ask(8, 0);
            stage.until(10, "two answer", |s| is_ready_with(s, 2)).await;
            assert_eq!((made(&stage, CHEAP).await, made(&stage, LARGE).await), (1, 2), "{refusal:?}");
            stage.w.emulator.configure(|o| o.out_of_stock.clear());
            stage.ask(1, 0);
            stage.until(10, "one answers", |s| is_ready_with(s, 1)).await;
            stage.until(10, "it is used again", |s| s["candidates"][0]["avoided_until"].is_null()).await;
            stage.ask(8, 0);
            stage.until(10, "two answer", |s| is_ready_with(s, 2)).await;
            assert_eq!((made(&stage, CHEAP).await, made(&stage, LARGE).await), (2, 2), "{refusal:?}");
            stage.end().await;
        }
    }
}

#[tokio::test]
async fn a_type_that_the_catalogue_shows_as_out_of_stock_is_not_tried() {
    let mut stage = Stage::with(Database::Sqlite, without_stock(&[CHEAP], true, StockRefusal::Create)).await;
    stage.create(request(1, 1)).await;
    let shown = stage.until(10, "it answers", |s| is_ready_with(s, 1)).await;
    assert_eq!((made(&stage, CHEAP).await, made(&stage, LARGE).await), (0, 1));
    assert_eq!(shown["candidates"][0]["avoided_because"], "out of stock", "{shown:#}");
    stage.end().await;
}

#[tokio::test]
async fn a_service_without_any_stock_says_so_and_starts_once_there_is_some() {
    let mut stage = Stage::with(Database::Sqlite, without_stock(&[CHEAP, LARGE], false, StockRefusal::Create)).await;
    stage.create(request(1, 1)).await;
    let shown = stage.until(5, "it is degraded", |s| s["status"] == "degraded").await;
    let reason = shown["reason"].as_str().unwrap();
    assert!(reason.starts_with("no candidate has stock: fr-par-2/L4-1-24G, fr-par-2/L40S-1-48G"), "{reason}");
    stage.stays(500, "nothing is tried", |s| s["status"] == "degraded").await;
    assert_eq!((made(&stage, CHEAP).await, made(&stage, LARGE).await), (1, 1));
    // The next try finds none, either; there is no end of tries.
    stage.stays(300, "it stays degraded", |s| s["status"] != "ready").await;
    assert_eq!((made(&stage, CHEAP).await, made(&stage, LARGE).await), (2, 2));
    stage.w.emulator.configure(|o| o.out_of_stock.clear());
    stage.until(15, "it answers", |s| is_ready_with(s, 1)).await;
    stage.end().await;
}

#[tokio::test]
async fn a_replica_whose_server_a_third_party_deletes_is_replaced_each_time() {
    for database in Database::both() {
        let mut stage = Stage::new(database).await;
        stage.create(request(1, 1)).await;
        // A silent replica may recover: its successor is created beside it.
        stage.most = 2;
        let mut last = String::new();
        for n in 1..=5 {
            let is_new = |s: &Value| is_ready_with(s, 1) && replica(s, 0) != last;
            last = replica(&stage.until(20, "another one answers", is_new).await, 0);
            assert_eq!(stage.seen.len(), n, "one at a time");
            let server = stage.server(&last).await.unwrap();
            stage.w.third_party("POST", &format!("{server}/action"), Some(json!({"action": "terminate"})));
        }
        stage.end().await;
    }
}

/// Turns for hours in which every replica fails. Returns what the service shows then.
async fn fails(stage: &mut Stage, hours: u32, break_it: impl AsyncFn(&Stage)) -> Value {
    for _ in 0..hours * 3_600 {
        break_it(stage).await;
        stage.turn().await;
        let shown = stage.show().await;
        stage.check(&shown);
    }
    stage.show().await
}

#[tokio::test]
async fn after_three_failures_in_a_row_no_more_are_created_until_somebody_does_something() {
    for database in Database::both() {
        let mut stage = Stage::new(database).await;
        stage.create(request(2, 2)).await;
        let full = async |s: &Stage| s.fleet.inject(0, WorkerFault::DiskFull);
        let shown = fails(&mut stage, 1, full).await;
        assert_eq!((&shown["status"], &shown["replicas"]), (&json!("degraded"), &json!([])), "{shown:#}");
        let reason = shown["reason"].as_str().unwrap();
        assert!(reason.contains("in a row failed: the disk is full; choose a larger data volume"), "{reason}");
        let so_far = stage.seen.len();
        assert!((3..=4).contains(&so_far), "{so_far}");
        assert_eq!(stage.w.left(), (0, 0, 0), "failed replicas cost nothing");

        // Somebody tries again, in vain; and then with success.
        assert_eq!(stage.w.call("POST", "/services/chat/warm", Some(json!({}))).await.0, 202);
        let shown = fails(&mut stage, 1, full).await;
        assert_eq!(shown["status"], "degraded");
        assert!((so_far + 3..=so_far + 4).contains(&stage.seen.len()), "{}", stage.seen.len());
        stage.fleet.heal();
        stage.stays(60, "it does not try by itself", |s| s["status"] == "degraded").await;
        stage.change(json!({"data_volume_gb": 300})).await;
        stage.until(20, "two answer", |s| is_ready_with(s, 2)).await;
        stage.end().await;
    }
}

#[tokio::test]
async fn a_service_whose_servers_always_vanish_creates_few_of_them() {
    let mut stage = Stage::new(Database::Sqlite).await;
    stage.create(request(1, 1)).await;
    let fault = json!({"method": "POST", "path": "*/action", "effect": {"then": "vanish"}});
    stage.w.emulator.add_fault(&fault).unwrap();
    let shown = fails(&mut stage, 3, async |_: &Stage| ()).await;
    assert_eq!((&shown["status"], stage.seen.len()), (&json!("degraded"), 3), "{shown:#}");
    stage.end().await;
}

#[tokio::test]
async fn a_replica_that_does_not_answer_any_more_is_replaced_and_a_short_silence_is_not_an_end() {
    let mut stage = Stage::new(Database::Sqlite).await;
    stage.create(request(1, 1)).await;
    let first = replica(&stage.until(10, "it answers", |s| is_ready_with(s, 1)).await, 0);
    stage.fleet.inject(0, WorkerFault::MachineFrozen);
    stage.until(5, "it is silent", |s| s["replicas"][0]["status"] == "unavailable").await;
    let shown = stage.until(5, "it answers again", |s| is_ready_with(s, 1)).await;
    assert_eq!(replica(&shown, 0), first);
    // Its successor is created beside it, and then it ends.
    stage.most = 2;
    let mut shown = shown;
    for _ in 0..900 {
        stage.fleet.inject(0, WorkerFault::LostBefore);
        stage.turn().await;
        shown = stage.show().await;
        stage.check(&shown);
        if living(&shown).iter().all(|r| r["instance_id"] != first) {
            break;
        }
    }
    assert_eq!(shown["ready_replicas"], 1, "{shown:#}");
    stage.most = 1;
    let second = replica(&stage.until(10, "it is replaced", |s| is_ready_with(s, 1)).await, 0);
    assert_eq!((stage.seen.len(), second == first), (2, false));
    stage.end().await;
}

#[tokio::test]
async fn a_service_beyond_a_limit_says_so_and_goes_on_once_it_is_raised() {
    for (database, path) in Database::both().into_iter().zip(["/limits", "/limits?service=chat"]) {
        let mut stage = Stage::new(database).await;
        stage.create(request(1, 2)).await;
        stage.until(10, "it answers", |s| is_ready_with(s, 1)).await;
        let (status, limits) = stage.w.call("PUT", path, Some(json!({"gpus": 1}))).await;
        assert_eq!(status, 200, "{limits}");
        stage.ask(8, 0);
        let shown = stage.until(5, "it says so", |s| s["status"] == "degraded").await;
        let reason = shown["reason"].as_str().unwrap();
        assert!(reason.contains("1 of at most 1 GPUs are in use") && reason.contains("limit set"), "{reason}");
        stage.stays(60, "no replica is created", |s| s["replicas"].as_array().unwrap().len() == 1).await;
        stage.w.call("PUT", path, Some(json!({"gpus": 2}))).await;
        stage.until(10, "it grows", |s| is_ready_with(s, 2)).await;
        stage.end().await;
    }
}

#[tokio::test]
async fn a_type_beyond_a_limit_is_left_for_the_next_one() {
    let mut stage = Stage::new(Database::Sqlite).await;
    stage.w.call("PUT", "/limits", Some(json!({"gpus": 1}))).await;
    let mut two_types = request(1, 1);
    two_types["instance_types"] = json!(["L40S-2-48G", CHEAP]);
    stage.create(two_types).await;
    let shown = stage.until(10, "it answers", |s| is_ready_with(s, 1)).await;
    assert_eq!(shown["replicas"][0]["instance_type"], CHEAP, "{shown:#}");
    let avoided = shown["candidates"][0]["avoided_because"].as_str().unwrap();
    assert!(avoided.contains("of at most 1 GPUs are in use"), "{avoided}");
    stage.end().await;
}
