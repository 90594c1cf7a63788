//! Commands on services.

use super::OfAccount;
use super::engine::ServingArgs;
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum ServiceCommand {
    /// Show plan and price, ask, create a service, and wait until its model answers.
    Create(Box<CreateServiceArgs>),
    /// List services.
    #[command(visible_alias = "ls")]
    List,
    /// Show a service with its replicas.
    #[command(visible_alias = "get")]
    Show {
        /// Service name or id.
        service: String,
    },
    /// Change a service. Changes that need new replicas replace them one by one.
    Update(Box<UpdateServiceArgs>),
    /// Keep at least one replica running for a time, whether anybody asks or not.
    Warm {
        /// Service name or id.
        service: String,
        /// For how long: 90s, 30m, 8h, 2d; by default as long as the service waits before it becomes idle.
        #[arg(long = "for", value_name = "DURATION", value_parser = super::times::seconds)]
        seconds: Option<i64>,
        #[command(flatten)]
        wait: super::Wait,
    },
    /// Set when a service ends by itself.
    Extend {
        /// Service name or id.
        service: String,
        #[command(flatten)]
        ttl: super::resources::Ttl,
    },
    /// Delete a service: its replicas finish what they are answering, and end.
    #[command(visible_alias = "rm")]
    Delete {
        /// Service name or id.
        service: String,
        #[command(flatten)]
        wait: super::Wait,
    },
    /// Show what the engine, the worker and the installation of a replica wrote.
    #[command(visible_alias = "log")]
    Logs {
        /// Service name or id.
        service: String,
        /// Replica, by instance name or id; by default the newest.
        #[arg(long)]
        replica: Option<String>,
        /// Go on with new lines until Ctrl-C.
        #[arg(long, short)]
        follow: bool,
        /// Only lines from one source.
        #[arg(long, value_parser = ["engine", "worker", "install"])]
        source: Option<String>,
        /// At most so many of the last lines.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
        tail: u32,
    },
    /// Show requests and tokens of a service, by hour.
    Usage {
        /// Service name or id; by default all.
        service: Option<String>,
        /// How far back: 90m, 8h, 7d.
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = super::times::seconds)]
        since: i64,
        /// Only of this key, by id.
        #[arg(long)]
        key: Option<String>,
    },
}

/// How many replicas there are, and where.
#[derive(Args)]
pub(crate) struct Scaling {
    /// Least number of replicas; by default 0: none while nobody asks.
    #[arg(long, value_name = "N")]
    pub(crate) min: Option<u32>,
    /// Largest number of replicas; by default 1.
    #[arg(long, value_name = "N")]
    pub(crate) max: Option<u32>,
    /// Requests that a replica answers at once before another one is created; by default 16.
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<u32>,
    /// How long after the last request the last replica ends, with --min 0: 90s, 30m, 8h; by default 30m.
    #[arg(long, value_name = "DURATION", value_parser = super::times::seconds)]
    pub(crate) idle: Option<i64>,
    /// How long fewer replicas must suffice before one ends; by default 5m.
    #[arg(long, value_name = "DURATION", value_parser = super::times::seconds)]
    pub(crate) scale_down: Option<i64>,
    /// Zone that replicas may be created in; repeat for several; by default every zone.
    #[arg(long = "zone", value_name = "ZONE")]
    pub(crate) zones: Vec<String>,
    /// Server type of replicas, the preferred one first; repeat for several; by default the cheapest that the model fits.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// Size of each data volume in GB; 0: none; by default as recommended for the model.
    #[arg(long)]
    pub(crate) data_volume_gb: Option<i64>,
    /// Image of the servers: label or id; by default the one for the provider.
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// Tag for the servers and volumes; repeat for several.
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Use types although the model does not fit their GPUs.
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) engine: ServingArgs,
}

#[derive(Args)]
pub(crate) struct CreateServiceArgs {
    /// Model id, for example Qwen/Qwen2.5-7B-Instruct.
    pub(crate) model: String,
    /// Name, which clients may use as `model`; by default made from the model id.
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) account: OfAccount,
    /// Return when the service is recorded; do not wait until its model answers.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait at most, in seconds.
    #[arg(long, default_value_t = 3_600)]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) ttl: super::resources::NewTtl,
    #[command(flatten)]
    pub(crate) scaling: Scaling,
}

#[derive(Args)]
pub(crate) struct UpdateServiceArgs {
    /// Service name or id.
    pub(crate) service: String,
    #[command(flatten)]
    pub(crate) scaling: Scaling,
}
