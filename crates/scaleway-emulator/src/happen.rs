//! What each [`Event`] does when it is due.

use crate::event::Event;
use crate::held::{Block, Ordered};
use crate::options::{GUEST_BOOT, GUEST_READY};
use crate::world::World;

impl World {
    /// Applies one event, as of the moment `at` when it was due.
    pub(crate) fn happen(&mut self, at: i64, event: Event) {
        match event {
            Event::State { server, epoch, state, detail } => self.enter_state(&server, epoch, state, detail, at),
            Event::Guest { server, boots } => self.guest_is_up(&server, boots),
            Event::Gone { server, epoch } if self.is_at(&server, epoch) => self.remove_terminated(&server),
            Event::Emptied { server, epoch } if self.is_at(&server, epoch) => self.empty(&server),
            Event::Freed { server, epoch } if self.is_at(&server, epoch) => self.free_ips(&server),
            Event::Gone { .. } | Event::Emptied { .. } | Event::Freed { .. } => {}
            Event::Deleting { server, epoch } => {
                if let Some(s) = self.held.servers.get_mut(&server).filter(|s| s.epoch == epoch) {
                    s.deleting = true;
                }
            }
            Event::Released { server, epoch } => {
                if let Some(s) = self.held.servers.get_mut(&server).filter(|s| s.epoch == epoch) {
                    s.dynamic_ip = None;
                }
            }
            Event::Resolves { ip, name } => {
                if let Some(ip) = self.held.ips.get_mut(&ip) {
                    ip.resolves = Some(name);
                }
            }
            Event::Made { volume } => self.settle_block(&volume, "creating", at),
            Event::Updated { volume } => self.settle_block(&volume, "updating", at),
            Event::Attached { volume, reference } => self.refer(&volume, &reference, "attached"),
            Event::Detaching { volume, reference } => self.refer(&volume, &reference, "detaching"),
            Event::Failing { volume, reference } => self.refer(&volume, &reference, "error"),
            Event::Unreferenced { volume, reference } => {
                if let Some(v) = self.referenced(&volume, &reference) {
                    (v.reference, v.freeing) = (None, true);
                }
            }
            Event::Detached { volume, reference } => {
                let freed = self
                    .held
                    .blocks
                    .get_mut(&volume)
                    .filter(|v| v.freeing || v.reference.as_ref().is_some_and(|r| r.id == reference));
                if let Some(v) = freed {
                    (v.reference, v.freeing) = (None, false);
                    "available".clone_into(&mut v.status);
                    (v.detached_us, v.updated_us) = (Some(at), at);
                    // The change is complete.
                    if let Some((size, iops)) = v.coming.take() {
                        (v.size, v.iops) = (size, iops);
                    }
                }
            }
            Event::Snapshot { snapshot, state } => self.end_snapshot(&snapshot, state, at),
            Event::BlockSnapshot { snapshot, status } => {
                if let Some(s) = self.held.block_snapshots.get_mut(&snapshot) {
                    s.status = status;
                }
            }
            Event::Nic { nic } => {
                if let Some(n) = self.held.nics.get_mut(&nic) {
                    (n.attached, n.updated_us) = (true, at);
                }
            }
            Event::Synced { group } => {
                if let Some(g) = self.held.groups.get_mut(&group) {
                    g.syncing = false;
                }
            }
        }
    }

    /// Whether the server got no other action since.
    fn is_at(&self, server: &str, epoch: u64) -> bool {
        self.held.servers.get(server).is_some_and(|s| s.epoch == epoch)
    }

    /// The block volume, if it still has that reference.
    fn referenced(&mut self, volume: &str, reference: &str) -> Option<&mut Block> {
        self.held.blocks.get_mut(volume).filter(|v| v.reference.as_ref().is_some_and(|r| r.id == reference))
    }

    /// Advances a reference: to attached only from attaching, to detaching or error from any status.
    fn refer(&mut self, volume: &str, reference: &str, status: &str) {
        let Some(r) = self.referenced(volume, reference).and_then(|v| v.reference.as_mut()) else { return };
        if matches!(status, "detaching" | "error") || r.status == "attaching" {
            status.clone_into(&mut r.status);
        }
    }

    /// Completes the creation, export or import of a snapshot; its volume is no longer busy with it.
    pub(crate) fn end_snapshot(&mut self, snapshot: &str, state: String, at: i64) {
        let Some(s) = self.held.snapshots.get_mut(snapshot) else { return };
        (s.state, s.modified_us) = (state, at);
        let base = s.base.as_ref().map(|(id, _)| id.clone()).unwrap_or_default();
        if let Some(v) = self.held.locals.get_mut(&base).filter(|v| v.state == "snapshotting") {
            "available".clone_into(&mut v.state);
        }
    }

    /// Completes the creation or update of a block volume.
    pub(crate) fn settle_block(&mut self, volume: &str, from: &str, at: i64) {
        let Some(v) = self.held.blocks.get_mut(volume).filter(|v| v.status == from) else { return };
        let to = if v.reference.is_some() { "in_use" } else { "available" };
        to.clone_into(&mut v.status);
        if std::mem::take(&mut v.grows)
            && let Some(r) = v.reference.as_mut()
        {
            "attaching".clone_into(&mut r.status);
        }
        if let Some((size, iops)) = v.coming.take() {
            (v.size, v.iops) = (size, iops);
        }
        v.updated_us = at;
    }

    fn enter_state(&mut self, id: &str, epoch: u64, state: String, detail: String, at: i64) {
        let Some(server) = self.held.servers.get_mut(id).filter(|s| s.epoch == epoch) else { return };
        let starts = state == "running" && server.state != "running";
        (server.state, server.detail, server.modified_us) = (state, detail, at);
        if server.state == "stopped" {
            server.dynamic_ip = None;
        }
        if !starts {
            return;
        }
        server.boots += 1;
        server.machine = Ordered::default();
        server.is_silent = false;
        let boots = server.boots;
        self.give_dynamic_ip(id);
        let Some(server) = self.held.servers.get(id) else { return };
        let spread = if is_windows(server) { GUEST_READY } else { GUEST_BOOT };
        let ms = self.duration_ms(spread);
        self.later(ms, Event::Guest { server: id.to_owned(), boots });
    }

    /// A guest that could not report its boot without an address does so when it gets one.
    pub(crate) fn tell_of_new_address(&mut self, id: &str) {
        let Some(server) = self.held.servers.get(id).filter(|s| s.state == "running" && s.is_silent) else { return };
        let (boots, ms) = (server.boots, self.duration_ms(crate::options::ATTACH));
        self.later(ms, Event::Guest { server: id.to_owned(), boots });
    }

    /// The guest reports its boot, which needs a public address.
    fn guest_is_up(&mut self, id: &str, boots: u64) {
        let flexible = self.held.ips.values().any(|ip| ip.server.as_deref() == Some(id));
        let Some(server) = self.held.servers.get_mut(id).filter(|s| s.boots == boots) else { return };
        server.is_silent = !(flexible || server.dynamic_ip.is_some());
        if !matches!(server.state.as_str(), "running" | "stopping") || server.is_silent {
            return;
        }
        let word = if is_windows(server) { "ready" } else { "booted" };
        word.clone_into(&mut server.detail);
        if let Some(ip) = server.dynamic_ip.as_mut() {
            ip.pending = false;
        }
        for ip in self.held.ips.values_mut().filter(|ip| ip.server.as_deref() == Some(id)) {
            ip.pending = false;
        }
    }
}

fn is_windows(server: &crate::held::Server) -> bool {
    server.image["name"].as_str().is_some_and(|n| n.starts_with("Windows"))
}
