//! What may run and be spent at most. Pure.

use crate::words::words;

words!(
    /// What happens when a limit on what is spent is reached.
    OnLimit {
        /// Nothing is created; what runs goes on.
        Refuse = "refuse",
        /// Nothing is created, and every living instance is terminated. Retained volumes stay.
        Drain = "drain",
    }
);

/// What limits hold for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitScope {
    /// Everything.
    All,
    /// The replicas of the service with this id.
    Service(String),
    /// Instances with this tag, replicas of services too.
    Tag(String),
}

impl LimitScope {
    /// Everything that holds for an instance, the widest first.
    #[must_use]
    pub fn of(service_id: Option<&str>, tags: &[String]) -> Vec<Self> {
        let service = service_id.map(|id| Self::Service(id.to_owned()));
        let mut all: Vec<Self> = [Self::All].into_iter().chain(service).collect();
        all.extend(tags.iter().cloned().map(Self::Tag));
        all.sort();
        all.dedup();
        all
    }

    /// How it is stored.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Service(id) => format!("service/{id}"),
            Self::Tag(tag) => format!("tag/{tag}"),
        }
    }

    /// Reads back what is stored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('/') {
            None if text.is_empty() => Some(Self::All),
            Some(("service", id)) => Some(Self::Service(id.to_owned())),
            Some(("tag", tag)) => Some(Self::Tag(tag.to_owned())),
            _ => None,
        }
    }

    /// Whether an instance is among what it holds for.
    #[must_use]
    pub fn has(&self, service_id: Option<&str>, tags: &[String]) -> bool {
        match self {
            Self::All => true,
            Self::Service(id) => service_id == Some(id),
            Self::Tag(tag) => tags.contains(tag),
        }
    }

    /// The command that sets its limits.
    fn command(&self) -> String {
        match self {
            Self::All => "inventiv limit set".to_owned(),
            Self::Service(id) => format!("inventiv limit set --service {id}"),
            Self::Tag(tag) => format!("inventiv limit set --tag '{}'", tag.replace('\'', "'\\''")),
        }
    }

    /// What a sentence about its limits begins with.
    pub(crate) fn begin(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Service(id) => format!("service {id}: "),
            Self::Tag(tag) => format!("tag `{tag}`: "),
        }
    }
}

/// Limits; `None`: no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How many instances may live at once.
    pub instances: Option<i64>,
    /// How many GPUs the living instances may have together.
    pub gpus: Option<i64>,
    /// How much may be spent in a day in UTC, in millionths of the currency.
    pub day_micros: Option<i64>,
    /// How much may be spent in a month in UTC, in millionths of the currency.
    pub month_micros: Option<i64>,
    /// ISO 4217 code.
    pub currency: String,
    /// What happens when a limit on what is spent is reached.
    pub on_limit: OnLimit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            instances: None,
            gpus: None,
            day_micros: None,
            month_micros: None,
            currency: "EUR".to_owned(),
            on_limit: OnLimit::Refuse,
        }
    }
}

impl Limits {
    /// Whether anything is limited.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.instances.is_some() || self.gpus.is_some() || self.has_money()
    }

    /// Whether what is spent is limited.
    #[must_use]
    pub const fn has_money(&self) -> bool {
        self.day_micros.is_some() || self.month_micros.is_some()
    }
}

/// What is used of the limits now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InUse {
    /// Instances that have not ended.
    pub instances: i64,
    /// Their GPUs.
    pub gpus: i64,
    /// Spent today in UTC, in millionths of the currency.
    pub day_micros: i64,
    /// Spent this month in UTC, in millionths of the currency.
    pub month_micros: i64,
}

/// Why one more instance with so many GPUs is not created; `None`: it may be.
///
/// Money is compared with what was spent, not with what the instance will cost: nobody knows how long it will run.
#[must_use]
pub fn reached(scope: &LimitScope, limits: &Limits, used: &InUse, gpus: i64) -> Option<String> {
    let (begin, raise) = (scope.begin(), format!("raise the limit with `{}`", scope.command()));
    if let Some(most) = limits.instances.filter(|most| used.instances >= *most) {
        return Some(format!("{begin}{} of at most {most} instances live; terminate one, or {raise}", used.instances));
    }
    if let Some(most) = limits.gpus.filter(|most| gpus > 0 && used.gpus.saturating_add(gpus) > *most) {
        return Some(format!(
            "{begin}{} of at most {most} GPUs are in use, and {gpus} more are needed; terminate an instance, or {raise}",
            used.gpus
        ));
    }
    spent_out(limits, used).map(|why| format!("{begin}{why}; wait, or {raise}"))
}

/// Which limit on what is spent is reached; `None`: none is.
#[must_use]
pub fn spent_out(limits: &Limits, used: &InUse) -> Option<String> {
    let of = [(limits.day_micros, used.day_micros, "today"), (limits.month_micros, used.month_micros, "this month")];
    of.into_iter().find_map(|(most, spent, when)| {
        // Without what was spent: it changes each second, and services record the sentence.
        let most = decimal(most.filter(|most| spent >= *most)?);
        Some(format!("at most {most} {} may be spent {when} (UTC), and that is reached", limits.currency))
    })
}

/// Millionths with two decimals.
pub(crate) fn decimal(micros: i64) -> String {
    let cents = micros.saturating_add(5_000) / 10_000;
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_refuses_what_is_beyond_it_and_says_what_to_do() {
        let limits = |instances, gpus, day_micros, month_micros| Limits {
            instances,
            gpus,
            day_micros,
            month_micros,
            ..Limits::default()
        };
        let used = InUse { instances: 3, gpus: 6, day_micros: 20_000_000, month_micros: 99_999_999 };
        // The limits, the GPUs of the new instance, and the beginning of the refusal.
        let cases = [
            (limits(None, None, None, None), 8, None),
            (limits(Some(4), Some(14), Some(20_000_001), Some(100_000_000)), 8, None),
            (limits(Some(3), None, None, None), 1, Some("3 of at most 3 instances live")),
            (limits(Some(0), None, None, None), 1, Some("3 of at most 0 instances live")),
            (limits(None, Some(6), None, None), 1, Some("6 of at most 6 GPUs are in use, and 1 more")),
            (limits(None, Some(13), None, None), 8, Some("6 of at most 13 GPUs are in use, and 8 more")),
            (limits(None, Some(0), None, None), 0, None),
            (limits(None, None, Some(20_000_000), None), 1, Some("at most 20.00 EUR may be spent today")),
            (limits(None, None, None, Some(99_000_000)), 1, Some("at most 99.00 EUR may be spent this month")),
        ];
        for (limits, gpus, wanted) in cases {
            let said = reached(&LimitScope::All, &limits, &used, gpus);
            assert_eq!(said.is_some(), wanted.is_some(), "{limits:?} {gpus}: {said:?}");
            if let (Some(said), Some(wanted)) = (said, wanted) {
                assert!(said.starts_with(wanted) && said.contains("inventiv limit set"), "{said}");
            }
            assert_eq!(limits.is_any(), limits != Limits::default());
        }
    }

    #[test]
    fn a_limit_holds_for_everything_for_a_service_or_for_a_tag() {
        let tags = ["team=a".to_owned(), "b/c".to_owned(), "team=a".to_owned()];
        let scopes = LimitScope::of(Some("svc-1"), &tags);
        let texts: Vec<String> = scopes.iter().map(LimitScope::text).collect();
        assert_eq!(texts, ["", "service/svc-1", "tag/b/c", "tag/team=a"]);
        for scope in &scopes {
            assert_eq!(LimitScope::parse(&scope.text()).as_ref(), Some(scope));
            assert!(scope.has(Some("svc-1"), &tags));
            assert_eq!(scope.has(Some("svc-2"), &[]), *scope == LimitScope::All);
        }
        assert_eq!(LimitScope::parse("other/x"), None);
        let limits = Limits { instances: Some(1), ..Limits::default() };
        let used = InUse { instances: 1, ..InUse::default() };
        let said = reached(&LimitScope::Tag("team=a".into()), &limits, &used, 0).unwrap();
        assert!(
            said.starts_with("tag `team=a`: 1 of at most 1") && said.contains("limit set --tag 'team=a'"),
            "{said}"
        );
    }
}
