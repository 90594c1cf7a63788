//! `POST /plans`: what a request would make and cost. It is refused like the request itself, creates nothing, and
//! holds a request that names it to what it showed.

use inventiv_core::id::PlanId;
use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

fn request() -> Value {
    json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "model_id": "Qwen/Qwen2.5-7B-Instruct",
        "engine": {"kind": "none"}, "name": "qwen", "ttl_seconds": 3_600, "delete_on_terminate": false})
}

#[tokio::test]
async fn a_plan_names_every_part_and_what_the_instance_then_costs() {
    let w = World::new(Database::Sqlite).await;
    w.orchestrator.refresh_catalogue().await.unwrap();
    let (status, plan) = w.call("POST", "/plans", Some(request())).await;
    assert_eq!(status, 200, "{plan:#}");
    let parts: Vec<(&str, &Value, &Value)> = plan["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["kind"].as_str().unwrap(), &p["size_gb"], &p["hourly_micros"]))
        .collect();
    let null = Value::Null;
    let (server, scratch, data) = (json!(1_469_916), json!(1_600), json!(200));
    let (free, of_data, of_address) = (json!(0), json!(26_000), json!(5_000));
    assert_eq!(
        parts,
        [
            ("server", &null, &server),
            ("boot_volume", &null, &null),
            ("scratch_volume", &scratch, &free),
            ("data_volume", &data, &of_data),
            ("address", &null, &of_address),
        ]
    );
    assert_eq!((&plan["hourly_micros"], &plan["staying_monthly_micros"]), (&json!(1_500_916), &json!(18_980_000)));
    assert_eq!(plan["first_hour_micros"], 1_505_916, "an address costs a cent at least");
    assert_eq!((&plan["daily_micros"], &plan["monthly_micros"]), (&json!(36_021_984), &json!(1_095_668_680)));
    assert!(plan["expires_at"].is_string() && plan["availability"] == "available", "{plan:#}");
    // Nothing was recorded, and the request itself makes what was planned.
    assert_eq!(w.call("GET", "/instances", None).await.1["items"], json!([]));
    let id = w.create(request()).await;
    let ready = w.until_status(&id, "ready").await;
    assert_eq!(ready["storage_sizes_gb"], json!([20, 1_600, 200]));
    let boot = 20 * 130;
    let forecast = w.call("GET", "/costs/forecast", None).await.1;
    assert_eq!(forecast["currencies"][0]["hourly_micros"], 1_500_916 + boot, "{forecast:#}");
}

#[tokio::test]
async fn what_would_be_refused_is_refused_with_the_same_words() {
    let w = World::new(Database::Sqlite).await;
    w.orchestrator.refresh_catalogue().await.unwrap();
    for (field, value) in [
        ("zone", json!("mars")),
        ("instance_type", json!("L99")),
        ("ttl_seconds", json!(5)),
        ("data_volume_gb", json!(-1)),
        ("colour", json!("red")),
        ("model_id", json!("meta-llama/Llama-3.1-405B-Instruct")),
    ] {
        let mut wrong = request();
        wrong[field] = value;
        if field == "model_id" {
            wrong["engine"] = json!({"kind": "vllm"});
        }
        let planned = w.call("POST", "/plans", Some(wrong.clone())).await;
        let created = w.call("POST", "/instances", Some(wrong)).await;
        assert!(planned.0 >= 400, "{field}: {planned:?}");
        assert_eq!(
            (planned.0, &planned.1["errors"], &planned.1["detail"]),
            (created.0, &created.1["errors"], &created.1["detail"])
        );
    }
}

/// The same plan, made when the price was 98 % of today's.
async fn of_a_cheaper_day(w: &World, id: &str, draw: u128) -> String {
    let now = (w.settings().now)();
    let mut plan = w.store.plan(&PlanId::parse(id).unwrap(), now).await.unwrap().unwrap();
    plan.agreed.hourly_micros = plan.agreed.hourly_micros * 98 / 100;
    plan.id = PlanId::new(draw);
    w.store.add_plan(&plan).await.unwrap();
    plan.id.to_string()
}

#[tokio::test]
async fn a_request_that_names_a_plan_is_carried_out_only_if_the_plan_holds() {
    for db in Database::both() {
        let w = World::new(db).await;
        w.orchestrator.refresh_catalogue().await.unwrap();
        let service = json!({"model_id": "Qwen/Qwen2.5-7B-Instruct", "name": "chat", "max_replicas": 3});
        for (draw, plan_path, path, request, id_field) in [
            (1, "/plans", "/instances", request(), "id"),
            (2, "/services?dry_run=true", "/services", service, "plan_id"),
        ] {
            let (status, planned) = w.call("POST", plan_path, Some(request.clone())).await;
            assert_eq!(status, 200, "{planned:#}");
            let plan = planned[id_field].as_str().unwrap().to_owned();
            let with = |plan: &str, name: &str| {
                let mut named = request.clone();
                (named["plan_id"], named["name"]) = (json!(plan), json!(name));
                named
            };
            let name = request["name"].as_str().unwrap();
            for (wrong, why) in [("plan-1", "no such plan"), ("plan-00000000000000000000000000", "no such plan")] {
                let (status, problem) = w.call("POST", path, Some(with(wrong, name))).await;
                assert!(status == 422 && problem["detail"].as_str().unwrap().contains(why), "{problem:#}");
            }
            let mut other = with(&plan, "other");
            other["data_volume_gb"] = json!(300);
            let (status, problem) = w.call("POST", path, Some(other)).await;
            assert!(status == 422 && problem["errors"][0]["pointer"] == "#/plan_id", "{problem:#}");
            assert!(problem["detail"].as_str().unwrap().contains("different request"), "{problem:#}");
            // Its price rose by 2 %.
            let cheap = of_a_cheaper_day(&w, &plan, draw).await;
            let (status, problem) = w.call("POST", path, Some(with(&cheap, name))).await;
            assert_eq!((status, &problem["type"]), (409, &json!("urn:inventiv:plan_moved")), "{problem:#}");
            assert!(problem["detail"].as_str().unwrap().contains("the price per hour was"), "{problem:#}");
            assert_eq!(w.call("GET", path, None).await.1["items"], json!([]), "nothing was created");
            let (status, made) = w.call("POST", path, Some(with(&plan, name))).await;
            assert!((200..300).contains(&status), "{made:#}");
            w.advance_ms(24 * 3_600 * 1_000 + 1_000);
            let (status, _) = w.call("POST", path, Some(with(&plan, name))).await;
            assert!(status >= 400, "a plan holds for a day");
        }
    }
}
