//! Types, rules and planner of Inventiv-Agents: pure functions without I/O, clock or randomness.
//!
//! Start at [`plan::plan`]: it takes the desired and recorded state as a [`recorded::Aggregate`] and the observed state
//! as [`observed::Observed`], and returns what to do next. [`progress`] records the intent of a call before it is made,
//! and its outcome after it. Times are parameters.

pub mod action;
pub mod agreed;
pub mod alert;
pub mod audit;
pub mod bill;
pub mod calendar;
pub mod cloud;
pub mod cloud_config;
pub mod cost_group;
pub mod engine;
pub mod error;
pub mod event_kind;
pub mod expiry;
pub mod fit;
pub mod gpu;
pub mod id;
pub mod lease;
pub mod ledger;
pub mod limits;
pub mod model_id;
pub mod money;
pub mod name;
pub mod next;
pub mod observed;
pub mod offer;
pub mod paces;
pub mod plan;
pub mod progress;
pub mod proof;
pub mod quote;
pub mod recorded;
pub mod recover;
pub mod request;
pub mod role;
pub mod service;
pub mod size;
pub mod snapshot_kind;
pub mod snapshots;
pub mod ssh_key;
pub mod status;
pub mod storage_prices;
pub mod stuck;
pub mod sweep;
pub mod text;
pub mod time;
pub mod volume_size;
pub mod volume_type;
mod words;
pub mod worker;
pub mod worker_storage;
