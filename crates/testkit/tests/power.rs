//! Tests of stop, start and reboot: the volumes stay, and what is requested happens once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

fn request() -> Value {
    json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "model_id": "Qwen/Qwen2.5-7B-Instruct", "name": "qwen",
        "engine": {"kind": "none"}})
}

/// How often a call is in the action log of an instance.
async fn count(w: &World, id: &str, call: &str) -> usize {
    w.actions(id).await.iter().filter(|action| *action == call).count()
}

#[tokio::test]
async fn an_instance_is_stopped_and_started_with_the_same_volumes_and_ends_clean() {
    for db in Database::both() {
        let w = World::new(db).await;
        let id = w.create(request()).await;
        let (status, refused) = w.call("POST", &format!("/instances/{id}/stop"), None).await;
        assert_eq!((status, &refused["type"]), (409, &json!("urn:inventiv:not_ready")), "{refused}");
        let ready = w.until_status(&id, "ready").await;

        let (status, shown) = w.call("POST", "/instances/qwen/stop", None).await;
        assert_eq!(
            (status, &shown["next"]),
            (
                202,
                &json!([format!("stop server {}", ready["provider_instance_id"].as_str().unwrap()), "report stopped"])
            )
        );
        let stopped = w.until_status(&id, "stopped").await;
        assert_eq!((&stopped["notes"], &stopped["next"]), (&json!([]), &json!([])));
        assert_eq!(stopped["storage_sizes_gb"], ready["storage_sizes_gb"]);
        assert_eq!((&stopped["ip_address"], &stopped["addresses"]), (&json!(null), &json!([])), "it is released");
        let (status, again) = w.call("POST", &format!("/instances/{id}/stop"), None).await;
        assert_eq!((status, &again["status"]), (202, &json!("stopped")), "stopping twice changes nothing");
        let (status, refused) = w.call("POST", &format!("/instances/{id}/reboot"), None).await;
        assert_eq!((status, &refused["type"]), (409, &json!("urn:inventiv:not_ready")), "{refused}");
        for _ in 0..5 {
            w.resync().await;
        }
        assert_eq!(w.show(&id).await["status"], "stopped", "it stays stopped");

        assert_eq!(w.call("POST", &format!("/instances/{id}/start"), None).await.0, 202);
        let started = w.until_status(&id, "ready").await;
        assert_eq!(started["storages"].as_array().unwrap().len(), ready["storages"].as_array().unwrap().len());
        assert_eq!(started["ready_at"], ready["ready_at"], "when it was ready first");
        assert!(started["ip_address"].is_string(), "{started:#}");
        assert_eq!((count(&w, &id, "PROVIDER_STOP").await, count(&w, &id, "PROVIDER_START").await), (1, 2));

        assert_eq!(w.call("POST", &format!("/instances/{id}/reboot"), None).await.0, 202);
        w.until(5, "the reboot", async |w| w.actions(&id).await.contains(&"PROVIDER_REBOOT".to_owned())).await;
        for _ in 0..120 {
            w.tick().await;
        }
        assert_eq!(count(&w, &id, "PROVIDER_REBOOT").await, 1, "once");
        assert_eq!(w.show(&id).await["status"], "ready");

        w.terminate(&id).await;
        w.until_status(&id, "terminated").await;
        assert_eq!(w.left(), (0, 0, 0));
        for path in ["stop", "start", "reboot"] {
            let (status, refused) = w.call("POST", &format!("/instances/{id}/{path}"), None).await;
            assert_eq!((status, &refused["type"]), (409, &json!("urn:inventiv:too_late")), "{refused}");
        }
    }
}

#[tokio::test]
async fn a_stopped_instance_is_terminated_and_leaves_nothing() {
    for db in Database::both() {
        let w = World::new(db).await;
        let id = w.create(request()).await;
        w.until_status(&id, "ready").await;
        w.call("POST", &format!("/instances/{id}/stop"), None).await;
        w.until_status(&id, "stopped").await;
        w.terminate(&id).await;
        w.until_status(&id, "terminated").await;
        assert_eq!(w.left(), (0, 0, 0));
    }
}

#[tokio::test]
async fn a_start_that_follows_a_stop_at_once_ends_with_a_ready_instance() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request()).await;
    w.until_status(&id, "ready").await;
    w.call("POST", &format!("/instances/{id}/stop"), None).await;
    for _ in 0..3 {
        w.tick().await;
    }
    w.call("POST", &format!("/instances/{id}/start"), None).await;
    w.until(10, "it runs again", async |w| {
        let shown = w.show(&id).await;
        shown["status"] == "ready" && shown["notes"] == json!([]) && count(w, &id, "PROVIDER_START").await == 2
    })
    .await;
}

#[tokio::test]
async fn a_stopped_server_that_a_third_party_starts_is_reported() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request()).await;
    let shown = w.until_status(&id, "ready").await;
    w.call("POST", &format!("/instances/{id}/stop"), None).await;
    w.until_status(&id, "stopped").await;
    let server = shown["provider_instance_id"].as_str().unwrap();
    let path = format!("/instance/v1/zones/fr-par-2/servers/{server}/action");
    w.third_party("POST", &path, Some(json!({"action": "poweron"})));
    w.advance_ms(120_000);
    w.resync().await;
    let shown = w.show(&id).await;
    assert_eq!(
        (&shown["status"], &shown["notes"][0]["code"]),
        (&json!("stopped"), &json!("action_needed")),
        "{shown:#}"
    );
    assert_eq!(w.call("POST", &format!("/instances/{id}/start"), None).await.0, 202);
    w.until_status(&id, "ready").await;
}
