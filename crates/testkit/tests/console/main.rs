//! Tests of the console: login, what a reader may do, and every page and action against a complete control plane.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod actions;
mod helpers;
mod login;
mod pages;
