//! A wire that fails as it is told: it loses requests, loses answers after they took effect, or answers itself.

use async_trait::async_trait;
use bytes::Bytes;
use inventiv_providers::transport::{NetError, Transport};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What happens to a matching request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It never arrives.
    LoseRequest,
    /// It takes effect, and the answer is lost.
    LoseAnswer,
    /// It takes effect, and no answer ever comes.
    Hang,
    /// It never arrives; this is answered instead.
    Answer {
        /// HTTP status.
        status: u16,
        /// Content type; empty: none.
        content_type: &'static str,
        /// Body.
        body: String,
    },
    /// It takes effect; this is answered instead.
    AnswerAfter {
        /// HTTP status.
        status: u16,
        /// Body, as JSON.
        body: String,
    },
}

struct Rule {
    method: &'static str,
    part: String,
    times: usize,
    fault: Fault,
    fired: usize,
}

/// A wire with rules.
pub struct Faulty {
    under: Arc<dyn Transport>,
    rules: Mutex<Vec<Rule>>,
    death: Mutex<Option<Death>>,
    killed: Arc<Notify>,
}

/// In which call the process is killed.
#[derive(Clone, Copy)]
struct Death {
    calls: usize,
    after: bool,
}

impl Faulty {
    /// Without rules, everything goes through.
    #[must_use]
    pub fn new(under: Arc<dyn Transport>) -> Self {
        Self { under, rules: Mutex::default(), death: Mutex::default(), killed: Arc::default() }
    }

    /// The next `times` requests with this method whose path contains `part` fail.
    pub fn fail(&self, method: &'static str, part: &str, times: usize, fault: Fault) {
        let rule = Rule { method, part: part.to_owned(), times, fault, fired: 0 };
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// How often all rules together fired. A fault that never fired has proved nothing.
    #[must_use]
    pub fn fired(&self) -> usize {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|r| r.fired).sum()
    }

    /// Everything goes through again.
    pub fn heal(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).iter_mut().for_each(|r| r.times = 0);
    }

    /// In the call after so many, the process is killed: before it has an effect, or after. No answer ever comes.
    pub fn kill_after(&self, calls: usize, after: bool) {
        *self.death.lock().unwrap_or_else(PoisonError::into_inner) = Some(Death { calls, after });
    }

    /// It is not killed after all.
    pub fn spare(&self) {
        *self.death.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Is told when the process must die.
    #[must_use]
    pub fn killed(&self) -> Arc<Notify> {
        self.killed.clone()
    }

    /// Whether this call is the last, and whether it has an effect.
    fn dies(&self) -> Option<bool> {
        let mut death = self.death.lock().unwrap_or_else(PoisonError::into_inner);
        match death.as_mut() {
            Some(d) if d.calls == 0 => death.take().map(|d| d.after),
            Some(d) => {
                d.calls -= 1;
                None
            }
            None => None,
        }
    }

    fn pick(&self, request: &http::Request<Bytes>) -> Option<Fault> {
        let path = request.uri().path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default();
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |r: &&mut Rule| r.times > 0 && r.method == request.method().as_str() && path.contains(&r.part);
        let rule = rules.iter_mut().find(fits)?;
        rule.times -= 1;
        rule.fired += 1;
        Some(rule.fault.clone())
    }
}

fn lost() -> NetError {
    NetError { sent: true, message: "the connection was cut".to_owned() }
}

#[async_trait]
impl Transport for Faulty {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        let answer = |status: u16, content_type: &str, body: String| {
            let mut response = http::Response::builder().status(status);
            if !content_type.is_empty() {
                response = response.header("content-type", content_type);
            }
            response.body(Bytes::from(body)).map_err(|_| lost())
        };
        if let Some(after) = self.dies() {
            if after {
                let _ = self.under.send(request).await;
            }
            self.killed.notify_one();
            return std::future::pending().await;
        }
        match self.pick(&request) {
            None => self.under.send(request).await,
            Some(Fault::LoseRequest) => Err(lost()),
            Some(Fault::LoseAnswer) => {
                let _ = self.under.send(request).await?;
                Err(lost())
            }
            Some(Fault::Hang) => {
                let _ = self.under.send(request).await?;
                std::future::pending().await
            }
            Some(Fault::Answer { status, content_type, body }) => answer(status, content_type, body),
            Some(Fault::AnswerAfter { status, body }) => {
                let _ = self.under.send(request).await?;
                answer(status, "application/json", body)
            }
        }
    }

    async fn pause(&self, pause: Duration) {
        self.under.pause(pause).await;
    }
}
