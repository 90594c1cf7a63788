//! Where each value is read from, and the messages about invalid values.

use super::read;
use secrecy::ExposeSecret;
use std::collections::HashMap;

const KEY: &str = "22222222-2222-4222-8222-222222222222";
const OTHER: &str = "55555555-5555-4555-8555-555555555555";
const PROJECT: &str = "11111111-1111-4111-8111-111111111111";

fn env(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    let map: HashMap<String, String> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    move |name| map.get(name).cloned()
}

#[test]
fn the_environment_alone_is_enough() {
    let c = read(&env(&[("SCW_SECRET_KEY", KEY), ("SCW_DEFAULT_PROJECT_ID", PROJECT)]), None).unwrap();
    assert_eq!((c.secret_key.expose_secret(), c.project_id.as_str()), (KEY, PROJECT));
    assert_eq!(
        (c.api_url.as_str(), c.default_zone.as_str(), c.insecure),
        ("https://api.scaleway.com", "fr-par-1", false)
    );
    assert!(!format!("{c:?}").contains(KEY), "the key must not be printable");
}

#[test]
fn the_config_file_is_read_with_its_profiles_and_the_environment_beats_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let text = format!(
        "secret_key: {KEY}\ndefault_project_id: {PROJECT}\ndefault_zone: nl-ams-1\nactive_profile: gpu\nsend_telemetry: true\n\
         profiles:\n  gpu:\n    default_zone: fr-par-2\n  other:\n    secret_key: {OTHER}\n    api_url: http://127.0.0.1:9\n"
    );
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let zone = |extra: &[(&str, &str)]| {
        let pairs: Vec<(&str, &str)> = [("SCW_CONFIG_PATH", path)].into_iter().chain(extra.iter().copied()).collect();
        read(&env(&pairs), None).unwrap()
    };
    assert_eq!(zone(&[]).default_zone, "fr-par-2");
    let other = zone(&[("SCW_PROFILE", "other")]);
    assert_eq!((other.secret_key.expose_secret(), other.default_zone.as_str()), (OTHER, "nl-ams-1"));
    assert_eq!(other.api_url, "http://127.0.0.1:9");
    assert_eq!(zone(&[("SCW_DEFAULT_ZONE", "pl-waw-2")]).default_zone, "pl-waw-2");
    let error = read(&env(&[("SCW_CONFIG_PATH", path), ("SCW_PROFILE", "nobody")]), None).unwrap_err();
    assert!(error.to_string().contains("no profile `nobody`"), "{error}");
}

#[test]
fn what_is_wrong_is_said_without_the_secret() {
    let good = [("SCW_SECRET_KEY", KEY), ("SCW_DEFAULT_PROJECT_ID", PROJECT)];
    let with = |pair: (&'static str, &'static str)| {
        let pairs: Vec<(&str, &str)> = good.into_iter().filter(|(k, _)| *k != pair.0).chain([pair]).collect();
        read(&env(&pairs), None).unwrap_err().to_string()
    };
    for (pair, says) in [
        (("SCW_SECRET_KEY", ""), "SCW_SECRET_KEY"),
        (("SCW_SECRET_KEY", "hunter2hunter2"), "not a UUID"),
        (("SCW_DEFAULT_PROJECT_ID", ""), "SCW_DEFAULT_PROJECT_ID"),
        (("SCW_DEFAULT_PROJECT_ID", "x"), "not a UUID"),
        (("SCW_DEFAULT_ZONE", "paris"), "not a zone"),
        (("SCW_API_URL", "https://api.scaleway.com/"), "slash"),
        (("SCW_API_URL", "ftp://x"), "API address"),
        (("SCW_CONFIG_PATH", "/does/not/exist.yaml"), "/does/not/exist.yaml"),
    ] {
        let said = with(pair);
        assert!(said.contains(says), "{pair:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_broken_config_file_is_named_without_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, format!("secret_key: [{KEY}\n")).unwrap();
    let said = read(&env(&[("SCW_CONFIG_PATH", file.to_str().unwrap())]), None).unwrap_err().to_string();
    assert!(said.contains("config.yaml") && !said.contains(KEY), "{said}");
}

#[test]
fn an_address_with_a_password_is_refused_without_repeating_it() {
    for url in ["https://me:hunter2@api.scaleway.com", "http://hunter2@127.0.0.1:9"] {
        let pairs = [("SCW_SECRET_KEY", KEY), ("SCW_DEFAULT_PROJECT_ID", PROJECT), ("SCW_API_URL", url)];
        let text = read(&env(&pairs), None).unwrap_err().to_string();
        assert!(text.contains("password") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_profile_that_is_named_is_an_account_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let project = PROJECT.replace('1', "6");
    let text = format!(
        "secret_key: {KEY}\ndefault_project_id: {PROJECT}\nprofiles:\n  dev:\n    secret_key: {OTHER}\n    \
         default_project_id: {project}\n  half:\n    secret_key: {OTHER}\n"
    );
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let of = |profile: Option<&str>| {
        let pairs = [("SCW_CONFIG_PATH", path), ("SCW_SECRET_KEY", KEY), ("SCW_API_URL", "http://127.0.0.1:9")];
        read(&env(&pairs), profile).map(|c| (c.secret_key.expose_secret().to_owned(), c.project_id, c.api_url))
    };
    let here = || "http://127.0.0.1:9".to_owned();
    assert_eq!(of(None).unwrap(), (KEY.to_owned(), PROJECT.to_owned(), here()));
    assert_eq!(of(Some("default")).unwrap(), (KEY.to_owned(), PROJECT.to_owned(), here()));
    // A named profile uses neither the key of the environment nor the project at the top of the file.
    assert_eq!(of(Some("dev")).unwrap(), (OTHER.to_owned(), project, here()));
    let half = of(Some("half")).unwrap_err().to_string();
    assert!(half.contains("profile `half` has no project"), "{half}");
    assert!(of(Some("nobody")).unwrap_err().to_string().contains("no profile `nobody`"));
    let nowhere = read(&env(&[]), Some("dev")).unwrap_err().to_string();
    assert!(nowhere.contains("no config file"), "{nowhere}");
}
