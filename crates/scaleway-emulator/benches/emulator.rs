//! The emulator's memory use and speed: part of `cargo xtask bench`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run should stop")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use bytes::Bytes;
use http::Request;
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use serde_json::{Value, json};
use std::time::Instant;

const SERVERS: usize = 10_000;
const INSTANCE: &str = "/instance/v1/zones/fr-par-2";
const BLOCK: &str = "/block/v1/zones/fr-par-2/volumes";

fn ask(e: &Emulator, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let request = Request::builder().method(method).uri(path).header("x-auth-token", "t").body(body).unwrap();
    let answer = e.handle(&request);
    assert!(answer.status().is_success(), "{method} {path}: {answer:?}");
    serde_json::from_slice(answer.body()).unwrap_or(Value::Null)
}

fn rss_kb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or_default()
}

fn row(what: &str, value: f64, unit: &str, goal: &str) {
    println!("{what:<74} {value:>12.2} {unit:<14} {goal}");
}

fn main() {
    if !std::env::args().skip(1).filter(|a| !a.starts_with('-')).all(|a| a == "emulator") {
        return;
    }
    let e = Emulator::new(Options { clock: ClockMode::Instant, ..Options::default() });
    let list = "/marketplace/v2/local-images?image_label=ubuntu_noble&zone=fr-par-2&type=instance_sbs";
    let images = ask(&e, "GET", list, &Value::Null);
    let fits = |i: &&Value| i["compatible_commercial_types"].as_array().unwrap().contains(&json!("PLAY2-PICO"));
    let image = images["local_images"].as_array().unwrap().iter().find(fits).unwrap()["id"].clone();
    // The journal is a ring buffer: once full, it counts as base memory.
    for _ in 0..10_000 {
        ask(&e, "GET", &format!("{INSTANCE}/servers?name=none"), &Value::Null);
    }
    let before = rss_kb();
    let began = Instant::now();
    let body = json!({"name": "s", "commercial_type": "PLAY2-PICO", "image": image, "tags": ["a", "b"]});
    let id = |v: &Value, at: &str| v.pointer(at).unwrap().as_str().unwrap().to_owned();
    let make = |path: &str, body: &Value, at: &str| -> Vec<String> {
        (0..SERVERS).map(|_| id(&ask(&e, "POST", path, body), at)).collect()
    };
    let servers = make(&format!("{INSTANCE}/servers"), &body, "/server/id");
    row("emulator: creating 10,000 servers with boot volumes", began.elapsed().as_secs_f64(), "s", "≤ 5");
    let volume = json!({"name": "d", "from_empty": {"size": 1_000_000_000_i64}, "tags": ["a"]});
    let volumes = make(BLOCK, &volume, "/id");
    let held = rss_kb() - before - (servers.len() + volumes.len()) as f64 * 64.0 / 1024.0;
    row("emulator: memory per resource, with 30,000 resources", held / (3 * SERVERS) as f64, "KB", "≤ 2");
    let rate = |paths: Vec<String>| {
        let began = Instant::now();
        for path in &paths {
            ask_raw(&e, path);
        }
        paths.len() as f64 / began.elapsed().as_secs_f64()
    };
    let gets = |prefix: &str, ids: &[String]| ids.iter().map(|id| format!("{prefix}/{id}")).collect::<Vec<_>>();
    row("emulator: GET server, one core", rate(gets(&format!("{INSTANCE}/servers"), &servers)), "requests/s", "≥ 5000");
    row("emulator: GET volume, one core", rate(gets(BLOCK, &volumes)), "requests/s", "≥ 5000");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let over_http = runtime.block_on(http_rate(&e, gets(&format!("{INSTANCE}/servers"), &servers)));
    row("emulator: GET server over HTTP, client and server on one core", over_http, "requests/s", "");
}

fn ask_raw(e: &Emulator, path: &str) {
    let request = Request::builder().uri(path).header("x-auth-token", "t").body(Bytes::new()).unwrap();
    assert_eq!(e.handle(&request).status().as_u16(), 200);
}

/// One persistent connection, one request after the other.
async fn http_rate(e: &Emulator, paths: Vec<String>) -> f64 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = e.clone();
    tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let began = Instant::now();
    let mut buffer = vec![0_u8; 64 << 10];
    for path in &paths {
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: e\r\nx-auth-token: t\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut have = 0;
        loop {
            have += stream.read(&mut buffer[have..]).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..have]);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse::<usize>().ok()).unwrap();
            if body.len() >= length {
                break;
            }
        }
    }
    paths.len() as f64 / began.elapsed().as_secs_f64()
}
