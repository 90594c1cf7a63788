//! The API's client: one request, JSON back, each refusal one sentence.

use crate::args::Connection;
use crate::failure::Failure;
use crate::home;
use serde_json::Value;
use std::time::Duration;

/// Talks to one server.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    pub(crate) fn new(url: &str, token: String) -> Result<Self, Failure> {
        // Another part of the process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30));
        // The token of a server on this machine goes through no proxy.
        let http = if inventiv_providers::transport::is_loopback(url) { http.no_proxy() } else { http };
        let http = http.build().map_err(|e| Failure::general(format!("cannot make an HTTP client: {e}")))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token })
    }

    /// Finds the server as the command line, the environment or the token file say.
    pub(crate) fn connect(connection: &Connection) -> Result<Self, Failure> {
        let token = match &connection.token {
            Some(token) => token.clone(),
            None => home::read_token(&home::token_file(connection.token_file.as_deref())?)?,
        };
        Self::new(&connection.url, token)
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let query: Vec<String> = query.iter().map(|(k, v)| format!("{k}={}", encode(v))).collect();
        let path = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) };
        self.send(reqwest::Method::GET, &path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(reqwest::Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(reqwest::Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.send(reqwest::Method::DELETE, path, None).await
    }

    /// Every item of a list, page by page.
    pub(crate) async fn all(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            if let Some(after) = &after {
                query.push(("after", after));
            }
            let page = self.get(path, &query).await?;
            items.extend(page["items"].as_array().into_iter().flatten().cloned());
            after = page["next"].as_str().map(str::to_owned);
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.map_err(|e| {
            let what = if e.is_timeout() { "did not answer in time" } else { "cannot be reached" };
            let text =
                format!("the server at {} {what}; is `inventiv serve` running? INVENTIV_URL names another", self.url);
            Failure::unreachable(text)
        })?;
        let status = answer.status().as_u16();
        let bytes =
            answer.bytes().await.map_err(|_| Failure::unreachable("the server's answer broke off; try again"))?;
        if (200..300).contains(&status) {
            return Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null));
        }
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let detail =
            problem["detail"].as_str().map_or_else(|| format!("the server answered HTTP {status}"), str::to_owned);
        Err(match status {
            404 => Failure::not_found(detail),
            500.. => Failure::unreachable(detail),
            _ => Failure::refused(detail),
        })
    }
}

/// Percent-encodes a query value or path segment.
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}
