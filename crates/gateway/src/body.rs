//! Bodies of requests: held whole, within a limit for each and one for all of them.

use crate::error::GatewayError;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The maximum length of a request's body, in bytes.
const BODY_MAX: usize = 32 << 20;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(60);
/// How long a request waits for room for its body.
const ROOM_WITHIN: Duration = Duration::from_secs(5);

/// Reads a body. It takes room, in KiB, for what has arrived: who announces much and sends little keeps nobody out.
pub(crate) async fn read(
    body: Body,
    headers: &HeaderMap,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, OwnedSemaphorePermit), GatewayError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_MAX) {
        return Err(too_long());
    }
    tokio::time::timeout(BODY_WITHIN, whole(body, room)).await.unwrap_or_else(|_| {
        Err(GatewayError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "The body did not arrive in time."))
    })
}

async fn whole(mut body: Body, room: &Arc<Semaphore>) -> Result<(Bytes, OwnedSemaphorePermit), GatewayError> {
    let (mut read, mut held) = (BytesMut::new(), take(room, 1).await?);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| GatewayError::invalid("The body is incomplete."))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = read.len() + data.len();
        if length > BODY_MAX {
            return Err(too_long());
        }
        let more = (length / 1024 + 1).saturating_sub(held.num_permits());
        if more > 0 {
            held.merge(take(room, more).await?);
        }
        read.extend_from_slice(&data);
    }
    Ok((read.freeze(), held))
}

async fn take(room: &Arc<Semaphore>, kib: usize) -> Result<OwnedSemaphorePermit, GatewayError> {
    let kib = u32::try_from(kib).unwrap_or(u32::MAX);
    match tokio::time::timeout(ROOM_WITHIN, Arc::clone(room).acquire_many_owned(kib)).await {
        Ok(Ok(taken)) => Ok(taken),
        _ => {
            let text = "Too many long requests are under way; try again later.";
            Err(GatewayError::unavailable("overloaded", text, 2))
        }
    }
}

fn too_long() -> GatewayError {
    let text = format!("The body is longer than {} MiB.", BODY_MAX >> 20);
    GatewayError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_takes_room_for_what_has_arrived() {
        let room = Arc::new(Semaphore::new(64));
        let (sent, parts) = futures::channel::mpsc::unbounded::<Result<Bytes, std::io::Error>>();
        let (of, all) = (room.clone(), Body::from_stream(parts));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, "33554432".parse().unwrap());
        let reading = tokio::spawn(async move { read(all, &headers, &of).await });
        sent.unbounded_send(Ok(vec![b'x'; 10_000].into())).unwrap();
        while room.available_permits() > 54 {
            tokio::task::yield_now().await;
        }
        assert_eq!(room.available_permits(), 54);
        drop(sent);
        let (body, held) = reading.await.unwrap().unwrap();
        assert_eq!((body.len(), held.num_permits()), (10_000, 10));
    }

    #[tokio::test]
    async fn a_body_that_announces_too_much_is_refused_at_once() {
        let room = Arc::new(Semaphore::new(64));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, "33554433".parse().unwrap());
        let error =
            read(Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()), &headers, &room);
        assert_eq!(error.await.unwrap_err().code, "too_large");
    }
}
