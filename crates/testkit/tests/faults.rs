//! Tests of failing calls to the cloud: nothing is duplicated or lost, and users see the reason for a wait.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::{Database, Fault, Setup, World};
use scaleway_emulator::options::{Options, StockRefusal};
use serde_json::{Value, json};

/// The storage of every type is tried, whether the model fits its GPUs or not.
fn request(kind: &str) -> Value {
    json!({"zone": "fr-par-2", "instance_type": kind, "model_id": "Qwen/Qwen2.5-7B-Instruct", "force": true,
        "engine": {"kind": "none"}})
}

fn error(status: u16, body: Value) -> Fault {
    Fault::Answer { status, content_type: "application/json", body: body.to_string() }
}

fn internal() -> Value {
    json!({"message": "Internal error", "type": "internal_server_error"})
}

/// The faults for one change, with and without effect.
fn faults() -> Vec<Fault> {
    vec![
        Fault::LoseRequest,
        Fault::LoseAnswer,
        error(500, internal()),
        Fault::AnswerAfter { status: 500, body: internal().to_string() },
        Fault::AnswerAfter { status: 200, body: "{\"server\":{".to_owned() },
        Fault::Answer { status: 429, content_type: "", body: String::new() },
        error(409, json!({"message": "resource is in a transient state", "type": "transient_state"})),
        error(401, json!({"message": "authentication is denied", "type": "denied_authentication"})),
        error(403, json!({"message": "insufficient permissions", "type": "permissions_denied"})),
    ]
}

#[tokio::test]
async fn with_any_fault_in_any_one_change_nothing_is_left_at_the_end() {
    let changes = [
        ("POST", "/servers"),
        ("POST", "/block/"),
        ("POST", "/action"),
        ("POST", "/attach-volume"),
        ("PATCH", "/user_data/"),
        ("PATCH", "/volumes/"),
        ("DELETE", "/volumes/"),
    ];
    for (method, part) in changes {
        for fault in faults() {
            let w = World::new(Database::Sqlite).await;
            w.wire.fail(method, part, 1, fault.clone());
            let id = w.create(request("L40S-1-48G")).await;
            let shown = w.until_status(&id, "ready").await;
            assert_eq!(shown["storage_sizes_gb"], json!([20, 1600, 200]), "{method} {part} {fault:?}");
            assert_eq!(w.left().0, 1, "one server, never two: {method} {part} {fault:?}");
            assert_eq!(w.left().1, 3, "three volumes, never four: {method} {part} {fault:?}");
            w.terminate(&id).await;
            w.until_status(&id, "terminated").await;
            assert_eq!(w.left(), (0, 0, 0), "{method} {part} {fault:?}");
            assert_eq!(w.wire.fired(), 1, "the fault never fired: {method} {part} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_creation_is_found_by_name_and_adopted_with_its_volumes() {
    for db in Database::both() {
        let w = World::new(db).await;
        w.wire.fail("POST", "/servers", 1, Fault::LoseAnswer);
        let id = w.create(request("L40S-1-48G")).await;
        let shown = w.until_status(&id, "ready").await;
        assert_eq!(shown["storage_sizes_gb"], json!([20, 1600, 200]), "{shown:#}");
        assert!(w.actions(&id).await.contains(&"SERVER_ADOPTED".to_owned()));
        let journal = w.emulator.journal();
        let asked = journal["entries"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|e| e["method"] == "POST" && e["path"] == "/instance/v1/zones/fr-par-2/servers");
        assert_eq!(asked.count(), 1, "it is requested only once");
    }
}

#[tokio::test]
async fn a_creation_that_never_arrived_is_abandoned_after_the_grace_period_and_retried() {
    let w = World::new(Database::Sqlite).await;
    w.wire.fail("POST", "/servers", 1, Fault::LoseRequest);
    let id = w.create(request("RENDER-S")).await;
    for _ in 0..120 {
        w.tick().await;
    }
    let shown = w.show(&id).await;
    assert_eq!(shown["status"], "provisioning");
    let note = shown["notes"][0]["text"].as_str().unwrap_or_default();
    assert!(note.contains("waits to learn whether the creation of the server"), "{shown:#}");
    assert!(shown["notes"][0]["until"].is_string());
    let steps = ["abandon an unconfirmed creation, unless a listing shows it", "create the RENDER-S server"];
    assert_eq!(shown["next"].as_array().map(|next| &next[..2]), Some(&steps.map(serde_json::Value::from)[..]));
    assert_eq!(w.left().0, 0, "no retry before the grace period is over");
    w.until_status(&id, "ready").await;
    assert_eq!(w.show(&id).await["next"], serde_json::json!([]));
    assert!(w.actions(&id).await.contains(&"ATTEMPT_ABANDONED".to_owned()));
    assert_eq!(w.left(), (1, 2, 1));
}

#[tokio::test]
async fn a_late_arrival_of_a_burned_attempt_is_removed_even_after_the_end() {
    let w = World::new(Database::Sqlite).await;
    w.wire.fail("POST", "/servers", 1, Fault::LoseRequest);
    let id = w.create(request("L40S-1-48G")).await;
    w.until_status(&id, "ready").await;
    let log = w.call("GET", &format!("/action_logs?limit=500&instance_id={id}"), None).await.1;
    let abandoned = log["items"].as_array().unwrap().iter().find(|l| l["action"] == "ATTEMPT_ABANDONED").unwrap();
    let name = abandoned["details"].as_str().unwrap().split(' ').nth(1).unwrap().to_owned();
    w.terminate(&id).await;
    w.until_status(&id, "terminated").await;
    assert_eq!(w.left(), (0, 0, 0));
    // The cloud carries out the request of an hour ago.
    let list = "/marketplace/v2/local-images?image_label=ubuntu_jammy_gpu_os_12&zone=fr-par-2&type=instance_sbs";
    let image = w.third_party("GET", list, None)["local_images"][0]["id"].clone();
    let late = json!({"name": name, "commercial_type": "L40S-1-48G", "image": image, "tags": []});
    w.third_party("POST", "/instance/v1/zones/fr-par-2/servers", Some(late));
    assert_eq!(w.left().0, 1);
    // The zone has no live instance any more; only the abandoned attempt keeps it listed.
    for _ in 0..120 {
        w.resync().await;
    }
    let state = w.emulator.state();
    let names: Vec<&str> = state["servers"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert!(!names.contains(&name.as_str()), "{names:?}");
    assert_eq!(w.left(), (0, 0, 0));
}

#[tokio::test]
async fn out_of_stock_at_creation_fails_at_once_with_advice_and_nothing_left() {
    for refusal in [StockRefusal::Create, StockRefusal::PowerOn, StockRefusal::FallBack] {
        let options = Options {
            out_of_stock: vec![("fr-par-2".to_owned(), "L40S-1-48G".to_owned())],
            stock_is_shown: false,
            stock_refusal: refusal,
            ..Options::default()
        };
        let w = World::with(Database::Sqlite, Setup { emulator: options, ..Setup::default() }).await;
        let id = w.create(request("L40S-1-48G")).await;
        let shown = w.until_status(&id, "provisioning_failed").await;
        // A server that falls back to stopped gives no reason; the advice is the same.
        let code = if refusal == StockRefusal::FallBack { "boot_failed" } else { "out_of_stock" };
        assert_eq!(shown["error_code"], code, "{refusal:?} {shown:#}");
        assert!(shown["error"].as_str().unwrap().contains("out of stock"), "{shown:#}");
        assert_eq!(w.left(), (0, 0, 0), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_quota_fails_with_advice_and_nothing_left() {
    let options = Options { server_quota: Some(0), ..Options::default() };
    let w = World::with(Database::Sqlite, Setup { emulator: options, ..Setup::default() }).await;
    let id = w.create(request("L40S-1-48G")).await;
    let shown = w.until_status(&id, "provisioning_failed").await;
    assert_eq!(shown["error_code"], "quota", "{shown:#}");
    assert!(shown["error"].as_str().unwrap().contains("quota"), "{shown:#}");
    assert_eq!(w.left(), (0, 0, 0));
}

#[tokio::test]
async fn an_unknown_image_fails_with_advice_and_nothing_left() {
    let w = World::new(Database::Sqlite).await;
    let mut request = request("L40S-1-48G");
    request["image"] = json!("no_such_image");
    let id = w.create(request).await;
    let shown = w.until_status(&id, "provisioning_failed").await;
    assert!(shown["error"].as_str().unwrap().contains("no image `no_such_image`"), "{shown:#}");
    assert_eq!(w.left(), (0, 0, 0));
}

#[tokio::test]
async fn expired_credentials_block_and_prove_nothing_gone() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request("L40S-1-48G")).await;
    w.until_status(&id, "ready").await;
    w.settle().await;
    w.emulator.configure(|o| o.secret_key = Some("another".to_owned()));
    w.terminate(&id).await;
    for _ in 0..120 {
        w.resync().await;
    }
    let shown = w.show(&id).await;
    assert_eq!(shown["status"], "terminating");
    assert!(shown["notes"][0]["text"].as_str().unwrap().starts_with("blocked: credentials"), "{shown:#}");
    assert!(shown["storages"].as_array().unwrap().iter().all(|v| v["proof"].is_null()), "{shown:#}");
    w.emulator.configure(|o| o.secret_key = None);
    w.until_status(&id, "terminated").await;
    assert_eq!(w.left(), (0, 0, 0));
}

#[tokio::test]
async fn a_key_that_no_longer_sees_the_project_proves_nothing_gone() {
    let w = World::new(Database::Sqlite).await;
    let (living, ending) = (w.create(request("L40S-1-48G")).await, w.create(request("L4-1-24G")).await);
    for id in [&living, &ending] {
        w.until_status(id, "ready").await;
    }
    w.settle().await;
    // Lists are empty and reads give a 404, in well-formed answers.
    w.emulator.add_fault(&json!({"path": "*", "effect": {"blind": true}})).unwrap();
    w.terminate(&ending).await;
    for _ in 0..120 {
        w.resync().await;
    }
    w.call("POST", "/audit", None).await;
    w.orchestrator.audit_due().await.unwrap();
    let (_, audit) = w.call("GET", "/audit", None).await;
    assert_eq!(audit["verdict"], "inconclusive", "{audit:#}");
    for (id, status) in [(&living, "ready"), (&ending, "terminating")] {
        let shown = w.show(id).await;
        assert_eq!(shown["status"], status, "{shown:#}");
        assert!(shown["notes"].to_string().contains("blocked: credentials"), "{shown:#}");
        assert!(shown["storages"].as_array().unwrap().iter().all(|v| v["proof"].is_null()), "{shown:#}");
    }
    w.third_party("DELETE", "/_emulator/faults", None);
    w.until_status(&ending, "terminated").await;
    w.terminate(&living).await;
    w.until_status(&living, "terminated").await;
    assert_eq!(w.left(), (0, 0, 0));
    w.call("POST", "/audit", None).await;
    w.orchestrator.audit_due().await.unwrap();
    let (_, audit) = w.call("GET", "/audit", None).await;
    assert_eq!((&audit["verdict"], &audit["orphans"]), (&json!("clean"), &json!(0)), "{audit:#}");
}

#[tokio::test]
async fn one_not_found_proves_nothing_while_the_listing_shows_the_resource() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request("L40S-1-48G")).await;
    let shown = w.until_status(&id, "ready").await;
    let server = shown["provider_instance_id"].as_str().unwrap();
    let spurious = json!({"type": "not_found", "message": "resource is not found", "resource": "instance_server", "resource_id": server});
    w.wire.fail("GET", &format!("/servers/{server}"), 3, error(404, spurious));
    w.terminate(&id).await;
    w.until_status(&id, "terminated").await;
    assert!(w.wire.fired() > 0);
    assert_eq!(w.left(), (0, 0, 0), "a server wrongly considered gone would be left");
}

#[tokio::test]
async fn after_a_crash_at_any_step_the_next_process_completes_the_life_cycle() {
    for db in Database::both() {
        for ticks in 0..30 {
            let w = World::new(db).await;
            let id = w.create(request("L40S-1-48G")).await;
            for _ in 0..ticks {
                w.tick().await;
            }
            let w = w.restarted().await;
            w.until_status(&id, "ready").await;
            assert_eq!((w.left().0, w.left().1), (1, 3), "after {ticks} ticks");
            w.terminate(&id).await;
            for _ in 0..ticks {
                w.tick().await;
            }
            let w = w.restarted().await;
            w.until_status(&id, "terminated").await;
            assert_eq!(w.left(), (0, 0, 0), "after {ticks} ticks");
        }
    }
}

#[tokio::test]
async fn a_crash_during_a_creation_does_not_duplicate_it() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request("L40S-1-48G")).await;
    // The request takes effect, and the process dies before the answer arrives: the row stays `intended`.
    w.wire.fail("POST", "/servers", 1, Fault::Hang);
    let tick = w.orchestrator.tick(false);
    assert!(tokio::time::timeout(std::time::Duration::from_secs(2), tick).await.is_err(), "it hangs");
    assert_eq!(w.left().0, 1);
    let w = w.restarted().await;
    w.until_status(&id, "ready").await;
    assert_eq!((w.left().0, w.left().1), (1, 3));
    w.terminate(&id).await;
    w.until_status(&id, "terminated").await;
    assert_eq!(w.left(), (0, 0, 0));
}

#[tokio::test]
async fn a_failing_listing_proves_nothing() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request("L40S-1-48G")).await;
    w.until_status(&id, "ready").await;
    w.wire.fail("GET", "/zones/", usize::MAX, error(500, internal()));
    w.terminate(&id).await;
    w.tick().await;
    let shown = w.show(&id).await;
    assert!(shown["notes"][0]["text"].as_str().unwrap().contains("cannot be observed"), "{shown:#}");
    w.wire.heal();
    w.until_status(&id, "terminated").await;
    assert_eq!(w.left(), (0, 0, 0));
}
