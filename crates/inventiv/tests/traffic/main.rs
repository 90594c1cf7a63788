//! Requests through the gateway while engines, workers, machines and control planes are killed with `kill -9`, and while
//! clients misbehave: each request ends exactly once, and the recorded usage equals what the engines reported.
//!
//! `cargo xtask soak` runs more rounds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod judge;
mod kills;
mod odd;
mod stage;

use judge::Totals;
use kills::Victim;
use stage::{Stage, until};
use std::time::{Duration, Instant};

/// When usage has been written to the database, at the latest.
const RECORDED_WITHIN: Duration = Duration::from_secs(4);
/// Default number of rounds of kills (`INVENTIV_SOAK_KILLS` / 10).
const ROUNDS: u32 = 1;

fn rounds() -> u32 {
    let kills = std::env::var("INVENTIV_SOAK_KILLS").ok().and_then(|n| n.parse::<u32>().ok());
    kills.map_or(ROUNDS, |n| (n / 10).max(1))
}

/// Waits until the recorded usage is what the clients counted.
fn wait_until_recorded(stage: &Stage, counted: &Totals) {
    let is_so = |used: &Totals| used == counted;
    let used = until(10, || Some(stage.usage()).filter(is_so));
    assert!(used.is_some(), "recorded: {:#?}\nwhat the clients were told: {counted:#?}", stage.usage());
}

#[test]
fn every_request_ends_once_whatever_is_killed_and_is_counted_once() {
    let mut stage = Stage::start(&["--token-ms", "3"]);
    let key = stage.key("app");
    let mut all = Totals::default();
    for round in 0..rounds() {
        let traffic = stage.traffic(&key);
        for victim in [Victim::Engine, Victim::Worker, Victim::Machine] {
            stage.kill(victim);
            traffic.wait_for_answers(20);
        }
        let ended = traffic.stop();
        assert_eq!(ended.broken, 0, "only a killed control plane breaks connections: {ended:#?}");
        assert!(ended.complete > 60 && ended.failed > 0, "round {round}: {ended:#?}");
        println!("round {round}: {ended:?}");
        all.add(&ended);
        // Nothing that was told is lost or counted twice.
        wait_until_recorded(&stage, &all.counted());
    }
    stage.ends_clean();
}

#[test]
fn a_killed_control_plane_breaks_its_own_requests_and_loses_at_most_a_moment_of_usage() {
    let mut stage = Stage::start(&["--token-ms", "3"]);
    let key = stage.key("app");
    let mut before = Totals::default();
    for round in 0..rounds() {
        let traffic = stage.traffic(&key);
        traffic.wait_for_answers(40);
        let (recorded, since) = (traffic.so_far(), Instant::now());
        while since.elapsed() < RECORDED_WITHIN {
            traffic.wait_for_answers(20);
        }
        stage.kill(Victim::ControlPlane);
        traffic.wait_for_answers(40);
        let ended = traffic.stop();
        println!("round {round}: {ended:?}");
        assert!(ended.broken > 0, "{ended:#?}");
        // A request that broke may have been counted before, or not.
        let most = ended.complete + ended.failed + ended.broken;
        let used = stage.settled_usage();
        let new = used.complete + used.failed - before.complete - before.failed;
        let least = recorded.complete + recorded.failed;
        assert!((least..=most).contains(&new), "{new} are recorded, not {least} to {most}: {ended:#?}");
        // From here on, everything is counted again.
        let traffic = stage.traffic(&key);
        traffic.wait_for_answers(20);
        let ended = traffic.stop();
        assert_eq!((ended.broken, ended.failed), (0, 0), "{ended:#?}");
        let mut all = used;
        all.add(&ended.counted());
        wait_until_recorded(&stage, &all);
        before = all;
    }
    stage.ends_clean();
}

#[test]
fn clients_that_misbehave_harm_nobody_else() {
    let stage = Stage::start(&["--token-ms", "3"]);
    let key = stage.key("app");
    let traffic = stage.traffic(&key);
    odd::slow_bodies(&stage, &key);
    odd::long_bodies(&stage, &key);
    odd::floods_of_headers(&stage);
    odd::any_bytes(&stage, &key, 300 * rounds());
    traffic.wait_for_answers(20);
    let ended = traffic.stop();
    assert_eq!((ended.broken, ended.failed, ended.refused), (0, 0, 0), "{ended:#?}");
    odd::streams_that_nobody_reads(&stage, &key);
    // Whatever was begun has ended.
    let outstanding = until(20, || stage.outstanding().filter(|n| *n == 0));
    assert_eq!(outstanding, Some(0), "requests are under way: {:?}", stage.outstanding());
    stage.ends_clean();
}
