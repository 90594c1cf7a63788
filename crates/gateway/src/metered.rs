//! Metrics of requests, by service.

use metrics::{Counter, Histogram};

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The client got all of it.
    Complete,
    /// The engine answered with an error, or broke off.
    Failed,
    /// The client went away.
    Cancelled,
}

impl Outcome {
    const fn text(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The metrics of a destination. Requests share these handles, so that none of them looks a metric up by its name.
pub(crate) struct Metered {
    complete: Counter,
    failed: Counter,
    cancelled: Counter,
    pub(crate) prompt_tokens: Counter,
    pub(crate) completion_tokens: Counter,
    pub(crate) duration: Histogram,
    pub(crate) first_token: Histogram,
    pub(crate) between_tokens: Histogram,
}

impl Metered {
    /// The metrics of a service, or of a model that belongs to none.
    pub(crate) fn new(label: &str) -> Self {
        let label = || label.to_owned();
        let requests = |outcome: Outcome| metrics::counter!("inventiv_gateway_requests_total", "service" => label(), "outcome" => outcome.text());
        let tokens = |kind: &'static str| metrics::counter!("inventiv_gateway_tokens_total", "service" => label(), "kind" => kind);
        Self {
            complete: requests(Outcome::Complete),
            failed: requests(Outcome::Failed),
            cancelled: requests(Outcome::Cancelled),
            prompt_tokens: tokens("prompt"),
            completion_tokens: tokens("completion"),
            duration: metrics::histogram!("inventiv_gateway_duration_seconds", "service" => label()),
            first_token: metrics::histogram!("inventiv_gateway_first_token_seconds", "service" => label()),
            between_tokens: metrics::histogram!("inventiv_gateway_between_tokens_seconds", "service" => label()),
        }
    }

    /// The counter of requests that ended so.
    pub(crate) fn ended(&self, outcome: Outcome) -> &Counter {
        match outcome {
            Outcome::Complete => &self.complete,
            Outcome::Failed => &self.failed,
            Outcome::Cancelled => &self.cancelled,
        }
    }
}
