//! Tests of `PATCH /instances/{id}`: a new name.

use crate::helpers::ask;
use inventiv_testkit::{Database, World};
use serde_json::json;

#[tokio::test]
async fn an_instance_can_be_renamed_and_frees_its_old_name() {
    for db in Database::both() {
        let w = World::new(db).await;
        let request =
            |name: &str| json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "data_volume_gb": 0, "name": name});
        let (one, two) = (w.create(request("one")).await, w.create(request("two")).await);
        w.until_status(&one, "ready").await;
        let rename = async |of: &str, to: &str| {
            ask(&w, "PATCH", &format!("/instances/{of}"), None, Some(json!({"name": to}))).await
        };
        let taken = rename(&one, "two").await;
        assert_eq!((taken.status, &taken.json()["type"]), (409, &json!("urn:inventiv:name_taken")), "{}", taken.json());
        assert!(taken.json()["detail"].as_str().unwrap().contains(&two));
        for wrong in ["", "ins-1", ".", "a\u{202e}b"] {
            assert_eq!(rename(&one, wrong).await.status, 422, "{wrong:?}");
        }
        assert_eq!(rename("one", "three").await.status, 200, "by its name");
        assert_eq!(rename(&one, "three").await.status, 200, "a repeated rename changes nothing");
        assert_eq!(w.call("GET", "/instances/three", None).await.1["id"], one);
        assert_eq!(w.call("GET", "/instances/one", None).await.0, 404);
        // The old name is free and the new one is taken, also for new instances.
        assert_eq!(rename(&two, "one").await.status, 200);
        assert_eq!(ask(&w, "POST", "/instances", None, Some(request("three"))).await.status, 409);
        assert_eq!(ask(&w, "POST", "/instances", None, Some(request("two"))).await.status, 202);
        let (_, logs) = w.call("GET", &format!("/action_logs?instance_id={one}&limit=500"), None).await;
        let renamed = logs["items"].as_array().unwrap().iter().filter(|l| l["action"] == "REQUEST_RENAME").count();
        assert_eq!(renamed, 1, "{logs}");
        // It ends under its new name; an ended instance keeps its name.
        w.call("DELETE", "/instances/three", None).await;
        w.until_status(&one, "terminated").await;
        assert_eq!(rename(&one, "four").await.status, 409);
        assert_eq!(ask(&w, "POST", "/instances", None, Some(request("three"))).await.status, 202, "its name is free");
    }
}
