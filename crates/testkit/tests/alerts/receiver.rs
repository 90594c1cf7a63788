//! A receiver of webhooks: an HTTP server that answers as it is told.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// A message as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Message {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }

    /// Whether the official library accepts it.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        standardwebhooks::Webhook::new(secret).unwrap().verify(&self.body, &self.headers).is_ok()
    }
}

#[derive(Default)]
struct Inner {
    got: Vec<Message>,
    answers: VecDeque<u16>,
}

/// The receiver.
#[derive(Clone)]
pub(crate) struct Receiver {
    inner: Arc<Mutex<Inner>>,
    /// Its path is a secret.
    pub(crate) url: String,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/T0KEN", listener.local_addr().unwrap());
        let receiver = Self { inner: Arc::default(), url };
        let app = Router::new().route("/T0KEN", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    /// The statuses of the next answers; afterwards, everything is accepted.
    pub(crate) fn answer(&self, statuses: &[u16]) {
        self.inner.lock().unwrap().answers.extend(statuses);
    }

    /// What arrived since this was last called.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.inner.lock().unwrap().got)
    }

    /// The texts of what arrived since.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.take().iter().map(|m| m.json()["data"]["text"].as_str().unwrap().to_owned()).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut inner = receiver.inner.lock().unwrap();
    inner.got.push(Message { headers, body });
    let status = inner.answers.pop_front().unwrap_or(204);
    StatusCode::from_u16(status).unwrap()
}
