//! The accounts that a control plane works in, as the command line names them.

use crate::failure::Failure;
use inventiv_providers::CloudProvider;
use inventiv_providers::clouds::{self, CLOUDS, Cloud, Env, Login, Now};
use inventiv_providers::transport::Real;
use std::sync::Arc;

/// An account with its credentials. Nothing was sent yet.
pub(crate) struct LoggedIn {
    /// Its name for people: the profile's, else the cloud's.
    pub(crate) name: String,
    pub(crate) cloud: &'static Cloud,
    pub(crate) login: Box<dyn Login>,
}

impl LoggedIn {
    /// Connects over the network.
    pub(crate) fn connect(&self, calls_per_second: f64, now: Now) -> Result<Arc<dyn CloudProvider>, Failure> {
        let real = Real::new(self.login.api_url(), self.login.insecure());
        let transport = real.map_err(|e| Failure::general(e.to_string()))?;
        Ok(self.login.connect(Arc::new(transport), calls_per_second, now))
    }
}

/// Reads the credentials of an account: `CLOUD` alone takes them as its official client does, `CLOUD:PROFILE` those of
/// one profile.
pub(crate) fn log_in(text: &str, env: Env<'_>) -> Result<LoggedIn, Failure> {
    let (cloud, profile) = text.split_once(':').map_or((text, None), |(cloud, profile)| (cloud, Some(profile)));
    let refused = |e: clouds::LoginError| Failure::refused(e.to_string());
    let cloud = clouds::named(cloud).map_err(refused)?;
    let login = (cloud.log_in)(env, profile).map_err(refused)?;
    Ok(LoggedIn { name: profile.unwrap_or(cloud.name).to_owned(), cloud, login })
}

/// Reads the credentials of several accounts, each of which is another one.
pub(crate) fn log_in_to_all(texts: &[String], env: Env<'_>) -> Result<Vec<LoggedIn>, Failure> {
    let accounts = texts.iter().map(|text| log_in(text, env)).collect::<Result<Vec<_>, _>>()?;
    for (n, account) in accounts.iter().enumerate() {
        for earlier in &accounts[..n] {
            let same_project =
                earlier.cloud.name == account.cloud.name && earlier.login.project_id() == account.login.project_id();
            if same_project || earlier.name == account.name {
                let what = if same_project { "project" } else { "name" };
                let text = format!(
                    "--account: `{}` and `{}` have the same {what}; each account must be another one",
                    earlier.name, account.name
                );
                return Err(Failure::refused(text));
            }
        }
    }
    Ok(accounts)
}

/// The zones to work in with an account: those that were named, else those that are usual for its cloud.
pub(crate) fn zones(cloud: &Cloud, named: &[String]) -> Result<Vec<String>, Failure> {
    if named.is_empty() {
        return Ok(cloud.default_zones.iter().map(|z| (*z).to_owned()).collect());
    }
    match named.iter().find(|z| !(cloud.is_zone)(z)) {
        None => Ok(named.to_vec()),
        Some(zone) => {
            let example = cloud.default_zones.first().copied().unwrap_or_default();
            Err(Failure::refused(format!("--zones: `{zone}` is not a zone; zones look like {example}")))
        }
    }
}

/// The account of commands that name none: the first cloud of the registry.
pub(crate) const DEFAULT: &str = CLOUDS[0].name;
