//! Answers whose tokens are read.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use proptest::prelude::*;

const PART: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n";
const LAST: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn play(chunks: &[&[u8]], removes: bool) -> (String, Tokens) {
    let mut events = Events::new(removes);
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend_from_slice(&events.pass(Bytes::copy_from_slice(chunk)));
    }
    out.extend_from_slice(&events.finish());
    (String::from_utf8(out).unwrap(), events.tokens())
}

#[test]
fn a_whole_answer_tells_its_tokens() {
    for (body, tokens) in [
        (r#"{"usage":{"prompt_tokens":3,"completion_tokens":2}}"#, Some((3, 2))),
        (r#"{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":4,"total_tokens":4}}"#, Some((4, 0))),
        (r#"{"usage":{"input_tokens":1,"output_tokens":9}}"#, Some((1, 9))),
        (r#"{"usage":{"total_tokens":7}}"#, Some((0, 7))),
        (r#"{"usage":null}"#, None),
        (r#"{"usage":{"prompt_tokens":-3,"completion_tokens":-1}}"#, Some((0, 0))),
        ("not json", None),
    ] {
        assert_eq!(of_answer(body.as_bytes()).map(|t| (t.prompt, t.completion)), tokens, "{body}");
    }
}

#[test]
fn the_usage_is_taken_out_unless_it_was_asked_for() {
    let all = [PART, PART, LAST, DONE].concat();
    let told = Tokens { prompt: 3, completion: 2 };
    assert_eq!(play(&[all.as_bytes()], true), ([PART, PART, DONE].concat(), told));
    assert_eq!(play(&[all.as_bytes()], false), (all.clone(), told));
}

#[test]
fn a_usage_that_comes_with_a_part_is_not_taken_out() {
    let part = "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    assert_eq!(play(&[part.as_bytes()], true), (part.to_owned(), Tokens { prompt: 1, completion: 1 }));
}

#[test]
fn a_completed_response_tells_its_tokens() {
    let event = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":\
                 {\"input_tokens\":5,\"output_tokens\":6}}}\n\n";
    assert_eq!(play(&[event.as_bytes()], true), (event.to_owned(), Tokens { prompt: 5, completion: 6 }));
}

#[test]
fn without_a_usage_each_part_counts_as_a_token() {
    assert_eq!(play(&[[PART, PART].concat().as_bytes()], true).1, Tokens { prompt: 0, completion: 2 });
}

#[test]
fn an_event_that_is_too_long_passes_unread() {
    let long = format!("data: {{\"x\":\"{}\"}}\n\n", "y".repeat(EVENT_MAX + 5));
    let all = [long.as_str(), PART, LAST].concat();
    let chunks: Vec<&[u8]> = all.as_bytes().chunks(100_000).collect();
    let (out, tokens) = play(&chunks, true);
    assert_eq!((out == [long.as_str(), PART].concat(), tokens.completion), (true, 2));
}

#[test]
fn the_text_of_an_answer_cannot_pass_for_a_usage() {
    let part = "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":{\\\"prompt_tokens\\\":9}\"}}]}\n\n";
    assert_eq!(play(&[part.as_bytes()], true), (part.to_owned(), Tokens { prompt: 0, completion: 1 }));
}

proptest! {
    #[test]
    fn how_the_bytes_are_cut_does_not_matter(cuts in proptest::collection::vec(0..400_usize, 0..12), crlf in any::<bool>()) {
        let mut all = [PART, ": a comment\n\n", PART, LAST, PART, DONE].concat();
        if crlf {
            all = all.replace("\n\n", "\r\n\r\n");
        }
        let bytes = all.as_bytes();
        let mut at: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        prop_assert_eq!(play(&chunks, true), play(&[bytes], true));
        prop_assert_eq!(play(&chunks, false).0, all);
    }

    #[test]
    fn whatever_comes_passes(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..10)) {
        let mut events = Events::new(false);
        let mut out = Vec::new();
        for chunk in &chunks {
            out.extend_from_slice(&events.pass(Bytes::copy_from_slice(chunk)));
        }
        out.extend_from_slice(&events.finish());
        prop_assert_eq!(out, chunks.concat());
    }
}
