//! Commands on what clients use to ask models: API keys.

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a key and show it, once; with `-o name`, print the key alone.
    Create(CreateKeyArgs),
    /// Change a key; what is not named stays, and so does its value.
    Update(ChangeKeyArgs),
    /// List all keys, without their values, oldest first.
    #[command(visible_alias = "ls")]
    List,
    /// Revoke a key; clients that use it are refused from now on.
    #[command(visible_alias = "rm")]
    Revoke {
        /// Key id, or a name that only one valid key has.
        key: String,
    },
}

#[derive(Args)]
pub(crate) struct ChangeKeyArgs {
    /// Key id, or a name that only one valid key has.
    pub(crate) key: String,
    /// Another name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Service name or model id that the key may use; repeatable; replaces all.
    #[arg(long = "scope", value_name = "SERVICE_OR_MODEL", conflicts_with = "all_scopes")]
    pub(crate) scopes: Vec<String>,
    /// The key may use all services and models.
    #[arg(long)]
    pub(crate) all_scopes: bool,
    /// Maximum number of requests per minute, or `none`.
    #[arg(long, value_name = "N", value_parser = per_minute)]
    pub(crate) requests_per_minute: Option<Bound>,
    /// Maximum number of tokens per minute, in prompts and answers together, or `none`.
    #[arg(long, value_name = "N", value_parser = per_minute)]
    pub(crate) tokens_per_minute: Option<Bound>,
    /// How long the key is valid from now on, in days, hours or minutes: 30d, 12h, 90m; or `none`.
    #[arg(long = "expires-in", value_name = "DURATION", value_parser = end)]
    pub(crate) expires_in_ms: Option<Bound>,
}

/// A bound that was given; `None`: none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound(pub(crate) Option<i64>);

fn per_minute(text: &str) -> Result<Bound, String> {
    if text == "none" {
        return Ok(Bound(None));
    }
    let n = text.parse().ok().filter(|n| *n >= 1);
    n.map(|n| Bound(Some(n))).ok_or_else(|| "must be a whole number from 1, or `none`".to_owned())
}

fn end(text: &str) -> Result<Bound, String> {
    if text == "none" { Ok(Bound(None)) } else { duration_ms(text).map(|ms| Bound(Some(ms))) }
}

#[derive(Args)]
pub(crate) struct CreateKeyArgs {
    /// Name, for example of the application that uses the key; several keys may have the same.
    pub(crate) name: String,
    /// Service name or model id that the key may use; repeatable; by default all.
    #[arg(long = "scope", value_name = "SERVICE_OR_MODEL")]
    pub(crate) scopes: Vec<String>,
    /// Maximum number of requests per minute; by default no limit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) requests_per_minute: Option<i64>,
    /// Maximum number of tokens per minute, in prompts and answers together; by default no limit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) tokens_per_minute: Option<i64>,
    /// How long the key is valid, in days, hours or minutes: 30d, 12h, 90m; by default for ever.
    #[arg(long = "expires-in", value_name = "DURATION", value_parser = duration_ms)]
    pub(crate) expires_in_ms: Option<i64>,
}

const MINUTE_MS: i64 = 60_000;
/// A hundred years: more is a mistake.
const DURATION_MAX_MS: i64 = 36_500 * 24 * 60 * MINUTE_MS;

/// A duration such as `30d`, `12h` or `90m`, in milliseconds.
fn duration_ms(text: &str) -> Result<i64, String> {
    let units = [('d', 24 * 60 * MINUTE_MS), ('h', 60 * MINUTE_MS), ('m', MINUTE_MS)];
    let parsed = units.iter().find_map(|(unit, ms)| {
        let number = text.strip_suffix(*unit).filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?;
        number.parse::<i64>().ok()?.checked_mul(*ms)
    });
    let fits = parsed.filter(|ms| (MINUTE_MS..=DURATION_MAX_MS).contains(ms));
    fits.ok_or_else(|| "must look like 30d, 12h or 90m: from 1m to 36500d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::duration_ms;

    #[test]
    fn a_duration_is_a_whole_number_of_days_hours_or_minutes() {
        for (text, ms) in [
            ("1m", 60_000),
            ("90m", 5_400_000),
            ("12h", 43_200_000),
            ("30d", 2_592_000_000),
            ("36500d", 3_153_600_000_000),
        ] {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        for text in
            ["", "m", "0m", "30", "30s", "30D", "-1d", "+1d", "1.5h", "1 d", "1d ", "36501d", "9999999999999999999d"]
        {
            assert!(duration_ms(text).is_err_and(|said| said.contains("30d, 12h or 90m")), "{text}");
        }
    }
}
