//! The process of the engine: its command, its output, its end.

use crate::config::Config;
use crate::container;
use crate::failure::StepFailure;
use crate::files::{self, EnvFile};
use crate::hub::Downloaded;
use crate::log::read_lines;
use crate::state::State;
use inventiv_core::engine::EngineKind;
use inventiv_core::worker::WorkerDesired;
use inventiv_worker_api::message::{DesiredRequest, LogSource};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::process::{Child, Command};

/// How long an engine may take to end by itself.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// What an engine is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CommandLine {
    program: String,
    args: Vec<String>,
    /// It runs in a container, whose environment is in a file.
    in_container: bool,
}

/// Whether an engine needs the files of its model.
pub(crate) fn needs_model(desired: &WorkerDesired) -> bool {
    match desired.engine {
        EngineKind::Vllm | EngineKind::Llamacpp => true,
        EngineKind::Command => {
            desired.command.iter().chain(&desired.args).any(|a| a.contains("{model_dir}") || a.contains("{model_file}"))
        }
        EngineKind::None => false,
    }
}

/// Whether an emulated server stands in for the engine.
pub(crate) fn is_stood_in(config: &Config, desired: &WorkerDesired) -> bool {
    config.stand_in.is_some() && matches!(desired.engine, EngineKind::Vllm | EngineKind::Llamacpp)
}

/// The command line of a stand-in.
fn stand_in_line(program: &Path, desired: &WorkerDesired, port: u16) -> CommandLine {
    let args = ["stand-in-engine", "--port", &port.to_string(), "--model", &desired.model_id].map(str::to_owned);
    CommandLine { program: program.display().to_string(), args: args.to_vec(), in_container: false }
}

/// The command line. The engine listens on loopback only.
fn command_line(
    desired: &WorkerDesired,
    model: Option<&Downloaded>,
    data: &Path,
    port: u16,
    env_file: Option<&Path>,
) -> Result<CommandLine, StepFailure> {
    let text = |path: &Path| path.display().to_string();
    let folder = model.map(|m| text(&m.folder)).unwrap_or_default();
    let file = model.and_then(|m| m.gguf.as_deref()).map_or_else(|| folder.clone(), text);
    let fill = |arg: &String| {
        arg.replace("{port}", &port.to_string())
            .replace("{host}", "127.0.0.1")
            .replace("{model}", &desired.model_id)
            .replace("{model_dir}", &folder)
            .replace("{model_file}", &file)
            .replace("{context}", &desired.context_tokens.to_string())
    };
    let more = desired.args.iter().map(fill);
    if desired.engine == EngineKind::Command {
        let mut words = desired.command.iter().map(fill);
        let program = words.next().ok_or_else(|| {
            StepFailure::lasting("wrong_arguments", "the engine `command` needs a command; give one after `--`")
        })?;
        let words = words.chain(more);
        return Ok(CommandLine { program, args: words.collect(), in_container: false });
    }
    let mut args: Vec<String> =
        ["run", "--rm", "--name", container::NAME, "--network", "host", "--ipc", "host"].map(str::to_owned).to_vec();
    if desired.gpu_count > 0 {
        args.extend(["--gpus", "all"].map(str::to_owned));
    }
    args.extend(["--volume".to_owned(), format!("{0}:{0}", data.display())]);
    if let Some(file) = env_file {
        args.extend(["--env-file".to_owned(), text(file)]);
    }
    args.extend(container::image(desired.engine, desired.image.as_deref()));
    args.extend(own_args(desired, &folder, &file, port));
    args.extend(more);
    Ok(CommandLine { program: "docker".to_owned(), args, in_container: true })
}

/// The arguments of an engine that follow from what is desired.
fn own_args(desired: &WorkerDesired, folder: &str, file: &str, port: u16) -> Vec<String> {
    let (context, port) = (desired.context_tokens.to_string(), port.to_string());
    let pairs: &[(&str, &str)] = match desired.engine {
        EngineKind::Vllm => &[
            ("--model", folder),
            ("--served-model-name", &desired.model_id),
            ("--host", "127.0.0.1"),
            ("--port", &port),
            ("--max-model-len", &context),
            ("--gpu-memory-utilization", "0.9"),
        ],
        EngineKind::Llamacpp => &[
            ("--model", file),
            ("--alias", &desired.model_id),
            ("--host", "127.0.0.1"),
            ("--port", &port),
            ("--ctx-size", &context),
        ],
        EngineKind::Command | EngineKind::None => &[],
    };
    let mut args: Vec<String> =
        pairs.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect();
    if desired.engine == EngineKind::Vllm && desired.gpu_count > 1 {
        args.extend(["--tensor-parallel-size".to_owned(), desired.gpu_count.to_string()]);
    }
    if desired.engine == EngineKind::Llamacpp && desired.gpu_count > 0 {
        args.extend(["--n-gpu-layers", "999"].map(str::to_owned));
    }
    args
}

/// An engine that was started.
pub(crate) struct Engine {
    child: Child,
    in_container: bool,
    /// Where it listens.
    pub(crate) target: SocketAddr,
    _env: Option<EnvFile>,
}

/// The whole environment of an engine, with secrets.
pub(crate) fn environment(request: &DesiredRequest) -> BTreeMap<String, String> {
    let mut env = request.desired.env.clone();
    env.extend(request.secret_env.clone());
    env
}

impl Engine {
    /// Starts it.
    pub(crate) async fn start(
        state: &Arc<State>,
        config: &Config,
        request: &DesiredRequest,
        model: Option<&Downloaded>,
        data: &Path,
    ) -> Result<Self, StepFailure> {
        let failed = |e: std::io::Error| StepFailure::passing("engine", format!("the engine cannot be started: {e}"));
        let target = free_port().map_err(failed)?;
        let mut env = environment(request);
        env.entry("HF_HOME".to_owned()).or_insert_with(|| data.join("huggingface").display().to_string());
        let desired = &request.desired;
        let file = match desired.engine {
            EngineKind::Vllm | EngineKind::Llamacpp => Some(files::env_file(config, &env)?),
            EngineKind::Command | EngineKind::None => None,
        };
        let stand_in = config.stand_in.as_deref().filter(|_| is_stood_in(config, desired));
        let line = stand_in.map(|program| Ok(stand_in_line(program, desired, target.port())));
        let line = line.unwrap_or_else(|| {
            command_line(desired, model, data, target.port(), file.as_ref().map(|f| f.path.as_path()))
        })?;
        if line.in_container {
            container::remove().await;
        }
        let mut command = Command::new(&line.program);
        command.args(&line.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        if !line.in_container {
            command.envs(&env);
        }
        let mut child = command.spawn().map_err(|e| {
            if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied) {
                return StepFailure::lasting("wrong_arguments", format!("`{}` cannot be run: {e}", line.program));
            }
            failed(e)
        })?;
        state.log.add(LogSource::Worker, &format!("starts {} {}", line.program, line.args.join(" ")));
        copy_lines(Arc::clone(state), child.stdout.take());
        copy_lines(Arc::clone(state), child.stderr.take());
        Ok(Self { child, in_container: line.in_container, target, _env: file })
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> String {
        self.child.wait().await.map_or_else(|e| e.to_string(), described)
    }

    /// Ends it with everything that it started.
    pub(crate) async fn stop(mut self) {
        if self.in_container {
            container::remove().await;
        }
        let Some(group) =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        else {
            return;
        };
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
        let _ = tokio::time::timeout(ENDS_WITHIN, self.child.wait()).await;
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait().await;
    }
}

fn described(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("the engine ended with code {code}"),
        (None, Some(9)) => "the engine was killed (signal 9): the main memory may be full".to_owned(),
        (None, Some(signal)) => format!("the engine was ended by signal {signal}"),
        (None, None) => "the engine ended".to_owned(),
    }
}

fn copy_lines(state: Arc<State>, stream: Option<impl AsyncRead + Unpin + Send + 'static>) {
    if let Some(stream) = stream {
        tokio::spawn(async move { read_lines(stream, |line| state.log.add(LogSource::Engine, line)).await });
    }
}

/// An address on loopback that nothing listens on now.
fn free_port() -> std::io::Result<SocketAddr> {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired(engine: EngineKind) -> WorkerDesired {
        WorkerDesired {
            instance_id: "ins-1".into(),
            model_id: "Qwen/Qwen2.5-7B-Instruct".into(),
            engine,
            context_tokens: 8_192,
            gpu_count: 2,
            image: None,
            args: vec!["--enforce-eager".into()],
            command: Vec::new(),
            env: BTreeMap::from([("TOKENIZERS_PARALLELISM".into(), "false".into())]),
            secrets: BTreeMap::new(),
            data_device: None,
            scratch: None,
        }
    }

    fn line(desired: &WorkerDesired) -> Result<String, StepFailure> {
        let model = Downloaded {
            folder: "/data/models/q/1".into(),
            gguf: Some("/data/models/q/1/q.gguf".into()),
            told: String::new(),
        };
        let line =
            command_line(desired, Some(&model), Path::new("/data"), 4_000, Some(Path::new("/run/i/engine.env")))?;
        Ok(format!("{} {}", line.program, line.args.join(" ")))
    }

    #[test]
    fn engines_listen_on_loopback_and_serve_the_model_under_its_id() {
        let run = "docker run --rm --name inventiv-engine --network host --ipc host --gpus all --volume /data:/data \
                   --env-file /run/i/engine.env";
        assert_eq!(
            line(&desired(EngineKind::Vllm)).unwrap(),
            format!(
                "{run} vllm/vllm-openai:v0.11.0 --model /data/models/q/1 --served-model-name Qwen/Qwen2.5-7B-Instruct \
                 --host 127.0.0.1 --port 4000 --max-model-len 8192 --gpu-memory-utilization 0.9 \
                 --tensor-parallel-size 2 --enforce-eager"
            )
        );
        assert_eq!(
            line(&desired(EngineKind::Llamacpp)).unwrap(),
            format!(
                "{run} ghcr.io/ggml-org/llama.cpp:server-cuda --model /data/models/q/1/q.gguf --alias \
                 Qwen/Qwen2.5-7B-Instruct --host 127.0.0.1 --port 4000 --ctx-size 8192 --n-gpu-layers 999 \
                 --enforce-eager"
            )
        );
    }

    #[test]
    fn a_command_gets_what_it_names() {
        let mut wanted = desired(EngineKind::Command);
        assert_eq!(line(&wanted).unwrap_err().code, "wrong_arguments");
        wanted.command =
            ["serve", "--on", "{host}:{port}", "{model}", "{model_file}", "{context}"].map(str::to_owned).to_vec();
        assert!(needs_model(&wanted));
        wanted.args.clear();
        assert_eq!(
            line(&wanted).unwrap(),
            "serve --on 127.0.0.1:4000 Qwen/Qwen2.5-7B-Instruct /data/models/q/1/q.gguf 8192"
        );
        wanted.command = vec!["serve".into()];
        assert!(!needs_model(&wanted) && needs_model(&desired(EngineKind::Vllm)));
    }
}
