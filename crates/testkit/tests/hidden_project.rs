//! Tests of credentials that lose the project, in one API or all, at any request: their answers prove nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::{Database, Fault, World};
use serde_json::{Value, json};

const ZONE: &str = "fr-par-2";
/// Every API, or one of them.
const APIS: [&str; 3] = ["*", "/instance/*", "/block/*"];

fn request() -> Value {
    json!({"instance_type": "L40S-1-48G", "zone": ZONE, "data_volume_gb": 50})
}

async fn proof(world: &World, id: &str) -> Value {
    world.call("GET", &format!("/instances/{id}/proof"), None).await.1
}

/// From the nth matching request on, the credentials see nothing under this path.
fn hidden(world: &World, path: &str, nth: usize) -> u64 {
    let rule = json!({"path": path, "nth": nth, "times": 1_000_000, "effect": {"blind": true}});
    world.emulator.add_fault(&rule).unwrap()
}

async fn minutes(world: &World, n: usize) {
    for _ in 0..n {
        world.advance_ms(60_000);
        world.resync().await;
        world.tick().await;
    }
}

/// A world with an instance that is being terminated.
async fn going() -> (World, String) {
    let world = World::new(Database::Sqlite).await;
    let id = world.create(request()).await;
    world.until_status(&id, "ready").await;
    world.terminate(&id).await;
    (world, id)
}

/// Checks that the reports are true, and that everything is deleted once the project is visible again.
async fn ends_well(world: &World, id: &str, what: &str) {
    world.third_party("DELETE", "/_emulator/faults", None);
    minutes(world, 30).await;
    assert_eq!((world.left(), &proof(world, id).await["clean"]), ((0, 0, 0), &json!(true)), "{what}");
}

#[tokio::test]
async fn a_key_that_loses_the_project_at_any_request_proves_nothing() {
    for api in APIS {
        let mut unproven = 0;
        for onset in 1..=60 {
            let (world, id) = going().await;
            hidden(&world, api, onset);
            for _ in 0..120 {
                world.advance_ms(1_000);
                world.tick().await;
            }
            let shown = proof(&world, &id).await;
            if shown["clean"] == true {
                assert_eq!(world.left(), (0, 0, 0), "{api}, onset {onset}: {shown:#}");
            } else {
                unproven += 1;
            }
            ends_well(&world, &id, &format!("{api}, onset {onset}")).await;
        }
        assert!(unproven > 3, "{api}: only {unproven} faults prevented a proof");
    }
}

#[tokio::test]
async fn a_key_that_gets_the_project_back_at_any_request_proves_nothing_from_earlier_reads() {
    for api in APIS {
        for requests in 1..=40 {
            let (world, id) = going().await;
            // A process that has never seen the project: its first requests cannot see it.
            let world = world.restarted().await;
            let rule = json!({"path": api, "nth": 1, "times": requests, "effect": {"blind": true}});
            world.emulator.add_fault(&rule).unwrap();
            for _ in 0..90 {
                world.advance_ms(1_000);
                world.tick().await;
                let shown = proof(&world, &id).await;
                if shown["clean"] == true {
                    assert_eq!(world.left(), (0, 0, 0), "{api}, {requests} requests: {shown:#}");
                }
            }
            ends_well(&world, &id, &format!("{api}, {requests} requests")).await;
        }
    }
}

/// The answers to the deletions are lost, and the zone has no other block volume. A temporary witness volume proves the
/// absence.
#[tokio::test]
async fn the_last_volumes_of_a_zone_are_proven_gone_though_the_answers_to_their_deletions_were_lost() {
    for database in Database::both() {
        let world = World::new(database).await;
        let id = world.create(request()).await;
        world.until_status(&id, "ready").await;
        world.terminate(&id).await;
        world.wire.fail("DELETE", "/block/", 2, Fault::LoseAnswer);
        let mut witnesses = 0;
        for _ in 0..200 {
            world.advance_ms(1_000);
            world.tick().await;
            let shown = world.show(&id).await;
            let storages = shown["storages"].as_array().unwrap();
            witnesses = witnesses.max(storages.iter().filter(|v| v["origin"] == "witness").count());
        }
        let shown = world.show(&id).await;
        assert_eq!((world.wire.fired(), witnesses), (2, 1), "{shown:#} {:?}", world.actions(&id).await);
        let shown = proof(&world, &id).await;
        assert_eq!((world.left(), &shown["clean"]), ((0, 0, 0), &json!(true)), "{shown:#}");
        assert!(world.actions(&id).await.contains(&"WITNESS_NEEDED".to_owned()));
        minutes(&world, 3).await;
        assert_eq!(proof(&world, &id).await["certainty"], "confirmed");
    }
}

/// The same with credentials that lost only block storage: they cannot create the witness, and nothing is proven.
#[tokio::test]
async fn without_a_witness_nothing_of_block_storage_is_proven_gone() {
    let world = World::new(Database::Sqlite).await;
    let id = world.create(request()).await;
    world.until_status(&id, "ready").await;
    world.terminate(&id).await;
    hidden(&world, "/block/*", 1);
    minutes(&world, 20).await;
    let shown = world.show(&id).await;
    assert_eq!(shown["status"], "terminating");
    assert!(shown["notes"].to_string().contains("credentials"), "{:#}", shown["notes"]);
    assert_eq!(world.left(), (0, 2, 0), "the volumes still incur cost, and no report denies it");
    world.call("POST", "/audit", Some(json!({}))).await;
    world.advance_ms(1);
    world.orchestrator.audit_due().await.unwrap();
    ends_well(&world, &id, "block storage is visible again").await;
}

#[tokio::test]
async fn an_audit_that_cannot_see_block_storage_is_inconclusive() {
    let world = World::new(Database::Sqlite).await;
    let id = world.create(request()).await;
    world.until_status(&id, "ready").await;
    world.settle().await;
    for (api, says) in [("/block/*", "block"), ("/instance/*", "security group"), ("*", "security group")] {
        let rule = hidden(&world, api, 1);
        world.call("POST", "/audit", Some(json!({}))).await;
        world.advance_ms(1);
        world.orchestrator.audit_due().await.unwrap();
        let found = world.call("GET", "/audit", None).await.1;
        assert_eq!(found["verdict"], "inconclusive", "{api}: {found:#}");
        let zone = found["zones"].as_array().unwrap().iter().find(|z| z["zone"] == ZONE).unwrap();
        assert!(zone["inconclusive"].as_str().unwrap().contains(says), "{api}: {zone:#}");
        world.third_party("DELETE", &format!("/_emulator/faults/{rule}"), None);
        world.advance_ms(60_000);
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
    let id = w.create(json!({"zone": ZONE, "instance_type": "L4-1-24G"})).await;
    w.until_status(&id, "ready").await;
    assert!(hidden(&w).await.iter().all(|(_, hidden)| !*hidden), "fr-par-2 proves that the project is visible");
}
