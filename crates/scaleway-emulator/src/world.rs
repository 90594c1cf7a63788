//! Everything the account holds, and what will happen to it by itself.
//!
//! Whatever takes time is an [`Event`] with a moment; [`World::settle`] lets everything due happen, in order, before a
//! request is answered. An event whose server has been told something else since (its `epoch`) is void.

use crate::clock::Clock;
use crate::options::{ClockMode, Options, Spread};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

/// A server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) name: String,
    pub(crate) project: String,
    pub(crate) commercial_type: String,
    pub(crate) image: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) state: &'static str,
    pub(crate) detail: &'static str,
    /// Index → (volume id, volume is on block storage, boot flag).
    pub(crate) slots: BTreeMap<u32, Slot>,
    pub(crate) dynamic_ip_required: bool,
    pub(crate) dynamic_ip: Option<Ip>,
    pub(crate) security_group: String,
    pub(crate) user_data: BTreeMap<String, bytes::Bytes>,
    pub(crate) created_us: i64,
    pub(crate) modified_us: i64,
    pub(crate) mac: String,
    /// No action is allowed before.
    pub(crate) actions_from_us: i64,
    pub(crate) epoch: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) volume: String,
    pub(crate) block: bool,
    pub(crate) boot: bool,
}

/// An address, dynamic or flexible.
#[derive(Debug, Clone)]
pub(crate) struct Ip {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) project: String,
    pub(crate) address: String,
    pub(crate) tags: Vec<String>,
    pub(crate) server: Option<String>,
}

/// A volume on a machine's own disk, or a scratch volume.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) project: String,
    pub(crate) tags: Vec<String>,
    pub(crate) size: i64,
    pub(crate) server: Option<String>,
    pub(crate) state: &'static str,
    pub(crate) created_us: i64,
    pub(crate) modified_us: i64,
}

/// A volume on block storage.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) name: String,
    pub(crate) project: String,
    pub(crate) tags: Vec<String>,
    pub(crate) size: i64,
    pub(crate) iops: i64,
    pub(crate) status: &'static str,
    pub(crate) reference: Option<Reference>,
    pub(crate) parent_snapshot: Option<String>,
    pub(crate) created_us: i64,
    pub(crate) updated_us: i64,
    pub(crate) detached_us: Option<i64>,
    /// Size and speed that an update under way will bring.
    pub(crate) coming: Option<(i64, i64)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) id: String,
    pub(crate) server: String,
    pub(crate) status: &'static str,
    pub(crate) created_us: i64,
}

/// Something that happens by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A server's state changes.
    State { server: String, epoch: u64, state: &'static str, detail: &'static str },
    /// A server that was terminated is gone.
    Gone { server: String, epoch: u64 },
    /// A block volume is made.
    Made { volume: String },
    /// A block volume's update is done.
    Updated { volume: String },
    /// An attachment is complete.
    Attached { volume: String, reference: String },
    /// A detachment is complete.
    Detached { volume: String, reference: String },
}

/// One line of the journal.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) at_us: i64,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) status: u16,
    pub(crate) implemented: bool,
}

pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) servers: BTreeMap<String, Server>,
    pub(crate) locals: BTreeMap<String, Local>,
    pub(crate) blocks: BTreeMap<String, Block>,
    pub(crate) ips: BTreeMap<String, Ip>,
    pub(crate) journal: VecDeque<Entry>,
    pub(crate) requests: u64,
    due: BinaryHeap<Reverse<(i64, u64, Event)>>,
    seq: u64,
    rng: fastrand::Rng,
}

impl World {
    pub(crate) fn new(options: Options) -> Self {
        let clock = Clock::new(options.clock);
        let rng = options.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self {
            options,
            clock,
            servers: BTreeMap::new(),
            locals: BTreeMap::new(),
            blocks: BTreeMap::new(),
            ips: BTreeMap::new(),
            journal: VecDeque::new(),
            requests: 0,
            due: BinaryHeap::new(),
            seq: 0,
            rng,
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now_us()
    }

    pub(crate) fn new_id(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid().to_string()
    }

    pub(crate) fn pick(&mut self, below: u32) -> u32 {
        self.rng.u32(..below)
    }

    /// How long something takes: the recorded median, or drawn from the recorded spread.
    pub(crate) fn duration_ms(&mut self, spread: Spread) -> i64 {
        if self.clock.mode == ClockMode::Instant {
            return 0;
        }
        if self.options.seed.is_none() {
            return spread.p50;
        }
        let (low, high) = match self.rng.u32(..100) {
            0..50 => (spread.p50 / 2, spread.p50),
            50..98 => (spread.p50, spread.p90),
            _ => (spread.p90, spread.max),
        };
        self.rng.i64(low..=high.max(low))
    }

    /// Lets something happen `ms` from now.
    pub(crate) fn later(&mut self, ms: i64, event: Event) {
        self.seq += 1;
        self.due.push(Reverse((self.now() + ms * 1000, self.seq, event)));
    }

    /// Lets everything happen that is due.
    pub(crate) fn settle(&mut self) {
        let now = self.now();
        while let Some(Reverse((at, ..))) = self.due.peek() {
            if *at > now {
                return;
            }
            if let Some(Reverse((at, _, event))) = self.due.pop() {
                self.happen(at, event);
            }
        }
    }

    fn happen(&mut self, at: i64, event: Event) {
        match event {
            Event::State { server, epoch, state, detail } => self.enter_state(&server, epoch, state, detail, at),
            Event::Gone { server, epoch } => {
                if self.servers.get(&server).is_some_and(|s| s.epoch == epoch) {
                    self.remove_terminated(&server);
                }
            }
            Event::Made { volume } => {
                if let Some(v) = self.blocks.get_mut(&volume).filter(|v| v.status == "creating") {
                    v.status = if v.reference.is_some() { "in_use" } else { "available" };
                    v.updated_us = at;
                }
            }
            Event::Updated { volume } => {
                if let Some(v) = self.blocks.get_mut(&volume).filter(|v| v.status == "updating") {
                    v.status = if v.reference.is_some() { "in_use" } else { "available" };
                    if let Some((size, iops)) = v.coming.take() {
                        (v.size, v.iops) = (size, iops);
                    }
                    v.updated_us = at;
                }
            }
            Event::Attached { volume, reference } => {
                let of = |r: &&mut Reference| r.id == reference && r.status == "attaching";
                if let Some(r) = self.blocks.get_mut(&volume).and_then(|v| v.reference.as_mut()).filter(of) {
                    r.status = "attached";
                }
            }
            Event::Detached { volume, reference } => {
                if let Some(v) = self.blocks.get_mut(&volume)
                    && v.reference.as_ref().is_some_and(|r| r.id == reference)
                {
                    v.reference = None;
                    v.status = "available";
                    v.detached_us = Some(at);
                    v.updated_us = at;
                }
            }
        }
    }

    fn enter_state(&mut self, id: &str, epoch: u64, state: &'static str, detail: &'static str, at: i64) {
        let address = format!("51.15.{}.{}", self.pick(250) + 1, self.pick(250) + 1);
        let ip_id = self.new_id();
        let Some(server) = self.servers.get_mut(id).filter(|s| s.epoch == epoch) else { return };
        (server.state, server.detail, server.modified_us) = (state, detail, at);
        if state == "running" && server.dynamic_ip_required && server.dynamic_ip.is_none() {
            let (zone, project) = (server.zone.clone(), server.project.clone());
            server.dynamic_ip =
                Some(Ip { id: ip_id, zone, project, address, tags: Vec::new(), server: Some(id.to_owned()) });
        } else if state == "stopped" {
            server.dynamic_ip = None;
        }
    }

    /// The end of `terminate`: local volumes go with the server, block volumes and flexible addresses stay.
    fn remove_terminated(&mut self, id: &str) {
        let Some(server) = self.servers.remove(id) else { return };
        for slot in server.slots.values() {
            if slot.block {
                self.detach_block(&slot.volume, crate::options::DETACH_AT_END);
            } else {
                self.locals.remove(&slot.volume);
            }
        }
        self.free_ips(id);
    }

    pub(crate) fn free_ips(&mut self, server: &str) {
        for ip in self.ips.values_mut().filter(|ip| ip.server.as_deref() == Some(server)) {
            ip.server = None;
        }
    }

    /// Begins a block volume's attachment.
    pub(crate) fn attach_block(&mut self, volume: &str, server: &str, at_once: bool) {
        let (reference, now) = (self.new_id(), self.now());
        let status = if at_once { "attached" } else { "attaching" };
        if let Some(v) = self.blocks.get_mut(volume) {
            v.reference = Some(Reference { id: reference.clone(), server: server.to_owned(), status, created_us: now });
            if v.status != "creating" {
                v.status = "in_use";
            }
            v.updated_us = now;
        }
        if !at_once {
            let ms = self.duration_ms(crate::options::ATTACH);
            self.later(ms, Event::Attached { volume: volume.to_owned(), reference });
        }
    }

    /// Begins a block volume's detachment: it stays `in_use` for a while.
    pub(crate) fn detach_block(&mut self, volume: &str, spread: Spread) {
        let ms = self.duration_ms(spread);
        let reference = self.blocks.get_mut(volume).and_then(|v| v.reference.as_mut()).map(|r| {
            r.status = "detaching";
            r.id.clone()
        });
        if let Some(reference) = reference {
            self.later(ms, Event::Detached { volume: volume.to_owned(), reference });
        }
    }
}
