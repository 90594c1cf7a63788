//! Tests of `GET /instances`: pages.

use crate::helpers::request_for_model;
use inventiv_testkit::{Database, World};

#[tokio::test]
async fn pages_contain_each_row_exactly_once() {
    for db in Database::both() {
        let w = World::new(db).await;
        let mut made = Vec::new();
        for _ in 0..7 {
            made.push(w.create(request_for_model()).await);
        }
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let (status, page) = w.call("GET", &format!("/instances?limit=3{after}"), None).await;
            assert_eq!(status, 200);
            seen.extend(page["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(seen, made);
    }
}
