//! Bodies that are read, and the bytes that change.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use proptest::prelude::*;

fn engine_gets(body: &str, served: &str, count: bool) -> String {
    let asked = read_json(body.as_bytes()).unwrap();
    String::from_utf8(asked.for_engine(&Bytes::from(body.to_owned()), served, count).to_vec()).unwrap()
}

#[test]
fn only_the_model_and_the_stream_options_change() {
    for (body, count, expected) in [
        (r#"{"model":"m","x":1.0}"#, true, r#"{"model":"m","x":1.0}"#),
        (r#"{ "x" : 1.50e3, "model" : "chat" }"#, true, r#"{ "x" : 1.50e3, "model" : "m" }"#),
        (r#"{"model":"chat","stream":true}"#, false, r#"{"model":"m","stream":true}"#),
        (
            r#"{"model":"m","stream":true}"#,
            true,
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m"}"#,
            true,
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m"}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":false},"model":"chat","é":"\u00e9"}"#,
            true,
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m","é":"\u00e9"}"#,
        ),
        (r#"{"model":"ch\u0061t"}"#, true, r#"{"model":"m"}"#),
    ] {
        assert_eq!(engine_gets(body, "m", count), expected, "{body}");
    }
}

#[test]
fn stream_options_that_are_null_are_replaced() {
    // `null` means that there are none. A second member of that name would be ambiguous.
    let body = r#"{"model":"m","stream":true,"stream_options":null}"#;
    let asked = read_json(body.as_bytes()).unwrap();
    let gets = asked.for_engine(&Bytes::from_static(body.as_bytes()), "m", true);
    assert_eq!(gets, r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#);
}

#[test]
fn bad_bodies_are_refused_with_a_sentence() {
    for (body, word) in [
        ("", "JSON"),
        ("[]", "JSON object"),
        ("{\"model\":\"m\"", "JSON"),
        ("{\"messages\":[]}", "`model` is required"),
        ("{\"model\":7}", "must be a string"),
        ("{\"model\":\"\"}", "1 to 300"),
        ("{\"model\":\"a\",\"model\":\"b\"}", "twice"),
        ("{\"model\":\"a\",\"stream\":false,\"stream\":true}", "twice"),
        ("{\"model\":\"a\\n\"}", "control"),
        ("{\"model\":\"a\",\"stream\":1}", "true or false"),
        ("{\"model\":\"a\",\"mod\\u0065l\":\"b\"}", "twice"),
    ] {
        let e = read_json(body.as_bytes()).unwrap_err();
        assert!(e.message.contains(word) && e.status == 400, "{body}: {}", e.message);
    }
    assert!(read_json(b"{\"model\":\"\xff\"}").unwrap_err().message.contains("UTF-8"));
}

#[test]
fn prompts_that_begin_alike_have_the_same_number() {
    let long = "x".repeat(2_000);
    let of = |text: &str| {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
        read_json(body.as_bytes()).unwrap().affinity
    };
    assert_eq!(of(&format!("{long}a")), of(&format!("{long}b")));
    assert_ne!(of("a"), of("b"));
    assert_eq!(read_json(br#"{"model":"m"}"#).unwrap().affinity, None);
}

#[test]
fn the_model_of_a_form_is_found_and_replaced() {
    let form = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n\0\u{1}name=\"model\"\r\n--B\r\n\
                content-disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--B--\r\n";
    let body = Bytes::from(form.to_owned());
    let asked = read_form("multipart/form-data; boundary=B", &body).unwrap();
    assert_eq!(asked.model, "whisper");
    assert_eq!(
        asked.for_engine(&body, "org/large", true),
        form.replace("\r\n\r\nwhisper\r\n", "\r\n\r\norg/large\r\n")
    );
    for (kind, text) in
        [("multipart/form-data", form), ("multipart/form-data; boundary=C", form), ("x; boundary=B", "--B")]
    {
        assert!(read_form(kind, text.as_bytes()).is_err(), "{kind} {text}");
    }
}

proptest! {
    #[test]
    fn nothing_that_is_sent_panics(body in proptest::collection::vec(any::<u8>(), 0..300), kind in ".{0,40}") {
        let _ = read_json(&body);
        let _ = read_form(&kind, &body);
        let _ = read_form("multipart/form-data; boundary=B", &body);
    }

    #[test]
    fn a_body_stays_json_with_the_same_other_members(
        model in "[a-z\"\\\\é]{1,20}", stream in any::<bool>(), other in "\\PC{0,40}", options in 0..4_u8
    ) {
        let mut body = serde_json::json!({"a": other, "model": model, "stream": stream, "z": [1, {"model": "inner"}]});
        match options {
            0 => {}
            1 => body["stream_options"] = serde_json::json!({"include_usage": true, "k": 1}),
            2 => body["stream_options"] = serde_json::json!({"k": 1}),
            _ => body["stream_options"] = serde_json::Value::Null,
        }
        let sent = Bytes::from(body.to_string());
        let asked = read_json(&sent).unwrap();
        let got: serde_json::Value = serde_json::from_slice(&asked.for_engine(&sent, "served", true)).unwrap();
        prop_assert_eq!(&got["model"], "served");
        prop_assert_eq!(&got["a"], &body["a"]);
        prop_assert_eq!(&got["z"], &body["z"]);
        if stream {
            prop_assert_eq!(&got["stream_options"]["include_usage"], true);
        } else {
            prop_assert_eq!(&got["stream_options"], &body["stream_options"]);
        }
    }
}
