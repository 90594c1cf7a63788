//! Whole lives against the emulator, on both databases.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use inventiv_testkit::{Database, World};
use serde_json::json;

#[tokio::test]
async fn smoke() {
    for db in Database::both() {
        let w = World::new(db).await;
        let id = w
            .create(json!({"zone": "fr-par-2", "instance_type": "RENDER-S", "model_id": "Qwen/Qwen2.5-7B-Instruct"}))
            .await;
        let shown = w.until_status(&id, "ready").await;
        assert_eq!(shown["storage_sizes_gb"], json!([400, 200]), "{shown:#}");
        println!("{:#?}", w.actions(&id).await);
        w.terminate(&id).await;
        let shown = w.until_status(&id, "terminated").await;
        assert_eq!(w.left(), (0, 0, 0), "{shown:#}");
        println!("{:#?}", w.actions(&id).await);
    }
}
