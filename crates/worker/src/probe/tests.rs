//! Tests of `probe.rs`.

use super::*;

#[test]
fn an_answer_is_told_from_anything_else() {
    for (question, response, answered) in [
        (Question::Chat, json!({"choices": [{"message": {"content": "Hello"}}]}), true),
        (Question::Chat, json!({"choices": []}), false),
        (Question::Chat, json!({"error": {"message": "no"}}), false),
        (Question::Completion, json!({"choices": [{"text": "x"}]}), true),
        (Question::Embedding, json!({"data": [{"embedding": [0.1]}]}), true),
        (Question::Embedding, json!({"choices": [{}]}), false),
    ] {
        assert_eq!(question.is_answered(&response), answered, "{response}");
    }
}
