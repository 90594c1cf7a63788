//! The checks after every step of a cell, at its goal, and at its end.

use super::{Stage, Step, text};
use crate::matrix::Scenario;
use crate::matrix::injection::Kind;
use crate::simulate::cloud::ZONE;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

impl Stage {
    /// Checks the emulator's state after every step.
    pub(super) fn check_cloud(&self) -> Step<()> {
        let held = self.cloud.held();
        let mut running = BTreeMap::<&str, usize>::new();
        for (_, _, name, _) in
            held.iter().filter(|(k, _, _, state)| *k == "server" && matches!(state.as_str(), "running" | "starting"))
        {
            if let Some(owner) = name.strip_prefix("iva-test-").and_then(|n| n.split('-').next()) {
                *running.entry(owner).or_default() += 1;
            }
        }
        if let Some((owner, n)) = running.iter().find(|(_, n)| **n > 1) {
            return Err(format!("I6: {n} servers of instance {owner} run at the same time"));
        }
        let there: BTreeSet<&str> = held.iter().map(|(_, id, ..)| id.as_str()).collect();
        match self.must_survive.iter().find(|id| !there.contains(id.as_str())) {
            Some(gone) if *gone == self.foreign || !self.a_third_party_took_it() => {
                Err(format!("I4, I5: volume {gone}, which must survive, is gone"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a third party may have deleted it.
    fn a_third_party_took_it(&self) -> bool {
        self.cell.kind == Kind::ThirdPartyDeletes && self.injected.load(Ordering::SeqCst)
    }

    /// Checks the records: I3 (as many lines as changes) and I7.
    pub(super) fn check_records(&mut self) -> Step<()> {
        for instance in self.instances()? {
            let (count, sizes) = (&instance["storage_count"], instance["storage_sizes_gb"].as_array().map(Vec::len));
            if count.as_u64() != sizes.map(|n| n as u64) {
                return Err(format!("I7: {instance}"));
            }
        }
        let heard = self.environment.wire.heard().calls;
        let changes = heard.iter().filter(|(method, _)| method != "GET").count();
        let logs = self.user("GET", "/action_logs?limit=500", None)?;
        let lines = logs["items"].as_array().into_iter().flatten();
        let of_calls = |l: &&Value| {
            let action = l["action"].as_str().unwrap_or_default();
            action.starts_with("PROVIDER_") && !action.contains("PROVE") && action != "PROVIDER_GET_IP"
        };
        let lines = lines.filter(of_calls).count();
        if lines < changes {
            return Err(format!("I3: {changes} changes were sent, and only {lines} lines were written before them"));
        }
        Ok(())
    }

    /// Checks that every resource is part of the desired state and that another pass changes nothing.
    pub(super) fn judge_goal(&mut self) -> Step<()> {
        self.cloud.heal();
        self.check_records()?;
        if matches!(self.cell.scenario, Scenario::Adopt) && self.cell.kind.is_a_strangers() {
            // A third party may remove the server before it is shown to us, or rename it. Nothing ties it or its boot
            // volume to us then: they are left alone, but the audit must name them.
            let suspects = self.suspects()?;
            self.must_survive.extend(suspects);
        }
        let mut wanted = self.must_survive.clone();
        for instance in self.instances()? {
            let shown = self.user("GET", &format!("/instances/{}", text(&instance, "id")), None)?;
            let status = text(&shown, "status");
            let goal: &[&str] = match self.cell.scenario {
                // A server that a third party stopped stays stopped: its worker does not respond.
                Scenario::Serve | Scenario::Drain if self.cell.kind.is_a_strangers() => {
                    &["ready", "terminated", "provisioning_failed", "booting", "installing", "starting", "unavailable"]
                }
                _ if self.cell.kind.is_a_strangers() => &["ready", "terminated", "provisioning_failed", "booting"],
                Scenario::Create | Scenario::Resize | Scenario::Adopt => &["ready", "provisioning_failed"],
                Scenario::Serve => &["ready", "unavailable", "provisioning_failed", "terminated"],
                // The instance that it was retained from has ended.
                Scenario::Reuse => &["ready", "provisioning_failed", "terminated"],
                Scenario::Terminate | Scenario::Retain | Scenario::Release | Scenario::Drain => &["terminated"],
                Scenario::Cancel(_) => &["terminated", "provisioning_failed"],
            };
            if !goal.contains(&status.as_str()) {
                return Err(format!("unexpected status {status}: {shown:#}"));
            }
            if !matches!(status.as_str(), "terminated" | "provisioning_failed") {
                wanted.insert(text(&shown, "provider_instance_id"));
                wanted
                    .extend(shown["storages"].as_array().into_iter().flatten().map(|v| text(v, "provider_volume_id")));
            }
        }
        for (kind, id, name, state) in self.cloud.held() {
            if kind != "address" && !wanted.contains(&id) {
                return Err(format!("leaked or duplicated: {kind} {id} {name:?}, {state}"));
            }
        }
        if self.cell.kind.is_a_strangers() {
            return Ok(());
        }
        let process = self.process()?;
        let report = process.runtime.block_on(process.orchestrator.tick(true)).map_err(|e| e.to_string())?;
        if report.calls > 0 {
            return Err(format!("I8: a pass over a settled state makes {} calls", report.calls));
        }
        Ok(())
    }

    /// Terminates everything; only kept volumes and third parties' resources may stay.
    pub(super) fn end(&mut self) -> Step<()> {
        self.terminate()?;
        self.ends = true;
        self.settle("the end")?;
        for _ in 0..3 {
            self.tick(true)?;
            self.pass(20_000);
        }
        let held = self.cloud.held();
        if let Some((kind, id, name, state)) = held.iter().find(|(_, id, ..)| !self.must_survive.contains(id)) {
            return Err(format!("left behind: {kind} {id} {name:?}, {state}"));
        }
        for instance in self.instances()? {
            let proof = self.user("GET", &format!("/instances/{}/proof", text(&instance, "id")), None)?;
            if proof["clean"] != true {
                return Err(format!("I2: not proven clean: {:#}", proof["open"]));
            }
        }
        let audit = self.audit()?;
        self.reported.suspects = usize::try_from(audit["suspects"].as_u64().unwrap_or(0)).unwrap_or(usize::MAX);
        if audit["orphans"] != 0 || audit["verdict"] == "inconclusive" || audit["stuck"] != 0 {
            return Err(format!("the audit: {audit:#}"));
        }
        Ok(())
    }

    /// The result of an audit that begins now.
    fn audit(&mut self) -> Step<Value> {
        self.user("POST", "/audit", None)?;
        self.pass(1);
        let process = self.process()?;
        process.runtime.block_on(process.orchestrator.audit_due()).map_err(|e| e.to_string())?;
        self.user("GET", "/audit", None)
    }

    /// The servers that an audit suspects to be ours, with their volumes, and the volumes that it suspects to have come
    /// with one of our servers.
    fn suspects(&mut self) -> Step<Vec<String>> {
        let audit = self.audit()?;
        let zones = audit["zones"].as_array().into_iter().flatten();
        let findings = zones.flat_map(|zone| zone["findings"].as_array().into_iter().flatten());
        let named: Vec<String> = findings.filter(|f| f["kind"] == "suspect").map(|f| text(f, "provider_id")).collect();
        let mut with_volumes = named.clone();
        for id in named {
            let (_, shown) = self.cloud.ask("GET", &format!("/instance/v1/zones/{ZONE}/servers/{id}"), None);
            let volumes = shown["server"]["volumes"].as_object().into_iter().flatten();
            with_volumes.extend(volumes.map(|(_, volume)| text(volume, "id")));
        }
        Ok(with_volumes)
    }
}
