//! When the next attempt at a creation may be made, and when none will be.
//!
//! Nothing that creates is ever repeated blindly: a new attempt follows only on a refusal that surely had no effect, or
//! on an attempt that was abandoned.

use super::Rules;
use crate::error::{CallError, ErrorKind};
use crate::recorded::Retry;
use crate::status::CreateState;
use crate::time::Timestamp;

/// What became of the last attempt.
pub(super) struct Last<'a> {
    pub(super) attempt: u32,
    /// How many attempts were given up.
    pub(super) abandoned: usize,
    pub(super) state: CreateState,
    pub(super) error: Option<&'a CallError>,
    pub(super) retry: Option<&'a Retry>,
    pub(super) intended_at: Timestamp,
    pub(super) answered_at: Option<Timestamp>,
}

/// What to do about a resource that has no live row.
pub(super) enum Next {
    /// Make attempt n.
    Make(u32),
    /// It is open what became of the last attempt, until then.
    Doubt(Timestamp),
    /// Refused for now.
    Later(Retry),
    /// Never again: a code and a sentence.
    Never(String, String),
}

/// How long a creation with that outcome may still turn up.
pub(super) fn grace_ms(error: Option<&CallError>, rules: &Rules) -> i64 {
    match error.map(|e| e.kind) {
        // The cloud said why it made nothing; one listing that cannot be older than that settles it.
        Some(ErrorKind::OutOfStock | ErrorKind::Quota) => rules.stale_ms,
        _ => rules.create_grace_ms.max(rules.stale_ms),
    }
}

pub(super) fn next(what: &str, last: Option<&Last<'_>>, rules: &Rules, now: Timestamp) -> Next {
    let Some(last) = last else { return Next::Make(1) };
    let kind = last.error.map(|e| e.kind);
    let message = last.error.map_or("no answer", |e| e.message.as_str());
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
                "the {what} was asked for {} times and never turned up; see the provider's status page",
                last.abandoned
            ),
        ),
        CreateState::Created => Next::Never(
            format!("{}_disappeared", what.replace(' ', "_")),
            format!("the {what} was deleted outside of this control plane; create a new instance"),
        ),
    }
}

/// A precondition that never comes to hold is a refusal. Broken credentials, rate limits and outages are waited out.
pub(super) fn is_worn_out(retry: &Retry, rules: &Rules) -> bool {
    retry.error.kind == ErrorKind::Conflict && retry.count > rules.setbacks_max
}

fn never(kind: Option<ErrorKind>, what: &str, message: &str) -> Next {
    let hint = match kind {
        Some(ErrorKind::OutOfStock) => {
            "; choose another instance type or zone (`inventiv offer list`), or try again later"
        }
        Some(ErrorKind::Quota) => "; ask the provider for more quota, or remove something",
        Some(ErrorKind::Refused | ErrorKind::NotFound) => "; correct the request and create a new instance",
        _ => "",
    };
    let code = kind.map_or("unknown", ErrorKind::text).to_owned();
    Next::Never(code, format!("the {what} could not be created: {message}{hint}"))
}
