//! What a recorded id, address or date is called here, as they first appear.

use std::collections::HashMap;

/// Recorded names and ours.
#[derive(Clone, Default)]
pub(crate) struct Names(HashMap<String, String>);

impl Names {
    /// Whether the two may be the same thing; remembers it, if neither was known.
    pub(crate) fn same(&mut self, recorded: &str, ours: &str) -> bool {
        if recorded == ours {
            return true;
        }
        if is_date(recorded) {
            return is_date(ours) && recorded.ends_with('Z') == ours.ends_with('Z');
        }
        if is_name(recorded) {
            return match self.0.get(recorded) {
                Some(known) => known == ours,
                None => {
                    let alike = is_name(ours);
                    if alike {
                        self.0.insert(recorded.to_owned(), ours.to_owned());
                    }
                    alike
                }
            };
        }
        self.ours(recorded) == ours || self.same_inside(recorded, ours)
    }

    /// Whether two texts are the same but for the names in them.
    fn same_inside(&mut self, recorded: &str, ours: &str) -> bool {
        if let (Some(a), Some(b)) = (without_minute(recorded), without_minute(ours)) {
            return self.ours(&a) == b;
        }
        let words = |text: &str| -> Vec<String> { text.split('/').map(str::to_owned).collect() };
        let (a, b) = (words(recorded), words(ours));
        let named = a.iter().any(|w| is_name(w));
        named && a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| x == y || (is_name(x) && self.same(x, y)))
    }

    /// Whether anything was ever called that.
    pub(crate) fn knows(&self, recorded: &str) -> bool {
        self.0.contains_key(recorded)
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

    /// A word made of the characters of ids and addresses: itself a name, or one followed by a dotted ending.
    fn word(&self, word: &str) -> String {
        if let Some(ours) = self.0.get(word) {
            return ours.clone();
        }
        if word.len() > 36 && word.is_char_boundary(36) {
            let (head, tail) = word.split_at(36);
            if let Some(ours) = self.0.get(head) {
                return format!("{ours}{}", self.word(tail));
            }
        }
        word.to_owned()
    }
}

/// A text that names a minute (`…_2026-07-30_12-53…`), with the minute left out.
fn without_minute(text: &str) -> Option<String> {
    const FORM: &[u8] = b"0000-00-00_00-00";
    let like = |w: &[u8]| w.iter().zip(FORM).all(|(c, f)| if *f == b'0' { c.is_ascii_digit() } else { c == f });
    let at = text.as_bytes().windows(FORM.len()).position(like)?;
    Some(format!("{}{}", &text[..at], &text[at + FORM.len()..]))
}

const fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':')
}

/// An id, an address of a network or of an interface.
fn is_name(text: &str) -> bool {
    is_uuid(text) || is_mac(text) || is_address(text)
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

fn is_address(text: &str) -> bool {
    text.split('/').next().is_some_and(|a| a.parse::<std::net::IpAddr>().is_ok())
}

fn is_date(text: &str) -> bool {
    text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T') && text[..4].bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_bound_once_and_found_inside_of_texts() {
        let (a, b) = ("6bc4b49b-bd60-4d64-8ffc-9346f18ef88b", "00000000-0000-4000-8000-000000000001");
        let mut names = Names::default();
        assert!(names.same(a, b) && names.same(a, b));
        assert!(!names.same(a, "00000000-0000-4000-8000-000000000002"), "bound to another");
        assert!(!names.same("stopped", "running"));
        assert_eq!(names.ours(&format!("/servers/{a}/action")), format!("/servers/{b}/action"));
        assert!(names.same(&format!("{a}.pub.instances.scw.cloud"), &format!("{b}.pub.instances.scw.cloud")));
        assert!(names.same("2026-07-30T12:53:15.567675+00:00", "2026-11-24T00:00:00.000001+00:00"));
        assert!(!names.same("2026-07-30T12:53:15.567675+00:00", "2026-11-24T00:00:00.000001Z"), "another notation");
    }
}
