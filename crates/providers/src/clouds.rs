//! The registry of clouds. A cloud is one folder here and one line of [`CLOUDS`].

pub mod scaleway;

use crate::CloudProvider;
use crate::transport::Transport;
use inventiv_core::time::Timestamp;
use secrecy::SecretString;
use std::sync::Arc;

/// Every cloud that a control plane can work with.
pub const CLOUDS: &[Cloud] = &[scaleway::CLOUD];

/// Gives the time: drivers read no clock of their own.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Gives an environment variable, so that tests need not touch the process's own.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads credentials from an environment, of one profile if one is named.
pub type LogIn = fn(Env<'_>, Option<&str>) -> Result<Box<dyn Login>, LoginError>;

/// One cloud, before anybody has logged in.
#[derive(Clone, Copy)]
pub struct Cloud {
    /// Its name, for instance `scaleway`: the first part of an account's id.
    pub name: &'static str,
    /// The zones that are worked in unless others are named.
    pub default_zones: &'static [&'static str],
    /// Whether a text has the form of a zone.
    pub is_zone: fn(&str) -> bool,
    /// How many calls a second an account makes unless it is told otherwise.
    pub calls_per_second: f64,
    /// Reads credentials: of the named profile, else those that the environment gives.
    pub log_in: LogIn,
}

/// Credentials of one account. Nothing was sent yet.
pub trait Login: Send + Sync {
    /// The project that everything is made in.
    fn project_id(&self) -> &str;
    /// Where the API is.
    fn api_url(&self) -> &str;
    /// Whether any TLS certificate is accepted.
    fn insecure(&self) -> bool;
    /// What must never be written down.
    fn secrets(&self) -> Vec<SecretString>;
    /// Talks to the cloud over this transport.
    fn connect(&self, transport: Arc<dyn Transport>, calls_per_second: f64, now: Now) -> Arc<dyn CloudProvider>;
}

/// Credentials that cannot be used, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LoginError(pub String);

/// The cloud with that name.
///
/// # Errors
/// Names the clouds that there are.
pub fn named(name: &str) -> Result<&'static Cloud, LoginError> {
    CLOUDS.iter().find(|c| c.name == name).ok_or_else(|| {
        let names: Vec<&str> = CLOUDS.iter().map(|c| c.name).collect();
        LoginError(format!("there is no cloud `{name}`; there is {}", names.join(", ")))
    })
}
