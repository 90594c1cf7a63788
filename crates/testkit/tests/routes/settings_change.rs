//! Tests of `PATCH /provider_settings/{provider}`.

use crate::helpers::ask;
use inventiv_testkit::{Database, World};
use serde_json::json;

#[tokio::test]
async fn concurrent_changes_of_settings_do_not_undo_each_other() {
    for db in Database::both() {
        let w = World::new(db).await;
        for n in 1..=10 {
            let size = json!({"worker_data_volume_gb_default": n});
            let image = json!({"default_image": format!("image_{n}")});
            let path = "/provider_settings/scaleway";
            let (a, b) = tokio::join!(
                ask(&w, "PATCH", path, None, Some(size.clone())),
                ask(&w, "PATCH", path, None, Some(image.clone()))
            );
            assert_eq!((a.status, b.status), (200, 200), "{} {}", a.json(), b.json());
            let now = ask(&w, "GET", path, None, None).await.json();
            assert_eq!(now["worker_data_volume_gb_default"], n, "{now}");
            assert_eq!(now["default_image"], image["default_image"], "{now}");
        }
    }
}
