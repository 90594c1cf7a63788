//! Clients that misbehave.

use crate::stage::{Stage, until};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a client waits for what the gateway says.
const WITHIN: Duration = Duration::from_secs(30);

fn connect(stage: &Stage) -> TcpStream {
    let tcp = TcpStream::connect(stage.address()).unwrap();
    tcp.set_read_timeout(Some(WITHIN)).unwrap();
    tcp.set_write_timeout(Some(WITHIN)).unwrap();
    tcp
}

fn head(key: &str, length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// What the gateway says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// A status, and a whole body.
    Answer(u16, String),
    /// Nothing: the connection was closed.
    Closed,
    /// A part of an answer: then the connection was closed.
    Part(String),
    /// Nothing, or a part of an answer, within the time limit.
    Silent,
}

fn said(tcp: &mut TcpStream) -> Said {
    let mut all = Vec::new();
    let mut part = [0; 4_096];
    loop {
        match tcp.read(&mut part) {
            Ok(0) => break,
            Ok(n) => all.extend_from_slice(part.get(..n).unwrap()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Said::Silent,
            Err(_) => break,
        }
        if let Some(answer) = whole(&all, false) {
            return answer;
        }
    }
    // An interim response alone is no answer.
    let is_nothing = all.is_empty() || all.starts_with(b"HTTP/1.1 1") && all.ends_with(b"\r\n\r\n");
    let part = || Said::Part(String::from_utf8_lossy(&all).into_owned());
    whole(&all, true).unwrap_or_else(|| if is_nothing { Said::Closed } else { part() })
}

/// The answer, if it is complete. Without a length, it ends with the connection.
fn whole(bytes: &[u8], is_end: bool) -> Option<Said> {
    let text = String::from_utf8_lossy(bytes);
    let (mut head, mut body) = text.split_once("\r\n\r\n")?;
    while head.starts_with("HTTP/1.1 1") {
        (head, body) = body.split_once("\r\n\r\n")?;
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length: Option<usize> =
        head.to_ascii_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
    // What is left of a changed request may be answered, too.
    let body = length.map_or(Some(body), |l| body.get(..l))?;
    (length.is_some() || is_end).then(|| Said::Answer(status, body.to_owned()))
}

/// Requests whose body never ends: each occupies one connection and nothing else.
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

/// Streams whose clients read nothing, and which are longer than what the buffers of the connections hold.
pub(crate) fn streams_that_nobody_reads(stage: &Stage, key: &str) {
    const STREAMS: u64 = 5;
    let mut question = Stage::question(true);
    // The answer repeats it, in 16 events of a megabyte.
    question["messages"][0]["content"] = format!("{} ", "a".repeat(1 << 20)).repeat(16).into();
    let body = question.to_string();
    let mut held: Vec<TcpStream> = (0..STREAMS)
        .map(|_| {
            let mut tcp = connect(stage);
            tcp.write_all(format!("{}{body}", head(key, body.len())).as_bytes()).unwrap();
            tcp
        })
        .collect();
    for tcp in &held {
        // Nothing is taken from the connection.
        let mut begins = [0; 15];
        let is_seen = until(30, || (tcp.peek(&mut begins).unwrap() == begins.len()).then_some(()));
        assert_eq!((is_seen, begins.as_slice()), (Some(()), b"HTTP/1.1 200 OK".as_slice()));
    }
    (0..10).for_each(|_| answers(stage, key));
    // The metrics are about a second old.
    let under_way = until(20, || stage.outstanding().filter(|n| *n == STREAMS));
    assert!(under_way.is_some(), "{:?} streams are under way", stage.outstanding());
    // Some are read in the end, and are whole; nobody ever reads the others.
    for tcp in held.iter_mut().take(2) {
        let mut all = Vec::new();
        let mut part = vec![0; 1 << 20];
        while !all.ends_with(b"\r\n0\r\n\r\n") {
            let n = tcp.read(&mut part).unwrap();
            assert!(n > 0, "a stream broke after {} bytes", all.len());
            all.extend_from_slice(part.get(..n).unwrap());
        }
        assert!(all.len() > body.len() && all.windows(12).rev().take(100).any(|w| w == b"data: [DONE]"));
    }
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

/// A hundred megabytes: refused at once if the length was told, and otherwise after what a body may have.
pub(crate) fn long_bodies(stage: &Stage, key: &str) {
    let is_too_large = |said: &Said| matches!(said, Said::Answer(413, body) if code(body) == "too_large");
    let mut tcp = connect(stage);
    tcp.write_all(head(key, 100_000_000).as_bytes()).unwrap();
    let answer = said(&mut tcp);
    assert!(is_too_large(&answer), "{answer:?}");
    let mut tcp = connect(stage);
    let chunked = head(key, 0).replace("content-length: 0", "transfer-encoding: chunked");
    tcp.write_all(chunked.as_bytes()).unwrap();
    let mut chunk = format!("{:x}\r\n", 1 << 20).into_bytes();
    chunk.extend(vec![b' '; 1 << 20]);
    chunk.extend(b"\r\n");
    // It may be refused while the rest is being sent.
    let sent = (0..100).take_while(|_| tcp.write_all(&chunk).is_ok()).count();
    assert!((32..100).contains(&sent), "{sent} MiB were taken");
    // The refusal may be lost with what was not read.
    let answer = said(&mut tcp);
    assert!(is_too_large(&answer) || answer == Said::Closed, "{answer:?}");
    answers(stage, key);
}

/// A megabyte of headers.
pub(crate) fn floods_of_headers(stage: &Stage) {
    let mut tcp = connect(stage);
    let mut flood = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n".to_owned();
    for n in 0..10_000 {
        flood += &format!("x-flood-{n}: {}\r\n", "a".repeat(90));
    }
    // It may be refused while the rest is being sent, and the refusal may be lost with what was not read.
    let _ = tcp.write_all(flood.as_bytes());
    let answer = said(&mut tcp);
    assert!(matches!(answer, Said::Answer(431, _) | Said::Closed), "{answer:?}");
}

/// How many clients send requests with random changes at the same time.
const FUZZERS: u64 = 8;

/// Requests with random changes: each gets a legible answer, or its connection is closed.
pub(crate) fn any_bytes(stage: &Stage, key: &str, count: u32) {
    let seed = fastrand::u64(..);
    println!("{count} requests with random changes, seed {seed}");
    let body = Stage::question(false).to_string();
    let request = format!("{}{body}", head(key, body.len())).into_bytes();
    let each = count.div_ceil(u32::try_from(FUZZERS).unwrap());
    let answered: u32 = std::thread::scope(|scope| {
        let fuzzers: Vec<_> = (0..FUZZERS)
            .map(|n| {
                let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(n));
                let request = &request;
                scope.spawn(move || (0..each).filter(|_| one_of_any_bytes(stage.address(), request, &mut rng)).count())
            })
            .collect();
        fuzzers.into_iter().map(|f| u32::try_from(f.join().unwrap()).unwrap()).sum()
    });
    assert!(answered > count / 4, "only {answered} of {count} requests were answered, seed {seed}");
}

/// Whether a changed request is answered.
fn one_of_any_bytes(address: SocketAddr, request: &[u8], rng: &mut fastrand::Rng) -> bool {
    let mut bytes = request.to_vec();
    for _ in 0..rng.usize(1..6) {
        change(&mut bytes, rng);
    }
    let mut tcp = TcpStream::connect(address).unwrap();
    // What is incomplete gets no answer yet.
    tcp.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    if tcp.write_all(&bytes).is_err() {
        return false;
    }
    let mut answer = said(&mut tcp);
    if answer == Said::Silent {
        // The rest will not come.
        let _ = tcp.shutdown(std::net::Shutdown::Write);
        tcp.set_read_timeout(Some(WITHIN)).unwrap();
        answer = said(&mut tcp);
    }
    let is_fine = match &answer {
        Said::Answer(status, body) => {
            let is_legible = body.is_empty() || serde_json::from_str::<Value>(body).is_ok();
            is_legible && (*status < 500 || matches!(status, 501 | 503 | 505))
        }
        Said::Closed => true,
        Said::Part(_) | Said::Silent => false,
    };
    assert!(is_fine, "{answer:?}\n{}", String::from_utf8_lossy(&bytes));
    matches!(answer, Said::Answer(..))
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
    match rng.u8(0..8) {
        0 => bytes.truncate(at.max(1)),
        1..4 => {
            bytes.splice(at..at, PARTS[rng.usize(..PARTS.len())].iter().copied());
        }
        4..6 => {
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
