//! A transport to a router in this process: no socket, and no real time unless requested.

use async_trait::async_trait;
use bytes::Bytes;
use inventiv_providers::transport::{ANSWER_MAX, NetError, Transport};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tower::ServiceExt;

/// A transport whose answers come from a router.
#[derive(Clone)]
pub struct InProcess {
    router: axum::Router,
    time: Time,
}

/// How pauses pass.
#[derive(Clone)]
enum Time {
    /// At once: the transport's time is the sum of all pauses, in microseconds.
    Paused(Arc<AtomicU64>),
    /// In real time.
    Real(Instant),
}

impl InProcess {
    /// Answers come from `router`; pauses take no real time.
    #[must_use]
    pub fn new(router: axum::Router) -> Self {
        Self { router, time: Time::Paused(Arc::default()) }
    }

    /// Answers come from `router`; pauses take real time.
    #[must_use]
    pub fn in_real_time(router: axum::Router) -> Self {
        Self { router, time: Time::Real(Instant::now()) }
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        let answer = match self.router.clone().oneshot(request.map(axum::body::Body::from)).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, ANSWER_MAX).await;
        let body = body.map_err(|e| NetError { sent: true, message: format!("the answer is incomplete: {e}") })?;
        Ok(http::Response::from_parts(parts, body))
    }

    async fn pause(&self, pause: Duration) {
        match &self.time {
            Time::Paused(sum) => {
                sum.fetch_add(u64::try_from(pause.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
            Time::Real(_) => tokio::time::sleep(pause).await,
        }
    }

    fn elapsed(&self) -> Duration {
        match &self.time {
            Time::Paused(sum) => Duration::from_micros(sum.load(Ordering::SeqCst)),
            Time::Real(since) => since.elapsed(),
        }
    }
}
