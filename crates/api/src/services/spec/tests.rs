//! Tests of `spec.rs`.

use super::*;

#[test]
fn settings_are_checked() {
    let bad = ServiceSettings {
        min_replicas: Some(3),
        max_replicas: Some(2),
        target_concurrency: Some(0),
        idle_seconds: Some(0),
        scale_down_seconds: Some(0),
        zones: Some(Vec::new()),
        ..ServiceSettings::default()
    };
    let fields: Vec<String> = mistakes(&bad).into_iter().filter_map(|e| e.pointer).collect();
    let expected =
        ["max_replicas", "target_concurrency", "idle_seconds", "scale_down_seconds", "zones"].map(|f| format!("#/{f}"));
    assert_eq!(fields, expected);
    assert!(mistakes(&ServiceSettings::default()).is_empty());
}
