//! The error of a call: its kind, its effect, and a message without secrets.

use inventiv_core::error::{CallError, Effect, ErrorKind};

/// A refusal or a lost response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Whether the call may have had an effect.
    pub effect: Effect,
    /// The message for people.
    pub message: String,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// The kind and id of the resource that the refusal is about, as the provider names them.
    pub resource: Option<(String, String)>,
}

impl Error {
    /// An error without an exchange, or whose exchange does not matter.
    #[must_use]
    pub fn new(kind: ErrorKind, effect: Effect, message: impl Into<String>) -> Self {
        Self { kind, effect, message: message.into(), status: None, request_id: None, resource: None }
    }

    /// There was no usable response.
    #[must_use]
    pub fn unavailable(effect: Effect, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, effect, message)
    }

    /// The error as the planner and the records use it.
    #[must_use]
    pub fn for_record(&self) -> CallError {
        CallError { kind: self.kind, effect: self.effect, message: self.message.clone() }
    }
}
