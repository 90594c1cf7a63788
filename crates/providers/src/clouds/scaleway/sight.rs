//! Whether the credentials see the project: keys that lost it are answered empty lists and not-founds for everything.
//!
//! An absence counts only between two sights of the project over the same API: one before the read, one after it. A sight is
//! anything of the project that the API shows. The one before may be any earlier read of this process, as long as none
//! after it failed to see the project. Instance and Block Storage have rights of their own, and sights of their own.

use super::{Scaleway, block_path, instance_path, wire};
use crate::Existence;
use crate::error::Error;
use inventiv_core::error::{Effect, ErrorKind};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// An API with rights of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// Servers, local volumes, addresses, security groups.
    Instance,
    /// Block volumes.
    Block,
}

/// How long a sight of the project waits at most for other reads that could share it.
const SHARE_MAX: Duration = Duration::from_millis(500);

/// In which zones each API showed something of the project when it was last asked, and who is asking.
#[derive(Default)]
pub(super) struct Sights {
    seen: Mutex<HashSet<(String, Side)>>,
    shared: Mutex<HashMap<(String, Side), Arc<Shared>>>,
}

/// One sight of the project for several reads of one zone and API.
#[derive(Default)]
struct Shared {
    /// How many reads are under way that may have to be witnessed.
    reads: AtomicUsize,
    ended: Notify,
    /// Orders ends of reads and beginnings of sights.
    clock: AtomicU64,
    /// When the last sight began, and what came of it.
    last: tokio::sync::Mutex<Option<(u64, Option<String>)>>,
}

impl Shared {
    /// Waits until no read is under way; not for ever, because others may begin all the time.
    async fn no_reads(&self) {
        let quiet = async {
            loop {
                let ended = self.ended.notified();
                if self.reads.load(Ordering::SeqCst) == 0 {
                    return;
                }
                ended.await;
            }
        };
        let _ = tokio::time::timeout(SHARE_MAX, quiet).await;
    }
}

/// A read is under way while it lives.
struct Reading(Arc<Shared>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.reads.fetch_sub(1, Ordering::SeqCst);
        self.0.ended.notify_waiters();
    }
}

impl Sights {
    fn shared(&self, zone: &str, side: Side) -> Arc<Shared> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.entry((zone.to_owned(), side)).or_default().clone()
    }

    fn reading(&self, zone: &str, side: Side) -> Reading {
        let shared = self.shared(zone, side);
        shared.reads.fetch_add(1, Ordering::SeqCst);
        Reading(shared)
    }

    fn note(&self, zone: &str, side: Side, seen: bool) {
        let mut sights = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen {
            sights.insert((zone.to_owned(), side));
        } else {
            sights.remove(&(zone.to_owned(), side));
        }
    }

    fn has(&self, zone: &str, side: Side) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).contains(&(zone.to_owned(), side))
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

    /// What a read shows, without any evidence.
    pub(super) fn reported<T>(&self, zone: &str, side: Side, found: Existence<T>) -> Option<T> {
        match found {
            Existence::Exists(seen) => {
                self.saw(zone, side);
                Some(seen)
            }
            Existence::Gone(_) => None,
        }
    }

    /// Reads one resource. A not-found counts only if the project was seen before it, and is seen after it.
    pub(super) async fn witnessed<T, F>(
        &self,
        zone: &str,
        (side, id): (Side, &str),
        ask: impl Fn() -> F,
    ) -> Result<Existence<T>, Error>
    where
        F: Future<Output = Result<Existence<T>, Error>>,
    {
        let mut reading = self.sights.reading(zone, side);
        let mut seen_before = self.sights.has(zone, side);
        let mut found = ask().await?;
        if matches!(found, Existence::Gone(_)) && !seen_before {
            // Only now is a sight of the project worth a question; and the resource is asked for once more after it.
            drop(reading);
            seen_before = self.hidden_now(zone, side, id).await.is_none();
            reading = self.sights.reading(zone, side);
            found = ask().await?;
        }
        drop(reading);
        if matches!(found, Existence::Exists(_)) {
            self.saw(zone, side);
            return Ok(found);
        }
        let hidden = match self.hidden_after(zone, side, id).await {
            None if seen_before => return Ok(found),
            None => "nothing of the project was shown before it".to_owned(),
            Some(hidden) => hidden,
        };
        Err(Error::new(ErrorKind::Unwitnessed, Effect::None, format!("not found, but {hidden}")))
    }

    /// Whether the project is seen after a read that has ended. Reads that are under way meanwhile share the answer: it is
    /// asked for once they have ended, too.
    async fn hidden_after(&self, zone: &str, side: Side, but: &str) -> Option<String> {
        if side == Side::Block {
            // What is asked for must be another volume than the one in question.
            return self.hidden_now(zone, side, but).await;
        }
        let shared = self.sights.shared(zone, side);
        // Reads that were asked for together begin before this one is witnessed.
        tokio::task::yield_now().await;
        let ended = shared.clock.fetch_add(1, Ordering::SeqCst);
        let mut last = shared.last.lock().await;
        if let Some((began, hidden)) = last.as_ref()
            && *began > ended
        {
            return hidden.clone();
        }
        shared.no_reads().await;
        let began = shared.clock.fetch_add(1, Ordering::SeqCst);
        let hidden = self.hidden_now(zone, side, but).await;
        *last = Some((began, hidden.clone()));
        hidden
    }
}
