//! Checks the states that the emulator passes through between two recorded answers: each must occur in some recording.

use crate::compare::Difference;
use serde_json::{Value, json};

/// The recorded states of a server: state and detail.
const SERVERS: [(&str, &str); 16] = [
    ("stopped", ""),
    ("starting", "allocating node"),
    ("starting", "provisioning node"),
    ("starting", "starting"),
    ("starting", "rebooting"),
    ("starting", "stopped in place"),
    ("starting", "starting in place"),
    ("running", "booting kernel"),
    ("running", "booted"),
    ("running", "ready"),
    ("stopping", "stopping"),
    ("stopping", "booted"),
    ("stopping", "terminating"),
    ("stopping", "rebooting"),
    ("stopping", "stopping in place"),
    ("stopped in place", "stopped in place"),
];
/// The recorded states of a block volume: its status, and that of its reference.
const BLOCKS: [(&str, Option<&str>); 10] = [
    ("creating", None),
    ("creating", Some("attached")),
    ("available", None),
    ("in_use", None),
    ("in_use", Some("attaching")),
    ("in_use", Some("attached")),
    ("in_use", Some("detaching")),
    ("in_use", Some("error")),
    ("updating", None),
    ("updating", Some("attached")),
];
const LOCALS: [&str; 3] = ["available", "snapshotting", "deleting"];
const SNAPSHOTS: [&str; 6] = ["available", "snapshotting", "exporting", "importing", "creating", "in_use"];

/// Every resource of the emulator in a state that no recording shows.
pub(crate) fn unheard(state: &Value) -> Vec<Difference> {
    let items = |kind: &str| state[kind].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
    let server = |s: &&Value| !SERVERS.contains(&(&text(s, "state"), &text(s, "state_detail")));
    let volume = |v: &&Value| {
        let status = text(v, "status");
        if v["volume_type"] == "sbs_volume" {
            !BLOCKS.contains(&(&status, v["reference_status"].as_str()))
        } else {
            !LOCALS.contains(&status.as_str())
        }
    };
    let snapshot = |s: &&Value| !SNAPSHOTS.contains(&text(s, "state").as_str());
    let strange = |kind: &'static str, of: Vec<&Value>, keys: [&'static str; 3]| -> Vec<Difference> {
        let words = |v: &Value| keys.iter().map(|k| v[*k].clone()).filter(|w| !w.is_null()).collect::<Vec<_>>();
        let difference = |v: &Value| Difference {
            at: format!("passed {kind}"),
            recorded: json!("(never seen)"),
            emulated: json!(words(v)),
        };
        of.into_iter().map(difference).collect()
    };
    let mut found =
        strange("server", items("servers").iter().filter(server).collect(), ["state", "state_detail", "id"]);
    found.extend(strange(
        "volume",
        items("volumes").iter().filter(volume).collect(),
        ["status", "reference_status", "id"],
    ));
    found.extend(strange("snapshot", items("snapshots").iter().filter(snapshot).collect(), ["state", "", "id"]));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unrecorded_states_of_every_kind_are_found() {
        let heard = json!({
            "servers": [{"state": "running", "state_detail": "booted"}],
            "volumes": [{"volume_type": "sbs_volume", "status": "in_use", "reference_status": "detaching"},
                {"volume_type": "l_ssd", "status": "available"}],
            "snapshots": [{"state": "available"}],
        });
        assert!(unheard(&heard).is_empty());
        for (path, invented) in [
            ("/servers/0/state_detail", "stopping"),
            ("/volumes/0/reference_status", "error_detaching"),
            ("/volumes/0/status", "available"),
            ("/volumes/1/status", "in_use"),
            ("/snapshots/0/state", "updating"),
        ] {
            let mut state = heard.clone();
            if let Some(at) = state.pointer_mut(path) {
                *at = json!(invented);
            }
            assert_eq!(unheard(&state).len(), 1, "{path} {invented}");
        }
    }
}
