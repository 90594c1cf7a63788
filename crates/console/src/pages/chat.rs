//! A conversation with a model, whose answers are shown as they are written. Nothing of it is kept here.

use crate::backend::{Refusal, segment};
use crate::page::Viewer;
use crate::texts::EN;
use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use inventiv_types::{InstanceDetail, Service, Status};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The maximum length of a conversation, in characters.
const CHARS_MAX: usize = 50_000;
/// The maximum length of an answer, in tokens.
const ANSWER_TOKENS: u32 = 1_024;

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Author {
    /// The viewer.
    User,
    /// The model.
    Assistant,
}

/// A message of a conversation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    role: Author,
    content: String,
}

/// A conversation that ends with a question.
#[derive(Debug, Deserialize)]
pub(crate) struct Conversation {
    messages: Vec<Message>,
}

impl Conversation {
    fn is_a_question(&self) -> bool {
        let asks = self.messages.last().is_some_and(|m| m.role == Author::User && !m.content.trim().is_empty());
        asks && self.messages.iter().map(|m| m.content.chars().count()).sum::<usize>() <= CHARS_MAX
    }
}

/// Asks the model of an instance.
pub(crate) async fn instance(
    viewer: Viewer,
    Path(id): Path<String>,
    Json(conversation): Json<Conversation>,
) -> Response {
    let asked = async {
        let i: InstanceDetail = viewer.api.get(&format!("/instances/{}", segment(&id)), &()).await?;
        stream(&viewer, &i.instance.id, i.instance.model_id.as_deref().unwrap_or_default(), &conversation).await
    };
    answered(asked.await)
}

/// Asks the model of a service, at the first replica that is ready.
pub(crate) async fn service(
    viewer: Viewer,
    Path(id): Path<String>,
    Json(conversation): Json<Conversation>,
) -> Response {
    let asked = async {
        let s: Service = viewer.api.get(&format!("/services/{}", segment(&id)), &()).await?;
        let Some(ready) = s.replicas.iter().find(|r| r.status == Status::Ready) else {
            return Err(Refusal { status: StatusCode::CONFLICT, text: EN.no_replica_ready.to_owned() });
        };
        stream(&viewer, &ready.instance_id, &s.model_id, &conversation).await
    };
    answered(asked.await)
}

async fn stream(viewer: &Viewer, id: &str, model: &str, asked: &Conversation) -> Result<Response, Refusal> {
    if !asked.is_a_question() {
        return Err(Refusal { status: StatusCode::UNPROCESSABLE_ENTITY, text: EN.conversation_too_long.to_owned() });
    }
    let body = json!({"model": model, "messages": asked.messages, "max_tokens": ANSWER_TOKENS, "stream": true});
    viewer.api.open_post(&format!("/instances/{}/v1/chat/completions", segment(id)), &body).await
}

/// The stream, or the reason in words: the script shows it in the conversation.
fn answered(asked: Result<Response, Refusal>) -> Response {
    asked.unwrap_or_else(|refusal| {
        (refusal.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], refusal.text).into_response()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_ends_with_a_question_of_limited_length() {
        let read = |value: serde_json::Value| serde_json::from_value::<Conversation>(value).map(|c| c.is_a_question());
        let user = |text: &str| json!({"role": "user", "content": text});
        let model = |text: &str| json!({"role": "assistant", "content": text});
        for (messages, wanted) in [
            (json!([user("Hello")]), true),
            (json!([user("Hello"), model("Hi"), user("And?")]), true),
            (json!([user("Hello"), model("Hi")]), false),
            (json!([user("  ")]), false),
            (json!([]), false),
            (json!([user(&"x".repeat(CHARS_MAX)), model("y"), user("z")]), false),
        ] {
            assert_eq!(read(json!({"messages": messages})).unwrap(), wanted);
        }
        read(json!({"messages": [{"role": "system", "content": "x"}]})).unwrap_err();
    }
}
