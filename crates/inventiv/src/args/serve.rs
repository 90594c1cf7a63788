//! Arguments of `inventiv serve`.

use super::OrphanPolicy;
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Serve {
    /// Address to listen on. Beyond loopback, other machines can try to guess the token.
    #[arg(long, env = "INVENTIV_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Another address to listen on, only for the models' API under `/v1`; it is always on `--listen`, too.
    #[arg(long, env = "INVENTIV_GATEWAY_LISTEN", value_name = "ADDRESS")]
    pub(crate) gateway_listen: Option<SocketAddr>,
    /// Database: `sqlite:FILE` or `postgres://…`; by default a SQLite file in the state folder.
    #[arg(long, env = "INVENTIV_DATABASE_URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Token file, created if missing; by default in the state folder.
    #[arg(long, env = "INVENTIV_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Key file that seals secrets, created if missing; by default `key` beside the token file.
    #[arg(long, env = "INVENTIV_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Id of this control plane: 1 to 16 of a-z and 0-9. It is part of every name in the cloud: never change it.
    #[arg(long, env = "INVENTIV_CONTROL_PLANE", default_value = "main")]
    pub(crate) control_plane: String,
    /// Account to work in: a cloud, whose credentials are read as its official client reads them, or a cloud and a
    /// profile of its config file, as in `scaleway:dev`. Repeat it to work in several accounts.
    #[arg(long = "account", env = "INVENTIV_ACCOUNTS", value_delimiter = ',', value_name = "CLOUD[:PROFILE]", default_value = crate::accounts::DEFAULT)]
    pub(crate) accounts: Vec<String>,
    /// Zones to work in, comma-separated; by default the usual zones of each cloud.
    #[arg(long, env = "INVENTIV_ZONES", value_delimiter = ',')]
    pub(crate) zones: Vec<String>,
    /// Maximum provider calls per second and account; by default what is usual for the cloud (Scaleway: 20).
    #[arg(long, env = "INVENTIV_CALLS_PER_SECOND")]
    pub(crate) calls_per_second: Option<f64>,
    /// Program that is installed on servers with a model; by default this executable. It must run on x86-64 Linux.
    #[arg(long, env = "INVENTIV_WORKER_BINARY", value_name = "FILE")]
    pub(crate) worker_binary: Option<PathBuf>,
    /// How long an instance whose model will not answer is left for inspection, in seconds, before it ends.
    #[arg(long, env = "INVENTIV_STARTUP_FAILURE_TTL_SECONDS", default_value_t = 900,
        value_parser = clap::value_parser!(i64).range(0..=86_400))]
    pub(crate) startup_failure_ttl_seconds: i64,
    /// Size of every data volume in GB; overrides requests and models.
    #[arg(long, env = "WORKER_DATA_VOLUME_GB", value_parser = clap::value_parser!(i64).range(0..=10_000))]
    pub(crate) worker_data_volume_gb: Option<i64>,
    /// How long an unconfirmed creation may still take effect, in seconds, before it is retried. Less than 120 only
    /// against an emulator.
    #[arg(long, env = "INVENTIV_CREATE_GRACE_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(i64).range(1..=86_400))]
    pub(crate) create_grace_seconds: i64,
    /// Consistency window: maximum age of what the cloud shows, in seconds. Only reads that are further apart prove an
    /// absence or confirm a proof. By default the provider's value, 60 for Scaleway. Less than 10 only against an
    /// emulator.
    #[arg(long, env = "INVENTIV_CONSISTENCY_WINDOW_SECONDS", value_parser = clap::value_parser!(i64).range(0..=3_600))]
    pub(crate) consistency_window_seconds: Option<i64>,
    /// What to do with orphans that no instance adopts; delete: after an hour of quarantine, if they still are orphans.
    #[arg(long, env = "INVENTIV_ORPHAN_POLICY", value_enum, default_value_t = OrphanPolicy::Report)]
    pub(crate) orphan_policy: OrphanPolicy,
    /// Lease duration on PostgreSQL: a replica that is silent for so many seconds loses its zones to others.
    #[arg(long, env = "INVENTIV_LEASE_SECONDS", default_value_t = 10.0)]
    pub(crate) lease_seconds: f64,
    /// Minimum age, in days, of action log lines to delete. Only lines of ended instances that belong to no proof are
    /// deleted. By default nothing is deleted.
    #[arg(long, env = "INVENTIV_ACTION_LOG_RETENTION_DAYS", value_parser = clap::value_parser!(i64).range(1..=36_500))]
    pub(crate) action_log_retention_days: Option<i64>,
    /// Maximum open connections.
    #[arg(long, env = "INVENTIV_MAX_CONNECTIONS", default_value_t = 2_048, value_parser = connections)]
    pub(crate) max_connections: usize,
    /// Maximum open connections per address; a proxy counts as one address.
    #[arg(long, env = "INVENTIV_MAX_CONNECTIONS_PER_ADDRESS", default_value_t = 1_024, value_parser = connections)]
    pub(crate) max_connections_per_address: usize,
    /// Additional host name to accept, for example a proxy's; repeatable. On loopback, a `Host` header must otherwise
    /// name this machine.
    #[arg(long = "allowed-host", env = "INVENTIV_ALLOWED_HOSTS", value_delimiter = ',', value_name = "NAME")]
    pub(crate) allowed_hosts: Vec<String>,
    /// Log format.
    #[arg(long, env = "INVENTIV_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

fn connections(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(|| "must be from 1 to 1000000".to_owned())
}
