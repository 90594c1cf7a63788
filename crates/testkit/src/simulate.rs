//! Deterministic simulation: each run draws users, third parties, faults and crashes from a seed, against the whole
//! control plane on a manual clock. Everything but the cloud is real: planner, passes, SQLite, API. The cloud is the
//! emulator, in this process.
//!
//! During and after a run, the emulator's own state is checked, not our database: nothing of ours is left except kept
//! volumes, there are no duplicates, and kept volumes and third parties' volumes were never touched.

pub(crate) mod cloud;
mod counts;
mod run;

pub use cloud::{PAIRS, pair_text};
pub use counts::{Counts, Failed};
pub use run::run;
