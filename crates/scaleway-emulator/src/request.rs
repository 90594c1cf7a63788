//! The handlers' view of a request: query, JSON body, paging.

use crate::answer::{self, Answer};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// One request to a zoned or global path.
pub(crate) struct Req<'a> {
    pub(crate) method: &'a str,
    pub(crate) zone: &'a str,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: &'a Bytes,
    /// Set by a fault: from the second page on, lists begin so many items later.
    pub(crate) shift: usize,
}

impl Req<'_> {
    /// The first value of a query parameter that is not empty.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(k, v)| k == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Every value of a query parameter; comma-separated values are split.
    pub(crate) fn params(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(k, _)| k == name).flat_map(|(_, v)| v.split(',')).filter(|v| !v.is_empty()).collect()
    }

    /// A boolean query parameter, in any spelling.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.param(name).and_then(|v| v.to_ascii_lowercase().parse().ok())
    }

    /// The number of items before a page.
    pub(crate) fn skip(&self, page: usize, size: usize) -> usize {
        let shift = if page > 1 { self.shift } else { 0 };
        (page - 1).saturating_mul(size).saturating_add(shift)
    }

    /// One page of a list in the form of the Block API.
    pub(crate) fn block_page<T>(&self, key: &str, items: Vec<T>, show: impl Fn(T) -> Value) -> Answer {
        self.page_of(key, items, 50, show)
    }

    /// The same with another default page size.
    pub(crate) fn page_of<T>(&self, key: &str, items: Vec<T>, default: usize, show: impl Fn(T) -> Value) -> Answer {
        let (page, size) = self.page("page_size", default);
        let total = items.len();
        let shown: Vec<Value> = items.into_iter().skip(self.skip(page, size)).take(size).map(show).collect();
        answer::json(200, serde_json::json!({ key: shown, "total_count": total }))
    }

    /// The body as a JSON object; an empty body is an empty object.
    pub(crate) fn json(&self) -> Result<Value, Answer> {
        if self.body.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        match serde_json::from_slice::<Value>(self.body) {
            Ok(value) if value.is_object() => Ok(value),
            _ => Err(answer::invalid("body", "format", "the body is not a JSON object")),
        }
    }

    /// Page number (from 1) and size.
    pub(crate) fn page(&self, size_name: &str, default: usize) -> (usize, usize) {
        let number = |name| self.param(name).and_then(|v| v.parse::<usize>().ok()).filter(|n| *n > 0);
        (number("page").unwrap_or(1), number(size_name).unwrap_or(default).min(100))
    }

    /// One page of a list with the Instance API's headers.
    pub(crate) fn instance_page<T>(
        &self,
        path: &str,
        key: &str,
        items: &[T],
        default: usize,
        show: impl Fn(&T) -> Value,
    ) -> Answer {
        let (page, size) = self.page("per_page", default);
        let shown: Vec<Value> = items.iter().skip(self.skip(page, size)).take(size).map(show).collect();
        let mut answer = answer::json(200, serde_json::json!({ key: shown }));
        answer.headers = self.paging_headers(path, items.len(), page, size);
        answer
    }

    /// `X-Total-Count` and `Link`, with the other query parameters echoed.
    pub(crate) fn paging_headers(
        &self,
        path: &str,
        total: usize,
        page: usize,
        size: usize,
    ) -> Vec<(&'static str, String)> {
        let others: Vec<String> = self
            .query
            .iter()
            .filter(|(k, _)| k != "page" && k != "per_page")
            .map(|(k, v)| format!("{}={}", encode(k), encode(v)))
            .collect();
        let others = others.join("&");
        let last = total.div_ceil(size);
        let link = |n: usize, rel: &str| format!("<{path}?page={n}&per_page={size}&{others}>; rel=\"{rel}\"");
        let mut links = Vec::new();
        if page > 1 {
            links.push(link(1, "first"));
            links.push(link(page - 1, "previous"));
        }
        if page < last {
            links.push(link(page + 1, "next"));
        }
        links.push(link(last, "last"));
        vec![("x-total-count", total.to_string()), ("link", links.join(","))]
    }
}

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encoding, as the real gateway writes links.
fn encode(text: &str) -> String {
    utf8_percent_encode(text, &ENCODED).to_string()
}

/// Splits and decodes a query string.
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|p| !p.is_empty());
    pairs
        .map(|pair| {
            let (k, v) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(k), decode(v))
        })
        .collect()
}

/// Percent-decoding; invalid sequences stay as they are.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
        let code = hex.filter(|_| bytes[i] == b'%').and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[i], code) {
            (_, Some(byte)) => {
                out.push(byte);
                i += 3;
            }
            (b'+', None) => {
                out.push(b' ');
                i += 1;
            }
            (byte, None) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
