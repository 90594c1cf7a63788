//! What a cloud's refusal means for us: what kind it is, and whether anything may have happened all the same.
//!
//! `effect` is what crash safety is about: a lost answer is not a refusal.

use serde::{Deserialize, Serialize};

/// What went wrong, by what the caller must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The resource is not there (typed, for our id).
    NotFound,
    /// Not now: in use, in a transient state, a precondition does not hold. Wait, then look again.
    Conflict,
    /// The cloud has no such machine free. Another type or zone may have.
    OutOfStock,
    /// The account's quota is used up.
    Quota,
    /// The request itself is wrong: it will be refused again.
    Refused,
    /// The credentials are wrong, expired, or lack the right.
    Unauthorized,
    /// Too many requests. Slow down.
    RateLimited,
    /// No usable answer: network, time-out, 5xx, garbled.
    Unavailable,
    /// A typed not-found, while nothing shows that the credentials see the API that answered it.
    Unwitnessed,
    /// This cloud cannot do that at all.
    Unsupported,
}

/// Whether the call may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Surely nothing happened.
    None,
    /// The answer was lost, or says nothing about it.
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

    /// Whether the same call may succeed later without anybody changing the request.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Conflict | Self::Unauthorized | Self::RateLimited | Self::Unavailable | Self::Unwitnessed => true,
            Self::NotFound | Self::OutOfStock | Self::Quota | Self::Refused | Self::Unsupported => false,
        }
    }
}

/// A refusal or a lost answer, as planner and tables keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Whether anything may have happened.
    pub effect: Effect,
    /// One sentence for people, without secrets.
    pub message: String,
}
