//! What a request asks for, and the few bytes of it that are changed on its way to an engine.
//!
//! A body is never written anew: only the values of `model` and `stream_options` are replaced where they stand, so that
//! everything else reaches the engine byte for byte.

use crate::error::GatewayError;
use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

/// How much of a prompt decides where it goes, in bytes: prompts that begin alike go to the same replica.
const PREFIX_BYTES: usize = 1_024;
/// The longest name of a model that is looked for, in bytes.
const MODEL_MAX: usize = 300;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The name of the model or service.
    pub(crate) model: String,
    /// Whether the answer is to be streamed.
    pub(crate) stream: bool,
    /// Whether the client asked for the usage at the end of a stream.
    pub(crate) wants_usage: bool,
    /// Requests with the same number go to the same replica, as far as its load allows.
    pub(crate) affinity: Option<u64>,
    /// Where the value of `model` stands.
    model_at: Range<usize>,
    /// Whether the body is JSON, so that this value has quotes.
    pub(crate) is_json: bool,
    /// Where the value of `stream_options` stands.
    options_at: Option<Range<usize>>,
}

/// The members that are read; all others are skipped.
const READ: [&str; 6] = ["model", "stream", "stream_options", "messages", "prompt", "input"];

/// The members of a JSON object that are read, in order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    if READ.contains(&name.as_ref()) {
                        members.push((name.into_owned(), map.next_value()?));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// Reads a JSON body.
pub(crate) fn read_json(body: &[u8]) -> Result<Asked, GatewayError> {
    let text = std::str::from_utf8(body).map_err(|_| GatewayError::invalid("The body is not UTF-8."))?;
    let Members(members) = serde_json::from_str(text)
        .map_err(|e| GatewayError::invalid(format!("The body cannot be read as a JSON object: {e}.")))?;
    let find = |name: &'static str| {
        let mut found = members.iter().filter(|(n, _)| n == name).map(|(_, value)| *value);
        match (found.next(), found.next()) {
            // The gateway and the engine could take different ones.
            (Some(_), Some(_)) => Err(GatewayError::invalid(format!("The body contains `{name}` twice.")).on(name)),
            (first, _) => Ok(first),
        }
    };
    let at = |raw: &RawValue| {
        // A raw value is a part of the text that it was read from.
        let start = (raw.get().as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        start..start + raw.get().len()
    };
    let Some(model) = find("model")? else {
        return Err(GatewayError::invalid("`model` is required: the name of a service or a model.").on("model"));
    };
    let name: String = serde_json::from_str(model.get()).map_err(|_| {
        GatewayError::invalid("`model` must be a string: the name of a service or a model.").on("model")
    })?;
    let stream = match find("stream")?.map(RawValue::get) {
        Some("true") => true,
        None | Some("false" | "null") => false,
        // An engine may take it for true.
        Some(_) => return Err(GatewayError::invalid("`stream` must be true or false.").on("stream")),
    };
    let options = find("stream_options")?;
    let wants_usage = options.is_some_and(|o| {
        #[derive(Deserialize)]
        struct Options {
            include_usage: Option<bool>,
        }
        serde_json::from_str::<Options>(o.get()).is_ok_and(|o| o.include_usage == Some(true))
    });
    let prompt = match find("messages")? {
        Some(messages) => Some(messages),
        None => find("prompt")?.map_or_else(|| find("input"), |p| Ok(Some(p)))?,
    };
    Ok(Asked {
        model: check_name(name)?,
        stream,
        wants_usage,
        affinity: prompt.map(|p| number(p.get().as_bytes().get(..PREFIX_BYTES).unwrap_or(p.get().as_bytes()))),
        model_at: at(model),
        is_json: true,
        options_at: options.map(at),
    })
}

/// Reads the `model` of a form (`multipart/form-data`).
pub(crate) fn read_form(content_type: &str, body: &[u8]) -> Result<Asked, GatewayError> {
    let boundary = content_type.split(';').filter_map(|p| p.trim().strip_prefix("boundary=")).next();
    let boundary = boundary.map(|b| b.trim_matches('"')).filter(|b| (1..=70).contains(&b.len()));
    let boundary = boundary.ok_or_else(|| GatewayError::invalid("The form has no boundary."))?;
    let (delimiter, end) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let mut at = memmem::find(body, delimiter.as_bytes());
    let mut found = None;
    while let Some(start) = at {
        let head_at = start + delimiter.len();
        let rest = body.get(head_at..).unwrap_or_default();
        let Some(head) = memmem::find(rest, b"\r\n\r\n") else { break };
        let (value_at, lines) = (head_at + head + 4, rest.get(..head).unwrap_or_default());
        let value = body.get(value_at..).unwrap_or_default();
        let Some(length) = memmem::find(value, end.as_bytes()) else { break };
        if is_model_field(lines) && found.replace(value_at..value_at + length).is_some() {
            return Err(GatewayError::invalid("The form contains `model` twice.").on("model"));
        }
        // Behind the line break before the next delimiter.
        at = Some(value_at + length + 2);
    }
    let Some(model_at) = found else {
        let text = "The form has no field `model`: the name of a service or a model.";
        return Err(GatewayError::invalid(text).on("model"));
    };
    let name = String::from_utf8(body.get(model_at.clone()).unwrap_or_default().to_vec())
        .map_err(|_| GatewayError::invalid("`model` must be text.").on("model"))?;
    Ok(Asked {
        model: check_name(name)?,
        stream: false,
        wants_usage: false,
        affinity: None,
        model_at,
        is_json: false,
        options_at: None,
    })
}

fn is_model_field(lines: &[u8]) -> bool {
    let lines = String::from_utf8_lossy(lines).to_ascii_lowercase();
    let disposition = lines.split("\r\n").find_map(|l| l.strip_prefix("content-disposition:"));
    disposition.is_some_and(|d| d.split(';').any(|p| matches!(p.trim(), "name=\"model\"" | "name=model")))
}

fn check_name(name: String) -> Result<String, GatewayError> {
    if (1..=MODEL_MAX).contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(name);
    }
    Err(GatewayError::invalid(format!("`model` must have 1 to {MODEL_MAX} bytes, without control characters."))
        .on("model"))
}

/// A number for a text: the same in every process of the same version.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

impl Asked {
    /// The body as the engine gets it: with the name that the engine knows its model by, and, if `count` is set, with
    /// `include_usage`, so that a stream ends with its usage.
    pub(crate) fn for_engine(&self, body: &Bytes, served: &str, count: bool) -> Bytes {
        let mut changes: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
        if self.model != served {
            let value = if self.is_json { serde_json::Value::from(served).to_string() } else { served.to_owned() };
            changes.push((self.model_at.clone(), value.into_bytes()));
        }
        if count && self.stream && !self.wants_usage {
            changes.push(match &self.options_at {
                Some(at) => (at.clone(), with_usage(body.get(at.clone()).unwrap_or_default())),
                None => {
                    // Behind the brace that begins the object.
                    let begin = memchr::memchr(b'{', body).map_or(0, |b| b + 1);
                    (begin..begin, br#""stream_options":{"include_usage":true},"#.to_vec())
                }
            });
        }
        if changes.is_empty() {
            return body.clone();
        }
        changes.sort_by_key(|(at, _)| at.start);
        let more: usize = changes.iter().map(|(_, new)| new.len()).sum();
        let (mut made, mut done) = (Vec::with_capacity(body.len() + more), 0);
        for (at, new) in changes {
            made.extend_from_slice(body.get(done..at.start).unwrap_or_default());
            made.extend(new);
            done = at.end;
        }
        made.extend_from_slice(body.get(done..).unwrap_or_default());
        made.into()
    }
}

/// Stream options with `include_usage`.
fn with_usage(options: &[u8]) -> Vec<u8> {
    let mut read: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(options).unwrap_or_default();
    read.insert("include_usage".to_owned(), true.into());
    serde_json::Value::from(read).to_string().into_bytes()
}

#[cfg(test)]
mod tests;
