//! The API's client: sends a request, returns the response; each error is one sentence.

use crate::args::Connection;
use crate::failure::Failure;
use crate::home;
use eventsource_stream::{Event, Eventsource};
use futures::{Stream, StreamExt};
use inventiv_types::{FollowEvents, Page, Problem};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};

/// How long a stream may be silent; the control plane sends keep-alives more often.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// How often a request is sent again whose response was lost.
const LOST_MAX: u32 = 3;
/// The pause before a request is sent again; longer each time.
const PAUSE: Duration = Duration::from_millis(500);
/// How long it is tried to learn what became of a request: longer than the control plane waits for a process that ended.
const PATIENCE: Duration = Duration::from_secs(75);

/// The client of one control plane.
pub(crate) struct Client {
    http: reqwest::Client,
    /// For responses without an end.
    streaming: reqwest::Client,
    url: String,
    token: String,
    /// How long a response may take; `None`: as usual.
    limit: Option<Duration>,
}

impl Client {
    pub(crate) fn new(url: &str, token: String) -> Result<Self, Failure> {
        // Another part of the process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let build = |http: reqwest::ClientBuilder| {
            // The token of a control plane on this machine must not pass through a proxy.
            let http = if inventiv_providers::transport::is_loopback(url) { http.no_proxy() } else { http };
            http.build().map_err(|e| Failure::general(format!("cannot create an HTTP client: {e}")))
        };
        let limit = Duration::from_secs(30);
        let http = build(reqwest::Client::builder().timeout(limit))?;
        let streaming = build(reqwest::Client::builder().connect_timeout(limit).read_timeout(SILENCE_MAX))?;
        Ok(Self { http, streaming, url: url.trim_end_matches('/').to_owned(), token, limit: None })
    }

    /// Connects with the settings of the command line, the environment or the token file.
    pub(crate) fn connect(connection: &Connection) -> Result<Self, Failure> {
        let token = match connection.token() {
            Some(token) => token,
            None => home::read_token(&home::token_file(connection.token_file().as_deref())?)?,
        };
        Self::new(&connection.url(), token)
    }

    /// The same client, which waits as long as a request to the provider may take.
    pub(crate) fn patient(self) -> Self {
        Self { limit: Some(PATIENCE), ..self }
    }

    /// Reads one resource.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<T, Failure> {
        self.send(reqwest::Method::GET, &with_query(path, query)?, None::<&()>, None).await
    }

    /// Reads a text that is not JSON.
    pub(crate) async fn text(&self, path: &str, query: &impl Serialize) -> Result<String, Failure> {
        let url = format!("{}{}", self.url, with_query(path, query)?);
        let answer = self.http.get(url).bearer_auth(&self.token).send().await.map_err(|e| self.unreachable(&e))?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(|_| Failure::unreachable("the response was cut off; try again"))?;
        if status == 200 { Ok(String::from_utf8_lossy(&bytes).into_owned()) } else { Err(refusal(status, &bytes)) }
    }

    /// Sends a request that takes effect once: if its response is lost, it is sent again with the same idempotency key. A
    /// key that is given works beyond this call.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: Option<&str>,
    ) -> Result<T, Failure> {
        let key = key.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
        let (began, mut lost) = (Instant::now(), 0);
        loop {
            let failed = match self.exchange(reqwest::Method::POST, path, Some(body), Some(&key)).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            // Only after a lost response is it worth waiting for a control plane that restarts, or for one that gives up
            // what another process began.
            let (repeats, pause) = match failed.outcome {
                Outcome::Unknown => {
                    lost += 1;
                    (lost <= LOST_MAX, PAUSE * lost)
                }
                Outcome::NotYet => (lost > 0 && began.elapsed() < PATIENCE, PAUSE * 4),
                Outcome::Known => (false, PAUSE),
            };
            if !repeats {
                return Err(failed.finally(lost > 0, &key));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends a resource that is created, or replaces one.
    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.send(reqwest::Method::PUT, path, Some(body), None).await
    }

    /// Sends a change.
    pub(crate) async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.send(reqwest::Method::PATCH, path, Some(body), None).await
    }

    /// Requests a deletion that has a response.
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(reqwest::Method::DELETE, path, None::<&()>, None).await
    }

    /// Server-sent events, after the one with the id `last`.
    pub(crate) async fn events(
        &self,
        query: &FollowEvents,
        last: Option<&str>,
    ) -> Result<impl Stream<Item = Event> + use<>, Failure> {
        self.open_stream(&with_query("/events", query)?, last).await
    }

    /// Server-sent events of a path, after the one with the id `last`.
    pub(crate) async fn open_stream(
        &self,
        path: &str,
        last: Option<&str>,
    ) -> Result<impl Stream<Item = Event> + use<>, Failure> {
        let mut request = self.streaming.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(refusal(status, &answer.bytes().await.unwrap_or_default()));
        }
        // An error ends the stream; the caller resumes it.
        Ok(answer
            .bytes_stream()
            .eventsource()
            .take_while(|e| std::future::ready(e.is_ok()))
            .filter_map(|e| std::future::ready(e.ok())))
    }

    /// Every item of a list, page by page.
    pub(crate) async fn all<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<Vec<T>, Failure> {
        let first = with_query(path, query)?;
        let glue = if first.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let path =
                next.as_ref().map_or_else(|| first.clone(), |after| format!("{first}{glue}after={}", encode(after)));
            let page: Page<T> = self.send(reqwest::Method::GET, &path, None::<&()>, None).await?;
            items.extend(page.items);
            next = page.next;
            if next.is_none() {
                return Ok(items);
            }
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&impl Serialize>,
        key: Option<&str>,
    ) -> Result<T, Failure> {
        self.exchange(method, path, body, key).await.map_err(|failed| failed.failure)
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&impl Serialize>,
        key: Option<&str>,
    ) -> Result<T, Failed> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(limit) = self.limit {
            request = request.timeout(limit);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(crate::output::json(body).to_string());
        }
        if let Some(key) = key {
            let key = reqwest::header::HeaderValue::from_str(key);
            let key = key.map_err(|_| Failure::refused("the idempotency key must consist of visible ASCII"))?;
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await;
        let answer = answer.map_err(|e| {
            let outcome = if e.is_connect() { Outcome::NotYet } else { Outcome::Unknown };
            Failed { outcome, failure: self.unreachable(&e) }
        })?;
        let status = answer.status().as_u16();
        let cut = |_| Failed {
            outcome: Outcome::Unknown,
            failure: Failure::unreachable("the response was cut off; try again"),
        };
        let bytes = answer.bytes().await.map_err(cut)?;
        if (200..300).contains(&status) {
            // No content is JSON's `null`, which decodes as `()`.
            let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
            return serde_json::from_slice(bytes).map_err(|e| unexpected(&e).into());
        }
        let outcome = match status {
            500.. => Outcome::Unknown,
            409 if is_in_progress(&bytes) => Outcome::NotYet,
            _ => Outcome::Known,
        };
        Err(Failed { outcome, failure: refusal(status, &bytes) })
    }

    fn unreachable(&self, e: &reqwest::Error) -> Failure {
        let what = if e.is_timeout() { "did not answer in time" } else { "cannot be reached" };
        Failure::unreachable(format!(
            "the control plane at {} {what}: is `inventiv serve` running? If it is elsewhere, set --url or INVENTIV_URL",
            self.url
        ))
    }
}

/// What is known of the effect of a request that failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It had none.
    Known,
    /// It may have had one: the response was lost, or is an error of the control plane.
    Unknown,
    /// This attempt had none, and it does not tell what became of an earlier one.
    NotYet,
}

/// An exchange that failed.
struct Failed {
    failure: Failure,
    outcome: Outcome,
}

impl Failed {
    /// The failure that is reported; `is_lost`: an earlier response was lost.
    fn finally(self, is_lost: bool, key: &str) -> Failure {
        let mut failure = self.failure;
        if is_lost && self.outcome != Outcome::Known {
            failure.message += &format!(
                ". The request may have taken effect: look before you repeat it. Its idempotency key is {key}"
            );
        }
        failure
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, outcome: Outcome::Known }
    }
}

/// Whether a response says that an earlier attempt is still being carried out.
fn is_in_progress(body: &[u8]) -> bool {
    serde_json::from_slice(body).is_ok_and(|problem: Problem| problem.kind == "urn:inventiv:in_progress")
}

/// A response that this version does not understand.
pub(crate) fn unexpected(e: &serde_json::Error) -> Failure {
    Failure::general(format!("unexpected response ({e}): use the version of `inventiv` that the control plane has"))
}

/// The error of a response that is not a success.
fn refusal(status: u16, body: &[u8]) -> Failure {
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let detail = problem.map_or_else(|| format!("the response is HTTP {status}"), |problem| problem.detail);
    match status {
        404 => Failure::not_found(detail),
        500.. => Failure::unreachable(detail),
        _ => Failure::refused(detail),
    }
}

pub(crate) fn with_query(path: &str, query: &impl Serialize) -> Result<String, Failure> {
    let query = serde_urlencoded::to_string(query);
    let query = query.map_err(|e| Failure::general(format!("cannot encode the query: {e}")))?;
    Ok(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
}

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes a query value or path segment.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, &ENCODED).to_string()
}
