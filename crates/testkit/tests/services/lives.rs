//! Services that grow, shrink, sleep, wake, change and end.

use crate::stage::{CHEAP, Stage, is_ready_with, living, replica, request};
use inventiv_testkit::Database;
use serde_json::{Value, json};

fn has(status: &'static str, replicas: usize) -> impl Fn(&Value) -> bool {
    move |s| s["status"] == status && living(s).len() == replicas
}

#[tokio::test]
async fn a_service_grows_with_its_load_shrinks_sleeps_and_wakes() {
    for database in Database::both() {
        let mut stage = Stage::new(database).await;
        stage.create(request(1, 3)).await;
        let one = stage.until(10, "one replica answers", |s| is_ready_with(s, 1)).await;
        assert!(stage.fleet.answers(&replica(&one, 0)));
        assert_eq!(living(&one)[0]["instance_type"], CHEAP, "the preferred type");

        // Nine requests need three replicas of four; twelve more need no fourth.
        stage.ask(5, 4);
        let three = stage.until(10, "three replicas answer", |s| is_ready_with(s, 3)).await;
        assert_eq!(three["load"]["outstanding"], 5);
        stage.ask(12, 12);
        stage.stays(60, "no more than the maximum", |s| is_ready_with(s, 3)).await;

        // Fewer suffice. Nothing ends before a minute is over, nor while the need comes back meanwhile.
        stage.ask(3, 0);
        stage.stays(50, "too early to end any", |s| is_ready_with(s, 3)).await;
        stage.ask(9, 0);
        stage.stays(5, "all are needed again", |s| is_ready_with(s, 3)).await;
        stage.ask(3, 0);
        stage.stays(55, "the minute starts again", |s| is_ready_with(s, 3)).await;
        let left = stage.until(10, "one replica is left", |s| is_ready_with(s, 1)).await;
        assert_eq!(replica(&left, 0), replica(&one, 0), "the oldest stays");

        // Without a minimum, nobody keeps it after two minutes without a request.
        stage.change(json!({"min_replicas": 0})).await;
        stage.stays(120, "it is used", |s| is_ready_with(s, 1)).await;
        stage.ask(0, 0);
        stage.stays(110, "it is kept for a while", |s| is_ready_with(s, 1)).await;
        stage.until(1, "it sleeps", has("idle", 0)).await;
        stage.until(10, "nothing costs money", |s| s["hourly_micros"] == 0).await;
        assert_eq!(stage.w.left(), (0, 0, 0));
        stage.stays(300, "it stays asleep", has("idle", 0)).await;

        stage.ask(0, 1);
        stage.until(1, "a request wakes it", has("starting", 1)).await;
        let awake = stage.until(10, "it answers", |s| is_ready_with(s, 1)).await;
        assert_ne!(replica(&awake, 0), replica(&one, 0));
        assert_eq!(stage.seen.len(), 4, "{:?}", stage.seen);
        stage.end().await;
    }
}

#[tokio::test]
async fn a_new_service_is_ready_once_and_sleeps_if_nobody_asks() {
    let mut stage = Stage::new(Database::Sqlite).await;
    stage.create(request(0, 1)).await;
    stage.until(10, "it answers", |s| is_ready_with(s, 1)).await;
    stage.until(5, "it sleeps", has("idle", 0)).await;
    assert_eq!(stage.seen.len(), 1);
    // Warm for three minutes.
    let (status, warmed) = stage.w.call("POST", "/services/chat/warm", Some(json!({"seconds": 180}))).await;
    assert_eq!(status, 202, "{warmed}");
    stage.until(3, "it answers", |s| is_ready_with(s, 1)).await;
    stage.until(10, "it sleeps again", has("idle", 0)).await;
    assert_eq!(stage.seen.len(), 2);
    stage.end().await;
}

#[tokio::test]
async fn a_change_of_the_engine_replaces_every_replica_and_the_model_answers_all_the_time() {
    for database in Database::both() {
        let mut stage = Stage::new(database).await;
        stage.create(request(2, 2)).await;
        let before = stage.until(10, "two replicas answer", |s| is_ready_with(s, 2)).await;
        let command = json!({"kind": "command", "command": ["serve", "--fast", "{port}"]});
        let changed = stage.change(json!({"engine": command})).await;
        assert_eq!(changed["revision"], 2);
        stage.most = 3;
        let mut updated = false;
        for _ in 0..1_200 {
            stage.turn().await;
            let shown = stage.show().await;
            stage.check(&shown);
            assert!(shown["ready_replicas"].as_u64().unwrap() >= 2, "{shown:#}");
            updated |= shown["status"] == "updating";
            let all_current = living(&shown).iter().all(|r| r["is_current"] == true);
            if all_current && is_ready_with(&shown, 2) {
                break;
            }
        }
        let after = stage.show().await;
        assert!(updated && is_ready_with(&after, 2), "{after:#}");
        let ids = |s: &Value| [replica(s, 0), replica(s, 1)];
        assert!(ids(&after).iter().all(|id| !ids(&before).contains(id)));
        assert_eq!(stage.seen.len(), 4, "each one was replaced once");
        stage.most = 2;
        stage.stays(120, "and then nothing changes", |s| is_ready_with(s, 2)).await;
        stage.end().await;
    }
}

#[tokio::test]
async fn a_smaller_maximum_ends_replicas_and_a_larger_minimum_adds_some() {
    let mut stage = Stage::new(Database::Sqlite).await;
    stage.create(request(3, 3)).await;
    let three = stage.until(10, "three replicas answer", |s| is_ready_with(s, 3)).await;
    stage.change(json!({"min_replicas": 1, "max_replicas": 1})).await;
    let one = stage.until(10, "one is left", |s| is_ready_with(s, 1)).await;
    assert_eq!(replica(&one, 0), replica(&three, 0));
    stage.most = 2;
    stage.change(json!({"min_replicas": 2, "max_replicas": 2})).await;
    let two = stage.until(10, "two answer", |s| is_ready_with(s, 2)).await;
    assert_eq!((replica(&two, 0), &two["revision"]), (replica(&one, 0), &json!(1)));
    stage.end().await;
}

#[tokio::test]
async fn a_replica_that_a_user_ends_is_replaced_and_none_can_be_stopped() {
    let mut stage = Stage::new(Database::Sqlite).await;
    stage.create(request(1, 1)).await;
    let first = replica(&stage.until(10, "it answers", |s| is_ready_with(s, 1)).await, 0);
    stage.w.terminate(&first).await;
    let second = replica(&stage.until(10, "it is replaced", |s| is_ready_with(s, 1)).await, 0);
    assert_ne!(second, first);
    // A stop would not help: the service would create another one.
    let (status, refused) = stage.w.call("POST", &format!("/instances/{second}/stop"), None).await;
    assert_eq!((status, &refused["type"]), (409, &json!("urn:inventiv:of_service")), "{refused}");
    stage.end().await;
}

#[tokio::test]
async fn a_service_that_is_deleted_while_it_starts_leaves_nothing() {
    for database in Database::both() {
        for turns in [0, 1, 2, 5, 10, 25] {
            let mut stage = Stage::new(database).await;
            stage.create(request(2, 3)).await;
            for _ in 0..turns {
                stage.turn().await;
            }
            stage.end().await;
            // Its name is free, and nothing of the first one belongs to the second.
            let again = stage.create(request(1, 1)).await;
            assert_eq!(again["replicas"], json!([]));
            stage.end().await;
        }
    }
}

#[tokio::test]
async fn each_line_of_a_replicas_log_says_for_which_service_it_is() {
    let mut stage = Stage::new(Database::Sqlite).await;
    stage.create(request(1, 1)).await;
    let id = replica(&stage.until(10, "it answers", |s| is_ready_with(s, 1)).await, 0);
    let shown = stage.w.show(&id).await;
    assert!(shown["name"].as_str().unwrap().starts_with("chat-"), "{shown:#}");
    stage.end().await;
    let (_, page) = stage.w.call("GET", &format!("/action_logs?limit=500&instance_id={id}"), None).await;
    let says = |action: &str| {
        let lines: Vec<&str> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|l| l["action"] == action)
            .filter_map(|l| l["details"].as_str())
            .collect();
        lines.join("; ")
    };
    assert_eq!(says("REQUEST_CREATE"), "for service chat");
    assert_eq!(says("REQUEST_TERMINATE"), "by service chat: the service ends");
}
