//! Tests of `names.rs`.

use super::*;

#[test]
fn a_name_is_bound_once_and_replaced_inside_texts() {
    let (a, b) = ("6bc4b49b-bd60-4d64-8ffc-9346f18ef88b", "00000000-0000-4000-8000-000000000001");
    let mut names = Names::default();
    assert!(names.same(a, b) && names.same(a, b));
    assert!(!names.same(a, "00000000-0000-4000-8000-000000000002"), "the recorded name is bound to another of ours");
    assert!(!names.same("6bc4b49b-bd60-4d64-8ffc-9346f18ef88c", b), "our name is bound to another recorded one");
    assert!(!names.same("stopped", "running"));
    assert_eq!(names.ours(&format!("/servers/{a}/action")), format!("/servers/{b}/action"));
    assert!(names.same(&format!("{a}.pub.instances.scw.cloud"), &format!("{b}.pub.instances.scw.cloud")));
    assert!(names.same("2026-07-30T12:53:15.567675+00:00", "2026-11-24T00:00:00.000001+00:00"));
    assert!(!names.same("2026-07-30T12:53:15.567675+00:00", "2026-11-24T00:00:00.000001Z"), "another notation");
}
#[test]
fn only_names_of_the_same_kind_correspond() {
    for (a, b, same) in [
        ("51.15.1.2", "51.15.9.9", true),
        ("51.15.1.2", "2001:bc8::1", false),
        ("51.15.1.2", "6bc4b49b-bd60-4d64-8ffc-9346f18ef88b", false),
        ("2001:bc8:710::/64", "2001:bc8:711::/64", true),
        ("2001:bc8:710::/64", "2001:bc8:711::/56", false),
        ("2001:bc8:710::/64", "2001:bc8:711::", false),
        ("de:00:00:95:66:df", "de:00:00:00:00:01", true),
        ("de:00:00:95:66:df", "51.15.1.2", false),
    ] {
        assert_eq!(Names::default().same(a, b), same, "{a} {b}");
    }
}
