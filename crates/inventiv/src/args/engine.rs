//! The options about an engine.

use clap::Args;
use inventiv_types::{EngineKind, EngineRequest};

/// The engine that is to serve a model.
#[derive(Args)]
pub(crate) struct EngineArgs {
    /// Engine that is to serve the model; by default llamacpp for GGUF files, otherwise vllm.
    #[arg(long, value_name = "KIND", value_parser = ["vllm", "llamacpp", "command"])]
    engine: Option<String>,
    /// Context that one request may use, in tokens; by default 8192.
    #[arg(long, value_name = "TOKENS")]
    pub(crate) context: Option<i64>,
}

impl EngineArgs {
    pub(crate) fn kind(&self) -> Option<EngineKind> {
        self.engine.as_deref().and_then(EngineKind::parse)
    }

    /// The engine of a request; `None`: nothing was given.
    pub(crate) fn request(&self) -> Option<EngineRequest> {
        let request = EngineRequest { kind: self.kind(), context_tokens: self.context };
        Some(request).filter(|r| *r != EngineRequest::default())
    }
}
