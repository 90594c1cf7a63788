//! Tests of addresses: both families, reverse names, lookup, and release.

use super::{INSTANCE, act, ask, create, emulator, get, text};
use scaleway_emulator::Emulator;
use serde_json::{Value, json};

const LABEL: &str = "ubuntu_jammy";

fn new_ip(e: &Emulator, body: Value) -> Value {
    let (status, answer) = ask(e, "POST", &format!("{INSTANCE}/ips"), Some(body));
    assert_eq!(status, 201, "{answer}");
    answer["ip"].clone()
}

fn server(e: &Emulator, id: &Value) -> Value {
    get(e, &format!("{INSTANCE}/servers/{}", id.as_str().unwrap()))["server"].clone()
}

fn set(e: &Emulator, path: &str, body: Value) -> (u16, Value) {
    ask(e, "PATCH", &format!("{INSTANCE}/{path}"), Some(body))
}

/// Family, whether dynamic, and state of each of a server's addresses.
fn addresses(s: &Value) -> Vec<(String, bool, String)> {
    let all = s["public_ips"].as_array().unwrap().iter();
    all.map(|a| (text(a, "family").to_owned(), a["dynamic"] == true, text(a, "state").to_owned())).collect()
}

#[test]
fn a_server_gets_a_dynamic_ipv4_beside_an_ipv6_but_not_beside_a_flexible_ipv4() {
    for (kind, expected) in [
        ("routed_ipv6", vec![("inet", true, "pending"), ("inet6", false, "attached")]),
        ("routed_ipv4", vec![("inet", false, "attached")]),
    ] {
        let e = emulator();
        let s = create(&e, "DEV1-S", LABEL, "instance_sbs");
        let ip = new_ip(&e, json!({"type": kind, "server": s["id"]}));
        let before = server(&e, &s["id"]);
        assert_eq!(before["public_ips"].as_array().unwrap().len(), 1, "a stopped server has no dynamic address");
        assert_eq!(before["public_ip"]["id"], ip["id"]);
        act(&e, &s["id"], "poweron");
        e.advance_ms(7_000);
        let started = server(&e, &s["id"]);
        let expected: Vec<(String, bool, String)> =
            expected.into_iter().map(|(f, d, s)| (f.to_owned(), d, s.to_owned())).collect();
        assert_eq!(addresses(&started), expected, "{kind}");
        assert_eq!(started["public_ip"], started["public_ips"][0], "{kind}");
        e.advance_ms(60_000);
        let up = server(&e, &s["id"]);
        assert!(addresses(&up).iter().all(|(.., state)| state == "attached"), "{kind}: {up:#}");
        assert_eq!(up["state_detail"], "booted");
    }
}

#[test]
fn a_guest_without_an_address_reports_its_boot_when_it_gets_one() {
    let e = emulator();
    let s = create(&e, "DEV1-S", LABEL, "instance_sbs");
    set(&e, &format!("servers/{}", text(&s, "id")), json!({"dynamic_ip_required": false}));
    act(&e, &s["id"], "poweron");
    e.advance_ms(600_000);
    assert_eq!(server(&e, &s["id"])["state_detail"], "booting kernel", "without an address it cannot report its boot");
    let ip = new_ip(&e, json!({}));
    set(&e, &format!("ips/{}", text(&ip, "id")), json!({"server": s["id"]}));
    assert_eq!(server(&e, &s["id"])["state_detail"], "booting kernel");
    e.advance_ms(10_000);
    let up = server(&e, &s["id"]);
    assert_eq!((&up["state_detail"], &up["public_ip"]["state"]), (&json!("booted"), &json!("attached")));

    // With an address attached during the boot, the report still waits for the boot.
    let s = create(&e, "DEV1-S", LABEL, "instance_sbs");
    set(&e, &format!("servers/{}", text(&s, "id")), json!({"dynamic_ip_required": false}));
    act(&e, &s["id"], "poweron");
    e.advance_ms(7_000);
    let ip = new_ip(&e, json!({}));
    set(&e, &format!("servers/{}", text(&s, "id")), json!({"public_ips": [ip["id"]]}));
    e.advance_ms(10_000);
    assert_eq!(server(&e, &s["id"])["state_detail"], "booting kernel");
    e.advance_ms(20_000);
    assert_eq!(server(&e, &s["id"])["state_detail"], "booted");
}

#[test]
fn a_reverse_name_is_refused_until_it_resolves_to_the_address() {
    let e = emulator();
    let ip = new_ip(&e, json!({}));
    let path = format!("ips/{}", text(&ip, "id"));
    let name = json!({"reverse": "gpu.example.com", "tags": ["t"]});
    let (status, refused) = set(&e, &path, name.clone());
    assert_eq!(status, 400, "{refused}");
    let detail = &refused["details"][0];
    assert_eq!((&detail["argument_name"], &detail["reason"]), (&json!("reverse"), &json!("constraint")));
    assert!(text(detail, "help_message").contains("dig +short gpu.example.com"), "{detail}");
    assert!(text(detail, "help_message").contains(text(&ip, "address")), "{detail}");
    let unchanged = get(&e, &format!("{INSTANCE}/{path}"));
    assert_eq!((&unchanged["ip"]["reverse"], &unchanged["ip"]["tags"]), (&Value::Null, &json!([])), "all or nothing");
    e.advance_ms(10_000);
    assert_eq!(set(&e, &path, name.clone()).0, 400, "a DNS record takes time to propagate");
    let later = json!({"reverse": "later.example.com"});
    assert_eq!(set(&e, &path, later.clone()).0, 400);
    e.advance_ms(25_000);
    assert_eq!(set(&e, &path, later).0, 400, "each name propagates separately");
    let (status, accepted) = set(&e, &path, name.clone());
    assert_eq!((status, &accepted["ip"]["reverse"]), (200, &json!("gpu.example.com")));
    assert_eq!(set(&e, &path, name).0, 200, "the same again");
    assert_eq!(set(&e, &path, json!({"reverse": "other.example.com"})).0, 400, "another name is another record");
    let (status, cleared) = set(&e, &path, json!({"reverse": null}));
    assert_eq!((status, &cleared["ip"]["reverse"]), (200, &Value::Null));
}

#[test]
fn an_address_is_found_by_its_id_and_by_its_text() {
    let e = emulator();
    let v4 = new_ip(&e, json!({}));
    let v6 = new_ip(&e, json!({"type": "routed_ipv6"}));
    let length = format!("{}%2F32", text(&v4, "address"));
    let prefix = text(&v6, "prefix").replace('/', "%2F");
    for (named, ip) in [
        (text(&v4, "id"), &v4),
        (text(&v4, "address"), &v4),
        (length.as_str(), &v4),
        (text(&v6, "id"), &v6),
        (prefix.as_str(), &v6),
    ] {
        assert_eq!(get(&e, &format!("{INSTANCE}/ips/{named}"))["ip"]["id"], ip["id"], "{named}");
    }
    for (named, called) in [
        ("192.0.2.7", "192.0.2.7/32"),
        ("11111111-1111-1111-1111-111111111111", "11111111-1111-1111-1111-111111111111"),
    ] {
        for method in ["GET", "PATCH", "DELETE"] {
            let (status, body) = ask(&e, method, &format!("{INSTANCE}/ips/{named}"), None);
            assert_eq!((status, text(&body, "resource_id")), (404, called), "{method}");
        }
    }
    let (status, body) = {
        let s = json!({"name": "s", "commercial_type": "DEV1-S", "volumes": {}, "public_ips": ["192.0.2.7"]});
        ask(&e, "POST", &format!("{INSTANCE}/servers"), Some(s))
    };
    assert_eq!((status, text(&body, "resource_id")), (404, "192.0.2.7/32"));
}

#[test]
fn the_address_of_a_terminated_server_stays_attached_for_a_moment() {
    let e = emulator();
    let s = create(&e, "DEV1-S", LABEL, "instance_sbs");
    let ip = new_ip(&e, json!({"server": s["id"]}));
    let state = || get(&e, &format!("{INSTANCE}/ips/{}", text(&ip, "id")))["ip"].clone();
    act(&e, &s["id"], "poweron");
    e.advance_ms(60_000);
    act(&e, &s["id"], "terminate");
    assert_eq!((&state()["state"], &state()["server"]["id"]), (&json!("attached"), &s["id"]));
    e.advance_ms(1_000);
    assert_eq!((&state()["state"], &state()["server"]), (&json!("detached"), &Value::Null));
    assert_eq!(server(&e, &s["id"])["state"], "stopping", "the address is released before the server is gone");
}
