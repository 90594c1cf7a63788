//! One file for each command.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod cost;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod emulated_server;
pub(crate) mod explain;
pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod key;
pub(crate) mod limit;
pub(crate) mod logs;
pub(crate) mod migrate;
pub(crate) mod model;
pub(crate) mod offer;
pub(crate) mod recover;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod stand_in_engine;
pub(crate) mod status;
pub(crate) mod volume;
pub(crate) mod watch;
pub(crate) mod webhook;
pub(crate) mod worker;
