//! The rules that the compiler does not check: dependencies between crates and files, lengths, headers, words.

mod circles;
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Our crates, and which of our crates each may depend on (except in tests).
const MAY_USE: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("keyring", &[]),
    ("types", &["inventiv-core"]),
    ("providers", &["inventiv-core"]),
    ("store", &["inventiv-core"]),
    ("worker-api", &["inventiv-core"]),
    ("worker", &["inventiv-core", "inventiv-worker-api"]),
    ("gateway", &["inventiv-core", "inventiv-keyring", "inventiv-store", "inventiv-worker-api"]),
    (
        "orchestrator",
        &["inventiv-core", "inventiv-keyring", "inventiv-providers", "inventiv-store", "inventiv-worker-api"],
    ),
    ("api", &["inventiv-core", "inventiv-keyring", "inventiv-types", "inventiv-store", "inventiv-worker-api"]),
    ("console", &["inventiv-core", "inventiv-types"]),
    ("notify", &["inventiv-core", "inventiv-keyring", "inventiv-types", "inventiv-store"]),
    ("scaleway-emulator", &[]),
    ("private-postgres", &[]),
    ("vm-trial", &["inventiv-core", "inventiv-providers", "inventiv-worker-api"]),
];
const OURS: &[&str] = &[
    "inventiv-core",
    "inventiv-keyring",
    "inventiv-types",
    "inventiv-providers",
    "inventiv-store",
    "inventiv-gateway",
    "inventiv-worker-api",
    "inventiv-worker",
    "inventiv-orchestrator",
    "inventiv-api",
    "inventiv-notify",
    "inventiv-console",
    "scaleway-emulator",
    "inventiv-testkit",
    "private-postgres",
];
/// Libraries that only certain crates may use.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx", &["store", "testkit"]),
    // The executable serves a stand-in for engines with it.
    ("axum", &["api", "console", "gateway", "scaleway-emulator", "testkit", "inventiv"]),
    (
        "tokio",
        &[
            "providers",
            "store",
            "worker-api",
            "worker",
            "orchestrator",
            "api",
            "gateway",
            "notify",
            "scaleway-emulator",
            "testkit",
            "inventiv",
            "vm-trial",
        ],
    ),
];
const FILE_LINES_MAX: usize = 450;
const FUNCTION_LINES_MAX: usize = 70;

pub(crate) fn run(root: &Path) -> Result<(), String> {
    let mut faults = Vec::new();
    for entry in fs::read_dir(root.join("crates")).map_err(|e| e.to_string())?.flatten() {
        check_dependencies(&entry.path(), &mut faults);
    }
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    let mut texts = Vec::with_capacity(files.len());
    for file in &files {
        let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let path = file.strip_prefix(root).unwrap_or(file).to_owned();
        check_file(&path, &text, &mut faults);
        texts.push((path, text));
    }
    check_circles(&texts, &mut faults);
    check_documents(root, &mut faults);
    println!("tidy: {} files, half of them up to {} lines", files.len(), median_lines(&texts));
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

fn check_circles(texts: &[(PathBuf, String)], faults: &mut Vec<String>) {
    let crates: BTreeSet<&str> =
        texts.iter().filter_map(|(path, _)| path.strip_prefix("crates").ok()?.iter().next()?.to_str()).collect();
    for name in crates {
        let folder = Path::new("crates").join(name).join("src");
        let below = texts.iter().filter(|(path, _)| !is_test(path));
        let below = below.filter_map(|(path, text)| Some((path.strip_prefix(&folder).ok()?, text.as_str())));
        circles::check(name, &below.collect::<Vec<_>>(), faults);
    }
}

fn check_documents(root: &Path, faults: &mut Vec<String>) {
    for name in
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/OPERATIONS.md", "docs/RECIPES.md"]
    {
        match fs::read_to_string(root.join(name)) {
            Ok(text) => words::check(Path::new(name), &text, false, faults),
            Err(e) => faults.push(format!("{name}: {e}")),
        }
    }
}

fn median_lines(texts: &[(PathBuf, String)]) -> usize {
    let mut lines: Vec<usize> = texts.iter().map(|(_, text)| text.lines().count()).collect();
    lines.sort_unstable();
    lines.get(lines.len() / 2).copied().unwrap_or_default()
}

fn is_test(path: &Path) -> bool {
    path.components().any(|c| matches!(c.as_os_str().to_str(), Some("tests" | "benches")))
        || path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.ends_with("tests.rs"))
}

fn check_dependencies(folder: &Path, faults: &mut Vec<String>) {
    let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let section = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let used: Vec<&str> =
        section.lines().filter_map(|l| l.split(['.', ' ', '=']).next()).filter(|d| !d.is_empty()).collect();
    if let Some((_, allowed)) = MAY_USE.iter().find(|(n, _)| *n == name) {
        for d in used.iter().filter(|d| OURS.contains(d) && !allowed.contains(d)) {
            faults.push(format!("crates/{name} may not depend on {d}: see the flow in ARCHITECTURE.md"));
        }
    }
    for (library, allowed) in ONLY_IN {
        if used.contains(library) && !allowed.contains(&name) {
            faults.push(format!("crates/{name} may not depend on {library}: only {} may", allowed.join(", ")));
        }
    }
}

fn check_file(path: &Path, text: &str, faults: &mut Vec<String>) {
    let shown = path.display();
    if !text.starts_with("//!") {
        faults.push(format!("{shown}: does not begin with a `//!` line that describes it"));
    }
    let is_test = is_test(path);
    words::check(path, text, is_test, faults);
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        faults.push(format!("{shown}: {lines} lines; split the file (at most {FILE_LINES_MAX})"));
    }
    let is_command_line = path.starts_with("crates/inventiv/src") && !is_test;
    for (n, line) in text.lines().enumerate() {
        if is_command_line && looks_a_field_up(line) {
            faults.push(format!("{shown}:{}: a field by its name; decode a type of `inventiv-types`", n + 1));
        }
        if line.ends_with(' ') || line.contains('\t') {
            faults.push(format!("{shown}:{}: trailing white space, or a tab", n + 1));
        }
        // Assembled here, so that this file does not match itself.
        if [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")].iter().any(|w| line.contains(w)) {
            faults.push(format!("{shown}:{}: a to-do mark", n + 1));
        }
    }
    if !is_test {
        check_functions(&shown.to_string(), code, faults);
    }
}

/// Whether a line reads a field of untyped JSON: `item["name"]`.
fn looks_a_field_up(line: &str) -> bool {
    line.split("[\"").skip(1).any(|rest| {
        let (name, after) = rest.split_once('"').unwrap_or_default();
        after.starts_with(']') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }) && !line.contains("&[\"")
}

/// Relies on rustfmt: a function ends at the brace with its own indentation.
fn check_functions(shown: &str, code: &str, faults: &mut Vec<String>) {
    let lines: Vec<&str> = code.lines().collect();
    for (n, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let begins = [
            "fn ",
            "pub fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
            "async fn ",
            "pub async fn ",
            "pub(crate) async fn ",
        ];
        if !begins.iter().any(|b| trimmed.starts_with(b)) {
            continue;
        }
        let end = lines[n..].iter().position(|l| l.trim_start() == "}" && l.len() - 1 == indent);
        if let Some(length) = end.map(|e| e + 1).filter(|l| *l > FUNCTION_LINES_MAX) {
            faults.push(format!(
                "{shown}:{}: a function of {length} lines; split it (at most {FUNCTION_LINES_MAX})",
                n + 1
            ));
        }
    }
}
