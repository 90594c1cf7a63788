//! Commands on sessions: tokens that expire.

use super::times::seconds;
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum SessionCommand {
    /// Create a session and print its token, once; it works like the operator's token until it expires.
    Create(CreateSessionArgs),
    /// List sessions that have not expired.
    #[command(visible_alias = "ls")]
    List,
    /// End a session: its token is refused from now on.
    End {
        /// Session id.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        session: Option<String>,
        /// End every session: only the operator's token works from now on.
        #[arg(long)]
        all: bool,
    },
}

#[derive(Args)]
pub(crate) struct CreateSessionArgs {
    /// What to call it, for instance who uses it.
    #[arg(long, default_value = "session")]
    pub(crate) name: String,
    /// Allow reading only.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// How long it is valid: 90s, 30m, 8h or 7d; by default 12 hours.
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    pub(crate) ttl: Option<i64>,
}
