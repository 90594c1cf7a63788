//! Arguments of the commands on databases and credentials.

use clap::Args;
use std::path::PathBuf;

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

fn euros(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|e| (0.0..=1_000.0).contains(e)).ok_or_else(|| "must be from 0 to 1000".to_owned())
}
