//! What the HTTP library refuses by itself (a head that is too long or no HTTP) it answers without a body. Such an answer is
//! replaced by a problem on its way out.

use crate::problem::Problem;
use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An answer as it goes over the wire, after which the connection ends.
pub(super) fn answer(status: u16, reason: &str, detail: &str) -> String {
    let problem = Problem {
        kind: "urn:inventiv:http".to_owned(),
        title: reason.to_lowercase(),
        status,
        detail: detail.to_owned(),
    };
    // Our own types always have a JSON form.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// What goes out instead, if this is a refusal without a body. Our own answers always have one.
fn instead_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let rest = text.strip_prefix("HTTP/1.1 4")?;
    let empty = text.ends_with("\r\n\r\n") && text.to_ascii_lowercase().contains("\r\ncontent-length: 0\r\n");
    let (line, _) = rest.split_once("\r\n").filter(|_| empty)?;
    let (digits, reason) = line.split_once(' ')?;
    let status = 400 + digits.parse::<u16>().ok()?;
    let detail = match status {
        408 => "the request's head did not arrive in time",
        414 => "the request's path is too long; at most 64 KiB with all headers",
        431 => "the request's headers are too long or too many; at most 64 KiB and 100 of them",
        _ => "this is not an HTTP/1.1 request",
    };
    Some(answer(status, reason, detail).into_bytes())
}

/// A stream whose bare refusals become problems.
pub(super) struct Legible<S> {
    inner: S,
    pending: Vec<u8>,
}

impl<S> Legible<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner, pending: Vec::new() }
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

impl<S: AsyncRead + Unpin> AsyncRead for Legible<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Legible<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        ready!(self.write_pending(cx))?;
        if let Some(instead) = instead_of(buf) {
            self.pending = instead;
            // What cannot go out now goes out with the next write, flush or end.
            let _ = self.write_pending(cx)?;
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let first = bufs.iter().find(|b| !b.is_empty()).map_or(&[][..], |b| b);
        self.poll_write(cx, first)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.write_pending(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.write_pending(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_without_a_body_are_replaced() {
        let bare = |line: &str, rest: &str| format!("HTTP/1.1 {line}\r\n{rest}date: today\r\n\r\n").into_bytes();
        for (line, status) in
            [("400 Bad Request", 400), ("414 URI Too Long", 414), ("431 Request Header Fields Too Large", 431)]
        {
            let instead =
                instead_of(&bare(line, "content-length: 0\r\n")).map(|b| String::from_utf8(b).unwrap()).unwrap();
            let (head, body) = instead.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {line}\r\n")) && head.contains("application/problem+json"),
                "{head}"
            );
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
            let problem: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(problem["status"], status);
        }
        for other in [
            bare("200 OK", "content-length: 0\r\n"),
            bare("404 Not Found", "content-length: 12\r\n"),
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
            b"data: HTTP/1.1 400\r\ncontent-length: 0\r\n\r\n".to_vec(),
            vec![0xFF, 0xFE],
            Vec::new(),
        ] {
            assert_eq!(instead_of(&other), None);
        }
    }
}
