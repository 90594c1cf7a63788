//! Files of a crate that import each other, directly or through others. A parent may declare its child modules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Module path (`plan::absent`) → the modules that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Finds circles among the files of one crate: `files` are paths below its `src`, with their text.
pub(super) fn check(crate_name: &str, files: &[(&Path, &str)], faults: &mut Vec<String>) {
    let modules: BTreeMap<String, &str> = files.iter().map(|(path, text)| (module(path), *text)).collect();
    let imports: Imports = modules.iter().map(|(name, text)| (name.clone(), imported(name, text, &modules))).collect();
    let mut told: BTreeSet<String> = BTreeSet::new();
    for name in imports.keys() {
        if told.contains(name) {
            continue;
        }
        if let Some(circle) = path_back(name, &imports) {
            told.extend(circle.iter().cloned());
            faults.push(format!("crates/{crate_name}: these files import each other: {}", circle.join(" → ")));
        }
    }
}

fn module(path: &Path) -> String {
    let text = path.with_extension("").to_string_lossy().replace('/', "::");
    if text == "lib" || text == "main" { String::new() } else { text }
}

/// The modules that a file names by `crate::` or `super::`, outside of its own tests.
fn imported(name: &str, text: &str, modules: &BTreeMap<String, &str>) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let code: String = code.lines().map(|l| l.split("//").next().unwrap_or(l)).collect::<Vec<_>>().join("\n");
    let parent = name.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut found = BTreeSet::new();
    for (prefix, base) in [("crate::", ""), ("super::", parent)] {
        for (at, _) in code.match_indices(prefix) {
            for path in paths(&code[at + prefix.len()..]) {
                let full = if base.is_empty() { path } else { format!("{base}::{path}") };
                found.extend(deepest(&full, modules).filter(|m| m != name));
            }
        }
    }
    found
}

/// The paths that a text begins with: one, or those in braces.
fn paths(text: &str) -> Vec<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let (head, rest) = text.split_at(end);
    let Some(inside) = rest.strip_prefix('{').and_then(|r| r.split('}').next()) else { return vec![head.to_owned()] };
    inside.split(',').map(|part| format!("{head}{}", part.split_whitespace().next().unwrap_or_default())).collect()
}

/// The longest beginning of a path that is a module.
fn deepest(path: &str, modules: &BTreeMap<String, &str>) -> Option<String> {
    let parts: Vec<&str> = path.split("::").filter(|p| !p.is_empty()).collect();
    (1..=parts.len()).rev().map(|n| parts[..n].join("::")).find(|m| modules.contains_key(m))
}

/// A way from a module back to itself.
fn path_back(from: &str, imports: &Imports) -> Option<Vec<String>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        for to in imports.get(at).into_iter().flatten() {
            if to == from {
                let mut circle = vec![from.to_owned()];
                let mut step = at;
                while step != from {
                    circle.push(step.to_owned());
                    step = before.get(step).copied()?;
                }
                circle.push(from.to_owned());
                circle.reverse();
                return Some(circle);
            }
            if !before.contains_key(to.as_str()) {
                before.insert(to, at);
                next.push(to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_found_through_any_number_of_files_and_tests_do_not_count() {
        let faults = |files: &[(&str, &str)]| {
            let files: Vec<(&Path, &str)> = files.iter().map(|(p, t)| (Path::new(*p), *t)).collect();
            let mut faults = Vec::new();
            check("x", &files, &mut faults);
            faults
        };
        assert!(faults(&[("a.rs", "use crate::b::X;"), ("b.rs", "// crate::a")]).is_empty());
        assert_eq!(faults(&[("a.rs", "use crate::b::X;"), ("b.rs", "use crate::{a::Y, c};")]).len(), 1);
        let three = [("a.rs", "use crate::b::X;"), ("b.rs", "fn f() { crate::c::g() }"), ("c.rs", "use crate::a;")];
        assert!(faults(&three)[0].contains("a → b → c → a"), "{:?}", faults(&three));
        let below = [("p.rs", "mod a; mod b;"), ("p/a.rs", "use super::b::X;"), ("p/b.rs", "use super::a::Y;")];
        assert_eq!(faults(&below).len(), 1);
        let tested = [("a.rs", "use crate::b::X;"), ("b.rs", "#[cfg(test)]\nmod tests {\n use crate::a;\n}")];
        assert!(faults(&tested).is_empty());
    }
}
