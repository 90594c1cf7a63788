//! When the next attempt to create a resource may be made, and when no further one is made.
//!
//! A call that creates is never repeated. A new attempt follows only a refusal that certainly had no effect, or an
//! attempt that was abandoned.

use super::Rules;
use crate::error::{CallError, ErrorKind};
use crate::recorded::Retry;
use crate::status::CreateState;
use crate::time::Timestamp;

/// The outcome of the last attempt.
pub(super) struct Last<'a> {
    pub(super) attempt: u32,
    /// How many attempts were abandoned.
    pub(super) abandoned: usize,
    pub(super) state: CreateState,
    pub(super) error: Option<&'a CallError>,
    pub(super) retry: Option<&'a Retry>,
    pub(super) intended_at: Timestamp,
    pub(super) answered_at: Option<Timestamp>,
}

/// What to do about a resource that has no live row.
pub(super) enum Next {
    /// Make attempt n now.
    Make(u32),
    /// The last attempt is unconfirmed. Until then, wait.
    Doubt(Timestamp),
    /// Refused. Retry later.
    Later(Retry),
    /// No further attempt: a code and a sentence.
    Never(String, String),
}

/// How long a creation with that outcome may still take effect.
pub(super) fn grace_ms(error: Option<&CallError>, rules: &Rules) -> i64 {
    match error.map(|e| e.kind) {
        // The cloud said why it created nothing. One listing that cannot be older than that response confirms it.
        Some(ErrorKind::OutOfStock | ErrorKind::Quota) => rules.stale_ms,
        _ => rules.create_grace_ms.max(rules.stale_ms),
    }
}

pub(super) fn next(what: &str, last: Option<&Last<'_>>, rules: &Rules, now: Timestamp) -> Next {
    let Some(last) = last else { return Next::Make(1) };
    let kind = last.error.map(|e| e.kind);
    let message = last.error.map_or("no response", |e| e.message.as_str());
    match last.state {
        CreateState::Intended | CreateState::Unconfirmed => {
            Next::Doubt(last.answered_at.unwrap_or(last.intended_at).plus_ms(grace_ms(last.error, rules)))
        }
        CreateState::Refused => match last.retry {
            Some(retry) if kind.is_some_and(ErrorKind::is_retryable) && !is_worn_out(retry, rules) => {
                if retry.not_before > now { Next::Later(retry.clone()) } else { Next::Make(last.attempt + 1) }
            }
            _ => never(kind, what, message),
        },
        CreateState::Abandoned if kind == Some(ErrorKind::OutOfStock) => never(kind, what, message),
        CreateState::Abandoned if last.abandoned < rules.attempts_max as usize => Next::Make(last.attempt + 1),
        CreateState::Abandoned => Next::Never(
            "create_unconfirmed".to_owned(),
            format!(
                "the {what} was requested {} times and never appeared; see the provider's status page",
                last.abandoned
            ),
        ),
        CreateState::Created => Next::Never(
            format!("{}_disappeared", what.replace(' ', "_")),
            format!("a third party deleted the {what}; create a new instance"),
        ),
    }
}

/// A conflict that is retried too often counts as a refusal. Bad credentials, rate limits and outages are retried for
/// ever.
pub(super) fn is_worn_out(retry: &Retry, rules: &Rules) -> bool {
    retry.error.kind == ErrorKind::Conflict && retry.count > rules.retries_max
}

fn never(kind: Option<ErrorKind>, what: &str, message: &str) -> Next {
    let hint = match kind {
        Some(ErrorKind::OutOfStock) => {
            "; choose another instance type or zone (`inventiv offer list`), or try again later"
        }
        Some(ErrorKind::Quota) => "; ask the provider for more quota, or delete something that uses it",
        Some(ErrorKind::Refused | ErrorKind::NotFound) => "; correct the request and create a new instance",
        _ => "",
    };
    let code = kind.map_or("unknown", ErrorKind::text).to_owned();
    Next::Never(code, format!("the {what} could not be created: {message}{hint}"))
}
