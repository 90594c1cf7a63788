//! What happened in a run, and how one went wrong.

use std::collections::BTreeMap;

/// What happened in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instances asked for.
    pub instances: usize,
    /// Processes killed, in the middle of a call or between two.
    pub crashes: usize,
    /// How often each pair of a call and a fault struck.
    pub faults: BTreeMap<usize, u64>,
    /// Of the crashes: in a commit, before or after it.
    pub in_commits: usize,
    /// Calls that got no answer and arrived later.
    pub late: usize,
    /// What the audits suspected at the end.
    pub suspects: usize,
    /// Everything that the cloud was asked, in a number: the same run has the same.
    pub fingerprint: u64,
    /// Stories in which reads were stale for a whole period.
    pub stale: usize,
    /// How often a key lost the project.
    pub hidden: usize,
    /// Things that third parties did to what is ours.
    pub third_parties: usize,
    /// Volumes that were kept.
    pub kept: usize,
    /// Ticks.
    pub ticks: usize,
}

/// A run that went wrong.
#[derive(Debug)]
pub struct Failed {
    /// Its seed: told again, it goes the same way.
    pub seed: u64,
    /// What is wrong.
    pub why: String,
    /// What happened, the last lines.
    pub trace: Vec<String>,
}
