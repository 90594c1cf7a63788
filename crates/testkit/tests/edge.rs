//! Tests of the HTTP front end: slow clients, too many connections, wrong tokens, invalid HTTP, foreign host names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use futures::future::join_all;
use inventiv_api::{App, Limits, Settings};
use inventiv_testkit::{Database, TOKEN, World};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<()>>,
    _world: World,
}

async fn serve(change: impl FnOnce(&mut Settings)) -> Served {
    let world = World::new(Database::Sqlite).await;
    let mut settings = world.settings();
    change(&mut settings);
    let app = App::new(settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move {
        let _ = stopped.await;
    };
    let ended = tokio::spawn(async move { inventiv_api::serve(listener, &app, axum::Router::new(), stopped).await });
    Served { address, stop, ended, _world: world }
}

fn short() -> Limits {
    Limits { head: Duration::from_millis(300), body: Duration::from_millis(300), ..Limits::default() }
}

/// Sends a text and reads until the other side closes the connection.
async fn until_hung_up(address: SocketAddr, text: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may close the connection before it has read everything.
    let _ = stream.write_all(text).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn problem(answer: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    assert!(head.contains("application/problem+json"), "{head}");
    serde_json::from_str(body).unwrap()
}

fn get(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n{headers}\r\n"
    )
}

#[tokio::test]
async fn an_incomplete_request_head_and_an_idle_connection_are_closed() {
    let served = serve(|s| s.limits = short()).await;
    let halves = (0..100).map(|_| until_hung_up(served.address, b"GET /healthz HTTP/1.1\r\nHo"));
    join_all(halves).await;
    join_all((0..100).map(|_| until_hung_up(served.address, b""))).await;
    // A connection that was used and is now idle.
    let answer = until_hung_up(served.address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_times_out_with_an_explanation() {
    let served = serve(|s| s.limits = short()).await;
    let head = format!(
        "POST /instances HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    let answers = join_all((0..50).map(|_| until_hung_up(served.address, head.as_bytes()))).await;
    for answer in answers {
        assert_eq!(problem(&answer)["status"], 408, "{answer}");
    }
}

#[tokio::test]
async fn connections_over_the_limit_are_refused_and_others_continue() {
    let limits = Limits { connections_per_address: 3, ..Limits::default() };
    let served = serve(|s| s.limits = limits).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut first = [0_u8; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        held.push(stream);
    }
    let refused = until_hung_up(served.address, b"").await;
    assert_eq!(problem(&refused)["status"], 503, "{refused}");
    held.pop();
    // The close is detected a moment later.
    let began = Instant::now();
    while !until_hung_up(served.address, get("/healthz", "").as_bytes()).await.starts_with("HTTP/1.1 200") {
        assert!(began.elapsed() < Duration::from_secs(20), "its slot was not freed");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn wrong_tokens_are_throttled_and_the_right_one_is_not() {
    let served = serve(|_| {}).await;
    let wrong = "GET /instances HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong-wrong-wrong-wrong\r\nConnection: close\r\n\r\n";
    let began = Instant::now();
    let many = tokio::spawn(join_all((0..80).map(|_| until_hung_up(served.address, wrong.as_bytes()))));
    let right = until_hung_up(served.address, get("/instances", "").as_bytes()).await;
    assert!(right.starts_with("HTTP/1.1 200"), "{right}");
    assert!(!many.is_finished(), "the right token is answered before all wrong ones");
    let statuses: Vec<i64> = many.await.unwrap().iter().map(|a| problem(a)["status"].as_i64().unwrap()).collect();
    let of = |status: i64| statuses.iter().filter(|s| **s == status).count();
    assert_eq!(of(401) + of(429), 80, "{statuses:?}");
    assert!(of(429) >= 20, "no more than fifty wait: {statuses:?}");
    assert!(began.elapsed() >= Duration::from_millis(100) * u32::try_from(of(401)).unwrap());
}

#[tokio::test]
async fn refusals_before_routing_are_problem_documents_too() {
    let served = serve(|_| {}).await;
    let long = "x".repeat(70_000);
    for (request, status) in [
        (get(&format!("/{long}"), ""), 414),
        (get("/healthz", &format!("X-Long: {long}\r\n")), 431),
        (get("/healthz", &"X-Many: 1\r\n".repeat(200)), 431),
        ("hello, is anybody there?\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n".to_owned(), 400),
    ] {
        let answer = until_hung_up(served.address, request.as_bytes()).await;
        let shown: String = request.chars().take(40).collect();
        let got = problem(&answer)["status"].as_i64().unwrap();
        // The HTTP library decides which of two limits a long line hits first.
        assert!(got == status || (status == 414 && got == 431), "{shown}: {got}");
    }
}

#[tokio::test]
async fn on_loopback_only_host_names_of_this_machine_are_accepted() {
    let served = serve(|s| s.hosts = Some(vec!["proxy.example".to_owned()])).await;
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1:1", 200),
        ("127.0.0.2:8080", 200),
        ("[::1]:8080", 200),
        ("proxy.example", 200),
        ("Proxy.Example:443", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:8080", 421),
        ("user@localhost.evil.example", 421),
        ("", 421),
    ] {
        for path in ["/healthz", "/instances"] {
            let request = get(path, "").replace("Host: localhost", &format!("Host: {host}"));
            let answer = until_hung_up(served.address, request.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host:?} {path}: {answer}");
        }
    }
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_a_shutdown() {
    let served = serve(|_| {}).await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0_u8; 12];
    idle.read_exact(&mut first).await.unwrap();
    served.stop.send(()).unwrap();
    served.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn names_with_invisible_characters_and_invalid_page_cursors_are_refused() {
    let w = World::new(Database::Sqlite).await;
    for name in ["a\u{202E}b", "a\u{200B}", "\u{2066}x", "a\u{1b}[31m", "a\u{FEFF}"] {
        let request = json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "data_volume_gb": 1, "name": name});
        assert_eq!(w.call("POST", "/instances", Some(request)).await.0, 422, "{name:?}");
        let request = json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "data_volume_gb": 1, "tags": [name]});
        assert_eq!(w.call("POST", "/instances", Some(request)).await.0, 422, "{name:?}");
    }
    for path in ["/instances", "/volumes", "/action_logs", "/models"] {
        let (status, problem) = w.call("GET", &format!("{path}?after=zzz%20"), None).await;
        assert_eq!(status, 422, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with("after:"), "{problem}");
    }
    for path in ["/volumes?zone=fr-par-9", "/events?zone=fr-par-9"] {
        let (status, problem) = w.call("GET", path, None).await;
        assert_eq!(status, 422, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("fr-par-2"), "{problem}");
    }
}

#[tokio::test]
async fn a_database_file_is_readable_only_by_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    let mode = |file: &std::path::Path| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
    let all = || ["x.db", "x.db-wal", "x.db-shm"].map(|f| folder.path().join(f));
    for _ in 0..2 {
        let store = inventiv_store::Store::open(&format!("sqlite:{}", file.display())).await.unwrap();
        store.check().await.unwrap();
        assert!(all().iter().all(|f| mode(f) == 0o600), "{:?}", all().map(|f| mode(&f)));
        // As created by an older version.
        for f in all() {
            std::fs::set_permissions(f, std::fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
}
