//! HTTP connections that are carried out by the task that uses them.
//!
//! The usual client gives each connection a task of its own, so that a request and each part of its response cross between two
//! tasks, and often between two threads. A proxy has a task for each request anyway: here, that task reads and writes.

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::rt::{Read, Write};
use parking_lot::Mutex;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A connection over HTTP/1.1. Nothing happens on it unless one of its methods is polled.
pub struct Driven<T, B>
where
    T: Read + Write + Unpin,
    B: Body + 'static,
{
    sender: SendRequest<B>,
    /// `None`: it has ended.
    connection: Option<Box<Connection<T, B>>>,
}

/// For what can only change while the connection is polled: nothing else has to wake the task.
fn unnoticed() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Reads and writes what is possible now.
fn drive<C: Future + Unpin>(connection: &mut Option<C>, cx: &mut Context<'_>) {
    if connection.as_mut().is_some_and(|open| Pin::new(open).poll(cx).is_ready()) {
        // What went wrong is in the answer to the request.
        *connection = None;
    }
}

impl<T, B> Driven<T, B>
where
    T: Read + Write + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A connection over an open stream.
    ///
    /// # Errors
    /// If the stream is closed.
    pub async fn over(stream: T) -> Result<Self, hyper::Error> {
        let (sender, connection) = handshake(stream).await?;
        Ok(Self { sender, connection: Some(Box::new(connection)) })
    }

    /// Waits until a request can be sent.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn ready(&mut self) -> Result<(), hyper::Error> {
        poll_fn(|cx| {
            drive(&mut self.connection, cx);
            self.sender.poll_ready(cx)
        })
        .await
    }

    /// Sends a request, and waits for the beginning of the response. Its body is read with [`Driven::poll_body`].
    ///
    /// # Errors
    /// If there is none; with the request, if nothing of it was sent.
    pub async fn send(&mut self, request: Request<B>) -> Result<Response<Incoming>, TrySendError<Request<B>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        poll_fn(|cx| {
            drive(connection, cx);
            answer.as_mut().poll(&mut unnoticed())
        })
        .await
    }

    /// The next part of the body of the last response.
    pub fn poll_body(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut quiet = unnoticed();
        // What was read before; otherwise it asks for more.
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(&mut quiet) {
            return Poll::Ready(frame);
        }
        drive(&mut self.connection, cx);
        Pin::new(body).poll_frame(&mut quiet)
    }

    /// The same as a future.
    pub async fn frame(&mut self, body: &mut Incoming) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        poll_fn(|cx| self.poll_body(body, cx)).await
    }

    /// Whether the other side has not closed it, as far as can be known now.
    pub fn is_open(&mut self) -> bool {
        drive(&mut self.connection, &mut unnoticed());
        self.connection.is_some()
    }
}

/// Connections that the next request may use.
pub struct Unused<T, B>
where
    T: Read + Write + Unpin,
    B: Body + 'static,
{
    idle: Duration,
    most: usize,
    list: Mutex<Vec<(Driven<T, B>, Instant)>>,
}

impl<T, B> Unused<T, B>
where
    T: Read + Write + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// An empty list of at most `most` connections, each of which is used again within `idle`.
    #[must_use]
    pub fn new(idle: Duration, most: usize) -> Self {
        Self { idle, most, list: Mutex::default() }
    }

    /// The connection that was used last, if it is open.
    pub fn take(&self) -> Option<Driven<T, B>> {
        loop {
            let (mut connection, since) = self.list.lock().pop()?;
            if since.elapsed() < self.idle && connection.is_open() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose last response has ended.
    pub fn put(&self, connection: Driven<T, B>) {
        let mut list = self.list.lock();
        if list.len() < self.most {
            list.push((connection, Instant::now()));
        }
    }

    /// Closes connections that nobody used for long, and forgets closed ones.
    pub fn drop_old(&self) {
        self.list.lock().retain_mut(|(connection, since)| since.elapsed() < self.idle && connection.is_open());
    }
}

#[cfg(test)]
mod tests;
