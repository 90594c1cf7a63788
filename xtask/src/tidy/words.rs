//! Words that may not be used: private ones that a standard term has replaced, and the names of clouds outside drivers.

use std::path::Path;

/// Replaced words, and what to write (docs/GLOSSARY.md).
const REPLACED: &[(&str, &str)] = &[
    ("burned", "abandoned"),
    ("cannot_say", "inconclusive"),
    ("SeenServer", "ObservedServer"),
    ("SeenVolume", "ObservedVolume"),
    ("stranger", "third party"),
    ("strangers", "third parties"),
    ("twin", "duplicate"),
    ("wish", "request, or desired state"),
    ("wishes", "requests"),
    ("road", "removal method"),
    ("let_go", "release"),
    ("glance", "probe"),
    ("setbacks", "retries"),
    ("manners", "yield"),
    ("pretended", "emulated"),
    ("sacred", "must survive"),
    ("doomed", "expected to be lost"),
    ("struck", "injected"),
    ("blow", "fault"),
];

/// What names a cloud. Only its driver and tests may.
const CLOUD_WORDS: &[&str] = &["scaleway", "scw", "sbs", "l_ssd", "fr-par", "pl-waw"];
/// The crates that know clouds by their profiles alone.
const CLOUDLESS: &[&str] = &["crates/core/src", "crates/store/src", "crates/orchestrator/src", "crates/api/src"];

/// Finds replaced words in any text, and names of clouds where no cloud may be named.
pub(super) fn check(path: &Path, text: &str, is_test: bool, faults: &mut Vec<String>) {
    let shown = path.display().to_string();
    if shown.ends_with("tidy/words.rs") {
        return;
    }
    for (n, line) in text.lines().enumerate() {
        for word in words(line) {
            if let Some((_, instead)) = REPLACED.iter().find(|(old, _)| old.eq_ignore_ascii_case(word)) {
                faults.push(format!("{shown}:{}: `{word}`: write {instead}, see docs/GLOSSARY.md", n + 1));
            }
        }
    }
    if is_test || !CLOUDLESS.iter().any(|folder| path.starts_with(folder)) {
        return;
    }
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    for (n, line) in code.lines().enumerate().filter(|(_, line)| !is_example(line)) {
        let lower = line.to_lowercase();
        if let Some(word) = CLOUD_WORDS.iter().find(|word| lower.contains(**word)) {
            faults.push(format!("{shown}:{}: `{word}` names a cloud: that belongs to its driver", n + 1));
        }
    }
}

/// Words as identifiers have them: letters, digits and underscores.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

/// A line that gives an example to people, in a comment or in the OpenAPI document.
fn is_example(line: &str) -> bool {
    ["example", "for instance", "such as", "look like", "looks like", "e.g."]
        .iter()
        .any(|mark| line.to_lowercase().contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_words_and_names_of_clouds_are_found_where_they_may_not_be() {
        let cases = [
            ("crates/core/src/a.rs", "//! A fresh glance.\n", false, 1),
            ("crates/core/src/a.rs", "//! Glances, twinkle, broad.\n", false, 0),
            ("crates/core/src/a.rs", "let x = \"SCW_sbs_volume\";\n", false, 1),
            ("crates/core/src/a.rs", "/// A zone, for example `fr-par-2`.\n", false, 0),
            ("crates/core/src/a.rs", "#[cfg(test)]\nmod tests {\n    // fr-par-2\n}\n", false, 0),
            ("crates/core/src/a/tests.rs", "// fr-par-2\n", true, 0),
            ("crates/providers/src/clouds/scaleway.rs", "// fr-par-2\n", false, 0),
        ];
        for (path, text, is_test, expected) in cases {
            let mut faults = Vec::new();
            check(Path::new(path), text, is_test, &mut faults);
            assert_eq!(faults.len(), expected, "{path}: {text} {faults:?}");
        }
    }
}
