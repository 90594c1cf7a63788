//! Large fleets with the real executable: memory, processor time and requests.

use super::*;

pub(crate) fn cpu_seconds(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

pub(crate) fn rss_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// With 0, 1,000 and 10,000 settled instances: the cost of a pass, the memory of the process, the speed of lists.
pub(crate) async fn large_fleets(table: &mut Table) {
    let sqlite = [0_usize, 1_000, 10_000].map(|n| (Database::Sqlite, n));
    let postgres = Database::both().contains(&Database::Postgres).then_some((Database::Postgres, 10_000));
    for (kind, n) in sqlite.into_iter().chain(postgres) {
        let s = stage(kind, ClockMode::Instant, 1e6, 20, Some(7)).await;
        for _ in 0..n.div_ceil(1_000) {
            s.create("L4-1-24G", n.min(1_000)).await;
        }
        s.until("ready", n).await;
        let (emulator, database, home) = s.stop().await;
        println!("{kind:?}, {n} instances:");
        serve_and_measure(table, n, &emulator, &database, &home).await;
    }
}

pub(crate) async fn serve_and_measure(
    table: &mut Table,
    n: usize,
    emulator: &Emulator,
    database: &str,
    home: &inventiv_testkit::Home,
) {
    let Some(binary) = std::env::var_os("INVENTIV_BIN") else {
        println!("skipped: INVENTIV_BIN is not set; `cargo xtask bench` sets it");
        return;
    };
    let cloud = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cloud_url = format!("http://{}", cloud.local_addr().unwrap());
    let serving = emulator.clone();
    tokio::spawn(async move { serving.serve(cloud, std::future::pending()).await });
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let token_file = home.path().join("token");
    std::fs::write(&token_file, "tttttttttttttttttttttttt").unwrap();
    std::fs::set_permissions(&token_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let asked_before = emulator.journal()["requests"].as_u64().unwrap();
    let mut child = Command::new(binary)
        .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--database", database, "--control-plane", "bench"])
        .args(["--zones", "fr-par-2", "--calls-per-second", "1000", "--token-file", token_file.to_str().unwrap()])
        .env("SCW_SECRET_KEY", SECRET)
        .env("SCW_DEFAULT_PROJECT_ID", PROJECT)
        .env("SCW_API_URL", &cloud_url)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It may already be installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}/instances?limit=100");
    let get = async |client: &reqwest::Client| {
        let sent = client.get(&url).bearer_auth("tttttttttttttttttttttttt").send().await;
        match sent {
            Ok(answer) => answer.bytes().await.is_ok_and(|b| !b.is_empty()),
            Err(_) => false,
        }
    };
    while !get(&client).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The start begins a resync, which is complete when no more requests reach the cloud.
    let mut asked = 0;
    let began = cpu_seconds(&child.id().to_string());
    loop {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let now = emulator.journal()["requests"].as_u64().unwrap();
        if now == asked {
            break;
        }
        asked = now;
    }
    let cpu = cpu_seconds(&child.id().to_string()) - began;
    let journal = emulator.journal();
    let listing = |e: &&Value| {
        let path = e["path"].as_str().unwrap_or_default();
        e["method"] == "GET" && (path.ends_with("/servers") || path.ends_with("/volumes")) && !path.contains("products")
    };
    if n > 0 {
        let entries = journal["entries"].as_array().unwrap();
        let since = |e: &&Value| e["seq"].as_u64().is_some_and(|seq| seq > asked_before);
        let calls = entries.iter().filter(since).filter(listing).count();
        table.row(&format!("one no-change pass over {n} instances: calls"), calls as f64, "calls", "linear");
        table.row(&format!("one no-change pass over {n} instances (and its start): CPU"), cpu, "s", "linear");
    }
    let goal = if n == 0 {
        "≤ 40"
    } else if n == 10_000 {
        "≤ 150"
    } else {
        ""
    };
    table.row(&format!("resident memory with {n} instances"), rss_mb(child.id()), "MB", goal);
    if n == 10_000 {
        let mut times: Vec<f64> = Vec::new();
        let began = Instant::now();
        let mut workers = Vec::new();
        for _ in 0..4 {
            let (client, url) = (client.clone(), url.clone());
            workers.push(tokio::spawn(async move {
                let mut times = Vec::new();
                for _ in 0..250 {
                    let one = Instant::now();
                    let sent = client.get(&url).bearer_auth("tttttttttttttttttttttttt").send().await.unwrap();
                    assert!(sent.bytes().await.unwrap().len() > 1_000);
                    times.push(one.elapsed().as_secs_f64() * 1_000.0);
                }
                times
            }));
        }
        for worker in workers {
            times.extend(worker.await.unwrap());
        }
        let rate = times.len() as f64 / began.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        table.row("GET /instances (pages of 100 of 10,000), 4 clients", rate, "requests/s", "");
        table.row("GET /instances (pages of 100 of 10,000), 4 clients: p99", times[times.len() * 99 / 100], "ms", "");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
