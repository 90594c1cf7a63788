//! The life of a machine follows its server's state.

use crate::{INSTANCE, SYSTEM, Stage, group_of, read, runs};
use scaleway_emulator::options::{ClockMode, Options};
use scaleway_emulator::{Boot, Emulator};
use serde_json::json;
use std::net::{Ipv4Addr, TcpListener};

#[test]
fn a_server_that_runs_has_its_system_with_its_user_data_and_address() {
    let stage = Stage::new(SYSTEM);
    let id = stage.server();
    stage.raw("PATCH", &format!("{INSTANCE}/{id}/user_data/cloud-init"), "#cloud-config\nkey: \"ä\"\n");
    stage.ask("POST", &format!("{INSTANCE}/{id}/action"), json!({"action": "poweron"}));
    assert!(!stage.disk(&id).exists(), "it does not run yet");
    stage.emulator.advance_ms(120_000);
    stage.eventually("the system is up", || stage.disk(&id).join("booted").exists());
    let shown = stage.show(&id);
    let address = shown["public_ip"]["address"].as_str().unwrap();
    let booted = read(&stage.disk(&id).join("booted"));
    assert_eq!(booted, format!("{id} PLAY2-PICO {address}\n#cloud-config\nkey: \"ä\"\n"));
    stage.eventually("the output is kept", || {
        read(&stage.disk(&id).join("console.log")).contains("hello from the system\n")
    });
}

#[test]
fn every_address_is_a_loopback_address_of_its_own() {
    let stage = Stage::on(ClockMode::Instant, "exec sleep 60");
    let mut all = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let id = stage.server();
        stage.act(&id, "poweron");
        all.insert(stage.show(&id)["public_ip"]["address"].as_str().unwrap().to_owned());
        let ip = stage.ask("POST", "/instance/v1/zones/fr-par-2/ips", json!({"type": "routed_ipv4"}));
        all.insert(ip["ip"]["address"].as_str().unwrap().to_owned());
    }
    assert_eq!(all.len(), 6);
    for address in all {
        let address: Ipv4Addr = address.parse().unwrap();
        assert!(matches!(address.octets(), [127, 64..=127, _, 1..=254]), "{address}");
        TcpListener::bind((address, 0)).expect("a process can listen on it");
    }
}

#[test]
fn a_flexible_address_is_the_machines_address() {
    let stage = Stage::new(r#"echo "$EMULATED_VM_ADDRESS/${EMULATED_VM_USER_DATA-none}" > "$EMULATED_VM_DIR/booted""#);
    let id = stage.server();
    let ip = stage.ask("POST", "/instance/v1/zones/fr-par-2/ips", json!({"type": "routed_ipv4", "server": id}));
    stage.act(&id, "poweron");
    let address = ip["ip"]["address"].as_str().unwrap();
    stage.eventually("booted", || read(&stage.disk(&id).join("booted")) == format!("{address}/none\n"));
}

#[test]
fn a_machine_boots_when_its_time_has_come_without_a_request() {
    let stage = Stage::on(ClockMode::Scaled(100), SYSTEM);
    let id = stage.server();
    stage.ask("POST", &format!("{INSTANCE}/{id}/action"), json!({"action": "poweron"}));
    stage.eventually("the system is up", || stage.disk(&id).join("booted").exists());
}

#[test]
fn poweroff_ends_every_process_of_the_machine_and_keeps_its_disk() {
    let stage = Stage::new(&format!("sleep 1000 & {SYSTEM}"));
    let id = stage.running();
    let pid = stage.pids(&id).remove(0);
    assert!(group_of(&pid) >= 2, "the system and its child");
    stage.act(&id, "poweroff");
    stage.eventually("nothing runs", || group_of(&pid) == 0);
    assert!(stage.disk(&id).join("booted").exists());
    stage.act(&id, "poweron");
    stage.eventually("it runs again, on the same disk", || stage.pids(&id).len() == 2);
}

#[test]
fn a_system_that_ignores_the_request_to_end_is_killed() {
    let stage = Stage::new(&format!("trap '' TERM; {SYSTEM}"));
    let id = stage.running();
    let pid = stage.pids(&id).remove(0);
    let began = std::time::Instant::now();
    stage.act(&id, "stop_in_place");
    assert!(began.elapsed().as_millis() < 1_000, "the request does not wait for it");
    stage.eventually("nothing runs", || group_of(&pid) == 0);
    assert!(began.elapsed().as_millis() >= 1_900, "it had time to end by itself");
    let console = read(&stage.disk(&id).join("console.log"));
    assert!(!console.contains("[emulator]"), "{console}");
}

#[test]
fn a_system_can_end_in_an_orderly_way() {
    let command = format!("trap 'echo bye > \"$EMULATED_VM_DIR/farewell\"; exit' TERM; {SYSTEM}");
    let stage = Stage::new(&command);
    let id = stage.running();
    stage.act(&id, "poweroff");
    stage.eventually("it said so", || read(&stage.disk(&id).join("farewell")) == "bye\n");
}

#[test]
fn a_reboot_starts_the_system_again_on_the_same_disk() {
    for clock in [ClockMode::Manual, ClockMode::Instant] {
        let stage = Stage::on(clock, SYSTEM);
        let id = stage.running();
        stage.act(&id, "reboot");
        stage.eventually("two boots", || stage.pids(&id).len() == 2);
        let pids = stage.pids(&id);
        assert_eq!((group_of(&pids[0]), runs(&pids[1])), (0, true), "{clock:?}");
    }
}

#[test]
fn the_disk_goes_with_its_server() {
    let stage = Stage::new(SYSTEM);
    let deleted = stage.running();
    stage.act(&deleted, "poweroff");
    stage.ask("DELETE", &format!("{INSTANCE}/{deleted}"), json!({}));
    let terminated = stage.running();
    let pid = stage.pids(&terminated).remove(0);
    stage.act(&terminated, "terminate");
    for id in [&deleted, &terminated] {
        stage.eventually("its disk is gone", || !stage.disk(id).exists());
    }
    assert_eq!(group_of(&pid), 0);
}

#[test]
fn a_server_goes_on_running_when_its_system_ends_by_itself() {
    let stage = Stage::new("exit 7");
    let id = stage.server();
    stage.act(&id, "poweron");
    let console = stage.disk(&id).join("console.log");
    stage.eventually("it is noted", || read(&console) == "[emulator] the command ended: exit status: 7\n");
    assert_eq!(stage.show(&id)["state"], "running");
    stage.act(&id, "reboot");
    stage.eventually("it boots again", || read(&console).lines().count() == 2);
}

#[test]
fn nothing_is_left_after_the_machines_are_dropped() {
    let mut stage = Stage::new(&format!("trap '' TERM; sleep 1000 & {SYSTEM}"));
    let pids: Vec<String> = (0..2).map(|_| stage.running()).map(|id| stage.pids(&id).remove(0)).collect();
    let folder = stage.folder.clone();
    stage.machines = None;
    assert_eq!(pids.iter().map(|pid| group_of(pid)).sum::<usize>(), 0);
    assert!(!folder.exists());
    let again = stage.emulator.boot(&Boot { command: "exit".to_owned(), state_dir: None });
    assert!(again.is_ok(), "the emulator can have machines again");
    let second = stage.emulator.boot(&Boot { command: "exit".to_owned(), state_dir: None });
    assert_eq!(second.err().map(|e| e.kind()), Some(std::io::ErrorKind::AlreadyExists));
}

#[test]
fn a_given_folder_keeps_the_disks_for_a_saved_account() {
    let home = tempfile::tempdir().unwrap();
    let boot = Boot { command: SYSTEM.to_owned(), state_dir: Some(home.path().to_owned()) };
    let stage = |emulator: Emulator| {
        let machines = emulator.boot(&boot).unwrap();
        Stage { emulator, folder: machines.state_dir().to_owned(), machines: Some(machines) }
    };
    let empty = || Emulator::new(Options { clock: ClockMode::Manual, ..Options::default() });
    let first = stage(empty());
    let id = first.running();
    let saved = first.emulator.saved();
    drop(first);
    let second = stage(empty());
    let other = second.running();
    assert!(second.disk(&id).exists(), "this account never had the server, so its disk stays");
    second.emulator.load(&saved).unwrap();
    second.eventually("its server runs again", || second.pids(&id).len() == 2);
    second.eventually("the replaced account's disk is gone", || !second.disk(&other).exists());
    assert_eq!(second.folder, home.path());
}

#[test]
fn a_reset_ends_all_machines_and_the_next_account_has_machines_too() {
    let stage = Stage::new(SYSTEM);
    let id = stage.running();
    let pid = stage.pids(&id).remove(0);
    stage.ask("POST", "/_emulator/reset", json!({}));
    stage.eventually("all is gone", || group_of(&pid) == 0 && !stage.disk(&id).exists());
    stage.running();
}

#[test]
fn a_fork_has_no_machines() {
    let stage = Stage::new(SYSTEM);
    let id = stage.server();
    let fork = stage.emulator.fork();
    let request = |uri: String, body: &'static str| {
        let request = http::Request::builder().method("POST").uri(uri).header("x-auth-token", "t");
        fork.handle(&request.body(body.into()).unwrap()).status().as_u16()
    };
    assert_eq!(request(format!("{INSTANCE}/{id}/action"), r#"{"action": "poweron"}"#), 202);
    fork.advance_ms(120_000);
    assert_eq!(request(format!("/_emulator/servers/{id}/vm"), r#"{"action": "kill"}"#), 400);
    let other = stage.running();
    assert!(stage.disk(&other).exists() && !stage.disk(&id).exists());
}
