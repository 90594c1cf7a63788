//! Tests of retained volumes that are given to another instance.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use inventiv_testkit::{Database, TOKEN, World};
use serde_json::{Value, json};
use tower::ServiceExt;

const MODEL: &str = "Qwen/Qwen2.5-7B-Instruct";

fn request(volume: Option<&str>) -> Value {
    json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "model_id": MODEL, "volume_id": volume,
        "engine": {"kind": "none"}})
}

/// The data volume that an instance shows.
fn data(shown: &Value) -> Value {
    let volumes = shown["storages"].as_array().unwrap();
    volumes.iter().find(|v| v["origin"] == "ours").unwrap_or_else(|| panic!("{shown:#}")).clone()
}

fn id(of: &Value) -> String {
    of["id"].as_str().unwrap().to_owned()
}

/// An instance that has ended, and the volume that was retained from it.
async fn retained(w: &World) -> (String, Value) {
    let first = w.create(request(None)).await;
    w.until_status(&first, "ready").await;
    let volume = data(&w.show(&first).await);
    let path = format!("/volumes/{}", id(&volume));
    assert_eq!(w.call("PATCH", &path, Some(json!({"delete_on_terminate": false}))).await.0, 200);
    w.terminate(&first).await;
    let volume = data(&w.until_status(&first, "terminated").await);
    assert_eq!(volume["status"], "retained");
    (first, volume)
}

/// What a replica's API answers to a request for an instance.
async fn create(api: Router, request: Value, key: Option<&str>) -> (u16, Value) {
    let mut post = Request::post("/instances").header("authorization", format!("Bearer {TOKEN}"));
    post = post.header("content-type", "application/json");
    if let Some(key) = key {
        post = post.header("idempotency-key", key);
    }
    let answer = api.oneshot(post.body(Body::from(request.to_string())).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()).unwrap())
}

/// The volume as the cloud shows it.
fn in_cloud(w: &World, volume: &Value) -> Value {
    let path = format!("/block/v1/zones/fr-par-2/volumes/{}", volume["provider_volume_id"].as_str().unwrap());
    w.third_party("GET", &path, None)
}

#[tokio::test]
async fn a_retained_volume_lives_on_in_another_instance_and_is_retained_again() {
    for db in Database::both() {
        let w = World::new(db).await;
        let (first, volume) = retained(&w).await;
        let second = w.create(request(Some(&id(&volume)))).await;
        let created = w.show(&second).await;
        assert_eq!(created["storage_sizes_gb"], json!([200]), "counted from the beginning: {created:#}");
        let shown = w.until_status(&second, "ready").await;
        let reused = data(&shown);
        assert_eq!(reused["provider_volume_id"], volume["provider_volume_id"]);
        assert_eq!((&reused["status"], &reused["reused_from"]), (&json!("attached"), &json!(first)));
        assert_eq!((&reused["delete_on_terminate"], &reused["size_gb"]), (&json!(false), &json!(200)));
        assert!(shown["data_volume_reason"].as_str().unwrap().contains(&first), "{shown:#}");
        let name = in_cloud(&w, &volume)["name"].as_str().unwrap().to_owned();
        assert!(name.contains(second.trim_start_matches("ins-")), "{name}");
        assert_eq!(w.requests("POST", "/block/v1/zones/fr-par-2/volumes"), 1, "no second data volume was created");
        // The records of the first instance say where it went.
        let old = data(&w.show(&first).await);
        assert_eq!((&old["status"], &old["reused_by"]), (&json!("reused"), &json!(second)));
        let proof = w.call("GET", &format!("/instances/{first}/proof"), None).await.1;
        let resources = proof["resources"].as_array().unwrap();
        let given = resources.iter().find(|r| r["id"] == volume["id"]).unwrap();
        assert_eq!((&given["cleanup_state"], &given["given_to"]), (&json!("given"), &json!(second)), "{given:#}");
        assert_eq!((&proof["clean"], &proof["kept_hourly_micros"]), (&json!(true), &json!(0)), "{proof:#}");
        let calls = given["calls"].as_array().unwrap();
        assert!(calls.iter().any(|c| c["action"] == "REQUEST_REUSE_VOLUME"), "{calls:#?}");
        // Its policy is changed in the instance that has it.
        let path = |v: &Value| format!("/volumes/{}", id(v));
        let (status, refused) = w.call("PATCH", &path(&old), Some(json!({"delete_on_terminate": true}))).await;
        assert_eq!(status, 409, "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains(&second), "{refused}");
        let keep = Some(json!({"delete_on_terminate": false}));
        assert_eq!(w.call("PATCH", &path(&old), keep).await.0, 409, "not even what it says already");
        // It is retained again, and a third instance gets it. Then it is released.
        w.terminate(&second).await;
        let kept = data(&w.until_status(&second, "terminated").await);
        assert_eq!(kept["status"], "retained");
        assert_eq!(w.left(), (0, 1, 0));
        let third = w.create(request(Some(&id(&kept)))).await;
        let shown = w.until_status(&third, "ready").await;
        assert_eq!(data(&shown)["reused_from"], json!(second));
        assert_eq!(w.call("PATCH", &path(&data(&shown)), Some(json!({"delete_on_terminate": true}))).await.0, 200);
        w.terminate(&third).await;
        let gone = data(&w.until_status(&third, "terminated").await);
        assert!(gone["proof"]["answer"].as_str().unwrap().contains("404"), "{gone:#}");
        assert_eq!(w.left(), (0, 0, 0));
        w.advance_ms(600_000);
        w.settle().await;
        let audit = w.call("GET", "/audit", None).await.1;
        assert_eq!((&audit["orphans"], &audit["missing"]), (&json!(0), &json!(0)), "{audit:#}");
    }
}

#[tokio::test]
async fn what_cannot_be_reused_is_refused_and_changes_nothing() {
    let w = World::new(Database::Sqlite).await;
    let (_, volume) = retained(&w).await;
    let living = w.create(request(None)).await;
    w.until_status(&living, "ready").await;
    let used = id(&data(&w.show(&living).await));
    let with = |more: Value| {
        let mut request = request(Some(&id(&volume)));
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    for (request, status, says) in [
        (with(json!({"volume_id": "vol-nosuch"})), 422, "no such volume"),
        (with(json!({"volume_id": ""})), 422, "no such volume"),
        (with(json!({"volume_id": volume["provider_volume_id"]})), 422, "no such volume"),
        (with(json!({"zone": "pl-waw-2"})), 422, "the volume is in fr-par-2"),
        (with(json!({"data_volume_gb": 300})), 422, "keeps its size"),
        (with(json!({"perf_iops": 15_000})), 422, "keeps its speed"),
        (with(json!({"delete_on_terminate": true})), 422, "retained again"),
        (with(json!({"volume_id": used})), 409, "only a retained volume"),
    ] {
        let (got, problem) = w.call("POST", "/instances", Some(request.clone())).await;
        assert_eq!(got, status, "{request}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    assert_eq!(w.call("GET", &format!("/volumes/{}", id(&volume)), None).await.1, {
        let mut owned = volume.clone();
        owned["instance_id"] = w.call("GET", &format!("/volumes/{}", id(&volume)), None).await.1["instance_id"].clone();
        owned["zone"] = json!("fr-par-2");
        owned["currency"] = json!("EUR");
        owned
    });
    // One that is being released is not given away, either.
    let path = format!("/volumes/{}", id(&volume));
    assert_eq!(w.call("PATCH", &path, Some(json!({"delete_on_terminate": true}))).await.0, 200);
    assert_eq!(w.call("POST", "/instances", Some(request(Some(&id(&volume))))).await.0, 409);
}

#[tokio::test]
async fn two_instances_never_get_the_same_volume() {
    for db in Database::both() {
        let w = World::new(db).await;
        let (_, volume) = retained(&w).await;
        let volume = id(&volume);
        let other = w.another_api().await.router();
        let all = (0..8).map(|n| {
            let api = if n % 2 == 0 { w.api.clone() } else { other.clone() };
            create(api, request(Some(&volume)), None)
        });
        let answers: Vec<(u16, Value)> = futures::future::join_all(all).await;
        let made: Vec<&Value> = answers.iter().filter(|(status, _)| *status == 202).map(|(_, made)| made).collect();
        assert_eq!(made.len(), 1, "{answers:#?}");
        let refused = answers.iter().filter(|(status, _)| *status == 409);
        for (_, problem) in refused.clone() {
            assert!(problem["detail"].as_str().unwrap().contains(made[0]["id"].as_str().unwrap()), "{problem}");
        }
        assert_eq!(refused.count(), 7, "{answers:#?}");
        w.until_status(made[0]["id"].as_str().unwrap(), "ready").await;
        assert_eq!(w.call("GET", "/instances", None).await.1["items"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_key_that_was_used_gives_the_volume_once_and_a_taken_name_gives_it_to_nobody() {
    let w = World::new(Database::Sqlite).await;
    let (_, volume) = retained(&w).await;
    let living = w.create(json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "name": "taken"})).await;
    let mut named = request(Some(&id(&volume)));
    named["name"] = json!("taken");
    let (status, problem) = w.call("POST", "/instances", Some(named)).await;
    assert_eq!((status, problem["detail"].as_str().unwrap().contains(&living)), (409, true), "{problem}");
    assert_eq!(w.call("GET", &format!("/volumes/{}", id(&volume)), None).await.1["status"], "retained");
    let first = create(w.api.clone(), request(Some(&id(&volume))), Some("key")).await;
    let again = create(w.api.clone(), request(Some(&id(&volume))), Some("key")).await;
    assert_eq!((first.0, again.0, &first.1["id"]), (202, 202, &again.1["id"]), "{again:?}");
}

#[tokio::test]
async fn a_repeated_request_gets_the_instance_although_the_volume_is_given() {
    for db in Database::both() {
        let w = World::new(db).await;
        let (_, volume) = retained(&w).await;
        let other = w.another_api().await.router();
        let all = (0..6).map(|n| {
            let api = if n % 2 == 0 { w.api.clone() } else { other.clone() };
            create(api, request(Some(&id(&volume))), Some("key"))
        });
        let answers: Vec<(u16, Value)> = futures::future::join_all(all).await;
        let ids: std::collections::BTreeSet<String> = answers.iter().map(|(_, made)| id(made)).collect();
        assert!(answers.iter().all(|(status, _)| *status == 202) && ids.len() == 1, "{answers:#?}");
    }
}

#[tokio::test]
async fn a_volume_that_a_server_booted_from_is_not_given() {
    let w = World::new(Database::Sqlite).await;
    let first = w.create(request(None)).await;
    let shown = w.until_status(&first, "ready").await;
    let boot = shown["storages"].as_array().unwrap().iter().find(|v| v["is_boot"] == true).unwrap().clone();
    let path = format!("/volumes/{}", id(&boot));
    assert_eq!(w.call("PATCH", &path, Some(json!({"delete_on_terminate": false}))).await.0, 200);
    w.terminate(&first).await;
    w.until_status(&first, "terminated").await;
    let (status, problem) = w.call("POST", "/instances", Some(request(Some(&id(&boot))))).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("only a data volume"), "{problem}");
}

#[tokio::test]
async fn a_volume_that_disappears_before_its_server_is_rented_costs_no_server() {
    let w = World::new(Database::Sqlite).await;
    let (_, volume) = retained(&w).await;
    // Any other block volume shows that the credentials see block storage.
    let other = json!({"name": "theirs", "from_empty": {"size": 10_000_000_000_i64}});
    w.third_party("POST", "/block/v1/zones/fr-par-2/volumes", Some(other));
    let path = format!("/block/v1/zones/fr-par-2/volumes/{}", volume["provider_volume_id"].as_str().unwrap());
    w.third_party("DELETE", &path, None);
    w.advance_ms(60_000);
    let servers = w.requests("POST", "/servers");
    let second = w.create(request(Some(&id(&volume)))).await;
    let ended = w.until_status(&second, "provisioning_failed").await;
    assert_eq!(ended["error_code"], "data_volume_disappeared", "{ended:#}");
    assert_eq!(w.requests("POST", "/servers"), servers, "no server was created");
    assert_eq!(w.left(), (0, 1, 0), "theirs");
}

/// The database as it was before the volume was given away, restored after that.
#[tokio::test]
async fn a_backup_from_before_the_reuse_is_recovered_with_one_owner() {
    for db in Database::both() {
        let w = World::new(db).await;
        let (first, volume) = retained(&w).await;
        w.settle().await;
        let backup = w.backup().await;
        let second = w.create(request(Some(&id(&volume)))).await;
        w.until_status(&second, "ready").await;
        w.advance_ms(120_000);
        w.settle().await;
        let w = w.restored(backup).await;
        assert_eq!(data(&w.show(&first).await)["status"], "retained");
        let plan = w.orchestrator.plan_recovery().await.unwrap();
        assert_eq!(w.orchestrator.apply_recovery(&plan).await.unwrap(), 1);
        let old = data(&w.show(&first).await);
        assert_eq!((&old["status"], &old["reused_by"]), (&json!("reused"), &json!(second)));
        let new = data(&w.show(&second).await);
        assert_eq!((&new["reused_from"], &new["delete_on_terminate"]), (&json!(first), &json!(false)), "{new:#}");
        // Nobody fights about its name.
        for _ in 0..5 {
            w.advance_ms(120_000);
            w.settle().await;
        }
        let renamed =
            w.actions(&first).await.iter().chain(&w.actions(&second).await).filter(|a| *a == "VOLUME_RENAMED").count();
        assert_eq!(renamed, 0);
        w.terminate(&second).await;
        assert_eq!(data(&w.until_status(&second, "terminated").await)["status"], "retained");
        assert_eq!(w.left(), (0, 1, 0));
    }
}
