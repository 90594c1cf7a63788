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
mod tests {
    use super::*;
    use crate::plan::tests::{instance, life};
    use crate::size::GB;

    #[test]
    fn each_step_towards_ready_disappears_once_it_is_done() {
        let mut agg = instance();
        let all = [
            "create the L40S-1-48G server",
            "create the 200 GB data volume",
            "attach the data volume",
            "set the first-boot instructions",
            "start the server",
            "report ready once the server runs",
        ];
        assert_eq!(next(&agg), all);
        agg.instance.spec.data_volume = None;
        assert_eq!(next(&agg), [all[0], all[3], all[4], all[5]]);

        let mut agg = life();
        assert_eq!(next(&agg), Vec::<String>::new(), "it is ready");
        agg.instance.status = Status::Booting;
        assert_eq!(next(&agg), [all[5]]);
        agg.servers[0].start_sent_at = None;
        assert_eq!(next(&agg), all[4..]);
        agg.servers[0].user_data_at = None;
        assert_eq!(next(&agg), all[3..]);
        let data = agg.volumes.iter().position(|v| v.origin == Origin::Ours).unwrap();
        agg.volumes[data].attached_at = None;
        assert_eq!(next(&agg), all[2..]);
        agg.volumes[data].create_state = CreateState::Unconfirmed;
        assert_eq!(next(&agg), all[3..], "a server that may have run had it: it is lost, and not created again");
        agg.servers[0].start_intended_at = None;
        let found = "adopt the 200 GB data volume if a listing shows it, otherwise create it again";
        assert_eq!(next(&agg)[0], found);
        agg.instance.spec.boot_volume_bytes = Some(50 * GB);
        assert_eq!(next(&agg)[0], "grow the boot volume to 50 GB");
        agg.volumes.iter_mut().find(|v| v.is_boot).unwrap().size_bytes = Some(50 * GB);
        assert_eq!(next(&agg)[0], found);
        agg.volumes.iter_mut().find(|v| v.is_boot).unwrap().tagged_at = None;
        assert_eq!(next(&agg)[0], "set our name and tags on 1 volume(s)");
        agg.servers[0].create_state = CreateState::Unconfirmed;
        let found = "adopt the L40S-1-48G server if a listing shows it, otherwise create it again";
        assert_eq!(next(&agg)[0], found);
        agg.servers[0].create_state = CreateState::Abandoned;
        assert_eq!(next(&agg)[0], "create the L40S-1-48G server");
    }

    #[test]
    fn the_steps_to_the_end_name_each_resource_and_what_is_retained() {
        let mut agg = life();
        agg.instance.desired = Desired::Absent;
        let prove =
            |what: &str| format!("prove {what} gone: a complete listing without it, then a not-found for its id");
        let delete = |id: &str| format!("delete volume {id} once nothing holds it, and prove it gone");
        let local = "delete volume scr if it is not deleted with its server, and prove it gone".to_owned();
        let end = "report terminated once everything is proven".to_owned();
        let server = ["remove server s1".to_owned(), prove("server s1")];
        let volumes = [delete("boot"), local.clone(), delete("data")];
        assert_eq!(next(&agg), [&server[..], &volumes[..], std::slice::from_ref(&end)].concat());

        for v in &mut agg.volumes {
            v.delete_on_terminate = false;
        }
        let kept = |id: &str| format!("retain volume {id}, and prove that it exists");
        let stop = "stop server s1, and detach 1 local volume(s) that must survive it".to_owned();
        let kept = [kept("boot"), kept("scr"), kept("data")];
        assert_eq!(next(&agg), [&[stop][..], &server[..], &kept[..], std::slice::from_ref(&end)].concat());
        agg.volumes[0].origin = Origin::Foreign;
        assert_eq!(next(&agg)[0], "detach 1 third-party volume(s) from server s1");
        agg.volumes[0].origin = Origin::Cloud;
        for v in &mut agg.volumes {
            v.delete_on_terminate = true;
        }

        (agg.servers[0].delete_sent_at, agg.volumes[0].delete_sent_at) =
            (Some(agg.instance.wake_at), Some(agg.instance.wake_at));
        agg.volumes[2].origin = Origin::Foreign;
        let foreign = "release volume data, which belongs to a third party".to_owned();
        assert_eq!(next(&agg), [prove("server s1"), prove("volume boot"), local, foreign, end]);

        agg.servers[0].create_state = CreateState::Unconfirmed;
        assert_eq!(next(&agg)[0], "find the outcome of 1 unconfirmed creation(s) in listings");
        agg.instance.failure = Some(crate::recorded::Failure { code: "x".into(), message: "y".into() });
        assert_eq!(next(&agg).last().unwrap(), "report the failure once everything is proven");

        // Ended, except for a volume that was released later.
        agg.instance.status = Status::Terminated;
        agg.servers[0] = crate::plan::tests::gone_server(crate::plan::tests::proof_of("s1"));
        agg.volumes.truncate(1);
        assert_eq!(next(&agg), [prove("volume boot")]);
        // Retained, and a third party changed its name.
        (agg.volumes[0].status, agg.volumes[0].tagged_at) = (VolumeStatus::Retained, None);
        assert_eq!(next(&agg), ["restore our name and tags on retained volume boot"]);
        agg.volumes[0].tagged_at = Some(agg.instance.wake_at);
        assert_eq!(next(&agg), Vec::<String>::new());
    }
}
