//! The state of the account, and the events that change it over time.
//!
//! Everything that takes time is an [`Event`] with a due time. [`World::settle`] applies all due events in order before
//! a request is answered. An event is void if its server got another action since (its `epoch` differs).

use crate::catalogue;
use crate::clock::Clock;
use crate::event::Event;
use crate::faults::Faults;
use crate::held::{Block, Held, Ip, Reference, SecurityGroup};
use crate::history::{self, Change};
use crate::loopback;
use crate::meter::Meter;
use crate::options::{ClockMode, Options, Spread};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// How many changes a list can lag behind: each is a copy of the whole state.
const PASTS_MAX: usize = 500;
/// With a seed, one in so many detachments shows its reference in error for a while.
const FAILING_ONE_IN: u32 = 50;

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
    /// False for a catalogue that no recording shows for that zone.
    pub(crate) evidenced: bool,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) held: Held,
    pub(crate) journal: VecDeque<Entry>,
    pub(crate) requests: u64,
    pub(crate) faults: Faults,
    /// While an event is applied: when it was due.
    moment: Option<i64>,
    pub(crate) rng: fastrand::Rng,
    pub(crate) meter: Meter,
    /// Servers have machines, so their addresses are loopback addresses.
    pub(crate) has_machines: bool,
    /// Images as shown, by id: thousands of servers share one value.
    shown: HashMap<String, Arc<Value>>,
    /// The states before recent changes, kept only while reads may be stale.
    past: VecDeque<(i64, Held)>,
}

impl World {
    pub(crate) fn new(options: Options) -> Self {
        let clock = Clock::new(options.clock, options.start_us);
        let rng = options.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self {
            faults: Faults::default(),
            options,
            clock,
            held: Held::default(),
            journal: VecDeque::new(),
            requests: 0,
            moment: None,
            rng,
            meter: Meter::default(),
            has_machines: false,
            shown: HashMap::new(),
            past: VecDeque::new(),
        }
    }

    /// The current time: the clock's, or the due time of the event being applied.
    pub(crate) fn now(&self) -> i64 {
        self.moment.unwrap_or_else(|| self.clock.now_us())
    }

    /// Whether an API change is in effect.
    pub(crate) fn has(&self, change: Change) -> bool {
        history::has(change, self.now())
    }

    pub(crate) fn new_id(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid().to_string()
    }

    pub(crate) fn pick(&mut self, below: u32) -> u32 {
        self.rng.u32(..below)
    }

    /// A duration: the recorded median, or drawn from the recorded spread.
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

    /// The time from now until the next event.
    pub(crate) fn next_event_us(&self) -> Option<i64> {
        let now = self.now();
        let shown = self.held.servers.values().flat_map(|s| s.slots.values().map(|slot| slot.shown_us));
        let pauses = self.held.servers.values().map(|s| s.actions_from_us).chain(shown);
        let pause = pauses.filter(|at| *at > now).min();
        let event = self.held.due.peek().map(|Reverse((at, ..))| *at);
        event.into_iter().chain(pause).min().map(|at| (at - now).max(0))
    }

    /// Schedules an event `ms` from now.
    pub(crate) fn later(&mut self, ms: i64, event: Event) {
        self.held.seq += 1;
        let at = self.now().saturating_add(ms.saturating_mul(1000));
        self.held.due.push(Reverse((at, self.held.seq, event)));
    }

    /// Applies all due events.
    pub(crate) fn settle(&mut self) {
        let now = self.now();
        while let Some(Reverse((at, ..))) = self.held.due.peek() {
            let at = *at;
            if at > now {
                return;
            }
            self.remember_past_at(at);
            if let Some(Reverse((_, _, event))) = self.held.due.pop() {
                // Follow-up events count from when this one was due, however late it is applied.
                self.moment = Some(at);
                self.happen(at, event);
                self.measure(at);
                self.moment = None;
            }
        }
    }

    /// The size of the disk in an object, in bytes: an exported one, or else that of the object in the recordings.
    pub(crate) fn size_of_object(&self, bucket: &str, key: &str) -> i64 {
        const ANOTHERS: i64 = 1 << 30;
        self.held.objects.get(&format!("{bucket}/{key}")).copied().unwrap_or(ANOTHERS)
    }

    /// A new IPv4 address in a network of the cloud, or a loopback address.
    pub(crate) fn new_address(&mut self, network: &str) -> String {
        if !self.has_machines {
            return format!("{network}.{}.{}", self.pick(250) + 1, self.pick(250) + 1);
        }
        // The first is drawn, so that emulators on one computer hardly ever give the same address.
        let last = self.held.last_loopback.unwrap_or_else(|| self.rng.u32(..loopback::COUNT));
        let number = (last + 1) % loopback::COUNT;
        self.held.last_loopback = Some(number);
        loopback::address(number).to_string()
    }

    /// Gives a running server a dynamic address if it wants one and has no flexible IPv4 address.
    pub(crate) fn give_dynamic_ip(&mut self, id: &str) {
        let v4_of = |ip: &Ip| ip.server.as_deref() == Some(id) && ip.prefix.is_none();
        let has_flexible = self.held.ips.values().any(v4_of);
        let wants = |s: &&crate::held::Server| s.state == "running" && s.dynamic_ip_required && s.dynamic_ip.is_none();
        let Some((zone, project)) = self
            .held
            .servers
            .get(id)
            .filter(wants)
            .filter(|_| !has_flexible)
            .map(|s| (s.zone.clone(), s.project.clone()))
        else {
            return;
        };
        let address = self.new_address("51.15");
        let (ip_id, other) = (self.new_id(), self.new_id());
        let ipam = if self.has(Change::OneAddressId) { ip_id.clone() } else { other };
        let ip = Ip {
            id: ip_id,
            zone,
            project,
            address: Some(address),
            prefix: None,
            reverse: None,
            resolves: None,
            spreading: None,
            ipam,
            tags: Vec::new(),
            server: Some(id.to_owned()),
            pending: true,
            created: 0,
        };
        if let Some(server) = self.held.servers.get_mut(id) {
            server.dynamic_ip = Some(ip);
        }
    }

    /// Completes `terminate`: local volumes are deleted with the server, block volumes and flexible addresses stay.
    pub(crate) fn remove_terminated(&mut self, id: &str) {
        self.empty(id);
        self.held.servers.remove(id);
        self.held.nics.retain(|_, n| n.server != id);
        self.free_ips(id);
    }

    /// Removes a terminated server's volumes from it.
    pub(crate) fn empty(&mut self, id: &str) {
        let Some(server) = self.held.servers.get_mut(id) else { return };
        let slots = std::mem::take(&mut server.slots);
        "stopped".clone_into(&mut server.state);
        server.detail.clear();
        server.deleting = false;
        for slot in slots.into_values() {
            if slot.block {
                self.detach_block(&slot.volume, crate::options::DETACH_AT_END);
            } else {
                self.held.locals.remove(&slot.volume);
            }
        }
    }

    /// The default security group of a project, created on first use.
    pub(crate) fn default_group(&mut self, zone: &str, project: &str) -> String {
        let own = |g: &&SecurityGroup| g.zone == zone && g.project == project && g.project_default;
        if let Some(group) = self.held.groups.values().find(own) {
            return group.id.clone();
        }
        let (id, now) = (self.new_id(), self.now());
        let group = SecurityGroup {
            zone: zone.to_owned(),
            project: project.to_owned(),
            name: "Default security group".to_owned(),
            description: Some("Auto generated security group.".to_owned()),
            project_default: true,
            created_us: now,
            modified_us: now,
            ..SecurityGroup::new(id.clone())
        };
        self.held.groups.insert(id.clone(), group);
        id
    }

    /// Keeps a copy of the state before it changes, if reads may be stale.
    pub(crate) fn remember_past(&mut self) {
        self.remember_past_at(self.now());
    }

    /// The same for a change at a moment that may already have passed.
    fn remember_past_at(&mut self, now: i64) {
        let set = self.options.stale_reads.iter().map(|s| s.lag_ms).max().unwrap_or(0);
        let lag_us = self.faults.lag_ms().max(set).max(self.options.past_ms).saturating_mul(1_000);
        if lag_us == 0 {
            self.past.clear();
            return;
        }
        self.past.push_back((now, self.held.clone()));
        // One state older than the lag is needed: it was current until the next.
        let then = now.saturating_sub(lag_us);
        while self.past.get(1).is_some_and(|(at, _)| *at < then) || self.past.len() > PASTS_MAX {
            self.past.pop_front();
        }
    }

    /// Drops all past states, after the whole state was replaced.
    pub(crate) fn forget_past(&mut self) {
        self.past.clear();
        self.remember_past();
    }

    /// Runs `read` on the state of `ms` ago, with the clock of that time.
    pub(crate) fn as_of<T>(&mut self, ms: i64, read: impl FnOnce(&mut Self) -> T) -> T {
        let then = self.now().saturating_sub(ms.saturating_mul(1_000));
        // Each copy was current until its moment, so the first one that ended after `then` is the right one.
        let Some(past) = self.past.iter().find(|(at, _)| *at > then).map(|(_, held)| held.clone()) else {
            return read(self);
        };
        let present = std::mem::replace(&mut self.held, past);
        self.moment = Some(then);
        let answer = read(self);
        self.moment = None;
        self.held = present;
        answer
    }

    /// How old the state in a read is, in milliseconds, if the options make it stale.
    pub(crate) fn lag_of(&mut self, parts: &[&str]) -> Option<i64> {
        let set = self.options.stale_reads.iter().filter(|s| s.covers(parts)).max_by_key(|s| s.lag_ms)?;
        let (lag_ms, backwards) = (set.lag_ms, set.backwards);
        Some(if backwards { self.rng.i64(0..=lag_ms) } else { lag_ms })
    }

    /// Drops the events that the last request scheduled.
    pub(crate) fn forget_events_after(&mut self, seq: u64) {
        self.held.due.retain(|Reverse((_, n, _))| *n <= seq);
    }

    /// Makes a start fail: after a while the server is stopped again.
    pub(crate) fn fall_back(&mut self, server: &str, seq: u64) {
        let Some(epoch) = self.held.servers.get(server).map(|s| s.epoch) else { return };
        let state = |e: &Event| matches!(e, Event::State { server: s, .. } if s == server);
        let ends = self.held.due.iter().filter(|Reverse((_, n, e))| *n > seq && state(e)).map(|Reverse((at, ..))| *at);
        let ms = (ends.max().unwrap_or(self.now()) - self.now()) / 1_000;
        self.forget_events_after(seq);
        let (server, state, detail) = (server.to_owned(), "stopped".to_owned(), String::new());
        self.later(ms, Event::State { server, epoch, state, detail });
    }

    /// A type's architecture.
    pub(crate) fn arch_of(&self, commercial_type: &str, zone: &str) -> &'static str {
        catalogue::find(commercial_type, zone, self.now()).map_or_else(|| catalogue::arch(commercial_type), |t| t.arch)
    }

    /// One shared copy of an image value.
    pub(crate) fn shared(&mut self, image: &Value) -> Arc<Value> {
        let id = image["id"].as_str().unwrap_or_default();
        match self.shown.get(id).filter(|known| ***known == *image) {
            Some(known) => known.clone(),
            None => {
                let fresh = Arc::new(image.clone());
                self.shown.insert(id.to_owned(), fresh.clone());
                fresh
            }
        }
    }

    /// Whether a type is at its end of service.
    pub(crate) fn ends(&self, commercial_type: &str, zone: &str) -> bool {
        catalogue::find(commercial_type, zone, self.now()).is_some_and(|t| t.end_of_service)
    }

    /// Adds a block volume.
    pub(crate) fn insert_block(&mut self, volume: Block) {
        self.held.blocks.insert(volume.id.clone(), volume);
    }

    pub(crate) fn free_ips(&mut self, server: &str) {
        for ip in self.held.ips.values_mut().filter(|ip| ip.server.as_deref() == Some(server)) {
            ip.server = None;
        }
    }

    /// Begins a block volume's attachment.
    pub(crate) fn attach_block(&mut self, volume: &str, server: &str, at_once: bool) {
        let (reference, now) = (self.new_id(), self.now());
        let status = if at_once { "attached" } else { "attaching" }.to_owned();
        if let Some(v) = self.held.blocks.get_mut(volume) {
            v.reference = Some(Reference { id: reference.clone(), server: server.to_owned(), status, created_us: now });
            if v.status != "creating" {
                "in_use".clone_into(&mut v.status);
            }
            v.updated_us = now;
        }
        if !at_once {
            let ms = self.duration_ms(crate::options::ATTACH);
            self.later(ms, Event::Attached { volume: volume.to_owned(), reference });
        }
    }

    /// A root volume with a size other than its image's is grown after its creation, and reattached for that.
    pub(crate) fn reattach_later(&mut self, volume: &str) {
        let Some(reference) = self.held.blocks.get(volume).and_then(|v| v.reference.as_ref()).map(|r| r.id.clone())
        else {
            return;
        };
        let ms = self.duration_ms(crate::options::REATTACH);
        self.later(ms, Event::Attached { volume: volume.to_owned(), reference });
        if let Some(v) = self.held.blocks.get_mut(volume) {
            v.grows = true;
        }
    }

    /// Begins a block volume's detachment: it stays `in_use` for a while, at first with an unchanged reference.
    pub(crate) fn detach_block(&mut self, volume: &str, spread: Spread) {
        // A volume still being created is completed before it is detached.
        let now = self.now();
        self.settle_block(volume, "creating", now);
        let reference = self.held.blocks.get(volume).and_then(|v| v.reference.as_ref()).map(|r| r.id.clone());
        if let Some(reference) = reference {
            let named = (volume.to_owned(), reference.clone());
            self.later(spread.p50 / 10, Event::Detaching { volume: named.0.clone(), reference: named.1.clone() });
            // Recorded a few times in thousands, so it happens only if durations are drawn.
            if self.options.seed.is_some() && self.pick(FAILING_ONE_IN) == 0 {
                self.later(spread.p50 / 5, Event::Failing { volume: named.0, reference: named.1 });
            }
            self.free_block(volume, reference, spread);
        }
    }

    fn free_block(&mut self, volume: &str, reference: String, spread: Spread) {
        let (ms, volume) = (self.duration_ms(spread), volume.to_owned());
        self.later(ms * 9 / 10, Event::Unreferenced { volume: volume.clone(), reference: reference.clone() });
        self.later(ms, Event::Detached { volume, reference });
    }
}
