//! Tests of `clean.rs`.

use super::*;

#[test]
fn only_a_whole_name_says_that_something_is_ours() {
    assert_eq!(run_of(&name("0123456789ab", Role::Boot)), Some("0123456789ab"));
    for other in [
        "inventiv-doctor",
        "inventiv-doctor-data",
        "inventiv-doctorate-db",
        "inventiv-doctor-0123456789ab",
        "inventiv-doctor-0123456789ab-db",
        "inventiv-doctor-0123456789AB-data",
        "inventiv-doctor-0123456789abc-data",
        "my-inventiv-doctor-0123456789ab-data",
    ] {
        assert_eq!(run_of(other), None, "{other}");
    }
}
