//! Tests of `faults.rs`.

use super::*;

#[test]
fn a_star_in_a_pattern_matches_any_text() {
    let path = "/instance/v1/zones/fr-par-2/servers/x/action";
    for (pattern, does) in [
        ("*", true),
        ("*/servers*", true),
        ("*/action", true),
        ("/instance/*/action", true),
        ("*/servers", false),
        ("/block/*", false),
        (path, true),
    ] {
        assert_eq!(matches(pattern, path), does, "{pattern}");
    }
}

#[test]
fn a_rule_affects_the_nth_requests_and_an_invalid_one_is_explained() {
    let mut f = Faults::default();
    f.add(&json!({"method": "get", "path": "*/servers", "nth": 2, "times": 2, "effect": {"error": "rate_limited"}}))
        .unwrap();
    let injected: Vec<usize> = (0..4).map(|_| f.inject("GET", "/a/servers", || 0).len()).collect();
    assert_eq!(injected, [0, 1, 1, 0]);
    assert!(f.inject("POST", "/a/servers", || 0).is_empty());
    for (wrong, says) in [
        (json!({"path": "*"}), "effect"),
        (json!({"effect": {"error": "tired"}}), "rate_limited"),
        (json!({"effect": {"delay_ms": -1}}), "whole number"),
        (json!({"effect": {"explode": 1}}), "explode"),
        (json!({"effekt": 1}), "effekt"),
        (json!({"percent": 101, "effect": {"garble": true}}), "percent"),
    ] {
        assert!(f.add(&wrong).unwrap_err().contains(says), "{wrong}");
    }
}
