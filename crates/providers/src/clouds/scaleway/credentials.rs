//! Credentials and defaults, read like the official Scaleway clients: the environment, then profiles of the config
//! file.

use super::Scaleway;
use crate::CloudProvider;
use crate::clouds::{Env, Login, LoginError, Now};
use crate::transport::Transport;
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The URL of the real API.
pub const DEFAULT_API_URL: &str = "https://api.scaleway.com";

/// The credentials of one Scaleway project.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The secret key. Never printed.
    pub secret_key: SecretString,
    /// The project that everything is created in.
    pub project_id: String,
    /// The zone for requests that name none.
    pub default_zone: String,
    /// The URL of the API.
    pub api_url: String,
    /// Whether any TLS certificate is accepted.
    pub insecure: bool,
}

#[derive(Debug, Default, Clone, Deserialize)]
struct Profile {
    secret_key: Option<String>,
    default_project_id: Option<String>,
    default_organization_id: Option<String>,
    default_zone: Option<String>,
    api_url: Option<String>,
    insecure: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
struct ConfigFile {
    #[serde(flatten)]
    top: Profile,
    active_profile: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

impl Login for Credentials {
    fn project_id(&self) -> &str {
        &self.project_id
    }

    fn api_url(&self) -> &str {
        &self.api_url
    }

    fn insecure(&self) -> bool {
        self.insecure
    }

    fn secrets(&self) -> Vec<SecretString> {
        vec![self.secret_key.clone()]
    }

    fn connect(&self, transport: Arc<dyn Transport>, calls_per_second: f64, now: Now) -> Arc<dyn CloudProvider> {
        Arc::new(Scaleway::new(self, transport, calls_per_second, now))
    }
}

/// Reads credentials. With a named `profile`, key and project come from it alone, so that several profiles can be used
/// at once. Otherwise, the environment has precedence over the config file.
///
/// # Errors
/// A text that says which value is missing or malformed and where it can be set, without the values of secrets.
pub fn read(env: Env<'_>, profile: Option<&str>) -> Result<Credentials, LoginError> {
    let env = |name: &str| env(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
    let named = profile;
    let profile = read_profile(&env, named)?;
    let first = |names: &[&str]| names.iter().filter(|_| named.is_none()).find_map(|n| env(n));
    let secret_key = first(&["SCW_SECRET_KEY", "SCW_TOKEN", "SCALEWAY_TOKEN"]).or(profile.secret_key);
    let project = first(&["SCW_DEFAULT_PROJECT_ID"])
        .or(profile.default_project_id)
        .or_else(|| first(&["SCW_DEFAULT_ORGANIZATION_ID", "SCW_ORGANIZATION"]))
        .or(profile.default_organization_id);
    let missing = |what: &str, variable: &str| {
        LoginError(match named {
            Some(name) => format!("profile `{name}` has no {what}: `scw config edit` opens the config file"),
            None => format!("no {what}: set {variable}, or run `scw init`, which writes it to the config file"),
        })
    };
    let secret_key = secret_key.ok_or_else(|| missing("secret key", "SCW_SECRET_KEY"))?;
    if !is_uuid(&secret_key) {
        return Err(LoginError("the secret key is not a UUID: check SCW_SECRET_KEY and the config file".to_owned()));
    }
    let project_id = project.ok_or_else(|| missing("project", "SCW_DEFAULT_PROJECT_ID"))?;
    if !is_uuid(&project_id) {
        return Err(LoginError(format!("the project id `{project_id}` is not a UUID: check SCW_DEFAULT_PROJECT_ID")));
    }
    let api_url = env("SCW_API_URL").or(profile.api_url).unwrap_or_else(|| DEFAULT_API_URL.to_owned());
    let default_zone = first(&["SCW_DEFAULT_ZONE"]).or(profile.default_zone).unwrap_or_else(|| "fr-par-1".to_owned());
    if !is_zone(&default_zone) {
        return Err(LoginError(format!("`{default_zone}` is not a zone: SCW_DEFAULT_ZONE looks like fr-par-2")));
    }
    let insecure = match env("SCW_INSECURE") {
        Some(text) => matches!(text.as_str(), "1" | "true" | "True" | "TRUE"),
        None => profile.insecure.unwrap_or(false),
    };
    Ok(Credentials {
        secret_key: SecretString::from(secret_key),
        project_id,
        default_zone,
        api_url: check_url(&api_url)?,
        insecure,
    })
}

fn read_profile(env: &dyn Fn(&str) -> Option<String>, named: Option<&str>) -> Result<Profile, LoginError> {
    let Some(path) = config_path(env) else {
        return named.map_or_else(
            || Ok(Profile::default()),
            |name| Err(LoginError(format!("there is no config file with profile `{name}`: run `scw init -p {name}`"))),
        );
    };
    let text =
        std::fs::read_to_string(&path).map_err(|e| LoginError(format!("cannot read {}: {e}", path.display())))?;
    // The parser's message would quote the line, which may contain a key.
    let file: ConfigFile = serde_yaml_ng::from_str(&text).map_err(|e| {
        let place = e.location().map_or_else(String::new, |l| format!(", line {}", l.line()));
        LoginError(format!("{}{place} is not a Scaleway config file; `scw init` writes one", path.display()))
    })?;
    let chosen = named.map(str::to_owned).or_else(|| env("SCW_PROFILE")).or(file.active_profile);
    let Some(name) = chosen else { return Ok(file.top) };
    let chosen = file.profiles.get(&name).cloned();
    let chosen = match (chosen, name.as_str()) {
        (Some(profile), _) => profile,
        (None, "default") => Profile::default(),
        (None, _) => {
            let text =
                format!("{} has no profile `{name}`: `scw config profile list` shows those it has", path.display());
            return Err(LoginError(text));
        }
    };
    // The top level of the file is the profile `default`: its key and project belong to another account.
    let top = if named.is_some_and(|name| name != "default") {
        Profile { secret_key: None, default_project_id: None, default_organization_id: None, ..file.top }
    } else {
        file.top
    };
    Ok(Profile {
        secret_key: chosen.secret_key.or(top.secret_key),
        default_project_id: chosen.default_project_id.or(top.default_project_id),
        default_organization_id: chosen.default_organization_id.or(top.default_organization_id),
        default_zone: chosen.default_zone.or(top.default_zone),
        api_url: chosen.api_url.or(top.api_url),
        insecure: chosen.insecure.or(top.insecure),
    })
}

/// The file to read: the one that `SCW_CONFIG_PATH` names, even if it does not exist; otherwise the first standard one.
fn config_path(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(path) = env("SCW_CONFIG_PATH") {
        return Some(PathBuf::from(path));
    }
    let folders = [env("XDG_CONFIG_HOME").map(PathBuf::from), env("HOME").map(|h| Path::new(&h).join(".config"))];
    let files = folders.into_iter().flatten().flat_map(|f| [f.join("scw/config.yaml"), f.join("scw/config.yml")]);
    files.into_iter().find(|f| f.is_file())
}

fn check_url(url: &str) -> Result<String, LoginError> {
    let good = url.parse::<http::Uri>().is_ok_and(|u| {
        matches!(u.scheme_str(), Some("http" | "https")) && u.authority().is_some() && matches!(u.path(), "" | "/")
    });
    if good && url.contains('@') {
        let text = "SCW_API_URL contains a user or a password and would be logged; remove them, and set SCW_SECRET_KEY";
        return Err(LoginError(text.to_owned()));
    }
    if good && !url.ends_with('/') {
        return Ok(url.to_owned());
    }
    Err(LoginError(format!(
        "`{url}` is not an API address: SCW_API_URL looks like {DEFAULT_API_URL}, without a slash at the end"
    )))
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// Whether a text has the form of a zone.
#[must_use]
pub fn is_zone(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lower = |t: &str| t.bytes().all(|b| b.is_ascii_lowercase());
    matches!(parts.as_slice(), [country, city, number]
        if country.len() == 2 && lower(country) && (3..=7).contains(&city.len()) && lower(city)
            && (1..=2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
