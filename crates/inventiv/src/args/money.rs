//! Commands on costs and prices.

use super::{Connection, OfAccount};
use clap::{Args, Subcommand, ValueEnum};
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
    /// What to group by.
    #[arg(long, value_enum, default_value_t = GroupBy::Instance)]
    pub(crate) by: GroupBy,
    /// Only of this instance: name, id or unique id prefix.
    #[arg(long)]
    pub(crate) instance: Option<String>,
    /// Only of this service, by name or id.
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// Print comma-separated values, with amounts in millionths.
    #[arg(long, conflicts_with = "output")]
    pub(crate) csv: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupBy {
    Instance,
    Service,
    Model,
    Zone,
    /// Server type or kind of storage.
    Sku,
    /// Server, volume or address.
    Kind,
    /// Used, retained, ending, unconfirmed or third_party.
    Class,
    /// Server or volume.
    Resource,
    /// Day in UTC.
    Day,
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

#[derive(Subcommand)]
pub(crate) enum LimitCommand {
    /// Show the limits and what is used of them.
    Show,
    /// Set limits; those that are not named stay. What is beyond a limit is not created; what runs goes on.
    Set(SetLimits),
}

#[derive(Args)]
pub(crate) struct SetLimits {
    /// How many instances may live at once, or `none`.
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) instances: Option<Limit>,
    /// How many GPUs the living instances may have together, or `none`.
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) gpus: Option<Limit>,
    /// How much may be spent in a day in UTC, such as 50 or 49.90, or `none`.
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    pub(crate) per_day: Option<Limit>,
    /// How much may be spent in a month in UTC, or `none`.
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    pub(crate) per_month: Option<Limit>,
}

/// A limit that was given; `None`: none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Option<i64>);

fn count(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    let n = text.parse().ok().filter(|n: &u32| *n <= 1_000_000);
    n.map(|n| Limit(Some(i64::from(n)))).ok_or_else(|| "must be a whole number from 0, or `none`".to_owned())
}

/// An amount in units of the currency, in millionths.
fn amount(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str, most: usize| (1..=most).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
    let micros = || Some(whole.parse::<i64>().ok()? * 1_000_000 + format!("{rest:0<6}").parse::<i64>().ok()?);
    let good = digits(whole, 9) && digits(rest, 6);
    let micros = good.then(micros).flatten();
    micros.map(|n| Limit(Some(n))).ok_or_else(|| "must look like 50, 49.90 or `none`".to_owned())
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
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_to_the_millionth_and_none_is_no_limit() {
        for (text, micros) in [("50", 50_000_000), ("49.90", 49_900_000), ("0", 0), ("0.000001", 1), ("1.5", 1_500_000)]
        {
            assert_eq!(amount(text), Ok(Limit(Some(micros))), "{text}");
        }
        assert_eq!((amount("none"), count("none"), count("8")), (Ok(Limit(None)), Ok(Limit(None)), Ok(Limit(Some(8)))));
        for text in ["", "-1", "1,5", "1.", ".5", "1.0000001", "1e3", "9999999999", "EUR 5"] {
            assert!(amount(text).is_err() && (text == "1e3" || count(text).is_err()), "{text}");
        }
    }

    #[test]
    fn a_time_is_a_date_a_time_or_a_duration() {
        let at = |text| Timestamp::parse(text).unwrap();
        let now = at("2026-07-30T12:00:00Z");
        for (text, wanted) in [
            ("2026-07-01", "2026-07-01T00:00:00Z"),
            ("2026-07-01T08:00:00+02:00", "2026-07-01T06:00:00Z"),
            ("7d", "2026-07-23T12:00:00Z"),
            ("90s", "2026-07-30T11:58:30Z"),
        ] {
            assert_eq!(when(text).map(|w| w.at(now)), Ok(at(wanted)), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "7", "-1d", "9999999999999d"] {
            assert!(when(text).is_err_and(|e| e.contains("7d")), "{text}");
        }
    }
}
