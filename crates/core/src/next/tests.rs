//! Tests of `next.rs`.

use super::*;
use crate::offer::BootStorage;
use crate::plan::tests::{T0, gone_server, instance, life, profile, proof_of};
use crate::size::GB;
use crate::status::{CreateState, Desired, Origin, Status, VolumeStatus};

fn steps(agg: &Aggregate) -> Vec<String> {
    next(agg, &profile(), agg.instance.wake_at)
}

#[test]
fn a_new_instance_is_forecast_up_to_ready() {
    let all = [
        "create the L40S-1-48G server",
        "set our name and tags on the boot volume",
        "create the 200 GB data volume",
        "attach the data volume to the server",
        "set the first-boot instructions of the server",
        "start the server",
        "report ready",
    ];
    assert_eq!(steps(&instance()), all);
    let mut agg = instance();
    agg.instance.spec.data_volume = None;
    assert_eq!(steps(&agg), [all[0], all[1], all[4], all[5], all[6]]);
    agg.instance.spec.boot_storage = BootStorage::Local;
    assert_eq!(steps(&agg), [all[0], all[4], all[5], all[6]]);
}

#[test]
fn in_another_cloud_the_steps_are_others() {
    let mut profile = profile();
    profile.born_running = true;
    profile.user_data = crate::cloud::UserData::WithCreation;
    let all = [
        "create the 200 GB data volume",
        "create the L40S-1-48G server",
        "set our name and tags on the boot volume",
        "attach the data volume to the server",
        "report ready",
    ];
    assert_eq!(next(&instance(), &profile, T0), all);
}

#[test]
fn each_step_towards_ready_disappears_once_it_is_done() {
    let mut agg = life();
    assert_eq!(steps(&agg), Vec::<String>::new(), "it is ready");
    agg.instance.status = Status::Booting;
    agg.instance.ready_at = None;
    assert_eq!(steps(&agg), ["report ready"]);
    agg.servers[0].start_sent_at = None;
    agg.servers[0].start_intended_at = None;
    agg.servers[0].state = Some("stopped".to_owned());
    assert_eq!(steps(&agg), ["start server s1", "report ready"]);
    agg.servers[0].user_data_at = None;
    let instructions = "set the first-boot instructions of server s1";
    assert_eq!(steps(&agg), [instructions, "start server s1", "report ready"]);
    agg.instance.spec.boot_volume_bytes = Some(50 * GB);
    assert_eq!(steps(&agg)[0], "grow boot volume boot to 50 GB");
    agg.volumes.iter_mut().find(|v| v.is_boot).unwrap().tagged_at = None;
    assert_eq!(steps(&agg)[..2], ["set our name and tags on boot volume boot", "grow boot volume boot to 50 GB"]);
}

#[test]
fn the_steps_on_the_server_follow_those_in_the_cloud() {
    let mut agg = instance();
    agg.instance.model_id = Some("a/b-7B".into());
    agg.instance.spec.serving = Some(crate::engine::Serving::default());
    let on_the_server = [
        "install the worker",
        "mount the data volume and fetch the engine",
        "download and load the model",
        "ask the model, and report ready",
    ];
    let found = steps(&agg);
    assert_eq!(found[found.len() - 5], "start the server");
    assert_eq!(found[found.len() - 4..], on_the_server);
    let mut agg = life();
    agg.instance.spec.serving = Some(crate::engine::Serving::default());
    agg.instance.worker = Some(Box::new(crate::worker::record::WorkerRecord::expected(T0)));
    for (status, left) in [
        (Status::Booting, &on_the_server[..]),
        (Status::Installing, &on_the_server[1..]),
        (Status::Starting, &on_the_server[2..]),
        (Status::Unavailable, &on_the_server[3..]),
        (Status::Ready, &[]),
        (Status::StartupFailed, &["end the instance, because its model will not answer"]),
    ] {
        agg.instance.status = status;
        assert_eq!(steps(&agg), left, "{status}");
    }
    agg.instance.spec.serving = Some(crate::engine::Serving { keep_failed: true, ..Default::default() });
    assert_eq!(steps(&agg), Vec::<String>::new(), "it is kept");
}

#[test]
fn an_unconfirmed_creation_is_given_up_and_repeated() {
    let mut agg = instance();
    let row = crate::recorded::Server::intended(crate::id::ServerId::new(1), 1, "iva-test-1".into(), T0);
    agg.servers.push(crate::recorded::Server { create_state: CreateState::Unconfirmed, ..row });
    let found = steps(&agg);
    assert_eq!(
        found[..2],
        ["abandon an unconfirmed creation, unless a listing shows it", "create the L40S-1-48G server"]
    );
    assert_eq!(found.last().unwrap(), "report ready");
}

#[test]
fn the_steps_to_the_end_name_each_resource_and_what_is_retained() {
    let mut agg = life();
    agg.instance.desired = Desired::Absent;
    agg.instance.terminate_requested_at = Some(agg.instance.wake_at);
    let end = |agg: &Aggregate| steps(agg).join("\n");
    let all = "\
remove server s1 while it runs
prove server s1 gone: not found by its id
delete boot volume boot
prove volume scr gone: not found by its id
delete data volume data
prove boot volume boot gone: not found by its id
prove data volume data gone: not found by its id
report terminated";
    assert_eq!(end(&agg), all);
    agg.servers[0].delete_sent_at = Some(agg.instance.wake_at);
    assert_eq!(end(&agg), all.split_once('\n').unwrap().1, "its removal was requested already");
    agg.servers[0].delete_sent_at = None;

    for v in &mut agg.volumes {
        v.set_policy(false);
    }
    assert_eq!(
        end(&agg),
        "\
stop server s1
detach volume scr from server s1
remove server s1 while it is stopped
prove server s1 gone: not found by its id
set our name and tags on boot volume boot
set our name and tags on volume scr
set our name and tags on data volume data
retain boot volume boot
retain volume scr
retain data volume data
report terminated"
    );
    agg.volumes.iter_mut().for_each(|v| v.set_policy(true));
    agg.volumes[0].origin = Origin::Foreign;
    let found = end(&agg);
    assert!(found.contains("detach third-party volume boot from server s1\n"), "{found}");
    assert!(found.contains("release third-party volume boot\n"), "{found}");
    agg.instance.failure = Some(crate::recorded::Failure { code: "x".into(), message: "y".into() });
    assert_eq!(steps(&agg).last().unwrap(), "report the failure");
}

#[test]
fn an_instance_that_has_ended_has_no_steps_but_those_of_a_volume_that_was_released_later() {
    let mut agg = life();
    agg.instance.desired = Desired::Absent;
    agg.instance.status = Status::Terminated;
    agg.servers[0] = gone_server(proof_of("s1"));
    agg.volumes.truncate(1);
    assert_eq!(steps(&agg), ["delete boot volume boot", "prove boot volume boot gone: not found by its id"]);
    agg.volumes[0].status = VolumeStatus::Retained;
    assert_eq!(steps(&agg), Vec::<String>::new());
    agg.volumes[0].tagged_at = None;
    assert_eq!(steps(&agg), ["set our name and tags on boot volume boot"]);
}

#[test]
fn a_person_has_to_act_first() {
    let mut agg = life();
    agg.servers[0].state = Some("locked".to_owned());
    assert_eq!(steps(&agg), Vec::<String>::new());
}

#[test]
fn nothing_is_forecast_while_the_records_are_older_than_the_cloud() {
    let mut agg = life();
    agg.instance.desired = Desired::Absent;
    let data = agg.volumes.iter_mut().find(|v| v.origin == Origin::Ours).unwrap();
    data.cloud_policy = Some(crate::recorded::CloudPolicy { delete: false, version: data.policy_version + 1 });
    assert_eq!(steps(&agg), Vec::<String>::new());
}

#[test]
fn a_local_volume_that_was_detached_to_survive_is_retained() {
    let mut agg = life();
    agg.instance.desired = Desired::Absent;
    agg.instance.terminate_requested_at = Some(agg.instance.wake_at);
    agg.servers[0].delete_sent_at = Some(agg.instance.wake_at);
    let scratch = agg.volumes.iter_mut().find(|v| v.provider_id.as_deref() == Some("scr")).unwrap();
    (scratch.delete_on_terminate, scratch.detach_sent_at) = (false, Some(agg.instance.wake_at));
    let found = steps(&agg);
    assert!(found.contains(&"retain volume scr".to_owned()), "{found:?}");
}
