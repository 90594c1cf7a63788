//! Maps recorded ids, addresses and dates to those of the replay, in the order in which they first appear.

use std::collections::HashMap;
use std::net::IpAddr;

/// A one-to-one mapping of recorded names to ours.
#[derive(Clone, Default)]
pub(crate) struct Names {
    ours: HashMap<String, String>,
    recorded: HashMap<String, String>,
}

impl Names {
    /// Whether the two names correspond; binds them to each other if neither was known.
    pub(crate) fn same(&mut self, recorded: &str, ours: &str) -> bool {
        if is_date(recorded) {
            return is_date(ours) && recorded.ends_with('Z') == ours.ends_with('Z');
        }
        if let Some(kind) = kind(recorded) {
            return self::kind(ours) == Some(kind) && self.bound(recorded, ours);
        }
        if recorded == ours {
            return true;
        }
        self.ours(recorded) == ours || self.same_inside(recorded, ours)
    }

    /// Whether the two are bound to each other; binds them if neither was bound.
    fn bound(&mut self, recorded: &str, ours: &str) -> bool {
        match (self.ours.get(recorded), self.recorded.get(ours)) {
            (None, None) => {
                self.ours.insert(recorded.to_owned(), ours.to_owned());
                self.recorded.insert(ours.to_owned(), recorded.to_owned());
                true
            }
            (Some(known), _) => known == ours,
            (None, Some(_)) => false,
        }
    }

    /// Whether two texts are equal apart from the names in them.
    fn same_inside(&mut self, recorded: &str, ours: &str) -> bool {
        if let (Some(a), Some(b)) = (without_minute(recorded), without_minute(ours)) {
            return self.ours(&a) == b;
        }
        let words = |text: &str| -> Vec<String> { text.split('/').map(str::to_owned).collect() };
        let (a, b) = (words(recorded), words(ours));
        let named = a.iter().any(|w| kind(w).is_some());
        named
            && a.len() == b.len()
            && a.iter().zip(&b).all(|(x, y)| if kind(x).is_some() { self.same(x, y) } else { x == y })
    }

    /// Whether a recorded name is known.
    pub(crate) fn knows(&self, recorded: &str) -> bool {
        self.ours.contains_key(recorded)
    }

    /// A text with every recorded name replaced by ours.
    pub(crate) fn ours(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
            if end > 0 {
                out.push_str(&self.word(&rest[..end]));
                rest = &rest[end..];
                continue;
            }
            let mut chars = rest.chars();
            out.extend(chars.next());
            rest = chars.as_str();
        }
        out
    }

    /// Replaces one word of id and address characters: a name, or a name with a dotted suffix.
    fn word(&self, word: &str) -> String {
        if let Some(ours) = self.ours.get(word) {
            return ours.clone();
        }
        if word.len() > 36 && word.is_char_boundary(36) {
            let (head, tail) = word.split_at(36);
            if let Some(ours) = self.ours.get(head) {
                return format!("{ours}{}", self.word(tail));
            }
        }
        word.to_owned()
    }
}

/// Removes the minute from a text that contains one (`…_2026-07-30_12-53…`).
fn without_minute(text: &str) -> Option<String> {
    const FORM: &[u8] = b"0000-00-00_00-00";
    let like = |w: &[u8]| w.iter().zip(FORM).all(|(c, f)| if *f == b'0' { c.is_ascii_digit() } else { c == f });
    let at = text.as_bytes().windows(FORM.len()).position(like)?;
    Some(format!("{}{}", &text[..at], &text[at + FORM.len()..]))
}

const fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':')
}

/// The kind of a name: only names of the same kind can correspond.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Id,
    Interface,
    /// An IPv4 or IPv6 address, with its prefix length if it has one.
    Address {
        v6: bool,
        prefix: Option<u8>,
    },
}

/// The kind of name that a text is, if it is a name.
fn kind(text: &str) -> Option<Kind> {
    if is_uuid(text) {
        return Some(Kind::Id);
    }
    if is_mac(text) {
        return Some(Kind::Interface);
    }
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    Some(Kind::Address { v6: matches!(address.parse::<IpAddr>().ok()?, IpAddr::V6(_)), prefix })
}

pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

fn is_mac(text: &str) -> bool {
    text.len() == 17
        && text.bytes().enumerate().all(|(i, b)| if i % 3 == 2 { b == b':' } else { b.is_ascii_hexdigit() })
}

fn is_date(text: &str) -> bool {
    text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T') && text[..4].bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests;
