//! Tests of `action.rs`.

use super::*;
use crate::plan::tests::{gone_server, owned_volume, proof_of};

#[test]
fn each_action_says_what_it_is_about() {
    let (v, s) = (owned_volume().id, ServerId::new(8));
    let server = gone_server(proof_of("s-1"));
    // Action, name, about a volume, about a server, whether it creates or only reads.
    let cases: Vec<(Action, &str, bool, bool, &str)> = vec![
        (Action::Create(Creation::Server(Box::new(server))), "CREATE", false, true, "creates"),
        (Action::Create(Creation::Volume(Box::new(owned_volume()))), "CREATE_VOLUME", true, false, "creates"),
        (Action::Volume(v.clone(), VolumeCall::Tag), "TAG_VOLUME", true, false, ""),
        (Action::Server(s.clone(), ServerCall::Tag), "TAG_SERVER", false, true, ""),
        (Action::Volume(v.clone(), VolumeCall::Resize(1)), "VOLUME_RESIZE", true, false, ""),
        (Action::Volume(v.clone(), VolumeCall::Attach(s.clone())), "ATTACH_VOLUME", true, true, ""),
        (Action::Volume(v.clone(), VolumeCall::Detach(s.clone())), "DETACH_VOLUME", true, true, ""),
        (Action::Server(s.clone(), ServerCall::SetUserData), "SET_USER_DATA", false, true, ""),
        (Action::Server(s.clone(), ServerCall::Start), "START", false, true, ""),
        (Action::Server(s.clone(), ServerCall::Stop), "STOP", false, true, ""),
        (Action::Server(s.clone(), ServerCall::Reboot), "REBOOT", false, true, ""),
        (Action::Server(s.clone(), ServerCall::Terminate), "DELETE", false, true, ""),
        (Action::Server(s.clone(), ServerCall::Delete), "DELETE", false, true, ""),
        (Action::Volume(v.clone(), VolumeCall::Delete), "DELETE_VOLUME", true, false, ""),
        (Action::Server(s.clone(), ServerCall::ProveGone), "PROVE_SERVER_GONE", false, true, "reads"),
        (Action::Volume(v.clone(), VolumeCall::ProveGone), "PROVE_VOLUME_GONE", true, false, "reads"),
    ];
    for (action, name, of_volume, of_server, kind) in cases {
        assert_eq!(action.kind().text(), format!("PROVIDER_{name}"));
        assert_eq!(action.volume_id(), of_volume.then_some(&v), "{name}");
        assert_eq!(action.server_id(), of_server.then_some(&s), "{name}");
        assert_eq!((action.creates(), action.reads()), (kind == "creates", kind == "reads"), "{name}");
        let removal_method = action.removal_method(Spares::BlockVolumes).and_then(|r| r.split(':').next());
        let expected = if matches!(action, Action::Server(_, ServerCall::Terminate)) {
            Some("terminate")
        } else {
            matches!(action, Action::Server(_, ServerCall::Delete)).then_some("delete")
        };
        assert_eq!(removal_method, expected, "{name}");
    }
}
