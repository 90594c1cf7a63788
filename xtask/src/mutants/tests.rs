//! Tests of `mutants.rs`.

use super::*;

#[test]
fn every_mutant_can_be_applied() {
    for m in &MUTANTS {
        let text = std::fs::read_to_string(root().join(m.file)).expect("the file is there");
        assert_eq!(text.matches(m.find).count(), 1, "{}: {}", m.file, m.what);
    }
}
