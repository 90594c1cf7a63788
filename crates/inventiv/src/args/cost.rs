//! Commands on costs and prices.

use super::{Connection, OfAccount};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use inventiv_core::cost_group::CostGroup;
use inventiv_core::time::Timestamp;

#[derive(Args)]
pub(crate) struct CostArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) account: OfAccount,
    /// Since when: a date in UTC, a time, or a duration back from now, such as 7d; by default since the month began.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub(crate) from: Option<When>,
    /// Until when; by default until now.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub(crate) to: Option<When>,
    /// What to group by; `sku`: server type or kind of storage, `class`: why it is charged, `day`: in UTC.
    #[arg(long, default_value = CostGroup::Instance.text(), value_parser = groups())]
    pub(crate) by: CostGroup,
    /// Only of this instance: name, id or unique id prefix.
    #[arg(long)]
    pub(crate) instance: Option<String>,
    /// Only of this service, by name or id.
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// Print comma-separated values, with amounts in millionths.
    #[arg(long, conflicts_with = "output")]
    pub(crate) csv: bool,
    /// Print every resource, day and price as comma-separated values in the columns of FOCUS 1.2.
    #[arg(long, conflicts_with_all = ["output", "csv", "by"])]
    pub(crate) focus: bool,
}

#[derive(Args)]
pub(crate) struct BillArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) account: OfAccount,
    /// The month in UTC, such as 2026-11; by default the current one.
    #[arg(long, value_name = "YYYY-MM")]
    pub(crate) month: Option<String>,
    /// Also list the resources about which the bill and the ledger agree.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Subcommand)]
pub(crate) enum PriceCommand {
    /// List prices with their source, in the unit that the provider bills.
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        account: OfAccount,
        /// Only prices in this zone.
        #[arg(long)]
        zone: Option<String>,
        /// Include prices that no longer hold.
        #[arg(long)]
        past: bool,
    },
}

/// The words of what costs are grouped by.
fn groups() -> impl TypedValueParser<Value = CostGroup> {
    let words = CostGroup::ALL.iter().map(|group| group.text());
    PossibleValuesParser::new(words).try_map(|word| CostGroup::parse(&word).ok_or("it is none of these words"))
}

/// A time that was given as such, or relative to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    At(Timestamp),
    /// So many seconds ago.
    Ago(i64),
}

impl When {
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(seconds) => now.plus_ms(seconds.saturating_mul(-1_000)),
        }
    }
}

/// A date such as `2026-07-01`, a time such as `2026-07-01T08:00:00Z`, or a duration such as `7d`.
fn when(text: &str) -> Result<When, String> {
    let day = || Timestamp::parse(&format!("{text}T00:00:00Z")).map(When::At);
    let ago = || super::times::seconds(text).ok().filter(|s| *s < 100 * 366 * 86_400).map(When::Ago);
    let found = Timestamp::parse(text).map(When::At).or_else(day).or_else(ago);
    found.ok_or_else(|| "must look like 2026-07-01, 2026-07-01T08:00:00Z, 7d or 12h".to_owned())
}

#[cfg(test)]
mod tests;
