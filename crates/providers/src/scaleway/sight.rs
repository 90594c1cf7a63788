//! Whether the credentials see the project: keys that lost it are answered empty lists and not-founds for everything.
//!
//! An absence counts only between two sights of the project over the same API: one before the read, one after it. A sight is
//! anything of the project that the API shows. The one before may be any earlier read of this process, as long as none
//! after it failed to see the project. Instance and Block Storage have rights of their own, and sights of their own.

use super::{Scaleway, block_path, instance_path, wire};
use crate::Existence;
use crate::error::Error;
use inventiv_core::error::{Effect, ErrorKind};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// An API with rights of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// Servers, local volumes, addresses, security groups.
    Instance,
    /// Block volumes.
    Block,
}

/// In which zones each API showed something of the project when it was last asked.
#[derive(Default)]
pub(super) struct Sights(Mutex<HashSet<(String, Side)>>);

impl Sights {
    fn note(&self, zone: &str, side: Side, seen: bool) {
        let mut sights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen {
            sights.insert((zone.to_owned(), side));
        } else {
            sights.remove(&(zone.to_owned(), side));
        }
    }

    fn has(&self, zone: &str, side: Side) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&(zone.to_owned(), side))
    }
}

impl Scaleway {
    /// Something of the project was shown.
    pub(super) fn saw(&self, zone: &str, side: Side) {
        self.sights.note(zone, side, true);
    }

    /// Before a read that may show an absence: why nothing is seen of the project; `None`: it is.
    pub(super) async fn hidden_before(&self, zone: &str, side: Side, but: &str) -> Option<String> {
        if self.sights.has(zone, side) { None } else { self.hidden_now(zone, side, but).await }
    }

    /// Asks for something of the project, other than the resource `but`: why nothing is seen; `None`: something is.
    pub(super) async fn hidden_now(&self, zone: &str, side: Side, but: &str) -> Option<String> {
        let hidden = match side {
            Side::Instance => self.group_is_hidden(zone).await,
            Side::Block => self.blocks_are_hidden(zone, but).await,
        };
        self.sights.note(zone, side, hidden.is_none());
        hidden
    }

    /// The cloud makes a security group with the first server of a zone, and leaves it there: where none is shown, there
    /// never was a server, or the credentials do not see the project.
    async fn group_is_hidden(&self, zone: &str) -> Option<String> {
        let project = self.account.project_id.as_str();
        let path = instance_path(zone, &format!("security_groups?project={project}&per_page=1&page=1"));
        let groups = match self.read(path).await {
            Ok(answer) => answer.decode::<wire::GroupList>().map(|list| list.security_groups),
            Err(e) => Err(e),
        };
        match groups {
            Ok(groups) if groups.0.iter().any(|g| g.project == project) => None,
            Ok(_) => Some(format!(
                "blocked: credentials: no security group of project {project} is shown in {zone}, although one stays where a \
                 server was: waits for credentials that see the project"
            )),
            Err(e) => Some(format!(
                "nothing of project {project} is shown in {zone}, and its security groups cannot be listed: {e}; waits to learn \
                 whether the credentials see the project"
            )),
        }
    }

    async fn blocks_are_hidden(&self, zone: &str, but: &str) -> Option<String> {
        let project = self.account.project_id.as_str();
        let query =
            format!("volumes?project_id={project}&order_by=created_at_asc&include_deleted=false&page_size=2&page=1");
        let shown = match self.read(block_path(zone, &query)).await {
            Ok(answer) => answer.decode::<wire::BlockList>().map(|list| list.volumes),
            Err(e) => Err(e),
        };
        match shown {
            Ok(volumes) if volumes.iter().any(|v| wire::block(v).id != but) => None,
            Ok(_) => Some(self.blocks_hidden(zone)),
            Err(e) => Some(format!(
                "block volumes of project {project} in {zone} cannot be listed: {e}; waits to learn whether the credentials see \
                 block storage"
            )),
        }
    }

    /// A not-found counts only if the project was seen before it, and is seen after it.
    pub(super) async fn witnessed<T>(
        &self,
        zone: &str,
        (side, id): (Side, &str),
        before: Option<String>,
        found: Existence<T>,
    ) -> Result<Existence<T>, Error> {
        if matches!(found, Existence::Exists(_)) {
            self.saw(zone, side);
            return Ok(found);
        }
        let after = self.hidden_now(zone, side, id).await;
        match before.or(after) {
            None => Ok(found),
            Some(hidden) => {
                let text = format!("not found, but {hidden}");
                Err(Error::new(ErrorKind::Unwitnessed, Effect::None, text))
            }
        }
    }
}
