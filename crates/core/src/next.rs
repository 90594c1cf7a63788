//! The remaining steps of an instance, in order.
//!
//! They are computed from the records alone, so that they are available during an outage. The planner decides from each
//! observation. The two differ only where the cloud shows something that is not recorded yet.

use crate::recorded::{Aggregate, Server, Volume};
use crate::size::gb_ceil;
use crate::status::{CreateState, Desired, Origin, Status, VolumeStatus};

/// The remaining steps, one phrase each; empty if nothing is to be done.
#[must_use]
pub fn next(agg: &Aggregate) -> Vec<String> {
    let i = &agg.instance;
    if i.desired == Desired::Absent || i.failure.is_some() {
        return to_the_end(agg);
    }
    if i.status == Status::Ready { Vec::new() } else { to_ready(agg) }
}

fn to_ready(agg: &Aggregate) -> Vec<String> {
    let i = &agg.instance;
    let mut steps = Vec::new();
    let server = agg.server();
    if server.is_none() {
        let last = agg.servers.iter().rfind(|s| s.is_primary).map(|s| s.create_state);
        steps.push(creation(&format!("{} server", i.instance_type), last));
    }
    let unnamed = agg.volumes.iter().filter(|v| v.is_live() && v.origin != Origin::Foreign && v.tagged_at.is_none());
    steps.extend(some(unnamed.count()).map(|n| format!("set our name and tags on {n} volume(s)")));
    let boot = agg.volumes.iter().find(|v| v.is_boot && v.is_live() && v.is_block());
    if let (Some(want), have) = (i.spec.boot_volume_bytes, boot.and_then(|v| v.size_bytes))
        && have.is_none_or(|have| have < want)
    {
        steps.push(format!("grow the boot volume to {} GB", gb_ceil(want)));
    }
    if let Some(spec) = &i.spec.data_volume {
        let ours = agg.data_volume();
        let live = ours.filter(|v| v.is_live());
        // A volume that is gone after its server may have run is not created again.
        let lost = ours.is_some() && live.is_none() && server.is_some_and(Server::may_have_run);
        if live.is_none() && !lost {
            steps.push(creation(&format!("{} GB data volume", gb_ceil(spec.size_bytes)), ours.map(|v| v.create_state)));
        }
        if live.is_none_or(|v| v.attached_at.is_none()) && !lost {
            steps.push("attach the data volume".to_owned());
        }
    }
    if server.is_none_or(|s| s.user_data_at.is_none()) {
        steps.push("set the first-boot instructions".to_owned());
    }
    if server.is_none_or(|s| s.start_sent_at.is_none()) {
        steps.push("start the server".to_owned());
    }
    steps.push("report ready once the server runs".to_owned());
    steps
}

fn creation(what: &str, last: Option<CreateState>) -> String {
    match last {
        Some(CreateState::Intended | CreateState::Unconfirmed) => {
            format!("adopt the {what} if a listing shows it, otherwise create it again")
        }
        None | Some(CreateState::Created | CreateState::Refused | CreateState::Abandoned) => {
            format!("create the {what}")
        }
    }
}

fn to_the_end(agg: &Aggregate) -> Vec<String> {
    let mut steps = Vec::new();
    let open = agg.servers.iter().map(|s| s.create_state).chain(agg.volumes.iter().map(|v| v.create_state));
    let open = some(open.filter(|s| s.is_open()).count());
    steps.extend(open.map(|n| format!("find the outcome of {n} unconfirmed creation(s) in listings")));
    for s in agg.servers.iter().filter(|s| s.is_live()) {
        steps.extend(server_out(agg, s));
    }
    for v in agg.volumes.iter().filter(|v| v.is_live()) {
        steps.push(volume_out(v));
    }
    for v in agg.volumes.iter().filter(|v| v.is_kept() && v.tagged_at.is_none()) {
        steps.push(format!(
            "restore our name and tags on retained volume {}",
            v.provider_id.as_deref().unwrap_or(&v.name)
        ));
    }
    if !agg.instance.status.is_final() {
        let word = if agg.instance.failure.is_some() { "report the failure" } else { "report terminated" };
        steps.push(format!("{word} once everything is proven"));
    }
    steps
}

fn server_out(agg: &Aggregate, s: &Server) -> Vec<String> {
    let id = s.provider_id.as_deref().unwrap_or(&s.name);
    let mut steps = Vec::new();
    if s.delete_sent_at.is_none() {
        // Only volumes that came with the server or were found on it could be deleted with it.
        let on_it = |v: &&Volume| v.status == VolumeStatus::Attached && v.server_id.as_ref() == Some(&s.id);
        let foreign = |v: &&Volume| v.is_block() && v.origin == Origin::Foreign;
        let local = |v: &&Volume| !v.is_block() && !v.is_to_delete();
        let foreign = some(agg.volumes.iter().filter(on_it).filter(foreign).count());
        let local = some(agg.volumes.iter().filter(on_it).filter(local).count());
        steps.extend(foreign.map(|n| format!("detach {n} third-party volume(s) from server {id}")));
        steps.extend(local.map(|n| format!("stop server {id}, and detach {n} local volume(s) that must survive it")));
        steps.push(format!("remove server {id}"));
    }
    steps.push(proof_of(&format!("server {id}")));
    steps
}

fn volume_out(v: &Volume) -> String {
    let id = v.provider_id.as_deref().unwrap_or(&v.name);
    match (v.origin, v.is_to_delete(), v.delete_sent_at) {
        (Origin::Foreign, ..) => format!("release volume {id}, which belongs to a third party"),
        (_, false, _) => format!("retain volume {id}, and prove that it exists"),
        (_, true, None) if v.is_block() => format!("delete volume {id} once nothing holds it, and prove it gone"),
        (_, true, None) => format!("delete volume {id} if it is not deleted with its server, and prove it gone"),
        (_, true, Some(_)) => proof_of(&format!("volume {id}")),
    }
}

fn proof_of(what: &str) -> String {
    format!("prove {what} gone: a complete listing without it, then a not-found for its id")
}

fn some(n: usize) -> Option<usize> {
    (n > 0).then_some(n)
}

#[cfg(test)]
mod tests;
