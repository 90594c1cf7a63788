//! A transport with fault injection: it loses requests, loses answers to requests that took effect, or answers itself.

use async_trait::async_trait;
use bytes::Bytes;
use inventiv_providers::transport::{NetError, Transport};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// What happens to a matching request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It never arrives.
    LoseRequest,
    /// It takes effect, but the answer is lost.
    LoseAnswer,
    /// It takes effect, but no answer ever comes.
    Hang,
    /// It takes effect, and the process is killed: see [`Faulty::killed`].
    Kill,
    /// It never arrives; the caller gets this answer.
    Answer {
        /// HTTP status.
        status: u16,
        /// Content type; empty: none.
        content_type: &'static str,
        /// Body.
        body: String,
    },
    /// It takes effect; the caller gets this answer.
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

/// A fault injected into one call.
#[derive(Clone)]
pub enum Injection {
    /// Runs a function right before the call is sent.
    Meanwhile(Arc<dyn Fn() + Send + Sync>),
    /// Kills the process before or after the call takes effect. No answer ever comes.
    Kill {
        /// Whether the call takes effect.
        after: bool,
    },
    /// No answer comes, and the call arrives later: see [`Faulty::late`].
    Late,
    /// The call arrives twice; the caller gets the first answer.
    Twice,
}

/// A transport with fault injection.
pub struct Faulty {
    under: Arc<dyn Transport>,
    rules: Mutex<Vec<Rule>>,
    injection: Mutex<Option<(usize, Injection)>>,
    killed: Arc<Notify>,
    late: Mutex<Vec<http::Request<Bytes>>>,
    /// The calls and answers since [`Faulty::listen`].
    heard: Mutex<Option<Heard>>,
}

/// Recorded calls and answers.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Method and path, with the query, of each call.
    pub calls: Vec<(String, String)>,
    /// The bodies of all received answers.
    pub shown: String,
}

impl Faulty {
    /// A transport without faults.
    #[must_use]
    pub fn new(under: Arc<dyn Transport>) -> Self {
        Self {
            under,
            rules: Mutex::default(),
            injection: Mutex::default(),
            killed: Arc::default(),
            late: Mutex::default(),
            heard: Mutex::default(),
        }
    }

    /// The next `times` requests with this method whose path contains `part` fail.
    pub fn fail(&self, method: &'static str, part: &str, times: usize, fault: Fault) {
        let rule = Rule { method, part: part.to_owned(), times, fault, fired: 0 };
        self.rules.lock().push(rule);
    }

    /// How often all rules together fired. A fault that never fired proves nothing.
    #[must_use]
    pub fn fired(&self) -> usize {
        self.rules.lock().iter().map(|r| r.fired).sum()
    }

    /// Ends all rules.
    pub fn heal(&self) {
        self.rules.lock().iter_mut().for_each(|r| r.times = 0);
    }

    /// Kills the process in the call after so many calls, before or after it takes effect. No answer ever comes.
    pub fn kill_after(&self, calls: usize, after: bool) {
        self.inject(calls, Injection::Kill { after });
    }

    /// Injects a fault into the call after so many calls.
    pub fn inject(&self, calls: usize, injection: Injection) {
        *self.injection.lock() = Some((calls, injection));
    }

    /// Cancels the injection. `true`: it had not happened.
    pub fn spare(&self) -> bool {
        self.injection.lock().take().is_some()
    }

    /// Notified when the process must die.
    #[must_use]
    pub fn killed(&self) -> Arc<Notify> {
        self.killed.clone()
    }

    /// The pending late calls, to be delivered by the caller.
    #[must_use]
    pub fn late(&self) -> Vec<http::Request<Bytes>> {
        std::mem::take(&mut *self.late.lock())
    }

    /// Starts to record calls and answers.
    pub fn listen(&self) {
        *self.heard.lock() = Some(Heard::default());
    }

    /// The recorded calls and answers.
    #[must_use]
    pub fn heard(&self) -> Heard {
        self.heard.lock().clone().unwrap_or_default()
    }

    /// The fault to inject into this call.
    fn injected(&self) -> Option<Injection> {
        let mut injection = self.injection.lock();
        match injection.as_mut() {
            Some((0, _)) => injection.take().map(|(_, injection)| injection),
            Some((calls, _)) => {
                *calls -= 1;
                None
            }
            None => None,
        }
    }

    fn hear_call(&self, request: &http::Request<Bytes>) {
        if let Some(heard) = self.heard.lock().as_mut() {
            let path = request.uri().path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default();
            heard.calls.push((request.method().to_string(), path.to_owned()));
        }
    }

    fn hear_answer(&self, answer: &Result<http::Response<Bytes>, NetError>) {
        if let (Some(heard), Ok(answer)) = (self.heard.lock().as_mut(), answer) {
            heard.shown.push_str(&String::from_utf8_lossy(answer.body()));
        }
    }

    fn pick(&self, request: &http::Request<Bytes>) -> Option<Fault> {
        let path = request.uri().path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default();
        let mut rules = self.rules.lock();
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
        self.hear_call(&request);
        match self.injected() {
            None => {}
            Some(Injection::Meanwhile(happen)) => happen(),
            Some(Injection::Kill { after }) => {
                if after {
                    let _ = self.under.send(request).await;
                }
                self.killed.notify_one();
                return std::future::pending().await;
            }
            Some(Injection::Late) => {
                self.late.lock().push(request);
                return Err(lost());
            }
            Some(Injection::Twice) => {
                let first = self.under.send(request.clone()).await;
                let _ = self.under.send(request).await;
                self.hear_answer(&first);
                return first;
            }
        }
        let answer = self.pass_on(request).await;
        self.hear_answer(&answer);
        answer
    }

    async fn pause(&self, pause: Duration) {
        self.under.pause(pause).await;
    }

    fn elapsed(&self) -> Duration {
        self.under.elapsed()
    }
}

impl Faulty {
    async fn pass_on(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        let answer = |status: u16, content_type: &str, body: String| {
            let mut response = http::Response::builder().status(status);
            if !content_type.is_empty() {
                response = response.header("content-type", content_type);
            }
            response.body(Bytes::from(body)).map_err(|_| lost())
        };
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
            Some(Fault::Kill) => {
                let _ = self.under.send(request).await?;
                self.killed.notify_one();
                std::future::pending().await
            }
            Some(Fault::Answer { status, content_type, body }) => answer(status, content_type, body),
            Some(Fault::AnswerAfter { status, body }) => {
                let _ = self.under.send(request).await?;
                answer(status, "application/json", body)
            }
        }
    }
}
