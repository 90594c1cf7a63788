//! Tests of `GET /offers`.

use crate::helpers::request_of;
use inventiv_testkit::{Database, World};
use serde_json::Value;

#[tokio::test]
async fn a_type_at_its_end_of_service_causes_a_warning_in_offers_and_on_creation() {
    let w = World::new(Database::Sqlite).await;
    let (_, offers) = w.call("GET", "/offers", None).await;
    let offers = offers["items"].as_array().unwrap();
    for ends in [true, false] {
        let fits = |o: &&Value| o["end_of_service"] == ends && o["availability"] != "shortage";
        let offer = offers.iter().find(fits).unwrap();
        let kind = offer["instance_type"].as_str().unwrap();
        let mut request = request_of(kind, None);
        request["zone"] = offer["zone"].clone();
        let (status, made) = w.call("POST", "/instances", Some(request)).await;
        assert_eq!(status, 202, "{made}");
        let reported = made["warnings"].to_string().contains("end of service");
        assert_eq!(reported, ends, "{kind}: {}", made["warnings"]);
    }
}
