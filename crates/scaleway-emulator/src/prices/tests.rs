//! Tests of `prices.rs`.

use super::*;

#[test]
fn every_line_of_the_table_is_read() {
    let rows = include_str!("../../data/products.tsv").lines().filter(|l| !l.starts_with('#') && !l.is_empty()).count();
    assert_eq!(products().len(), rows);
    assert!(products().iter().all(|p| p.zones.iter().all(|(_, c, w)| c.is_some() || w.is_none())));
}

#[test]
fn prices_have_no_trailing_zeros() {
    for (nanos, text) in
        [(13_125_000, "0.013125"), (1_221_000_000, "1.221"), (60_000_000_000, "60"), (65_075_999, "0.065075999")]
    {
        assert_eq!(decimal(nanos), text);
    }
}
