//! The public API, called in this process: the console shows and does nothing that the API does not.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use inventiv_types::{Page, Problem};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt;
use zeroize::Zeroizing;

/// The maximum length of a response, in bytes.
const RESPONSE_MAX: usize = 64 << 20;
/// The maximum length of an engine's reason, in characters.
const REASON_MAX: usize = 1_000;
/// How many pages of a list are read at most.
const PAGES_MAX: usize = 20;
/// What is escaped in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// A text as a segment of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Why a request to the API failed.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// One or more sentences, for people.
    pub(crate) text: String,
}

impl Refusal {
    /// Whether the session has ended.
    pub(crate) fn is_unauthorized(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    fn internal(text: String) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, text }
    }

    fn read(status: StatusCode, body: &[u8]) -> Self {
        let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
            return Self { status, text: of_an_engine(body).unwrap_or_else(|| format!("the API answered {status}")) };
        };
        let fields = problem.errors.iter().map(|e| {
            let field = e.pointer.as_deref().or(e.parameter.as_deref()).unwrap_or_default();
            format!("{}: {}", field.trim_start_matches(['#', '/']), e.detail)
        });
        let fields: Vec<String> = fields.collect();
        let text = if fields.is_empty() { problem.detail } else { fields.join("\n") };
        Self { status, text }
    }
}

/// The reason in an error of an engine, which has the form of OpenAI's API.
fn of_an_engine(body: &[u8]) -> Option<String> {
    let read: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = read.pointer("/error/message").and_then(serde_json::Value::as_str)?;
    Some(text.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect())
}

/// What a request has besides its address.
#[derive(Default)]
struct Sent<'a> {
    body: Option<Vec<u8>>,
    key: Option<&'a str>,
    tag: Option<&'a str>,
}

/// The API, for the holder of a token.
#[derive(Clone)]
pub(crate) struct Backend {
    api: Router,
    token: Zeroizing<String>,
}

impl Backend {
    pub(crate) fn new(api: Router, token: &str) -> Self {
        Self { api, token: Zeroizing::new(token.to_owned()) }
    }

    /// Reads one resource.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<T, Refusal> {
        self.send(Method::GET, &with_query(path, query)?, Sent::default()).await.map(|(value, _)| value)
    }

    /// Every item of a list, up to a limit of pages.
    pub(crate) async fn all<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<Vec<T>, Refusal> {
        let base = serde_urlencoded::to_string(query).map_err(|e| Refusal::internal(e.to_string()))?;
        let (mut items, mut after) = (Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let mut uri = format!("{path}?{base}");
            if let Some(after) = &after {
                uri = format!("{uri}&after={}", segment(after));
            }
            let page: Page<T> = self.send(Method::GET, &uri, Sent::default()).await?.0;
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// Sends a request that takes effect once for each key.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: Option<&str>,
    ) -> Result<T, Refusal> {
        let body = serde_json::to_vec(body).map_err(|e| Refusal::internal(e.to_string()))?;
        self.send(Method::POST, path, Sent { body: Some(body), key, tag: None }).await.map(|(value, _)| value)
    }

    /// Reads one resource with its entity tag.
    pub(crate) async fn tagged<T: DeserializeOwned>(&self, path: &str) -> Result<(T, String), Refusal> {
        self.send(Method::GET, path, Sent::default()).await
    }

    /// Sends a change. With an entity tag, it is refused if the resource has changed since.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        tag: Option<&str>,
    ) -> Result<T, Refusal> {
        let body = serde_json::to_vec(body).map_err(|e| Refusal::internal(e.to_string()))?;
        self.send(method, path, Sent { body: Some(body), key: None, tag }).await.map(|(value, _)| value)
    }

    /// Sends a request that has no body, and whose response does not matter.
    pub(crate) async fn act(&self, method: Method, path: &str) -> Result<(), Refusal> {
        let response = self.exchange(self.request(method, path)?.body(Body::empty())).await?;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() { Ok(()) } else { Err(Refusal::read(parts.status, &whole(body).await?)) }
    }

    /// A response as it is, for instance a stream.
    pub(crate) async fn open(&self, path: &str, last_event_id: Option<&str>) -> Result<Response, Refusal> {
        let mut request = self.request(Method::GET, path)?;
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = self.exchange(request.body(Body::empty())).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        Err(Refusal::read(parts.status, &whole(body).await?))
    }

    /// The response to a request with a body as it is, for instance a stream.
    pub(crate) async fn open_post(&self, path: &str, body: &impl Serialize) -> Result<Response, Refusal> {
        let body = serde_json::to_vec(body).map_err(|e| Refusal::internal(e.to_string()))?;
        let request = self.request(Method::POST, path)?.header(header::CONTENT_TYPE, "application/json");
        let response = self.exchange(request.body(Body::from(body))).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        Err(Refusal::read(parts.status, &whole(body).await?))
    }

    fn request(&self, method: Method, uri: &str) -> Result<http::request::Builder, Refusal> {
        let mut bearer = http::HeaderValue::from_str(&format!("Bearer {}", *self.token))
            .map_err(|_| Refusal { status: StatusCode::UNAUTHORIZED, text: "the token is wrong".to_owned() })?;
        bearer.set_sensitive(true);
        Ok(Request::builder()
            .method(method)
            .uri(uri)
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, bearer))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        uri: &str,
        sent: Sent<'_>,
    ) -> Result<(T, String), Refusal> {
        let mut request = self.request(method, uri)?;
        let optional = [("idempotency-key", sent.key), ("if-match", sent.tag)];
        for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            request = request.header(name, value);
        }
        let body = sent.body;
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let response = self.exchange(request.body(body.map_or_else(Body::empty, Body::from))).await?;
        let (parts, body) = response.into_parts();
        let bytes = whole(body).await?;
        if !parts.status.is_success() {
            return Err(Refusal::read(parts.status, &bytes));
        }
        let tag = parts.headers.get(header::ETAG).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        serde_json::from_slice(&bytes)
            .map(|value| (value, tag))
            .map_err(|e| Refusal::internal(format!("the API's response is not as expected: {e}")))
    }

    async fn exchange(&self, request: Result<Request<Body>, http::Error>) -> Result<Response, Refusal> {
        let request = request.map_err(|e| Refusal { status: StatusCode::BAD_REQUEST, text: e.to_string() })?;
        // A router cannot fail.
        self.api.clone().oneshot(request).await.map_err(|never| match never {})
    }
}

fn with_query(path: &str, query: &impl Serialize) -> Result<String, Refusal> {
    let query = serde_urlencoded::to_string(query).map_err(|e| Refusal::internal(e.to_string()))?;
    Ok(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
}

async fn whole(body: Body) -> Result<Vec<u8>, Refusal> {
    let read = Limited::new(body, RESPONSE_MAX).collect().await;
    read.map(|all| all.to_bytes().to_vec())
        .map_err(|e| Refusal::internal(format!("the API's response ended early: {e}")))
}
