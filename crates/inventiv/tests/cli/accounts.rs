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

#[test]
fn a_check_asks_the_provider_for_everything_that_is_needed_and_says_what_is_wrong() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &cloud.url);
    let check = |more: &[&str]| server.run(&[&["account", "check"], more].concat());
    let all = json(&check(&["-o", "json"]))[0].clone();
    assert_eq!((&all["passed"], &all["account_id"]), (&true.into(), &format!("scaleway:{PROD}").into()), "{all:#}");
    let subjects: Vec<&str> = all["checks"].as_array().unwrap().iter().filter_map(|c| c["subject"].as_str()).collect();
    assert_eq!(subjects, ["catalogue", "inventory", "storage_prices"], "one zone is served");
    assert!(all["checks"][0]["text"].as_str().unwrap().contains("of them with GPUs"), "{all:#}");
    assert!(text(&check(&[&format!("scaleway:{PROD}")]).stdout).contains("fr-par-2"));

    // One API refuses the key, as with a policy that lacks a permission set.
    let rule = serde_json::json!({"path": "/block/*", "times": 1_000_000, "effect": {"error": "permissions_denied"}});
    cloud.emulator.add_fault(&rule).unwrap();
    let out = check(&[]);
    let (shown, said) = (text(&out.stdout), text(&out.stderr));
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("checks failed: inventory in fr-par-2"), "{said}");
    let row = shown.lines().find(|l| l.contains("inventory")).unwrap();
    assert!(row.contains("no") && row.contains("permission"), "{shown}");

    let unknown = check(&["scaleway:nosuch"]);
    assert_eq!(unknown.status.code(), Some(3), "{}", text(&unknown.stderr));
}

#[test]
fn a_bill_names_what_has_a_name_of_ours_and_nobody_counted() {
    // The middle of the month before the last one: its bill is complete.
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let then = now.checked_sub(jiff::Span::new().months(2)).unwrap();
    let cloud = Cloud::start_at(Some(then.timestamp().as_microsecond()));
    let month = then.strftime("%Y-%m").to_string();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &cloud.url);
    let empty = json(&server.run(&["bill", "--month", &month, "-o", "json"]));
    assert_eq!((&empty["sums"], &empty["not_counted"]), (&serde_json::json!([]), &0.into()), "{empty:#}");
    for name in ["iva-inventiv-01m8nx48pee0xvgpfqmhj3077s-data-1-d1", "theirs"] {
        let body = serde_json::json!({"name": name, "project_id": PROD, "from_empty": {"size": 1_000_000_000_000_i64}});
        let request = http::Request::post("/block/v1/zones/fr-par-2/volumes").header("x-auth-token", "any");
        let answer = cloud.emulator.handle(&request.body(body.to_string().into()).unwrap());
        assert!(answer.status().is_success(), "{}", text(answer.body()));
    }
    cloud.emulator.advance_ms(3_600_000);
    let out = server.run(&["bill", "--month", &month]);
    let (shown, said) = (text(&out.stdout), text(&out.stderr));
    assert_eq!(out.status.code(), Some(8), "{shown}{said}");
    assert!(said.contains("1 resource(s) with a name of this control plane"), "{said}");
    assert!(shown.contains("not_counted") && shown.contains("more is billed for others"), "{shown}");
    assert!(shown.lines().all(|l| l.is_empty() || l.contains(' ')), "{shown}");
    for wrong in ["2026-13", "soon", "2999-01"] {
        assert_eq!(server.run(&["bill", "--month", wrong]).status.code(), Some(4), "{wrong}");
    }
    // The key may not read bills.
    let rule = serde_json::json!({"path": "/billing/*", "times": 1_000, "effect": {"error": "permissions_denied"}});
    cloud.emulator.add_fault(&rule).unwrap();
    let out = server.run(&["bill", "--month", &month]);
    assert!(text(&out.stderr).contains("the provider's bill cannot be read"), "{}", text(&out.stderr));
    assert!(!out.status.success());
}
