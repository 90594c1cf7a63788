//! Tests of login and logout, of cookies, and of requests from other sites.

use crate::helpers::{Browser, form};
use inventiv_testkit::{Database, TOKEN, World};
use serde_json::json;

#[tokio::test]
async fn every_page_needs_a_session() {
    let w = World::new(Database::Sqlite).await;
    let mut browser = Browser::new(&w);
    for cookie in [None, Some("inventiv_session=wrong".to_owned()), Some(format!("inventiv_session={TOKEN}x"))] {
        browser.cookie = cookie;
        for path in ["/", "/console/instances", "/console/settings", "/console/live", "/console/costs/export"] {
            let answer = browser.get(path).await;
            assert_eq!((answer.status, answer.header("location")), (303, "/console/login".to_owned()), "{path}");
        }
    }
    assert_eq!(browser.get("/console/login").await.status, 200);
}

#[tokio::test]
async fn the_token_is_exchanged_for_a_cookie_that_scripts_cannot_read() {
    let w = World::new(Database::Sqlite).await;
    let mut browser = Browser::new(&w);
    for wrong in ["", "wrong", "a b", "ses_0", "\u{0}", "x\"y"] {
        let answer = browser.post("/console/login", &[("token", wrong)]).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (401, String::new()), "{wrong}");
        assert!(answer.text.contains("wrong or has expired"), "{}", answer.text);
    }
    let answer = browser.post("/console/login", &[("token", TOKEN)]).await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("; HttpOnly; SameSite=Strict; Max-Age=43200") && !cookie.contains("Secure"), "{cookie}");
    assert!(cookie.starts_with("inventiv_session=ses_") && !cookie.contains(TOKEN), "{cookie}");
    let headers = [("sec-fetch-site", "same-origin"), ("x-forwarded-proto", "https")];
    let behind_tls = browser.send("POST", "/console/login", &headers, form(&[("token", TOKEN)])).await;
    assert!(behind_tls.header("set-cookie").ends_with("; Secure"), "{}", behind_tls.header("set-cookie"));
    browser.keep(&answer);
    assert_eq!(browser.get("/").await.status, 200);
}

#[tokio::test]
async fn a_logout_ends_the_session_and_not_only_the_cookie() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    let other = Browser::operator(&w).await;
    let answer = browser.post("/console/logout", &[]).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/console/login".to_owned()));
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(browser.get("/").await.status, 303, "the old cookie is worth nothing");
    assert_eq!(other.get("/").await.status, 200);
    let third = Browser::operator(&w).await;
    third.post("/console/settings/end-sessions", &[]).await;
    for browser in [&other, &third] {
        assert_eq!(browser.get("/").await.status, 303);
    }
}

#[tokio::test]
async fn a_session_that_expires_leads_to_the_login() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    w.advance_ms(12 * 60 * 60 * 1_000);
    assert_eq!(browser.get("/console/instances").await.header("location"), "/console/login");
    let answer = browser.post("/console/settings/set-limits", &[("instances", "1")]).await;
    assert_eq!(answer.header("location"), "/console/login");
    assert_eq!(w.call("GET", "/limits", None).await.1["limits"]["instances"], json!(null));
}

#[tokio::test]
async fn a_request_from_another_site_changes_nothing() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    let id = w.create(json!({"zone": "fr-par-2", "instance_type": "L4-1-24G"})).await;
    for headers in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "http://console.test")],
        &[("origin", "http://evil.test")],
        &[("origin", "null")],
    ] {
        for path in [&format!("/console/instances/{id}/terminate"), "/console/settings/end-sessions", "/console/logout"]
        {
            let answer = browser.send("POST", path, headers, String::new()).await;
            assert_eq!(answer.status, 403, "{path} {headers:?}");
        }
    }
    assert_ne!(w.show(&id).await["status"], "terminating");
    assert_eq!(browser.get("/").await.status, 200);
    // The console itself, in a browser that does not send `Sec-Fetch-Site` over plain HTTP.
    let headers = [("origin", "http://console.test")];
    let answer = browser.send("POST", &format!("/console/instances/{id}/terminate"), &headers, String::new()).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
}

#[tokio::test]
async fn every_response_forbids_foreign_scripts_and_frames() {
    let w = World::new(Database::Sqlite).await;
    let browser = Browser::operator(&w).await;
    for path in ["/", "/console/login", "/console/nothing", "/console/instances/ins-x", "/console/assets/0/console.js"]
    {
        let answer = browser.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(
            !answer.text.contains("<script>")
                && !answer.text.contains(" style=\"")
                && !answer.text.contains(" onclick=")
        );
    }
    assert_eq!(browser.get("/").await.header("cache-control"), "no-store");
}
