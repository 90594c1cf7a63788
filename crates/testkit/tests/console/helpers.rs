//! A browser without scripts: it keeps a cookie, follows nothing by itself, and sends forms.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use inventiv_console::Console;
use inventiv_testkit::{TOKEN, World};
use serde_json::json;
use tower::ServiceExt;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// The value of a hidden field.
    pub(crate) fn hidden(&self, name: &str) -> String {
        let marker = format!("name=\"{name}\" value=\"");
        let rest = self.text.split_once(&marker).unwrap_or_else(|| panic!("no field {name}: {}", self.text)).1;
        rest.split('"').next().unwrap().to_owned()
    }
}

pub(crate) struct Browser {
    pub(crate) console: Router,
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) fn new(w: &World) -> Self {
        Self { console: Console::new(w.api.clone()).router(), cookie: None }
    }

    /// A browser in which the operator is logged in.
    pub(crate) async fn operator(w: &World) -> Self {
        let mut browser = Self::new(w);
        let answer = browser.post("/console/login", &[("token", TOKEN)]).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/".to_owned()), "{}", answer.text);
        browser.keep(&answer);
        browser
    }

    /// A browser in which somebody is logged in who may only look.
    pub(crate) async fn reader(w: &World) -> Self {
        let (_, created) = w.call("POST", "/sessions", Some(json!({"role": "reader"}))).await;
        let cookie = Some(format!("inventiv_session={}", created["token"].as_str().unwrap()));
        Self { cookie, ..Self::new(w) }
    }

    /// Keeps the cookie of an answer.
    pub(crate) fn keep(&mut self, answer: &Answer) {
        self.cookie = Some(answer.header("set-cookie").split(';').next().unwrap().to_owned());
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], String::new()).await
    }

    /// Sends a form, as the console's own pages do.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send("POST", path, &[("sec-fetch-site", "same-origin")], form(fields)).await
    }

    /// Sends JSON, as the console's own script does.
    pub(crate) async fn post_json(&self, path: &str, body: &serde_json::Value) -> Answer {
        let headers = [("sec-fetch-site", "same-origin"), ("content-type", "application/json")];
        self.send("POST", path, &headers, body.to_string()).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", "console.test");
        if headers.iter().all(|(name, _)| *name != "content-type") {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.console.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = to_bytes(answer.into_body(), 16 << 20).await.unwrap();
        Answer { status, headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| text.bytes().fold(String::new(), |all, byte| format!("{all}%{byte:02X}"));
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

/// Requests an audit and runs it.
pub(crate) async fn audit(w: &World) {
    assert_eq!(w.call("POST", "/audit", None).await.0, 202);
    // The clock must differ between the request and the start of the audit.
    w.advance_ms(1);
    w.orchestrator.audit_due().await.unwrap();
}
