//! Cloud names: the name alone shows the owner of a resource, its role, and whether it may be deleted.
//!
//! `iva-<control plane>-<instance>-<role>-<attempt>-<d|k>[policy version]`. Tags repeat it, because a name can be
//! edited by hand, and tags on block volumes are not evidenced for every call. A control plane's own id is
//! configuration, so that a name with another id is never ours. Only text that [`CloudName::text`] can write is parsed
//! as a name of ours.
//!
//! The policy version counts the changes of a volume's policy. It is left out while it is 0. If the cloud shows a
//! higher version than the records, the records are older than the cloud.

use crate::id::{InstanceId, is_body};

/// The prefix of our names.
pub const PREFIX: &str = "iva";
/// The prefix of the tag that names the model.
pub const MODEL_TAG: &str = "inventiv-model=";

/// The role of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The server itself.
    Server,
    /// The volume that the server boots from.
    Boot,
    /// The volume that holds the model.
    Data,
    /// Any other volume that the cloud created with the server, including scratch.
    Extra,
}

impl Role {
    const ALL: [Self; 4] = [Self::Server, Self::Boot, Self::Data, Self::Extra];

    const fn text(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Boot => "boot",
            Self::Data => "data",
            Self::Extra => "extra",
        }
    }
}

/// A parsed cloud name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudName {
    /// The id of the control plane that created it: 1 to 16 characters of `[a-z0-9]`.
    pub control_plane: String,
    /// The instance that it belongs to.
    pub instance: InstanceId,
    /// Its role.
    pub role: Role,
    /// The number of the attempt (or the number among several extras), from 1.
    pub attempt: u32,
    /// `true`: deleted with the instance. `false`: retained when the instance ends.
    pub delete: bool,
    /// How often the policy was changed since the resource was created.
    pub policy_version: u32,
}

/// Whether `text` may serve as a control plane's id.
#[must_use]
pub fn is_control_plane(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

impl CloudName {
    /// The name as the cloud shows it.
    #[must_use]
    pub fn text(&self) -> String {
        let policy = if self.delete { "d" } else { "k" };
        let version = if self.policy_version == 0 { String::new() } else { self.policy_version.to_string() };
        let (cp, body, role) = (&self.control_plane, self.instance.body(), self.role.text());
        format!("{PREFIX}-{cp}-{body}-{role}-{}-{policy}{version}", self.attempt)
    }

    /// Parses a name of ours; `None` for any other name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut next = || parts.next();
        if next()? != PREFIX {
            return None;
        }
        let control_plane = next().filter(|t| is_control_plane(t))?.to_owned();
        let instance = next().filter(|b| is_body(b)).and_then(|b| InstanceId::parse(&format!("ins-{b}")))?;
        let role_text = next()?;
        let role = Role::ALL.into_iter().find(|r| r.text() == role_text)?;
        let attempt = next()?.parse().ok()?;
        let policy = next()?;
        let (delete, version) = match policy.split_at_checked(1)? {
            ("d", version) => (true, version),
            ("k", version) => (false, version),
            _ => return None,
        };
        let policy_version = if version.is_empty() { 0 } else { version.parse().ok()? };
        let name = Self { control_plane, instance, role, attempt, delete, policy_version };
        // Numbers are parsed more loosely than they are written (`01`, `+1`): only what we write is ours.
        (name.text() == text).then_some(name)
    }

    /// Whether `tags` contain the same control plane and instance as this name. A resource that was never recorded is
    /// ours only if both its name and its tags say so.
    #[must_use]
    pub fn is_confirmed_by(&self, tags: &[String]) -> bool {
        let has = |tag: String| tags.contains(&tag);
        has(format!("inventiv-control-plane={}", self.control_plane))
            && has(format!("inventiv-instance={}", self.instance))
    }

    /// The same facts as tags, one `key=value` each.
    #[must_use]
    pub fn tags(&self) -> Vec<String> {
        vec![
            "inventiv".to_owned(),
            format!("inventiv-control-plane={}", self.control_plane),
            format!("inventiv-instance={}", self.instance),
            format!("inventiv-role={}", self.role.text()),
            format!("inventiv-attempt={}", self.attempt),
            format!("inventiv-policy={}", if self.delete { "delete" } else { "keep" }),
            format!("inventiv-policy-version={}", self.policy_version),
        ]
    }
}

#[cfg(test)]
mod tests;
