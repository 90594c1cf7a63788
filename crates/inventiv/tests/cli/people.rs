//! The command line as people use it: names, several arguments, tables that fit, progress while waiting.

use crate::server::{Cloud, Server, inventiv, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn json(out: &std::process::Output) -> Value {
    serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|_| panic!("no JSON: {} {}", text(&out.stdout), text(&out.stderr)))
}

fn create(server: &Server, more: &[&str]) -> std::process::Output {
    let base = ["instance", "create", "--yes", "--zone", "fr-par-2", "--type", "L4-1-24G", "--data-volume-gb", "10"];
    server.run(&[&base[..], more].concat())
}

#[test]
fn names_and_beginnings_of_ids_stand_for_an_instance_from_its_wish_to_its_proof() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &cloud.url);
    let made = create(&server, &["--name", "my model", "--idempotency-key", "k", "--wait", "-o", "json"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let reported = text(&made.stderr);
    let id = json(&made)["id"].as_str().unwrap().to_owned();
    // A waiting user first sees the instance and its price, then each step in words.
    let first = reported.lines().next().unwrap();
    assert!(first.contains(&id) && first.contains("my model") && first.contains("EUR/h"), "{reported}");
    assert!(reported.contains("attach the volume") && !reported.contains("PROVIDER_"), "{reported}");
    // The same request with the same key creates no second instance; names are unique.
    let again = create(&server, &["--name", "my model", "--idempotency-key", "k", "-o", "name"]);
    assert_eq!(text(&again.stdout).trim(), "my model", "{}", text(&again.stderr));
    let taken = create(&server, &["--name", "my model"]);
    assert_eq!(taken.status.code(), Some(4), "{}", text(&taken.stderr));
    assert!(text(&taken.stderr).contains(&id), "{}", text(&taken.stderr));
    for named in ["my model", &id, &id[..id.len() - 1]] {
        for command in [vec!["instance", "show", named], vec!["instance", "get", named], vec!["explain", named]] {
            let out = server.run(&command);
            assert!(out.status.success() && text(&out.stdout).contains(&id), "{command:?}: {}", text(&out.stderr));
        }
        let volumes = server.run(&["volume", "ls", "--instance", named, "-o", "json"]);
        assert!(json(&volumes).as_array().is_some_and(|v| !v.is_empty()), "{named}");
    }
    for unknown in ["my", "ins-zzzzzzzzz", "nobody", ""] {
        let out = server.run(&["instance", "show", unknown]);
        assert_eq!(out.status.code(), Some(3), "{unknown}: {}", text(&out.stderr));
    }
    let gone = server.run(&["instance", "rm", "my model", "--wait", "--timeout", "60"]);
    assert!(gone.status.success(), "{}", text(&gone.stderr));
    let proof = server.run(&["instance", "proof", "my model", "-o", "yaml"]);
    assert!(proof.status.success() && text(&proof.stdout).contains("clean: true"), "{}", text(&proof.stdout));
    // It has ended: its name is free, and means the instance that has it now.
    let next = json(&create(&server, &["--name", "my model", "-o", "json"]));
    assert_ne!(next["id"], id.as_str());
    assert_eq!(json(&server.run(&["instance", "show", "my model", "-o", "json"]))["id"], next["id"]);
}

#[test]
fn lists_show_what_lives_in_tables_that_fit() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &cloud.url);
    let long = "n".repeat(100);
    for name in [long.as_str(), "short"] {
        assert!(create(&server, &["--name", name, "--wait"]).status.success());
    }
    let unnamed = json(&create(&server, &["-o", "json"]));
    assert_ne!(unnamed["name"], unnamed["id"], "a short name of its own");
    for list in [
        &["instance", "list"][..],
        &["offer", "list"],
        &["offer", "list", "--all"],
        &["volume", "ls"],
        &["account", "ls"],
    ] {
        let shown = text(&server.run(list).stdout);
        assert!(shown.lines().count() > 1, "{shown}");
        if list != ["account", "ls"] {
            assert!(shown.lines().all(|l| l.chars().count() <= 80), "{list:?}:\n{shown}");
        }
        assert!(!shown.contains('\u{1b}'), "no colours in a pipe: {list:?}");
    }
    let names = |args: &[&str]| text(&server.run(args).stdout).lines().map(str::to_owned).collect::<Vec<_>>();
    let all = names(&["instance", "list", "-o", "name"]);
    assert_eq!(
        all,
        [long.clone(), "short".to_owned(), unnamed["name"].as_str().unwrap().to_owned()],
        "the newest last"
    );
    let wide = text(&server.run(&["instance", "list", "-o", "wide"]).stdout);
    assert!(wide.contains(&long) && wide.contains(unnamed["id"].as_str().unwrap()), "{wide}");
    // Several at once; a missing one does not stop the others.
    let out = server.run(&["instance", "terminate", "short", "nobody", &long, "--wait", "--timeout", "60"]);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
    assert_eq!(names(&["instance", "list", "-o", "name"]).len(), 1);
    let both: BTreeSet<String> =
        names(&["instance", "list", "--status", "terminated,ready", "-o", "name"]).into_iter().collect();
    assert!(both.contains("short") && both.contains(&long), "{both:?}");
    let sure = server.run(&["instance", "terminate", "--all"]);
    assert_eq!(sure.status.code(), Some(4), "it asks for confirmation, without a terminal");
    // Terminating instances are waited for, too.
    assert!(server.run(&["instance", "terminate", "--all", "--yes"]).status.success());
    assert!(server.run(&["instance", "terminate", "--all", "--yes", "--wait", "--timeout", "60"]).status.success());
    assert!(names(&["instance", "list", "-o", "name"]).is_empty());
    assert_eq!(names(&["instance", "list", "--all", "-o", "name"]).len(), 3);
    for args in [
        &["instance", "list", "--status", "happy"][..],
        &["instance", "list", "--zone", "mars-1"],
        &["volume", "ls", "--status", "x"],
    ] {
        assert_eq!(server.run(args).status.code(), Some(4), "{args:?}");
    }
}

#[test]
fn who_interrupts_the_wait_is_told_what_goes_on_and_costs() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &cloud.url);
    let mut command = Command::new(env!("CARGO_BIN_EXE_inventiv"));
    command.args(["instance", "create", "--yes", "--zone", "fr-par-2", "--type", "L4-1-24G", "--name", "x", "--wait"]);
    let mut waits = command.env_clear().envs(server.env.iter().cloned()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reported = BufReader::new(waits.stderr.take().unwrap()).lines().map_while(Result::ok);
    // It listens for signals before it shows the first step.
    let step = reported.find(|l| l.contains("requested")).unwrap();
    assert!(Command::new("kill").arg("-INT").arg(waits.id().to_string()).status().unwrap().success(), "{step}");
    let said: Vec<String> = reported.collect();
    let ended = waits.wait().unwrap();
    let last = said.last().unwrap();
    assert_eq!(ended.code(), Some(130), "{said:?}");
    assert!(last.contains("continues") && last.contains("EUR/h") && last.contains("instance terminate x"), "{last}");
    assert!(server.run(&["instance", "rm", "x", "--wait", "--timeout", "60"]).status.success());
}

#[test]
fn models_are_added_listed_changed_and_removed() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &cloud.url);
    assert!(server.run(&["model", "add", "me/mine", "--data-volume-gb", "70"]).status.success());
    assert!(text(&server.run(&["model", "ls"]).stdout).contains("70 GB"));
    assert!(text(&server.run(&["model", "set", "me/mine"]).stdout).contains("as recommended"));
    assert!(text(&server.run(&["model", "recommend", "Qwen/Qwen2.5-7B"]).stdout).contains("GB of weights"));
    assert!(server.run(&["model", "rm", "me/mine"]).status.success());
    assert_eq!(server.run(&["model", "get", "me/mine"]).status.code(), Some(3));
}

#[test]
fn a_retained_volume_is_given_to_another_instance() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &cloud.url);
    let first = create(&server, &["--name", "first", "--retain", "--wait", "-o", "json"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert!(server.run(&["instance", "rm", "first", "--wait", "--timeout", "60"]).status.success());
    let retained = json(&server.run(&["volume", "ls", "--status", "retained", "-o", "json"]));
    let volume = retained[0]["id"].as_str().unwrap();
    let reuse = [
        "instance", "create", "--yes", "--zone", "fr-par-2", "--type", "L4-1-24G", "--name", "second", "--volume",
        volume,
    ];
    let conflict = server.run(&[&reuse[..], &["--data-volume-gb", "10"]].concat());
    assert_eq!(conflict.status.code(), Some(2), "{}", text(&conflict.stderr));
    let second = server.run(&[&reuse[..], &["--wait", "-o", "json"]].concat());
    assert!(second.status.success(), "{}", text(&second.stderr));
    let data = json(&second)["storages"].as_array().unwrap().iter().find(|v| v["origin"] == "ours").cloned().unwrap();
    assert_eq!(data["reused_from"], json(&first)["id"]);
    let proof = text(&server.run(&["instance", "proof", "first"]).stdout);
    assert!(proof.contains("GIVEN") && proof.contains("given to instance ins-"), "{proof}");
    let taken = server.run(&[&reuse[..8], &["third", "--volume", volume]].concat());
    assert_eq!(taken.status.code(), Some(4), "{}", text(&taken.stderr));
    assert!(text(&taken.stderr).contains("was given to instance ins-"), "{}", text(&taken.stderr));
}

#[test]
fn the_types_that_a_model_fits_are_listed_and_others_are_refused() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &cloud.url);
    let model = "meta-llama/Llama-3.3-70B-Instruct";
    let fit = |more: &[&str]| server.run(&[&["model", "fit", model, "--zone", "fr-par-2"], more].concat());
    let table = text(&fit(&[]).stdout);
    assert!(table.lines().all(|l| l.chars().count() <= 80), "{table}");
    assert!(table.contains("L40S-4-48G") && !table.contains("L40S-1-48G"), "{table}");
    assert!(text(&fit(&["--all"]).stdout).contains("L40S-1-48G"));
    let one = text(&fit(&["--type", "L40S-1-48G", "--context", "1000"]).stdout);
    assert!(one.contains("in fr-par-2: no") && one.contains("(1000 tokens)"), "{one}");
    let long = text(&fit(&["--context", "9000000"]).stdout);
    assert!(long.contains("maybe") && !long.contains("yes"), "{long}");
    let none = text(&server.run(&["model", "fit", "big/model-3000B", "--zone", "fr-par-2"]).stdout);
    assert!(none.contains("no type fits"), "{none}");
    let found = json(&fit(&["--engine", "command", "-o", "json"]));
    assert_eq!(found["engine"]["kind"], "command");
    // Creating it is refused, unless it is forced.
    let create = ["instance", "create", "--yes", "--zone", "fr-par-2", "--type", "L40S-1-48G", "--model", model];
    let refused = server.run(&create);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(said.contains("does not fit L40S-1-48G") && said.contains("it fits H100-2-80G"), "{said}");
    let forced = server.run(&[&create[..], &["--force", "-o", "json"]].concat());
    assert!(text(&forced.stderr).contains("warning: the model does not fit"), "{}", text(&forced.stderr));
    let shown = server.run(&["instance", "show", json(&forced)["id"].as_str().unwrap()]);
    assert!(text(&shown.stdout).contains("for vllm"), "{}", text(&shown.stdout));
}

#[test]
fn help_wraps_and_usage_names_nothing_that_need_not_be_given() {
    let home = tempfile::tempdir().unwrap();
    let env = [
        ("HOME", home.path().to_str().unwrap()),
        ("INVENTIV_URL", "http://127.0.0.1:1"),
        ("INVENTIV_TOKEN", "tttttttttttttttt"),
        ("INVENTIV_TOKEN_FILE", "/nowhere"),
    ];
    let usage = |args: &[&str]| {
        let out = inventiv(args, &env);
        assert_eq!(out.status.code(), Some(2));
        text(&out.stderr).lines().find(|l| l.starts_with("Usage:")).unwrap().to_owned()
    };
    for args in [&["instance", "create"][..], &["instance", "show"], &["volume", "retain"], &["explain"]] {
        let line = usage(args);
        assert!(!line.contains("--url") && !line.contains("--token"), "{line}");
    }
    for args in [&["--help"][..], &["instance", "--help"], &["instance", "create", "--help"], &["serve", "--help"]] {
        let out = text(&inventiv(args, &env).stdout);
        assert!(out.lines().all(|l| l.chars().count() <= 100), "{args:?}:\n{out}");
        let has_url = out.contains("--url");
        assert_eq!(has_url, args[0] == "instance", "{args:?}: --url only where it does something");
        assert!(!has_url || out.contains("INVENTIV_TOKEN "), "{out}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&inventiv(&["completions", shell], &[]).stdout);
        assert!(script.contains("inventiv") && script.contains("terminate"), "{shell}");
    }
    assert!(text(&inventiv(&["man"], &[]).stdout).starts_with(".ie"), "roff");
}

#[test]
fn an_instance_is_renamed_and_logged_in_to_by_name() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &cloud.url);
    let (key, script) = (folder.path().join("id.pub"), folder.path().join("init.sh"));
    std::fs::write(
        &key,
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@laptop\n",
    )
    .unwrap();
    std::fs::write(&script, "#!/bin/sh\necho hello\n").unwrap();
    let (key, script) = (key.to_str().unwrap(), script.to_str().unwrap());
    let private = folder.path().join("id");
    std::fs::write(&private, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n").unwrap();
    for (wrong, says) in [
        (["--ssh-key", private.to_str().unwrap()], "private key"),
        (["--ssh-key", "/nosuch/file"], "/nosuch/file"),
        (["--ssh-key", "ssh-rsa nonsense"], "ssh_keys"),
        (["--user-data", "/nosuch/file"], "/nosuch/file"),
        (["--user-data", key], "user_data"),
    ] {
        let out = create(&server, &wrong);
        assert!(!out.status.success() && text(&out.stderr).contains(says), "{wrong:?}: {}", text(&out.stderr));
    }
    let made = create(&server, &["--name", "first", "--ssh-key", key, "--user-data", script, "--wait", "-o", "json"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let (id, address) = (json(&made)["id"].clone(), json(&made)["ip_address"].clone());
    let reported = cloud.user_data(json(&made)["provider_instance_id"].as_str().unwrap());
    assert!(reported.contains("echo hello") && reported.contains("me@laptop"), "{reported}");
    let renamed = server.run(&["instance", "rename", "first", "second", "-o", "name"]);
    assert_eq!(text(&renamed.stdout).trim(), "second", "{}", text(&renamed.stderr));
    // `inventiv` runs the `ssh` of the PATH.
    let ssh = folder.path().join("ssh");
    std::fs::write(&ssh, "#!/bin/sh\nfor a in \"$@\"; do echo \"[$a]\"; done\nexit 7\n").unwrap();
    std::fs::set_permissions(&ssh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    server.env.push(("PATH".to_owned(), format!("{}:/usr/bin:/bin", folder.path().display())));
    let out = server.run(&["instance", "ssh", "second", "-l", "ubuntu", "--", "-v", "nvidia-smi", "-L"]);
    assert_eq!(out.status.code(), Some(7), "{}", text(&out.stderr));
    let alias = format!("[HostKeyAlias={}]", id.as_str().unwrap());
    let address = format!("[{}]", address.as_str().unwrap());
    let expected = ["[-o]", &alias, "[-l]", "[ubuntu]", &address, "[-v]", "[nvidia-smi]", "[-L]"];
    assert_eq!(text(&out.stdout).lines().collect::<Vec<_>>(), expected);
    assert_eq!(server.run(&["instance", "ssh", "nobody"]).status.code(), Some(3));
    // For programs, several terminations are one list.
    assert!(create(&server, &["--name", "third"]).status.success());
    let ended = server.run(&["instance", "rm", "second", "third", "--wait", "--timeout", "60", "-o", "json"]);
    let names: BTreeSet<String> =
        json(&ended).as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, BTreeSet::from(["second".to_owned(), "third".to_owned()]), "{}", text(&ended.stderr));
    let late = server.run(&["instance", "ssh", "second"]);
    assert_eq!(late.status.code(), Some(4), "{}", text(&late.stderr));
}
