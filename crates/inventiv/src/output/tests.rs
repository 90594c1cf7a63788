//! Tests of `output.rs`.

use super::table::{REST, WIDTH, table};
use super::*;

/// Name, status, type and address.
type Sample = [&'static str; 4];

const COLUMNS: Columns<Sample> = Columns {
    name: |i| text(i[0]),
    narrow: &[("name", |i| text(i[0])), ("status", |i| text(i[1])), ("type", |i| text(i[2]))],
    wide: &[("address", |i| text(i[3]))],
};

#[test]
fn a_table_fits_and_a_wide_one_shows_everything() {
    let long: &'static str =
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
    let items: [Sample; 2] =
        [[long, "provisioning_failed", "H100-SXM-8-80G", "2001:db8::1"], ["short", "ready", "L4-1-24G", "10.0.0.1"]];
    let narrow = table(Output::Table, &items, &COLUMNS);
    assert!(narrow.lines().all(|l| l.chars().count() <= WIDTH), "{narrow}");
    assert!(narrow.contains(REST) && narrow.contains("provisioning_failed") && narrow.contains("short"), "{narrow}");
    assert!(!narrow.contains('\u{1b}'), "no colours in a pipe: {narrow:?}");
    let wide = table(Output::Wide, &items, &COLUMNS);
    assert!(wide.contains(long) && wide.contains("2001:db8::1"), "{wide}");
}

#[test]
fn ages_have_one_unit_and_money_four_decimals() {
    let ages = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(short);
    assert_eq!(ages, ["0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
    assert_eq!([0, 49, 50, 1_469_916, 26_000].map(decimal), ["0.0000", "0.0000", "0.0001", "1.4699", "0.0260"]);
}

#[test]
fn an_instance_costs_its_server_and_its_volumes_until_it_ends() {
    let mut instance: inventiv_types::Instance = serde_json::from_value(serde_json::json!({
        "id": "ins-1", "name": "one", "status": "ready", "provider": "p", "account_id": "a", "zone": "z",
        "instance_type": "t", "image": "i", "addresses": [], "created_at": "2026-07-30T12:53:14.344463Z",
        "storage_count": 0, "storage_sizes_gb": [], "hourly_micros": 1_469_916, "storage_hourly_micros": 26_000,
        "currency": "EUR", "tags": [],
    }))
    .expect("an instance");
    assert_eq!(hourly_of_all(&instance), "1.4959");
    instance.status = inventiv_types::Status::Stopped;
    assert_eq!(hourly_of_all(&instance), "0.0260");
    instance.status = inventiv_types::Status::Terminated;
    assert_eq!(hourly_of_all(&instance), "-");
}

#[test]
fn hidden_characters_of_third_parties_are_escaped() {
    assert_eq!(text("a\u{202e}b\nc"), "a\\u{202e}b\\u{a}c");
    assert_eq!(opt(None::<&str>), "-");
}
