//! Runs every command of the README unchanged, against a control plane and an emulated cloud.

use crate::server::{Cloud, Server, inventiv, text};
use scaleway_emulator::Boot;
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

/// The lines of all shell samples, continued lines joined, without comments.
fn lines(document: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let (mut inside, mut continued) = (false, false);
    for line in document.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
            continue;
        }
        if !inside {
            continue;
        }
        let line = line.split(" #").next().unwrap_or_default().trim();
        let (part, more) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match found.last_mut() {
            Some(last) if continued => last.push_str(part),
            _ => found.push(part.to_owned()),
        }
        continued = more;
    }
    found.retain(|l| !l.is_empty());
    found
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().skip(1).collect()
}

#[test]
fn every_command_of_the_readme_does_what_it_is_shown_for() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let all = lines(&std::fs::read_to_string(readme).unwrap());
    let cloud = Cloud::start();
    let command = format!("exec {} emulated-server", env!("CARGO_BIN_EXE_inventiv"));
    let _machines = cloud.emulator.boot(&Boot { command, state_dir: None }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &cloud.url, &[("ALERT_URL", "http://127.0.0.1:9/hook")]);
    let (mut id, mut volume, mut key, mut ran) = (String::new(), String::new(), String::new(), 0);
    for line in &all {
        let mut args = words(line);
        // Commands that run for ever, prompt, or start what already runs here must at least parse.
        let not_run = ["inventiv serve", " watch", " doctor", " ssh "];
        let only_read = not_run.iter().any(|words| line.contains(words));
        match line.split_whitespace().next().unwrap_or_default() {
            "inventiv" if only_read => {
                args.push("--help");
                assert!(inventiv(&args, &[]).status.success(), "{line}");
            }
            "inventiv" => {
                let creates = line.contains("instance create") && !line.contains("--dry-run");
                if creates {
                    args.extend(["--name", "NAME", "--yes"]);
                }
                if line.contains("service create") {
                    // Nobody is there to be asked.
                    args.push("--yes");
                }
                let args: Vec<String> = args.into_iter().map(|a| a.replace("vol-…", &volume)).collect();
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let mut out = server.run(&args);
                // Right after the termination request, the proof is not clean yet.
                let began = Instant::now();
                while line.contains(" proof ") && !out.status.success() && began.elapsed() < Duration::from_secs(60) {
                    out = server.run(&args);
                }
                assert!(out.status.success(), "{line}: {}", text(&out.stderr));
                ran += 1;
                if creates {
                    let shown: Value =
                        serde_json::from_slice(&server.run(&["instance", "show", "NAME", "-o", "json"]).stdout)
                            .unwrap();
                    id = shown["id"].as_str().unwrap().to_owned();
                    let data = shown["storages"].as_array().unwrap().iter().find(|v| v["origin"] == "ours").unwrap();
                    volume = data["id"].as_str().unwrap().to_owned();
                }
            }
            "curl" => {
                let here = line.replace("http://127.0.0.1:8080", &server.url).replace("ins-…", &id);
                let token = folder.path().join("token");
                let script = format!("KEY={key}; TOKEN=$(cat {}); {here} --fail --max-time 5", token.display());
                let out = Command::new("sh").args(["-c", &script]).output().unwrap();
                let is_endless = line.contains("-sN");
                let ended = if is_endless { Some(28) } else { Some(0) };
                assert_eq!(out.status.code(), ended, "{line}: {}", text(&out.stderr));
                assert!(!out.stdout.is_empty(), "{line}");
                ran += 1;
            }
            word if word.starts_with("KEY=") => {
                let command = line.trim_start_matches("KEY=$(").trim_end_matches(')');
                let out = server.run(&words(command));
                assert!(out.status.success(), "{line}: {}", text(&out.stderr));
                key = text(&out.stdout).trim().to_owned();
            }
            // `cargo` runs this test; the variables are already set for the control plane.
            word => assert!(matches!(word, "cargo" | "export") || word.starts_with("TOKEN="), "no test runs `{line}`"),
        }
    }
    assert!(ran >= 14, "{ran} of {} lines were run", all.len());
}
