//! Tests of the recorded behaviour and of related cases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod addresses;
mod facts;
mod lists;
mod storage;

use bytes::Bytes;
use http::Request;
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use serde_json::{Value, json};

pub(crate) const INSTANCE: &str = "/instance/v1/zones/fr-par-2";
pub(crate) const BLOCK: &str = "/block/v1/zones/fr-par-2/volumes";

pub(crate) fn emulator() -> Emulator {
    Emulator::new(Options { clock: ClockMode::Manual, ..Options::default() })
}

pub(crate) fn ask(e: &Emulator, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let body = body.map(|b| b.to_string()).unwrap_or_default();
    let request =
        Request::builder().method(method).uri(path).header("x-auth-token", "t").body(Bytes::from(body)).unwrap();
    let answer = e.handle(&request);
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
}

pub(crate) fn image(e: &Emulator, label: &str, kind: &str, of: &str) -> String {
    let path = format!("/marketplace/v2/local-images?image_label={label}&zone=fr-par-2&type={kind}");
    let (_, list) = ask(e, "GET", &path, None);
    let fits = |i: &&Value| i["compatible_commercial_types"].as_array().unwrap().contains(&json!(of));
    list["local_images"].as_array().unwrap().iter().find(fits).unwrap()["id"].as_str().unwrap().to_owned()
}

pub(crate) fn create(e: &Emulator, kind: &str, label: &str, image_kind: &str) -> Value {
    let image = image(e, label, image_kind, kind);
    let (status, body) = ask(
        e,
        "POST",
        &format!("{INSTANCE}/servers"),
        Some(json!({"name": "s", "commercial_type": kind, "image": image})),
    );
    assert_eq!(status, 201, "{body}");
    body["server"].clone()
}

pub(crate) fn act(e: &Emulator, id: &Value, action: &str) -> (u16, Value) {
    ask(e, "POST", &format!("{INSTANCE}/servers/{}/action", id.as_str().unwrap()), Some(json!({"action": action})))
}

/// A `GET` that must succeed.
pub(crate) fn get(e: &Emulator, path: &str) -> Value {
    let (status, body) = ask(e, "GET", path, None);
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// The string value of a key.
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// An emulator whose clock stands still at a day.
pub(crate) fn emulator_at(day_us: i64) -> Emulator {
    Emulator::new(Options { clock: ClockMode::Manual, start_us: Some(day_us), ..Options::default() })
}
