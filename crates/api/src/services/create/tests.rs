//! Tests of `create.rs`.

use super::*;

#[test]
fn a_name_is_made_from_the_model() {
    for (model, name) in [
        ("Qwen/Qwen2.5-7B-Instruct", "qwen2-5-7b-instruct"),
        ("openai/gpt-oss-20b", "gpt-oss-20b"),
        ("a/B__c..d", "b-c-d"),
        ("bartowski/Llama-3.2-3B-Instruct-GGUF:Q8_0", "llama-3-2-3b-instruct-gguf-q8-0"),
    ] {
        let made = default_name(model);
        assert_eq!((made.as_str(), wrong_name(&made).is_none()), (name, true));
    }
}

#[test]
fn names_are_words_of_hosts() {
    for bad in ["", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(64), "svc-00000000000000000000000000"] {
        assert!(wrong_name(bad).is_some(), "{bad}");
    }
}
