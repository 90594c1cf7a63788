//! Tests of warnings: types at their end of service, models that do not fit, zones that do not exist. Also of names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::{Database, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn request(kind: &str, model: Option<&str>) -> Value {
    json!({"zone": "fr-par-2", "instance_type": kind, "model_id": model})
}

#[tokio::test]
async fn a_model_that_does_not_fit_the_gpus_causes_a_warning() {
    let w = World::new(Database::Sqlite).await;
    for (kind, model, needs) in [
        ("L4-1-24G", "meta-llama/Llama-3.1-405B-Instruct", Some("810 GB")),
        ("L4-1-24G", "Qwen/Qwen2.5-32B-Instruct", Some("64 GB")),
        ("L40S-1-48G", "Qwen/Qwen2.5-7B-Instruct", None),
        ("L4-1-24G", "Qwen/Qwen2.5-32B-Instruct-AWQ", None),
    ] {
        let (status, made) = w.call("POST", "/instances", Some(request(kind, Some(model)))).await;
        assert_eq!(status, 202, "{made}");
        let warnings = made["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), usize::from(needs.is_some()), "{kind} {model}: {warnings:?}");
        let reported = needs.is_none_or(|gb| warnings[0].as_str().is_some_and(|t| t.contains(gb) && t.contains(kind)));
        assert!(reported, "{warnings:?}");
        // Later reads show it, too.
        assert_eq!(w.show(made["id"].as_str().unwrap()).await["warnings"], made["warnings"]);
    }
}

#[tokio::test]
async fn a_type_at_its_end_of_service_causes_a_warning_in_offers_and_on_creation() {
    let w = World::new(Database::Sqlite).await;
    let (_, offers) = w.call("GET", "/offers", None).await;
    let offers = offers["items"].as_array().unwrap();
    for ends in [true, false] {
        let fits = |o: &&Value| o["end_of_service"] == ends && o["availability"] != "shortage";
        let offer = offers.iter().find(fits).unwrap();
        let kind = offer["instance_type"].as_str().unwrap();
        let mut request = request(kind, None);
        request["zone"] = offer["zone"].clone();
        let (status, made) = w.call("POST", "/instances", Some(request)).await;
        assert_eq!(status, 202, "{made}");
        let reported = made["warnings"].to_string().contains("end of service");
        assert_eq!(reported, ends, "{kind}: {}", made["warnings"]);
    }
}

#[tokio::test]
async fn an_unknown_zone_is_an_error_and_not_an_empty_list() {
    let w = World::new(Database::Sqlite).await;
    for path in ["/offers?zone=fr-par-9", "/instances?zone=fr-par-9"] {
        let (status, problem) = w.call("GET", path, None).await;
        assert_eq!(status, 422, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("fr-par-2"), "{path}: {problem}");
    }
    for path in ["/offers?zone=fr-par-2", "/instances?zone=fr-par-2"] {
        assert_eq!(w.call("GET", path, None).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn an_unused_zone_is_not_reported_as_hidden_while_another_zone_is_visible() {
    let w = World::new(Database::Sqlite).await;
    let hidden = async |w: &World| {
        let plan = w.orchestrator.plan_recovery().await.unwrap();
        plan.into_iter().map(|z| (z.zone, z.found.unwrap().hidden.is_some())).collect::<Vec<_>>()
    };
    assert!(hidden(&w).await.iter().all(|(_, hidden)| *hidden), "no zone shows anything");
    let id = w.create(request("L4-1-24G", None)).await;
    w.until_status(&id, "ready").await;
    assert!(hidden(&w).await.iter().all(|(_, hidden)| !*hidden), "fr-par-2 proves that the project is visible");
}

#[tokio::test]
async fn the_authorization_scheme_is_case_insensitive() {
    let w = World::new(Database::Sqlite).await;
    for (header, status) in [
        (format!("bearer {}", inventiv_testkit::TOKEN), 200),
        (format!("BEARER  {}", inventiv_testkit::TOKEN), 200),
        (format!("Basic {}", inventiv_testkit::TOKEN), 401),
        (inventiv_testkit::TOKEN.to_owned(), 401),
        ("bearer".to_owned(), 401),
    ] {
        let request = http::Request::builder().uri("/instances").header("authorization", &header);
        let request = request.body(axum::body::Body::empty()).unwrap();
        let answer = tower::ServiceExt::oneshot(w.api.clone(), request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{header}");
    }
}

#[test]
fn every_operation_has_a_unique_id() {
    let document = serde_json::to_value(inventiv_api::openapi::document()).unwrap();
    let (mut ids, mut count) = (BTreeSet::new(), 0);
    for operation in document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    {
        if let Some(id) = operation["operationId"].as_str() {
            count += 1;
            assert!(ids.insert(id.to_owned()), "{id} occurs twice");
        }
    }
    assert!(count > 20, "{count}");
}

#[tokio::test]
async fn a_name_identifies_one_live_instance() {
    for db in Database::both() {
        let w = World::new(db).await;
        let named =
            |name: &str| json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "data_volume_gb": 1, "name": name});
        let at_once: Vec<_> = (0..10).map(|_| w.call("POST", "/instances", Some(named("one")))).collect();
        let answers = futures::future::join_all(at_once).await;
        let made: Vec<&Value> = answers.iter().filter(|(status, _)| *status == 202).map(|(_, body)| body).collect();
        assert_eq!(made.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|(status, body)| *status == 202 || body["type"] == "urn:inventiv:name_taken"));
        let id = made[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(w.call("GET", "/instances/one", None).await.1["id"], id.as_str());
        let other = w.call("POST", "/instances", Some(named("two"))).await.1["id"].as_str().unwrap().to_owned();
        // A common prefix of both ids identifies neither.
        let common: String = id.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
        if common.len() >= 8 {
            let (status, problem) = w.call("GET", &format!("/instances/{common}"), None).await;
            assert_eq!((status, problem["type"].as_str()), (409, Some("urn:inventiv:ambiguous")), "{problem}");
        }
        assert_eq!(w.call("GET", &format!("/instances/{}", &id[..id.len() - 1]), None).await.1["id"], id.as_str());
        for refused in ["ins-mine", "", "x\u{202E}"] {
            assert_eq!(w.call("POST", "/instances", Some(named(refused))).await.0, 422, "{refused:?}");
        }
        w.call("DELETE", "/instances/one", None).await;
        assert_eq!(w.call("POST", "/instances", Some(named("one"))).await.0, 409, "the instance still exists");
        w.until_status(&id, "terminated").await;
        let (status, next) = w.call("POST", "/instances", Some(named("one"))).await;
        assert_eq!(status, 202, "{next}");
        assert_eq!(w.call("GET", "/instances/one", None).await.1["id"], next["id"]);
        let (_, page) = w.call("GET", "/instances?status=terminated,provisioning&limit=2", None).await;
        assert_eq!(page["items"].as_array().unwrap().len(), 2);
        let after =
            format!("/instances?status=terminated,provisioning&limit=2&after={}", page["next"].as_str().unwrap());
        let (_, rest) = w.call("GET", &after, None).await;
        assert_eq!((rest["items"].as_array().unwrap().len(), &rest["items"][0]["id"]), (1, &next["id"]));
    }
}

#[tokio::test]
async fn names_work_beside_an_older_version_that_does_not_know_them() {
    for db in Database::both() {
        let w = World::new(db).await;
        sqlx::any::install_default_drivers();
        let database = sqlx::AnyPool::connect(&w.database_url).await.unwrap();
        let run = async |sql: &'static str| sqlx::query(sql).execute(&database).await.unwrap().rows_affected();
        let named =
            |name: &str| json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "data_volume_gb": 0, "name": name});
        let create = async |name: &str| w.call("POST", "/instances", Some(named(name))).await;
        let first = create("one").await.1["id"].as_str().unwrap().to_owned();
        // An instance created by the older version has no name row, but its name counts.
        assert_eq!(run("DELETE FROM instance_names").await, 1);
        assert_eq!(create("one").await.0, 409);
        assert_eq!(w.call("GET", "/instances/one", None).await.1["id"], first.as_str());
        // The older version ended an instance and left its name row behind.
        w.call("DELETE", "/instances/one", None).await;
        w.until_status(&first, "terminated").await;
        run("INSERT INTO instance_names (account_id, name, instance_id) SELECT account_id, name, id FROM instances")
            .await;
        let (status, second) = create("one").await;
        assert_eq!(status, 202, "{second}");
        assert_eq!(w.call("GET", "/instances/one", None).await.1["id"], second["id"]);
        // It may have created several instances of one name: the name identifies none of them.
        let third = create("two").await.1;
        run("UPDATE instances SET name = 'one'").await;
        let (status, problem) = w.call("GET", "/instances/one", None).await;
        assert_eq!((status, problem["type"].as_str()), (409, Some("urn:inventiv:ambiguous")), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(second["id"].as_str().unwrap()) && detail.contains(third["id"].as_str().unwrap()));
        assert!(!detail.contains(&first), "the ended instance must not be listed: {detail}");
    }
}
