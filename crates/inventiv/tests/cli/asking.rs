//! What is shown and asked before something is created, and a response that is lost.

use crate::server::{Cloud, Server, inventiv, text};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const CREATE: [&str; 6] = ["instance", "create", "--zone", "fr-par-2", "--type", "L4-1-24G"];

#[test]
fn nothing_is_created_before_its_price_is_confirmed() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &cloud.url);
    let asked = server.run(&CREATE);
    let shown = text(&asked.stderr);
    assert_eq!(asked.status.code(), Some(4), "{shown}");
    assert!(shown.contains("EUR/h") && shown.contains("a month") && shown.contains("--yes"), "{shown}");
    assert_eq!(text(&server.run(&["instance", "list", "-o", "name"]).stdout).trim(), "", "nothing was created");
    // A plan that was shown, and is named, needs no question.
    let planned = server.run(&[&CREATE[..], &["--dry-run", "-o", "json"]].concat());
    let plan: Value = serde_json::from_slice(&planned.stdout).unwrap();
    let id = plan["id"].as_str().unwrap();
    let other = server.run(&[&CREATE[..], &["--plan", id, "--data-volume-gb", "20"]].concat());
    assert_eq!(other.status.code(), Some(4), "{}", text(&other.stderr));
    assert!(text(&other.stderr).contains("different request"), "{}", text(&other.stderr));
    let made = server.run(&[&CREATE[..], &["--plan", id, "--name", "named-later", "--until", "23:59"]].concat());
    assert!(made.status.success(), "{}", text(&made.stderr));
}

/// Passes connections on, and cuts the first `cut` responses to POST requests.
fn cutting_proxy(to: &str, cut: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, to) = (format!("http://{}", listener.local_addr().unwrap()), to.trim_start_matches("http://").to_owned());
    let posts = Arc::new(AtomicUsize::new(0));
    let seen = posts.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (to, seen) = (TcpStream::connect(&to).unwrap(), seen.clone());
            std::thread::spawn(move || pass_on(client, to, &seen, cut));
        }
    });
    (url, posts)
}

/// One exchange: its response ends the connection.
fn pass_on(mut client: TcpStream, mut to: TcpStream, posts: &AtomicUsize, cut: usize) {
    let mut buffer = vec![0; 64 * 1024];
    let mut request = Vec::new();
    loop {
        let n = client.read(&mut buffer).unwrap_or(0);
        request.extend_from_slice(&buffer[..n]);
        let head = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = head.split_once("\r\n\r\n") else {
            assert!(n > 0, "the request was cut: {head}");
            continue;
        };
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        if body.len() >= length || n == 0 {
            break;
        }
    }
    let is_post = request.starts_with(b"POST");
    let head = request.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let closing = [&request[..head], b"\r\nconnection: close", &request[head..]].concat();
    to.write_all(&closing).unwrap();
    let mut response = Vec::new();
    to.read_to_end(&mut response).unwrap();
    if is_post && posts.fetch_add(1, Ordering::SeqCst) < cut {
        let _ = client.shutdown(Shutdown::Both);
        return;
    }
    let _ = client.write_all(&response);
    let _ = client.shutdown(Shutdown::Write);
}

#[test]
fn a_request_whose_response_is_lost_is_sent_again_and_takes_effect_once() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &cloud.url);
    let token = folder.path().join("token");
    let run = |url: &str, args: &[&str]| {
        inventiv(args, &[("INVENTIV_URL", url), ("INVENTIV_TOKEN_FILE", token.to_str().unwrap())])
    };
    let (proxy, posts) = cutting_proxy(&server.url, 2);
    let made = run(&proxy, &["key", "create", "app", "-o", "name"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert_eq!(posts.load(Ordering::SeqCst), 3);
    let listed: Value = serde_json::from_slice(&server.run(&["key", "list", "-o", "json"]).stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");
    // The response to each of them was lost: in the end it is said so.
    let (proxy, posts) = cutting_proxy(&server.url, usize::MAX);
    let lost = run(&proxy, &["key", "create", "other"]);
    assert_eq!((lost.status.code(), posts.load(Ordering::SeqCst)), (Some(5), 4), "{}", text(&lost.stderr));
    assert!(text(&lost.stderr).contains("may have taken effect"), "{}", text(&lost.stderr));
    // Nothing answers at all: there is nothing to repeat.
    let refused = run("http://127.0.0.1:1", &["key", "create", "other"]);
    assert_eq!(refused.status.code(), Some(5), "{}", text(&refused.stderr));
}
