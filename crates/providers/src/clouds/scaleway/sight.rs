//! Visibility of the project: with credentials that cannot see it, lists are empty and every read is a not-found.
//!
//! An absence counts only if the project was visible over the same API before the read and after it. Any resource of
//! the project that the API shows proves this. Before the read, any earlier read of this process is enough, unless a
//! later one did not see the project. Instance and Block Storage have separate permissions, so their visibility is
//! separate.

use super::{Scaleway, block_path, instance_path, wire};
use crate::Existence;
use crate::error::Error;
use inventiv_core::error::{Effect, ErrorKind};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// An API with its own permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// Servers, local volumes, addresses, security groups.
    Instance,
    /// Block volumes.
    Block,
}

/// How long a visibility check waits for other reads that can share it.
const SHARE_MAX: Duration = Duration::from_millis(500);

/// The zones in which each API showed the project at the last check, and the checks in progress.
#[derive(Default)]
pub(super) struct Sights {
    seen: Mutex<HashSet<(String, Side)>>,
    shared: Mutex<HashMap<(String, Side), Arc<Shared>>>,
}

/// One visibility check for several reads of one zone and API.
#[derive(Default)]
struct Shared {
    /// The number of reads in flight that may need a check.
    reads: AtomicUsize,
    ended: Notify,
    /// Orders the ends of reads and the starts of checks.
    clock: AtomicU64,
    /// When the last check began, and its result.
    last: tokio::sync::Mutex<Option<(u64, Option<String>)>>,
}

impl Shared {
    /// Waits until no read is in flight, for [`SHARE_MAX`] at most, because new ones may begin all the time.
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

/// A read in flight; dropping it ends the read.
struct Reading(Arc<Shared>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.reads.fetch_sub(1, Ordering::SeqCst);
        self.0.ended.notify_waiters();
    }
}

impl Sights {
    fn shared(&self, zone: &str, side: Side) -> Arc<Shared> {
        let mut shared = self.shared.lock();
        shared.entry((zone.to_owned(), side)).or_default().clone()
    }

    fn reading(&self, zone: &str, side: Side) -> Reading {
        let shared = self.shared(zone, side);
        shared.reads.fetch_add(1, Ordering::SeqCst);
        Reading(shared)
    }

    fn note(&self, zone: &str, side: Side, seen: bool) {
        let mut sights = self.seen.lock();
        if seen {
            sights.insert((zone.to_owned(), side));
        } else {
            sights.remove(&(zone.to_owned(), side));
        }
    }

    fn has(&self, zone: &str, side: Side) -> bool {
        self.seen.lock().contains(&(zone.to_owned(), side))
    }
}

impl Scaleway {
    /// Notes that a resource of the project was shown.
    pub(super) fn saw(&self, zone: &str, side: Side) {
        self.sights.note(zone, side, true);
    }

    /// Before a read that may show an absence: why the project is not visible; `None`: it is.
    pub(super) async fn hidden_before(&self, zone: &str, side: Side, but: &str) -> Option<String> {
        if self.sights.has(zone, side) { None } else { self.hidden_now(zone, side, but).await }
    }

    /// Reads a resource of the project other than `but`. Returns why the project is not visible; `None`: it is.
    pub(super) async fn hidden_now(&self, zone: &str, side: Side, but: &str) -> Option<String> {
        let hidden = match side {
            Side::Instance => self.group_is_hidden(zone).await,
            Side::Block => self.blocks_are_hidden(zone, but).await,
        };
        self.sights.note(zone, side, hidden.is_none());
        hidden
    }

    /// Scaleway creates a security group with the first server of a zone and keeps it. If none is shown, there never
    /// was a server, or the credentials cannot see the project.
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
                "blocked: credentials: no security group of project {project} is shown in {zone}, although one \
                 remains where a server was; waits for credentials that can see the project"
            )),
            Err(e) => Some(format!(
                "nothing of project {project} is shown in {zone}, and its security groups cannot be listed: {e}; waits \
                 to learn whether the credentials can see the project"
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
                "block volumes of project {project} in {zone} cannot be listed: {e}; waits to learn whether the \
                 credentials can see block storage"
            )),
        }
    }

    /// The resource that a read shows. `None` is no evidence that it is gone.
    pub(super) fn reported<T>(&self, zone: &str, side: Side, found: Existence<T>) -> Option<T> {
        match found {
            Existence::Exists(seen) => {
                self.saw(zone, side);
                Some(seen)
            }
            Existence::Gone(_) => None,
        }
    }

    /// Reads one resource. A not-found counts only if the project was visible before the read and is visible after it.
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
            // Only a not-found needs the check. The resource is read again after it.
            drop(reading);
            seen_before = self.hidden_now(zone, side, id).await.is_none();
            reading = self.sights.reading(zone, side);
            found = ask().await?;
        }
        // Before other checks learn that the read has ended: one of them may serve this read, too.
        let ended = reading.0.clock.fetch_add(1, Ordering::SeqCst);
        drop(reading);
        if matches!(found, Existence::Exists(_)) {
            self.saw(zone, side);
            return Ok(found);
        }
        let hidden = match self.hidden_after(zone, (side, id), ended).await {
            None if seen_before => return Ok(found),
            None => "the project was not visible before the read".to_owned(),
            Some(hidden) => hidden,
        };
        Err(Error::new(ErrorKind::Unwitnessed, Effect::None, format!("not found, but {hidden}")))
    }

    /// Checks the visibility of the project after a read that ended at `ended`. Reads that are in flight meanwhile share the check: it begins
    /// after they have ended, too.
    async fn hidden_after(&self, zone: &str, (side, but): (Side, &str), ended: u64) -> Option<String> {
        if side == Side::Block {
            // The check must find another volume than the one in question.
            return self.hidden_now(zone, side, but).await;
        }
        let shared = self.sights.shared(zone, side);
        // Lets reads that were requested together begin before this check.
        tokio::task::yield_now().await;
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
