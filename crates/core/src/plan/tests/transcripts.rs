//! Instance life cycles in which other systems lost servers, volumes or data: one readable file each.
//!
//! The tests define what the cloud does; what the planner does follows from its rules. `INVENTIV_UPDATE_TRANSCRIPTS=1`
//! rewrites the files: review the difference before you commit it.

use super::transcript::Transcript;
use super::*;
use crate::cloud::{Spares, UserData};

fn ready(title: &str) -> Transcript {
    let mut t = Transcript::new(title);
    t.go(6);
    assert_eq!(t.stage.agg.instance.status, Status::Ready);
    t
}

#[test]
fn killed_after_the_create() {
    let mut t =
        Transcript::new("The control plane is killed after the cloud created the server, before that is recorded.");
    let actions = t.observe();
    t.take_effect(&actions[0]);
    t.cloud("creates server s1; the response is lost because the process was killed");
    t.go(8);
    t.end("01-killed-after-the-create.txt");
}

#[test]
fn a_volume_whose_creation_answers_502() {
    let mut t = Transcript::new("The response to the creation of the data volume is 502, and the volume exists.");
    t.go(1);
    for action in t.observe() {
        if matches!(action, Action::Create(Creation::Volume(_))) {
            t.take_effect(&action);
            t.lose(&action, "creates volume data1, and responds with 502");
        } else {
            t.accept(&action);
        }
    }
    t.go(6);
    t.end("02-a-volume-whose-creation-answers-502.txt");
}

#[test]
fn the_list_lags() {
    let mut t = Transcript::new("The response to the creation is lost, and for minutes no listing shows the server.");
    let actions = t.observe();
    t.lose(&actions[0], "creates server s1; the response is lost, and no listing shows the server yet");
    for _ in 0..120 {
        t.observe();
    }
    t.cloud("now shows server s1");
    t.take_effect(&actions[0]);
    t.go(8);
    t.end("03-the-list-lags.txt");
}

#[test]
fn cancelled_while_it_is_made() {
    let mut t = Transcript::new(
        "The user terminates the instance while its server is being created, and the response is lost.",
    );
    let actions = t.observe();
    t.lose(&actions[0], "is creating server s1; the response is lost");
    t.terminate();
    t.go(3);
    t.cloud("shows server s1");
    t.take_effect(&actions[0]);
    t.go(12);
    t.end("04-cancelled-while-it-is-made.txt");
}

#[test]
fn deletion_is_refused_for_hours() {
    let mut t = ready("For hours, the credentials lack the permission to delete.");
    t.terminate();
    t.go(1);
    for _ in 0..6 {
        for action in t.observe() {
            if matches!(action, Action::Volume(_, VolumeCall::Delete)) {
                t.refuse(&action, ErrorKind::Unauthorized, "insufficient permissions");
            } else {
                t.accept(&action);
            }
        }
        t.pass(1_800);
    }
    t.cloud("accepts the credentials again");
    t.go(4);
    t.end("05-deletion-is-refused-for-hours.txt");
}

#[test]
fn a_404_that_is_not_true() {
    let mut t = ready("The cloud responds with 404 for a volume that exists and is billed.");
    t.terminate();
    t.go(1);
    for action in t.observe() {
        if matches!(action, Action::Volume(_, VolumeCall::Delete)) {
            t.refuse(&action, ErrorKind::NotFound, "404 for a volume that exists");
        } else {
            t.accept(&action);
        }
    }
    t.go(30);
    t.end("06-a-404-that-is-not-true.txt");
}

#[test]
fn volumes_survive_their_server() {
    let mut t = Transcript::new("Block volumes survive their server: each is deleted or retained separately.");
    t.stage.agg.instance.spec.data_volume.as_mut().unwrap().delete_on_terminate = false;
    t.go(6);
    t.terminate();
    t.go(8);
    t.end("07-volumes-survive-their-server.txt");
}

#[test]
fn every_error_is_not_not_found() {
    let mut t = ready("While the deletions are proven, the cloud responds with 403, 500 and 429.");
    t.terminate();
    t.go(1);
    for (kind, text) in
        [(ErrorKind::Unauthorized, "403"), (ErrorKind::Unavailable, "500"), (ErrorKind::RateLimited, "429")]
    {
        for action in t.observe() {
            if matches!(action, Action::Server(_, ServerCall::ProveGone)) {
                t.refuse(&action, kind, text);
            } else {
                t.accept(&action);
            }
        }
        t.pass(30);
    }
    t.go(6);
    t.end("08-every-error-is-not-not-found.txt");
}

#[test]
fn two_servers_with_one_name() {
    let mut t =
        Transcript::new("The create request is duplicated on its way: two servers have one name, and both are billed.");
    let actions = t.observe();
    t.take_effect(&actions[0]);
    let mut duplicate = t.stage.servers[0].clone();
    duplicate.id = "s9".into();
    duplicate.created_at = Some(T0.plus_ms(500));
    duplicate.attachments = vec![attachment(0, "boot9", "sbs_volume")];
    t.stage.servers.push(duplicate);
    t.stage.volumes.push(observed_volume("boot9", "img_sbs_volume_0", "sbs_volume", Some("s9")));
    t.lose(&actions[0], "creates servers s1 and s9; the response is lost");
    t.go(12);
    t.terminate();
    t.go(8);
    t.end("09-two-servers-with-one-name.txt");
}

#[test]
fn a_late_arrival() {
    let mut t = Transcript::new("The server of an abandoned attempt appears after all, while another server runs.");
    let actions = t.observe();
    t.lose(&actions[0], "does not respond");
    for _ in 0..3 {
        t.observe();
    }
    t.pass(600);
    t.go(7);
    t.cloud("shows server s1, of the first attempt");
    t.take_effect(&actions[0]);
    t.go(8);
    t.end("10-a-late-arrival.txt");
}

#[test]
fn a_cloud_whose_servers_run_from_their_creation() {
    let mut t = Transcript::new(
        "In another cloud, servers run as soon as they are created, with their user data, and their removal spares every \
         volume.",
    );
    t.stage.profile.born_running = true;
    t.stage.profile.user_data = UserData::WithCreation;
    t.stage.profile.removal_while_running = Spares::EveryVolume;
    t.go(6);
    assert_eq!(t.stage.agg.instance.status, Status::Ready);
    t.user("retain the scratch volume");
    let scratch = t.stage.agg.volumes.iter_mut().find(|v| v.provider_id.as_deref() == Some("scr1")).unwrap();
    scratch.set_policy(false);
    t.terminate();
    t.go(10);
    t.end("11-a-cloud-whose-servers-run-from-their-creation.txt");
}

#[test]
fn stopped_and_started_again_while_its_zone_is_out_of_stock() {
    let mut t = ready("The user stops the instance, and starts it again while its zone is out of stock.");
    t.user("stop it");
    t.stage.agg.instance.desired = Desired::Stopped;
    t.go(4);
    t.user("start it");
    t.stage.agg.instance.desired = Desired::Present;
    for _ in 0..160 {
        for action in t.observe() {
            if matches!(action, Action::Server(_, ServerCall::Start)) {
                t.stage.answer(&action, Ok(CallResult::Accepted));
                t.cloud("accepts the start, and the server stays stopped: the zone is out of stock");
            } else {
                t.accept(&action);
            }
        }
        t.pass(9);
    }
    assert_eq!(t.stage.agg.instance.failure, None, "its volumes hold data");
    t.cloud("has stock again");
    t.pass(600);
    t.go(3);
    assert_eq!(t.stage.agg.instance.status, Status::Ready);
    t.user("reboot it");
    t.stage.agg.instance.reboot_requested_at = Some(t.stage.now);
    t.go(3);
    t.terminate();
    t.go(8);
    t.end("12-stopped-and-started-while-out-of-stock.txt");
}
