//! The pages.

pub(crate) mod audit;
pub(crate) mod bill;
pub(crate) mod chat;
pub(crate) mod costs;
pub(crate) mod instance;
pub(crate) mod instances;
pub(crate) mod login;
pub(crate) mod new_instance;
pub(crate) mod overview;
pub(crate) mod service;
pub(crate) mod services;
pub(crate) mod settings;
pub(crate) mod volumes;
