//! Tests of `next.rs`.

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
    let prove = |what: &str| format!("prove {what} gone: a complete listing without it, then a not-found for its id");
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
