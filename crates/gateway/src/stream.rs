//! A streamed answer on its way to the client: counted, never held back, ended with one clean error if it breaks.

use crate::counters::Answered;
use crate::error::GatewayError;
use crate::metered::Outcome;
use crate::pool::Connection;
use crate::usage::Events;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// How long an engine may be silent in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(300);

/// Why a request ends that its key, or this process, does not outlive.
pub(crate) fn ended(is_stopping: &AtomicBool) -> GatewayError {
    if is_stopping.load(Ordering::SeqCst) {
        return GatewayError::unavailable("restarting", "The gateway is being restarted; send the request again.", 1);
    }
    let text = "The key of this request was revoked or has expired.";
    GatewayError::new(StatusCode::UNAUTHORIZED, "invalid_api_key", text)
}

/// A stream of events from an engine.
pub(crate) struct Streamed {
    body: Incoming,
    events: Events,
    /// `None`: the stream has ended.
    open: Option<Open>,
    /// Ends when the key of the request is revoked or expires.
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whether it ends because the process does.
    is_stopping: Arc<AtomicBool>,
    silence: Pin<Box<Sleep>>,
    last_at: Instant,
}

struct Open {
    answered: Answered,
    connection: Connection,
}

impl Streamed {
    pub(crate) fn new(
        body: Incoming,
        events: Events,
        (answered, connection): (Answered, Connection),
        (revoked, is_stopping): (WaitForCancellationFutureOwned, Arc<AtomicBool>),
    ) -> Self {
        Self {
            body,
            events,
            open: Some(Open { answered, connection }),
            revoked: Box::pin(revoked),
            is_stopping,
            silence: Box::pin(tokio::time::sleep(SILENCE)),
            last_at: Instant::now(),
        }
    }

    pub(crate) fn into_body(self) -> AxumBody {
        AxumBody::new(self)
    }

    /// Counts what was answered, once.
    fn end(&mut self, outcome: Outcome) {
        let Some(Open { answered, connection }) = self.open.take() else { return };
        answered.end(outcome, self.events.tokens(), self.events.parts(), |replica| {
            if outcome == Outcome::Complete {
                replica.pool.put(connection);
            }
        });
    }

    fn fail(&mut self, error: &GatewayError) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.end(Outcome::Failed);
        Poll::Ready(Some(Ok(Frame::data(error.event()))))
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        // The client went away. The connection to the engine is closed, so that it stops.
        self.end(Outcome::Cancelled);
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.open.is_none() {
            return Poll::Ready(None);
        }
        if self.revoked.as_mut().poll(cx).is_ready() {
            let error = ended(&self.is_stopping);
            return self.fail(&error);
        }
        loop {
            let Self { body, open, .. } = &mut *self;
            // It is open: only its end ends that.
            let Some(Open { connection, .. }) = open.as_mut() else { return Poll::Ready(None) };
            match connection.poll_body(body, cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.last_at = Instant::now();
                    // Engines send no trailers.
                    let Ok(data) = frame.into_data() else { continue };
                    if let Some(open) = self.open.as_mut() {
                        open.answered.first_token();
                    }
                    let data = self.events.pass(data);
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                }
                Poll::Ready(Some(Err(e))) => {
                    let text = format!("The model stopped in the middle of its answer: {e}.");
                    return self.fail(&GatewayError::upstream(text));
                }
                Poll::Ready(None) => {
                    let rest = self.events.finish();
                    self.end(Outcome::Complete);
                    if rest.is_empty() {
                        return Poll::Ready(None);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(rest))));
                }
                Poll::Pending => break,
            }
        }
        // After a reset it is polled again, so that it wakes this task.
        while self.silence.as_mut().poll(cx).is_ready() {
            let until = self.last_at + SILENCE;
            if until <= Instant::now() {
                let text = format!("The model was silent for {} s in the middle of its answer.", SILENCE.as_secs());
                return self.fail(&GatewayError::upstream(text));
            }
            self.silence.as_mut().reset(until);
        }
        Poll::Pending
    }
}
