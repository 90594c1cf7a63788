//! The checks at every moment of a run and at its end.

use super::{END_MAX, Run, Step};
use crate::process::Process;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

impl Run {
    /// Checks the emulator's state at any moment.
    pub(super) fn check_meanwhile(&mut self) -> Step<()> {
        let held = self.cloud.held();
        let mut running = BTreeMap::<&str, usize>::new();
        for (kind, _, name, state) in &held {
            let ours = name.starts_with("iva-test-");
            if *kind == "server" && ours && matches!(state.as_str(), "running" | "starting") {
                let owner = name.split('-').nth(2).unwrap_or_default();
                *running.entry(owner).or_default() += 1;
            }
        }
        if let Some((owner, n)) = running.iter().find(|(_, n)| **n > 1) {
            return Err(format!("{n} servers of instance {owner} run at the same time"));
        }
        let there: BTreeSet<&str> = held.iter().map(|(_, id, ..)| id.as_str()).collect();
        if let Some(gone) = self.cloud.third_parties.iter().find(|id| !there.contains(id.as_str())) {
            return Err(format!("a third party's volume {gone} is gone"));
        }
        if let Some((gone, here)) = self.kept.iter().find(|(id, _)| !there.contains(id.as_str())) {
            return Err(format!("volume {gone} ({here}), which must be kept, is gone"));
        }
        Ok(())
    }

    /// Ends all faults and terminates everything; then everything must be gone.
    pub(super) fn end(&mut self, process: &Process) -> Step<()> {
        for (pair, times) in self.cloud.injected() {
            *self.counts.faults.entry(pair).or_default() += times;
        }
        self.cloud.heal();
        self.environment.fleet.heal();
        self.sees_at = None;
        self.note("all faults end");
        self.settle_services(process)?;
        self.note("every instance is terminated");
        for id in self.instances.clone() {
            self.remember_what_is_kept(process, &id)?;
            self.call(process, "DELETE", &format!("/instances/{id}"), None)?;
        }
        let account = format!("scaleway:{}", crate::PROJECT);
        for n in 0..END_MAX {
            self.counts.ticks += 1;
            let ticked = process.runtime.block_on(process.orchestrator.tick(n % 40 == 0));
            ticked.map_err(|e| format!("a tick at the end: {e}"))?;
            let contacted = process.runtime.block_on(process.orchestrator.contact_workers());
            contacted.map_err(|e| format!("the workers at the end: {e}"))?;
            self.check_meanwhile()?;
            let wake = process.runtime.block_on(process.store.next_wake(&account)).map_err(|e| e.to_string())?;
            let Some(wake) = wake else { break };
            let now = inventiv_orchestrator::Clock::now(&*self.environment.clock);
            let next = self.cloud.emulator.next_event_in_ms().unwrap_or(i64::MAX);
            self.pass(wake.ms_since(now).min(next).clamp(200, 10_000));
        }
        // Further listings find late arrivals, and resources renamed a minute ago.
        for _ in 0..5 {
            let ticked = process.runtime.block_on(process.orchestrator.tick(true));
            ticked.map_err(|e| format!("a tick at the end: {e}"))?;
            self.pass(20_000);
        }
        self.check(process)
    }

    /// Remembers the volumes of a ready instance that its user wants to keep.
    pub(super) fn remember_what_is_kept(&mut self, process: &Process, id: &str) -> Step<()> {
        let (_, shown) = self.call(process, "GET", &format!("/instances/{id}"), None)?;
        let there: BTreeSet<String> = self.cloud.held().into_iter().map(|(_, id, ..)| id).collect();
        let ran = shown["ready_at"].is_string();
        for v in shown["storages"].as_array().into_iter().flatten().filter(|_| ran) {
            let cloud_id = v["provider_volume_id"].as_str().unwrap_or_default();
            let alive = there.contains(cloud_id)
                && !self.expected_lost.contains(cloud_id)
                && !matches!(v["status"].as_str(), Some("deleted" | "deleting" | "reused"));
            if alive && v["delete_on_terminate"] == false && v["origin"] != "foreign" {
                self.kept.insert(cloud_id.to_owned(), v["id"].as_str().unwrap_or_default().to_owned());
            }
        }
        Ok(())
    }

    /// A hash of all calls in order.
    fn fingerprint(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        self.environment.wire.heard().calls.hash(&mut hasher);
        hasher.finish()
    }

    fn check(&mut self, process: &Process) -> Step<()> {
        self.check_meanwhile()?;
        let (_, listed) = self.call(process, "GET", "/volumes?status=retained&limit=500", None)?;
        let mut kept = BTreeSet::new();
        for v in listed["items"].as_array().into_iter().flatten() {
            let text = |key: &str| v[key].as_str().unwrap_or_default();
            // Every kept volume must have been requested: otherwise leaks could be reported as kept.
            let requested = match self.said.get(text("id")) {
                Some(delete) => !delete,
                None => text("origin") == "ours" && self.keepers.contains(text("instance_id")),
            };
            if !requested {
                return Err(format!("kept without a request: {v}"));
            }
            kept.insert(text("provider_volume_id").to_owned());
        }
        self.counts.kept = kept.len();
        let held = self.cloud.held();
        for (kind, id, name, state) in &held {
            let expected = self.cloud.third_parties.contains(id) || (*kind == "volume" && kept.contains(id));
            if !expected {
                return Err(format!("left behind: {kind} {id} {name:?}, {state}"));
            }
            if *kind == "volume" && kept.contains(id) && !name.starts_with("iva-test-") {
                return Err(format!("kept volume {id} is named {name:?}, so a recovery from the cloud would miss it"));
            }
        }
        if let Some(id) = self.kept.keys().find(|id| !kept.contains(*id)) {
            return Err(format!("volume {id} must be kept but is not listed as retained"));
        }
        for id in self.instances.clone() {
            let (_, proof) = self.call(process, "GET", &format!("/instances/{id}/proof"), None)?;
            if proof["clean"] != true {
                let (_, shown) = self.call(process, "GET", &format!("/instances/{id}"), None)?;
                return Err(format!("{id} is not proven clean: {:#}\n{:#}", proof["open"], shown["notes"]));
            }
        }
        self.call(process, "POST", "/audit", None)?;
        self.pass(1);
        process.runtime.block_on(process.orchestrator.audit_due()).map_err(|e| e.to_string())?;
        let (_, audit) = self.call(process, "GET", "/audit", None)?;
        // A third party deleted the kept volume, and no other proves that the credentials can see block storage.
        let unseen = audit.to_string().contains("whether the credentials can see block storage");
        let honest = unseen && !kept.is_empty() && self.cloud.block_volumes() == 0;
        if audit["orphans"] != 0 || (audit["verdict"] == "inconclusive" && !honest) || audit["stuck"] != 0 {
            return Err(format!("the audit: {audit:#}"));
        }
        let there: BTreeSet<&str> = held.iter().map(|(_, id, ..)| id.as_str()).collect();
        let zones = audit["zones"].as_array().into_iter().flatten();
        for f in zones.flat_map(|z| z["findings"].as_array().into_iter().flatten()) {
            let is_there = there.contains(f["provider_id"].as_str().unwrap_or_default());
            if is_there == (f["kind"] == "missing") {
                return Err(format!("the audit reports a wrong finding: {f:#}"));
            }
        }
        self.check_ledger(process)?;
        self.counts.suspects = usize::try_from(audit["suspects"].as_u64().unwrap_or(0)).unwrap_or(usize::MAX);
        self.counts.worker_calls = self.environment.fleet.calls().len();
        self.counts.fingerprint = self.fingerprint();
        Ok(())
    }
}
