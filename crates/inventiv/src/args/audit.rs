//! Arguments of `inventiv audit`.

use super::{Connection, OfAccount};
use clap::{Args, ValueEnum};

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
