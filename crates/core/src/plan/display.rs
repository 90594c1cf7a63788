//! A plan as text: for people, for `next`, and for tests.

use super::Plan;
use crate::action::{Action, Creation, ServerCall, VolumeCall};
use crate::id::{ServerId, VolumeId};
use crate::recorded::{Aggregate, Volume};
use crate::size::gb_ceil;
use crate::status::Origin;
use std::fmt;

/// The prefix of the ids of resources that do not exist yet; no provider has such ids.
pub(crate) const IMAGINED: &str = "?";

/// What an action does, as a phrase: `start server 1111…`. Resources without an id are called `the server`,
/// `the data volume` and so on.
#[must_use]
pub fn phrase(action: &Action, agg: &Aggregate) -> String {
    match action {
        Action::Create(Creation::Server(_)) => format!("create the {} server", agg.instance.instance_type),
        Action::Create(Creation::Volume(row)) => match row.size_bytes {
            Some(bytes) => format!("create the {} GB {}", gb_ceil(bytes), role(row)),
            None => format!("create the {}", role(row)),
        },
        Action::Server(id, call) => {
            let server = server(agg, id);
            match call {
                ServerCall::Tag => format!("set our name and tags on {server}"),
                ServerCall::SetUserData => format!("set the first-boot instructions of {server}"),
                ServerCall::Start => format!("start {server}"),
                ServerCall::Stop => format!("stop {server}"),
                ServerCall::Reboot => format!("reboot {server}"),
                ServerCall::Terminate => format!("remove {server} while it runs"),
                ServerCall::Delete => format!("remove {server} while it is stopped"),
                ServerCall::ProveGone => format!("prove {server} gone: not found by its id"),
            }
        }
        Action::Volume(id, call) => {
            let volume = volume(agg, id);
            match call {
                VolumeCall::Tag => format!("set our name and tags on {volume}"),
                VolumeCall::Resize(bytes) => format!("grow {volume} to {} GB", gb_ceil(*bytes)),
                VolumeCall::Attach(to) => format!("attach {volume} to {}", server(agg, to)),
                VolumeCall::Detach(from) => format!("detach {volume} from {}", server(agg, from)),
                VolumeCall::Delete => format!("delete {volume}"),
                VolumeCall::ProveGone => format!("prove {volume} gone: not found by its id"),
            }
        }
    }
}

/// How a server is called: by its provider's id, if it has one.
fn server(agg: &Aggregate, id: &ServerId) -> String {
    match agg.server_by_id(id).and_then(|s| s.provider_id.as_deref()) {
        Some(id) if !id.starts_with(IMAGINED) => format!("server {id}"),
        Some(_) | None => "the server".to_owned(),
    }
}

/// How a volume is called: by its role, and by its provider's id, if it has one.
pub(crate) fn volume(agg: &Aggregate, id: &VolumeId) -> String {
    let Some(row) = agg.volume(id) else { return "a volume".to_owned() };
    match &row.provider_id {
        Some(id) if !id.starts_with(IMAGINED) => format!("{} {id}", role(row)),
        Some(_) | None => format!("the {}", role(row)),
    }
}

fn role(row: &Volume) -> &'static str {
    match row.origin {
        Origin::Ours => "data volume",
        Origin::Witness => "witness volume",
        Origin::Foreign => "third-party volume",
        Origin::Cloud if row.is_boot => "boot volume",
        Origin::Cloud => "volume",
    }
}

impl fmt::Display for Plan {
    /// The status, then one line for each event, action and note.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instance = &self.recorded.instance;
        write!(f, "{}", instance.status)?;
        for event in &self.events {
            write!(f, "\nrecord {}: {}", event.kind, event.text)?;
        }
        for action in &self.actions {
            write!(f, "\n{}", phrase(action, &self.recorded))?;
        }
        for note in &instance.notes {
            write!(f, "\n{}", note.text)?;
            if let Some(until) = note.until {
                write!(f, " (until {until})")?;
            }
        }
        Ok(())
    }
}
