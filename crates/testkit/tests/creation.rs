//! Tests of creation: every volume of any type has a row; the count grows from 1 to 2 with the right sizes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::{Database, Setup, World};
use scaleway_emulator::options::Options;
use serde_json::{Value, json};

/// The storage of every type is tried, whether the model fits its GPUs or not.
fn request(kind: &str) -> Value {
    json!({"zone": "fr-par-2", "instance_type": kind, "model_id": "Qwen/Qwen2.5-7B-Instruct", "force": true,
        "engine": {"kind": "none"}})
}

#[tokio::test]
async fn the_count_grows_from_1_to_2_with_the_right_sizes() {
    for db in Database::both() {
        let w = World::new(db).await;
        let id = w.create(request("RENDER-S")).await;
        // The data volume cannot be created yet: only the boot volume of the cloud exists.
        let refuse = inventiv_testkit::Fault::Answer { status: 429, content_type: "", body: String::new() };
        w.wire.fail("POST", "/block/", 1, refuse);
        w.tick().await;
        let shown = w.show(&id).await;
        assert_eq!((&shown["storage_count"], &shown["storage_sizes_gb"]), (&json!(1), &json!([400])), "{shown:#}");
        let shown = w.until_status(&id, "ready").await;
        assert_eq!(w.wire.fired(), 1);
        assert_eq!((&shown["storage_count"], &shown["storage_sizes_gb"]), (&json!(2), &json!([400, 200])), "{shown:#}");
        let boot = &shown["storages"][0];
        assert_eq!((&boot["is_boot"], &boot["volume_type"]), (&json!(true), &json!("l_ssd")), "{boot:#}");
        assert_eq!(boot["delete_on_terminate"], true);
    }
}

#[tokio::test]
async fn a_gpu_server_with_scratch_has_three_volumes_and_each_is_known() {
    for db in Database::both() {
        let w = World::new(db).await;
        let id = w.create(request("L40S-1-48G")).await;
        let shown = w.until_status(&id, "ready").await;
        assert_eq!(shown["storage_sizes_gb"], json!([20, 1600, 200]), "{shown:#}");
        let kinds: Vec<&str> =
            shown["storages"].as_array().unwrap().iter().map(|v| v["volume_type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["sbs_volume", "scratch", "sbs_volume"]);
        // Each has our name in the cloud, and the fields that only the Block API knows were filled in.
        let state = w.emulator.state();
        for v in state["volumes"].as_array().unwrap() {
            let name = v["name"].as_str().unwrap();
            assert!(name.starts_with("iva-test-"), "{v:#}");
            assert!(v["tags"].as_array().unwrap().contains(&json!("inventiv-control-plane=test")), "{v:#}");
        }
        assert_eq!(shown["storages"][0]["perf_iops"], 5000);
        assert!(shown["ip_address"].is_string());
    }
}

#[tokio::test]
async fn the_action_log_has_each_call_in_order_and_each_is_closed() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request("L40S-1-48G")).await;
    w.until_status(&id, "ready").await;
    w.terminate(&id).await;
    w.until_status(&id, "terminated").await;
    let actions = w.actions(&id).await;
    let wanted = [
        "REQUEST_CREATE",
        "PROVIDER_CREATE",
        "PROVIDER_TAG_VOLUME",
        "PROVIDER_CREATE_VOLUME",
        "PROVIDER_ATTACH_VOLUME",
        "PROVIDER_START",
        "PROVIDER_GET_IP",
        "INSTANCE_READY",
        "REQUEST_TERMINATE",
        "PROVIDER_DELETE",
        "PROVIDER_DELETE_VOLUME",
        "INSTANCE_TERMINATED",
    ];
    let mut rest = actions.iter();
    for name in wanted {
        assert!(rest.any(|a| a == name), "{name} is missing or out of order: {actions:?}");
    }
    let (_, page) = w.call("GET", &format!("/action_logs?limit=500&instance_id={id}"), None).await;
    for log in page["items"].as_array().unwrap() {
        assert_eq!(log["status"], "completed", "{log:#}");
        assert!(log["duration_ms"].is_i64(), "{log:#}");
        let calls_the_cloud =
            log["action"].as_str().unwrap().starts_with("PROVIDER_") && log["action"] != "PROVIDER_GET_IP";
        assert_eq!(log["request_id"].is_string(), calls_the_cloud, "{log:#}");
    }
}

#[tokio::test]
async fn a_life_cycle_takes_nine_changes_and_one_more_with_scratch() {
    let changes = |w: &World| {
        let all: usize = ["POST", "PATCH", "DELETE"].iter().map(|m| w.requests(m, "/zones/")).sum();
        all
    };
    for (kind, wanted) in [("L4-1-24G", 9), ("L40S-1-48G", 10)] {
        let w = World::new(Database::Sqlite).await;
        let id = w.create(request(kind)).await;
        w.until_status(&id, "ready").await;
        w.terminate(&id).await;
        w.until_status(&id, "terminated").await;
        assert_eq!(changes(&w), wanted, "{kind}: {:#}", w.emulator.journal());
    }
}

#[tokio::test]
async fn the_size_of_the_data_volume_follows_the_rules() {
    for (setup, extra, sizes) in [
        (Setup::default(), json!({"data_volume_gb": 0}), json!([400])),
        (Setup::default(), json!({"data_volume_gb": 77}), json!([400, 77])),
        (
            Setup { forced_data_volume_gb: Some(33), ..Setup::default() },
            json!({"data_volume_gb": 77}),
            json!([400, 33]),
        ),
        (Setup::default(), json!({"model_id": "meta-llama/Llama-3.3-70B-Instruct"}), json!([400, 450])),
        (Setup::default(), json!({"model_id": "unsloth/Qwen3-32B-GGUF@main:Q8_0"}), json!([400, 250])),
        (Setup::default(), json!({"model_id": "my-company/our-model", "data_volume_gb": 80}), json!([400, 80])),
        (Setup::default(), json!({"model_id": null}), json!([400])),
    ] {
        let w = World::with(Database::Sqlite, setup).await;
        let mut request = request("RENDER-S");
        request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let id = w.create(request).await;
        let shown = w.until_status(&id, "ready").await;
        assert_eq!(shown["storage_sizes_gb"], sizes, "{extra}: {}", shown["data_volume_reason"]);
    }
}

#[tokio::test]
async fn a_models_own_size_and_the_providers_default_are_used() {
    let w = World::new(Database::Sqlite).await;
    w.call("POST", "/models", Some(json!({"id": "Qwen/Qwen2.5-7B-Instruct", "data_volume_gb": 55}))).await;
    let settings = json!({"worker_data_volume_gb_default": 66, "delete_on_terminate_default": false});
    assert_eq!(w.call("PATCH", "/provider_settings/scaleway", Some(settings)).await.0, 200);
    let id = w.create(request("RENDER-S")).await;
    let shown = w.until_status(&id, "ready").await;
    assert_eq!(shown["storage_sizes_gb"], json!([400, 55]));
    assert_eq!(shown["storages"][1]["delete_on_terminate"], false, "the provider's setting");
    let id = w
        .create(
            json!({"zone": "fr-par-2", "instance_type": "RENDER-S", "model_id": "my-company/our-model", "force": true,
        "engine": {"kind": "none"}}),
        )
        .await;
    assert_eq!(w.until_status(&id, "ready").await["storage_sizes_gb"], json!([400, 66]));
    // The size of a repository applies to its revisions, unless they have their own.
    let model = |id: &str| {
        json!({"zone": "fr-par-2", "instance_type": "RENDER-S", "model_id": id, "force": true,
        "engine": {"kind": "none"}})
    };
    let id = w.create(model("Qwen/Qwen2.5-7B-Instruct@v1")).await;
    assert_eq!(w.show(&id).await["data_volume_reason"], "the model's data_volume_gb says 55 GB");
}

#[tokio::test]
async fn a_model_of_unknown_size_gets_no_volume_that_may_be_too_small() {
    let w = World::new(Database::Sqlite).await;
    let mut request = request("RENDER-S");
    request["model_id"] = json!("my-company/our-model");
    let (status, problem) = w.call("POST", "/instances", Some(request.clone())).await;
    let detail = problem["detail"].as_str().unwrap();
    assert_eq!(status, 422, "{problem}");
    assert!(detail.contains("data_volume_gb") && detail.contains("my-company/our-model"), "{detail}");
    assert_eq!(w.call("GET", "/instances", None).await.1["items"], json!([]));
    // A size set for the model is used.
    w.call("POST", "/models", Some(json!({"id": "my-company/our-model", "data_volume_gb": 90}))).await;
    let id = w.create(request).await;
    assert_eq!(w.until_status(&id, "ready").await["storage_sizes_gb"], json!([400, 90]));
}

#[tokio::test]
async fn a_boot_volume_on_block_storage_is_grown_on_request_and_keeps_its_speed() {
    let w = World::new(Database::Sqlite).await;
    let mut request = request("L4-1-24G");
    request["boot_volume_gb"] = json!(100);
    request["perf_iops"] = json!(15000);
    let id = w.create(request).await;
    let shown = w.until_status(&id, "ready").await;
    w.settle().await;
    let shown_later = w.show(&id).await;
    assert_eq!(shown_later["storage_sizes_gb"], json!([100, 200]), "{shown:#}");
    assert_eq!(shown_later["storages"][1]["perf_iops"], 15000);
    assert!(w.actions(&id).await.contains(&"PROVIDER_VOLUME_RESIZE".to_owned()));
}

#[tokio::test]
async fn render_s_boots_on_block_storage_where_there_is_no_local_image() {
    let options = Options { local_gpu_image_for_render: false, ..Options::default() };
    let w = World::with(Database::Sqlite, Setup { emulator: options, ..Setup::default() }).await;
    let id = w.create(request("RENDER-S")).await;
    let shown = w.until_status(&id, "ready").await;
    assert_eq!(shown["storage_sizes_gb"], json!([20, 200]), "{shown:#}");
    w.terminate(&id).await;
    w.until_status(&id, "terminated").await;
    assert_eq!(w.left(), (0, 0, 0));
}

#[tokio::test]
async fn first_boot_instructions_name_the_data_volume() {
    let w = World::new(Database::Sqlite).await;
    let id = w.create(request("L4-1-24G")).await;
    let shown = w.until_status(&id, "ready").await;
    let server = shown["provider_instance_id"].as_str().unwrap();
    let request = http::Request::get(format!("/instance/v1/zones/fr-par-2/servers/{server}/user_data/cloud-init"))
        .header("x-auth-token", "any")
        .body(bytes::Bytes::new())
        .unwrap();
    let text = String::from_utf8(w.emulator.handle(&request).body().to_vec()).unwrap();
    assert!(text.starts_with("#cloud-config\n"), "{text}");
    let data = shown["storages"][1]["provider_volume_id"].as_str().unwrap();
    assert!(text.contains(&format!("scsi-0SCW_sbs_volume-{data}")), "{text}");
    assert!(text.contains("INVENTIV_MODEL_ID=Qwen/Qwen2.5-7B-Instruct"), "{text}");
}

#[tokio::test]
async fn an_instance_whose_only_address_is_ipv6_lives_and_ends_like_any_other() {
    for db in Database::both() {
        let w = World::new(db).await;
        let id = w.create(request("L40S-1-48G")).await;
        w.until(5, "its server exists", async |w| w.show(&id).await["provider_instance_id"].is_string()).await;
        let server = w.show(&id).await["provider_instance_id"].as_str().unwrap().to_owned();
        let path = format!("/instance/v1/zones/fr-par-2/servers/{server}");
        w.third_party("PATCH", &path, Some(json!({"dynamic_ip_required": false})));
        let flexible = json!({"type": "routed_ipv6", "server": server});
        w.third_party("POST", "/instance/v1/zones/fr-par-2/ips", Some(flexible));
        let shown = w.until_status(&id, "ready").await;
        let address = shown["ip_address"].as_str().unwrap();
        assert!(address.parse::<std::net::Ipv6Addr>().is_ok(), "{shown:#}");
        assert_eq!(shown["addresses"], json!([address]));
        w.terminate(&id).await;
        w.until_status(&id, "terminated").await;
        assert_eq!(w.left(), (0, 0, 1), "the address belongs to a third party and is left alone");
        assert!(w.actions(&id).await.contains(&"FOREIGN_ADDRESS_LEFT".to_owned()));
    }
}
