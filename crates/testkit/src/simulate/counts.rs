//! What happened in a run, and why a run failed.

use std::collections::BTreeMap;

/// What happened in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instances, replicas too.
    pub instances: usize,
    /// Those of them that are replicas of services.
    pub replicas: usize,
    /// Services.
    pub services: usize,
    /// Services that followed their load after the faults.
    pub followed: usize,
    /// Those of them that somebody had to ask for more replicas, because several had failed.
    pub warmed: usize,
    /// Requested instances that serve a model.
    pub served: usize,
    /// Calls to workers.
    pub worker_calls: usize,
    /// Processes killed, in a call or between two.
    pub crashes: usize,
    /// How often each pair of a call and a fault was injected.
    pub faults: BTreeMap<usize, u64>,
    /// The crashes in a commit, before or after its effect.
    pub in_commits: usize,
    /// Calls that got no answer and took effect later.
    pub late: usize,
    /// Suspects in the final audit.
    pub suspects: usize,
    /// A hash of all calls to the cloud: equal runs have equal hashes.
    pub fingerprint: u64,
    /// Runs with periods of stale reads.
    pub stale: usize,
    /// How often the credentials lost the visibility of the project.
    pub hidden: usize,
    /// Actions of third parties on our resources.
    pub third_parties: usize,
    /// Kept volumes.
    pub kept: usize,
    /// Kept volumes that were given to another instance.
    pub reused: usize,
    /// Resources of ours that the cloud bills, each compared with the ledger.
    pub billed: usize,
    /// Those of them that no process ever observed.
    pub unseen: usize,
    /// Rows of the ledger of orphans.
    pub orphan_rows: usize,
    /// Ticks.
    pub ticks: usize,
}

/// A failed run.
#[derive(Debug)]
pub struct Failed {
    /// Its seed, which reproduces it.
    pub seed: u64,
    /// Why it failed.
    pub why: String,
    /// The last lines of its trace.
    pub trace: Vec<String>,
}
