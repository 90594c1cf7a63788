//! Sessions: tokens that expire, for browsers and for people who may only look.

use crate::{SecretValue, Time};
use inventiv_core::role::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The desired session.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// What people call it, for instance who uses it.
    #[schema(min_length = 1, max_length = 100, example = "finance")]
    pub name: Option<String>,
    /// What its holder may do. If omitted, everything.
    pub role: Option<Role>,
    /// How long it is valid, in seconds. If omitted, 12 hours.
    #[schema(minimum = 60, maximum = 31_536_000, example = 43_200)]
    pub ttl_seconds: Option<i64>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The unique id; it begins with `ses-`.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `operator`: its holder may do everything. `reader`: its holder may only read.
    pub role: Role,
    /// When it was created.
    pub created_at: Time,
    /// From when on its token is refused.
    pub expires_at: Time,
}

/// A session that was created.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedSession {
    /// The session.
    #[serde(flatten)]
    pub session: Session,
    /// The token, for the header `Authorization: Bearer TOKEN`. It is shown in the response to the creation only.
    #[schema(value_type = String, format = Password, read_only, example = "ses_0000000000000000000000000000000000000000000000000000000000000000")]
    pub token: SecretValue,
}

/// What the token of a request allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Access {
    /// What its holder may do.
    pub role: Role,
    /// The session; `null` for the operator's token.
    pub session: Option<Session>,
}
