//! A recorded request as it is sent to the emulator.

use crate::names::Names;
use crate::recording::Exchange;
use bytes::Bytes;
use http::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

pub(crate) fn copy(e: &Exchange) -> Exchange {
    Exchange {
        index: e.index,
        method: e.method.clone(),
        path: e.path.clone(),
        query: e.query.clone(),
        content_type: e.content_type.clone(),
        body: e.body.clone(),
        status: e.status,
        headers: e.headers.clone(),
        answer: e.answer.clone(),
    }
}

/// The recorded request, with every recorded name replaced by ours.
pub(crate) fn request(e: &Exchange, names: &Names) -> Request<Bytes> {
    let mut uri = names.ours(&e.path).replace(' ', "%20");
    let pairs = e.query.iter().flat_map(|(k, values)| values.iter().map(move |v| (k, v)));
    for (n, (key, value)) in pairs.enumerate() {
        uri.push(if n == 0 { '?' } else { '&' });
        uri.push_str(&format!("{key}={}", encode(&names.ours(value))));
    }
    let body = match &e.body {
        Value::String(text) => text.clone(),
        // The recordings were YAML, which reads some one-word texts as booleans.
        Value::Bool(word) if e.content_type.as_deref() == Some("text/plain") => {
            if *word { "True" } else { "False" }.to_owned()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            names.ours(&e.body.to_string())
        }
    };
    let body = if e.body.is_null() { Bytes::new() } else { Bytes::from(body) };
    let mut builder = Request::builder().method(e.method.as_str()).uri(uri).header("x-auth-token", "recorded");
    if let Some(content_type) = &e.content_type {
        builder = builder.header("content-type", content_type);
    }
    builder.body(body).unwrap_or_default()
}

/// Everything but the unreserved characters of RFC 3986, and the comma.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',');

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, &ENCODED).to_string()
}
