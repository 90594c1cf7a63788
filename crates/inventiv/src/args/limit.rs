//! Commands on limits.

use clap::{Args, Subcommand};
use inventiv_core::limits::OnLimit;

#[derive(Subcommand)]
pub(crate) enum LimitCommand {
    /// Show the limits and what is used of them; by default all.
    Show(Scope),
    /// Set limits; those that are not named stay. What is beyond a limit is not created; what runs goes on, unless --on-limit
    /// says otherwise.
    Set(SetLimits),
    /// Remove limits: those on a service or a tag, or without either those on everything.
    Remove(Scope),
}

/// What limits hold for; by default everything.
#[derive(Args)]
pub(crate) struct Scope {
    /// The replicas of this service, by name or id.
    #[arg(long, conflicts_with = "tag")]
    pub(crate) service: Option<String>,
    /// Instances with this tag, replicas of services too.
    #[arg(long)]
    pub(crate) tag: Option<String>,
}

#[derive(Args)]
pub(crate) struct SetLimits {
    #[command(flatten)]
    pub(crate) scope: Scope,
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
    /// When a limit on what is spent is reached: `refuse` creates nothing more; `drain` also terminates every living instance.
    /// Retained volumes stay.
    #[arg(long, value_name = "refuse|drain", value_parser = on_limit)]
    pub(crate) on_limit: Option<OnLimit>,
    /// Do not ask before instances end at once, because a limit with `drain` is reached already.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// A limit that was given; `None`: none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Option<i64>);

fn on_limit(text: &str) -> Result<OnLimit, String> {
    OnLimit::parse(text).ok_or_else(|| "must be refuse or drain".to_owned())
}

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

#[cfg(test)]
mod tests;
