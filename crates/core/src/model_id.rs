//! A model id: `repo[@revision][:quantisation]`, with the repository as on the hub.

/// The longest id, in characters.
pub const MAX_CHARS: usize = 200;
/// What an id looks like, for messages.
pub const LOOKS_LIKE: &str = "looks like `Qwen/Qwen2.5-7B-Instruct`, with `@revision` and `:quantisation` if wanted: letters, digits, \
     `-`, `_`, `.`, one `/` in the repository";

/// The parts of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelId<'a> {
    /// The repository, with its owner if it has one.
    pub repo: &'a str,
    /// A branch, tag or commit of it.
    pub revision: Option<&'a str>,
    /// One of several quantised files, for instance `Q8_0`.
    pub quantisation: Option<&'a str>,
}

impl<'a> ModelId<'a> {
    /// Parses an id; `None`: it is not valid.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (rest, quantisation) = text.split_once(':').map_or((text, None), |(rest, q)| (rest, Some(q)));
        let (repo, revision) = rest.split_once('@').map_or((rest, None), |(repo, r)| (repo, Some(r)));
        let word = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let parts = repo.split('/').count();
        // A revision may be a path, as `refs/pr/3`.
        let fits = text.len() <= MAX_CHARS
            && parts <= 2
            && repo.split('/').all(word)
            && revision.is_none_or(|r| r.split('/').all(word))
            && quantisation.is_none_or(word);
        fits.then_some(Self { repo, revision, quantisation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_a_repository_and_optionally_a_revision_and_a_quantisation() {
        let cases = [
            ("gpt2", ("gpt2", None, None)),
            ("Qwen/Qwen2.5-7B-Instruct", ("Qwen/Qwen2.5-7B-Instruct", None, None)),
            ("Qwen/Qwen3-8B@main", ("Qwen/Qwen3-8B", Some("main"), None)),
            ("Qwen/Qwen3-8B@refs/pr/3", ("Qwen/Qwen3-8B", Some("refs/pr/3"), None)),
            ("unsloth/Qwen3-8B-GGUF:Q8_0", ("unsloth/Qwen3-8B-GGUF", None, Some("Q8_0"))),
            ("unsloth/Qwen3-8B-GGUF@v1.0:UD-Q4_K_XL", ("unsloth/Qwen3-8B-GGUF", Some("v1.0"), Some("UD-Q4_K_XL"))),
        ];
        for (text, (repo, revision, quantisation)) in cases {
            assert_eq!(ModelId::parse(text), Some(ModelId { repo, revision, quantisation }), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("a/{}", "b".repeat(MAX_CHARS));
        let wrong = [
            "",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "a b",
            "a/b@",
            "a/b:",
            "a/b@:Q8_0",
            "a/b:Q8_0@main",
            "a/b:Q8:0",
            "a/b@x//y",
            "a/ä",
            "a/b\u{202e}",
            "a/b@x@y",
            &long,
        ];
        for text in wrong {
            assert_eq!(ModelId::parse(text), None, "{text:?}");
        }
    }
}
