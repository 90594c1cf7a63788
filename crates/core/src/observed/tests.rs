//! Tests of `observed.rs`.

use super::*;
use crate::plan::tests::{observed_server, observed_volume};

#[test]
fn a_server_boots_from_the_volume_with_the_flag_else_from_index_0() {
    let mut server = observed_server("s", "n", ServerState::Stopped);
    assert_eq!(server.boot_volume_id(), Some("boot"));
    server.attachments[1].boot = true;
    assert_eq!(server.boot_volume_id(), Some("scr"));
    server.attachments.clear();
    assert_eq!(server.boot_volume_id(), None);
}

#[test]
fn a_newer_observation_replaces_the_older_one_and_no_other() {
    let mut seen = Observed::nothing(Timestamp(1));
    seen.refresh_server(observed_server("s1", "old", ServerState::Stopped));
    seen.refresh_server(observed_server("s2", "other", ServerState::Stopped));
    seen.refresh_server(observed_server("s1", "new", ServerState::Running));
    let names = |seen: &Observed| seen.servers.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&seen), ["other", "new"]);
    assert_eq!(seen.server("s1").map(|s| s.state.text()), Some("running"));
    seen.refresh_volume(observed_volume("v1", "old", "scratch", None));
    seen.refresh_volume(observed_volume("v2", "other", "scratch", None));
    seen.refresh_volume(observed_volume("v1", "new", "scratch", None));
    assert_eq!(seen.volumes.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(), ["other", "new"]);
    assert_eq!((seen.volume("v1").map(|v| v.name.as_str()), seen.volume("v3")), (Some("new"), None));
}

#[test]
fn every_state_has_its_word() {
    use ServerState::{Locked, Other, Running, Starting, Stopped, StoppedInPlace, Stopping};
    let all = [Stopped, StoppedInPlace, Starting, Running, Stopping, Locked, Other("melting".into())];
    let words = ["stopped", "stopped in place", "starting", "running", "stopping", "locked", "melting"];
    assert_eq!(all.each_ref().map(ServerState::text), words);
}
