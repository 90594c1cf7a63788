//! Alerts about limits.

use super::{Alert, AlertKind, Severity};
use crate::calendar::{day_of, month_of};
use crate::limits::{InUse, LimitScope, Limits, OnLimit, decimal};
use crate::time::Timestamp;

/// The percentages that are told, and how urgent each is.
const STEPS: [(i64, Severity); 3] = [(50, Severity::Info), (80, Severity::Warning), (100, Severity::Critical)];

/// One alert for each step that is reached; the highest of each limit is not implied by another one.
pub(super) fn of_limits(scope: &LimitScope, limits: &Limits, used: &InUse, now: Timestamp) -> Vec<Alert> {
    let count = |most: i64, what: &str| format!("{most} {what}");
    let money = |most: i64, when: &str| format!("{} {} {when} (UTC)", decimal(most), limits.currency);
    // A new day or month begins anew.
    let (day, month) = (day_of(now).to_string(), month_of(now).0.to_string());
    let parts = [
        (limits.instances, used.instances, "instances", String::new(), limits.instances.map(|n| count(n, "instances"))),
        (limits.gpus, used.gpus, "gpus", String::new(), limits.gpus.map(|n| count(n, "GPUs"))),
        (limits.day_micros, used.day_micros, "day", day, limits.day_micros.map(|n| money(n, "today"))),
        (limits.month_micros, used.month_micros, "month", month, limits.month_micros.map(|n| money(n, "this month"))),
    ];
    let (begin, of) =
        (scope.begin(), if *scope == LimitScope::All { String::new() } else { format!(" {}", scope.text()) });
    let mut found = Vec::new();
    for (limit, used, name, period, shown) in parts {
        let (Some(most), Some(shown)) = (limit, shown) else { continue };
        let drains = matches!(name, "day" | "month") && limits.on_limit == OnLimit::Drain;
        // A limit of 0 refuses everything on purpose.
        let is_reached = |percent| if most > 0 { percent_of(most, used) >= percent } else { drains && percent == 100 };
        let reached: Vec<_> = STEPS.into_iter().filter(|(percent, _)| is_reached(*percent)).collect();
        let highest = reached.len().saturating_sub(1);
        found.extend(reached.into_iter().enumerate().map(|(n, (percent, severity))| {
            let text = match percent {
                100 if drains => {
                    format!(
                        "{begin}the limit of {shown} is reached: every instance that it holds for is terminated; see inventiv limit show"
                    )
                }
                100 => {
                    format!(
                        "{begin}the limit of {shown} is reached: nothing is created beyond it; see inventiv limit show"
                    )
                }
                _ => format!("{begin}{percent} % of the limit of {shown} are used; see inventiv limit show"),
            };
            let alert = Alert::new(AlertKind::LimitUsed, severity, &format!("{name}{of}"), text);
            Alert {
                key: format!(
                    "{} {name}{of} {most} {period} {percent}{}",
                    AlertKind::LimitUsed,
                    if drains { " drain" } else { "" }
                ),
                is_implied: n < highest,
                ..alert
            }
        }));
    }
    found
}

const fn percent_of(most: i64, used: i64) -> i64 {
    used.saturating_mul(100) / most
}
