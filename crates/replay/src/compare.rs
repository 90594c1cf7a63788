//! Compares two answers: status, content type, keys at every level, the type of each value, every string and number.
//!
//! Ids, addresses and dates must only correspond ([`Names`]). `location` is random and not compared.

use crate::names::Names;
use serde_json::{Map, Value, json};

/// Keys that appear and disappear between two reads of an unchanged server.
const SHOWN_BY_CHANCE: [&str; 2] = ["admin_password_encryption_ssh_key_id", "admin_password_encrypted_value"];

/// One difference.
#[derive(Clone)]
pub(crate) struct Difference {
    pub(crate) at: String,
    pub(crate) recorded: Value,
    pub(crate) emulated: Value,
}

/// An answer, recorded or emulated.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) headers: &'a Value,
    pub(crate) body: &'a Value,
}

/// All differences of the emulated answer from the recorded one.
pub(crate) fn differences(recorded: &Answer<'_>, emulated: &Answer<'_>, names: &mut Names) -> Vec<Difference> {
    let mut found = Vec::new();
    if recorded.status != emulated.status {
        found.push(Difference {
            at: "status".to_owned(),
            recorded: json!(recorded.status),
            emulated: json!({"status": emulated.status, "body": emulated.body}),
        });
        return found;
    }
    for name in ["content-type", "x-total-count", "link", "location"] {
        let (a, b) = (recorded.headers.get(name), emulated.headers.get(name));
        let (a, b) = (a.unwrap_or(&Value::Null), b.unwrap_or(&Value::Null));
        // The body first: it binds the ids in a location header.
        if a != "REDACTED" && (name != "location" || recorded.body.is_null()) {
            value(&format!("header {name}"), a, b, names, &mut found);
        }
    }
    value("", recorded.body, emulated.body, names, &mut found);
    let location = |v: &Value| v.get("location").cloned().unwrap_or(Value::Null);
    if !recorded.body.is_null() {
        value("header location", &location(recorded.headers), &location(emulated.headers), names, &mut found);
    }
    found
}

fn value(at: &str, a: &Value, b: &Value, names: &mut Names, found: &mut Vec<Difference>) {
    let same = match (a, b) {
        (Value::Object(a), Value::Object(b)) => return object(at, a, b, names, found),
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (i, (x, y)) in x.iter().zip(y).enumerate() {
                value(&format!("{at}[{i}]"), x, y, names, found);
            }
            return;
        }
        // The client chose a rule's range, so only recorded names in it may differ.
        (Value::String(x), Value::String(y)) if at.ends_with(".ip_range") => names.ours(x) == *y,
        (Value::String(x), Value::String(y)) => x == "REDACTED" || by_chance(at) || names.same(x, y),
        (Value::Number(x), Value::Number(y)) => x.as_f64() == y.as_f64(),
        _ => a == b,
    };
    if !same {
        found.push(Difference { at: at.to_owned(), recorded: a.clone(), emulated: b.clone() });
    }
}

fn object(at: &str, a: &Map<String, Value>, b: &Map<String, Value>, names: &mut Names, found: &mut Vec<Difference>) {
    // The id first: other fields may refer to it.
    let id_first = a.iter().filter(|(key, _)| *key == "id").chain(a.iter().filter(|(key, _)| *key != "id"));
    for (key, x) in id_first {
        if SHOWN_BY_CHANCE.contains(&key.as_str()) && (!b.contains_key(key) || x.is_null()) {
            continue;
        }
        let at = format!("{at}.{key}");
        match b.get(key) {
            Some(y) => value(&at, x, y, names, found),
            None => found.push(Difference { at, recorded: x.clone(), emulated: json!("(no such key)") }),
        }
    }
    for (key, y) in b.iter().filter(|(key, _)| !a.contains_key(*key) && !SHOWN_BY_CHANCE.contains(&key.as_str())) {
        found.push(Difference { at: format!("{at}.{key}"), recorded: json!("(no such key)"), emulated: y.clone() });
    }
}

/// Whether a field shows the machine that a server was placed on, which is random.
fn by_chance(at: &str) -> bool {
    at.contains(".location.")
}
