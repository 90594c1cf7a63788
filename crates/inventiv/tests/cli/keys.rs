//! API keys at the command line: a script gets the value alone, nobody gets it twice, and it is stored nowhere.

use crate::server::{Cloud, Server, text};
use inventiv_core::time::Timestamp;
use inventiv_keyring::api_key;
use serde_json::Value;
use std::fs;

fn json(out: &std::process::Output) -> Value {
    serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|_| panic!("no JSON: {} {}", text(&out.stdout), text(&out.stderr)))
}

#[test]
fn a_key_is_created_for_people_and_scripts_listed_without_its_value_and_revoked() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &cloud.url);
    let run = |args: &[&str]| server.run(&[&["key"], args].concat());

    // For people: what it is on standard error, the value alone on standard output.
    let made = run(&["create", "for people"]);
    let (value, said) = (text(&made.stdout), text(&made.stderr));
    let first = value.trim_end().to_owned();
    let first_id = format!("key-{}", api_key::read(&first).unwrap().id_body());
    assert_eq!(value, format!("{first}\n"));
    assert_eq!(said, format!("{first_id} created; it is shown only once:\n"));
    // For scripts: the value and nothing else.
    let made = run(&["create", "app", "-o", "name"]);
    let second = text(&made.stdout).trim_end().to_owned();
    assert!(api_key::read(&second).is_some() && made.stderr.is_empty(), "{}", text(&made.stderr));
    let before = Timestamp(jiff::Timestamp::now().as_microsecond());
    let scopes = ["--scope", "chat", "--scope", "Qwen/Qwen2.5-7B-Instruct"];
    let limits = ["--requests-per-minute", "60", "--tokens-per-minute", "100000", "--expires-in", "90m"];
    let made = json(&run(&[&["create", "limited", "-o", "json"], &scopes[..], &limits].concat()));
    let third = made["value"].as_str().unwrap().to_owned();
    let third_id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(made["scopes"], serde_json::json!(["chat", "Qwen/Qwen2.5-7B-Instruct"]));
    assert_eq!((&made["requests_per_minute"], &made["tokens_per_minute"]), (&60.into(), &100_000.into()));
    let expires = Timestamp::parse(made["expires_at"].as_str().unwrap()).unwrap();
    let minutes = expires.ms_since(before) / 60_000;
    assert_eq!(minutes, 90, "{made}");

    // What is not named stays; the value does in any case.
    let changed = json(&run(&["update", &third_id, "--requests-per-minute", "7", "--all-scopes", "-o", "json"]));
    assert_eq!((&changed["requests_per_minute"], &changed["tokens_per_minute"]), (&7.into(), &100_000.into()));
    assert_eq!((&changed["scopes"], &changed["expires_at"]), (&serde_json::json!([]), &made["expires_at"]));
    let free = ["--tokens-per-minute", "none", "--expires-in", "none", "--name", "free"];
    let changed = json(&run(&[&["update", "limited", "-o", "json"], &free[..]].concat()));
    assert_eq!((&changed["tokens_per_minute"], &changed["expires_at"]), (&Value::Null, &Value::Null), "{changed}");
    assert_eq!((&changed["name"], &changed["requests_per_minute"]), (&"free".into(), &7.into()));
    let scopes = ["--scope", "chat", "--scope", "Qwen/Qwen2.5-7B-Instruct", "--tokens-per-minute", "100000"];
    assert!(run(&[&["update", "free", "--name", "limited"], &scopes[..]].concat()).status.success());

    // Arguments, exit code, part of the message.
    for (args, code, says) in [
        (&["create"][..], 2, "<NAME>"),
        (&["create", "a", "--expires-in", "30"], 2, "must look like 30d, 12h or 90m"),
        (&["create", "a", "--requests-per-minute", "0"], 2, "0 is not in"),
        (&["create", "key-a"], 4, "must not begin with `key-`"),
        (&["create", "a", "--scope", ""], 4, "scopes.0: must have 1 to 300 characters"),
        (&["update", "limited", "--requests-per-minute", "0"], 2, "a whole number from 1"),
        (&["update", "limited", "--scope", ""], 4, "scopes.0: must have 1 to 300 characters"),
        (&["update", "limited", "--name", "key-a"], 4, "must not begin with `key-`"),
        (&["update", "nobody", "--name", "a"], 3, "there is no valid key `nobody`"),
        (&["revoke", "nobody"], 3, "there is no valid key `nobody`"),
    ] {
        let out = run(args);
        let said = text(&out.stderr);
        assert!(out.status.code() == Some(code) && said.contains(says), "{args:?}: {said}");
        assert!(out.stdout.is_empty(), "{args:?}: {}", text(&out.stdout));
    }

    assert_eq!(text(&run(&["revoke", "app"]).stdout), "app revoked\n");
    assert_eq!(text(&run(&["rm", &third_id, "-o", "name"]).stdout), "", "nothing for programs");
    assert!(run(&["revoke", &third_id]).status.success(), "it is revoked already");
    let late = run(&["update", &third_id, "--name", "a"]);
    assert!(
        late.status.code() == Some(4) && text(&late.stderr).contains("the key is revoked"),
        "{}",
        text(&late.stderr)
    );
    let table = text(&run(&["ls"]).stdout);
    let wide = text(&run(&["list", "-o", "wide"]).stdout);
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows.len() == 4 && rows.iter().all(|l| l.chars().count() <= 80), "{table}");
    assert!(rows[0].starts_with("name") && rows[1].contains(&first_id) && rows[1].contains("valid"), "{table}");
    assert!(rows[2].contains("revoked") && rows[3].contains("revoked"), "{table}");
    assert!(wide.contains("chat, Qwen/Qwen2.5-7B-Instruct") && wide.contains("100000"), "{wide}");
    let names = text(&run(&["list", "-o", "name"]).stdout);
    assert_eq!(names.lines().next(), Some(first_id.as_str()), "names are not unique: {names}");
    let list = run(&["list", "-o", "json"]);
    assert_eq!(json(&list).as_array().unwrap().len(), 3);
    for value in [&first, &second, &third] {
        let secret = value.rsplit('_').next().unwrap();
        for shown in [&table, &wide, &names, &text(&list.stdout)] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    server.child.kill().unwrap();
    server.child.wait().unwrap();
    for file in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = fs::read(&file).unwrap();
        for value in [&first, &second, &third] {
            let secret = value.rsplit('_').next().unwrap().as_bytes();
            assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{} holds a key", file.display());
        }
    }
}
