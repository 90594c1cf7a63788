//! What will be done next: the road that is left, in its order, after what is waited for.
//!
//! It reads only what is recorded, as a person who asks during an outage can. The planner decides anew upon each look;
//! where the two could differ, it is because the cloud shows something that is not recorded yet.

use crate::recorded::{Aggregate, Server, Volume};
use crate::size::gb_ceil;
use crate::status::{CreateState, Desired, Origin, Status, VolumeStatus};

/// The steps that are left, one phrase each; empty where nothing is to be done.
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
    steps.extend(some(unnamed.count()).map(|n| format!("name and tag {n} volume(s) as ours")));
    let boot = agg.volumes.iter().find(|v| v.is_boot && v.is_live() && v.is_block());
    if let (Some(want), have) = (i.spec.boot_volume_bytes, boot.and_then(|v| v.size_bytes))
        && have.is_none_or(|have| have < want)
    {
        steps.push(format!("grow the boot volume to {} GB", gb_ceil(want)));
    }
    if let Some(spec) = &i.spec.data_volume {
        let ours = agg.data_volume();
        let live = ours.filter(|v| v.is_live());
        // One that was there when its server may have run, and is gone, is not made again.
        let lost = ours.is_some() && live.is_none() && server.is_some_and(Server::may_have_run);
        if live.is_none() && !lost {
            steps.push(creation(&format!("{} GB data volume", gb_ceil(spec.size_bytes)), ours.map(|v| v.create_state)));
        }
        if live.is_none_or(|v| v.attached_at.is_none()) && !lost {
            steps.push("attach the data volume".to_owned());
        }
    }
    if server.is_none_or(|s| s.user_data_at.is_none()) {
        steps.push("hand over the first-boot instructions".to_owned());
    }
    if server.is_none_or(|s| s.start_sent_at.is_none()) {
        steps.push("start the server".to_owned());
    }
    steps.push("say ready once it runs".to_owned());
    steps
}

fn creation(what: &str, last: Option<CreateState>) -> String {
    match last {
        Some(CreateState::Intended | CreateState::Unconfirmed) => {
            format!("take over the {what} where a listing shows it, else ask for it anew")
        }
        None | Some(CreateState::Created | CreateState::Refused | CreateState::Abandoned) => {
            format!("ask for the {what}")
        }
    }
}

fn to_the_end(agg: &Aggregate) -> Vec<String> {
    let mut steps = Vec::new();
    let open = agg.servers.iter().map(|s| s.create_state).chain(agg.volumes.iter().map(|v| v.create_state));
    let open = some(open.filter(|s| s.is_open()).count());
    steps.extend(open.map(|n| format!("learn from listings what became of {n} creation(s) without an answer")));
    for s in agg.servers.iter().filter(|s| s.is_live()) {
        steps.extend(server_out(agg, s));
    }
    for v in agg.volumes.iter().filter(|v| v.is_live()) {
        steps.push(volume_out(v));
    }
    for v in agg.volumes.iter().filter(|v| v.is_kept() && v.tagged_at.is_none()) {
        steps.push(format!("name and tag kept volume {} as ours again", v.provider_id.as_deref().unwrap_or(&v.name)));
    }
    if !agg.instance.status.is_final() {
        let word = if agg.instance.failure.is_some() { "say that it failed" } else { "say terminated" };
        steps.push(format!("{word} once all of it is proven"));
    }
    steps
}

fn server_out(agg: &Aggregate, s: &Server) -> Vec<String> {
    let id = s.provider_id.as_deref().unwrap_or(&s.name);
    let mut steps = Vec::new();
    if s.delete_sent_at.is_none() {
        // Only what came with it, or was found on it, could go with it.
        let on_it = |v: &&Volume| v.status == VolumeStatus::Attached && v.server_id.as_ref() == Some(&s.id);
        let foreign = |v: &&Volume| v.is_block() && v.origin == Origin::Foreign;
        let local = |v: &&Volume| !v.is_block() && !v.is_to_delete();
        let foreign = some(agg.volumes.iter().filter(on_it).filter(foreign).count());
        let local = some(agg.volumes.iter().filter(on_it).filter(local).count());
        steps.extend(foreign.map(|n| format!("detach {n} volume(s) of somebody else from server {id}")));
        steps.extend(local.map(|n| format!("stop server {id}, and detach {n} local volume(s) that must outlive it")));
        steps.push(format!("have server {id} removed"));
    }
    steps.push(proof_of(&format!("server {id}")));
    steps
}

fn volume_out(v: &Volume) -> String {
    let id = v.provider_id.as_deref().unwrap_or(&v.name);
    match (v.origin, v.is_to_delete(), v.delete_sent_at) {
        (Origin::Foreign, ..) => format!("let go of volume {id}, which is somebody else's"),
        (_, false, _) => format!("keep volume {id}, and prove that it is there"),
        (_, true, None) if v.is_block() => format!("delete volume {id} once nothing holds it, and prove it gone"),
        (_, true, None) => format!("delete volume {id} if it does not go with its server, and prove it gone"),
        (_, true, Some(_)) => proof_of(&format!("volume {id}")),
    }
}

fn proof_of(what: &str) -> String {
    format!("prove {what} gone: a complete listing without it, then not found when asked for")
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
    fn the_road_to_ready_gets_shorter_with_each_step_that_is_done() {
        let mut agg = instance();
        let all = [
            "ask for the L40S-1-48G server",
            "ask for the 200 GB data volume",
            "attach the data volume",
            "hand over the first-boot instructions",
            "start the server",
            "say ready once it runs",
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
        assert_eq!(next(&agg), all[3..], "a server that may have run had it: it is lost, and not made again");
        agg.servers[0].start_intended_at = None;
        let found = "take over the 200 GB data volume where a listing shows it, else ask for it anew";
        assert_eq!(next(&agg)[0], found);
        agg.instance.spec.boot_volume_bytes = Some(50 * GB);
        assert_eq!(next(&agg)[0], "grow the boot volume to 50 GB");
        agg.volumes.iter_mut().find(|v| v.is_boot).unwrap().size_bytes = Some(50 * GB);
        assert_eq!(next(&agg)[0], found);
        agg.volumes.iter_mut().find(|v| v.is_boot).unwrap().tagged_at = None;
        assert_eq!(next(&agg)[0], "name and tag 1 volume(s) as ours");
        agg.servers[0].create_state = CreateState::Unconfirmed;
        let found = "take over the L40S-1-48G server where a listing shows it, else ask for it anew";
        assert_eq!(next(&agg)[0], found);
        agg.servers[0].create_state = CreateState::Abandoned;
        assert_eq!(next(&agg)[0], "ask for the L40S-1-48G server");
    }

    #[test]
    fn the_road_to_the_end_names_each_thing_and_what_is_kept() {
        let mut agg = life();
        agg.instance.desired = Desired::Absent;
        let prove =
            |what: &str| format!("prove {what} gone: a complete listing without it, then not found when asked for");
        let delete = |id: &str| format!("delete volume {id} once nothing holds it, and prove it gone");
        let local = "delete volume scr if it does not go with its server, and prove it gone".to_owned();
        let end = "say terminated once all of it is proven".to_owned();
        let server = ["have server s1 removed".to_owned(), prove("server s1")];
        let volumes = [delete("boot"), local.clone(), delete("data")];
        assert_eq!(next(&agg), [&server[..], &volumes[..], std::slice::from_ref(&end)].concat());

        for v in &mut agg.volumes {
            v.delete_on_terminate = false;
        }
        let kept = |id: &str| format!("keep volume {id}, and prove that it is there");
        let stop = "stop server s1, and detach 1 local volume(s) that must outlive it".to_owned();
        let kept = [kept("boot"), kept("scr"), kept("data")];
        assert_eq!(next(&agg), [&[stop][..], &server[..], &kept[..], std::slice::from_ref(&end)].concat());
        agg.volumes[0].origin = Origin::Foreign;
        assert_eq!(next(&agg)[0], "detach 1 volume(s) of somebody else from server s1");
        agg.volumes[0].origin = Origin::Cloud;
        for v in &mut agg.volumes {
            v.delete_on_terminate = true;
        }

        (agg.servers[0].delete_sent_at, agg.volumes[0].delete_sent_at) =
            (Some(agg.instance.wake_at), Some(agg.instance.wake_at));
        agg.volumes[2].origin = Origin::Foreign;
        let foreign = "let go of volume data, which is somebody else's".to_owned();
        assert_eq!(next(&agg), [prove("server s1"), prove("volume boot"), local, foreign, end]);

        agg.servers[0].create_state = CreateState::Unconfirmed;
        assert_eq!(next(&agg)[0], "learn from listings what became of 1 creation(s) without an answer");
        agg.instance.failure = Some(crate::recorded::Failure { code: "x".into(), message: "y".into() });
        assert_eq!(next(&agg).last().unwrap(), "say that it failed once all of it is proven");

        // Over, but for a volume that was released later.
        agg.instance.status = Status::Terminated;
        agg.servers[0] = crate::plan::tests::gone_server(crate::plan::tests::proof_of("s1"));
        agg.volumes.truncate(1);
        assert_eq!(next(&agg), [prove("volume boot")]);
        // Kept, and robbed of its name.
        (agg.volumes[0].status, agg.volumes[0].tagged_at) = (VolumeStatus::Retained, None);
        assert_eq!(next(&agg), ["name and tag kept volume boot as ours again"]);
        agg.volumes[0].tagged_at = Some(agg.instance.wake_at);
        assert_eq!(next(&agg), Vec::<String>::new());
    }
}
