//! The worker: the program on a server that prepares the data volume, runs the engine and tells whether the model
//! answers.
//!
//! A worker is a source of facts beside the cloud. [`report::Report`] is what it tells, [`record::WorkerRecord`] is what
//! is kept of it, [`plan()`] decides what follows for the status of the instance. A worker never changes what exists in
//! the cloud, and no decision about a server or volume depends on it, except that a model that never answers ends its
//! instance.

mod desired;
mod idle;
mod plan;
pub mod record;
pub mod report;

pub use desired::{Scratch, WorkerDesired};
pub use plan::{Contact, ObservedWorker, WorkerRules, plan};

/// The port on which a worker listens, on every address of its server.
pub const WORKER_PORT: u16 = 8_443;
