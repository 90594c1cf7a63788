//! The executable as its users run it: real processes, real HTTP, a real `kill -9`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod accounts;
mod asking;
mod images;
mod keys;
mod people;
mod samples;
mod secrets;
mod server;
mod services;
mod webhooks;
mod workers;

use inventiv_testkit::{Database, World};
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use serde_json::{Value, json};
use server::{Cloud, Server, inventiv, text};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn the_demo_ends_with_one_json_object_and_nothing_left() {
    let home = tempfile::tempdir().unwrap();
    let out = inventiv(&["demo", "--clock", "instant", "--output", "json"], &[("HOME", home.path().to_str().unwrap())]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let result: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(result["left_behind"], json!({"servers": 0, "volumes": 0, "ips": 0}));
    assert_eq!(result["service"]["most_replicas"], 2);
    assert!(result["service"]["requests"].as_i64().unwrap() >= 2);
    let sizes: Vec<&Value> =
        result["lives"].as_array().unwrap().iter().map(|l| &l["instance"]["storage_sizes_gb"]).collect();
    assert_eq!(sizes, [&json!([400, 200]), &json!([20, 1600, 200])]);
    for life in result["lives"].as_array().unwrap() {
        assert_eq!(
            (&life["instance"]["status"], &life["terminated"]["status"]),
            (&json!("ready"), &json!("terminated"))
        );
        assert!(life["terminated"]["storages"].as_array().unwrap().iter().all(|v| v["proof"].is_object()));
    }
    assert!(std::fs::read_dir(home.path()).unwrap().next().is_none(), "it leaves nothing on this machine either");
}

#[test]
fn wrong_usage_is_one_sentence_and_a_code() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().to_str().unwrap();
    let key = ("SCW_SECRET_KEY", "22222222-2222-4222-8222-222222222222");
    let project = ("SCW_DEFAULT_PROJECT_ID", "11111111-1111-4111-8111-111111111111");
    let base = [("HOME", home)];
    let good = [("HOME", home), key, project];
    // Arguments, environment, exit code, part of the message.
    type Case<'c> = (Vec<&'c str>, &'c [(&'c str, &'c str)], i32, &'c str);
    let cases: Vec<Case<'_>> = vec![
        (vec!["instance", "list"], &base, 1, "token file"),
        (vec!["serve"], &base, 4, "SCW_SECRET_KEY"),
        (vec!["serve", "--control-plane", "Not-Good"], &good, 4, "a-z and 0-9"),
        (vec!["serve", "--zones", "mars"], &good, 4, "not a zone"),
        (vec!["serve", "--create-grace-seconds", "3"], &good, 4, "listings lag"),
        (vec!["serve", "--consistency-window-seconds", "3"], &good, 4, "reads may be stale"),
        (vec!["serve", "--calls-per-second", "-3"], &good, 2, ""),
        (vec!["serve", "--database", "mysql://x", "--listen", "127.0.0.1:0"], &good, 1, "sqlite: or postgres://"),
        (vec!["serve", "--listen", "nowhere"], &good, 2, "nowhere"),
        (
            vec!["instance", "list", "--url", "http://127.0.0.1:1"],
            &[("INVENTIV_TOKEN", "tttttttttttttttt")],
            5,
            "inventiv serve",
        ),
        (vec!["instance", "create", "--yes", "--zone", "x"], &base, 2, "--type"),
        (vec!["fly"], &base, 2, "fly"),
        (vec!["demo", "--clock", "sundial"], &base, 2, "sundial"),
    ];
    for (args, env, code, says) in cases {
        let out = inventiv(&args, env);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
        assert!(!said.contains("22222222"), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
}

#[test]
fn a_server_that_is_killed_again_and_again_finishes_every_life() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let emulator = Emulator::new(Options { clock: ClockMode::Scaled(20), ..Options::default() });
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let cloud = format!("http://{}", listener.local_addr().unwrap());
    let served = emulator.clone();
    runtime.spawn(async move { served.serve(listener, std::future::pending()).await });
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &cloud);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(server.folder.join("token")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "only this user can read the token");
    for mode in [0o644, 0o666, 0o640] {
        let set = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(server.folder.join("token"), set(mode)).unwrap();
        let out = server.run(&["instance", "list"]);
        assert!(!out.status.success() && text(&out.stderr).contains("chmod 600"), "{mode:o}: {}", text(&out.stderr));
        std::fs::set_permissions(server.folder.join("token"), set(0o600)).unwrap();
    }
    let create = [
        "instance",
        "create",
        "--zone",
        "fr-par-2",
        "--type",
        "L40S-1-48G",
        "--model",
        "Qwen/Qwen2.5-7B-Instruct",
        "--yes",
        "--engine",
        "none",
        "--output",
        "json",
    ];
    let mut ids = Vec::new();
    for _ in 0..3 {
        let out = server.run(&create);
        assert!(out.status.success(), "{}", text(&out.stderr));
        let shown: Value = serde_json::from_slice(&out.stdout).unwrap();
        ids.push(shown["id"].as_str().unwrap().to_owned());
        server.kill_and_restart();
    }
    let wait = |server: &Server, id: &str, status: &str| {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let out = server.run(&["instance", "show", id, "--output", "json"]);
            let shown: Value = serde_json::from_slice(&out.stdout).unwrap_or(Value::Null);
            if shown["status"] == status {
                return shown;
            }
            assert!(Instant::now() < deadline, "{id} is not {status}: {shown:#}");
            std::thread::yield_now();
        }
    };
    for id in &ids {
        let shown = wait(&server, id, "ready");
        assert_eq!(shown["storage_sizes_gb"], json!([20, 1600, 200]));
    }
    assert_eq!(emulator.state()["servers"].as_array().unwrap().len(), 3, "none doubled");
    for id in &ids {
        assert!(server.run(&["instance", "terminate", id]).status.success());
        server.kill_and_restart();
    }
    for id in &ids {
        let out = server.run(&["instance", "terminate", id, "--wait", "--timeout", "60"]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        let explained = text(&server.run(&["explain", id]).stdout);
        assert!(explained.contains("is terminated") && explained.contains("waits  for nothing"), "{explained}");
    }
    let state = emulator.state();
    assert_eq!((&state["servers"], &state["volumes"], &state["ips"]), (&json!([]), &json!([]), &json!([])));
    let out = server.run(&["instance", "show", "ins-00000000000000000000000000"]);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
    let out = server.run(&["instance", "create", "--yes", "--zone", "fr-par-2", "--type", "NOPE"]);
    assert_eq!(out.status.code(), Some(4), "{}", text(&out.stderr));
    for args in [&["volume", "list"][..], &["instance", "list"], &["offer", "list"]] {
        let out = server.run(args);
        assert!(out.status.success() && !out.stdout.is_empty());
    }
}

#[test]
fn the_doctor_says_what_it_costs_asks_and_cleans_up_after_a_kill() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let dear = inventiv(&["doctor", "--live", "--yes", "--max-eur", "0.001"], &cloud.env());
    assert_eq!(dear.status.code(), Some(4), "{}", text(&dear.stderr));
    let silent = inventiv(&["doctor", "--live"], &cloud.env());
    assert_eq!(silent.status.code(), Some(4), "not confirmed: {}", text(&silent.stderr));
    assert!(text(&silent.stdout).contains("costs at most"), "the cost comes first: {}", text(&silent.stdout));
    assert_eq!(cloud.left(), 0);
    let mut killed = cloud.doctor_with_a_server();
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(cloud.left() > 0);
    let record = folder.path().join("live.jsonl.gz");
    let args = ["doctor", "--live", "--yes", "--output", "json", "--record", record.to_str().unwrap()];
    let again = inventiv(&args, &cloud.env());
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(cloud.left(), 0, "{:#}", cloud.emulator.state());
    let result: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&result["live"], &result["broken"]), (&json!(true), &json!([])));
    assert!(result["settled"].as_array().unwrap().len() >= 5);
    assert!(std::fs::metadata(&record).unwrap().len() > 1_000);
    let twice = inventiv(&args, &cloud.env());
    assert_eq!(twice.status.code(), Some(4), "a recording is not overwritten: {}", text(&twice.stderr));
}

#[test]
fn ctrl_c_lets_the_creation_end_and_takes_it_away_and_a_second_one_says_what_may_be_left() {
    let cloud = Cloud::start();
    // The server is created; the response arrives after the signals.
    let slow = json!({"method": "POST", "path": "*/servers", "effect": {"delay_ms": 1_500}});
    cloud.emulator.add_fault(&slow).unwrap();
    let interrupt = |doctor: &Child| {
        let sent = Command::new("kill").args(["-INT", &doctor.id().to_string()]).status().unwrap();
        assert!(sent.success());
    };
    let doctor = cloud.doctor_with_a_server();
    interrupt(&doctor);
    let out = doctor.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("nothing of it is left"), "{}", text(&out.stderr));
    assert_eq!(cloud.left(), 0, "{:#}", cloud.emulator.state());
    let mut doctor = cloud.doctor_with_a_server();
    interrupt(&doctor);
    let mut said = std::io::BufReader::new(doctor.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.starts_with("stopping"), "{line}");
    interrupt(&doctor);
    std::io::Read::read_to_string(&mut said, &mut line).unwrap();
    assert_eq!(doctor.wait().unwrap().code(), Some(8), "{line}");
    assert!(line.contains("may be left"), "{line}");
}

#[tokio::test]
async fn a_database_of_another_control_plane_is_left_alone() {
    let world = World::new(Database::Sqlite).await;
    let request = json!({"zone": "fr-par-2", "instance_type": "RENDER-S", "image": "ubuntu_jammy_gpu_os_12"});
    let id = world.create(request).await;
    world.until_status(&id, "ready").await;
    let home = world.home.path().to_str().unwrap();
    let env = [
        ("HOME", home),
        ("SCW_API_URL", "http://127.0.0.1:9"),
        ("SCW_SECRET_KEY", "22222222-2222-4222-8222-222222222222"),
        ("SCW_DEFAULT_PROJECT_ID", "11111111-1111-4111-8111-111111111111"),
    ];
    let database = ["--database", world.database_url.as_str()];
    for command in [
        &["serve", "--listen", "127.0.0.1:0", "--control-plane", "other"][..],
        &["recover", "--from-provider", "other"],
    ] {
        let out = inventiv(&[command, &database].concat(), &env);
        assert_eq!(out.status.code(), Some(4), "{command:?}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains("belongs to control plane `test`, not `other`"), "{}", text(&out.stderr));
    }
    assert_eq!(world.store.control_plane().await.unwrap().as_deref(), Some("test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_and_checks_write_nothing() {
    let world = World::new(Database::Sqlite).await;
    let request = json!({"zone": "fr-par-2", "instance_type": "RENDER-S", "image": "ubuntu_jammy_gpu_os_12"});
    let id = world.create(request).await;
    world.until_status(&id, "ready").await;
    world.settle().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cloud = format!("http://{}", listener.local_addr().unwrap());
    let served = world.emulator.clone();
    tokio::spawn(async move { served.serve(listener, std::future::pending()).await });
    let env = [
        ("HOME", world.home.path().to_str().unwrap()),
        ("SCW_API_URL", cloud.as_str()),
        ("SCW_SECRET_KEY", "22222222-2222-4222-8222-222222222222"),
        ("SCW_DEFAULT_PROJECT_ID", "11111111-1111-4111-8111-111111111111"),
    ];
    let database = ["--database", world.database_url.as_str()];
    let before = world.backup().await.bytes();
    for (command, says) in [
        (&["migrate", "--check"][..], ""),
        // A zone that shows nothing, and one with only recorded resources.
        (&["recover", "--from-provider", "test", "--zones", "fr-par-1"], "nothing was written"),
        (&["recover", "--from-provider", "test", "--zones", "fr-par-2"], "nothing is to be rebuilt"),
    ] {
        let out = inventiv(&[command, &database].concat(), &env);
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        assert!(said.contains(says) && !said.contains("panicked"), "{command:?}: {said}");
        assert!(world.backup().await.bytes() == before, "{command:?} wrote something");
    }
}

/// Lines of a child's output, as they arrive.
fn lines(out: std::process::ChildStdout) -> std::sync::mpsc::Receiver<Value> {
    let (reported, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::BufRead::lines(std::io::BufReader::new(out)) {
            let Ok(line) = line else { return };
            if reported.send(serde_json::from_str(&line).unwrap()).is_err() {
                return;
            }
        }
    });
    heard
}

#[test]
fn watch_tells_every_change_and_goes_on_when_its_server_was_killed() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &cloud.url);
    let watch = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inventiv"));
        command.args(["watch", "--output", "json"]).env_clear().envs(server.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut watching = watch();
    let heard = lines(watching.stdout.take().unwrap());
    let until = |what: &dyn Fn(&Value) -> bool| loop {
        let event = heard.recv_timeout(Duration::from_secs(60)).expect("it comes");
        if what(&event) {
            return event;
        }
    };
    assert_eq!(until(&|e| e["event"] == "snapshot")["data"], json!({"reason": "start"}));
    until(&|e| e["event"] == "live");
    let out =
        server.run(&["instance", "create", "--yes", "--zone", "fr-par-2", "--type", "L40S-1-48G", "--output", "json"]);
    let id = serde_json::from_slice::<Value>(&out.stdout).unwrap()["id"].clone();
    let is = |event: &Value, status: &str| event["data"]["id"] == id && event["data"]["status"] == status;
    // In any status.
    until(&|e| e["data"]["id"] == id);
    server.kill_and_restart();
    let out = server.run(&["instance", "terminate", id.as_str().unwrap(), "--wait", "--timeout", "60"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    until(&|e| {
        assert!(e["event"] != "snapshot", "it resumes at its position");
        is(e, "terminated")
    });
    // A control plane that stops does not wait for its readers.
    let began = Instant::now();
    assert!(Command::new("kill").arg("-TERM").arg(server.child.id().to_string()).status().unwrap().success());
    assert!(server.child.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(5), "it ends the streams itself");
    server.child = Server::spawn(&server.env);
    server.wait();
    watching.kill().unwrap();
    let said = text(&watching.wait_with_output().unwrap().stderr);
    assert_eq!(said.matches("broke off").count(), 2, "{said}");
    // A table of one instance that has ended.
    let mut command = Command::new(env!("CARGO_BIN_EXE_inventiv"));
    command.args(["watch", id.as_str().unwrap()]).env_clear().envs(server.env.iter().cloned());
    let mut watching = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(watching.stdout.take().unwrap()), &mut line).unwrap();
    assert!(line.contains(id.as_str().unwrap()) && line.contains("terminated"), "{line}");
    watching.kill().unwrap();
    watching.wait().unwrap();
    for (args, code) in [(["watch", "ins-00000000000000000000000000"], 3), (["watch", "--after=?"], 4)] {
        let out = server.run(&args);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {}", text(&out.stderr));
    }
}
