//! Calls to a JSON API: deadlines, retries of reads, and the rate budget. The secret key is only in its header.
//!
//! Reads are repeated a few times. Changes are sent once, by this code and by the libraries below it.

use crate::budget::Budget;
use crate::error::Error;
use crate::transport::Transport;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use inventiv_core::error::{Effect, ErrorKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How long a read may take.
const READ_DEADLINE: Duration = Duration::from_secs(20);
/// How long a change may take.
const CHANGE_DEADLINE: Duration = Duration::from_secs(30);
/// How long a creation may take. It is shorter than any grace, so that no creation is abandoned while it is in flight.
const CREATE_DEADLINE: Duration = Duration::from_secs(60);
/// The pauses before a read is repeated.
const READ_PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1_000)];

/// The purpose of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Changes nothing, so it may be repeated.
    Read,
    /// Changes an existing resource.
    Change,
    /// Creates a resource.
    Create,
    /// Starts a server, for which the provider may be out of stock.
    Start,
}

/// The body of a call.
#[derive(Debug, Clone)]
pub enum Body {
    /// No body.
    None,
    /// JSON.
    Json(Value),
    /// Plain text.
    Text(String),
}

/// A call, without the base URL and the credentials.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path and query.
    pub path: String,
    /// The body.
    pub body: Body,
    /// The purpose.
    pub purpose: Purpose,
}

/// A complete response with a 2xx status.
#[derive(Debug, Clone)]
pub struct Success {
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    effect_if_lost: Effect,
}

impl Success {
    /// Decodes the body. If that fails, the effect of a change is unknown.
    ///
    /// # Errors
    /// `Unavailable` when the body does not have the documented form.
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|e| Error {
            request_id: self.request_id.clone(),
            ..Error::unavailable(self.effect_if_lost, format!("the provider's response cannot be read: {e}"))
        })
    }
}

/// The meaning of a response that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorClass {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Whether a change may have had an effect nevertheless.
    pub effect: Effect,
    /// The message for people, without secrets.
    pub message: String,
    /// The kind and id of the resource that it is about, if it names one.
    pub resource: Option<(String, String)>,
}

/// Classifies a response that is not 2xx.
pub type ClassifyError = fn(purpose: Purpose, status: u16, content_type: &str, body: &[u8]) -> ErrorClass;

/// One API of one account.
pub struct Api {
    transport: Arc<dyn Transport>,
    base_url: String,
    key: SecretString,
    budget: Budget,
    classify_error: ClassifyError,
}

impl Api {
    /// An API at `base_url`, with the secret key `key`.
    #[must_use]
    pub fn new(
        transport: Arc<dyn Transport>,
        base_url: String,
        key: SecretString,
        budget: Budget,
        classify_error: ClassifyError,
    ) -> Self {
        Self { transport, base_url, key, budget, classify_error }
    }

    /// Waits until the rate budget has a slot.
    pub async fn acquire(&self) {
        if let Some(wait) = self.budget.take(self.transport.elapsed()) {
            self.transport.pause(wait).await;
        }
    }

    /// Sets this process's part of the account's rate.
    pub fn set_share(&self, part: f64) {
        self.budget.set_share(part);
    }

    /// How long a caller would currently wait for the rate budget, in milliseconds.
    #[must_use]
    pub fn queue_delay_ms(&self) -> u64 {
        self.budget.queue_delay_ms(self.transport.elapsed())
    }

    /// Sends a call. Reads wait for the rate budget here; for changes, the caller has waited already.
    ///
    /// # Errors
    /// If there is no response, or its status is not 2xx.
    pub async fn send(&self, call: &Call) -> Result<Success, Error> {
        let mut pauses = READ_PAUSES.iter();
        loop {
            if call.purpose == Purpose::Read {
                self.acquire().await;
            }
            let result = self.send_once(call).await;
            let again = matches!(&result, Err(e) if matches!(e.kind, ErrorKind::Unavailable | ErrorKind::RateLimited));
            match pauses.next().filter(|_| again && call.purpose == Purpose::Read) {
                Some(pause) => self.transport.pause(*pause).await,
                None => return result,
            }
        }
    }

    async fn send_once(&self, call: &Call) -> Result<Success, Error> {
        let request = self.request(call)?;
        let lost = if call.purpose == Purpose::Read { Effect::None } else { Effect::Unknown };
        let deadline = match call.purpose {
            Purpose::Read => READ_DEADLINE,
            Purpose::Change | Purpose::Start => CHANGE_DEADLINE,
            Purpose::Create => CREATE_DEADLINE,
        };
        let what = format!("{} {}", call.method, call.path.split('?').next().unwrap_or_default());
        let sent = tokio::time::timeout(deadline, self.transport.send(request)).await;
        let answer = match sent {
            Err(_) => {
                return Err(Error::unavailable(lost, format!("{what}: no response within {} s", deadline.as_secs())));
            }
            Ok(Err(e)) => {
                let effect = if e.sent { lost } else { Effect::None };
                return Err(Error::unavailable(effect, format!("{what}: {}", e.message)));
            }
            Ok(Ok(answer)) => answer,
        };
        let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let request_id = header("x-request-id");
        if answer.status().is_success() {
            self.budget.speed_up();
            let headers = answer.headers().clone();
            return Ok(Success { headers, body: answer.into_body(), request_id, effect_if_lost: lost });
        }
        let status = answer.status().as_u16();
        let content_type = header("content-type").unwrap_or_default();
        let ErrorClass { kind, effect, message, resource } =
            (self.classify_error)(call.purpose, status, &content_type, answer.body());
        if kind == ErrorKind::RateLimited {
            self.budget.slow_down(self.transport.elapsed());
        }
        let effect = if lost == Effect::None { Effect::None } else { effect };
        Err(Error { kind, effect, message: format!("{what}: {message}"), status: Some(status), request_id, resource })
    }

    fn request(&self, call: &Call) -> Result<Request<Bytes>, Error> {
        let (content_type, body) = match &call.body {
            Body::None => (None, Bytes::new()),
            Body::Json(value) => (Some("application/json"), Bytes::from(value.to_string())),
            Body::Text(text) => (Some("text/plain"), Bytes::from(text.clone())),
        };
        let url = format!("{}{}", self.base_url, call.path);
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(url)
            .header(header::USER_AGENT, concat!("inventiv-agents/", env!("CARGO_PKG_VERSION")));
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let refused = |what: String| Error::new(ErrorKind::Refused, Effect::None, what);
        let mut key = HeaderValue::from_str(self.key.expose_secret())
            .map_err(|_| refused("the secret key has characters that are not allowed in a header".to_owned()))?;
        key.set_sensitive(true);
        let request = request.header("x-auth-token", key).body(body);
        request.map_err(|e| refused(format!("the request cannot be built: {e}")))
    }
}

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes one path segment or query value.
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, &ENCODED).to_string()
}
