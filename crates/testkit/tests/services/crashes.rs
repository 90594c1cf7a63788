//! A process that crashes at any commit of a service's whole life: the next one goes on, and nothing is left.

use crate::stage::{Stage, is_ready_with, request};
use inventiv_store::{WriteHook, WritePhase};
use inventiv_testkit::Database;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Counts the writes of a process, which crashes in one of them: from there on, it waits for ever.
struct Crash {
    at: usize,
    phase: WritePhase,
    begun: AtomicUsize,
    crashed: Notify,
}

impl Crash {
    fn new(at: usize, phase: WritePhase) -> Arc<Self> {
        Arc::new(Self { at, phase, begun: AtomicUsize::new(0), crashed: Notify::new() })
    }

    fn hook(self: &Arc<Self>) -> WriteHook {
        let crash = self.clone();
        Arc::new(move |phase| {
            let n = match phase {
                WritePhase::Before => crash.begun.fetch_add(1, Ordering::SeqCst),
                WritePhase::Committed => crash.begun.load(Ordering::SeqCst) - 1,
            };
            if n >= crash.at && phase == crash.phase {
                crash.crashed.notify_one();
                return Box::pin(std::future::pending());
            }
            Box::pin(std::future::ready(()))
        })
    }
}

/// The parts of a life. A process that takes over goes on with the part that was begun.
const PARTS: usize = 5;

async fn live(stage: &mut Stage, part: usize) {
    match part {
        0 => {
            let short = json!({"scale_down_seconds": 1, "idle_seconds": 1});
            let mut body = request(1, 2);
            body.as_object_mut().unwrap().extend(short.as_object().unwrap().clone());
            stage.most = 2;
            let (status, answer) = stage.w.call("POST", "/services", Some(body)).await;
            assert!(status == 201 || answer["type"] == "urn:inventiv:name_taken", "{answer}");
            stage.until(20, "it answers", |s| is_ready_with(s, 1)).await;
        }
        1 => {
            stage.ask(5, 0);
            stage.until(20, "two answer", |s| is_ready_with(s, 2)).await;
        }
        2 => {
            stage.ask(0, 0);
            stage.until(20, "one answers", |s| is_ready_with(s, 1)).await;
        }
        3 => {
            stage.most = 3;
            let command = json!({"kind": "command", "command": ["serve", "--fast", "{port}"]});
            stage.change(json!({"engine": command})).await;
            let is_new = |s: &serde_json::Value| is_ready_with(s, 1) && s["replicas"][0]["is_current"] == true;
            let shown = stage.until(20, "a new one answers", is_new).await;
            assert_eq!(shown["revision"], 2);
        }
        _ => stage.end_again().await,
    }
}

async fn go_on(stage: &mut Stage, part: &mut usize) {
    while *part < PARTS {
        live(stage, *part).await;
        *part += 1;
    }
}

/// A life whose first process crashes in its nth write. Returns whether it did, and how many writes there were.
async fn life(database: Database, at: usize, phase: WritePhase) -> (bool, usize) {
    let crash = Crash::new(at, phase);
    let mut stage = Stage::new(database).await.with_write_hook(crash.hook());
    stage.pace_s = 4;
    let mut part = 0;
    let crashed = tokio::select! {
        biased;
        () = crash.crashed.notified() => true,
        () = go_on(&mut stage, &mut part) => false,
    };
    if crashed {
        stage = stage.restarted().await;
        go_on(&mut stage, &mut part).await;
    }
    // One that grew, one that replaced the old settings; a crash may cost one more, which ends.
    assert!(stage.seen.len() <= 4, "{at} {phase:?}: {:?}", stage.seen);
    (crashed, crash.begun.load(Ordering::SeqCst))
}

async fn every_nth(database: Database, phase: WritePhase, step: usize) {
    let (crashed, writes) = life(database, usize::MAX, phase).await;
    assert!(!crashed && writes > 100, "{writes}");
    for at in (0..writes).step_by(step) {
        let (crashed, _) = life(database, at, phase).await;
        // A life may have some writes fewer than another.
        assert!(crashed || at + 10 > writes, "{at} {phase:?} of {writes}");
    }
}

#[tokio::test]
async fn after_a_crash_before_any_commit_the_next_process_goes_on_and_nothing_is_left() {
    every_nth(Database::Sqlite, WritePhase::Before, 1).await;
}

#[tokio::test]
async fn after_a_crash_after_any_commit_the_next_process_goes_on_and_nothing_is_left() {
    every_nth(Database::Sqlite, WritePhase::Committed, 1).await;
}

#[tokio::test]
async fn so_it_is_on_postgresql() {
    if Database::both().contains(&Database::Postgres) {
        every_nth(Database::Postgres, WritePhase::Before, 17).await;
        every_nth(Database::Postgres, WritePhase::Committed, 13).await;
    }
}
