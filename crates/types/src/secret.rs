//! Secrets that users set. Their values are accepted and never shown again.

use crate::Time;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// The maximum length of a secret's name.
pub const SECRET_NAME_MAX: usize = 64;
/// The maximum length of a secret's value, in bytes.
pub const SECRET_VALUE_MAX_BYTES: usize = 64 * 1024;
/// What a secret's name must look like, for error messages.
pub const SECRET_NAME_RULE: &str = "must be 1 to 64 characters of a-z, 0-9, `-` and `_`, and begin with a letter";

/// Whether a text can be the name of a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    name.len() <= SECRET_NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

/// A secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Secret {
    /// The name of the secret.
    pub name: String,
    /// When the secret was first set.
    pub created_at: Time,
    /// When the value was last set.
    pub updated_at: Time,
}

/// The value of a secret. No response contains it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutSecret {
    /// The value, from 1 to 65536 bytes of UTF-8.
    #[schema(value_type = String, format = Password, write_only, min_length = 1, max_length = 65536)]
    pub value: SecretValue,
}

/// A text that is not printed, and that is erased from memory when it is dropped.
pub struct SecretValue(Zeroizing<String>);

impl SecretValue {
    /// Takes a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text: only for what seals or sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Serialize for SecretValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The usual message repeats a value of another type. That it is missing may be said.
        String::deserialize(deserializer).map(Self::new).map_err(|e| {
            if e.to_string().starts_with("missing field") { e } else { D::Error::custom("must be a string") }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_characters_of_an_identifier_and_a_limit() {
        let (longest, too_long) = ("a".repeat(SECRET_NAME_MAX), "a".repeat(SECRET_NAME_MAX + 1));
        for good in ["a", "hf-token", "hf_token", "t0", "a--", &longest] {
            assert!(is_secret_name(good), "{good}");
        }
        for bad in ["", "0a", "-a", "_a", "A", "aB", "a b", "a.b", "a/b", "é", "aé", "a\0", &too_long] {
            assert!(!is_secret_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_value_is_sent_and_never_printed() {
        let put: PutSecret = serde_json::from_str(r#"{"value": "hf_secret"}"#).unwrap();
        assert_eq!((put.value.expose(), format!("{put:?}").contains("hf_secret")), ("hf_secret", false));
        assert_eq!(serde_json::to_string(&put).unwrap(), r#"{"value":"hf_secret"}"#);
        for wrong in
            [r#"{"value": 4711}"#, r#"{"value": ["4711"]}"#, r#"{"value": {"4711": 1}}"#, r#"{"value": 47.11}"#]
        {
            let error = serde_json::from_str::<PutSecret>(wrong).unwrap_err().to_string();
            assert!(error.contains("must be a string") && !error.contains("47"), "{error}");
        }
        let error = serde_json::from_str::<PutSecret>("{}").unwrap_err().to_string();
        assert!(error.starts_with("missing field `value`"), "{error}");
    }
}
