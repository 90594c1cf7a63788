//! Several replicas on one PostgreSQL: their cost, and how long a zone waits when one stops.

use crate::{SECRET, Table, app, call, replica};
use futures::StreamExt;
use inventiv_store::Store;
use inventiv_testkit::{Database, PROJECT, database};
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, Row};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const ZONES: [&str; 4] = ["fr-par-1", "fr-par-2", "nl-ams-1", "pl-waw-2"];
const LIVES: usize = 400;
const ROUNDS: usize = 5;

fn request(n: usize) -> Value {
    json!({"zone": ZONES[n % ZONES.len()], "instance_type": "PLAY2-PICO", "image": "ubuntu_jammy", "data_volume_gb": 20})
}

/// The number of zone listings and of changes that the cloud got.
fn asked(emulator: &Emulator) -> (f64, f64) {
    let journal = emulator.journal();
    let entries = journal["entries"].as_array().unwrap();
    let ends = |e: &Value, end: &str| e["path"].as_str().is_some_and(|p| p.ends_with(end));
    let listings = entries.iter().filter(|e| e["method"] == "GET" && ends(e, "/servers")).count();
    let changes = entries.iter().filter(|e| e["method"] != "GET").count();
    (listings as f64, changes as f64)
}

async fn number(on: &mut PgConnection, sql: &'static str) -> f64 {
    on.fetch_one(sql).await.unwrap().get(0)
}

/// Runs the same instance life cycles in four zones with 1, 2 and 4 replicas.
pub(super) async fn several_on_one(table: &mut Table) {
    const COMMITS: &str = "SELECT CAST(xact_commit AS FLOAT8) FROM pg_stat_database WHERE datname = current_database()";
    const WAITING: &str = "SELECT CAST(COALESCE(MAX(EXTRACT(EPOCH FROM clock_timestamp() - query_start)), 0) * 1000 AS FLOAT8) \
        FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    // With an instant cloud, this machine is the limit; with a cloud twenty times faster than real, the cloud is.
    for (clock, poll_ms, servers) in
        [1, 2, 4].into_iter().flat_map(|n| [(ClockMode::Instant, 20, n), (ClockMode::Scaled(20), 50, n)])
    {
        let (url, _home) = database(Database::Postgres).await;
        let options = Options { clock, seed: Some(7), ..Options::default() };
        let emulator = Emulator::new(options);
        let stop = CancellationToken::new();
        let (mut stores, mut runs) = (Vec::new(), Vec::new());
        for n in 0..servers {
            let (store, orchestrator) = replica(&url, &emulator, 1e6, poll_ms, &ZONES).await;
            if n == 0 {
                orchestrator.refresh_catalogue().await.unwrap();
            }
            stores.push(store);
            let stopping = stop.clone();
            runs.push(tokio::spawn(async move { orchestrator.run(stopping).await }));
        }
        let account = format!("scaleway:{PROJECT}");
        // Wait until each zone has a holder.
        while stores[0].leases(&account).await.unwrap().iter().filter(|l| !l.holder.is_empty()).count() < ZONES.len() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let holders: std::collections::BTreeSet<String> =
            stores[0].leases(&account).await.unwrap().into_iter().map(|l| l.holder).collect();
        let apps: Vec<_> = stores.iter().map(|s| app(s.clone())).collect();
        let mut view = PgConnection::connect(&url).await.unwrap();
        let (listed, changed) = asked(&emulator);
        let commits = number(&mut view, COMMITS).await;
        let waits = {
            let (url, stop) = (url.clone(), stop.clone());
            tokio::spawn(async move {
                let (mut c, mut longest) = (PgConnection::connect(&url).await.unwrap(), 0_f64);
                while !stop.is_cancelled() {
                    longest = longest.max(number(&mut c, WAITING).await);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                longest
            })
        };
        let reads = {
            let (app, stop) = (apps[0].clone(), stop.clone());
            tokio::spawn(async move {
                let mut ms = Vec::new();
                while !stop.is_cancelled() {
                    let began = Instant::now();
                    call(&app, "GET", "/instances?limit=100", None).await;
                    ms.push(began.elapsed().as_secs_f64() * 1e3);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                ms
            })
        };
        let began = Instant::now();
        let made = futures::stream::iter(0..LIVES).map(|n| {
            let app = &apps[n % apps.len()];
            async move { call(app, "POST", "/instances", Some(request(n))).await["id"].as_str().unwrap().to_owned() }
        });
        let ids: Vec<String> = made.buffer_unordered(32).collect().await;
        while stores[0].living_counts().await.unwrap().get("ready").copied().unwrap_or(0) < LIVES as i64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let ends = futures::stream::iter(ids.iter().enumerate()).map(|(n, id)| {
            let app = &apps[n % apps.len()];
            async move { call(app, "DELETE", &format!("/instances/{id}"), None).await }
        });
        ends.buffer_unordered(32).collect::<Vec<_>>().await;
        while !stores[0].living_counts().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let took = began.elapsed().as_secs_f64();
        stop.cancel();
        let (longest, mut ms) = (waits.await.unwrap(), reads.await.unwrap());
        for run in runs {
            run.await.unwrap();
        }
        // PostgreSQL publishes the counts of a connection with a delay.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let (listings, changes) = asked(&emulator);
        let lives = LIVES as f64;
        let row = |table: &mut Table, what: &str, value: f64, unit: &str, goal: &str| {
            let of = if clock == ClockMode::Instant { "instant cloud" } else { "cloud ×20" };
            table.row(&format!("{servers} replica(s) on one PostgreSQL, {of}, {what}"), value, unit, goal);
        };
        let zone_seconds = took * ZONES.len() as f64;
        row(table, "listings of a zone per second", (listings - listed) / zone_seconds, "calls", "not multiplied");
        row(table, "holders of zones", holders.len() as f64, "replicas", "");
        row(table, "life cycles per second (all on this machine)", lives / took, "cycles/s", "");
        row(table, "changes per life cycle", (changes - changed) / lives, "calls", "the same");
        row(table, "listings of a zone per life cycle", (listings - listed) / lives, "calls", "not multiplied");
        row(table, "transactions per life cycle", (number(&mut view, COMMITS).await - commits) / lives, "commits", "");
        row(table, "longest wait for a lock", longest, "ms", "");
        ms.sort_by(f64::total_cmp);
        row(table, "GET /instances meanwhile: p99", ms[ms.len() * 99 / 100], "ms", "");
        assert_eq!(emulator.state()["volumes"], json!([]));
    }
}

fn serve(binary: &std::ffi::OsStr, cloud: &str, url: &str, token_file: &Path) -> (Child, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(binary)
        .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--database", url, "--control-plane", "bench"])
        .args(["--zones", "fr-par-2", "--token-file", token_file.to_str().unwrap()])
        .env("SCW_SECRET_KEY", SECRET)
        .env("SCW_DEFAULT_PROJECT_ID", PROJECT)
        .env("SCW_API_URL", cloud)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    (child, format!("http://127.0.0.1:{port}"))
}

/// Runs the executable with the default lease of ten seconds, and measures the time from `kill -9` and from SIGTERM to
/// the next listing of the zone by another replica.
pub(super) async fn from_one_to_the_other(table: &mut Table) {
    let Some(binary) = std::env::var_os("INVENTIV_BIN") else {
        println!("skipped: INVENTIV_BIN is not set; `cargo xtask bench` sets it");
        return;
    };
    let (url, home) = database(Database::Postgres).await;
    let emulator = Emulator::new(Options { seed: Some(7), ..Options::default() });
    let cloud = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cloud_url = format!("http://{}", cloud.local_addr().unwrap());
    let serving = emulator.clone();
    tokio::spawn(async move { serving.serve(cloud, std::future::pending()).await });
    let token_file = home.path().join("token");
    std::fs::write(&token_file, "tttttttttttttttttttttttt").unwrap();
    std::fs::set_permissions(&token_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let ready = async |at: &str| {
        while !client.get(format!("{at}/readyz")).send().await.is_ok_and(|a| a.status().is_success()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let holder = async |store: &Store| {
        let leases = store.leases(&format!("scaleway:{PROJECT}")).await.unwrap();
        leases.into_iter().find(|l| !l.holder.is_empty()).map(|l| l.holder)
    };
    let start = || serve(&binary, &cloud_url, &url, &token_file);
    let mut working = start();
    ready(&working.1).await;
    let store = Store::open(&url).await.unwrap();
    // A zone without instances is not observed.
    let body = json!({"zone": "fr-par-2", "instance_type": "PLAY2-PICO", "image": "ubuntu_jammy"}).to_string();
    let asked_for = client.post(format!("{}/instances", working.1)).bearer_auth("tttttttttttttttttttttttt").body(body);
    let made = async || {
        let again = asked_for.try_clone().unwrap().header("content-type", "application/json").send().await;
        again.is_ok_and(|a| a.status().is_success())
    };
    // Repeat until the catalogue has been read.
    while !made().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut ms: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for n in 0..2 * ROUNDS {
        let before = loop {
            if let Some(holder) = holder(&store).await {
                break holder;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let other = start();
        ready(&other.1).await;
        // By then the other replica knows the lease, and its holder is idle.
        tokio::time::sleep(Duration::from_millis(2_000 + 700 * n as u64)).await;
        let (listed, _) = asked(&emulator);
        let began = Instant::now();
        let signal = if n % 2 == 0 { "-KILL" } else { "-TERM" };
        Command::new("kill").arg(signal).arg(working.0.id().to_string()).status().unwrap();
        while asked(&emulator).0 <= listed {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ms[n % 2].push(began.elapsed().as_secs_f64() * 1e3);
        assert_ne!(holder(&store).await.unwrap(), before);
        working.0.wait().unwrap();
        working = other;
    }
    working.0.kill().unwrap();
    working.0.wait().unwrap();
    for (what, mut ms, goal) in
        [("kill -9", std::mem::take(&mut ms[0]), "≤ 11000"), ("SIGTERM", std::mem::take(&mut ms[1]), "≤ 1000")]
    {
        ms.sort_by(f64::total_cmp);
        table.row(
            &format!("from {what} to the next call by another replica: median of {ROUNDS}"),
            ms[ms.len() / 2],
            "ms",
            goal,
        );
        table.row(
            &format!("from {what} to the next call by another replica: worst of {ROUNDS}"),
            ms[ms.len() - 1],
            "ms",
            goal,
        );
    }
}
