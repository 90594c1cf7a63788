//! Where models are kept on the disk.

use crate::failure::StepFailure;
use inventiv_core::engine::EngineKind;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where a model is kept: a folder for each commit, and for each revision a file that names the last commit.
pub(super) struct Place {
    pub(super) base: PathBuf,
    pub(super) revision: String,
}

impl Place {
    fn reference(&self) -> PathBuf {
        self.base.join(format!("ref-{}", self.revision.replace('/', "--")))
    }

    /// The folder that was last complete for this revision.
    pub(super) fn known(&self) -> Option<PathBuf> {
        let commit = std::fs::read_to_string(self.reference()).ok()?;
        is_inside(&commit).then(|| self.base.join(commit))
    }

    /// The folder of a commit.
    pub(super) fn of(&self, commit: Option<&str>) -> Result<PathBuf, StepFailure> {
        let plain = |c: &&str| !c.is_empty() && c.bytes().all(|b| b.is_ascii_alphanumeric());
        let named = commit.filter(plain).map_or_else(|| self.revision.replace('/', "--"), str::to_owned);
        let folder = self.base.join(named);
        std::fs::create_dir_all(&folder)
            .map_err(|e| StepFailure::passing("disk", format!("cannot create {}: {e}", folder.display())))?;
        Ok(folder)
    }

    pub(super) fn remember(&self, folder: &Path) -> Result<(), StepFailure> {
        let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        std::fs::write(self.reference(), name)
            .map_err(|e| StepFailure::passing("disk", format!("cannot write in {}: {e}", self.base.display())))
    }
}

/// The list of a model's files, written once all of them are there. Each engine and each quantisation has one of its
/// own: their files differ.
#[derive(serde::Serialize, Deserialize)]
pub(super) struct Complete {
    pub(super) files: Vec<String>,
}

impl Complete {
    fn path(folder: &Path, engine: EngineKind, quantisation: Option<&str>) -> PathBuf {
        let level = quantisation.unwrap_or("any").to_ascii_lowercase();
        folder.join(format!(".inventiv-complete-{engine}-{level}.json"))
    }

    pub(super) fn read(folder: &Path, engine: EngineKind, quantisation: Option<&str>) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(folder, engine, quantisation)).ok()?).ok()
    }

    pub(super) fn write(
        &self,
        folder: &Path,
        engine: EngineKind,
        quantisation: Option<&str>,
    ) -> Result<(), StepFailure> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        std::fs::write(Self::path(folder, engine, quantisation), text)
            .map_err(|e| StepFailure::passing("disk", format!("cannot write in {}: {e}", folder.display())))
    }
}

/// Whether a name stays in its folder.
pub(super) fn is_inside(name: &str) -> bool {
    !name.starts_with('/') && !name.split('/').any(|part| part.is_empty() || part == ".." || part == ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_complete_only_for_its_engine_and_its_level() {
        let folder = tempfile::tempdir().unwrap();
        let complete = Complete { files: vec!["a-Q8_0.gguf".to_owned()] };
        complete.write(folder.path(), EngineKind::Llamacpp, Some("Q8_0")).unwrap();
        let is_there = |engine, level| Complete::read(folder.path(), engine, level).is_some();
        assert!(is_there(EngineKind::Llamacpp, Some("q8_0")));
        assert!(!is_there(EngineKind::Llamacpp, Some("Q4_K_M")) && !is_there(EngineKind::Llamacpp, None));
        assert!(!is_there(EngineKind::Vllm, Some("Q8_0")));
    }

    #[test]
    fn a_name_cannot_leave_its_folder() {
        for (name, inside) in [
            ("a.json", true),
            ("a/b.json", true),
            ("../a", false),
            ("/a", false),
            ("a/../../b", false),
            ("a//b", false),
        ] {
            assert_eq!(is_inside(name), inside, "{name}");
        }
    }
}
