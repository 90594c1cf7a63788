//! Tests of `bare.rs`.

use super::*;

#[tokio::test]
async fn a_reader_that_takes_nothing_breaks_the_stream_and_a_slow_one_does_not() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (ours, mut theirs) = tokio::io::duplex(64);
    let mut stream = Legible { stall_max: Duration::from_millis(100), ..Legible::new(ours) };
    let slow = tokio::spawn(async move {
        let mut taken = [0_u8; 32];
        for _ in 0..8 {
            theirs.read_exact(&mut taken).await.unwrap();
        }
        theirs
    });
    stream.write_all(&[b'x'; 256]).await.unwrap();
    let kept = slow.await.unwrap();
    let error = stream.write_all(&[b'x'; 256]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    drop(kept);
}

#[test]
fn only_refusals_without_a_body_are_replaced() {
    let bare = |line: &str, rest: &str| format!("HTTP/1.1 {line}\r\n{rest}date: today\r\n\r\n").into_bytes();
    for (line, status) in
        [("400 Bad Request", 400), ("414 URI Too Long", 414), ("431 Request Header Fields Too Large", 431)]
    {
        let instead = instead_of(&bare(line, "content-length: 0\r\n")).map(|b| String::from_utf8(b).unwrap()).unwrap();
        let (head, body) = instead.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {line}\r\n")) && head.contains("application/problem+json"),
            "{head}"
        );
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["status"], status);
        assert_eq!(
            (&problem["error"]["message"], &problem["error"]["type"]),
            (&problem["detail"], &"invalid_request_error".into())
        );
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
