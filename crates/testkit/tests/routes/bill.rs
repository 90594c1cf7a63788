//! `GET /bill`: what the emulated cloud bills for whole lives, against the ledger.

use crate::representations::cloud;
use inventiv_api::{Account, App, AskBill, Settings};
use inventiv_core::calendar::month_of;
use inventiv_core::id::InstanceId;
use inventiv_core::name::CloudName;
use inventiv_orchestrator::clock::Clock;
use inventiv_providers::CloudProvider;
use inventiv_testkit::{Database, PROJECT, World, account};
use serde_json::{Value, json};

/// A world whose API reads the bill.
async fn world(database: Database) -> World {
    let mut world = World::new(database).await;
    let cloud = cloud(&world);
    let bill: AskBill = Box::new(move |from, to| {
        let cloud = cloud.clone();
        Box::pin(async move { cloud.bill(from, to).await.map_err(|e| e.message) })
    });
    let accounts = vec![Account { bill: Some(bill), ..account() }];
    world.api = App::new(Settings { accounts, ..world.settings() }).router();
    world
}

fn of<'a>(bill: &'a Value, kind: &str) -> &'a Value {
    bill["sums"].as_array().unwrap().iter().find(|s| s["kind"] == kind).unwrap_or_else(|| panic!("{kind}: {bill:#}"))
}

const MINUTE_MS: i64 = 60_000;

#[tokio::test]
async fn what_a_life_costs_agrees_with_what_is_billed_for_it() {
    // In the middle of a month, and across its end, where only the time in the new month is compared.
    for (database, minutes) in Database::both().into_iter().flat_map(|d| [(d, 12_345), (d, -119)]) {
        let w = world(database).await;
        let next_month = month_of(w.clock.now()).1;
        let start = if minutes > 0 { next_month } else { month_of(next_month).1 }.plus_ms(minutes * MINUTE_MS);
        w.advance_ms((start.0 - w.clock.now().0) / 1_000);
        let (_, none) = w.call("GET", "/bill", None).await;
        assert_eq!((&none["sums"], &none["billed_until"]), (&json!([]), &Value::Null), "{none:#}");
        let request = json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "engine": {"kind": "none"},
            "model_id": "Qwen/Qwen2.5-7B-Instruct", "delete_on_terminate": false});
        let first = w.create(request.clone()).await;
        let ready = w.until_status(&first, "ready").await;
        w.advance_ms(3 * 3_600_000);
        w.settle().await;
        // While it runs, it is compared as far as it is billed.
        let (status, bill) = w.call("GET", "/bill", None).await;
        assert_eq!((status, &bill["not_counted"]), (200, &json!(0)), "{bill:#}");
        assert_eq!(bill["agreed"], json!(bill["resources"].as_array().unwrap().len()), "{bill:#}");
        let server = bill["resources"].as_array().unwrap().iter().find(|r| r["kind"] == "server").unwrap();
        assert_eq!((&server["instance_id"], &server["provider_id"]), (&json!(first), &ready["provider_instance_id"]));
        for kind in ["server", "volume", "address"] {
            let (billed, counted) =
                (of(&bill, kind)["billed_micros"].as_i64(), of(&bill, kind)["counted_micros"].as_i64());
            let (billed, counted) = (billed.unwrap(), counted.unwrap());
            // Whole minutes of a server are billed, of 2.5 cents.
            let minute = if kind == "server" { 25_000 } else { 0 };
            assert!(
                billed >= counted && counted > 0 && billed - counted <= 10_000 + counted / 100 + minute,
                "{kind}: {billed} {counted}"
            );
        }
        // After its end, its retained volume goes on.
        w.terminate(&first).await;
        w.until_status(&first, "terminated").await;
        w.advance_ms(3_600_000);
        let bill = w.call("GET", "/bill", None).await.1;
        assert_eq!((&bill["not_counted"], &bill["others"]), (&json!(0), &json!([])), "{bill:#}");
        assert_eq!(bill["agreed"], json!(bill["resources"].as_array().unwrap().len()), "{bill:#}");
        for wrong in ["month=2026-13", "month=2999-01", "month=x", "day=1", "account=nosuch"] {
            assert_eq!(w.call("GET", &format!("/bill?{wrong}"), None).await.0, 422, "{wrong}");
        }
        assert_eq!(World::new(Database::Sqlite).await.call("GET", "/bill", None).await.0, 503, "nobody can be asked");
    }
}

#[tokio::test]
async fn an_orphan_that_an_audit_found_is_billed_and_stays_a_leak() {
    for database in Database::both() {
        let w = world(database).await;
        // In the middle of a month.
        let start = month_of(w.clock.now()).1.plus_ms(12_345 * MINUTE_MS);
        w.advance_ms((start.0 - w.clock.now().0) / 1_000);
        let request = json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "engine": {"kind": "none"}});
        let id = w.create(request).await;
        let ready = w.until_status(&id, "ready").await;
        let name = format!("iva-test-{}-data-1-d", InstanceId::new(77).body());
        let tags = CloudName::parse(&name).unwrap().tags();
        let body =
            json!({"name": name, "tags": tags, "project_id": PROJECT, "from_empty": {"size": 500_000_000_000_i64}});
        let made = w.third_party("POST", "/block/v1/zones/fr-par-2/volumes", Some(body));
        for _ in 0..2 {
            w.advance_ms(3_600_000);
            w.call("POST", "/audit", None).await;
            w.advance_ms(1);
            w.orchestrator.audit_due().await.unwrap();
        }
        let bill = w.call("GET", "/bill", None).await.1;
        let of = |id: &Value| bill["resources"].as_array().unwrap().iter().find(|r| r["provider_id"] == *id).unwrap();
        let orphan = of(&made["id"]);
        assert_eq!((&bill["not_counted"], &orphan["finding"]), (&json!(1), &json!("not_counted")), "{bill:#}");
        // The ledger has it, about as it is billed.
        let (billed, counted) = (orphan["billed_micros"].as_i64().unwrap(), orphan["counted_micros"].as_i64().unwrap());
        assert!(counted > 100_000 && billed.abs_diff(counted) < 2_000, "{orphan:#}");
        assert_eq!(of(&ready["provider_instance_id"])["finding"], "agrees", "{bill:#}");
    }
}
