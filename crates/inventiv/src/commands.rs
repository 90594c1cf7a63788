//! One file for each command.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod migrate;
pub(crate) mod model;
pub(crate) mod offer;
pub(crate) mod recover;
pub(crate) mod serve;
pub(crate) mod volume;
pub(crate) mod watch;
