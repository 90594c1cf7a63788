//! Asks the model a real question.

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The kinds of questions, in the order in which they are tried.
const QUESTIONS: [Question; 3] = [Question::Chat, Question::Completion, Question::Embedding];

/// A kind of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Chat,
    Completion,
    Embedding,
}

impl Question {
    const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completion => "/v1/completions",
            Self::Embedding => "/v1/embeddings",
        }
    }

    fn body(self, model: &str) -> Value {
        match self {
            Self::Chat => json!({"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}),
            Self::Completion => json!({"model": model, "prompt": "Hi", "max_tokens": 1}),
            Self::Embedding => json!({"model": model, "input": "Hi"}),
        }
    }

    /// Whether a response answers the question.
    fn is_answered(self, response: &Value) -> bool {
        let list = match self {
            Self::Chat | Self::Completion => response.get("choices"),
            Self::Embedding => response.get("data"),
        };
        list.and_then(Value::as_array).is_some_and(|l| !l.is_empty())
    }
}

/// The result of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The model answered this kind of question.
    Answered(Question, Duration),
    /// The engine does not listen, or is still loading.
    NotYet(String),
    /// The engine took the question and did not answer in time: it may be busy.
    Late(String),
    /// The engine refused every kind of question.
    Refused(String),
}

impl Answer {
    /// Why there was no answer.
    pub(crate) fn error(self) -> String {
        match self {
            Self::Answered(..) => String::new(),
            Self::NotYet(error) | Self::Late(error) | Self::Refused(error) => error,
        }
    }
}

/// Asks. If the kind of question that this model answers is known, only that one.
pub(crate) async fn ask(
    client: &reqwest::Client,
    target: SocketAddr,
    model: &str,
    known: Option<Question>,
    limit: Duration,
) -> Answer {
    let mut refusal = String::new();
    for question in QUESTIONS.into_iter().filter(|q| known.is_none_or(|k| k == *q)) {
        let began = Instant::now();
        let url = format!("http://{target}{}", question.path());
        let sent = client.post(url).json(&question.body(model)).timeout(limit).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(e) if e.is_connect() => return Answer::NotYet("the engine does not listen yet".to_owned()),
            Err(e) if e.is_timeout() => {
                return Answer::Late(format!("the engine did not answer within {} s", limit.as_secs()));
            }
            Err(e) => return Answer::NotYet(format!("the engine broke the connection: {e}")),
        };
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        if status.is_server_error() && status != reqwest::StatusCode::NOT_IMPLEMENTED {
            return Answer::NotYet(format!("the engine answered {status}: {}", short(&text)));
        }
        let answered = serde_json::from_str(&text).is_ok_and(|v: Value| question.is_answered(&v));
        if status.is_success() && answered {
            return Answer::Answered(question, began.elapsed());
        }
        if refusal.is_empty() {
            refusal = format!("the engine answered {} with {status}: {}", question.path(), short(&text));
        }
    }
    Answer::Refused(refusal)
}

fn short(text: &str) -> String {
    text.trim().chars().take(200).collect()
}

#[cfg(test)]
mod tests;
