//! The control API's faults of machines, which the state of the server does not show.

use crate::{SYSTEM, Stage, group_of, runs};
use scaleway_emulator::Emulator;
use scaleway_emulator::options::Options;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_killed_machine_is_down_until_the_server_starts_again() {
    let stage = Stage::new(&format!("trap '' TERM; {SYSTEM}"));
    let id = stage.running();
    let pid = stage.pids(&id).remove(0);
    stage.order(&id, "kill");
    stage.eventually("it is killed", || group_of(&pid) == 0);
    assert_eq!(stage.show(&id)["state"], "running");
    stage.act(&id, "reboot");
    stage.eventually("it runs again", || stage.pids(&id).get(1).is_some_and(|pid| runs(pid)));
    assert_eq!(stage.pids(&id).len(), 2);
}

#[test]
fn a_frozen_machine_does_nothing_until_it_is_thawed() {
    let stage = Stage::new(SYSTEM);
    let id = stage.running();
    stage.order(&id, "freeze");
    let stands_still = || {
        let (before, since) = (stage.beats(&id), Instant::now());
        while since.elapsed() < Duration::from_millis(100) && stage.beats(&id) == before {
            std::thread::yield_now();
        }
        stage.beats(&id) == before
    };
    stage.eventually("it stands still", stands_still);
    assert_eq!(stage.show(&id)["state"], "running");
    let before = stage.beats(&id);
    stage.order(&id, "thaw");
    stage.eventually("it goes on", || stage.beats(&id) > before);
    assert_eq!(stage.pids(&id).len(), 1);
}

#[test]
fn a_frozen_machine_can_be_powered_off_and_restarted() {
    let stage = Stage::new(SYSTEM);
    let id = stage.running();
    stage.order(&id, "freeze");
    stage.order(&id, "restart");
    stage.eventually("it was restarted", || stage.pids(&id).len() == 2);
    let pids = stage.pids(&id);
    assert_eq!(group_of(&pids[0]), 0);
    let before = stage.beats(&id);
    stage.eventually("it is not frozen any more", || stage.beats(&id) > before);
    stage.order(&id, "freeze");
    stage.act(&id, "poweroff");
    stage.eventually("it is off", || group_of(&pids[1]) == 0);
}

#[test]
fn a_restart_boots_again_without_a_change_of_state() {
    let stage = Stage::new(&format!("trap '' TERM; {SYSTEM}"));
    let id = stage.running();
    let shown = stage.show(&id);
    stage.order(&id, "kill");
    stage.order(&id, "restart");
    stage.eventually("two boots", || stage.pids(&id).len() == 2);
    stage.order(&id, "restart");
    stage.eventually("three boots", || stage.pids(&id).len() == 3);
    assert_eq!(stage.pids(&id).iter().filter(|pid| group_of(pid) > 0).count(), 1);
    assert_eq!(stage.show(&id), shown);
}

#[test]
fn an_order_that_makes_no_sense_is_refused() {
    let stage = Stage::new(SYSTEM);
    let id = stage.server();
    let order = |id: &str, action: &str| {
        let body = json!({"action": action}).to_string();
        stage.raw("POST", &format!("/_emulator/servers/{id}/vm"), body).0
    };
    assert_eq!(order("00000000-0000-4000-8000-000000000000", "kill"), 404);
    assert_eq!(order(&id, "kill"), 400, "it does not run");
    stage.act(&id, "poweron");
    assert_eq!((order(&id, "explode"), order(&id, "thaw")), (400, 200));
    let mut without = Stage::new("exit");
    without.machines = None;
    without.emulator = Emulator::new(Options::default());
    assert_eq!(without.raw("POST", "/_emulator/servers/1/vm", r#"{"action": "kill"}"#).0, 400);
}
