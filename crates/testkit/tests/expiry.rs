//! Instances and services that end by themselves: told before, extended, and ended once, whatever happens in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

fn request(ttl: Option<i64>) -> Value {
    let mut request = json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "model_id": "Qwen/Qwen2.5-7B-Instruct",
        "name": "qwen", "engine": {"kind": "none"}});
    if let Some(ttl) = ttl {
        request["ttl_seconds"] = json!(ttl);
    }
    request
}

/// A second of everything that a process does.
async fn turn(w: &World) {
    w.orchestrator.end_expired().await.unwrap();
    w.tick().await;
}

async fn turns(w: &World, seconds: u32) {
    for _ in 0..seconds {
        turn(w).await;
    }
}

async fn count(w: &World, id: &str, action: &str) -> usize {
    w.actions(id).await.iter().filter(|a| *a == action).count()
}

async fn extend(w: &World, id: &str, ttl: Value) -> (u16, Value) {
    w.call("POST", &format!("/instances/{id}/extend"), Some(json!({"ttl_seconds": ttl}))).await
}

#[tokio::test]
async fn an_instance_is_told_extended_told_again_and_ended_once() {
    for database in Database::both() {
        let w = World::new(database).await;
        let id = w.create(request(Some(1_200))).await;
        let shown = w.show(&id).await;
        assert!(shown["expires_at"].as_str() > shown["created_at"].as_str(), "{shown:#}");
        turns(&w, 590).await;
        assert_eq!(count(&w, &id, "INSTANCE_EXPIRES_SOON").await, 0);
        turns(&w, 20).await;
        assert_eq!(count(&w, &id, "INSTANCE_EXPIRES_SOON").await, 1);
        let (status, extended) = extend(&w, "qwen", json!(1_200)).await;
        assert_eq!(status, 200, "{extended}");
        assert!(extended["expires_at"].as_str() > shown["expires_at"].as_str());
        turns(&w, 660).await;
        let told = count(&w, &id, "INSTANCE_EXPIRES_SOON").await;
        assert_eq!((w.show(&id).await["status"].as_str(), told), (Some("ready"), 2));
        turns(&w, 545).await;
        assert_eq!(count(&w, &id, "REQUEST_TERMINATE").await, 1, "{:#}", w.show(&id).await);
        let (status, late) = extend(&w, &id, json!(600)).await;
        assert_eq!((status, &late["type"]), (409, &json!("urn:inventiv:too_late")));
        w.until_status(&id, "terminated").await;
        turns(&w, 60).await;
        assert_eq!((w.left(), count(&w, &id, "REQUEST_TERMINATE").await), ((0, 0, 0), 1));
    }
}

#[tokio::test]
async fn one_without_an_end_and_one_whose_end_was_taken_back_stay() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request(Some(600))).await;
    let (status, kept) = extend(&w, &id, Value::Null).await;
    assert_eq!((status, &kept["expires_at"]), (200, &Value::Null));
    turns(&w, 1_500).await;
    assert_eq!(w.show(&id).await["status"], "ready");
    assert_eq!(count(&w, &id, "INSTANCE_EXPIRES_SOON").await, 0);
}

#[tokio::test]
async fn an_end_keeps_what_is_retained_and_ends_what_is_stopped_or_still_starts() {
    let w = World::new(Database::Sqlite).await;
    let mut retaining = request(Some(300));
    retaining["delete_on_terminate"] = json!(false);
    let id = w.create(retaining).await;
    w.until_status(&id, "ready").await;
    w.call("POST", &format!("/instances/{id}/stop"), None).await;
    w.until_status(&id, "stopped").await;
    turns(&w, 300).await;
    w.until_status(&id, "terminated").await;
    assert_eq!(w.left(), (0, 1, 0), "the retained volume");
    let mut starting = request(Some(60));
    starting["name"] = json!("other");
    let id = w.create(starting).await;
    // The process was not there when the time was over.
    w.advance_ms(3_600_000);
    turns(&w, 2).await;
    w.until_status(&id, "terminated").await;
    assert_eq!(w.left(), (0, 1, 0));
}

#[tokio::test]
async fn a_process_that_dies_at_any_time_forgets_no_end_and_ends_nothing_else() {
    for kill_after in 0..40 {
        let mut w = World::new(Database::Sqlite).await;
        let id = w.create(request(Some(60))).await;
        let mut kept = request(None);
        kept["name"] = json!("kept");
        let kept = w.create(kept).await;
        turns(&w, 40 + kill_after).await;
        w = w.restarted().await;
        for _ in 0..600 {
            turn(&w).await;
            if w.show(&id).await["status"] == "terminated" {
                break;
            }
        }
        assert_eq!(w.show(&id).await["status"], "terminated", "killed after {kill_after}");
        assert_eq!(count(&w, &id, "REQUEST_TERMINATE").await, 1);
        w.until_status(&kept, "ready").await;
    }
}

#[tokio::test]
async fn instances_that_failed_long_ago_hide_no_end() {
    let w = World::new(Database::Sqlite).await;
    w.create(request(Some(60))).await;
    turns(&w, 30).await;
    // It failed by itself: nobody requested its end.
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&w.database_url).await.unwrap();
    let failed = "UPDATE instances SET status = 'provisioning_failed', desired = 'present'";
    sqlx::query(failed).execute(&pool).await.unwrap();
    let account = format!("scaleway:{}", inventiv_testkit::PROJECT);
    let now = inventiv_orchestrator::Clock::now(&*w.clock);
    assert_eq!(w.store.expiring(&account, now.plus_ms(3_600_000), 10).await.unwrap(), []);
}

#[tokio::test]
async fn an_extension_that_races_with_the_end_wins_or_is_refused() {
    for database in Database::both() {
        let w = World::new(database).await;
        let id = w.create(request(Some(60))).await;
        w.advance_ms(60_000);
        let (ended, (status, _)) = tokio::join!(w.orchestrator.end_expired(), extend(&w, &id, json!(3_600)));
        let is_absent = count(&w, &id, "REQUEST_TERMINATE").await == 1;
        assert_eq!((ended.unwrap() == 1, status), (is_absent, if is_absent { 409 } else { 200 }));
    }
}

#[tokio::test]
async fn wrong_times_are_refused_with_what_to_do() {
    let w = World::new(Database::Sqlite).await;
    for ttl in [59, 0, -1, 31_536_001, i64::MAX] {
        let (status, problem) = w.call("POST", "/instances", Some(request(Some(ttl)))).await;
        assert!(status == 422 && problem.to_string().contains("from 60 to 31536000"), "{ttl}: {problem}");
    }
    let id = w.create(request(None)).await;
    for body in [json!({}), json!({"ttl_seconds": "1h"}), json!({"ttl_seconds": 5}), json!({"until": "18:00"})] {
        let (status, problem) = w.call("POST", &format!("/instances/{id}/extend"), Some(body.clone())).await;
        assert!(status == 422 && problem["errors"].is_array(), "{body}: {status} {problem}");
    }
    assert_eq!(w.show(&id).await["expires_at"], Value::Null, "nothing was changed");
}
