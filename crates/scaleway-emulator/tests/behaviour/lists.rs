//! Tests of placement groups in both API versions, and of the order and filters of lists.

use super::{INSTANCE, act, ask, create, emulator, get, text};
use scaleway_emulator::Emulator;
use serde_json::{Value, json};

const V2: &str = "/instance/v2alpha1/zones/fr-par-2/placement-groups";
const NOBODY: &str = "11111111-1111-1111-1111-111111111111";

fn group(e: &Emulator) -> Value {
    let (status, group) = ask(e, "POST", V2, Some(json!({"name": "g", "policy_type": "low_latency", "tags": ["a"]})));
    assert_eq!(status, 200, "{group}");
    group
}

#[test]
fn a_placement_group_is_changed_in_part_through_either_version() {
    let e = emulator();
    let g = group(&e);
    let (v2, v1) = (format!("{V2}/{}", text(&g, "id")), format!("{INSTANCE}/placement_groups/{}", text(&g, "id")));
    for (change, name, tags, kind) in [
        (json!({"name": "h"}), "h", json!(["a"]), "low_latency"),
        (json!({"tags": ["b", "c"]}), "h", json!(["b", "c"]), "low_latency"),
        // Clients send the enum's "unknown" value for fields that they do not set.
        (json!({"name": "i", "policy_type": "unknown_policy_type"}), "i", json!(["b", "c"]), "low_latency"),
        (json!({"policy_type": "max_availability", "tags": []}), "i", json!([]), "max_availability"),
    ] {
        let (status, answer) = ask(&e, "PATCH", &v2, Some(change.clone()));
        assert_eq!(status, 200, "{change}: {answer}");
        for shown in [&answer, &get(&e, &v2), &get(&e, &v1)["placement_group"]] {
            assert_eq!(
                (text(shown, "name"), &shown["tags"], text(shown, "policy_type")),
                (name, &tags, kind),
                "{change}"
            );
        }
    }
    let (status, answer) = ask(&e, "PATCH", &v1, Some(json!({"name": "j"})));
    assert_eq!((status, text(&answer["placement_group"], "policy_type")), (200, "max_availability"));
    assert_eq!(text(&get(&e, &v2), "name"), "j", "a change through v1 shows in v2");
    let (status, _) = ask(&e, "PATCH", &v2, Some(json!({"policy_type": "nosuch"})));
    assert_eq!(status, 400);
}

#[test]
fn a_placement_group_lists_its_servers() {
    let e = emulator();
    let g = group(&e);
    let path = format!("{INSTANCE}/placement_groups/{}/servers", text(&g, "id"));
    assert_eq!(get(&e, &path), json!({"servers": []}));
    let s = create(&e, "DEV1-S", "ubuntu_jammy", "instance_sbs");
    let server = format!("{INSTANCE}/servers/{}", text(&s, "id"));
    let member = json!([{"id": s["id"], "name": "s", "policy_respected": true}]);
    let (status, answer) = ask(&e, "PATCH", &server, Some(json!({"placement_group": g["id"]})));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(get(&e, &path)["servers"], member);
    let (status, answer) = ask(&e, "PUT", &path, Some(json!({"servers": []})));
    assert_eq!((status, &answer), (200, &json!({"servers": []})));
    assert_eq!(get(&e, &server)["server"]["placement_group"], Value::Null);
    let (status, answer) = ask(&e, "PUT", &path, Some(json!({"servers": [s["id"]]})));
    assert_eq!((status, &answer["servers"]), (200, &member));
    assert_eq!(get(&e, &server)["server"]["placement_group"]["id"], g["id"]);
    assert_eq!(ask(&e, "PUT", &path, Some(json!({"servers": [NOBODY]}))).0, 404);
    assert_eq!(get(&e, &path)["servers"], member, "a refusal changes nothing");
    let nowhere = format!("{INSTANCE}/placement_groups/{NOBODY}/servers");
    assert_eq!(ask(&e, "GET", &nowhere, None).0, 404);
}

#[test]
fn a_malformed_and_an_unknown_placement_group_get_different_errors() {
    let e = emulator();
    let s = create(&e, "DEV1-S", "ubuntu_jammy", "instance_sbs");
    let server = format!("{INSTANCE}/servers/{}", text(&s, "id"));
    let (status, body) = ask(&e, "PATCH", &server, Some(json!({"placement_group": NOBODY})));
    assert_eq!(
        (status, text(&body, "resource"), text(&body, "resource_id")),
        (404, "instance_placement_group", NOBODY)
    );
    let (status, body) = ask(&e, "PATCH", &server, Some(json!({"placement_group": "no-id"})));
    assert_eq!((status, &body["fields"]), (400, &json!({"placement_group": ["not a valid value"]})));
    assert_eq!(get(&e, &server)["server"]["placement_group"], Value::Null);
}

#[test]
fn lists_show_the_newest_first() {
    let e = emulator();
    let named = |n: u32| format!("n{n}");
    let kinds = [("volumes", "volume"), ("security_groups", "security_group"), ("placement_groups", "placement_group")];
    for (list, one) in kinds {
        for n in 0..3 {
            // A group needs only the name.
            let body = json!({"name": named(n), "volume_type": "l_ssd", "size": 5_000_000_000_i64});
            let (status, answer) = ask(&e, "POST", &format!("{INSTANCE}/{list}"), Some(body));
            assert_eq!(status, 201, "{answer}");
            assert_eq!(text(&answer[one], "name"), named(n));
            e.advance_ms(10);
        }
        let all = get(&e, &format!("{INSTANCE}/{list}?name=n"));
        let names: Vec<&str> = all[list].as_array().unwrap().iter().map(|i| text(i, "name")).collect();
        assert_eq!(names, ["n2", "n1", "n0"], "{list}");
    }
    let volume = get(&e, &format!("{INSTANCE}/volumes"))["volumes"][0]["id"].clone();
    for n in 0..3 {
        ask(&e, "POST", &format!("{INSTANCE}/snapshots"), Some(json!({"volume_id": volume, "name": named(n)})));
        e.advance_ms(10);
    }
    let all = get(&e, &format!("{INSTANCE}/snapshots"));
    let names: Vec<&str> = all["snapshots"].as_array().unwrap().iter().map(|i| text(i, "name")).collect();
    assert_eq!(names, ["n2", "n1", "n0"]);
}

#[test]
fn servers_are_ordered_and_filtered_as_requested() {
    let e = emulator();
    let servers: Vec<Value> = (0..3)
        .map(|_| {
            e.advance_ms(10);
            create(&e, "DEV1-S", "ubuntu_jammy", "instance_sbs")
        })
        .collect();
    let ids = |query: &str| -> Vec<Value> {
        let all = get(&e, &format!("{INSTANCE}/servers?{query}"));
        all["servers"].as_array().unwrap().iter().map(|s| s["id"].clone()).collect()
    };
    let id = |n: usize| servers[n]["id"].clone();
    act(&e, &id(0), "poweron");
    e.advance_ms(60_000);
    let (_, ip) = ask(&e, "POST", &format!("{INSTANCE}/ips"), Some(json!({"server": id(1)})));
    let nics = format!("{INSTANCE}/servers/{}/private_nics", text(&servers[2], "id"));
    let (_, nic) = ask(&e, "POST", &nics, Some(json!({"private_network_id": NOBODY})));
    let dynamic = get(&e, &format!("{INSTANCE}/servers/{}", text(&servers[0], "id")))["server"]["public_ip"].clone();
    for (query, expected) in [
        ("order=creation_date_desc".to_owned(), vec![2, 1, 0]),
        ("order=creation_date_asc".to_owned(), vec![0, 1, 2]),
        ("order=modification_date_desc".to_owned(), vec![0, 2, 1]),
        ("state=running".to_owned(), vec![0]),
        ("without_ip=true".to_owned(), vec![2]),
        (format!("with_ip={}", text(&ip["ip"], "address")), vec![1]),
        (format!("with_ip={}", text(&dynamic, "address")), vec![0]),
        (format!("private_network={NOBODY}"), vec![2]),
        (format!("private_networks={NOBODY}"), vec![2]),
        (format!("private_nic_mac_address={}", text(&nic["private_nic"], "mac_address")), vec![2]),
        (format!("organization={NOBODY}"), vec![]),
        ("with_ip=192.0.2.1".to_owned(), vec![]),
    ] {
        let expected: Vec<Value> = expected.into_iter().map(id).collect();
        assert_eq!(ids(&query), expected, "{query}");
    }
}

#[test]
fn the_product_catalogue_is_filtered_by_zone_kind_and_name() {
    let e = emulator();
    let prices = |query: &str| get(&e, &format!("/product-catalog/v2alpha1/public-catalog/products?{query}"));
    let one = prices("product_types=instance&zone=fr-par-2&api_ids=L40S-1-48G");
    assert_eq!((&one["total_count"], &one["products"][0]["product"]), (&json!(1), &json!("L40S-1-48G")));
    let two = prices("product_types=instance&zone=fr-par-2&api_ids=L40S-1-48G&api_ids=DEV1-S");
    assert_eq!(two["total_count"], 2);
    assert_eq!(prices("product_types=instance&zone=fr-par-2&api_ids=NOSUCH")["total_count"], 0);
    assert_eq!(prices("product_types=instance&zone=fr-par-1&api_ids=L40S-1-48G")["total_count"], 0, "not in that zone");
    assert_eq!(prices("product_types=elastic_metal&zone=fr-par-2")["total_count"], 0);
}

#[test]
fn an_image_is_found_by_its_label_and_by_the_id_of_the_label() {
    let e = emulator();
    let by_label = get(&e, "/marketplace/v2/local-images?image_label=ubuntu_jammy&zone=fr-par-2");
    let images = get(&e, "/marketplace/v2/images?page_size=100");
    let of = images["images"].as_array().unwrap().iter().find(|i| i["label"] == "ubuntu_jammy").unwrap();
    let by_id = get(&e, &format!("/marketplace/v2/local-images?image_id={}&zone=fr-par-2", text(of, "id")));
    assert_eq!(by_id, by_label);
    assert!(by_label["total_count"].as_u64() > Some(0));
}

#[test]
fn the_journal_marks_catalogues_that_no_recording_shows() {
    let e = emulator();
    let types = |zone: &str| format!("/instance/v1/zones/{zone}/products/servers");
    let images = |zone: &str| format!("/marketplace/v2/local-images?image_label=ubuntu_jammy&zone={zone}");
    let prices = |zone: &str| format!("/product-catalog/v2alpha1/public-catalog/products?zone={zone}");
    for (path, not_evidenced) in [
        (types("fr-par-2"), false),
        (types("nl-ams-3"), true),
        (format!("{}/availability", types("fr-par-2")), true),
        (format!("{}/availability", types("pl-waw-1")), false),
        (images("fr-par-2"), false),
        (images("pl-waw-2"), true),
        (prices("pl-waw-1"), false),
        (prices("fr-par-2"), true),
        (format!("{INSTANCE}/servers"), false),
    ] {
        get(&e, &path);
        let entries = get(&e, "/_emulator/journal");
        let last = entries["entries"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["not_evidenced"], not_evidenced, "{path}: {last}");
    }
}
