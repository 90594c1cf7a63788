//! Tests of every page: while nothing runs, with instances in many states, and with names that are hostile.

use crate::helpers::Browser;
use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

/// Every page without an object.
const PAGES: [&str; 14] = [
    "/",
    "/console/services",
    "/console/services/new",
    "/console/instances",
    "/console/instances?status=ended",
    "/console/instances/new",
    "/console/volumes",
    "/console/audit",
    "/console/costs",
    "/console/costs?days=365&group_by=tag",
    "/console/costs/bill",
    "/console/costs/bill?month=2026-07",
    "/console/costs/export",
    "/console/settings",
];

fn request(name: &str) -> Value {
    json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "data_volume_gb": 50, "name": name})
}

#[tokio::test]
async fn every_page_works_while_nothing_runs_and_teaches_the_first_step() {
    for db in Database::both() {
        let w = World::new(db).await;
        for browser in [Browser::operator(&w).await, Browser::reader(&w).await] {
            for path in PAGES {
                let answer = browser.get(path).await;
                assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            }
        }
        let overview = Browser::operator(&w).await.get("/").await.text;
        for text in ["Nothing needs you", "Create a service", "0.00 EUR", "L4-1-24G"] {
            assert!(overview.contains(text), "{text}: {overview}");
        }
    }
}

#[tokio::test]
async fn an_instance_is_shown_from_the_request_to_the_proof() {
    for db in Database::both() {
        let w = World::new(db).await;
        let browser = Browser::operator(&w).await;
        let id = w.create(request("box")).await;
        let path = format!("/console/instances/{id}");
        assert!(browser.get(&path).await.text.contains("provisioning"));
        w.until_status(&id, "ready").await;
        let ready = browser.get(&path).await.text;
        for text in
            ["ready", "boots the server", "holds data", "deleted at the end", "50 GB", "attach the volume", "Terminate"]
        {
            assert!(ready.to_lowercase().contains(&text.to_lowercase()), "{text}: {ready}");
        }
        assert!(browser.get("/").await.text.contains("status=ready"));
        assert!(browser.get("/console/volumes").await.text.contains("50 GB"));
        w.terminate(&id).await;
        w.until_status(&id, "terminated").await;
        let proof = browser.get(&format!("{path}/proof")).await.text;
        for text in ["proven gone", "HTTP 404", "clean"] {
            assert!(proof.contains(text), "{text}: {proof}");
        }
        assert!(browser.get("/console/audit").await.text.contains(&format!("{id}/proof")));
        assert!(browser.get(&path).await.text.contains("proven gone"));
        assert!(!browser.get("/console/instances").await.text.contains(&id));
        assert!(browser.get("/console/instances?status=ended").await.text.contains(&id));
    }
}

#[tokio::test]
async fn a_hostile_text_is_shown_as_a_text() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    let hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> שלום 🦀";
    let long = "x".repeat(100);
    let mut ids = Vec::new();
    for name in [hostile, &long] {
        ids.push(w.create(request(name)).await);
    }
    w.call("POST", "/keys", Some(json!({"name": hostile, "scopes": ["<b>"]}))).await;
    w.call("POST", "/sessions", Some(json!({"name": hostile}))).await;
    let mut paths: Vec<String> = PAGES.iter().filter(|p| !p.ends_with("export")).map(|p| (*p).to_owned()).collect();
    for id in &ids {
        paths.extend(["", "/log", "/terminate", "/proof"].map(|part| format!("/console/instances/{id}{part}")));
    }
    paths.push(format!(
        "/console/instances?zone=%3Cscript%3Ealert(1)%3C/script%3E&status=%22%3E%3Cscript%3E&model={long}"
    ));
    for path in paths {
        let answer = browser.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(
            !answer.text.contains("<script>") && !answer.text.contains("<img") && !answer.text.contains("<b>"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_list_has_pages_and_its_filters_are_in_the_address() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    for n in 0..101 {
        w.create(request(&format!("box-{n:03}"))).await;
    }
    let first = browser.get("/console/instances?status=living&zone=fr-par-2").await.text;
    assert_eq!(first.matches("id=\"row-ins-").count(), 100);
    let next = first.split_once("rel=\"next\" href=\"").unwrap().1.split('"').next().unwrap().replace("&#38;", "&");
    assert!(next.contains("zone=fr-par-2") && next.contains("after=ins-"), "{next}");
    let second = browser.get(&next.replace("&amp;", "&")).await.text;
    assert_eq!(second.matches("id=\"row-ins-").count(), 1, "{second}");
    let none = browser.get("/console/instances?zone=nowhere").await;
    assert!(none.text.contains("unknown zone") && none.status == 200, "{}", none.text);
}

#[tokio::test]
async fn what_does_not_exist_is_said() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    for path in ["/console/nothing", "/console/instances/none", "/console/services/none", "/console/volumes/vol-x"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
        assert!(answer.text.contains("To the overview"), "{path}");
    }
    assert_eq!(browser.get("/console/assets/0/../../secret").await.status, 404);
    for (path, to) in [
        ("/console/settings/create-key", "/console/settings"),
        ("/console/instances/ins-1/power/stop", "/console/instances/ins-1"),
        ("/console/services/x/ask", "/console/services/x"),
        ("/console", "/"),
    ] {
        assert_eq!(browser.get(path).await.header("location"), to, "{path}");
    }
}

#[tokio::test]
async fn several_accounts_are_shown_together() {
    let w = World::new(Database::Sqlite).await;
    let (mut settings, other) = (w.settings(), "scaleway:22222222-2222-4222-8222-222222222222");
    let project = other.strip_prefix("scaleway:").unwrap();
    w.store.remember_account(other, "scaleway", project, (settings.now)()).await.unwrap();
    crate::helpers::audit(&w).await;
    assert!(Browser::operator(&w).await.get("/").await.text.contains("The last audit is clean"));
    settings.accounts.push(inventiv_api::Account {
        id: other.to_owned(),
        name: "dev".to_owned(),
        ..inventiv_testkit::account()
    });
    let mut browser = Browser::operator(&w).await;
    browser.console = inventiv_console::Console::new(inventiv_api::App::new(settings).router()).router();
    for path in PAGES {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    assert!(browser.get("/console/services/new").await.text.contains(">dev</option>"));
    // The second account was never audited.
    assert!(browser.get("/").await.text.contains("not known whether something is left behind"));
}

#[tokio::test]
async fn a_page_says_only_what_is_known_about_costs() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    let mut kept = request("kept");
    kept["delete_on_terminate"] = json!(false);
    let id = w.create(kept).await;
    w.until_status(&id, "ready").await;
    w.terminate(&id).await;
    w.until_status(&id, "terminated").await;
    // Nothing runs, and the retained volume costs money.
    let overview = browser.get("/").await.text;
    assert!(overview.contains("No instance runs") && !overview.contains("Nothing costs money"), "{overview}");
}
