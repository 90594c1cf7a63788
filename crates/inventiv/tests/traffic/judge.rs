//! How a request ended, as its client sees it.

use serde_json::Value;

/// The end of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A whole answer, with the tokens that the engine told.
    Complete { prompt: i64, completion: i64 },
    /// One clean error: the replica broke off, or answered with an error. Of a stream, what came before counts.
    Failed { prompt: i64, completion: i64 },
    /// One clean error: no replica took it.
    Refused,
    /// The connection broke.
    Broken,
    /// Anything else: a defect.
    Wrong(String),
}

/// How many requests ended how.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) complete: i64,
    pub(crate) failed: i64,
    pub(crate) refused: i64,
    pub(crate) broken: i64,
    pub(crate) prompt: i64,
    pub(crate) completion: i64,
}

impl Totals {
    pub(crate) fn count(&mut self, ended: &Ended) {
        match ended {
            Ended::Complete { prompt, completion } => {
                self.complete += 1;
                self.prompt += prompt;
                self.completion += completion;
            }
            Ended::Failed { prompt, completion } => {
                self.failed += 1;
                self.prompt += prompt;
                self.completion += completion;
            }
            Ended::Refused => self.refused += 1,
            Ended::Broken => self.broken += 1,
            Ended::Wrong(why) => panic!("{why}"),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.complete += other.complete;
        self.failed += other.failed;
        self.refused += other.refused;
        self.broken += other.broken;
        self.prompt += other.prompt;
        self.completion += other.completion;
    }

    /// What the gateway counts: requests that a replica took.
    pub(crate) fn counted(&self) -> Self {
        Self { refused: 0, broken: 0, ..self.clone() }
    }
}

fn is_error(value: &Value) -> bool {
    let error = &value["error"];
    error["message"].as_str().is_some_and(|m| !m.is_empty()) && error["type"].is_string() && error["code"].is_string()
}

/// The tokens that a usage tells, of prompt and answer.
fn tokens(usage: &Value) -> Option<(i64, i64)> {
    Some((usage["prompt_tokens"].as_i64()?, usage["completion_tokens"].as_i64()?))
}

fn complete((prompt, completion): (i64, i64)) -> Ended {
    Ended::Complete { prompt, completion }
}

/// Judges a response that has arrived completely.
pub(crate) fn of_response(status: u16, is_stream: bool, body: &str) -> Ended {
    let wrong = |why: &str| Ended::Wrong(format!("{why}: {status} {body}"));
    if status != 200 {
        return match serde_json::from_str::<Value>(body) {
            Ok(error) if !is_error(&error) => wrong("no error in OpenAI's form"),
            // The replica broke off before its answer began.
            Ok(_) if status == 502 => Ended::Failed { prompt: 0, completion: 0 },
            Ok(_) if matches!(status, 429 | 503) => Ended::Refused,
            _ => wrong("not a clean error"),
        };
    }
    if is_stream {
        return of_stream(body).unwrap_or_else(wrong);
    }
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    tokens(&answer["usage"]).map_or_else(|| wrong("not a whole answer"), complete)
}

/// Either all parts and `[DONE]`, or one error as the last event.
fn of_stream(body: &str) -> Result<Ended, &'static str> {
    let events: Option<Vec<&str>> = body.split_terminator("\n\n").map(|e| e.strip_prefix("data: ")).collect();
    let events = events.ok_or("something that is no event")?;
    if !body.ends_with("\n\n") {
        return Err("the last event is incomplete");
    }
    let (last, others) = events.split_last().ok_or("no event")?;
    let parts: Result<Vec<Value>, _> = others.iter().map(|e| serde_json::from_str(e)).collect();
    let parts = parts.map_err(|_| "an event is not JSON")?;
    if parts.iter().any(|p| !p["error"].is_null()) {
        return Err("an error is not the last event");
    }
    let told = parts.iter().find_map(|p| tokens(&p["usage"]));
    if *last == "[DONE]" {
        return told.map(complete).ok_or("no usage");
    }
    match serde_json::from_str::<Value>(last) {
        Ok(error) if is_error(&error) => {
            // Without a usage, each part counts as a token.
            let (prompt, completion) = told.unwrap_or((0, i64::try_from(parts.len()).unwrap()));
            Ok(Ended::Failed { prompt, completion })
        }
        _ => Err("it ends in the middle"),
    }
}

#[test]
fn the_judge_sees_what_is_not_clean() {
    let part = r#"data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":9}}"#;
    let word = r#"data: {"choices":[{"delta":{"content":"a"}}],"usage":null}"#;
    let error = r#"data: {"error":{"message":"m","type":"server_error","param":null,"code":"upstream_error"}}"#;
    let complete = Ok(Ended::Complete { prompt: 3, completion: 9 });
    for (body, ended) in [
        (format!("{part}\n\ndata: [DONE]\n\n"), complete),
        (format!("{part}\n\n{error}\n\n"), Ok(Ended::Failed { prompt: 3, completion: 9 })),
        (format!("{word}\n\n{word}\n\n{error}\n\n"), Ok(Ended::Failed { prompt: 0, completion: 2 })),
        (format!("{part}\n\n{error}\n\n{error}\n\n"), Err("an error is not the last event")),
        (format!("{part}\n\n{error}\n\ndata: [DONE]\n\n"), Err("an error is not the last event")),
        (format!("{part}\n\n"), Err("it ends in the middle")),
        (format!("{part}\n\ndata: {{\"cho"), Err("the last event is incomplete")),
        (format!("{part}\n\n{part}{error}\n\n"), Err("it ends in the middle")),
        (String::new(), Err("the last event is incomplete")),
    ] {
        assert_eq!(of_stream(&body), ended, "{body}");
    }
    for (status, body, is_clean) in [
        (502, error.trim_start_matches("data: "), true),
        (500, error.trim_start_matches("data: "), false),
        (503, "busy", false),
        (200, r#"{"choices":[]"#, false),
        (200, r#"{"usage":{"prompt_tokens":3,"completion_tokens":9}}"#, true),
    ] {
        assert_eq!(!matches!(of_response(status, false, body), Ended::Wrong(_)), is_clean, "{status} {body}");
    }
}
