//! A transport that writes every exchange down, without secrets: one JSON object per line, gzip'd.
//!
//! The form is that of the recordings which the emulator is judged by, so that what a user records can be played.

use crate::transport::{NetError, Transport};
use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Headers of an answer that say something about the API.
const KEPT_HEADERS: [&str; 4] = ["content-type", "link", "x-total-count", "location"];
/// Keys whose values may be nobody's business.
const HIDDEN: [&str; 5] = ["secret", "password", "token", "creation_ip", "public_key"];

/// Writes down what passes; clones share the file.
pub struct Recording {
    below: Arc<dyn Transport>,
    file: Mutex<(GzEncoder<File>, u64)>,
}

impl Recording {
    /// Records what goes over `below` into a new file.
    ///
    /// # Errors
    /// When the file cannot be made; a file that is there is not overwritten.
    pub fn new(below: Arc<dyn Transport>, path: &Path) -> std::io::Result<Self> {
        let file = File::create_new(path)?;
        Ok(Self { below, file: Mutex::new((GzEncoder::new(file, Compression::default()), 0)) })
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(&self) -> std::io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).0.try_finish()
    }

    fn write(&self, exchange: impl FnOnce(u64) -> Value) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let index = file.1;
        file.1 += 1;
        let line = format!("{}\n", exchange(index));
        // A recording that cannot be written must not stop what is recorded.
        let _ = file.0.write_all(line.as_bytes()).and_then(|()| file.0.flush());
    }
}

#[async_trait]
impl Transport for Recording {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        let asked = self::request(&request);
        let began = Instant::now();
        let answer = self.below.send(request).await;
        if let Ok(answer) = &answer {
            let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.write(
                |index| json!({"index": index, "duration_ms": ms, "request": asked, "response": response(answer)}),
            );
        }
        answer
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
    let mut value = serde_json::from_slice(bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(bytes)));
    hide(&mut value);
    value
}

/// Blackens what may be nobody's business, at every depth.
fn hide(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                let hidden = HIDDEN.iter().any(|h| key.contains(h)) && inner.is_string();
                if hidden { *inner = json!("REDACTED") } else { hide(inner) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    struct Fixed;

    #[async_trait]
    impl Transport for Fixed {
        async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
            let body = Bytes::from_static(br#"{"id":"x","secret_key":"abc","inner":[{"admin_password":"p"}]}"#);
            Ok(http::Response::builder()
                .status(200)
                .header("set-cookie", "c")
                .header("content-type", "application/json")
                .body(body)
                .unwrap())
        }
    }

    #[tokio::test]
    async fn an_exchange_is_written_down_without_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl.gz");
        let recording = Recording::new(Arc::new(Fixed), &path).unwrap();
        let request = http::Request::get("/instance/v1/zones/fr-par-1/servers?tags=a&tags=b")
            .header("x-auth-token", "hush")
            .body(Bytes::new())
            .unwrap();
        recording.send(request).await.unwrap();
        recording.finish().unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(File::open(&path).unwrap()).read_to_string(&mut text).unwrap();
        assert!(
            !text.contains("hush") && !text.contains("abc") && !text.contains("\"p\"") && !text.contains("cookie"),
            "{text}"
        );
        let line: Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["request"]["query"]["tags"], json!(["a", "b"]));
        assert_eq!(line["response"]["body"]["secret_key"], "REDACTED");
        assert!(Recording::new(Arc::new(Fixed), &path).is_err(), "nothing is overwritten");
    }
}
