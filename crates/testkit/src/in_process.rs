//! A router in this process as a wire: no socket, no real time.

use async_trait::async_trait;
use bytes::Bytes;
use inventiv_providers::transport::{ANSWER_MAX, NetError, Transport};
use std::time::Duration;
use tower::ServiceExt;

/// Answers come from a router.
#[derive(Clone)]
pub struct InProcess {
    router: axum::Router,
}

impl InProcess {
    /// Answers come from `router`.
    #[must_use]
    pub fn new(router: axum::Router) -> Self {
        Self { router }
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
        let body = body.map_err(|e| NetError { sent: true, message: format!("the answer broke off: {e}") })?;
        Ok(http::Response::from_parts(parts, body))
    }

    async fn pause(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}
