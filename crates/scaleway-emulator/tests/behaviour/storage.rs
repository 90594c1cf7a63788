//! Tests of volumes, snapshots, images and file systems: sizes, the boot volume, busy states.

use super::{INSTANCE, act, ask, create, emulator, emulator_at, get, image, text};
use scaleway_emulator::Emulator;
use serde_json::{Value, json};

const ZONE: &str = "zones/fr-par-2";
const GB: i64 = 1_000_000_000;
/// A day of 2026-08, in microseconds since 1970.
const AUGUST_2026: i64 = 1_785_542_400_000_000;

fn post(e: &Emulator, path: &str, body: Value) -> Value {
    let (status, answer) = ask(e, "POST", path, Some(body));
    assert!((200..300).contains(&status), "{path}: {status} {answer}");
    answer
}

fn block_volume(e: &Emulator, gb: i64) -> Value {
    let volume = post(e, &format!("/block/v1/{ZONE}/volumes"), json!({"name": "v", "from_empty": {"size": gb * GB}}));
    e.advance_ms(6_000);
    volume
}

#[test]
fn the_boot_flag_of_a_volume_stays_as_last_set() {
    let e = emulator();
    let image = image(&e, "ubuntu_jammy", "instance_sbs", "DEV1-S");
    for (asked, shown) in
        [(json!({"boot": true}), true), (json!({"boot": false}), false), (json!({"size": 20 * GB}), false)]
    {
        let body = json!({"name": "s", "commercial_type": "DEV1-S", "image": image, "volumes": {"0": asked}});
        let s = post(&e, &format!("{INSTANCE}/servers"), body)["server"].clone();
        assert_eq!(s["volumes"]["0"]["boot"], shown, "{asked}");
        let path = format!("{INSTANCE}/servers/{}", text(&s, "id"));
        let root = &s["volumes"]["0"]["id"];
        let data = block_volume(&e, 5);
        // The flag set for the attached volume, for the new volume, and then left out: it stays.
        for (root_boots, data_boots) in [(Some(true), Some(false)), (Some(false), Some(true)), (None, None)] {
            let entry = |id: &Value, boot: Option<bool>| match boot {
                Some(boot) => json!({"id": id, "volume_type": "sbs_volume", "boot": boot}),
                None => json!({"id": id, "volume_type": "sbs_volume"}),
            };
            let map = json!({"volumes": {"0": entry(root, root_boots), "1": entry(&data["id"], data_boots)}});
            let (status, answer) = ask(&e, "PATCH", &path, Some(map));
            assert_eq!(status, 200, "{answer}");
            for shown in [&answer["server"]["volumes"], &get(&e, &path)["server"]["volumes"]] {
                let expected = (root_boots.unwrap_or(false), data_boots.unwrap_or(true));
                assert_eq!((&shown["0"]["boot"], &shown["1"]["boot"]), (&json!(expected.0), &json!(expected.1)));
            }
        }
    }
}

#[test]
fn file_systems_are_shown_on_their_server_until_they_are_detached() {
    let e = emulator();
    let s = create(&e, "POP2-2C-8G", "ubuntu_jammy", "instance_sbs");
    let path = format!("{INSTANCE}/servers/{}", text(&s, "id"));
    assert_eq!(s["filesystems"], json!([]));
    let (one, two) = ("e2b45d46-f1de-406d-a43d-9f8dfcdd2342", "e2b45d46-f1de-406d-a43d-9f8dfcdd2343");
    let entry = |id: &str| json!({"filesystem_id": id, "state": "available"});
    for (verb, id, expected) in [
        ("attach", one, json!([entry(one)])),
        ("attach", two, json!([entry(one), entry(two)])),
        ("detach", one, json!([entry(two)])),
    ] {
        let answer = post(&e, &format!("{path}/{verb}-filesystem"), json!({"filesystem_id": id}));
        assert_eq!(answer["server"]["filesystems"], expected, "{verb} {id}");
        assert_eq!(get(&e, &path)["server"]["filesystems"], expected, "{verb} {id}");
        assert_eq!(get(&e, &format!("{INSTANCE}/servers"))["servers"][0]["filesystems"], expected);
    }
    for (verb, body) in [
        ("attach", json!({"filesystem_id": two})),
        ("detach", json!({"filesystem_id": one})),
        ("attach", json!({})),
        ("detach", json!({"filesystem_id": 5})),
    ] {
        let (status, answer) = ask(&e, "POST", &format!("{path}/{verb}-filesystem"), Some(body.clone()));
        assert_eq!((status, &answer["details"][0]["argument_name"]), (400, &json!("filesystem_id")), "{verb} {body}");
    }
    let nowhere = format!("{INSTANCE}/servers/{one}/attach-filesystem");
    assert_eq!(ask(&e, "POST", &nowhere, Some(json!({"filesystem_id": one}))).0, 404);
    ask(&e, "PATCH", &path, Some(json!({"name": "renamed"})));
    assert_eq!(get(&e, &path)["server"]["filesystems"], json!([entry(two)]), "another change keeps them");
}

#[test]
fn an_imported_snapshot_has_the_size_of_the_exported_one() {
    let e = emulator();
    let volume = block_volume(&e, 20);
    let snapshots = format!("/block/v1/{ZONE}/snapshots");
    let snapshot = post(&e, &snapshots, json!({"volume_id": volume["id"], "name": "s"}));
    e.advance_ms(12_000);
    let place = json!({"bucket": "b", "key": "k.qcow2"});
    post(&e, &format!("{snapshots}/{}/export-to-object-storage", text(&snapshot, "id")), place.clone());
    let local = post(&e, &format!("{INSTANCE}/volumes"), json!({"name": "l", "volume_type": "l_ssd", "size": 15 * GB}));
    let local = post(&e, &format!("{INSTANCE}/snapshots"), json!({"volume_id": local["volume"]["id"]}));
    e.advance_ms(120_000);
    let local_place = json!({"bucket": "b", "key": "l.qcow2"});
    post(&e, &format!("{INSTANCE}/snapshots/{}/export", text(&local["snapshot"], "id")), local_place.clone());
    let with = |place: &Value, more: Value| {
        let mut body = place.as_object().unwrap().clone();
        body.extend(more.as_object().unwrap().clone());
        Value::Object(body)
    };
    let third_party = json!({"bucket": "b", "key": "made-elsewhere.qcow2"});
    // The size is the same, whichever API exports or imports the snapshot.
    for (place, size) in [(&place, 20 * GB), (&local_place, 15 * GB), (&third_party, 1 << 30)] {
        let block = post(&e, &format!("{snapshots}/import-from-object-storage"), with(place, json!({"name": "i"})));
        assert_eq!(block["size"], size, "{place}");
        let local = post(&e, &format!("{INSTANCE}/snapshots"), with(place, json!({"volume_type": "l_ssd"})));
        assert_eq!((&local["snapshot"]["size"], &local["snapshot"]["state"]), (&json!(size), &json!("importing")));
    }
    let larger = post(&e, &format!("{INSTANCE}/snapshots"), with(&third_party, json!({"size": 40 * GB})));
    assert_eq!(larger["snapshot"]["size"], 40 * GB, "the requested size");
}

#[test]
fn a_root_volume_from_a_snapshot_is_as_large_as_the_snapshot() {
    let e = emulator();
    let volume = block_volume(&e, 20);
    let snapshot = post(&e, &format!("/block/v1/{ZONE}/snapshots"), json!({"volume_id": volume["id"], "name": "s"}));
    e.advance_ms(12_000);
    let body = json!({"name": "i", "root_volume": snapshot["id"], "arch": "x86_64"});
    let image = post(&e, &format!("{INSTANCE}/images"), body)["image"].clone();
    let id = &snapshot["id"];
    for (why, asked, size) in [
        ("no map", json!({"image": image["id"]}), 20),
        ("an empty map", json!({"image": image["id"], "volumes": {}}), 20),
        ("no size", json!({"image": image["id"], "volumes": {"0": {"boot": false}}}), 20),
        ("its kind", json!({"image": image["id"], "volumes": {"0": {"volume_type": "sbs_volume"}}}), 20),
        ("size 0", json!({"image": image["id"], "volumes": {"0": {"size": 0}}}), 20),
        ("larger", json!({"image": image["id"], "volumes": {"0": {"size": 50 * GB}}}), 50),
        (
            "the snapshot",
            json!({"volumes": {"0": {"base_snapshot": id, "volume_type": "sbs_volume", "name": "r"}}}),
            20,
        ),
        ("the snapshot without a kind", json!({"volumes": {"0": {"base_snapshot": id}}}), 20),
    ] {
        let mut body = asked.as_object().unwrap().clone();
        body.extend([("name".to_owned(), json!("s")), ("commercial_type".to_owned(), json!("PLAY2-PICO"))]);
        let s = post(&e, &format!("{INSTANCE}/servers"), Value::Object(body))["server"].clone();
        let root = get(&e, &format!("/block/v1/{ZONE}/volumes/{}", text(&s["volumes"]["0"], "id")));
        assert_eq!((&root["size"], &root["parent_snapshot_id"]), (&json!(size * GB), id), "{why}");
    }
}

#[test]
fn a_local_volume_and_its_server_are_busy_only_while_a_snapshot_is_being_made() {
    for deleted_before in [false, true] {
        let e = emulator_at(AUGUST_2026);
        let s = create(&e, "DEV1-S", "ubuntu_jammy", "instance_local");
        act(&e, &s["id"], "poweron");
        e.advance_ms(60_000);
        let volume = text(&s["volumes"]["0"], "id");
        let made = post(&e, &format!("{INSTANCE}/snapshots"), json!({"volume_id": volume, "name": "s"}));
        let snapshot = format!("{INSTANCE}/snapshots/{}", text(&made["snapshot"], "id"));
        let server = || get(&e, &format!("{INSTANCE}/servers/{}", text(&s, "id")))["server"].clone();
        let state = || get(&e, &format!("{INSTANCE}/volumes/{volume}"))["volume"]["state"].clone();
        assert_eq!(made["snapshot"]["state"], "snapshotting");
        assert_eq!((state(), &server()["allowed_actions"]), (json!("snapshotting"), &json!([])));
        if deleted_before {
            assert_eq!(ask(&e, "DELETE", &snapshot, None).0, 204);
        } else {
            e.advance_ms(120_000);
            assert_eq!(get(&e, &snapshot)["snapshot"]["state"], "available");
        }
        assert_eq!(state(), "available", "deleted before completion: {deleted_before}");
        assert!(!server()["allowed_actions"].as_array().unwrap().is_empty());
    }
}

#[test]
fn v1alpha1_of_the_block_api_lacks_later_fields() {
    let e = emulator_at(AUGUST_2026);
    let volume = block_volume(&e, 5);
    let snapshot = post(&e, &format!("/block/v1/{ZONE}/snapshots"), json!({"volume_id": volume["id"], "name": "s"}));
    for (version, has) in [("v1", true), ("v1alpha1", false)] {
        for (path, list, id, key) in
            [("volumes", "volumes", &volume, "kms_key_id"), ("snapshots", "snapshots", &snapshot, "public")]
        {
            let base = format!("/block/{version}/{ZONE}/{path}");
            let one = get(&e, &format!("{base}/{}", text(id, "id")));
            assert_eq!(one.get(key).is_some(), has, "{base}: {one}");
            assert_eq!(get(&e, &base)[list][0].get(key).is_some(), has, "{base}");
            let (_, changed) = ask(&e, "PATCH", &format!("{base}/{}", text(id, "id")), Some(json!({"name": "n"})));
            assert_eq!((changed.get(key).is_some(), &changed["name"]), (has, &json!("n")), "{base}");
        }
    }
}

#[test]
fn user_data_comes_back_byte_for_byte() {
    use bytes::Bytes;
    use http::Request;
    let e = emulator();
    let s = create(&e, "DEV1-S", "ubuntu_jammy", "instance_sbs");
    let path = format!("{INSTANCE}/servers/{}/user_data/key", text(&s, "id"));
    for content in ["True", "true", " 1.0", "null", "{\"a\" : 1}", "", "#cloud-config\n", "\u{feff}x\r\n", "\0\u{7f}"] {
        let ask = |method: &str, body: &'static [u8]| {
            let request = Request::builder().method(method).uri(&path).header("x-auth-token", "t");
            e.handle(&request.header("content-type", "text/plain").body(Bytes::from_static(body)).unwrap())
        };
        assert_eq!(ask("PATCH", content.as_bytes()).status(), 204);
        let answer = ask("GET", b"");
        assert_eq!(answer.body(), content.as_bytes(), "{content:?}");
        assert_eq!(answer.headers()["content-type"], "text/plain");
    }
}
