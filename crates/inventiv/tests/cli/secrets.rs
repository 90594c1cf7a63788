//! Secrets at the command line: where a value may come from, that it is stored nowhere in plain text, and key rotation.

use crate::server::{Cloud, Server, inventiv, text};
use inventiv_keyring::{Keyring, secret_context};
use inventiv_store::Store;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const VALUE: &str = "hf_plain_value_4711";

/// Runs a command with a text on its standard input.
fn with_input(server: &Server, args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inventiv"));
    command.args(args).env_clear().envs(server.env.iter().cloned()).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Restarts the control plane; its log, with every detail, goes to a file.
fn restart_with_log(server: &mut Server, log: &Path) {
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_inventiv"));
    command.arg("serve").env_clear().envs(server.env.iter().cloned()).env("INVENTIV_LOG", "trace");
    server.child = command.stdin(Stdio::null()).stderr(File::create(log).unwrap()).spawn().unwrap();
    server.wait();
}

/// The stored secret, opened with a key file.
fn opened(folder: &Path, keys: &Path, name: &str) -> Result<String, String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = format!("sqlite:{}", folder.join("inventiv.db").display());
    let row = runtime.block_on(async { Store::open(&url).await.unwrap().secret(name).await.unwrap().unwrap() });
    let plain = Keyring::read(keys).unwrap().open(&secret_context(name), &row.sealed).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(plain.to_vec()).unwrap())
}

#[test]
fn a_value_comes_from_input_a_file_or_a_variable_and_is_stored_nowhere_in_plain_text() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), &cloud.url, &[("HF_TOKEN", VALUE)]);
    let log = elsewhere.path().join("log");
    restart_with_log(&mut server, &log);
    let file = elsewhere.path().join("value");
    fs::write(&file, format!("{VALUE}\n")).unwrap();
    let file = file.to_str().unwrap();
    // Name, options, standard input, what is stored.
    for (name, options, input, stored) in [
        ("from-input", &[][..], format!("{VALUE}\n"), VALUE.to_owned()),
        ("windows", &[], format!("{VALUE}\r\n"), VALUE.to_owned()),
        ("two-lines", &[], format!("{VALUE}\n\n"), format!("{VALUE}\n")),
        ("from-file", &["--from-file", file], String::new(), VALUE.to_owned()),
        ("from-env", &["--from-env", "HF_TOKEN"], String::new(), VALUE.to_owned()),
    ] {
        let out = with_input(&server, &[&["secret", "set", name][..], options].concat(), &input);
        assert_eq!(text(&out.stdout), format!("{name} set\n"), "{}", text(&out.stderr));
        assert_eq!(opened(folder.path(), &folder.path().join("key"), name), Ok(stored), "{name}");
    }
    // Arguments, standard input, exit code, part of the message.
    for (args, input, code, says) in [
        (&["secret", "set", "a", VALUE][..], "x", 2, "unexpected argument"),
        (&["secret", "set", "Upper"], "x", 4, "begin with a letter"),
        (&["secret", "set", "a"], "", 4, "from 1 to 65536 bytes"),
        (&["secret", "set", "a"], "\n", 4, "from 1 to 65536 bytes"),
        (&["secret", "set", "a", "--from-env", "NOT_SET"], "x", 4, "NOT_SET is not set"),
        (&["secret", "set", "a", "--from-file", "/nowhere"], "x", 1, "cannot read /nowhere"),
        (&["secret", "set", "a", "--from-file", "x", "--from-env", "y"], "x", 2, "cannot be used with"),
        (&["secret", "delete", "nobody"], "", 3, "there is no secret"),
    ] {
        let out = with_input(&server, args, input);
        let said = text(&out.stderr);
        assert!(out.status.code() == Some(code) && said.contains(says), "{args:?}: {said}");
    }
    let too_long = with_input(&server, &["secret", "set", "a"], &"x".repeat(64 * 1024 + 1));
    assert!(too_long.status.code() == Some(4) && !text(&too_long.stderr).contains("xxx"));
    assert!(with_input(&server, &["secret", "set", "a"], &"x".repeat(64 * 1024)).status.success());

    let shown = text(&server.run(&["secret", "ls"]).stdout);
    assert!(shown.contains("from-input") && shown.contains("age"), "{shown}");
    let list: Value = serde_json::from_slice(&server.run(&["secret", "list", "-o", "json"]).stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 6, "{list}");
    assert_eq!(text(&server.run(&["secret", "rm", "a"]).stdout), "a deleted\n");
    let names = text(&server.run(&["secret", "list", "-o", "name"]).stdout);
    assert_eq!(names.lines().collect::<Vec<_>>(), ["from-env", "from-file", "from-input", "two-lines", "windows"]);

    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let plain = VALUE.as_bytes();
    let holds = |path: &Path| fs::read(path).unwrap().windows(plain.len()).any(|part| part == plain);
    assert!(holds(Path::new(file)), "the search finds what is there");
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 2 && files.iter().any(|f| f.ends_with("inventiv.db")), "{files:?}");
    for path in files.iter().chain([&log]) {
        assert!(!holds(path), "{} holds the plain value", path.display());
    }
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("/secrets/from-input"), "the log is detailed");
}

#[test]
fn a_rotated_key_seals_everything_at_the_next_start_and_a_wrong_key_file_is_refused() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &cloud.url);
    let keys = folder.path().join("key");
    let old = fs::read_to_string(&keys).unwrap();
    assert!(with_input(&server, &["secret", "set", "hf-token"], VALUE).status.success());
    let rotated = server.run(&["secret", "rotate-key", "-o", "json"]);
    let rotated: Value = serde_json::from_slice(&rotated.stdout).unwrap();
    assert_eq!(rotated["key_file"], keys.to_str().unwrap());
    let new = fs::read_to_string(&keys).unwrap();
    let (first, rest) = new.split_once('\n').unwrap();
    assert!(rest == old && first.len() == 64, "the new key is the first one");

    let log = folder.path().join("log");
    restart_with_log(&mut server, &log);
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("sealed again with the newest key") && said.contains("resealed"), "{said}");
    assert!(!said.contains(first), "the log holds the key");
    // Now the old key can go.
    fs::write(&keys, format!("{first}\n")).unwrap();
    server.kill_and_restart();
    assert_eq!(opened(folder.path(), &keys, "hf-token").as_deref(), Ok(VALUE));

    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let env: Vec<(&str, &str)> = server.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let id = rotated["key_id"].as_str().unwrap();
    for (text_of_file, code, says) in [
        (old.as_str(), 4, format!("was sealed with key `{id}`, which is not in the key file")),
        ("", 1, "holds no key".to_owned()),
        ("secret", 1, "no key of 64 hexadecimal characters".to_owned()),
    ] {
        fs::write(&keys, text_of_file).unwrap();
        let out = inventiv(&["serve"], &env);
        let said = text(&out.stderr);
        assert!(out.status.code() == Some(code) && said.contains(&says), "{said}");
        assert!(said.contains(keys.to_str().unwrap()), "{said}");
    }
    let elsewhere = folder.path().join("elsewhere/key");
    let out = server.run(&["secret", "rotate-key", "--key-file", elsewhere.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(1), "it creates no key file: {}", text(&out.stdout));
}
