//! What is recorded about a worker, with its instance.

use super::report::{Report, StepKind, WorkerFailure};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A contact that failed, and since when no other one succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Since when.
    pub since: Timestamp,
    /// Why, in one sentence.
    pub reason: String,
}

/// A failure that does not pass by itself, and when it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartupFailure {
    /// When it was first seen.
    pub at: Timestamp,
    /// The desired state that failed; another one may mend it.
    pub desired_id: Option<String>,
    /// When the instance ends because of it; `None`: it is kept.
    pub ends_at: Option<Timestamp>,
    /// Why.
    pub why: WorkerFailure,
}

/// What is recorded about the worker of an instance whose server runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// When the server ran with everything attached: from then on, the worker is expected.
    pub expected_since: Timestamp,
    /// When something with the certificate of this instance first responded.
    pub handshake_at: Option<Timestamp>,
    /// Since when nothing responds; `None`: the last contact succeeded, or there was none yet.
    pub lost: Option<Lost>,
    /// The last report that was recorded.
    pub report: Option<Report>,
    /// When that report was made.
    pub reported_at: Option<Timestamp>,
    /// When the worker last made progress on the way to a model that answers.
    pub progressed_at: Timestamp,
    /// The kinds of steps that have succeeded.
    pub achieved: Vec<StepKind>,
    /// The most bytes of a download that were reported.
    pub downloaded_bytes: i64,
    /// The run and the number of the last step that is in the action log.
    pub logged: (String, u64),
    /// Why the model will not answer.
    pub failure: Option<StartupFailure>,
    /// What is waited for, in one sentence.
    pub waits_for: Option<String>,
}

impl WorkerRecord {
    /// A worker that is expected from now on.
    #[must_use]
    pub fn expected(now: Timestamp) -> Self {
        Self {
            expected_since: now,
            handshake_at: None,
            lost: None,
            report: None,
            reported_at: None,
            progressed_at: now,
            achieved: Vec::new(),
            downloaded_bytes: 0,
            logged: (String::new(), 0),
            failure: None,
            waits_for: Some("waits for the server to boot and to respond to a handshake".to_owned()),
        }
    }
}
