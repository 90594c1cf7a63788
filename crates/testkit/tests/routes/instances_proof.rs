//! Tests of `GET /instances/{id}/proof`: it and the audit report third parties' snapshots of our volumes, which stay.

use crate::helpers::audit;
use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

async fn ready(w: &World, kind: &str) -> (String, Vec<Value>) {
    let request = json!({"zone": "fr-par-2", "instance_type": kind, "data_volume_gb": 50});
    let id = w.create(request).await;
    w.until_status(&id, "ready").await;
    let storages = w.show(&id).await["storages"].as_array().unwrap().clone();
    (id, storages)
}

async fn end(w: &World, id: &str) -> Value {
    w.call("DELETE", &format!("/instances/{id}"), None).await;
    w.until_status(id, "terminated").await;
    w.call("GET", &format!("/instances/{id}/proof"), None).await.1
}

fn block_snapshot(w: &World, volume: &str, name: &str) -> String {
    let body = json!({"volume_id": volume, "name": name, "project_id": inventiv_testkit::PROJECT});
    w.third_party("POST", "/block/v1/zones/fr-par-2/snapshots", Some(body))["id"].as_str().unwrap().to_owned()
}

fn of<'s>(storages: &'s [Value], origin: &str, kind: &str) -> &'s str {
    let wanted = |v: &&Value| v["origin"] == origin && v["volume_type"] == kind;
    storages.iter().find(wanted).unwrap()["provider_volume_id"].as_str().unwrap()
}

#[tokio::test]
async fn a_snapshot_of_our_volume_is_reported_by_the_proof_and_every_audit_until_it_is_gone() {
    for db in Database::both() {
        let w = World::new(db).await;
        let (id, storages) = ready(&w, "L40S-1-48G").await;
        let volume = of(&storages, "ours", "sbs_volume");
        let snapshot = block_snapshot(&w, volume, "weights");
        // The cloud is still creating it.
        w.advance_ms(20_000);
        let proof = end(&w, &id).await;
        assert_eq!(proof["clean"], true, "{proof:#}");
        let named = &proof["snapshots"][0];
        assert_eq!(
            (&named["id"], &named["name"], &named["volume_id"]),
            (&json!(snapshot), &json!("weights"), &json!(volume))
        );
        assert!(proof["verdict"].as_str().unwrap().contains("1 snapshot(s)"), "{}", proof["verdict"]);
        for _ in 0..2 {
            let found = audit(&w).await;
            assert_eq!((&found["verdict"], &found["snapshots"]), (&json!("clean"), &json!(1)), "{found:#}");
            assert_eq!(found["snapshots_hourly_micros"], 50 * 44);
            let zone = found["zones"].as_array().unwrap().iter().find(|z| z["zone"] == "fr-par-2").unwrap();
            assert_eq!(zone["snapshots"][0]["instance_id"], id.as_str());
        }
        assert_eq!(w.requests("DELETE", "/snapshots"), 0, "it belongs to a third party");
        w.third_party("DELETE", &format!("/block/v1/zones/fr-par-2/snapshots/{snapshot}"), None);
        // Block storage shows nothing of the project. The credentials may be the cause, so nothing is reported as gone.
        let found = audit(&w).await;
        assert_eq!(found["snapshots"], 1, "{found:#}");
        let zone = found["zones"].as_array().unwrap().iter().find(|z| z["zone"] == "fr-par-2").unwrap();
        assert!(zone["snapshots_unknown"].as_str().unwrap().contains("still there"), "{zone:#}");
        let body = json!({"name": "theirs", "from_empty": {"size": 5_000_000_000_i64}, "project_id": inventiv_testkit::PROJECT});
        w.third_party("POST", "/block/v1/zones/fr-par-2/volumes", Some(body));
        w.advance_ms(20_000);
        // One listing without it may be stale; one that begins a consistency window later confirms it.
        assert_eq!(audit(&w).await["snapshots"], 1);
        w.advance_ms(70_000);
        assert_eq!(audit(&w).await["snapshots"], 0);
        let (_, proof) = w.call("GET", &format!("/instances/{id}/proof"), None).await;
        assert_eq!(proof["snapshots"], json!([]));
    }
}

#[tokio::test]
async fn a_snapshot_of_a_local_boot_volume_and_its_image_are_reported() {
    let w = World::new(Database::Sqlite).await;
    let (id, storages) = ready(&w, "RENDER-S").await;
    let volume = of(&storages, "cloud", "l_ssd");
    let body = json!({"volume_id": volume, "name": "disk", "project": inventiv_testkit::PROJECT});
    let made = w.third_party("POST", "/instance/v1/zones/fr-par-2/snapshots", Some(body));
    let snapshot = made["snapshot"]["id"].as_str().unwrap().to_owned();
    w.advance_ms(600_000);
    let image =
        json!({"name": "golden", "root_volume": snapshot, "arch": "x86_64", "project": inventiv_testkit::PROJECT});
    w.third_party("POST", "/instance/v1/zones/fr-par-2/images", Some(image));
    let proof = end(&w, &id).await;
    assert_eq!((&proof["clean"], &proof["snapshots"][0]["id"]), (&json!(true), &json!(snapshot)), "{proof:#}");
    let found = audit(&w).await;
    let zone = found["zones"].as_array().unwrap().iter().find(|z| z["zone"] == "fr-par-2").unwrap().clone();
    assert_eq!(zone["snapshots"][0]["images"], json!(["golden"]), "{zone:#}");
}

#[tokio::test]
async fn snapshots_of_foreign_volumes_are_ignored_and_an_unreadable_list_does_not_block_a_proof() {
    let w = World::new(Database::Sqlite).await;
    let (id, storages) = ready(&w, "L4-1-24G").await;
    let body =
        json!({"name": "theirs", "from_empty": {"size": 5_000_000_000_i64}, "project_id": inventiv_testkit::PROJECT});
    let foreign = w.third_party("POST", "/block/v1/zones/fr-par-2/volumes", Some(body));
    w.advance_ms(20_000);
    block_snapshot(&w, foreign["id"].as_str().unwrap(), "theirs");
    let ours = block_snapshot(&w, of(&storages, "ours", "sbs_volume"), "ours");
    w.advance_ms(20_000);
    assert_eq!(audit(&w).await["snapshots"], 1);
    w.emulator
        .add_fault(&json!({"method": "GET", "path": "*/snapshots", "effect": {"error": "permissions_denied"}}))
        .unwrap();
    let proof = end(&w, &id).await;
    // The earlier audit observed it.
    assert_eq!((&proof["clean"], &proof["snapshots"][0]["id"]), (&json!(true), &json!(ours)), "{proof:#}");
    let found = audit(&w).await;
    assert_eq!((&found["verdict"], &found["snapshots"]), (&json!("clean"), &json!(1)), "{found:#}");
    let zone = found["zones"].as_array().unwrap().iter().find(|z| z["zone"] == "fr-par-2").unwrap().clone();
    assert!(zone["snapshots_unknown"].is_string(), "{zone:#}");
}
