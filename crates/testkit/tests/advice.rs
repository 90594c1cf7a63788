//! Tests that the remedy of each audit finding works: after following it, the next audit is clean.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_core::name::CloudName;
use inventiv_testkit::{Database, PROJECT, World};
use serde_json::{Value, json};

const ZONE: &str = "fr-par-2";
const VOLUMES: &str = "/block/v1/zones/fr-par-2/volumes";

async fn audited(world: &World, body: Value) -> Value {
    world.call("POST", "/audit", Some(body)).await;
    world.advance_ms(1);
    world.orchestrator.audit_due().await.unwrap();
    world.call("GET", "/audit", None).await.1
}

/// The only finding: its kind and its advice.
async fn finding(world: &World) -> (String, String) {
    let found = audited(world, json!({})).await;
    let zones = found["zones"].as_array().unwrap().iter();
    let all: Vec<Value> = zones.flat_map(|z| z["findings"].as_array().unwrap().clone()).collect();
    assert_eq!(all.len(), 1, "{found:#}");
    let text = |key: &str| all[0][key].as_str().unwrap().to_owned();
    (text("kind"), text("remedy"))
}

async fn is_clean(world: &World, after: &str) {
    let found = audited(world, json!({})).await;
    assert_eq!(found["verdict"], "clean", "{after}: {found:#}");
}

async fn minutes(world: &World, n: usize) {
    for _ in 0..n {
        world.advance_ms(60_000);
        world.resync().await;
        world.tick().await;
    }
}

async fn ready(world: &World) -> String {
    let id = world.create(json!({"instance_type": "L40S-1-48G", "zone": ZONE, "data_volume_gb": 50})).await;
    world.until_status(&id, "ready").await;
    world.settle().await;
    minutes(world, 3).await;
    id
}

async fn ended(world: &World) -> String {
    let id = ready(world).await;
    world.terminate(&id).await;
    world.until_status(&id, "terminated").await;
    minutes(world, 3).await;
    id
}

async fn data_volume(world: &World, id: &str) -> Value {
    let shown = world.show(id).await;
    shown["storages"].as_array().unwrap().iter().find(|v| v["origin"] == "ours").unwrap().clone()
}

/// A third party creates a volume with a name of ours, with or without our tags.
fn makes_volume(world: &World, name: &str, tags: bool) -> String {
    let tags = if tags { CloudName::parse(name).unwrap().tags() } else { Vec::new() };
    let body = json!({"name": name, "tags": tags, "project_id": PROJECT, "from_empty": {"size": 10_000_000_000_i64}});
    let made = world.third_party("POST", VOLUMES, Some(body));
    world.advance_ms(60_000);
    made["id"].as_str().unwrap().to_owned()
}

/// A third party creates a server with the name of an attempt that was never recorded.
fn makes_server(world: &World, id: &str) -> String {
    makes_server_named(world, &format!("iva-test-{}-server-7-d", id.trim_start_matches("ins-")))
}

fn makes_server_named(world: &World, name: &str) -> String {
    let query = "/marketplace/v2/local-images?image_label=ubuntu_noble&type=instance_sbs&per_page=100";
    let images = world.third_party("GET", query, None);
    let fits =
        |i: &&Value| i["zone"] == ZONE && i["compatible_commercial_types"].to_string().contains("\"PLAY2-PICO\"");
    let image = images["local_images"].as_array().unwrap().iter().find(fits).unwrap()["id"].clone();
    let tags = CloudName::parse(name).map(|n| n.tags()).unwrap_or_default();
    let body = json!({"name": name, "tags": tags, "commercial_type": "PLAY2-PICO", "image": image, "project": PROJECT});
    let made = world.third_party("POST", &format!("/instance/v1/zones/{ZONE}/servers"), Some(body));
    world.advance_ms(60_000);
    made["server"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_missing_resource_is_explained_and_the_finding_ends_with_its_instance() {
    let world = World::new(Database::Sqlite).await;
    let id = ready(&world).await;
    let server = world.show(&id).await["provider_instance_id"].as_str().unwrap().to_owned();
    world.third_party(
        "POST",
        &format!("/instance/v1/zones/{ZONE}/servers/{server}/action"),
        Some(json!({"action": "terminate"})),
    );
    world.advance_ms(60_000);
    let found = audited(&world, json!({})).await;
    let zones = found["zones"].as_array().unwrap().iter();
    let all: Vec<Value> = zones.flat_map(|z| z["findings"].as_array().unwrap().clone()).collect();
    assert!(all.iter().any(|f| f["kind"] == "missing"), "{found:#}");
    assert!(all.iter().all(|f| f["remedy"].as_str().unwrap().contains("inventiv explain")), "{found:#}");
    minutes(&world, 5).await;
    let shown = world.show(&id).await;
    assert_eq!(shown["error_code"], "server_disappeared", "{shown:#}");
    world.terminate(&id).await;
    minutes(&world, 5).await;
    is_clean(&world, "after the instance ended").await;
}

#[tokio::test]
async fn a_kept_volume_that_is_missing_is_released_and_proven_gone() {
    let world = World::new(Database::Sqlite).await;
    let id = ready(&world).await;
    // A third party's volume proves that the credentials can see block storage.
    let other = json!({"name": "theirs", "project_id": PROJECT, "from_empty": {"size": 10_000_000_000_i64}});
    world.third_party("POST", VOLUMES, Some(other));
    let volume = data_volume(&world, &id).await;
    let path = format!("/volumes/{}", volume["id"].as_str().unwrap());
    world.call("PATCH", &path, Some(json!({"delete_on_terminate": false}))).await;
    world.terminate(&id).await;
    world.until_status(&id, "terminated").await;
    minutes(&world, 3).await;
    world.third_party("DELETE", &format!("{VOLUMES}/{}", volume["provider_volume_id"].as_str().unwrap()), None);
    world.advance_ms(60_000);
    let (kind, remedy) = finding(&world).await;
    assert!(kind == "missing" && remedy.contains("inventiv volume release"), "{kind}: {remedy}");
    world.call("PATCH", &path, Some(json!({"delete_on_terminate": true}))).await;
    minutes(&world, 5).await;
    is_clean(&world, "released").await;
    assert_eq!(world.call("GET", &path, None).await.1["status"], "deleted");
}

#[tokio::test]
async fn an_unrecorded_attempt_of_a_living_instance_is_deleted_by_hand() {
    let world = World::new(Database::Sqlite).await;
    let id = ready(&world).await;
    let server = makes_server(&world, &id);
    let (kind, remedy) = finding(&world).await;
    assert!(kind == "orphan" && remedy.contains("delete it in the provider's console"), "{kind}: {remedy}");
    let boot = world.third_party("GET", &format!("/instance/v1/zones/{ZONE}/servers/{server}"), None);
    world.third_party("DELETE", &format!("/instance/v1/zones/{ZONE}/servers/{server}"), None);
    world.advance_ms(60_000);
    world.third_party("DELETE", &format!("{VOLUMES}/{}", boot["server"]["volumes"]["0"]["id"].as_str().unwrap()), None);
    is_clean(&world, "deleted by hand").await;
    assert_eq!(world.show(&id).await["status"], "ready");
}

#[tokio::test]
async fn a_resource_with_our_name_but_no_tags_is_renamed_or_deleted_by_hand() {
    let world = World::new(Database::Sqlite).await;
    let id = ready(&world).await;
    let name = format!("iva-test-{}-data-9-d", id.trim_start_matches("ins-"));
    for rename in [true, false] {
        let volume = format!("{VOLUMES}/{}", makes_volume(&world, &name, false));
        let (kind, remedy) = finding(&world).await;
        assert!(kind == "suspect" && remedy.contains("or rename it if it is not ours"), "{kind}: {remedy}");
        if rename {
            world.third_party("PATCH", &volume, Some(json!({"name": "mine"})));
        } else {
            world.third_party("DELETE", &volume, None);
        }
        is_clean(&world, if rename { "renamed" } else { "deleted" }).await;
    }
    world.terminate(&id).await;
    world.until_status(&id, "terminated").await;
    assert!(world.emulator.state()["volumes"].to_string().contains("mine"), "the renamed volume is not ours");
}

#[tokio::test]
async fn an_orphan_of_an_ended_instance_is_deleted_by_a_requested_fix() {
    let world = World::new(Database::Sqlite).await;
    let id = ended(&world).await;
    makes_volume(&world, &format!("iva-test-{}-data-1-d", id.trim_start_matches("ins-")), true);
    let (kind, remedy) = finding(&world).await;
    assert!(kind == "orphan" && remedy.contains("inventiv audit --fix"), "{kind}: {remedy}");
    audited(&world, json!({"fix": true})).await;
    minutes(&world, 5).await;
    is_clean(&world, "fixed").await;
    assert_eq!(world.left(), (0, 0, 0));
}

#[tokio::test]
async fn an_unrecorded_attempt_of_an_ended_instance_is_deleted_after_its_quarantine() {
    let world = World::new(Database::Sqlite).await;
    let id = ended(&world).await;
    makes_server(&world, &id);
    let (kind, remedy) = finding(&world).await;
    assert!(kind == "orphan" && remedy.contains("--fix --policy delete"), "{kind}: {remedy}");
    audited(&world, json!({"fix": true, "policy": "delete"})).await;
    world.advance_ms(3_700_000);
    audited(&world, json!({})).await;
    world.settle().await;
    minutes(&world, 5).await;
    is_clean(&world, "after the quarantine").await;
    assert_eq!(world.left(), (0, 0, 0));
}

#[tokio::test]
async fn an_instance_missing_from_a_restored_backup_is_recovered_and_can_be_terminated() {
    let world = World::new(Database::Sqlite).await;
    let backup = world.backup().await;
    let id = ready(&world).await;
    let world = world.restored(backup).await;
    let found = audited(&world, json!({})).await;
    assert_eq!(found["verdict"], "findings");
    assert!(found.to_string().contains("inventiv recover --from-provider"), "{found:#}");
    let plan = world.orchestrator.plan_recovery().await.unwrap();
    assert_eq!(world.orchestrator.apply_recovery(&plan).await.unwrap(), 1);
    is_clean(&world, "recovered").await;
    world.terminate(&id).await;
    minutes(&world, 5).await;
    assert_eq!((world.left(), world.show(&id).await["status"].as_str()), ((0, 0, 0), Some("terminated")));
    is_clean(&world, "terminated").await;
}

#[tokio::test]
async fn a_conflict_is_resolved_from_the_cloud_or_by_a_person() {
    for by_person in [false, true] {
        let world = World::new(Database::Sqlite).await;
        let id = ready(&world).await;
        let backup = world.backup().await;
        let volume = data_volume(&world, &id).await;
        let path = format!("/volumes/{}", volume["id"].as_str().unwrap());
        world.call("PATCH", &path, Some(json!({"delete_on_terminate": false}))).await;
        world.settle().await;
        let world = world.restored(backup).await;
        let (kind, remedy) = finding(&world).await;
        assert!(
            kind == "conflict" && remedy.contains("recover --apply") && remedy.contains("volume"),
            "{kind}: {remedy}"
        );
        if by_person {
            world.call("PATCH", &path, Some(json!({"delete_on_terminate": false}))).await;
        } else {
            let plan = world.orchestrator.plan_recovery().await.unwrap();
            world.orchestrator.apply_recovery(&plan).await.unwrap();
        }
        minutes(&world, 3).await;
        is_clean(&world, "after the decision").await;
        world.terminate(&id).await;
        world.until_status(&id, "terminated").await;
        assert_eq!(world.left().1, 1, "the volume is kept");
    }
}

#[tokio::test]
async fn a_note_names_the_server_that_holds_our_data_volume_and_whose_it_is() {
    let world = World::new(Database::Sqlite).await;
    let id = ready(&world).await;
    let data = data_volume(&world, &id).await["provider_volume_id"].clone();
    let ours = world.show(&id).await["provider_instance_id"].as_str().unwrap().to_owned();
    let other = makes_server_named(&world, "web-1");
    let path = |server: &str, verb: &str| format!("/instance/v1/zones/{ZONE}/servers/{server}/{verb}");
    world.third_party("POST", &path(&ours, "detach-volume"), Some(json!({"volume_id": data})));
    world.advance_ms(30_000);
    let attach = json!({"volume_id": data, "volume_type": "sbs_volume"});
    world.third_party("POST", &path(&other, "attach-volume"), Some(attach));
    let expected = format!("attached to server `web-1` ({other}), which a third party created");
    // By a listing, and by questions about the instance alone.
    for round in 0..6 {
        world.advance_ms(61_000);
        if round % 2 == 0 {
            world.resync().await
        } else {
            world.tick().await
        }
        let note = world.show(&id).await["notes"][0].clone();
        assert!(note["text"].as_str().unwrap().contains(&expected), "{round}: {note}");
        assert_eq!(note["code"], "action_needed");
    }
    world.third_party("POST", &path(&other, "detach-volume"), Some(json!({"volume_id": data})));
    world.advance_ms(30_000);
    world.terminate(&id).await;
    minutes(&world, 5).await;
    assert_eq!(world.show(&id).await["status"], "terminated");
    assert_eq!(world.left().0, 1, "the third party's server is untouched");
}
