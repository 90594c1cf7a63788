//! Several accounts in one control plane: each with its own project, credentials and audit.

use crate::server::{Cloud, Server, inventiv, text};
use serde_json::Value;

const PROD: &str = "11111111-1111-4111-8111-111111111111";
const DEV: &str = "66666666-6666-4666-8666-666666666666";

fn json(out: &std::process::Output) -> Value {
    assert!(out.status.success(), "{}", text(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Two profiles of the official client's config file, in `folder`.
fn config(folder: &std::path::Path) -> String {
    let file = folder.join("config.yaml");
    let profile = |name: &str, digit: char, project: &str| {
        let key = "22222222-2222-4222-8222-222222222222".replace('2', &digit.to_string());
        format!("  {name}:\n    secret_key: {key}\n    default_project_id: {project}\n")
    };
    let text = format!("profiles:\n{}{}", profile("prod", '3', PROD), profile("dev", '4', DEV));
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn two_projects_live_side_by_side_and_a_command_names_its_own() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path());
    let more = [
        ("SCW_CONFIG_PATH", file.as_str()),
        ("INVENTIV_ACCOUNTS", "scaleway:prod,scaleway:dev"),
        ("INVENTIV_ACCOUNT", "prod"),
    ];
    let server = Server::start_with(folder.path(), &cloud.url, &more);
    let asked = |account: &str, key: &str| {
        let args =
            ["instance", "create", "--yes", "--zone", "fr-par-2", "--type", "L4-1-24G", "--data-volume-gb", "10"];
        let more = ["--name", "same", "--account", account, "--idempotency-key", key, "--wait", "-o", "json"];
        server.run(&[&args[..], &more].concat())
    };
    let create = |account: &str, key: &str| json(&asked(account, key));
    // A name is unique in its account alone; an account is named by its profile or its id.
    let (prod, dev) = (create("prod", "key-of-prod"), create(&format!("scaleway:{DEV}"), "key-of-dev"));
    let reused = asked("dev", "key-of-prod");
    assert!(!reused.status.success() && text(&reused.stderr).contains("Idempotency-Key"), "{}", text(&reused.stderr));
    assert_eq!(prod["account_id"], format!("scaleway:{PROD}"));
    assert_eq!(dev["account_id"], format!("scaleway:{DEV}"));
    let state = cloud.emulator.state();
    let projects: Vec<&str> =
        state["servers"].as_array().unwrap().iter().map(|s| s["project"].as_str().unwrap()).collect();
    assert!(projects.len() == 2 && projects.contains(&PROD) && projects.contains(&DEV), "{projects:?}");
    let shown = |more: &[&str]| server.run(&[&["instance", "get", "same", "-o", "json"], more].concat());
    assert_eq!(json(&shown(&["--account", "dev"]))["id"], dev["id"]);
    assert_eq!(json(&shown(&[]))["id"], prod["id"], "INVENTIV_ACCOUNT says which");
    for (account, id) in [("prod", PROD), ("dev", DEV)] {
        let audit = json(&server.run(&["audit", "--account", account, "-o", "json"]));
        assert_eq!((&audit["verdict"], &audit["account"]), (&"clean".into(), &format!("scaleway:{id}").into()));
        assert_eq!(audit["zones"][0]["claimed"], 3, "a server and two volumes: {audit:#}");
    }
    let accounts = json(&server.run(&["account", "list", "-o", "json"]));
    let served: Vec<(&Value, &Value)> =
        accounts.as_array().unwrap().iter().map(|a| (&a["name"], &a["in_use"])).collect();
    assert!(served.contains(&(&"prod".into(), &true.into())) && served.contains(&(&"dev".into(), &true.into())));
    // Where there are several, a request names one.
    let mut unnamed = server.env.clone();
    unnamed.retain(|(name, _)| name != "INVENTIV_ACCOUNT");
    let unnamed: Vec<(&str, &str)> = unnamed.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    for args in [vec!["offer", "list"], vec!["audit"], vec!["image", "list", "--zone", "fr-par-2"]] {
        let out = inventiv(&args, &unnamed);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(4), "{args:?}: {said}");
        assert!(said.contains("name one of prod, dev"), "{args:?}: {said}");
    }
    let unknown = server.run(&["offer", "list", "--account", "test"]);
    assert!(text(&unknown.stderr).contains("works in prod, dev"), "{}", text(&unknown.stderr));
    // Another account's instance is neither found nor terminated, by whichever reference.
    for verb in ["terminate", "show", "proof"] {
        let out = server.run(&["instance", verb, prod["id"].as_str().unwrap(), "--account", "dev"]);
        assert_eq!(out.status.code(), Some(3), "{verb}: {}", text(&out.stderr));
    }
    // Without an account, a name that several living instances have is ambiguous.
    let anywhere = inventiv(&["instance", "get", "same"], &unnamed);
    assert!(!anywhere.status.success() && text(&anywhere.stderr).contains(dev["id"].as_str().unwrap()));
    // Lists and `--all` keep to the account that is named, as INVENTIV_ACCOUNT does.
    let listed = |more: &[&str]| text(&server.run(&[&["instance", "list", "-o", "json"], more].concat()).stdout);
    let id = |i: &Value| i["id"].as_str().unwrap().to_owned();
    assert!(listed(&[]).contains(&id(&prod)) && !listed(&[]).contains(&id(&dev)));
    assert!(listed(&["--account", "dev"]).contains(&id(&dev)) && !listed(&["--account", "dev"]).contains(&id(&prod)));
    for account in ["dev", "prod"] {
        let end = server.run(&["instance", "terminate", "--all", "--account", account, "--yes", "--wait"]);
        assert!(end.status.success(), "{}", text(&end.stderr));
        let left = cloud.emulator.state()["servers"].as_array().unwrap().len();
        assert_eq!(left, usize::from(account == "dev"), "the other account's server stays");
        // Once one has ended, the name is the other's; once both have, that of the last one.
        let named = inventiv(&["instance", "get", "same", "-o", "json"], &unnamed);
        let expected = if account == "dev" { &prod } else { &dev };
        assert_eq!(json(&named)["id"], expected["id"]);
    }
    assert_eq!(cloud.left(), 0);
}

#[test]
fn the_same_project_twice_an_unknown_cloud_and_a_profile_that_is_not_there_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path());
    let home = folder.path().display().to_string();
    for (accounts, says) in [
        ("scaleway:prod,scaleway:prod", "each account must be another one"),
        ("mars", "unknown provider `mars`; the providers are scaleway"),
        ("scaleway:staging", "no profile `staging`"),
    ] {
        let env = [("HOME", home.as_str()), ("SCW_CONFIG_PATH", file.as_str()), ("INVENTIV_ACCOUNTS", accounts)];
        let out = inventiv(&["serve", "--listen", "127.0.0.1:0"], &env);
        assert_eq!(out.status.code(), Some(4), "{accounts}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains(says), "{accounts}: {}", text(&out.stderr));
    }
}
