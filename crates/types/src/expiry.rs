//! The end of instances and services that end by themselves.

use crate::required_or_null;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// When an instance or a service ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Extend {
    /// From now on, in seconds, instead of any earlier end; `null`: it does not end by itself.
    #[serde(deserialize_with = "required_or_null")]
    #[schema(required = true, minimum = 60, maximum = 31_536_000, example = 28_800)]
    pub ttl_seconds: Option<i64>,
}
