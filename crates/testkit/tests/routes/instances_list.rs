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
        assert_eq!(all_pages(&w, "limit=3").await, made);
        assert_eq!(all_pages(&w, "limit=3&newest_first=false").await, made);
        made.reverse();
        for filter in ["", "&status=provisioning,ready", "&zone=fr-par-2"] {
            assert_eq!(all_pages(&w, &format!("limit=3&newest_first=true{filter}")).await, made, "{filter}");
        }
    }
}

/// The ids of all instances, page by page.
async fn all_pages(w: &World, query: &str) -> Vec<String> {
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let (status, page) = w.call("GET", &format!("/instances?{query}{after}"), None).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(page["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return seen,
        }
    }
}
