//! API keys, for clients that ask models. The value of a key is shown once, when it is created.

use crate::{SecretValue, Time, omitted_or_null};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A new API key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// The name, 1 to 100 characters, for instance of the application that uses the key. Several keys may have the same
    /// name.
    #[schema(min_length = 1, max_length = 100, example = "chat-app")]
    pub name: String,
    /// The services, by name, and the models, by id, that the key may use: at most 50, each with 1 to 300 characters. If
    /// omitted or empty, the key may use all.
    #[schema(max_items = 50, example = json!(["chat", "Qwen/Qwen2.5-7B-Instruct"]))]
    pub scopes: Option<Vec<String>>,
    /// The maximum number of requests per minute. If omitted, there is no limit.
    #[schema(minimum = 1, example = 60)]
    pub requests_per_minute: Option<i64>,
    /// The maximum number of tokens per minute, in prompts and answers together. If omitted, there is no limit.
    #[schema(minimum = 1, example = 100_000)]
    pub tokens_per_minute: Option<i64>,
    /// When the key expires; a time in the future. If omitted, it never expires.
    pub expires_at: Option<Time>,
}

/// A change of an API key. Omitted fields stay unchanged. The value of the key stays the same.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeKey {
    /// The name, 1 to 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// The services, by name, and the models, by id, that the key may use; empty: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 50)]
    pub scopes: Option<Vec<String>>,
    /// The maximum number of requests per minute. `null`: no limit.
    #[serde(deserialize_with = "omitted_or_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub requests_per_minute: Option<Option<i64>>,
    /// The maximum number of tokens per minute, in prompts and answers together. `null`: no limit.
    #[serde(deserialize_with = "omitted_or_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub tokens_per_minute: Option<Option<i64>>,
    /// When the key expires; a time in the future. `null`: never.
    #[serde(deserialize_with = "omitted_or_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Option<Time>>,
}

/// An API key, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// The unique id; it begins with `key-`.
    pub id: String,
    /// The name; several keys may have the same.
    pub name: String,
    /// The services, by name, and the models, by id, that the key may use; empty if it may use all.
    pub scopes: Vec<String>,
    /// The maximum number of requests per minute; `null` if there is no limit.
    pub requests_per_minute: Option<i64>,
    /// The maximum number of tokens per minute, in prompts and answers together; `null` if there is no limit.
    pub tokens_per_minute: Option<i64>,
    /// When the key was created.
    pub created_at: Time,
    /// When the key expires or expired; `null` if it never expires.
    pub expires_at: Option<Time>,
    /// When the key was revoked; `null` if it was not revoked.
    pub revoked_at: Option<Time>,
    /// When the key was last used, to the minute; `null` if it was never used.
    pub last_used_at: Option<Time>,
    /// Whether the key is accepted.
    pub status: KeyStatus,
}

/// Whether an API key is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// The key is accepted.
    Valid,
    /// The key is refused: its time is over.
    Expired,
    /// The key is refused: it was revoked, whether or not its time is over.
    Revoked,
}

/// A new API key, with its value.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedKey {
    /// The key.
    #[serde(flatten)]
    pub key: Key,
    /// The value: what clients send as `Authorization: Bearer VALUE`. Only this response contains it, and it cannot be
    /// recovered: only its hash is stored.
    #[schema(value_type = String, format = Password, read_only,
        example = "inv_01k1c3p9zr5t8wv2xy4a6b7cde_00000000000000000000000000000000wbv4av")]
    pub value: SecretValue,
}
