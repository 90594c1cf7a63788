//! Stories drawn from a seed: users, third parties, faults and crashes against the whole control plane, on a clock moved by
//! hand. Everything but the cloud is real: planner, passes, SQLite, API. The cloud is the emulator, in this process.
//!
//! While a run goes on and at its end the emulator's own state is asked, not our database: nothing of ours is left but
//! what is kept, nothing is doubled, and what is kept or somebody else's was never touched.

pub(crate) mod cloud;
mod counts;
mod run;

pub use cloud::{PAIRS, pair_text};
pub use counts::{Counts, Failed};
pub use run::run;
