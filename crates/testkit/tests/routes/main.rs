//! Tests of the HTTP API: one module per route, as in `api/src/routes.rs`, and one for what holds for all routes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod audit_show;
mod bill;
mod costs;
mod events_follow;
mod every_route;
mod helpers;
mod idempotency;
mod instances_change;
mod instances_create;
mod instances_list;
mod instances_proof;
mod instances_show;
mod keys;
mod models;
mod models_fit;
mod offers_list;
mod plans;
mod representations;
mod secrets;
mod services;
mod services_change;
mod sessions;
mod settings_change;
mod usage;
