//! Removes what a run of the suite created, and proves that it is gone.
//!
//! Only a complete name with a run id identifies a resource as ours. A resource whose name only begins like one, or
//! that is attached to a server of ours, belongs to a third party and stays.

use super::{Course, Line, Step, Suite, text};
use crate::{Existence, VolumeRef};
use inventiv_core::observed::{Attachment, ObservedServer, ObservedVolume, ServerState, VolumeState, ZoneInventory};
use tokio::time::Instant;

/// The prefix of every name, and the tag of every resource.
pub const PREFIX: &str = "inventiv-doctor";
/// The number of digits of a run id.
const RUN_LEN: usize = 12;
/// How many complete listings must be empty: a single one can miss a resource that moved between two pages.
const EMPTY_LISTINGS: u32 = 2;

/// The role of a resource of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Boot,
    Data,
    /// The data volume, once it has been renamed.
    Renamed,
}

const ROLES: [(Role, &str); 4] =
    [(Role::Server, "server"), (Role::Boot, "boot"), (Role::Data, "data"), (Role::Renamed, "renamed")];

/// The name of a resource of ours.
pub(super) fn name(run: &str, role: Role) -> String {
    let role = ROLES.iter().find(|(r, _)| *r == role).map_or("", |(_, text)| text);
    format!("{PREFIX}-{run}-{role}")
}

/// The run id in a name; `None` if the name is not ours.
fn run_of(name: &str) -> Option<&str> {
    let (run, role) = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split_once('-')?;
    let digits = run.len() == RUN_LEN && run.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (digits && ROLES.iter().any(|(_, text)| *text == role)).then_some(run)
}

/// Whether this name was given by a run of the suite.
#[must_use]
pub fn is_own(name: &str) -> bool {
    run_of(name).is_some()
}

/// Which runs' resources are removed.
#[derive(Clone, Copy)]
enum Whose<'a> {
    Anybodys,
    Of(&'a str),
}

impl Whose<'_> {
    fn named(self, name: &str) -> bool {
        match (self, run_of(name)) {
            (Self::Anybodys, run) => run.is_some(),
            (Self::Of(own), run) => run == Some(own),
        }
    }
}

impl Suite<'_> {
    /// Removes what earlier runs left.
    pub(super) async fn clean_earlier(&self, course: &mut Course) -> Step<()> {
        self.clean(course, Whose::Anybodys).await?;
        // All resources found so far are of earlier runs and are gone.
        (course.servers, course.volumes) = (Vec::new(), Vec::new());
        Ok(())
    }

    /// Removes what this run created, and returns the evidence.
    pub(super) async fn clean_own(&self, course: &mut Course) -> Step<String> {
        let last = self.clean(course, Whose::Of(&self.run)).await?;
        let others = last.servers.iter().map(|s| ("server", &s.id, &s.name));
        for (kind, id, name) in others.chain(last.volumes.iter().map(|v| ("volume", &v.id, &v.name))) {
            if run_of(name).is_some() {
                self.report(
                    course,
                    Line::Spared(format!("{kind} {id} {name}, of another run that is active or was killed")),
                );
            }
        }
        let asked = course.servers.len() + course.volumes.len();
        Ok(format!("absent from {EMPTY_LISTINGS} complete listings, and {asked} typed not-founds for what it created"))
    }

    /// Removes resources until complete listings show none and every known id is a typed not-found. Failed calls are
    /// repeated in the next round, until the time-out. Returns the last listing.
    async fn clean(&self, course: &mut Course, whose: Whose<'_>) -> Step<ZoneInventory> {
        let (began, mut empty, mut trouble) = (Instant::now(), 0, None);
        loop {
            let left = match self.cloud.observe(&self.zone).await {
                Ok(inventory) => {
                    let left = self.take_away(course, whose, &inventory, (began, &mut trouble)).await;
                    empty = if left.is_empty() && inventory.complete { empty + 1 } else { 0 };
                    let late = course.unanswered.is_some_and(|at| at.elapsed() < self.late);
                    if empty >= EMPTY_LISTINGS && !late {
                        match self.still_there(course).await {
                            Ok(there) if there.is_empty() => return Ok(inventory),
                            Ok(there) => there,
                            Err(e) => {
                                trouble = Some(e);
                                left
                            }
                        }
                    } else {
                        left
                    }
                }
                Err(e) => {
                    trouble = Some(text(e));
                    Vec::new()
                }
            };
            if began.elapsed() > self.patience {
                let left = if left.is_empty() { "absence not proven".to_owned() } else { left.join(", ") };
                let trouble = trouble.map_or_else(String::new, |t| format!("; the last error: {t}"));
                return Err(format!("not clean after {:?}: {left}{trouble}", self.patience));
            }
            tokio::time::sleep(self.every).await;
        }
    }

    /// Removes the resources that an inventory shows; returns the ids of all of them.
    async fn take_away(
        &self,
        course: &mut Course,
        whose: Whose<'_>,
        inventory: &ZoneInventory,
        (began, trouble): (Instant, &mut Option<String>),
    ) -> Vec<String> {
        let mut left = Vec::new();
        for server in inventory.servers.iter().filter(|s| whose.named(&s.name)) {
            left.push(server.id.clone());
            // A server that is found by its name must end as a typed not-found, too.
            if !course.servers.contains(&server.id) {
                course.servers.push(server.id.clone());
            }
            if let Err(e) = self.remove_server(course, server, &inventory.volumes, (began, trouble)).await {
                *trouble = Some(e);
            }
        }
        let ours = |v: &&ObservedVolume| whose.named(&v.name) || course.volumes.iter().any(|known| known.id == v.id);
        let volumes: Vec<&ObservedVolume> = inventory.volumes.iter().filter(ours).collect();
        for volume in volumes {
            left.push(volume.id.clone());
            let named = VolumeRef::new(&volume.id, volume.volume_type.clone());
            if !course.volumes.iter().any(|known| known.id == named.id) {
                course.volumes.push(named.clone());
            }
            if !matches!(volume.state, VolumeState::Available | VolumeState::Error) {
                continue;
            }
            match self.cloud.delete_volume(&self.zone, &named).await {
                Ok(_) => {
                    course.deleted(&volume.id);
                    self.report(course, Line::Removed(format!("volume {} {}", volume.id, volume.name)));
                }
                Err(e) => *trouble = Some(text(e)),
            }
        }
        left
    }

    /// Names the boot volume first: once the server is gone, only the name identifies it as ours.
    async fn remove_server(
        &self,
        course: &mut Course,
        server: &ObservedServer,
        volumes: &[ObservedVolume],
        (began, trouble): (Instant, &mut Option<String>),
    ) -> Step<()> {
        let running = match server.state {
            ServerState::Running | ServerState::StoppedInPlace => true,
            ServerState::Stopped => false,
            ServerState::Starting | ServerState::Stopping | ServerState::Locked | ServerState::Other(_) => {
                return Ok(());
            }
        };
        let run = run_of(&server.name).unwrap_or(&self.run);
        for attachment in &server.attachments {
            let seen = volumes.iter().find(|v| v.id == attachment.volume_id).map(|v| v.name.as_str());
            let Some(seen) = seen.or(attachment.name.as_deref()) else {
                return Err(format!("volume {} on server {} is not listed yet", attachment.volume_id, server.id));
            };
            if run_of(seen).is_some() || course.volumes.iter().any(|v| v.id == attachment.volume_id) {
                continue;
            }
            if self.cloud.profile().came_with(server, attachment, seen) {
                let volume = VolumeRef::new(&attachment.volume_id, attachment.volume_type.clone());
                let boot = name(run, Role::Boot);
                if let Err(e) = self.cloud.tag_volume(&self.zone, &volume, &boot, &[PREFIX.to_owned()]).await {
                    // The next round tries again. After half of the time, the server is removed without the name.
                    if began.elapsed() < self.patience / 2 {
                        return Err(text(e));
                    }
                    *trouble = Some(text(e));
                }
                // From here on, this run knows the volume by its id.
                course.volumes.push(volume);
            } else {
                self.spare(course, server, attachment, seen)?;
            }
        }
        let done = if running {
            self.cloud.terminate_server(&self.zone, &server.id).await
        } else {
            self.cloud.delete_server(&self.zone, &server.id).await
        };
        done.map_err(text)?;
        self.report(course, Line::Removed(format!("server {} {}", server.id, server.name)));
        Ok(())
    }

    /// A third party's volume on a server of ours: a block volume survives the server's removal, a local one does not.
    fn spare(&self, course: &mut Course, server: &ObservedServer, attachment: &Attachment, name: &str) -> Step<()> {
        let spared =
            Line::Spared(format!("volume {} {name} of a third party on {}", attachment.volume_id, server.name));
        if !course.lines.contains(&spared) {
            self.report(course, spared);
        }
        if attachment.volume_type.is_block() {
            return Ok(());
        }
        let (volume, server) = (&attachment.volume_id, &server.id);
        Err(format!(
            "local volume {volume} is not ours and would be lost with server {server}: detach it, then run this again"
        ))
    }

    /// Every resource that is known by its id and is not a typed not-found.
    async fn still_there(&self, course: &Course) -> Step<Vec<String>> {
        let mut there = Vec::new();
        for id in &course.servers {
            if let Existence::Exists(_) = self.cloud.server(&self.zone, id).await.map_err(text)? {
                there.push(id.clone());
            }
        }
        for volume in &course.volumes {
            if let Existence::Exists(_) = self.cloud.volume(&self.zone, volume).await.map_err(text)? {
                there.push(volume.id.clone());
            }
        }
        Ok(there)
    }
}

#[cfg(test)]
mod tests;
