//! Lenient decoding, row by row and field by field: one malformed row of a third party never hides the others.
//!
//! A field that is missing, null or of another type is unknown. A row without an id gets one that is computed from its
//! contents, so that it is counted. No decision is based on a row whose state or volumes are unknown.

use inventiv_core::observed::WITHOUT_ID;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A field that may be unreadable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Field<T> {
    /// Absent or null.
    #[default]
    Missing,
    /// Of an unexpected type.
    Unreadable,
    /// Read.
    Known(T),
}

impl<T: DeserializeOwned> Field<T> {
    fn of(value: Value) -> Self {
        if value.is_null() {
            return Self::Missing;
        }
        serde_json::from_value(value).map_or(Self::Unreadable, Self::Known)
    }
}

impl<T> Field<T> {
    pub(super) fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Missing | Self::Unreadable => None,
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Value::deserialize(from).map(Self::of)
    }
}

/// A list whose items are read one by one; unreadable items are omitted.
#[derive(Debug, Clone)]
pub(super) struct Items<T>(pub(super) Vec<T>);

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let items = Value::deserialize(from)?;
        let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Self(items.iter().filter_map(|v| serde_json::from_value(v.clone()).ok()).collect()))
    }
}

/// A row of a listing, read as far as possible. `T` can read every object, because each of its fields is a [`Field`].
pub(super) fn row<T: DeserializeOwned>(value: &Value) -> Option<T> {
    let object = if value.is_object() { value.clone() } else { Value::Object(serde_json::Map::new()) };
    serde_json::from_value(object).ok()
}

/// The id of a row. A row without an id gets one that is computed from its contents.
pub(super) fn id_of(value: &Value) -> String {
    if let Some(id) = value.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        return id.to_owned();
    }
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    format!("{WITHOUT_ID}{:016x}", hasher.finish())
}

/// The response about one resource. Without its id, it is unreadable.
#[derive(Debug)]
pub(super) struct Identified(pub(super) Value);

impl<'de> Deserialize<'de> for Identified {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let named = value.get("id").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
        if named { Ok(Self(value)) } else { Err(serde::de::Error::custom("it has no id")) }
    }
}
