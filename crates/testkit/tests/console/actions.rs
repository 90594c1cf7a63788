//! Tests of every action: the price is shown first, a form that is sent twice acts once, and a reader cannot act.

use crate::helpers::Browser;
use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

const OFFER: &str = "scaleway:11111111-1111-4111-8111-111111111111 fr-par-2 L4-1-24G";

async fn instances(w: &World) -> Vec<Value> {
    w.call("GET", "/instances", None).await.1["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_instance_is_created_after_its_price_was_shown_and_only_once() {
    for db in Database::both() {
        let w = World::new(db).await;
        let browser = Browser::operator(&w).await;
        let request =
            [("offer", OFFER), ("name", "box"), ("data_volume_gb", "50"), ("ttl_hours", "8"), ("at_the_end", "keep")];
        let plan = browser.post("/console/instances/new", &request).await;
        assert_eq!(plan.status, 200, "{}", plan.text);
        for text in ["per hour", "in the first hour", "50 GB", "stays at the end", "Create for"] {
            assert!(plan.text.contains(text), "{text}: {}", plan.text);
        }
        assert_eq!(instances(&w).await, Vec::<Value>::new(), "a plan creates nothing");
        let (plan_id, key) = (plan.hidden("plan_id"), plan.hidden("key"));
        let mut confirmed = request.to_vec();
        confirmed.extend([("plan_id", plan_id.as_str()), ("key", key.as_str())]);
        let created = browser.post("/console/instances/new", &confirmed).await;
        let again = browser.post("/console/instances/new", &confirmed).await;
        assert_eq!((created.status, created.header("location")), (303, again.header("location")), "{}", created.text);
        let made = instances(&w).await;
        assert_eq!((made.len(), &made[0]["name"]), (1, &json!("box")));
        let detail = w.show(made[0]["id"].as_str().unwrap()).await;
        assert!(detail["expires_at"].is_string(), "{detail}");
    }
}

#[tokio::test]
async fn a_form_that_is_wrong_says_why_and_keeps_what_was_entered() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    for (request, text) in [
        (vec![("name", "box")], "Choose a server type"),
        (vec![("offer", OFFER), ("name", "box"), ("ttl_hours", "soon")], "whole number"),
        (vec![("offer", OFFER), ("name", "box"), ("ttl_hours", "9223372036854775807")], "ttl_seconds"),
        (vec![("offer", OFFER), ("name", "box"), ("model", "meta-llama/Llama-3.1-70B-Instruct")], "fit"),
        (vec![("offer", "x nowhere L4"), ("name", "box")], "<p>account: unknown account"),
    ] {
        let answer = browser.post("/console/instances/new", &request).await;
        assert_eq!(answer.status / 100, 4, "{request:?}: {}", answer.text);
        assert!(answer.text.contains(text) && answer.text.contains("value=\"box\""), "{request:?}: {}", answer.text);
    }
    let answer =
        browser.post("/console/services/new", &[("model", "Qwen/Qwen2.5-7B-Instruct"), ("max_replicas", "x")]).await;
    assert!(answer.status == 422 && answer.text.contains("whole number"), "{}", answer.text);
    assert_eq!(instances(&w).await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_end_is_requested_after_its_consequences_were_shown() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    let request =
        json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "data_volume_gb": 50, "delete_on_terminate": false});
    let id = w.create(request).await;
    w.until_status(&id, "ready").await;
    let path = format!("/console/instances/{id}/terminate");
    let page = browser.get(&path).await.text;
    let (goes, stays) = page.split_once("Will stay").unwrap();
    assert!(stays.contains("50 GB") && !goes.contains("50 GB") && goes.contains("The server"), "{page}");
    assert_eq!(w.show(&id).await["status"], "ready");
    let other = browser.post(&path, &[("seen", "")]).await;
    assert!(other.status == 409 && other.text.contains("has changed"), "{}", other.text);
    assert_eq!(browser.post(&path, &[("seen", &browser.get(&path).await.hidden("seen"))]).await.status, 303);
    w.until_status(&id, "terminated").await;
    // What stays is listed with its cost, and released only on request.
    let volumes = browser.get("/console/volumes").await.text;
    let retained = volumes.split_once("In use").unwrap().0;
    assert!(retained.contains("50 GB") && retained.contains("per hour"), "{volumes}");
    let (_, listed) = w.call("GET", "/volumes?status=retained", None).await;
    let volume = listed["items"][0]["id"].as_str().unwrap();
    let path = format!("/console/volumes/{volume}");
    assert!(browser.get(&path).await.text.contains("cannot be undone"));
    for wrong in ["delete", "Release", "keep", ""] {
        assert_eq!(browser.post(&path, &[("policy", wrong)]).await.status, 409, "{wrong}");
    }
    let old = browser.post(&path, &[("policy", "release"), ("tag", "\"0\"")]).await;
    assert_eq!(old.status, 412, "what was shown is not there any more: {}", old.text);
    assert_eq!(w.call("GET", &format!("/volumes/{volume}"), None).await.1["status"], "retained");
    browser.post(&path, &[("policy", "release")]).await;
    assert_eq!(w.call("GET", &format!("/volumes/{volume}"), None).await.1["delete_on_terminate"], true);
    w.settle().await;
    assert_eq!(w.left(), (0, 0, 0));
}

#[tokio::test]
async fn a_service_is_planned_created_changed_and_deleted() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    let request =
        [("model", "Qwen/Qwen2.5-7B-Instruct"), ("name", "chat"), ("max_replicas", "2"), ("zones", "fr-par-2")];
    let plan = browser.post("/console/services/new", &request).await;
    assert!(plan.status == 200 && plan.text.contains("with all replicas"), "{}", plan.text);
    let count = async || w.call("GET", "/services", None).await.1["items"].as_array().unwrap().len();
    assert_eq!(count().await, 0, "a plan creates nothing");
    let (plan_id, key) = (plan.hidden("plan_id"), plan.hidden("key"));
    let mut confirmed = request.to_vec();
    confirmed.extend([("plan_id", plan_id.as_str()), ("key", key.as_str())]);
    let created = browser.post("/console/services/new", &confirmed).await;
    assert_eq!(created.status, 303, "{}", created.text);
    browser.post("/console/services/new", &confirmed).await;
    assert_eq!(count().await, 1);
    let path = created.header("location");
    assert!(browser.get(&path).await.text.contains("No replica runs"));
    let settings = [("min_replicas", "0"), ("max_replicas", "3"), ("idle_seconds", "300"), ("was_min_replicas", "0")];
    assert_eq!(browser.post(&format!("{path}/settings"), &settings).await.status, 303);
    let service = w.call("GET", "/services/chat", None).await.1;
    assert_eq!((&service["max_replicas"], &service["idle_seconds"]), (&json!(3), &json!(300)));
    let asked = browser.post(&format!("{path}/ask"), &[("question", "Who are you?")]).await;
    assert!(asked.status == 409 && asked.text.contains("No replica is ready"), "{}", asked.text);
    let question = json!({"messages": [{"role": "user", "content": "Who are you?"}]});
    let asked = browser.post_json(&format!("{path}/chat"), &question).await;
    assert!(asked.status == 409 && asked.text.starts_with("No replica is ready"), "{}", asked.text);
    assert_eq!(asked.header("content-type"), "text/plain; charset=utf-8");
    let anybody = Browser::new(&w).post_json(&format!("{path}/chat"), &question).await;
    assert_eq!((anybody.status, anybody.header("location")), (303, "/console/login".to_owned()));
    let elsewhere = [("sec-fetch-site", "cross-site"), ("content-type", "application/json")];
    assert_eq!(browser.send("POST", &format!("{path}/chat"), &elsewhere, question.to_string()).await.status, 403);
    assert_eq!(browser.post(&format!("{path}/warm"), &[]).await.status, 303);
    assert!(browser.get(&format!("{path}/delete")).await.text.contains("drained"));
    assert_eq!(browser.post(&format!("{path}/delete"), &[]).await.status, 303);
    assert_eq!(w.call("GET", "/services/chat", None).await.1["status"], "deleting");
}

#[tokio::test]
async fn keys_secrets_limits_and_links_are_made_shown_once_and_removed() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    let act = async |action: &str, fields: &[(&str, &str)]| {
        browser.post(&format!("/console/settings/{action}"), fields).await
    };
    let made = act("create-key", &[("name", "app"), ("scope", "chat")]).await;
    assert!(made.text.contains(">inv_"), "{}", made.text);
    assert!(!browser.get("/console/settings").await.text.contains(">inv_"), "it is shown once");
    let id = w.call("GET", "/keys", None).await.1["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(act("revoke-key", &[("id", &id)]).await.status, 303);
    assert_eq!(w.call("GET", &format!("/keys/{id}"), None).await.1["status"], "revoked");
    assert_eq!(act("set-secret", &[("name", "hf-token"), ("value", "hf_very_secret")]).await.status, 303);
    let page = browser.get("/console/settings").await.text;
    assert!(page.contains("hf-token") && !page.contains("hf_very_secret"), "{page}");
    assert_eq!(act("delete-secret", &[("id", "hf-token")]).await.status, 303);
    assert_eq!(w.call("GET", "/secrets", None).await.1["items"], json!([]));
    assert_eq!(act("set-limits", &[("instances", "3"), ("month", "12.50"), ("drain", "on")]).await.status, 303);
    let limits = w.call("GET", "/limits", None).await.1["limits"].clone();
    assert_eq!((&limits["month_micros"], &limits["on_limit"]), (&json!(12_500_000), &json!("drain")));
    for wrong in [("day", "1,5"), ("instances", "-1"), ("gpus", "x")] {
        assert_eq!(act("set-limits", &[wrong]).await.status, 422, "{wrong:?}");
    }
    assert_eq!(w.call("GET", "/limits", None).await.1["limits"], limits, "what is wrong changes nothing");
    let made = act("create-webhook", &[("name", "on-call"), ("value", "https://hooks.example.com/secret-path")]).await;
    assert!(made.text.contains(">whsec_"), "{}", made.text);
    let page = browser.get("/console/settings").await.text;
    assert!(
        page.contains("https://hooks.example.com") && !page.contains("secret-path") && !page.contains("whsec_"),
        "{page}"
    );
    assert_eq!(act("create-webhook", &[("name", "x"), ("value", "no address")]).await.status, 422);
    let id = w.call("GET", "/webhooks", None).await.1["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(act("delete-webhook", &[("id", &id)]).await.status, 303);
    let made = act("create-reader", &[("name", "finance")]).await;
    assert!(made.text.contains("/console/login#ses_"), "{}", made.text);
    let token = made.text.split_once("/console/login#").unwrap().1.split('<').next().unwrap().to_owned();
    let mut reader = Browser::new(&w);
    let answer = reader.post("/console/login", &[("token", &token)]).await;
    reader.keep(&answer);
    assert!(reader.get("/").await.text.contains("Read only"));
    assert_eq!(act("nothing", &[]).await.status, 404);
}

#[tokio::test]
async fn a_reader_sees_every_page_and_can_change_nothing() {
    let w = World::new(Database::Sqlite).await;
    let reader = Browser::reader(&w).await;
    let id = w.create(json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "data_volume_gb": 50})).await;
    w.until_status(&id, "ready").await;
    for path in [
        "/",
        "/console/services",
        "/console/instances",
        "/console/volumes",
        "/console/audit",
        "/console/costs",
        "/console/settings",
        &format!("/console/instances/{id}"),
        &format!("/console/instances/{id}/terminate"),
        "/console/instances/new",
        "/console/services/new",
    ] {
        let answer = reader.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        // The form of a logout, and nothing else that acts.
        let forms: Vec<&str> = answer.text.split(" method=\"post\"").skip(1).collect();
        let others = forms.iter().filter(|f| !f.starts_with(" action=\"/console/logout\"") && f.contains("<button"));
        let acting = others.filter(|f| f.split("</form>").next().unwrap().contains("<button"));
        assert_eq!(acting.count(), 0, "{path}: {}", answer.text);
    }
    for (path, fields) in [
        (format!("/console/instances/{id}/terminate"), vec![]),
        (format!("/console/instances/{id}/power/stop"), vec![]),
        ("/console/settings/create-webhook".to_owned(), vec![("name", "x"), ("value", "https://hooks.example.com")]),
        (format!("/console/instances/{id}/extend"), vec![("hours", "1")]),
        ("/console/settings/end-sessions".to_owned(), vec![]),
        ("/console/settings/set-limits".to_owned(), vec![("instances", "0")]),
        ("/console/settings/create-key".to_owned(), vec![("name", "x")]),
        ("/console/audit".to_owned(), vec![("account", "x")]),
        ("/console/instances/new".to_owned(), vec![("offer", OFFER)]),
    ] {
        let answer = reader.post(&path, &fields).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
        assert!(answer.text.contains("may only read"), "{path}: {}", answer.text);
    }
    assert_eq!(w.show(&id).await["status"], "ready");
    assert_eq!(instances(&w).await.len(), 1);
}

#[tokio::test]
async fn an_audit_can_be_requested_and_power_be_changed() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    let id = w.create(json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "data_volume_gb": 50})).await;
    w.until_status(&id, "ready").await;
    let page = browser.get("/console/audit").await;
    let asked = browser.post("/console/audit", &[("account", &page.hidden("account"))]).await;
    assert_eq!(asked.status, 303, "{}", asked.text);
    w.advance_ms(1);
    w.orchestrator.audit_due().await.unwrap();
    assert!(browser.get("/console/audit").await.text.contains("clean"));
    let path = format!("/console/instances/{id}");
    assert_eq!(browser.post(&format!("{path}/power/stop"), &[]).await.status, 303);
    w.until_status(&id, "stopped").await;
    assert!(browser.get(&path).await.text.contains("power/start"));
    assert_eq!(browser.post(&format!("{path}/power/start"), &[]).await.status, 303);
    assert_eq!(browser.post(&format!("{path}/power/explode"), &[]).await.status, 404);
    assert_eq!(browser.post(&format!("{path}/extend"), &[("hours", "1")]).await.status, 303);
    assert!(w.show(&id).await["expires_at"].is_string());
    assert_eq!(
        browser.post(&format!("{path}/extend"), &[("hours", "")]).await.status,
        422,
        "an empty field changes nothing"
    );
    assert!(w.show(&id).await["expires_at"].is_string());
    assert_eq!(browser.post(&format!("{path}/extend"), &[("never", "1")]).await.status, 303);
    assert!(w.show(&id).await["expires_at"].is_null());
    let refused = browser.post(&format!("{path}/extend"), &[("hours", "-1")]).await;
    assert!(refused.status == 422 && refused.text.contains("Terminate"), "the page is shown again: {}", refused.text);
}

#[tokio::test]
async fn an_account_is_checked_from_the_settings() {
    let w = World::new(Database::Sqlite).await;
    let mut settings = w.settings();
    let account = inventiv_testkit::account();
    w.store.remember_account(&account.id, "scaleway", inventiv_testkit::PROJECT, (settings.now)()).await.unwrap();
    let ask: inventiv_api::AskCheck = Box::new(|zone, subject| {
        Box::pin(async move {
            let is_wrong = zone == "fr-par-2" && subject == inventiv_types::CheckSubject::Inventory;
            if is_wrong { Err("<b>permission</b> denied".to_owned()) } else { Ok("all well".to_owned()) }
        })
    });
    settings.accounts[0].check = Some(inventiv_api::Checks { zones: vec!["fr-par-1".into(), "fr-par-2".into()], ask });
    let mut browser = Browser::operator(&w).await;
    browser.console = inventiv_console::Console::new(inventiv_api::App::new(settings).router()).router();
    let checked = browser.post("/console/settings/check-account", &[("id", &account.id)]).await;
    let text = &checked.text;
    assert_eq!(checked.status, 200);
    assert!(text.contains("Not every check passed") && text.contains("all well"), "{text}");
    assert!(text.contains("denied") && !text.contains("<b>permission"), "{text}");
    assert_eq!(browser.post("/console/settings/check-account", &[("id", "scaleway:nosuch")]).await.status, 404);
}
