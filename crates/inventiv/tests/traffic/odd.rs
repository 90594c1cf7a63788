//! Clients that misbehave.

use crate::stage::Stage;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a client waits for what the gateway says.
const WITHIN: Duration = Duration::from_secs(30);

fn connect(stage: &Stage) -> TcpStream {
    let tcp = TcpStream::connect(stage.address()).unwrap();
    tcp.set_read_timeout(Some(WITHIN)).unwrap();
    tcp
}

fn head(key: &str, length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// The status and the body of what the gateway says before it closes the connection, or is silent.
fn said(tcp: &mut TcpStream) -> (u16, String) {
    let mut all = Vec::new();
    let mut part = [0; 4_096];
    while let Ok(n @ 1..) = tcp.read(&mut part) {
        all.extend_from_slice(part.get(..n).unwrap());
        let text = String::from_utf8_lossy(&all).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
        // What is left of a changed request may be answered, too.
        if let Some(body) = length.and_then(|l: usize| body.get(..l)) {
            return (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned());
        }
    }
    (0, String::from_utf8_lossy(&all).into_owned())
}

/// Requests whose body never ends: they take a place each and nothing else.
pub(crate) fn slow_bodies(stage: &Stage, key: &str) {
    let held: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut tcp = connect(stage);
            tcp.write_all(head(key, 1 << 20).as_bytes()).unwrap();
            tcp.write_all(b"{\"model\": \"qwen\"").unwrap();
            tcp
        })
        .collect();
    answers(stage, key);
    drop(held);
}

/// Streams whose clients read nothing.
pub(crate) fn streams_that_nobody_reads(stage: &Stage, key: &str) {
    let body = Stage::question(true).to_string();
    let held: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut tcp = connect(stage);
            tcp.write_all(format!("{}{body}", head(key, body.len())).as_bytes()).unwrap();
            tcp
        })
        .collect();
    answers(stage, key);
    drop(held);
}

fn answers(stage: &Stage, key: &str) {
    let request = stage.request(key, &Stage::question(false));
    let status = stage.runtime.block_on(async { request.send().await.unwrap().status().as_u16() });
    assert_eq!(status, 200);
}

fn code(body: &str) -> String {
    let error: Value = serde_json::from_str(body).unwrap_or_default();
    error["error"]["code"].as_str().unwrap_or(body).to_owned()
}

/// A hundred megabytes: refused before they were read, whether the length was told or not.
pub(crate) fn long_bodies(stage: &Stage, key: &str) {
    let mut tcp = connect(stage);
    tcp.write_all(head(key, 100_000_000).as_bytes()).unwrap();
    let (status, body) = said(&mut tcp);
    assert_eq!((status, code(&body)), (413, "too_large".to_owned()));
    let mut tcp = connect(stage);
    let chunked = head(key, 0).replace("content-length: 0", "transfer-encoding: chunked");
    tcp.write_all(chunked.as_bytes()).unwrap();
    let mut chunk = format!("{:x}\r\n", 1 << 20).into_bytes();
    chunk.extend(vec![b' '; 1 << 20]);
    chunk.extend(b"\r\n");
    // It may be refused while the rest is being sent.
    let sent = (0..100).take_while(|_| tcp.write_all(&chunk).is_ok()).count();
    assert!((32..100).contains(&sent), "{sent} MiB were taken");
    answers(stage, key);
}

/// A megabyte of headers.
pub(crate) fn floods_of_headers(stage: &Stage) {
    let mut tcp = connect(stage);
    let mut flood = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n".to_owned();
    for n in 0..10_000 {
        flood += &format!("x-flood-{n}: {}\r\n", "a".repeat(90));
    }
    // It may be refused while the rest is being sent.
    let _ = tcp.write_all(flood.as_bytes());
    let (status, _) = said(&mut tcp);
    assert!(matches!(status, 0 | 431), "{status}");
}

/// Requests with random changes: each gets a legible answer, or its connection is closed.
pub(crate) fn any_bytes(stage: &Stage, key: &str, count: u32) {
    let seed = fastrand::u64(..);
    println!("{count} requests with random changes, seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let body = Stage::question(false).to_string();
    let whole = format!("{}{body}", head(key, body.len())).into_bytes();
    for n in 0..count {
        let mut bytes = whole.clone();
        for _ in 0..rng.usize(1..8) {
            change(&mut bytes, &mut rng);
        }
        let mut tcp = connect(stage);
        if tcp.write_all(&bytes).is_err() {
            continue;
        }
        // What is missing will not come.
        let _ = tcp.shutdown(std::net::Shutdown::Write);
        let (status, body) = said(&mut tcp);
        let shown = || format!("request {n} of seed {seed}: {status} {body}\n{}", String::from_utf8_lossy(&bytes));
        assert!(status < 500 || matches!(status, 501 | 503 | 505), "{}", shown());
        let is_json = serde_json::from_str::<Value>(&body).is_ok();
        assert!(status == 0 || is_json || body.is_empty(), "{}", shown());
    }
}

/// Parts that mean something to a parser.
const PARTS: [&[u8]; 12] = [
    b"\r\n",
    b"\0",
    b"\xff\xfe",
    b"{",
    b"}",
    b"\"",
    b":",
    b"\"model\": \"x\",",
    b"content-length: 9\r\n",
    b"transfer-encoding: chunked\r\n",
    b"expect: 100-continue\r\n",
    b"../",
];

fn change(bytes: &mut Vec<u8>, rng: &mut fastrand::Rng) {
    let at = rng.usize(0..=bytes.len());
    match rng.u8(0..4) {
        0 => bytes.truncate(at.max(1)),
        1 => {
            bytes.splice(at..at, PARTS[rng.usize(..PARTS.len())].iter().copied());
        }
        2 => {
            let end = (at + rng.usize(0..20)).min(bytes.len());
            bytes.drain(at..end);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.u8(..);
            }
        }
    }
}
