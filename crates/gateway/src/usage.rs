//! Reads from an answer how many tokens it took, and takes out what the client did not ask for.

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use serde::Deserialize;

/// The longest event that is read; a longer one passes unread.
const EVENT_MAX: usize = 1 << 20;

/// The most tokens that are believed of one answer.
const TOKENS_MAX: i64 = 1_000_000_000;

/// How many tokens an answer took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) prompt: i64,
    pub(crate) completion: i64,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(alias = "input_tokens", default)]
    prompt_tokens: Option<i64>,
    #[serde(alias = "output_tokens", default)]
    completion_tokens: Option<i64>,
    #[serde(default)]
    total_tokens: Option<i64>,
}

#[derive(Deserialize)]
struct WithUsage {
    #[serde(default)]
    usage: Option<Usage>,
    /// An event of the responses API contains the whole response.
    #[serde(default)]
    response: Option<Inner>,
    #[serde(default)]
    choices: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    usage: Option<Usage>,
}

impl Usage {
    fn tokens(&self) -> Tokens {
        let prompt = self.prompt_tokens.unwrap_or(0).clamp(0, TOKENS_MAX);
        let rest = self.total_tokens.unwrap_or(0).saturating_sub(prompt);
        Tokens { prompt, completion: self.completion_tokens.unwrap_or(rest).clamp(0, TOKENS_MAX) }
    }
}

/// The tokens of a whole answer; `None`: it does not say.
pub(crate) fn of_answer(body: &[u8]) -> Option<Tokens> {
    let read: WithUsage = serde_json::from_slice(body).ok()?;
    read.usage.map(|u| u.tokens())
}

/// Reads a stream of server-sent events as it passes.
#[derive(Debug)]
pub(crate) struct Events {
    /// Whether the event that only tells the usage is taken out.
    removes_usage: bool,
    /// The beginning of an event whose end has not come yet.
    rest: BytesMut,
    /// Whether an event that is too long is passing.
    is_unread: bool,
    /// The usage that was told.
    told: Option<Tokens>,
    /// How many events carried a part of the answer.
    parts: i64,
}

impl Events {
    pub(crate) fn new(removes_usage: bool) -> Self {
        Self { removes_usage, rest: BytesMut::new(), is_unread: false, told: None, parts: 0 }
    }

    /// The tokens so far: as told, or else a part of the answer counts as a token.
    pub(crate) fn tokens(&self) -> Tokens {
        self.told.unwrap_or(Tokens { prompt: 0, completion: self.parts })
    }

    /// How many events carried a part of the answer.
    pub(crate) fn parts(&self) -> i64 {
        self.parts
    }

    /// Takes the next bytes, and returns those that the client gets now.
    pub(crate) fn pass(&mut self, chunk: Bytes) -> Bytes {
        if self.rest.is_empty() && !self.is_unread && ends_event(&chunk) {
            // The usual case: whole events, which are passed on as they are unless one is taken out.
            if !self.removes_usage || memmem::find(&chunk, b"\"usage\"").is_none() {
                self.read_all(&chunk);
                return chunk;
            }
        }
        self.rest.extend_from_slice(&chunk);
        let mut out = BytesMut::new();
        while let Some(end) = end_of_event(&self.rest) {
            let event = self.rest.split_to(end);
            let keep = std::mem::take(&mut self.is_unread) || self.read(&event);
            if keep {
                out.extend_from_slice(&event);
            }
        }
        if self.rest.len() > EVENT_MAX || self.is_unread {
            self.is_unread = true;
            // Its last bytes may be the first ones of its end.
            let keep = self.rest.len().min(3);
            out.extend_from_slice(&self.rest.split_to(self.rest.len() - keep));
        }
        out.freeze()
    }

    /// What is left when the stream ends.
    pub(crate) fn finish(&mut self) -> Bytes {
        let rest = self.rest.split().freeze();
        if !rest.is_empty() && !self.is_unread && !self.read(&rest) {
            return Bytes::new();
        }
        rest
    }

    fn read_all(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some(end) = end_of_event(rest) {
            let (event, next) = rest.split_at(end);
            self.read(event);
            rest = next;
        }
    }

    /// Reads an event; `false`: it is to be taken out.
    fn read(&mut self, event: &[u8]) -> bool {
        let Some(data) = data_of(event) else { return true };
        if data == b"[DONE]" {
            return true;
        }
        if tells_usage(data)
            && let Ok(read) = serde_json::from_slice::<WithUsage>(data)
        {
            let only_usage = read.choices.as_ref().is_some_and(Vec::is_empty);
            if let Some(usage) = read.usage.or(read.response.and_then(|r| r.usage)) {
                self.told = Some(usage.tokens());
                if only_usage {
                    return !self.removes_usage;
                }
            }
        }
        self.parts += 1;
        true
    }
}

/// Whether an event has a usage that is not `null`. It need not be read otherwise.
fn tells_usage(data: &[u8]) -> bool {
    let mut finder = memmem::find_iter(data, b"\"usage\"");
    finder.any(|at| {
        let rest = data.get(at + 7..).unwrap_or_default();
        let value = rest.iter().position(|b| !matches!(b, b' ' | b':' | b'\t'));
        value.is_some_and(|v| rest.get(v) == Some(&b'{'))
    })
}

/// The data of an event with one line of data, as all engines send it.
fn data_of(event: &[u8]) -> Option<&[u8]> {
    event.split(|b| *b == b'\n').find_map(|line| {
        let data = line.strip_prefix(b"data:")?;
        Some(data.trim_ascii())
    })
}

fn ends_event(chunk: &[u8]) -> bool {
    chunk.ends_with(b"\n\n") || chunk.ends_with(b"\r\n\r\n")
}

/// Where the first event ends.
fn end_of_event(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).find_map(|at| match bytes.get(at + 1..) {
        Some([b'\n', ..]) => Some(at + 2),
        Some([b'\r', b'\n', ..]) => Some(at + 3),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
