//! Tests of `name.rs`.

use super::*;

#[test]
fn a_name_says_everything_and_reads_back() {
    let name = CloudName {
        control_plane: "prod1".into(),
        instance: InstanceId::new(7),
        role: Role::Data,
        attempt: 2,
        delete: false,
        policy_version: 0,
    };
    assert_eq!(name.text(), "iva-prod1-00000000000000000000000007-data-2-k");
    assert_eq!(CloudName::parse(&name.text()), Some(name.clone()));
    let changed = CloudName { delete: true, policy_version: 12, ..name };
    assert_eq!(changed.text(), "iva-prod1-00000000000000000000000007-data-2-d12");
    assert_eq!(CloudName::parse(&changed.text()), Some(changed));
}

#[test]
fn names_of_others_are_not_ours() {
    for other in [
        "",
        "iva",
        "web-1",
        "Ubuntu 22.04 Jammy Jellyfish_sbs_volume_0",
        "iva-prod1-00000000000000000000000007-data-2-x",
        "iva-prod1-00000000000000000000000007-disk-2-d",
        "iva-PROD-00000000000000000000000007-data-2-d",
        "iva-prod1-00000000000000000000000007-data-2-d-copy",
        "iva-prod1-00000000000000000000000007-data-02-d",
        "iva-prod1-00000000000000000000000007-data-+2-d",
        "iva-prod1-00000000000000000000000007-data-2-d0",
        "iva-prod1-00000000000000000000000007-data-2-d01",
        "iva-prod1-00000000000000000000000007-data-2-d+1",
        "iva-prod1-00000000000000000000000007-data-2-",
        "iva-prod1-00000000000000000000000007-data-2-é",
    ] {
        assert_eq!(CloudName::parse(other), None, "{other}");
    }
}

proptest::proptest! {
    #[test]
    fn only_what_is_written_parses(text in "iva-[a-z0-9A-Z+_]{0,17}-[0-9a-z]{25,27}-(server|boot|data|extra|witness|)-[+0-9 ]{0,11}-[dk]?[+0-9]{0,11}-?") {
        if let Some(name) = CloudName::parse(&text) {
            proptest::prop_assert_eq!(name.text(), text);
        }
    }

    #[test]
    fn a_changed_letter_is_another_name_or_none(at in 0_usize..48, with in "[ -~é]") {
        let ours = "iva-prod1-00000000000000000000000007-extra-12-d345";
        let changed: String = ours.chars().enumerate().map(|(n, c)| if n == at { with.clone() } else { c.to_string() }).collect();
        if let Some(name) = CloudName::parse(&changed) {
            proptest::prop_assert_eq!(name.text(), changed);
        }
    }
}

#[test]
fn tags_repeat_what_the_name_says() {
    let name = CloudName::parse("iva-prod1-00000000000000000000000007-extra-3-d").unwrap();
    let expected = [
        "inventiv",
        "inventiv-control-plane=prod1",
        "inventiv-instance=ins-00000000000000000000000007",
        "inventiv-role=extra",
        "inventiv-attempt=3",
        "inventiv-policy=delete",
        "inventiv-policy-version=0",
    ];
    assert_eq!(name.tags(), expected);
    assert_eq!(CloudName { delete: false, ..name }.tags()[5], "inventiv-policy=keep");
}

#[test]
fn a_name_is_confirmed_only_by_both_tags() {
    let name = CloudName::parse(&format!("iva-test-{}-server-1-d", InstanceId::new(7).body())).unwrap();
    let tags = name.tags();
    assert!(name.is_confirmed_by(&tags));
    for key in ["inventiv-control-plane=", "inventiv-instance="] {
        let fewer: Vec<String> = tags.iter().filter(|t| !t.starts_with(key)).cloned().collect();
        assert_eq!(fewer.len() + 1, tags.len(), "{tags:?}");
        assert!(!name.is_confirmed_by(&fewer), "{key}");
    }
    assert!(!name.is_confirmed_by(&[]));
}
