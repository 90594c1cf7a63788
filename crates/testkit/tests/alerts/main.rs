//! Alerts and webhooks: each is told once, by whichever process, and a message arrives though receivers and processes fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod delivery;
mod receiver;
mod routes;
mod told;

use inventiv_notify::{Notifier, Settings};
use inventiv_orchestrator::Clock;
use inventiv_store::Store;
use inventiv_testkit::World;
use receiver::Receiver;
use serde_json::{Value, json};

/// The notifier of a process on this world's database.
fn notifier(w: &World, store: &Store) -> Notifier {
    let settings = w.settings();
    let clock = w.clock.clone();
    Notifier::new(Settings {
        store: store.clone(),
        keyring: settings.keyring,
        now: Box::new(move || clock.now()),
        ids: settings.ids,
    })
    .unwrap()
}

/// Creates a webhook to a receiver; returns its signing secret.
async fn webhook(w: &World, name: &str, to: &Receiver, kinds: &[&str]) -> String {
    let body = json!({"name": name, "url": to.url, "kinds": kinds});
    let (status, created) = w.call("POST", "/webhooks", Some(body)).await;
    assert_eq!(status, 201, "{created}");
    created["secret"].as_str().unwrap().to_owned()
}

/// Requests an instance that ends after some seconds.
async fn short_lived(w: &World, seconds: i64) -> String {
    let body =
        json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "engine": {"kind": "none"}, "ttl_seconds": seconds});
    w.create(body).await
}

async fn deliveries(w: &World, webhook: &str) -> Vec<Value> {
    let (status, page) = w.call("GET", &format!("/webhooks/{webhook}/deliveries"), None).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

async fn alerts(w: &World) -> Vec<String> {
    let (status, page) = w.call("GET", "/alerts", None).await;
    assert_eq!(status, 200, "{page}");
    let items = page["items"].as_array().unwrap();
    items.iter().map(|a| format!("{} {}", a["severity"].as_str().unwrap(), a["kind"].as_str().unwrap())).collect()
}
