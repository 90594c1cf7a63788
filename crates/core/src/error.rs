//! Errors of provider calls: what the caller must do, and whether the call may have taken effect.
//!
//! `effect` is essential for crash safety: a lost response is not a refusal.

use serde::{Deserialize, Serialize};

/// The kind of an error, by what the caller must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The resource does not exist (a typed not-found for the requested id).
    NotFound,
    /// Not possible now: in use, in a transient state, or a precondition does not hold. Wait, then observe again.
    Conflict,
    /// The cloud has no capacity for this type in this zone.
    OutOfStock,
    /// The account's quota is used up.
    Quota,
    /// The request is invalid: it will be refused again.
    Refused,
    /// The credentials are wrong or expired, or lack a permission.
    Unauthorized,
    /// Too many requests. Send fewer.
    RateLimited,
    /// No usable response: network error, time-out, 5xx, or an unreadable body.
    Unavailable,
    /// A typed not-found, while nothing shows that the credentials can see that API.
    Unwitnessed,
    /// The cloud does not support it.
    Unsupported,
}

/// Whether the call may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Certainly no effect.
    None,
    /// The response was lost, or does not show it.
    Unknown,
}

impl ErrorKind {
    /// The word in logs, tables and the API.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::OutOfStock => "out_of_stock",
            Self::Quota => "quota",
            Self::Refused => "refused",
            Self::Unauthorized => "unauthorized",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Unwitnessed => "unwitnessed",
            Self::Unsupported => "unsupported",
        }
    }

    /// Whether the same call may succeed later without a change of the request.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Conflict | Self::Unauthorized | Self::RateLimited | Self::Unavailable | Self::Unwitnessed => true,
            Self::NotFound | Self::OutOfStock | Self::Quota | Self::Refused | Self::Unsupported => false,
        }
    }
}

/// A refusal or a lost response, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Whether the call may have taken effect.
    pub effect: Effect,
    /// One sentence for users, without secrets.
    pub message: String,
}
