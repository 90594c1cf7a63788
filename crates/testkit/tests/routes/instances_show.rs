//! Tests of `GET /instances/{id}`: its storages, and the names that identify it.

use crate::helpers::request_for_model;
use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

#[tokio::test]
async fn storages_are_complete_and_counts_are_right_in_lists_and_details() {
    for db in Database::both() {
        let w = World::new(db).await;
        let id = w.create(request_for_model()).await;
        w.until_status(&id, "ready").await;
        let shown = w.show(&id).await;
        let (_, page) =
            w.call("GET", "/instances?status=ready&zone=fr-par-2&model_id=Qwen/Qwen2.5-7B-Instruct", None).await;
        let listed = &page["items"][0];
        for key in [
            "id",
            "name",
            "status",
            "provider",
            "zone",
            "instance_type",
            "model_id",
            "provider_instance_id",
            "ip_address",
            "created_at",
            "ready_at",
            "terminated_at",
            "error",
            "storage_count",
            "storage_sizes_gb",
        ] {
            assert!(listed.get(key).is_some(), "{key} is missing in {listed:#}");
            assert_eq!(listed[key], shown[key], "{key}");
        }
        let storages = shown["storages"].as_array().unwrap();
        assert_eq!(shown["storage_count"], json!(storages.len()));
        for v in storages {
            for key in [
                "id",
                "provider_volume_id",
                "name",
                "volume_type",
                "size_bytes",
                "size_gb",
                "perf_iops",
                "is_boot",
                "delete_on_terminate",
                "status",
                "created_at",
                "attached_at",
                "deleted_at",
            ] {
                assert!(v.get(key).is_some(), "{key} is missing in {v:#}");
            }
            assert_eq!(v["size_bytes"].as_i64().unwrap(), v["size_gb"].as_i64().unwrap() * 1_000_000_000);
        }
        let (_, page) = w.call("GET", &format!("/volumes?instance_id={id}"), None).await;
        assert_eq!(page["items"].as_array().unwrap().len(), 3);
    }
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
