//! Tests of `GET /models/{id}/fit`, and of `POST /instances` with a model that does not fit.

use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

/// What a request that names `kind` for `model` is answered.
async fn post(w: &World, kind: &str, model: &str, more: Value) -> (u16, Value) {
    let mut request = json!({"zone": "fr-par-2", "instance_type": kind, "model_id": model});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    w.call("POST", "/instances", Some(request)).await
}

#[tokio::test]
async fn a_model_that_does_not_fit_is_refused_with_its_terms_and_types_that_it_fits() {
    for db in Database::both() {
        let w = World::new(db).await;
        for (kind, model, more, says) in [
            (
                "L40S-1-48G",
                "meta-llama/Llama-3.3-70B-Instruct",
                json!({}),
                vec![
                    "weights 140.0 GB",
                    "= 144.7 GB",
                    "in fr-par-2, it fits H100-2-80G (5.7330 EUR/h), L40S-4-48G",
                    "`force`",
                ],
            ),
            ("L4-1-24G", "meta-llama/Llama-3.1-405B-Instruct-FP8", json!({}), vec!["it fits B300-SXM-2-288G"]),
            (
                "L4-1-24G",
                "Qwen/Qwen2.5-7B-Instruct",
                json!({"engine": {"context_tokens": 1_000_000}}),
                vec!["1000000 tokens"],
            ),
            ("RENDER-S", "Qwen/Qwen2.5-7B-Instruct", json!({}), vec!["compute capability 7.0", "llamacpp"]),
            ("L40S-1-48G", "big/model-3000B", json!({}), vec!["no type that is in stock has enough memory"]),
            (
                "L40S-1-48G",
                "Qwen/Qwen2.5-7B-Instruct",
                json!({"engine": {"kind": "llamacpp"}}),
                vec!["serves GGUF files", "another engine"],
            ),
        ] {
            let (status, problem) = post(&w, kind, model, more).await;
            assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("#/instance_type")), "{problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(says.iter().all(|s| detail.contains(s)), "{detail}");
        }
        assert_eq!(w.call("GET", "/instances", None).await.1["items"], json!([]), "nothing was recorded");
    }
}

#[tokio::test]
async fn what_fits_is_created_with_its_engine_and_what_is_forced_keeps_the_reason() {
    let w = World::new(Database::Sqlite).await;
    for (kind, model, more, engine, warning) in [
        ("L40S-1-48G", "Qwen/Qwen2.5-7B-Instruct", json!({}), json!({"kind": "vllm", "context_tokens": 8_192}), ""),
        (
            "RENDER-S",
            "Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M",
            json!({"engine": {"context_tokens": 4_096}}),
            json!({"kind": "llamacpp", "context_tokens": 4_096}),
            "",
        ),
        (
            "L4-1-24G",
            "Qwen/Qwen2.5-32B-Instruct",
            json!({"force": true}),
            json!({"kind": "vllm", "context_tokens": 8_192}),
            "the model does not fit L4-1-24G: weights 64.0 GB",
        ),
        (
            "L4-1-24G",
            "my-company/our-model",
            json!({"data_volume_gb": 50}),
            json!({"kind": "vllm", "context_tokens": 8_192}),
            "the size of my-company/our-model is unknown",
        ),
        (
            "RENDER-S",
            "Qwen/Qwen2.5-1.5B-Instruct",
            json!({"engine": {"kind": "command", "command": ["serve", "{port}"]}}),
            json!({"kind": "command", "context_tokens": 8_192}),
            "what else the program needs is unknown",
        ),
    ] {
        let (status, made) = post(&w, kind, model, more).await;
        let shown = json!({"kind": made["engine"]["kind"], "context_tokens": made["engine"]["context_tokens"]});
        assert_eq!((status, &shown), (202, &engine), "{made}");
        let warnings = made["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), usize::from(!warning.is_empty()), "{warnings:?}");
        assert!(warnings.iter().all(|w| w.as_str().unwrap().contains(warning)), "{warnings:?}");
        // Later reads show both, too.
        let shown = w.show(made["id"].as_str().unwrap()).await;
        assert_eq!((&shown["warnings"], &shown["engine"]), (&made["warnings"], &made["engine"]));
    }
    let (_, made) = w.call("POST", "/instances", Some(json!({"zone": "fr-par-2", "instance_type": "L4-1-24G"}))).await;
    assert_eq!(made["engine"], Value::Null);
}

#[tokio::test]
async fn the_question_is_answered_for_each_type_the_cheapest_first() {
    for db in Database::both() {
        let w = World::new(db).await;
        for path in ["/models/Qwen/Qwen2.5-32B-Instruct/fit", "/models/Qwen%2FQwen2.5-32B-Instruct/fit"] {
            let (status, answer) = w.call("GET", &format!("{path}?zone=fr-par-2"), None).await;
            assert_eq!(status, 200, "{answer}");
            let types = answer["types"].as_array().unwrap();
            let price = |t: &Value| t["offer"]["hourly_micros"].as_i64().unwrap();
            assert!(types.is_sorted_by_key(price) && types.len() > 10, "{}", types.len());
            let of = |kind: &str| types.iter().find(|t| t["offer"]["instance_type"] == kind).unwrap();
            assert_eq!(of("L40S-1-48G")["verdict"], "does_not_fit");
            let fits = of("L40S-2-48G");
            assert_eq!(fits["verdict"], "fits", "{fits:#}");
            assert_eq!(fits["terms"]["weights_bytes"], 64_000_000_000_i64);
            assert_eq!(fits["terms"]["gpus_used"], 2);
            assert!(types.iter().all(|t| t["offer"]["gpu_count"].as_i64() > Some(0)));
        }
    }
    let w = World::new(Database::Sqlite).await;
    let ask = async |query: &str| w.call("GET", &format!("/models/a/b-7B/fit?{query}"), None).await;
    let one = ask("zone=fr-par-2&instance_type=RENDER-S&engine=command").await.1;
    assert_eq!((&one["engine"]["kind"], one["types"].as_array().unwrap().len()), (&json!("command"), 1));
    // A type without a GPU is answered only if it is named.
    let cpu = ask("instance_type=PLAY2-PICO&zone=fr-par-2").await.1;
    assert_eq!(cpu["types"][0]["verdict"], "does_not_fit", "{cpu}");
    let unknown = w.call("GET", "/models/my/model/fit?zone=fr-par-2&instance_type=L4-1-24G", None).await.1;
    assert_eq!((&unknown["types"][0]["verdict"], &unknown["types"][0]["terms"]), (&json!("unknown"), &Value::Null));
    for (query, parameter) in [
        ("zone=mars-1", "zone"),
        ("instance_type=nosuch", "instance_type"),
        ("engine=nosuch", "engine"),
        ("context_tokens=0", "context_tokens"),
        ("context_tokens=10000001", "context_tokens"),
        ("colour=red", "colour"),
    ] {
        let (status, problem) = ask(query).await;
        assert_eq!((status, &problem["errors"][0]["parameter"]), (422, &json!(parameter)), "{query}: {problem}");
    }
    assert_eq!(w.call("GET", "/models/a/b/c/fit", None).await.0, 404);
    assert_eq!(w.call("GET", "/models/a%2Fb%2Fc/fit", None).await.0, 422);
}

#[tokio::test]
async fn a_wrong_engine_is_refused_with_its_place() {
    let w = World::new(Database::Sqlite).await;
    let model = "Qwen/Qwen2.5-7B-Instruct";
    for (engine, pointer) in [
        (json!({"kind": "nosuch"}), "#/engine/kind"),
        (json!({"context_tokens": 0}), "#/engine/context_tokens"),
        (json!({"context_tokens": "many"}), "#/engine/context_tokens"),
        (json!({"colour": "red"}), "#/engine/colour"),
    ] {
        let (status, problem) = post(&w, "L4-1-24G", model, json!({"engine": engine})).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)), "{engine}: {problem}");
    }
    let without = json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "engine": {"kind": "vllm"}});
    let (status, problem) = w.call("POST", "/instances", Some(without)).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("#/engine")), "{problem}");
}
