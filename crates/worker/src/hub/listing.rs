//! What the hub lists of a model, and which of its files an engine needs.

use inventiv_core::engine::EngineKind;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub(super) struct HubFile {
    #[serde(rename = "rfilename")]
    pub(super) name: String,
    #[serde(default)]
    pub(super) size: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct HubModel {
    #[serde(default)]
    pub(super) sha: Option<String>,
    #[serde(default)]
    pub(super) siblings: Vec<HubFile>,
}

/// The files of a repository that an engine needs. A repository may hold several copies of the same weights.
pub(super) fn needed(files: &[HubFile], engine: EngineKind, quantisation: Option<&str>) -> Vec<HubFile> {
    let has = |ending: &str| files.iter().any(|f| !f.name.contains('/') && f.name.ends_with(ending));
    let safetensors = has(".safetensors");
    let sharded_by_name = files.iter().any(|f| f.name.starts_with("model") && f.name.ends_with(".safetensors"));
    // Only GGUF files have levels.
    let other = quantisation.is_none() && (safetensors || has(".bin"));
    if engine == EngineKind::Llamacpp || (engine == EngineKind::Command && !other) {
        return one_gguf(files, quantisation);
    }
    let keep = |f: &&HubFile| {
        let name = f.name.to_ascii_lowercase();
        if f.name.contains('/') {
            // `original/`, `onnx/`, … hold other copies; sentence-transformers keep settings in such folders.
            return name.ends_with("config.json") && !name.starts_with("original/") && !name.starts_with("onnx/");
        }
        let weights = if safetensors {
            name.ends_with(".safetensors") && !(sharded_by_name && name.starts_with("consolidated"))
        } else {
            name.ends_with(".bin") && !name.starts_with("training_args")
        };
        let small = [".json", ".txt", ".model", ".jinja", ".py", ".tiktoken"].iter().any(|e| name.ends_with(e));
        weights || small
    };
    files.iter().filter(keep).cloned().collect()
}

/// One GGUF model, with all of its parts: of the level that is named; otherwise `Q4_K_M`, or the first one.
fn one_gguf(files: &[HubFile], level: Option<&str>) -> Vec<HubFile> {
    let is_model = |name: &str| name.ends_with(".gguf") && !name.contains("mmproj");
    let models: Vec<(String, &HubFile)> =
        files.iter().map(|f| (f.name.to_ascii_lowercase(), f)).filter(|(name, _)| is_model(name)).collect();
    let wanted = level.unwrap_or("Q4_K_M").to_ascii_lowercase();
    let of_level = |matches: fn(&str, &str) -> bool| {
        // `Q4_K_M` rather than a variant of it such as `UD-Q4_K_M`.
        models.iter().filter(|(name, _)| matches(name, &wanted)).min_by_key(|(name, _)| name.len())
    };
    let found = of_level(has_word).or_else(|| of_level(|name, level| name.contains(level)));
    let chosen = if level.is_none() { found.or(models.first()) } else { found };
    let Some((chosen, _)) = chosen else { return Vec::new() };
    let parts = models.iter().filter(|(name, _)| without_part(name) == without_part(chosen));
    parts.map(|(_, f)| (*f).clone()).collect()
}

/// Whether a level is a whole word of a file's name: `f16` is not one of `a-bf16.gguf`, nor `q2_k` of `a-q2_k_l.gguf`.
fn has_word(name: &str, level: &str) -> bool {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.match_indices(level).any(|(at, _)| {
        let (before, rest) = name.split_at(at);
        !before.ends_with(goes_on) && !rest.strip_prefix(level).is_some_and(|after| after.starts_with(goes_on))
    })
}

/// A name without the number of its part, `-00001-of-00003`.
fn without_part(name: &str) -> &str {
    let stem = name.strip_suffix(".gguf").unwrap_or(name);
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    match stem.rsplit_once("-of-").map(|(before, count)| (before.rsplit_once('-'), count)) {
        Some((Some((base, part)), count)) if is_number(part) && is_number(count) => base,
        _ => stem,
    }
}

#[cfg(test)]
mod tests;
