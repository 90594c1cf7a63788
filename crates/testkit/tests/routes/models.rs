//! Tests of `/models`.

use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

#[tokio::test]
async fn models_are_created_changed_and_removed_and_recommend_a_volume_size() {
    for db in Database::both() {
        let w = World::new(db).await;
        let new = || Some(json!({"id": "Qwen/Qwen2.5-72B-Instruct"}));
        assert_eq!(w.call("POST", "/models", new()).await.0, 201);
        assert_eq!(w.call("POST", "/models", new()).await.0, 409);
        for path in ["/models/Qwen/Qwen2.5-72B-Instruct", "/models/Qwen%2FQwen2.5-72B-Instruct"] {
            assert_eq!(w.call("GET", path, None).await.1["data_volume_gb"], Value::Null, "{path}");
            let (status, r) = w.call("GET", &format!("{path}/recommended-data-volume"), None).await;
            assert_eq!((status, &r["data_volume_gb"]), (200, &json!(450)), "{r:#}");
            assert_eq!(r["terms"]["parameters_millions"], 72_000);
        }
        let path = "/models/Qwen/Qwen2.5-72B-Instruct";
        assert_eq!(w.call("PATCH", path, Some(json!({"data_volume_gb": 500}))).await.1["data_volume_gb"], 500);
        assert_eq!(w.call("PATCH", path, Some(json!({"data_volume_gb": -5}))).await.0, 422);
        assert_eq!(w.call("PATCH", path, Some(json!({}))).await.0, 422);
        assert_eq!(w.call("DELETE", path, None).await.0, 204);
        assert_eq!(w.call("DELETE", path, None).await.0, 404);
        let (_, r) = w.call("GET", "/models/my/model/recommended-data-volume", None).await;
        assert_eq!(r["data_volume_gb"], Value::Null, "{r:#}");
    }
}
