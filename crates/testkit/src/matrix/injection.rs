//! The faults, and the calls that each applies to.

/// One column of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    CrashBefore,
    AnswerLost,
    CrashAfterAnswer,
    RateLimited,
    ErrorNotApplied,
    ErrorApplied,
    Unauthenticated,
    Forbidden,
    NotFound,
    StaleRead,
    StalePeriod,
    BlindInstance,
    BlindBlock,
    Twice,
    Late,
    ThirdPartyStops,
    ThirdPartyTerminates,
    ThirdPartyDetaches,
    ThirdPartyAttaches,
    ThirdPartyDeletes,
    ThirdPartyRenames,
    CommitCrashBefore,
    CommitCrashAfter,
}

/// A fault that affects every call for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    /// Reads are stale.
    Stale,
    /// The credentials see nothing under this path.
    Blind(&'static str),
}

impl Kind {
    pub(super) const ALL: [Self; 23] = [
        Self::CrashBefore,
        Self::AnswerLost,
        Self::CrashAfterAnswer,
        Self::RateLimited,
        Self::ErrorNotApplied,
        Self::ErrorApplied,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::StaleRead,
        Self::StalePeriod,
        Self::BlindInstance,
        Self::BlindBlock,
        Self::Twice,
        Self::Late,
        Self::ThirdPartyStops,
        Self::ThirdPartyTerminates,
        Self::ThirdPartyDetaches,
        Self::ThirdPartyAttaches,
        Self::ThirdPartyDeletes,
        Self::ThirdPartyRenames,
        Self::CommitCrashBefore,
        Self::CommitCrashAfter,
    ];

    /// Its description, and the head of its column.
    pub(super) const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::CrashBefore => ("crash before the call", "crash<"),
            Self::AnswerLost => ("applied, but the answer is lost", "lost"),
            Self::CrashAfterAnswer => ("crash after the effect, before the commit of its outcome", "crash>"),
            Self::RateLimited => ("429", "429"),
            Self::ErrorNotApplied => ("500, not applied", "500-"),
            Self::ErrorApplied => ("502, applied", "502+"),
            Self::Unauthenticated => ("401", "401"),
            Self::Forbidden => ("403", "403"),
            Self::NotFound => ("a typed 404 for an existing resource", "404"),
            Self::StaleRead => ("a read as of 20 s ago", "stale"),
            Self::StalePeriod => ("from here on, for a minute, every read as of 20 s ago", "stales"),
            Self::BlindInstance => ("from here on, for a minute, no visibility in the Instance API", "blindI"),
            Self::BlindBlock => ("from here on, for a minute, no visibility in the Block API", "blindB"),
            Self::Twice => ("delivered twice", "twice"),
            Self::Late => ("no answer within the time-out, applied 30 s later", "late"),
            Self::ThirdPartyStops => ("a third party stops the server meanwhile", "stops"),
            Self::ThirdPartyTerminates => ("a third party terminates the server meanwhile", "termin"),
            Self::ThirdPartyDetaches => ("a third party detaches a volume meanwhile", "detach"),
            Self::ThirdPartyAttaches => ("a third party attaches its own volume meanwhile", "attach"),
            Self::ThirdPartyDeletes => ("a third party deletes a volume meanwhile", "delete"),
            Self::ThirdPartyRenames => ("a third party renames server and volumes meanwhile", "rename"),
            Self::CommitCrashBefore => ("crash before the commit", "commit<"),
            Self::CommitCrashAfter => ("crash after the commit, before the caller knows", "commit>"),
        }
    }

    pub(super) const fn is_of_commits(self) -> bool {
        matches!(self, Self::CommitCrashBefore | Self::CommitCrashAfter)
    }

    pub(super) const fn is_a_strangers(self) -> bool {
        matches!(
            self,
            Self::ThirdPartyStops
                | Self::ThirdPartyTerminates
                | Self::ThirdPartyDetaches
                | Self::ThirdPartyAttaches
                | Self::ThirdPartyDeletes
                | Self::ThirdPartyRenames
        )
    }

    /// The emulator fault that implements it, if there is one.
    pub(super) const fn effect(self) -> Option<&'static str> {
        match self {
            Self::AnswerLost => Some(r#"{"cut":"after"}"#),
            Self::RateLimited => Some(r#"{"error":"rate_limited"}"#),
            Self::ErrorNotApplied => Some(r#"{"error":"internal_server_error"}"#),
            Self::ErrorApplied => Some(r#"{"status_after":502}"#),
            Self::Unauthenticated => Some(r#"{"error":"denied_authentication"}"#),
            Self::Forbidden => Some(r#"{"error":"permissions_denied"}"#),
            Self::NotFound => Some(r#"{"error":"not_found"}"#),
            Self::StaleRead => Some(r#"{"lag_ms":20000}"#),
            Self::CrashBefore
            | Self::CrashAfterAnswer
            | Self::StalePeriod
            | Self::BlindInstance
            | Self::BlindBlock
            | Self::Twice
            | Self::Late
            | Self::ThirdPartyStops
            | Self::ThirdPartyTerminates
            | Self::ThirdPartyDetaches
            | Self::ThirdPartyAttaches
            | Self::ThirdPartyDeletes
            | Self::ThirdPartyRenames
            | Self::CommitCrashBefore
            | Self::CommitCrashAfter => None,
        }
    }

    /// The lasting fault that it begins, if it does.
    pub(super) fn period(self) -> Option<Period> {
        let periods = [
            (Self::StalePeriod, Period::Stale),
            (Self::BlindInstance, Period::Blind("/instance/*")),
            (Self::BlindBlock, Period::Blind("/block/*")),
        ];
        periods.into_iter().find(|(kind, _)| *kind == self).map(|(_, period)| period)
    }

    /// Whether it applies to a call.
    pub(super) fn fits(self, method: &str, path: &str) -> bool {
        let reads = method == "GET";
        match self {
            Self::NotFound => names_one(path),
            Self::StaleRead => reads && is_of_ours(path),
            Self::Twice | Self::Late | Self::ErrorApplied => !reads,
            Self::CommitCrashBefore | Self::CommitCrashAfter => false,
            Self::CrashBefore
            | Self::AnswerLost
            | Self::CrashAfterAnswer
            | Self::RateLimited
            | Self::ErrorNotApplied
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::StalePeriod
            | Self::BlindInstance
            | Self::BlindBlock
            | Self::ThirdPartyStops
            | Self::ThirdPartyTerminates
            | Self::ThirdPartyDetaches
            | Self::ThirdPartyAttaches
            | Self::ThirdPartyDeletes
            | Self::ThirdPartyRenames => true,
        }
    }
}

fn is_id(segment: &str) -> bool {
    segment.len() == 36 && segment.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

fn names_one(path: &str) -> bool {
    path.split('?').next().unwrap_or_default().split('/').any(is_id)
}

/// Whether a path names servers or volumes.
fn is_of_ours(path: &str) -> bool {
    ["/servers", "/volumes"].iter().any(|kind| path.contains(kind)) && !path.contains("/products/")
}

/// The row of a call: its method and path without ids, zone and page.
pub(super) fn row(method: &str, path: &str) -> String {
    let (bare, query) = path.split_once('?').unwrap_or((path, ""));
    let api = bare.trim_start_matches('/').split('/').next().unwrap_or_default();
    let rest = bare.split('/').skip_while(|s| *s != "zones").skip(2);
    let mut words: Vec<&str> = rest.map(|s| if is_id(s) { "{id}" } else { s }).collect();
    if words.is_empty() {
        words = bare.rsplit('/').take(1).collect();
    }
    let named = if query.contains("&name=") { "?name" } else { "" };
    format!("{method} {api} {}{named}", words.join("/"))
}

#[cfg(test)]
mod tests;
