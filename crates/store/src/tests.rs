//! Tests of `lib.rs`.

use inventiv_core::status::Status;

#[test]
fn the_text_names_every_status_of_a_life_that_is_not_over() {
    let named: Vec<String> = Status::ALL.iter().filter(|s| !s.is_final()).map(|s| format!("'{}'", s.text())).collect();
    assert_eq!(living!(), format!("status IN ({})", named.join(", ")));
    let migration = include_str!("../migrations/0018_workers.sql");
    assert!(migration.contains(concat!("WHERE ", living!())), "the index is known by the same text");
}
