//! Tests of `catalogue.rs`.

use super::*;

#[test]
fn every_line_of_the_tables_is_read() {
    let rows = |text: &str| text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).count();
    assert_eq!(types().len(), rows(include_str!("../../data/types.tsv")));
    let recorded = lines(include_str!("../../data/images.tsv")).filter_map(|f| read_image(&f));
    assert_eq!(recorded.filter(|i| !i.compatible.is_empty()).count(), rows(include_str!("../../data/images.tsv")));
    let sorted = types().windows(2).all(|w| (w[0].name, w[0].since_us) < (w[1].name, w[1].since_us));
    assert!(sorted, "by type, then by time");
}

#[test]
fn the_offered_types_and_their_prices_depend_on_the_time() {
    let at = |day| day_us(day).unwrap();
    assert_eq!(in_zone("fr-par-1", at("2026-08-02")).len(), 136);
    assert_eq!(in_zone("fr-par-1", at("2026-07-16")).len(), 135);
    assert_eq!(in_zone("fr-par-1", at("2025-11-04")).len(), 68);
    assert_eq!(in_zone("nl-ams-2", at("2026-08-17")).len(), 92);
    let price = |day| find("L4-1-24G", "fr-par-2", at(day)).unwrap().hourly;
    assert!((price("2026-09-01") - 0.7875).abs() < 1e-9 && (price("2025-11-04") - 0.75).abs() < 1e-9);
    assert!(find("L40S-1-48G", "fr-par-1", at("2026-09-01")).is_none(), "not in that zone");
}
