//! The options of the programs that run on servers.

use clap::{Args, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;

/// The worker on a server.
#[derive(Args)]
pub(crate) struct WorkerArgs {
    /// Folder with authority.pem, certificate.pem and key.pem.
    #[arg(long, default_value = "/etc/inventiv/tls")]
    pub(crate) tls: PathBuf,
    /// Address to listen on.
    #[arg(long, default_value = "::")]
    pub(crate) listen: IpAddr,
    /// Port to listen on.
    #[arg(long, default_value_t = 8443)]
    pub(crate) port: u16,
}

/// An emulated server.
#[derive(Args)]
pub(crate) struct EmulatedServer {
    /// Receive the program from the control plane, as a server does: needs python3. Otherwise this program is the worker.
    #[arg(long)]
    pub(crate) bootstrap: bool,
}

/// How a stand-in misbehaves.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Misbehaviour {
    /// It ends with a message about GPU memory.
    OutOfMemory,
    /// It listens and never answers a question.
    NeverReady,
    /// It ends in the middle of its third answer.
    Crash,
    /// It answers the first questions, and then no more.
    Hang,
}

/// A stand-in for an engine.
#[derive(Args)]
pub(crate) struct StandInEngine {
    /// Port to listen on.
    #[arg(long)]
    pub(crate) port: u16,
    /// Id of the model that it stands in for.
    #[arg(long, default_value = "a model")]
    pub(crate) model: String,
    /// How long it pretends to load, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pub(crate) load_ms: u64,
    /// How long each word of an answer takes, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pub(crate) token_ms: u64,
    /// How it misbehaves.
    #[arg(long, value_enum)]
    pub(crate) fault: Option<Misbehaviour>,
}
