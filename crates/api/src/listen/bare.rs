//! Problems in place of the HTTP library's error responses without a body.
//!
//! The library itself refuses a head that is too long or not HTTP. Its response is replaced before it is sent.

use inventiv_types::Problem;
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A problem, and the same in the form of the OpenAI API.
#[derive(Serialize)]
struct Both {
    #[serde(flatten)]
    problem: Problem,
    error: Value,
}

/// The bytes of a problem response that closes the connection. It is not known which API the request was for, so the problem also
/// has the member `error`, which clients of the OpenAI API read.
pub(super) fn answer(status: u16, reason: &str, detail: &str) -> String {
    let problem = Problem {
        kind: "urn:inventiv:http".to_owned(),
        title: reason.to_lowercase(),
        status,
        detail: detail.to_owned(),
        instance: None,
        errors: Vec::new(),
    };
    let kind = if status < 500 { "invalid_request_error" } else { "server_error" };
    let code = reason.to_lowercase().replace(' ', "_");
    let both = Both { problem, error: json!({"message": detail, "type": kind, "param": null, "code": code}) };
    // Our own types always serialize.
    let body = serde_json::to_string(&both).unwrap_or_default();
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The replacement for an error response without a body. Our own error responses always have one.
fn instead_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let rest = text.strip_prefix("HTTP/1.1 4")?;
    let empty = text.ends_with("\r\n\r\n") && text.to_ascii_lowercase().contains("\r\ncontent-length: 0\r\n");
    let (line, _) = rest.split_once("\r\n").filter(|_| empty)?;
    let (digits, reason) = line.split_once(' ')?;
    let status = 400 + digits.parse::<u16>().ok()?;
    let detail = match status {
        414 => "the request's path is too long; path and headers may have at most 64 KiB",
        431 => "the request's headers are too long or too many; at most 64 KiB and 100 headers are allowed",
        _ => "this is not an HTTP/1.1 request",
    };
    Some(answer(status, reason, detail).into_bytes())
}

/// How long a client may read nothing of a response.
const STALL_MAX: Duration = Duration::from_secs(60);

/// A stream that replaces error responses without a body, and fails if the client stops reading.
pub(super) struct Legible<S> {
    inner: S,
    pending: Vec<u8>,
    stall_max: Duration,
    /// Runs while the client reads nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Legible<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner, pending: Vec::new(), stall_max: STALL_MAX, stalled: None }
    }

    /// The result of a write; an error if writes have been blocked for `stall_max`.
    fn watched<T>(&mut self, cx: &mut Context<'_>, written: Poll<Result<T>>) -> Poll<Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stall_max = self.stall_max;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall_max)));
        if stalled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the client reads nothing")));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> Legible<S> {
    fn write_pending(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.pending.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.pending))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.pending.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Legible<S> {
    /// Writes the pending bytes. If there are none, the stall timer is left as it is.
    fn write_watched(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.pending.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let written = self.write_pending(cx);
        self.watched(cx, written)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Legible<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Legible<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        ready!(self.write_watched(cx))?;
        if let Some(instead) = instead_of(buf) {
            self.pending = instead;
            // Bytes that cannot be written now are written with the next write, flush or shutdown.
            let _ = self.write_pending(cx)?;
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watched(cx, written)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let first = bufs.iter().find(|b| !b.is_empty()).map_or(&[][..], |b| b);
        self.poll_write(cx, first)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.write_watched(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.write_watched(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
