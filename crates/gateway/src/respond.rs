//! The answers of engines, on their way to the client.

use crate::counters::Answered;
use crate::error::GatewayError;
use crate::metered::Outcome;
use crate::pool::Connection;
use crate::request::Asked;
use crate::stream::{Streamed, ended};
use crate::usage::{self, Events, Tokens};
use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio_util::sync::WaitForCancellationFutureOwned;

/// The maximum length of an answer that is not a stream, in bytes. It is held until it is complete.
const ANSWER_MAX: usize = 64 << 20;
/// How long an engine may be silent in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(300);

/// Headers of an engine that are not passed on.
const NOT_PASSED: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::SERVER,
    header::TRANSFER_ENCODING,
    header::SET_COOKIE,
];

/// The response for the client: a stream as it comes, anything else when it is complete.
pub(crate) async fn respond(
    response: http::Response<Incoming>,
    (mut answered, mut connection): (Answered, Connection),
    asked: &Asked,
    ends: (WaitForCancellationFutureOwned, Arc<AtomicBool>),
) -> Result<Response, GatewayError> {
    let (mut parts, body) = response.into_parts();
    for name in NOT_PASSED {
        parts.headers.remove(name);
    }
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with("text/event-stream") {
        parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // Reverse proxies such as nginx hold streams back otherwise.
        parts.headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        let events = Events::new(asked.stream && !asked.wants_usage);
        let body = Streamed::new(body, events, (answered, connection), ends).into_body();
        return Ok(Response::from_parts(parts, body));
    }
    let is_json = kind.starts_with("application/json");
    let (revoked, is_stopping) = ends;
    let read = tokio::select! {
        read = whole(body, &mut connection) => read.map_err(GatewayError::upstream),
        () = revoked => Err(ended(&is_stopping)),
    };
    let body = match read {
        Ok(body) => body,
        Err(e) => {
            answered.end(Outcome::Failed, Tokens::default(), 0, |_| {});
            return Err(e);
        }
    };
    answered.first_token();
    let outcome = if parts.status.is_success() { Outcome::Complete } else { Outcome::Failed };
    let tokens = usage::of_answer(&body).filter(|_| is_json).unwrap_or_default();
    answered.end(outcome, tokens, 0, |replica| replica.pool.put(connection));
    if !parts.status.is_success() && !is_json {
        let text: String = String::from_utf8_lossy(&body).chars().take(500).collect();
        let status = if parts.status.is_server_error() { StatusCode::BAD_GATEWAY } else { parts.status };
        return Err(GatewayError::new(status, "upstream_error", format!("The model refused the request: {text}")));
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// The whole answer, so that one that breaks off ends with one clean error.
async fn whole(mut body: Incoming, connection: &mut Connection) -> Result<Bytes, String> {
    let mut read = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(SILENCE, connection.frame(&mut body)).await;
        let frame = frame.map_err(|_| format!("The model was silent for {} s.", SILENCE.as_secs()))?;
        match frame {
            None => return Ok(read.freeze()),
            Some(Err(e)) => return Err(format!("The model stopped in the middle of its answer: {e}.")),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if read.len() + data.len() > ANSWER_MAX {
                    return Err(format!("The answer is longer than {} MiB.", ANSWER_MAX >> 20));
                }
                read.extend_from_slice(&data);
            }
        }
    }
}
