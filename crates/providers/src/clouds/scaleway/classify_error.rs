//! The meaning of Scaleway's refusals. Every JSON error has a `type` and a `message`; some responses have no body.

use crate::http::{ErrorClass, Purpose};
use inventiv_core::error::{Effect, ErrorKind};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) resource: Option<String>,
    #[serde(default)]
    pub(super) resource_id: Option<String>,
    #[serde(default)]
    help_message: Option<String>,
    #[serde(default)]
    details: Vec<Detail>,
    #[serde(default)]
    fields: Option<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Detail {
    #[serde(default)]
    argument_name: Option<String>,
    #[serde(default)]
    help_message: Option<String>,
    #[serde(default)]
    resource: Option<String>,
}

/// How much of a response that is not a Scaleway error is read, in bytes.
const BARE_MAX: usize = 2_000;
/// How much of Scaleway's text goes into our message, in characters.
const WORDS_MAX: usize = 300;

impl ErrorBody {
    /// All texts of the error.
    fn all_words(&self) -> String {
        let mut all = vec![self.kind.as_str(), self.message.as_str(), self.help_message.as_deref().unwrap_or_default()];
        all.extend(self.details.iter().filter_map(|d| d.help_message.as_deref()));
        all.join(" ")
    }
}

/// The body, if it is a Scaleway error.
pub(super) fn parse(content_type: &str, body: &[u8]) -> Option<ErrorBody> {
    let json = content_type.starts_with("application/json");
    json.then(|| serde_json::from_slice::<ErrorBody>(body).ok()).flatten().filter(|b| !b.kind.is_empty())
}

pub(super) fn classify_error(purpose: Purpose, status: u16, content_type: &str, body: &[u8]) -> ErrorClass {
    // For other purposes, words about stock have another meaning.
    let asks_for_stock = matches!(purpose, Purpose::Create | Purpose::Start) && !matches!(status, 401 | 403 | 429);
    let Some(body) = parse(content_type, body) else {
        let says = asks_for_stock && !content_type.starts_with("text/html") && says_no_stock(&bare_words(body));
        return judge_bare(status, says);
    };
    let kind = match (body.kind.as_str(), status) {
        ("out_of_stock", _) => ErrorKind::OutOfStock,
        ("quotas_exceeded", _) => ErrorKind::Quota,
        ("invalid_request_error", 403) if body.message.to_lowercase().contains("quota") => ErrorKind::Quota,
        // Whatever the type and the status are, these words say why nothing was created.
        _ if asks_for_stock && says_no_stock(&body.all_words()) => ErrorKind::OutOfStock,
        ("denied_authentication" | "permissions_denied" | "authorization_required", _) | (_, 401 | 403) => {
            ErrorKind::Unauthorized
        }
        ("not_found" | "unknown_resource" | "expired" | "resource_expired", _) => ErrorKind::NotFound,
        ("transient_state" | "already_exists" | "precondition_failed" | "locked", _) | (_, 409 | 412) => {
            ErrorKind::Conflict
        }
        ("invalid_arguments", _) if says_not_now(&body) => ErrorKind::Conflict,
        (_, 429) => ErrorKind::RateLimited,
        (_, 500..) => ErrorKind::Unavailable,
        (_, 400..=499) => ErrorKind::Refused,
        _ => ErrorKind::Unavailable,
    };
    // After a 5xx, including `out_of_stock`, the effect is unknown until a listing shows it.
    let effect = if (400..500).contains(&status) { Effect::None } else { Effect::Unknown };
    let message = words(status, &body);
    ErrorClass { kind, effect, message, resource: body.resource.zip(body.resource_id) }
}

/// Whether a text says that the provider is out of stock.
fn says_no_stock(words: &str) -> bool {
    const WORDS: [&str; 6] = ["out of stock", "out_of_stock", "no stock", "shortage", "sold out", "no capacity"];
    const LACK: [&str; 6] = ["insufficient", "not enough", "no more", "lack of", "exhausted", "no available"];
    const OF: [&str; 4] = ["capacity", "stock", "hypervisor", "compute resource"];
    let text = words.to_lowercase().replace('-', " ");
    let any = |list: &[&str]| list.iter().any(|w| text.contains(w));
    any(&WORDS) || (any(&LACK) && any(&OF))
}

/// Whether "invalid arguments" are caused by the current state of a resource, not by the request.
fn says_not_now(body: &ErrorBody) -> bool {
    let texts = body.details.iter().filter_map(|d| d.help_message.as_deref());
    texts.into_iter().any(|t| t.contains("when volume is not available"))
}

fn bare_words(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(..BARE_MAX).unwrap_or(body)).into_owned()
}

fn judge_bare(status: u16, out_of_stock: bool) -> ErrorClass {
    let (kind, text) = match status {
        _ if out_of_stock => (ErrorKind::OutOfStock, "the provider says that it is out of stock"),
        401 | 403 => (ErrorKind::Unauthorized, "the credentials were refused"),
        429 => (ErrorKind::RateLimited, "too many requests"),
        404 => (ErrorKind::Unavailable, "not found, but not as a Scaleway error: is SCW_API_URL right?"),
        400..=499 => (ErrorKind::Refused, "refused without a reason"),
        _ => (ErrorKind::Unavailable, "the provider's gateway returned an error"),
    };
    let effect = if (400..500).contains(&status) { Effect::None } else { Effect::Unknown };
    ErrorClass { kind, effect, message: format!("{text} (HTTP {status})"), resource: None }
}

/// One sentence from the parts of the body.
fn words(status: u16, body: &ErrorBody) -> String {
    let mut parts = vec![body.message.clone()];
    parts.extend(body.help_message.clone());
    for d in &body.details {
        let name = d.argument_name.as_deref().or(d.resource.as_deref()).unwrap_or_default();
        parts.push(format!("{name} {}", d.help_message.as_deref().unwrap_or_default()).trim().to_owned());
    }
    if let (Some(r), Some(id)) = (&body.resource, &body.resource_id) {
        parts.push(format!("{r} {id}"));
    } else if let Some(r) = &body.resource {
        parts.push(r.clone());
    }
    parts.extend(body.fields.as_ref().map(ToString::to_string));
    parts.retain(|p| !p.is_empty());
    let text: String = parts.join("; ").chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
    format!("{text} ({}, HTTP {status})", body.kind)
}
