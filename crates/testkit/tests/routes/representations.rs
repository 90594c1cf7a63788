//! Tests of whole answers: what each route shows during the life cycle of an instance is exactly what `snapshots/` says.
//!
//! `INSTA_UPDATE=always cargo test -p inventiv-testkit --test routes` rewrites the snapshots, whose difference you
//! review.

use crate::helpers::audit;
use insta::internals::Content;
use inventiv_api::{Account, App, Images, Settings};
use inventiv_core::id::{BODY_LEN, is_body};
use inventiv_core::time::Timestamp;
use inventiv_keyring::api_key;
use inventiv_orchestrator::Clock;
use inventiv_orchestrator::clock::ManualClock;
use inventiv_providers::CloudProvider;
use inventiv_providers::clouds::scaleway::{self, Scaleway};
use inventiv_testkit::{Database, PROJECT, World, account, database};
use parking_lot::Mutex;
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// 2026-07-25T17:20:00Z: when both clocks start.
const START_US: i64 = 1_785_000_000_000_000;
/// The length of a UUID as text.
const UUID_LEN: usize = 36;
/// The length of the microseconds at the end of a time, after its milliseconds.
const MICROS_LEN: usize = "123Z".len();

/// A world whose clocks start at [`START_US`] and whose API asks the cloud for images.
pub(crate) async fn world() -> World {
    let (url, home) = database(Database::Sqlite).await;
    let options = Options { clock: ClockMode::Manual, start_us: Some(START_US), ..Options::default() };
    let clock = Arc::new(ManualClock::new(Timestamp(START_US)));
    let mut world = World::resumed(url, home, Emulator::new(options), clock).await;
    let accounts = vec![Account { images: Some(images(&world)), ..account() }];
    world.api = App::new(Settings { accounts, ..world.settings() }).router();
    world.orchestrator.refresh_catalogue().await.unwrap();
    world
}

/// The provider of the emulated cloud.
pub(crate) fn cloud(world: &World) -> Arc<Scaleway> {
    let env = |name: &str| match name {
        "SCW_SECRET_KEY" => Some("22222222-2222-4222-8222-222222222222".to_owned()),
        "SCW_DEFAULT_PROJECT_ID" => Some(PROJECT.to_owned()),
        "SCW_API_URL" => Some("http://emulator".to_owned()),
        _ => None,
    };
    let (credentials, clock) = (scaleway::credentials::read(&env, None).unwrap(), world.clock.clone());
    Arc::new(Scaleway::new(&credentials, world.wire.clone(), 1e6, Arc::new(move || clock.now())))
}

/// The image queries, as the executable connects them.
fn images(world: &World) -> Images {
    let cloud = cloud(world);
    let other = cloud.clone();
    Images {
        fits: Box::new(move |image, offer| {
            let cloud = cloud.clone();
            Box::pin(async move { cloud.image_fits(&image, &offer).await.map_err(|e| e.message) })
        }),
        all: Box::new(move |zone| {
            let cloud = other.clone();
            Box::pin(async move { cloud.images(&zone).await.map_err(|e| e.message) })
        }),
    }
}

/// The random values that were shown so far, by kind. Each is replaced by its number, so that equal ones stay equal.
#[derive(Default)]
struct Drawn {
    shown: BTreeMap<&'static str, Vec<String>>,
}

impl Drawn {
    fn number(&mut self, kind: &'static str, value: &str) -> usize {
        let shown = self.shown.entry(kind).or_default();
        let known = shown.iter().position(|other| other == value);
        let index = known.unwrap_or_else(|| {
            shown.push(value.to_owned());
            shown.len() - 1
        });
        index + 1
    }

    /// A text without random values, and a time without microseconds: they depend on how often a clock is read.
    fn redacted(&mut self, text: &str) -> String {
        if is_time(text) {
            return format!("{}[us]Z", &text[..text.len() - MICROS_LEN]);
        }
        let (mut redacted, mut rest) = (String::new(), text);
        while let Some(next) = rest.chars().next() {
            let starts_word = !redacted.ends_with(|c: char| c.is_ascii_alphanumeric());
            let (shown, len) = match drawn(rest).filter(|_| starts_word) {
                Some((kind, len)) => (format!("[{kind} {}]", self.number(kind, &rest[..len])), len),
                None => (next.to_string(), next.len_utf8()),
            };
            redacted.push_str(&shown);
            rest = &rest[len..];
        }
        redacted
    }
}

/// The kind and the length of the random value at the beginning of a text.
fn drawn(text: &str) -> Option<(&'static str, usize)> {
    if text.get(..api_key::LENGTH).is_some_and(|key| api_key::read(key).is_some()) {
        return Some(("API key", api_key::LENGTH));
    }
    if text.get(..UUID_LEN).is_some_and(|id| is_uuid(id) && id != PROJECT) {
        return Some(("uuid", UUID_LEN));
    }
    if text.get(..BODY_LEN).is_some_and(is_body) {
        return Some(("id", BODY_LEN));
    }
    let address = text.split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
    address.parse::<Ipv4Addr>().ok().map(|_| ("address", address.len()))
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(n, b)| match n {
        8 | 13 | 18 | 23 => b == b'-',
        _ => b.is_ascii_hexdigit(),
    })
}

/// Whether a text is a time as the API writes it, such as `2026-07-25T17:20:00.000003Z`.
fn is_time(text: &str) -> bool {
    let is_form = |(b, form): (u8, u8)| if form == b'0' { b.is_ascii_digit() } else { b == form };
    let form = "0000-00-00T00:00:00.000000Z";
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(is_form)
}

/// How answers are compared: what differs from run to run is redacted, and nothing else.
pub(crate) fn comparison() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_sort_maps(true);
    // When the account was recorded, before the clock of the test was set.
    settings.add_redaction("[].created_at", "[time]");
    let drawn = Mutex::new(Drawn::default());
    settings.add_dynamic_redaction(".", move |mut answer, _| {
        answer.walk(&mut |part| {
            if let Content::String(text) = part {
                *text = drawn.lock().redacted(text);
            }
            true
        });
        answer
    });
    settings
}

/// Compares an answer with the snapshot of a name.
pub(crate) fn check(name: &str, expected: u16, (status, body): (u16, Value)) {
    assert_eq!(status, expected, "{name}: {body:#}");
    insta::assert_json_snapshot!(name, body);
}

#[tokio::test]
async fn no_answer_of_a_life_cycle_changes_unnoticed() {
    let _comparison = comparison().bind_to_scope();
    let w = world().await;
    let get = async |path: &str| w.call("GET", path, None).await;
    check("healthz", 200, get("/healthz").await);
    check("settings_list", 200, get("/provider_settings").await);
    let secret = json!({"value": "hf_secret"});
    check("secrets_put", 201, w.call("PUT", "/secrets/hf-token", Some(secret)).await);
    check("secrets_list", 200, get("/secrets").await);
    check("offers_list", 200, get("/offers?zone=fr-par-2&gpu=true").await);
    check("images_list", 200, get("/images?zone=fr-par-2&instance_type=L40S-1-48G").await);
    let model = "/models/Qwen%2FQwen2.5-7B-Instruct/recommended-data-volume";
    check("models_recommend", 200, get(model).await);

    let request = json!({
        "zone": "fr-par-2", "instance_type": "L40S-1-48G", "model_id": "Qwen/Qwen2.5-7B-Instruct", "name": "qwen",
        "engine": {"kind": "none"},
        "perf_iops": 15000, "tags": ["team=a"],
    });
    let post = async |body: &Value| w.call("POST", "/instances", Some(body.clone())).await;
    let made = post(&request).await;
    let path = format!("/instances/{}", made.1["id"].as_str().unwrap());
    check("instances_create", 202, made);
    check("problem_name_taken", 409, post(&request).await);
    let mistakes = json!({"zone": "a b", "instance_type": 7, "perf_iops": 7, "tags": [""], "colour": "red"});
    check("problem_several_mistakes", 422, post(&mistakes).await);
    check("problem_unknown_instance", 404, get("/instances/nobody").await);

    w.settle().await;
    check("instances_show_ready", 200, get(&path).await);
    check("instances_list", 200, get("/instances").await);
    check("volumes_list", 200, get("/volumes").await);
    check("accounts_list", 200, get("/accounts").await);
    check("audit_show", 200, (200, audit(&w).await));

    check("instances_terminate", 202, w.call("DELETE", &path, None).await);
    w.until(5, "it is terminated", async |w| w.call("GET", &path, None).await.1["status"] == "terminated").await;
    check("instances_show_terminated", 200, get(&path).await);
    check("instances_proof", 200, get(&format!("{path}/proof")).await);
    check("action_logs_list", 200, get("/action_logs").await);

    let key = json!({"name": "chat app", "scopes": ["chat", "Qwen/Qwen2.5-7B-Instruct"], "requests_per_minute": 60,
        "tokens_per_minute": 100_000, "expires_at": "2027-01-01T00:00:00Z"});
    let made = w.call("POST", "/keys", Some(key)).await;
    let path = format!("/keys/{}", made.1["id"].as_str().unwrap());
    check("keys_create", 201, made);
    let mistakes = json!({"scopes": [""], "tokens_per_minute": 0});
    check("keys_create_refused", 422, w.call("POST", "/keys", Some(mistakes)).await);
    assert_eq!(w.call("DELETE", &path, None).await.0, 204);
    check("keys_show", 200, get(&path).await);
    check("keys_list", 200, get("/keys").await);
}
