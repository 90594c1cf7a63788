//! Vocabulary, rules and planner: what Inventiv-Agents decides, without I/O, clock or chance.
//!
//! Start at [`plan::plan`]: desired and recorded come in as a [`recorded::Aggregate`], observed as
//! [`observed::Observed`], and what to do next comes out. [`progress`] says how a call that is about to be made, and
//! its outcome, change what is recorded. Nothing here reads a clock: times are parameters.

pub mod action;
pub mod audit;
pub mod cloud;
pub mod cloud_config;
pub mod error;
pub mod id;
pub mod lease;
pub mod model_id;
pub mod money;
pub mod month;
pub mod name;
pub mod next;
pub mod observed;
pub mod offer;
pub mod plan;
pub mod progress;
pub mod proof;
pub mod recorded;
pub mod recover;
pub mod size;
pub mod snapshots;
pub mod ssh_key;
pub mod status;
pub mod stuck;
pub mod sweep;
pub mod text;
pub mod time;
pub mod volume_size;
pub mod worker_storage;
