//! Tests of the control API `/_emulator/…`: faults, clock, options, saved states.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod billing;
mod options;

use bytes::Bytes;
use http::Request;
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use serde_json::{Value, json};

const INSTANCE: &str = "/instance/v1/zones/fr-par-2";
const BLOCK: &str = "/block/v1/zones/fr-par-2/volumes";

fn emulator() -> Emulator {
    Emulator::new(Options { clock: ClockMode::Manual, ..Options::default() })
}

fn raw(e: &Emulator, method: &str, path: &str, body: Option<Value>) -> http::Response<Bytes> {
    let body = body.map(|b| b.to_string()).unwrap_or_default();
    e.handle(&Request::builder().method(method).uri(path).header("x-auth-token", "t").body(Bytes::from(body)).unwrap())
}

fn ask(e: &Emulator, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let answer = raw(e, method, path, body);
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
}

fn fault(e: &Emulator, rule: Value) {
    let (status, body) = ask(e, "POST", "/_emulator/faults", Some(rule));
    assert_eq!(status, 200, "{body}");
}

fn volume(e: &Emulator, name: &str) -> String {
    let (_, v) = ask(e, "POST", BLOCK, Some(json!({"name": name, "from_empty": {"size": 1_000_000_000_i64}})));
    v["id"].as_str().unwrap().to_owned()
}

fn server(e: &Emulator) -> String {
    let (_, list) =
        ask(e, "GET", "/marketplace/v2/local-images?image_label=ubuntu_noble&zone=fr-par-2&type=instance_sbs", None);
    let fits = |i: &&Value| i["compatible_commercial_types"].as_array().unwrap().contains(&json!("PLAY2-PICO"));
    let image = list["local_images"].as_array().unwrap().iter().find(fits).unwrap()["id"].clone();
    let body = json!({"name": "s", "commercial_type": "PLAY2-PICO", "image": image, "dynamic_ip_required": false});
    let (status, made) = ask(e, "POST", &format!("{INSTANCE}/servers"), Some(body));
    assert_eq!(status, 201, "{made}");
    made["server"]["id"].as_str().unwrap().to_owned()
}

fn state_of(e: &Emulator, id: &str) -> Value {
    ask(e, "GET", &format!("{INSTANCE}/servers/{id}"), None).1["server"]["state"].clone()
}

#[test]
fn every_named_refusal_has_its_recorded_status() {
    let e = emulator();
    let table = [
        ("invalid_arguments", 400),
        ("denied_authentication", 401),
        ("permissions_denied", 403),
        ("quotas_exceeded", 403),
        ("not_found", 404),
        ("transient_state", 409),
        ("expired", 410),
        ("precondition_failed", 412),
        ("rate_limited", 429),
        ("internal_server_error", 500),
        ("out_of_stock", 503),
        ("gateway", 503),
    ];
    for (name, status) in table {
        fault(&e, json!({"method": "POST", "path": "/block/*", "nth": 1, "effect": {"error": name}}));
        let answer = raw(&e, "POST", BLOCK, Some(json!({"name": "v", "from_empty": {"size": 1_000_000_000_i64}})));
        assert_eq!(answer.status().as_u16(), status, "{name}");
        let json = answer.headers().get("content-type").is_some_and(|t| t == "application/json");
        assert_eq!(json, !matches!(name, "rate_limited" | "gateway"), "{name}: {:?}", answer.headers());
    }
    assert_eq!(e.state()["volumes"], json!([]), "a refusal has no effect");
    let (_, shown) = ask(&e, "GET", "/_emulator/faults", None);
    assert!(shown["faults"].as_array().unwrap().iter().all(|f| f["fired"] == 1), "{shown:#}");
}

#[test]
fn an_answer_is_lost_before_or_after_the_effect() {
    for (effect, there) in [
        (json!({"status_before": 502}), 0),
        (json!({"status_after": 502}), 1),
        (json!({"cut": "before"}), 0),
        (json!({"cut": "after"}), 1),
        (json!({"truncate": 10}), 1),
        (json!({"garble": true}), 1),
    ] {
        let e = emulator();
        fault(&e, json!({"method": "POST", "path": "/block/*", "nth": 1, "effect": effect}));
        let answer = raw(&e, "POST", BLOCK, Some(json!({"name": "v", "from_empty": {"size": 1_000_000_000_i64}})));
        let readable = serde_json::from_slice::<Value>(answer.body()).is_ok() && answer.status().is_success();
        let cut = effect.get("cut").is_some();
        assert!(cut || !readable, "{effect}: {answer:?}");
        assert_eq!(e.state()["volumes"].as_array().unwrap().len(), there, "{effect}");
    }
}

#[tokio::test]
async fn a_cut_breaks_the_connection() {
    let e = emulator();
    fault(&e, json!({"path": "/block/*", "effect": {"cut": "after"}}));
    fault(&e, json!({"path": "/instance/*", "effect": {"delay_ms": 300}}));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = e.clone();
    tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
    let ask = |path: &'static str| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: e\r\nx-auth-token: t\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A connection reset is an error here.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let broken = ask("/block/v1/zones/fr-par-2/volumes").await;
    assert!(!broken.contains("total_count"), "{broken}");
    let began = std::time::Instant::now();
    assert!(ask("/instance/v1/zones/fr-par-2/servers").await.contains("\"servers\""));
    assert!(began.elapsed() >= std::time::Duration::from_millis(300));
}

#[test]
fn lists_lag_and_pages_shift() {
    let e = emulator();
    let first = volume(&e, "first");
    // Volumes created at the same moment have no order.
    e.advance_ms(1);
    fault(&e, json!({"method": "GET", "path": "*/volumes", "effect": {"lag_ms": 5_000}}));
    let second = volume(&e, "second");
    let listed = || -> Vec<String> {
        let (_, list) = ask(&e, "GET", BLOCK, None);
        list["volumes"].as_array().unwrap().iter().map(|v| v["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(), std::slice::from_ref(&first), "the list does not show the second volume yet");
    assert_eq!(ask(&e, "GET", &format!("{BLOCK}/{second}"), None).0, 200, "a read of one volume does not lag");
    e.advance_ms(6_000);
    assert_eq!(listed(), [first, second]);
    let e = emulator();
    let ids: Vec<String> = (0..4).map(|n| volume(&e, &format!("v{n}"))).collect();
    fault(&e, json!({"method": "GET", "path": "*/volumes", "effect": {"shift": true}}));
    let page = |n: usize| -> Vec<String> {
        let (_, list) = ask(&e, "GET", &format!("{BLOCK}?page={n}&page_size=2"), None);
        assert_eq!(list["total_count"], 4);
        list["volumes"].as_array().unwrap().iter().map(|v| v["id"].as_str().unwrap().to_owned()).collect()
    };
    let (one, two) = (page(1), page(2));
    assert_eq!((one.len(), two.len()), (2, 1), "one of {ids:?} is on no page");
}

#[test]
fn stale_reads_are_set_by_lag_api_kind_and_read() {
    const SERVERS: &str = "/instance/v1/zones/fr-par-2/servers";
    let e = emulator();
    let options = |body: Value| ask(&e, "PATCH", "/_emulator/options", Some(body));
    assert_eq!(options(json!({"past_ms": 60_000})).0, 200);
    let id = server(&e);
    let made = volume(&e, "v");
    e.advance_ms(10_000);
    let (server, block) = (format!("{SERVERS}/{id}"), format!("{BLOCK}/{made}"));
    let shown = || {
        let count = |path: &str, key: &str| ask(&e, "GET", path, None).1[key].as_array().map_or(0, Vec::len) > 0;
        let there = |path: &str| ask(&e, "GET", path, None).0 == 200;
        (count(SERVERS, "servers"), there(&server), count(BLOCK, "volumes"), there(&block))
    };
    assert_eq!(shown(), (true, true, true, true));
    for (stale, expected) in [
        (json!([{"lag_ms": 15_000}]), (false, false, false, false)),
        (json!([{"lag_ms": 5_000}]), (true, true, true, true)),
        (json!([{"lag_ms": 15_000, "api": "block"}]), (true, true, false, false)),
        (json!([{"lag_ms": 15_000, "kind": "servers"}]), (false, false, true, true)),
        (json!([{"lag_ms": 15_000, "reads": "lists"}]), (false, true, false, true)),
        (json!([{"lag_ms": 15_000, "reads": "single", "api": "instance"}]), (true, false, true, true)),
        (
            json!([{"lag_ms": 15_000, "reads": "single"}, {"lag_ms": 15_000, "api": "block"}]),
            (true, false, false, false),
        ),
        (json!([]), (true, true, true, true)),
    ] {
        assert_eq!(options(json!({"stale_reads": stale})).0, 200);
        assert_eq!(shown(), expected, "{stale}");
    }
    // Events are stale, too: a start shows its completion late.
    assert_eq!(ask(&e, "POST", &format!("{server}/action"), Some(json!({"action": "poweron"}))).0, 202);
    let state = || ask(&e, "GET", &server, None).1["server"]["state"].as_str().unwrap().to_owned();
    e.advance_ms(7_000);
    assert_eq!(state(), "running");
    options(json!({"stale_reads": [{"lag_ms": 2_000}]}));
    assert_eq!(state(), "starting");
    options(json!({"stale_reads": [{"lag_ms": 8_000}]}));
    assert_eq!(state(), "stopped");
    options(json!({"stale_reads": [{"lag_ms": 8_000, "backwards": true}]}));
    let drawn: std::collections::BTreeSet<String> = (0..100).map(|_| state()).collect();
    assert_eq!(drawn.len(), 3, "reads go backwards: {drawn:?}");
    for wrong in
        [json!([{"api": "block"}]), json!([{"lag_ms": -1}]), json!([{"lag_ms": 1, "reads": "some"}]), json!({})]
    {
        assert_eq!(options(json!({"stale_reads": wrong})).0, 400, "{wrong}");
    }
}

#[test]
fn an_accepted_request_hangs_falls_back_or_loses_its_resource() {
    let e = emulator();
    for (then, minutes_later) in [("hang", json!("starting")), ("fall_back", json!("stopped")), ("vanish", Value::Null)]
    {
        let id = server(&e);
        fault(&e, json!({"method": "POST", "path": "*/action", "nth": 1, "effect": {"then": then}}));
        let (status, _) =
            ask(&e, "POST", &format!("{INSTANCE}/servers/{id}/action"), Some(json!({"action": "poweron"})));
        assert_eq!(status, 202);
        e.advance_ms(600_000);
        assert_eq!(state_of(&e, &id), minutes_later, "{then}");
    }
    // A detachment that hangs leaves the volume in use.
    let (id, data) = (server(&e), volume(&e, "d"));
    e.advance_ms(10_000);
    let body = json!({"volume_id": data});
    ask(&e, "POST", &format!("{INSTANCE}/servers/{id}/attach-volume"), Some(body.clone()));
    e.advance_ms(10_000);
    fault(&e, json!({"path": "*/detach-volume", "effect": {"then": "hang"}}));
    assert_eq!(ask(&e, "POST", &format!("{INSTANCE}/servers/{id}/detach-volume"), Some(body)).0, 200);
    e.advance_ms(600_000);
    assert_eq!(ask(&e, "GET", &format!("{BLOCK}/{data}"), None).1["status"], "in_use");
}

#[test]
fn random_faults_depend_only_on_the_seed() {
    let run = |seed: u64| -> Vec<u16> {
        let e = emulator();
        ask(&e, "POST", "/_emulator/reset", Some(json!({"seed": seed})));
        fault(&e, json!({"path": "/block/*", "percent": 50, "effect": {"status_before": 500}}));
        (0..40).map(|_| ask(&e, "GET", BLOCK, None).0).collect()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    assert!(run(1).contains(&200) && run(1).contains(&500));
}

#[test]
fn stock_and_quotas_can_be_set_and_cause_refusals() {
    let e = emulator();
    let set = json!({"out_of_stock": [{"zone": "fr-par-2", "type": "PLAY2-PICO"}], "volume_quota": 1, "ip_quota": 0});
    let (status, options) = ask(&e, "PATCH", "/_emulator/options", Some(set));
    assert_eq!((status, &options["volume_quota"]), (200, &json!(1)));
    volume(&e, "one");
    let (status, body) =
        ask(&e, "POST", BLOCK, Some(json!({"name": "two", "from_empty": {"size": 1_000_000_000_i64}})));
    assert_eq!((status, &body["type"]), (403, &json!("quotas_exceeded")));
    assert_eq!(ask(&e, "POST", &format!("{INSTANCE}/ips"), Some(json!({}))).0, 403);
    let (_, stock) = ask(&e, "GET", &format!("{INSTANCE}/products/servers/availability?page=2"), None);
    assert_eq!(stock["servers"]["PLAY2-PICO"]["availability"], "shortage", "{stock}");
    for (wrong, names) in [(json!({"volume_quota": "many"}), "volume_quota"), (json!({"luck": 1}), "luck")] {
        let (status, body) = ask(&e, "PATCH", "/_emulator/options", Some(wrong));
        assert_eq!((status, &body["details"][0]["argument_name"]), (400, &json!(names)));
    }
}

#[test]
fn a_saved_state_continues_where_it_was_saved() {
    let e = emulator();
    let id = server(&e);
    ask(&e, "POST", &format!("{INSTANCE}/servers/{id}/action"), Some(json!({"action": "poweron"})));
    let (status, saved) = ask(&e, "GET", "/_emulator/state/saved", None);
    assert_eq!(status, 200);
    let other = emulator();
    let (status, body) = ask(&other, "PUT", "/_emulator/state", Some(saved.clone()));
    assert_eq!(status, 200, "{body}");
    assert_eq!(state_of(&other, &id), "starting");
    other.advance_ms(60_000);
    assert_eq!(state_of(&other, &id), "running", "pending events happen after loading");
    assert_eq!(state_of(&e, &id), "starting", "the saved emulator is unaffected");
    let (status, body) = ask(&other, "PUT", "/_emulator/state", Some(json!({"version": 2})));
    assert_eq!((status, &body["type"]), (400, &json!("invalid_arguments")));
    let mut far = saved.clone();
    far["held"]["servers"][&id]["created_us"] = json!(i64::MAX - 1);
    assert!(saved["held"]["servers"][&id]["created_us"].is_i64());
    assert_eq!(ask(&other, "PUT", "/_emulator/state", Some(far)).0, 400, "arithmetic on such a number would overflow");
    assert_eq!(state_of(&other, &id), "running", "a state that cannot be loaded changes nothing");
    server(&other);
    fault(&other, json!({"method": "GET", "path": "*/servers", "effect": {"lag_ms": 60_000}}));
    assert_eq!(ask(&other, "PUT", "/_emulator/state", Some(saved)).0, 200);
    let (_, list) = ask(&other, "GET", &format!("{INSTANCE}/servers"), None);
    assert_eq!(list["servers"].as_array().unwrap().len(), 1, "lists do not lag behind a loaded state");
}

#[test]
fn the_clock_moves_on_request_to_the_next_event_or_to_another_year() {
    let e = emulator();
    volume(&e, "v");
    let clock = |body: Value| ask(&e, "POST", "/_emulator/clock", Some(body));
    let (_, before) = ask(&e, "GET", "/_emulator/clock", None);
    assert_eq!(before["next_event_in_ms"], 2_000, "a volume is being created: {before}");
    let (status, after) = clock(json!({"next_event": true}));
    assert_eq!((status, &after["next_event_in_ms"]), (200, &Value::Null));
    assert_eq!(clock(json!({"advance_ms": -1})).0, 400);
    assert_eq!(clock(json!({})).0, 400);
    assert_eq!(clock(json!({"mode": "backwards"})).0, 400);
    let (_, year) = clock(json!({"now": "2025-11-04T10:00:00Z"}));
    assert!(year["now"].as_str().unwrap().starts_with("2025-11-04T10:00:00"), "{year}");
    let (_, types) = ask(&e, "GET", &format!("{INSTANCE}/products/servers"), None);
    assert!(types["servers"].get("BASIC3-X2C-4G").is_none(), "this type was added later");
    for _ in 0..9_000 {
        assert_eq!(clock(json!({"advance_ms": i64::MAX})).0, 200);
    }
    let last = volume(&e, "at the end of time");
    let (_, last) = ask(&e, "GET", &format!("{BLOCK}/{last}"), None);
    assert!(last["created_at"].as_str().unwrap().starts_with("9987-"), "{last}");
}

#[test]
fn third_parties_create_resources_and_a_reset_removes_everything() {
    let e = emulator();
    let (status, made) = ask(&e, "POST", "/_emulator/third-parties", Some(json!({"servers": 2, "volumes": 3})));
    assert_eq!((status, made["servers"].as_array().unwrap().len()), (200, 2));
    assert_eq!(e.state()["volumes"].as_array().unwrap().len(), 5, "the two servers have boot volumes");
    fault(&e, json!({"effect": {"status_before": 500}}));
    assert_eq!(ask(&e, "POST", "/_emulator/reset", None).0, 200);
    assert_eq!((&e.state()["servers"], &e.state()["volumes"]), (&json!([]), &json!([])));
    assert_eq!(ask(&e, "GET", BLOCK, None).0, 200, "no fault is left");
}

#[test]
fn its_openapi_document_lists_only_existing_endpoints() {
    let (status, doc) = ask(&emulator(), "GET", "/_emulator/openapi.json", None);
    assert_eq!((status, &doc["openapi"]), (200, &json!("3.1.0")));
    for (path, operations) in doc["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let path = path.replace("{id}", "1");
            let (status, _) = ask(&emulator(), &method.to_uppercase(), &path, Some(json!({"volumes": 1})));
            assert!(matches!(status, 200 | 400) || path.ends_with("/1"), "{method} {path}: {status}");
        }
    }
}
