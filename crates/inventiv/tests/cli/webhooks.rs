//! Alerts and webhooks at the command line: a failure reaches a receiver, signed, and nobody sees the URL.

use crate::server::{Cloud, Server, text};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// One message: the headers that matter, and the body.
struct Message {
    headers: http::HeaderMap,
    body: Vec<u8>,
}

/// Accepts messages, or answers 500 to a path that ends with `broken`.
fn receive(listener: TcpListener) -> Receiver<Message> {
    let (send, got) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            let is_broken = line.contains("broken");
            let mut headers = http::HeaderMap::new();
            loop {
                line.clear();
                stream.read_line(&mut line).unwrap();
                let Some((name, value)) = line.trim_end().split_once(": ") else { break };
                headers.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let status = if is_broken { "500 Internal Server Error" } else { "204 No Content" };
            write!(stream.get_mut(), "HTTP/1.1 {status}\r\nconnection: close\r\n\r\n").unwrap();
            let _ = send.send(Message { headers, body });
        }
    });
    got
}

#[test]
fn a_webhook_is_created_tested_told_of_a_failure_and_deleted() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let got = receive(listener);
    let (good, broken) = (format!("{url}/T0KEN"), format!("{url}/broken"));
    let server = Server::start_with(folder.path(), &cloud.url, &[("GOOD", &good), ("BROKEN", &broken)]);
    let run = |args: &[&str]| server.run(args);

    assert_eq!(text(&run(&["alert", "list"]).stdout), "nothing needs you\n");
    let made = run(&["webhook", "create", "on-call", "--from-env", "GOOD", "--kind", "limit.used"]);
    let (secret, said) = (text(&made.stdout).trim_end().to_owned(), text(&made.stderr));
    assert!(secret.starts_with("whsec_") && said.contains("inventiv webhook test on-call"), "{secret} {said}");
    assert!(run(&["webhook", "create", "broken", "--from-env", "BROKEN"]).status.success());

    let tested = run(&["webhook", "test", "on-call"]);
    assert_eq!(text(&tested.stdout), "the message was accepted\n", "{}", text(&tested.stderr));
    let tested = run(&["webhook", "test", "broken"]);
    let said = text(&tested.stderr);
    assert!(tested.status.code() == Some(4) && said.contains("the receiver answered 500"), "{said}");

    // Half of a limit is used.
    assert!(run(&["limit", "set", "--instances", "2"]).status.success());
    let create = ["instance", "create", "--yes", "--zone", "fr-par-2", "--type", "L4-1-24G", "--engine", "none"];
    assert!(run(&[&create[..], &["--name", "one"]].concat()).status.success());
    let official = standardwebhooks::Webhook::new(&secret).unwrap();
    let told = loop {
        let message = got.recv_timeout(Duration::from_secs(60)).unwrap();
        let body: Value = serde_json::from_slice(&message.body).unwrap();
        if body["type"] == "limit.used" && official.verify(&message.body, &message.headers).is_ok() {
            break body;
        }
    };
    assert!(told["data"]["text"].as_str().unwrap().starts_with("50 % of the limit"), "{told}");
    assert!(text(&run(&["alert", "list"]).stdout).contains("50 % of the limit of 2 instances"));
    let status = text(&run(&["status"]).stdout);
    assert!(status.contains("50 % used") && status.contains("Attention  nothing needs you"), "{status}");
    assert!(run(&[&create[..], &["--name", "two"]].concat()).status.success());
    let status = text(&run(&["status"]).stdout);
    assert!(status.contains("Attention  1:") && status.contains("of 2 instances is reached"), "{status}");

    let listed = text(&run(&["webhook", "deliveries", "broken"]).stdout);
    assert!(listed.contains("pending") && listed.contains("500"), "{listed}");
    for format in ["table", "wide", "json", "yaml"] {
        let shown = text(&run(&["webhook", "list", "-o", format]).stdout);
        assert!(shown.contains("on-call") && !shown.contains("T0KEN") && !shown.contains(&secret), "{shown}");
    }
    // Arguments, exit code, part of the message.
    for (args, code, says) in [
        (&["webhook", "create", "On Call", "--from-env", "GOOD"][..], 4, "must be 1 to 64 characters"),
        (&["webhook", "create", "x", "--from-env", "NOBODY"], 4, "NOBODY is not set"),
        (&["webhook", "create", "on-call", "--from-env", "GOOD"], 4, "choose another name"),
        (&["webhook", "create", "x", "--from-env", "GOOD", "--kind", "orphan"], 2, "orphan.found"),
        (&["webhook", "create", "x", "--from-env", "INVENTIV_ZONES"], 4, "http or https URL"),
        (&["webhook", "test", "nobody"], 3, "there is no webhook `nobody`"),
        (&["webhook", "delete", "nobody"], 3, "there is no webhook `nobody`"),
    ] {
        let out = run(args);
        let said = text(&out.stderr);
        assert!(out.status.code() == Some(code) && said.contains(says), "{args:?}: {said}");
        assert!(!said.contains("T0KEN"), "{said}");
    }
    assert_eq!(text(&run(&["webhook", "delete", "broken"]).stdout), "broken deleted\n");
    assert_eq!(text(&run(&["webhook", "list", "-o", "name"]).stdout), "on-call\n");
}
