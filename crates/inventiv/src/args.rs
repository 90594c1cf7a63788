//! The command line.

mod engine;
mod gateway;
mod money;
mod resources;
mod service;
mod times;
mod worker;

pub(crate) use gateway::{CreateKeyArgs, KeyCommand};
pub(crate) use money::{CostArgs, GroupBy, LimitCommand, PriceCommand};
pub(crate) use resources::{
    AccountCommand, Create, ImageCommand, InstanceCommand, ModelCommand, OfferCommand, SecretCommand, VolumeCommand,
    Wait,
};
pub(crate) use service::{CreateServiceArgs, Scaling, ServiceCommand, UpdateServiceArgs};
pub(crate) use worker::{EmulatedServer, Misbehaviour, StandInEngine, WorkerArgs};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Rent GPU instances, track every volume, leave nothing behind.
///
/// Exit codes: 0 success; 1 local error; 2 usage error; 3 not found; 4 refused; 5 the control plane is unreachable or
/// unavailable; 6 the instance failed; 7 time-out; 8 something is left behind; 130 interrupted.
#[derive(Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Output format: tables for people (wide: all columns); JSON, YAML or names for programs.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

impl Output {
    /// Whether a program reads the output: then only the result goes to standard output.
    pub(crate) fn is_for_programs(self) -> bool {
        !matches!(self, Self::Table | Self::Wide)
    }
}

/// How to find the control plane. Not clap's `env`: usage lines would show variables that are set as required options.
#[derive(Args)]
pub(crate) struct Connection {
    /// URL of the control plane [env: INVENTIV_URL] [default: http://127.0.0.1:8080].
    #[arg(long, global = true)]
    url: Option<String>,
    /// Token of the control plane. Other users of this machine can see it here: prefer the file.
    #[arg(long, global = true, hide = true)]
    token: Option<String>,
    /// Token file of the control plane [env: INVENTIV_TOKEN_FILE]; INVENTIV_TOKEN may hold the token itself.
    #[arg(long, global = true)]
    token_file: Option<PathBuf>,
}

/// Which account a command is about.
#[derive(Args)]
pub(crate) struct OfAccount {
    /// Account, by its name or id; creating, offers, images and audits need it if there are several [env: INVENTIV_ACCOUNT].
    #[arg(long, global = true)]
    account: Option<String>,
}

impl OfAccount {
    /// The account that was named.
    pub(crate) fn name(&self) -> Option<String> {
        self.account.clone().or_else(|| variable("INVENTIV_ACCOUNT"))
    }
}

/// The default URL of the control plane.
const URL: &str = "http://127.0.0.1:8080";

impl Connection {
    /// The URL of the control plane.
    pub(crate) fn url(&self) -> String {
        self.url.clone().or_else(|| variable("INVENTIV_URL")).unwrap_or_else(|| URL.to_owned())
    }

    /// The token, if it was given directly.
    pub(crate) fn token(&self) -> Option<String> {
        self.token.clone().or_else(|| variable("INVENTIV_TOKEN"))
    }

    /// The token file, if it was given.
    pub(crate) fn token_file(&self) -> Option<PathBuf> {
        self.token_file.clone().or_else(|| variable("INVENTIV_TOKEN_FILE").map(PathBuf::from))
    }
}

/// An empty variable counts as not set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the control plane: API and orchestrator in one process.
    Serve(Serve),
    /// Run two instance life cycles and a service against an emulated cloud, and prove that nothing is left behind.
    Demo(Demo),
    /// Check the provider behaviour that the product relies on: on an emulated cloud or, with --live, on your account.
    Doctor(Doctor),
    /// Create, list, show, log in to and terminate instances.
    Instance {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        account: OfAccount,
        #[command(subcommand)]
        command: InstanceCommand,
    },
    /// List and show volumes, retain or release them.
    Volume {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: VolumeCommand,
    },
    /// List the server types that can be rented.
    Offer {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: OfferCommand,
    },
    /// List the images that servers can be created from.
    Image {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// Show what runs, what it costs, and what needs a person.
    Status {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        account: OfAccount,
    },
    /// Show what was spent, at list prices without VAT.
    Cost(CostArgs),
    /// List the prices that costs are calculated from.
    Price {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: PriceCommand,
    },
    /// Limit what may run and be spent.
    Limit {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: LimitCommand,
    },
    /// Compare the cloud with the records, in both directions: orphans, and resources that have disappeared.
    ///
    /// Exits with 8 if anything is wrong, and with 5 if the result is inconclusive. Deletes nothing without --fix.
    Audit(Audit),
    /// Rebuild a lost or restored database from the names and tags in the cloud.
    ///
    /// Shows a plan, and writes it to the database only with --apply. Changes nothing in the cloud.
    Recover(Recover),
    /// Upgrade the schema of a database, or move all data from SQLite to PostgreSQL.
    Migrate(Migrate),
    /// List provider accounts with what each still owns, and remove empty ones from the list.
    Account {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Follow instances: all living ones, then every change as it happens, until interrupted.
    ///
    /// With --output json, prints one event per line: its kind, its id (for --after) and the instance.
    Watch(Watch),
    /// Explain an instance: desired state, recorded state, what it waits for, and the next steps.
    Explain {
        /// Instance name, id or unique id prefix.
        id: String,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        account: OfAccount,
    },
    /// Manage models and the size of their data volumes.
    Model {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Manage secrets: texts that the control plane stores sealed and never shows.
    Secret {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: SecretCommand,
    },
    /// Create, list, change and delete services: models that are kept answering by as many instances as their load needs.
    Service {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: ServiceCommand,
    },
    /// Manage API keys, for clients that ask models.
    Key {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Run the worker on a server with a GPU. A control plane installs it; systemd starts it.
    Worker(WorkerArgs),
    /// Behave like a server that boots: the command for `scaleway-emulator --boot`.
    #[command(hide = true)]
    EmulatedServer(EmulatedServer),
    /// A stand-in for an engine: it loads no model, and says so in each answer.
    #[command(hide = true)]
    StandInEngine(StandInEngine),
    /// Print shell completions; load them with `source <(inventiv completions bash)`.
    Completions {
        /// The shell to complete commands in.
        shell: clap_complete::Shell,
    },
    /// Print the manual page; read it with `inventiv man | man -l -`.
    Man,
}

#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) account: OfAccount,
    /// Follow only this instance: name, id or unique id prefix.
    pub(crate) id: Option<String>,
    /// Follow only instances in this zone.
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Resume after the event with this id; this includes instances that have ended since.
    #[arg(long)]
    pub(crate) after: Option<String>,
}

#[derive(Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) account: OfAccount,
    /// Show the results of the last audits instead of starting new ones.
    #[arg(long)]
    pub(crate) last: bool,
    /// Offer each orphan to its instance again, which adopts or deletes it.
    #[arg(long, conflicts_with = "last")]
    pub(crate) fix: bool,
    /// What to do with orphans that no instance adopts; delete: after an hour of quarantine, if they still are orphans.
    #[arg(long, value_enum, default_value_t = OrphanPolicy::Report, requires = "fix")]
    pub(crate) policy: OrphanPolicy,
    /// Maximum number of orphans to delete at once; by default 10, and at most a fifth of our resources.
    #[arg(long, requires = "fix", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) max: Option<u32>,
    /// How long to wait for the new audits, in seconds.
    #[arg(long, default_value_t = 300)]
    pub(crate) timeout: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrphanPolicy {
    Report,
    Delete,
}

#[derive(Args)]
pub(crate) struct Recover {
    /// Id of the control plane to recover, as in `inventiv serve --control-plane`.
    #[arg(long = "from-provider", value_name = "CONTROL_PLANE")]
    pub(crate) control_plane: String,
    /// Database: `sqlite:FILE` or `postgres://…`; by default a SQLite file in the state folder.
    #[arg(long, env = "INVENTIV_DATABASE_URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Account to search: a cloud, or a cloud and a profile of its config file, as in `scaleway:dev`.
    #[arg(long, value_name = "CLOUD[:PROFILE]", default_value = crate::accounts::DEFAULT)]
    pub(crate) account: String,
    /// Zones to search, comma-separated; by default the usual zones of the cloud.
    #[arg(long, env = "INVENTIV_ZONES", value_delimiter = ',')]
    pub(crate) zones: Vec<String>,
    /// Write the plan to the database.
    #[arg(long)]
    pub(crate) apply: bool,
}

#[derive(Args)]
pub(crate) struct Migrate {
    /// Database: `sqlite:FILE` or `postgres://…`; by default a SQLite file in the state folder.
    #[arg(long, env = "INVENTIV_DATABASE_URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Only report the state of the schema; exits with 4 if it is not up to date.
    #[arg(long, conflicts_with = "from")]
    pub(crate) check: bool,
    /// Move every row of this SQLite file; stop its control plane first.
    #[arg(long, requires = "to", value_name = "sqlite:FILE")]
    pub(crate) from: Option<String>,
    /// Empty PostgreSQL database to move the rows to; they are compared there.
    #[arg(long, requires = "from", value_name = "postgres://…")]
    pub(crate) to: Option<String>,
}

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

#[derive(Args)]
pub(crate) struct Demo {
    /// Keep running afterwards, and print addresses and commands to paste.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Speed of the emulated cloud's clock: real, xN or instant.
    #[arg(long, default_value = "x10", value_parser = scaleway_emulator::options::ClockMode::parse)]
    pub(crate) clock: scaleway_emulator::options::ClockMode,
}

#[derive(Args)]
pub(crate) struct Doctor {
    /// Run on your account (SCW_* or the config file): shows the small resources it creates and their cost, then asks.
    #[arg(long)]
    pub(crate) live: bool,
    /// Account to check with --live: a cloud, or a cloud and a profile of its config file, as in `scaleway:dev`.
    #[arg(long, value_name = "CLOUD[:PROFILE]", default_value = crate::accounts::DEFAULT)]
    pub(crate) account: String,
    /// Maximum cost, in euros.
    #[arg(long, default_value_t = 1.0, value_parser = euros)]
    pub(crate) max_eur: f64,
    /// Zone to run in.
    #[arg(long, default_value = "fr-par-2")]
    pub(crate) zone: String,
    /// Do not ask for confirmation.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Record every HTTP exchange, without secrets, in this new file (*.jsonl.gz).
    #[arg(long)]
    pub(crate) record: Option<PathBuf>,
}

impl Doctor {
    /// The maximum cost, in micro-euros.
    #[expect(clippy::cast_possible_truncation, reason = "at most a thousand euros")]
    pub(crate) fn max_eur_micros(&self) -> i64 {
        (self.max_eur * 1e6) as i64
    }
}

fn connections(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(|| "must be from 1 to 1000000".to_owned())
}

fn euros(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|e| (0.0..=1_000.0).contains(e)).ok_or_else(|| "must be from 0 to 1000".to_owned())
}
