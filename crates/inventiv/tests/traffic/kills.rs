//! `kill -9` of what serves, and the wait until it serves again.

use crate::stage::{Stage, until};
use scaleway_emulator::Emulator;
use serde_json::{Value, json};
use std::process::Command;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The process of the model, on the server of one replica.
    Engine,
    /// The worker, whose service manager starts it again.
    Worker,
    /// The whole machine, which boots again.
    Machine,
    /// `inventiv serve`.
    ControlPlane,
}

/// The processes with a word in their command line that a process started.
fn children(of: u32, word: &str) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{of}/task")).unwrap();
    let lists = tasks.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("children")).ok());
    let all: Vec<u32> =
        lists.flat_map(|l| l.split_whitespace().filter_map(|c| c.parse().ok()).collect::<Vec<_>>()).collect();
    let is_named = |id: &u32| {
        std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(word))
    };
    all.into_iter().filter(is_named).collect()
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
}

fn machine(emulator: &Emulator, server: &str, action: &str) {
    let path = format!("/_emulator/servers/{server}/vm");
    let request = http::Request::post(path).header("content-type", "application/json");
    let done = emulator.handle(&request.body(json!({"action": action}).to_string().into()).unwrap());
    assert!(done.status().is_success(), "{action}");
}

impl Stage {
    /// The servers of the replicas, as the cloud names them.
    fn servers(&self) -> Vec<String> {
        let shown = self.show();
        let ids = shown["replicas"].as_array().unwrap().iter().map(|r| r["instance_id"].as_str().unwrap());
        let server = |id: &str| {
            let shown: Value = serde_json::from_str(&self.run(&["instance", "show", id, "-o", "json"])).unwrap();
            shown["provider_instance_id"].as_str().map(str::to_owned)
        };
        ids.filter_map(server).collect()
    }

    /// Kills one, and waits until there are two replicas again, and both are ready.
    pub(crate) fn kill(&mut self, victim: Victim) {
        self.wait_until_whole();
        let workers = || children(std::process::id(), "emulated-server");
        match victim {
            Victim::Engine => {
                let engines = |worker: u32| children(worker, "stand-in-engine");
                let (worker, engine) = workers().into_iter().find_map(|w| Some((w, *engines(w).first()?))).unwrap();
                kill(engine);
                let again = until(60, || engines(worker).into_iter().find(|e| *e != engine));
                assert!(again.is_some(), "the worker does not start its engine again");
            }
            Victim::Worker => {
                let worker = workers()[0];
                let environment = std::fs::read(format!("/proc/{worker}/environ")).unwrap();
                let environment = String::from_utf8_lossy(&environment).into_owned();
                let server = environment.split('\0').find_map(|v| v.strip_prefix("EMULATED_VM_ID=")).unwrap();
                kill(worker);
                self.wait_until_missed();
                // The emulated machine has no service manager: it is started anew.
                machine(&self.cloud.emulator, server, "restart");
            }
            Victim::Machine => {
                let server = self.servers().remove(0);
                machine(&self.cloud.emulator, &server, "kill");
                self.wait_until_missed();
                machine(&self.cloud.emulator, &server, "restart");
            }
            Victim::ControlPlane => self.server.kill_and_restart(),
        }
        self.wait_until_whole();
    }

    /// Waits until the control plane has seen that one does not answer.
    fn wait_until_missed(&self) {
        let missed = until(30, || self.replicas().filter(|(ready, _)| *ready < 2));
        assert!(missed.is_some(), "what is dead is shown as ready: {:#}", self.show());
    }
}
