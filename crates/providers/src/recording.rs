//! A transport that records every exchange without secrets: one JSON object per line, compressed with gzip.
//!
//! The format is that of the recordings that the emulator is compared with, so a user's recording can be replayed.
//! Other resources of the project are private: lists are recorded with the recorder's own items only, and `left_out`
//! says how many items of a page were omitted.

use crate::transport::{NetError, Transport};
use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The response headers that are recorded.
const KEPT_HEADERS: [&str; 4] = ["content-type", "link", "x-total-count", "location"];
/// Parts of the names of fields whose values may be private.
const HIDDEN: [&str; 6] = ["secret", "password", "token", "creation_ip", "public_key", "private_key"];
/// Fields that only resources of a project have; entries of a catalogue have none of them.
const OWNED: [&str; 2] = ["project", "project_id"];
/// How much of a body that is not JSON is recorded, in characters.
const TEXT_LEN: usize = 500;
const BLACK: &str = "REDACTED";

/// Records the exchanges of another transport; clones share the file.
pub struct Recording {
    below: Arc<dyn Transport>,
    secrets: Vec<SecretString>,
    own: fn(&str) -> bool,
    state: Mutex<State>,
}

struct State {
    file: GzEncoder<File>,
    written: u64,
    /// Ids of the resources that were created during the recording.
    made: HashSet<String>,
    failed: Option<std::io::Error>,
}

impl Recording {
    /// Records the exchanges of `below` in a new file. `own` recognizes the recorder's own resources by their names;
    /// `secrets` are redacted everywhere.
    ///
    /// # Errors
    /// When the file cannot be created; an existing file is not overwritten.
    pub fn new(
        below: Arc<dyn Transport>,
        path: &Path,
        own: fn(&str) -> bool,
        secrets: Vec<SecretString>,
    ) -> std::io::Result<Self> {
        let file = GzEncoder::new(File::create_new(path)?, Compression::default());
        let state = Mutex::new(State { file, written: 0, made: HashSet::new(), failed: None });
        Ok(Self { below, secrets, own, state })
    }

    /// Completes the file.
    ///
    /// # Errors
    /// When writing to the file fails, or has failed before.
    pub fn finish(&self) -> std::io::Result<()> {
        let mut state = self.state.lock();
        match state.failed.take() {
            Some(e) => Err(e),
            None => state.file.try_finish(),
        }
    }

    fn write(&self, asked: &Value, mut answered: Value, ms: u64) {
        let mut state = self.state.lock();
        if asked["method"] == "POST" {
            ids(&answered["body"], &mut state.made);
        }
        let own = |item: &Value| {
            let named = item["name"].as_str().is_some_and(self.own);
            named || item["id"].as_str().is_some_and(|id| state.made.contains(id))
        };
        let left_out = leave_out(&mut answered, own);
        let mut line = json!({"index": state.written, "duration_ms": ms, "request": asked, "response": answered});
        if left_out > 0 {
            line["left_out"] = json!(left_out);
        }
        let mut line = format!("{line}\n");
        for secret in &self.secrets {
            let escaped = Value::from(secret.expose_secret()).to_string();
            let escaped = escaped.trim_matches('"');
            if !escaped.is_empty() {
                line = line.replace(escaped, BLACK);
            }
        }
        state.written += 1;
        // A failed write must not stop the recorded calls: `finish` reports it.
        if state.failed.is_none() {
            state.failed = state.file.write_all(line.as_bytes()).and_then(|()| state.file.flush()).err();
        }
    }
}

/// Every id in a response.
fn ids(value: &Value, found: &mut HashSet<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("id").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|inner| ids(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| ids(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Removes the project's resources that are not our own from lists, reduces the totals, and returns the number removed.
fn leave_out(answer: &mut Value, own: impl Fn(&Value) -> bool) -> u64 {
    let mut left_out = 0;
    for list in answer["body"].as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_array_mut) {
        let before = list.len();
        list.retain(|item| !OWNED.iter().any(|key| item.get(key).is_some()) || own(item));
        left_out += u64::try_from(before - list.len()).unwrap_or(0);
    }
    if left_out > 0 {
        if let Some(total) = answer["body"].get_mut("total_count") {
            *total = total.as_u64().map_or(Value::Null, |n| json!(n.saturating_sub(left_out)));
        }
        if let Some(total) = answer["headers"].get_mut("x-total-count") {
            let number = total.as_str().and_then(|n| n.parse::<u64>().ok());
            *total = number.map_or(Value::Null, |n| json!(n.saturating_sub(left_out).to_string()));
        }
    }
    left_out
}

#[async_trait]
impl Transport for Recording {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        let asked = self::request(&request);
        let began = Instant::now();
        let answer = self.below.send(request).await;
        if let Ok(answer) = &answer {
            let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.write(&asked, response(answer), ms);
        }
        answer
    }

    async fn pause(&self, pause: Duration) {
        self.below.pause(pause).await;
    }

    fn elapsed(&self) -> Duration {
        self.below.elapsed()
    }
}

fn request(request: &http::Request<Bytes>) -> Value {
    let mut query = Map::new();
    for pair in request.uri().query().unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let Some(values) = query.entry(name.to_owned()).or_insert_with(|| json!([])).as_array_mut() {
            values.push(json!(value));
        }
    }
    let content_type = request.headers().get("content-type").and_then(|v| v.to_str().ok());
    let headers = content_type.map_or_else(|| json!({}), |t| json!({"content-type": t}));
    let body = body(request.body());
    json!({"method": request.method().as_str(), "path": request.uri().path(), "query": query, "headers": headers, "body": body})
}

fn response(answer: &http::Response<Bytes>) -> Value {
    let kept = KEPT_HEADERS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), json!(answer.headers().get(*name)?.to_str().ok()?))));
    let headers: Map<String, Value> = kept.collect();
    json!({"status": answer.status().as_u16(), "headers": headers, "body": body(answer.body())})
}

fn body(bytes: &Bytes) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    let Ok(mut value) = serde_json::from_slice(bytes) else {
        // Plain text is recorded. Incomplete JSON is not: `hide` and `leave_out` cannot find private values in it.
        let text: String = String::from_utf8_lossy(bytes).chars().take(TEXT_LEN).collect();
        let half = text.trim_start().starts_with(['{', '[']);
        return if half { json!(format!("({} bytes that are not JSON)", bytes.len())) } else { json!(text) };
    };
    hide(&mut value);
    value
}

/// Redacts values that may be private, at every depth.
fn hide(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                let key = key.to_lowercase();
                let hidden = HIDDEN.iter().any(|h| key.contains(h)) && !inner.is_null();
                if hidden { *inner = json!(BLACK) } else { hide(inner) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
