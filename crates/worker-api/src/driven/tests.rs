//! Tests over real sockets.

use super::*;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Connection = Driven<TokioIo<TcpStream>, Full<Bytes>>;

async fn pair() -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (other, _) = listener.accept().await.unwrap();
    (Connection::over(TokioIo::new(tcp)).await.unwrap(), other)
}

fn ask() -> Request<Full<Bytes>> {
    Request::post("/v1/x").header("host", "x").body(Full::new(Bytes::from_static(b"question"))).unwrap()
}

/// Reads one request, up to the end of its body.
async fn question(other: &mut TcpStream) {
    let mut read = Vec::new();
    while !read.ends_with(b"question") {
        assert_ne!(other.read_buf(&mut read).await.unwrap(), 0, "{read:?}");
    }
}

async fn body(connection: &mut Connection, body: &mut Incoming) -> Result<String, hyper::Error> {
    let mut read = Vec::new();
    while let Some(frame) = connection.frame(body).await {
        read.extend_from_slice(&frame?.into_data().unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}

#[tokio::test]
async fn one_connection_carries_request_after_request() {
    let (mut connection, mut other) = pair().await;
    let served = tokio::spawn(async move {
        for n in 0..3 {
            question(&mut other).await;
            other.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
            for part in ["2\r\nab\r\n", "1\r\nc\r\n", "0\r\n\r\n"] {
                other.write_all(part.as_bytes()).await.unwrap();
            }
            question(&mut other).await;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{n}");
            other.write_all(answer.as_bytes()).await.unwrap();
        }
        other
    });
    for n in 0..3 {
        for wanted in ["abc".to_owned(), n.to_string()] {
            connection.ready().await.unwrap();
            let answer = connection.send(ask()).await.map_err(|e| e.into_error()).unwrap();
            assert_eq!(body(&mut connection, &mut answer.into_body()).await.unwrap(), wanted);
            assert!(connection.is_open());
        }
    }
    drop(served.await.unwrap());
    // The end of the other side needs a moment to arrive.
    assert!(connection.ready().await.is_err() || connection.send(ask()).await.is_err());
    assert!(!connection.is_open());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_and_its_connection_has_ended() {
    let (mut connection, mut other) = pair().await;
    let served = tokio::spawn(async move {
        question(&mut other).await;
        other.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await.unwrap();
    });
    connection.ready().await.unwrap();
    let answer = connection.send(ask()).await.map_err(|e| e.into_error()).unwrap();
    assert!(body(&mut connection, &mut answer.into_body()).await.is_err());
    assert!(!connection.is_open());
    served.await.unwrap();
}

#[tokio::test]
async fn the_other_side_notices_at_once_that_nobody_waits_any_more() {
    let (mut connection, mut other) = pair().await;
    let served = tokio::spawn(async move {
        question(&mut other).await;
        other.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n").await.unwrap();
        let mut rest = Vec::new();
        // The end of the connection, or its reset.
        other.read_to_end(&mut rest).await.unwrap_or_default()
    });
    connection.ready().await.unwrap();
    let mut answer = connection.send(ask()).await.map_err(|e| e.into_error()).unwrap().into_body();
    assert!(connection.frame(&mut answer).await.unwrap().is_ok());
    drop((connection, answer));
    assert_eq!(served.await.unwrap(), 0);
}

#[tokio::test]
async fn unused_connections_are_used_again_while_they_are_open_and_young() {
    let unused = Unused::new(Duration::from_secs(60), 2);
    assert!(unused.take().is_none());
    let mut others = Vec::new();
    for _ in 0..3 {
        let (connection, other) = pair().await;
        unused.put(connection);
        others.push(other);
    }
    assert_eq!(unused.list.lock().len(), 2, "no more than allowed");
    unused.drop_old();
    assert_eq!(unused.list.lock().len(), 2);
    // Of two, the one that was used last.
    let mut taken = unused.take().unwrap();
    others[1].write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    assert!(taken.ready().await.is_err() || taken.send(ask()).await.is_ok());
    drop(others);
    let (mut closed, other) = pair().await;
    drop(other);
    // Once the system has told it.
    let _ = closed.ready().await;
    while closed.is_open() {
        tokio::task::yield_now().await;
    }
    unused.put(closed);
    unused.drop_old();
    assert!(unused.take().is_none());
    let old = Unused::new(Duration::ZERO, 2);
    let (connection, _other) = pair().await;
    old.put(connection);
    assert!(old.take().is_none());
}
