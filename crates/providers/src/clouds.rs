//! The registry of providers. A provider is one folder here and one line of [`CLOUDS`].

pub mod scaleway;

use crate::CloudProvider;
use crate::transport::Transport;
use inventiv_core::time::Timestamp;
use secrecy::SecretString;
use std::sync::Arc;

/// Every provider that a control plane can work with.
pub const CLOUDS: &[Cloud] = &[scaleway::CLOUD];

/// Returns the current time: drivers read no clock of their own.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Returns the value of an environment variable, so that tests need not change those of the process.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads credentials from an environment; those of a profile if one is named.
pub type LogIn = fn(Env<'_>, Option<&str>) -> Result<Box<dyn Login>, LoginError>;

/// One provider, without credentials.
#[derive(Clone, Copy)]
pub struct Cloud {
    /// The name, for instance `scaleway`: the first part of an account's id.
    pub name: &'static str,
    /// The zones to work in unless others are configured.
    pub default_zones: &'static [&'static str],
    /// Whether a text has the form of a zone.
    pub is_zone: fn(&str) -> bool,
    /// The default rate budget of an account, in calls per second.
    pub calls_per_second: f64,
    /// Reads credentials: those of the named profile, otherwise those of the environment.
    pub log_in: LogIn,
}

/// The credentials of one account. They have not been used yet.
pub trait Login: Send + Sync {
    /// The project that everything is created in.
    fn project_id(&self) -> &str;
    /// The URL of the API.
    fn api_url(&self) -> &str;
    /// Whether any TLS certificate is accepted.
    fn insecure(&self) -> bool;
    /// The secrets, which must never be recorded or logged.
    fn secrets(&self) -> Vec<SecretString>;
    /// Makes a driver that uses this transport.
    fn connect(&self, transport: Arc<dyn Transport>, calls_per_second: f64, now: Now) -> Arc<dyn CloudProvider>;
}

/// Why credentials cannot be used, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LoginError(pub String);

/// The provider with that name.
///
/// # Errors
/// A text that lists the providers.
pub fn named(name: &str) -> Result<&'static Cloud, LoginError> {
    CLOUDS.iter().find(|c| c.name == name).ok_or_else(|| {
        let names: Vec<&str> = CLOUDS.iter().map(|c| c.name).collect();
        LoginError(format!("unknown provider `{name}`; the providers are {}", names.join(", ")))
    })
}
