//! The options about an engine.

use crate::failure::Failure;
use clap::Args;
use inventiv_types::{EngineKind, EngineRequest};
use std::collections::BTreeMap;

/// The engine that is to serve a model, for questions about it.
#[derive(Args)]
pub(crate) struct EngineArgs {
    /// Engine that is to serve the model; by default llamacpp for GGUF files, otherwise vllm.
    #[arg(long, value_name = "KIND", value_parser = ["vllm", "llamacpp", "command", "none"])]
    engine: Option<String>,
    /// Context that one request may use, in tokens; by default 8192.
    #[arg(long, value_name = "TOKENS")]
    pub(crate) context: Option<i64>,
}

/// How the engine is run.
#[derive(Args)]
pub(crate) struct ServingArgs {
    #[command(flatten)]
    engine: EngineArgs,
    /// Container image of the engine.
    #[arg(long, value_name = "IMAGE")]
    engine_image: Option<String>,
    /// One more argument for the engine; repeat for several. With a dash: --engine-arg=--enforce-eager.
    #[arg(long = "engine-arg", value_name = "ARGUMENT", allow_hyphen_values = true)]
    engine_args: Vec<String>,
    /// Environment variable of the engine, as NAME=VALUE; repeat for several.
    #[arg(long = "engine-env", value_name = "NAME=VALUE")]
    engine_env: Vec<String>,
    /// Environment variable that is set to a secret, as NAME=SECRET; repeat for several.
    #[arg(long = "secret", value_name = "NAME=SECRET")]
    secrets: Vec<String>,
    /// Keep the instance if its model will not answer; by default, it ends after 15 minutes.
    #[arg(long)]
    keep_failed: bool,
    /// Program and arguments for --engine command: {port}, {model}, {model_dir}, {model_file} are replaced.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl EngineArgs {
    pub(crate) fn kind(&self) -> Option<EngineKind> {
        self.engine.as_deref().and_then(EngineKind::parse)
    }
}

impl ServingArgs {
    /// The engine of a request; `None`: nothing was given.
    pub(crate) fn request(self) -> Result<Option<EngineRequest>, Failure> {
        let list = |items: Vec<String>| Some(items).filter(|l| !l.is_empty());
        let request = EngineRequest {
            kind: self.engine.kind(),
            context_tokens: self.engine.context,
            image: self.engine_image,
            args: list(self.engine_args),
            command: list(self.command),
            env: pairs("--engine-env", self.engine_env)?,
            secrets: pairs("--secret", self.secrets)?,
            keep_failed: self.keep_failed.then_some(true),
        };
        Ok(Some(request).filter(|r| *r != EngineRequest::default()))
    }
}

/// Pairs of names and values; the message of a refusal does not repeat the value.
fn pairs(option: &str, given: Vec<String>) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let mut all = BTreeMap::new();
    for pair in given {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Failure::refused(format!("{option}: must be a name and a value with `=` between them")));
        };
        all.insert(name.to_owned(), value.to_owned());
    }
    Ok(Some(all).filter(|all| !all.is_empty()))
}
