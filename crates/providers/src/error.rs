//! What a call that did not succeed means: kind, effect, and one sentence without secrets.

use inventiv_core::error::{CallError, Effect, ErrorKind};

/// A refusal or a lost answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Whether anything may have happened.
    pub effect: Effect,
    /// For people.
    pub message: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The cloud's own id of the exchange.
    pub request_id: Option<String>,
    /// The kind and id of the resource that the refusal is about, as the cloud names them.
    pub resource: Option<(String, String)>,
}

impl Error {
    /// An error that no exchange caused, or whose exchange does not matter.
    #[must_use]
    pub fn new(kind: ErrorKind, effect: Effect, message: impl Into<String>) -> Self {
        Self { kind, effect, message: message.into(), status: None, request_id: None, resource: None }
    }

    /// No usable answer.
    #[must_use]
    pub fn unavailable(effect: Effect, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, effect, message)
    }

    /// The same for planner and tables.
    #[must_use]
    pub fn for_record(&self) -> CallError {
        CallError { kind: self.kind, effect: self.effect, message: self.message.clone() }
    }
}
