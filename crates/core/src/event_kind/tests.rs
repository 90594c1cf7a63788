//! Tests of `event_kind.rs`.

use super::*;

#[test]
fn every_kind_reads_back_from_its_word() {
    for kind in EventKind::ALL {
        assert_eq!(EventKind::parse(kind.text()), Some(*kind));
    }
}
