//! The command line.

mod resources;

pub(crate) use resources::{
    AccountCommand, Create, ImageCommand, InstanceCommand, ModelCommand, OfferCommand, VolumeCommand,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Rent GPU instances, know every volume, leave nothing behind.
///
/// Exit codes: 0 done; 1 something went wrong here; 2 wrong usage; 3 not found; 4 refused; 5 the server cannot be
/// reached or cannot serve now; 6 the instance failed; 7 it took too long; 8 something is left behind; 130 interrupted.
#[derive(Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Tables for people (wide: with everything), JSON, YAML or names for programs.
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
    /// Something reads it: nothing but the result belongs on standard output.
    pub(crate) fn is_for_programs(self) -> bool {
        !matches!(self, Self::Table | Self::Wide)
    }
}

/// How to find the server. The environment is read by hand: clap would show what stands there as if it had to be given.
#[derive(Args)]
pub(crate) struct Connection {
    /// Where the server is [env: INVENTIV_URL] [default: http://127.0.0.1:8080].
    #[arg(long, global = true)]
    url: Option<String>,
    /// The server's token. Other users of this machine can see it here: prefer the file.
    #[arg(long, global = true, hide = true)]
    token: Option<String>,
    /// Where the server keeps its token [env: INVENTIV_TOKEN_FILE]; INVENTIV_TOKEN may hold the token itself.
    #[arg(long, global = true)]
    token_file: Option<PathBuf>,
}

/// Where a server is unless it is said.
const URL: &str = "http://127.0.0.1:8080";

impl Connection {
    /// The server's address.
    pub(crate) fn url(&self) -> String {
        self.url.clone().or_else(|| variable("INVENTIV_URL")).unwrap_or_else(|| URL.to_owned())
    }

    /// The token, if it was given by itself.
    pub(crate) fn token(&self) -> Option<String> {
        self.token.clone().or_else(|| variable("INVENTIV_TOKEN"))
    }

    /// The token file, if it was named.
    pub(crate) fn token_file(&self) -> Option<PathBuf> {
        self.token_file.clone().or_else(|| variable("INVENTIV_TOKEN_FILE").map(PathBuf::from))
    }
}

/// An empty variable says nothing.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server: API and orchestrator in one process.
    Serve(Serve),
    /// Show two instance life cycles against a emulated cloud, and prove that nothing is left.
    Demo(Demo),
    /// Show that the provider does what we rely on: on a emulated cloud or, with --live, on your own account.
    Doctor(Doctor),
    /// Create, list, show and terminate instances.
    Instance {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: InstanceCommand,
    },
    /// List and show volumes, keep them or let them go.
    Volume {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: VolumeCommand,
    },
    /// List what can be rented.
    Offer {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: OfferCommand,
    },
    /// List images that servers can be made from.
    Image {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// Compare what the cloud holds with what is recorded, both ways: what nobody wants, and what has disappeared.
    ///
    /// Exit code 8 when something is not as it should be, 5 when it cannot be said. Nothing is deleted, unless you say so.
    Audit(Audit),
    /// Rebuild a lost or restored database from the names and tags in the cloud.
    ///
    /// Shows a plan, and writes it only with --apply. Nothing in the cloud is changed: nothing is started, nothing deleted.
    Recover(Recover),
    /// Bring a database's schema up to date, or move everything from SQLite to PostgreSQL.
    Migrate(Migrate),
    /// List provider accounts with what each still owns, and take empty ones off the list.
    Account {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Follow instances: all that live, then every change as it happens, until it is interrupted.
    ///
    /// With --output json, one event a line: its kind, its id (for --after) and the instance.
    Watch(Watch),
    /// Say what an instance wants, has and waits for, and what it will do next.
    Explain {
        /// The instance's id, a unique beginning of it, or its name.
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Add models, list and change them: how large the data volume for each is.
    Model {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Print what a shell needs to complete commands, for instance `source <(inventiv completions bash)`.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, for instance `inventiv man | man -l -`.
    Man,
}

#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Only this instance: its id, a unique beginning of it, or its name.
    pub(crate) id: Option<String>,
    /// Only in this zone.
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Go on after the event with this id: what ended since is told, too.
    #[arg(long)]
    pub(crate) after: Option<String>,
}

#[derive(Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Show what the last audits found, instead of making new ones.
    #[arg(long)]
    pub(crate) last: bool,
    /// Show orphans to their instances again, which take up or take away what is theirs.
    #[arg(long, conflicts_with = "last")]
    pub(crate) fix: bool,
    /// What becomes of orphans that no instance takes up; delete: after an hour of quarantine, if they are orphans still.
    #[arg(long, value_enum, default_value_t = OrphanPolicy::Report, requires = "fix")]
    pub(crate) policy: OrphanPolicy,
    /// How many orphans may be deleted at once; 10, and no more than a fifth of what is ours, if left out.
    #[arg(long, requires = "fix", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) max: Option<u32>,
    /// How long to wait for new ones, in seconds.
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
    /// The id of the control plane whose names are looked for, as `inventiv serve --control-plane` had it.
    #[arg(long = "from-provider", value_name = "CONTROL_PLANE")]
    pub(crate) control_plane: String,
    /// `sqlite:FILE` or `postgres://…`; a SQLite file in the state folder if left out.
    #[arg(long, env = "INVENTIV_DATABASE_URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// The zones to look in, comma-separated.
    #[arg(long, env = "INVENTIV_ZONES", value_delimiter = ',', default_value = "fr-par-1,fr-par-2,pl-waw-2")]
    pub(crate) zones: Vec<String>,
    /// Write the plan down.
    #[arg(long)]
    pub(crate) apply: bool,
}

#[derive(Args)]
pub(crate) struct Migrate {
    /// `sqlite:FILE` or `postgres://…`; a SQLite file in the state folder if left out.
    #[arg(long, env = "INVENTIV_DATABASE_URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Only say how it stands; exit code 4 when it is not up to date.
    #[arg(long, conflicts_with = "from")]
    pub(crate) check: bool,
    /// Move every row of this SQLite file, whose server is stopped …
    #[arg(long, requires = "to", value_name = "sqlite:FILE")]
    pub(crate) from: Option<String>,
    /// … to this empty PostgreSQL database, and compare them there.
    #[arg(long, requires = "from", value_name = "postgres://…")]
    pub(crate) to: Option<String>,
}

#[derive(Args)]
pub(crate) struct Serve {
    /// Where to listen. Anything but loopback lets others try the token.
    #[arg(long, env = "INVENTIV_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// `sqlite:FILE` or `postgres://…`; a SQLite file in the state folder if left out.
    #[arg(long, env = "INVENTIV_DATABASE_URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Where the token is kept, and made if there is none; in the state folder if left out.
    #[arg(long, env = "INVENTIV_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// This control plane's id: 1 to 16 of a-z and 0-9. It is part of every name in the cloud; never change it.
    #[arg(long, env = "INVENTIV_CONTROL_PLANE", default_value = "main")]
    pub(crate) control_plane: String,
    /// The zones to work in, comma-separated.
    #[arg(long, env = "INVENTIV_ZONES", value_delimiter = ',', default_value = "fr-par-1,fr-par-2,pl-waw-2")]
    pub(crate) zones: Vec<String>,
    /// How many provider calls a second at the most.
    #[arg(long, env = "INVENTIV_CALLS_PER_SECOND", default_value_t = 20.0)]
    pub(crate) calls_per_second: f64,
    /// The size of every data volume in GB, whatever requests and models say.
    #[arg(long, env = "WORKER_DATA_VOLUME_GB", value_parser = clap::value_parser!(i64).range(0..=10_000))]
    pub(crate) worker_data_volume_gb: Option<i64>,
    /// How long a creation whose answer was lost may still turn up, in seconds, before it is tried anew. Under 120 only
    /// against an emulator.
    #[arg(long, env = "INVENTIV_CREATE_GRACE_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(i64).range(1..=86_400))]
    pub(crate) create_grace_seconds: i64,
    /// How old what the cloud shows may be, in seconds: an absence is believed, and a proof confirmed, only by reads that
    /// are further apart. Left out: as the provider says, 60 for Scaleway. Under 10 only against an emulator.
    #[arg(long, env = "INVENTIV_CONSISTENCY_WINDOW_SECONDS", value_parser = clap::value_parser!(i64).range(0..=3_600))]
    pub(crate) consistency_window_seconds: Option<i64>,
    /// What becomes of orphans that no instance takes up; delete: after an hour of quarantine, if they are orphans still.
    #[arg(long, env = "INVENTIV_ORPHAN_POLICY", value_enum, default_value_t = OrphanPolicy::Report)]
    pub(crate) orphan_policy: OrphanPolicy,
    /// On PostgreSQL: after how long another server takes over the zones of one that is silent, in seconds.
    #[arg(long, env = "INVENTIV_LEASE_SECONDS", default_value_t = 10.0)]
    pub(crate) lease_seconds: f64,
    /// How long lines of the action log are kept at least that belong to no proof, in days, once their instance has ended: they
    /// go by whole months (UTC); for ever if left out.
    #[arg(long, env = "INVENTIV_ACTION_LOG_RETENTION_DAYS", value_parser = clap::value_parser!(i64).range(1..=36_500))]
    pub(crate) action_log_retention_days: Option<i64>,
    /// How many connections may be open at once.
    #[arg(long, env = "INVENTIV_MAX_CONNECTIONS", default_value_t = 2_048, value_parser = connections)]
    pub(crate) max_connections: usize,
    /// How many of them from one address; a proxy is one address.
    #[arg(long, env = "INVENTIV_MAX_CONNECTIONS_PER_ADDRESS", default_value_t = 1_024, value_parser = connections)]
    pub(crate) max_connections_per_address: usize,
    /// On loopback, a `Host` header must name this machine. Other host names that are accepted, for instance a proxy's; may be
    /// given several times.
    #[arg(long = "allowed-host", env = "INVENTIV_ALLOWED_HOSTS", value_delimiter = ',', value_name = "NAME")]
    pub(crate) allowed_hosts: Vec<String>,
    /// Log lines as text or JSON.
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
    /// Stay up afterwards, with addresses and commands to paste.
    #[arg(long)]
    pub(crate) keep: bool,
    /// How fast the emulated cloud's time passes: real, xN or instant.
    #[arg(long, default_value = "x10", value_parser = scaleway_emulator::options::ClockMode::parse)]
    pub(crate) clock: scaleway_emulator::options::ClockMode,
}

#[derive(Args)]
pub(crate) struct Doctor {
    /// On the account that SCW_* or the config file name: it makes the smallest things, says so first, and asks.
    #[arg(long)]
    pub(crate) live: bool,
    /// The most that it may cost, in euros.
    #[arg(long, default_value_t = 1.0, value_parser = euros)]
    pub(crate) max_eur: f64,
    /// Where.
    #[arg(long, default_value = "fr-par-2")]
    pub(crate) zone: String,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Write every exchange into this new file, without secrets (*.jsonl.gz).
    #[arg(long)]
    pub(crate) record: Option<PathBuf>,
}

impl Doctor {
    /// The most that it may cost, in micro-euros.
    #[expect(clippy::cast_possible_truncation, reason = "at most a thousand euros")]
    pub(crate) fn max_eur_micros(&self) -> i64 {
        (self.max_eur * 1e6) as i64
    }
}

fn connections(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(|| "a number from 1 to 1000000".to_owned())
}

fn euros(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|e| (0.0..=1_000.0).contains(e)).ok_or_else(|| "an amount from 0 to 1000".to_owned())
}
