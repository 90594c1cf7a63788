//! Why a step failed, and whether trying again can help.

use inventiv_core::worker::report::WorkerFailure;

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepFailure {
    /// A stable word.
    pub(crate) code: &'static str,
    /// What happened and what to do.
    pub(crate) message: String,
    /// Whether it passes by itself, so that it is tried again.
    pub(crate) passes: bool,
}

impl StepFailure {
    /// A failure that may pass by itself.
    pub(crate) fn passing(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), passes: true }
    }

    /// A failure that needs a person.
    pub(crate) fn lasting(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), passes: false }
    }

    pub(crate) fn told(&self) -> WorkerFailure {
        WorkerFailure { code: self.code.to_owned(), message: self.message.clone() }
    }
}

/// Words in the last lines of an engine that tell why it ended, with the code and the remedy.
const SIGNS: [(&[&str], &str, &str); 6] = [
    (
        &["out of memory", "outofmemoryerror", "no available memory for the cache blocks", "kv cache is needed"],
        "gpu_memory",
        "the GPU does not have enough memory; choose a smaller context (`--context`), a quantised model, or a type with \
         more GPU memory (`inventiv model fit`)",
    ),
    (
        &["no space left on device"],
        "disk_full",
        "the disk is full; create the instance with a larger data volume (`--data-volume-gb`)",
    ),
    (
        &[
            "are not supported for now",
            "unsupported architecture",
            "unknown model architecture",
            "unrecognized architecture",
        ],
        "unsupported_model",
        "the engine does not support the architecture of this model; choose another engine, or a newer image (`--engine-image`)",
    ),
    (
        &["gatedrepoerror", "access to model", "401 client error", "403 client error"],
        "model_gated",
        "the hub refuses the model; store a token that may read it (`inventiv secret set hf-token`) and pass it with \
         `--secret HF_TOKEN=hf-token`",
    ),
    (
        &["no kernel image is available", "compute capability of at least", "requires compute capability"],
        "unsupported_gpu",
        "the engine does not support this GPU; choose another type or the engine `llamacpp`",
    ),
    (
        &["error: unrecognized arguments", "error: invalid argument", "error while handling argument"],
        "wrong_arguments",
        "the engine refused its arguments; correct `--engine-arg`",
    ),
];

/// Why an engine ended, from its last lines; `None`: they do not say.
pub(crate) fn from_lines(lines: &[String]) -> Option<(&'static str, String)> {
    for line in lines.iter().rev() {
        let small = line.to_lowercase();
        if let Some((_, code, remedy)) = SIGNS.iter().find(|(signs, ..)| signs.iter().any(|s| small.contains(s))) {
            let shown: String = line.trim().chars().take(300).collect();
            return Some((code, format!("{remedy} (the engine said: {shown})")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_an_engine_tell_why_it_ended() {
        for (line, code) in [
            ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", Some("gpu_memory")),
            ("ggml_cuda: failed to allocate: out of memory", Some("gpu_memory")),
            ("ValueError: No available memory for the cache blocks.", Some("gpu_memory")),
            ("OSError: [Errno 28] No space left on device", Some("disk_full")),
            ("ValueError: Model architectures ['X'] are not supported for now.", Some("unsupported_model")),
            ("llama_model_load: error loading model: unknown model architecture: 'x'", Some("unsupported_model")),
            ("huggingface_hub.errors.GatedRepoError: 401 Client Error.", Some("model_gated")),
            ("vllm: error: unrecognized arguments: --wrong", Some("wrong_arguments")),
            ("INFO: started", None),
            ("Device 0: NVIDIA L4, compute capability 8.9, VMM: yes", None),
            ("Bfloat16 is only supported on GPUs with compute capability of at least 8.0.", Some("unsupported_gpu")),
        ] {
            assert_eq!(from_lines(&[line.to_owned()]).map(|f| f.0), code, "{line}");
        }
        let lines = ["CUDA out of memory".to_owned(), "Traceback".to_owned()];
        assert_eq!(from_lines(&lines).map(|f| f.0), Some("gpu_memory"), "an earlier line");
    }
}
