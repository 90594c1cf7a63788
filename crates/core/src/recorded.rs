//! The recorded state of an instance, its servers and its volumes.
//!
//! A server row is one *attempt* to create a server; it is committed before the call. A volume row is an observed
//! volume, or an attempt to create one. Rows are never deleted: they end with times and a proof.

mod aggregate;
mod evidence;
mod instance;
mod server;
mod spec;
mod volume;

pub use aggregate::{Aggregate, is_counted};
pub use evidence::{PendingFact, PendingObservation, Proof};
pub use instance::{Failure, Instance, NewInstance, Note, Retry};
pub use server::Server;
pub use spec::{DataVolumeSpec, Spec};
pub use volume::{CloudPolicy, NotGiven, Volume};

#[cfg(test)]
mod tests;
