//! Tests of services: whole lives in virtual time, failures, several processes at once, crashes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod at_once;
mod crashes;
mod failing;
mod idle_costs;
mod lives;
mod stage;
