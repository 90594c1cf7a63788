//! Tests of `output.rs`.

use super::*;
use serde_json::json;

const COLUMNS: Columns = Columns {
    name: "id",
    narrow: &[("name", |i| text(i, "name")), ("status", |i| text(i, "status")), ("type", |i| text(i, "type"))],
    wide: &[("address", |i| text(i, "address"))],
};

#[test]
fn a_table_fits_and_a_wide_one_shows_everything() {
    let long = "n".repeat(100);
    let items = [
        json!({"name": long, "status": "provisioning_failed", "type": "H100-SXM-8-80G", "address": "2001:db8::1"}),
        json!({"name": "short", "status": "ready", "type": "L4-1-24G", "address": "10.0.0.1"}),
    ];
    let narrow = table(Output::Table, &items, &COLUMNS);
    assert!(narrow.lines().all(|l| l.chars().count() <= WIDTH), "{narrow}");
    assert!(narrow.contains(REST) && narrow.contains("provisioning_failed") && narrow.contains("short"), "{narrow}");
    assert!(!narrow.contains('\u{1b}'), "no colours in a pipe: {narrow:?}");
    let wide = table(Output::Wide, &items, &COLUMNS);
    assert!(wide.contains(&long) && wide.contains("2001:db8::1"), "{wide}");
}

#[test]
fn ages_have_one_unit_and_money_four_decimals() {
    let ages = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(short);
    assert_eq!(ages, ["0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
    assert_eq!([0, 49, 50, 1_469_916, 26_000].map(decimal), ["0.0000", "0.0000", "0.0001", "1.4699", "0.0260"]);
    let item = json!({"status": "ready", "hourly_micros": 1_469_916, "storage_hourly_micros": 26_000});
    assert_eq!(hourly_of_all(&item), "1.4959");
    assert_eq!(hourly_of_all(&json!({"status": "terminated", "hourly_micros": 1})), "-");
}
