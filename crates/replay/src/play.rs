//! Replays one recording: sends its requests in order, and advances the emulator's clock only if an answer requires it.
//!
//! Recordings do not contain the time of a request. So the clock stands still until the recorded answer shows something
//! that has not yet happened in the emulator. Then the clock moves from event to event until the answers are equal.
//! Every state in between must occur in some recording ([`unheard`]). The replay may skip a state that was recorded in
//! a single poll only.

use crate::compare::{Answer, Difference, differences};
use crate::names::Names;
use crate::passed::unheard;
use crate::recording::Exchange;
use crate::scope::{Product, product};
use crate::seed::{collect, collect_made, organization, seed_images};
use crate::sent::{copy, request};
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use serde_json::{Value, json};
use std::collections::HashSet;

/// The most events that the clock may advance for one answer.
const EVENTS_MAX: usize = 24;
/// How many later polls are compared to find out whether a state was skipped.
const POLLS_MAX: usize = 6;

/// The result of one exchange.
pub(crate) enum Match {
    Equal,
    /// Counts as equal: only this poll shows the recorded state, and the emulator matches a later poll.
    Passed,
    Different(Vec<Difference>),
    OutOfScope(&'static str),
}

/// The result of one recording.
pub(crate) struct Played {
    pub(crate) verdicts: Vec<Match>,
    /// What the emulator was set up with before the first request, one sentence each.
    pub(crate) seeded: Vec<String>,
    pub(crate) chance: Chance,
    /// How many requests other than polls had to wait for an event.
    pub(crate) moved_for_changes: u64,
}

impl Played {
    /// How many exchanges differ, and how many are left out.
    pub(crate) fn wrong(&self) -> (usize, usize) {
        let count = |of: fn(&&Match) -> bool| self.verdicts.iter().filter(of).count();
        (count(|v| matches!(v, Match::Different(_))), count(|v| matches!(v, Match::OutOfScope(_))))
    }
}

/// The parameters that a recording does not contain and that vary from run to run of the real cloud.
#[derive(Clone, Copy)]
pub(crate) struct Chance {
    /// The date of the recording, in microseconds since 1970: the API changed over time.
    pub(crate) as_of_us: i64,
    /// Whether terminated servers are shown as stopped for a while.
    pub(crate) lingers: bool,
    /// The seed that durations are drawn from; `None`: median durations.
    pub(crate) seed: Option<u64>,
}

/// Replays a recording.
pub(crate) fn play(exchanges: &[Exchange], chance: Chance) -> Played {
    let Chance { as_of_us, lingers, seed } = chance;
    let mut seeded = Vec::new();
    if lingers {
        seeded.push("terminated servers are shown as stopped for a while (random in the real cloud)".to_owned());
    }
    if let Some(seed) = seed {
        seeded.push(format!("durations drawn from seed {seed}: some servers are faster than others"));
    }
    let options = Options {
        clock: ClockMode::Manual,
        start_us: Some(as_of_us),
        project: organization(exchanges),
        lingers_stopped_after_terminate: lingers,
        seed,
        ..Options::default()
    };
    seeded.push(format!("organization {}", options.project));
    let emulator = Emulator::new(options);
    seed_images(&emulator, exchanges, &mut seeded);
    let mut player = Player {
        emulator,
        names: Names::default(),
        created: HashSet::new(),
        lost: HashSet::new(),
        moved_for_changes: 0,
    };
    let mut verdicts = Vec::with_capacity(exchanges.len());
    for n in 0..exchanges.len() {
        let verdict = player.exchange(exchanges, n, &mut seeded);
        verdicts.push(verdict);
    }
    Played { verdicts, seeded, chance, moved_for_changes: player.moved_for_changes }
}

struct Player {
    emulator: Emulator,
    names: Names,
    /// Recorded ids of the resources that this recording creates or shows being created.
    created: HashSet<String>,
    /// Recorded ids of the resources created by a request whose body was not recorded.
    lost: HashSet<String>,
    moved_for_changes: u64,
}

/// One attempt at an exchange.
struct Try {
    emulator: Emulator,
    names: Names,
    wrong: Vec<Difference>,
    /// Whether the clock was advanced before sending.
    moved: bool,
}

impl Player {
    fn exchange(&mut self, all: &[Exchange], n: usize, seeded: &mut Vec<String>) -> Match {
        let e = &all[n];
        if product(&e.path) == Product::Other {
            collect(&e.answer, &mut self.created);
            return Match::OutOfScope("another product");
        }
        if e.path.starts_with("/iam/v1alpha1/api-keys/")
            && !self.names.knows(e.path.rsplit('/').next().unwrap_or_default())
        {
            return Match::OutOfScope("an API key that existed before the recording");
        }
        if let Some(reason) = self.cannot_be_played(e) {
            let mut made = HashSet::new();
            // The resource is nested under the name of its kind.
            let resource = e.answer.as_object().filter(|o| o.len() == 1).and_then(|o| o.values().next());
            collect_made(resource.unwrap_or(&e.answer), &mut made);
            self.lost.extend(made.into_iter().filter(|id| !self.created.contains(id)));
            collect(&e.answer, &mut self.created);
            return Match::OutOfScope(reason);
        }
        if let Some((error, reason)) = self.injected(e) {
            // The exchange is not compared, but the emulator must be in the same state after it.
            let fault =
                json!({"method": e.method, "path": self.names.ours(&e.path), "nth": 1, "effect": {"error": error}});
            if let Err(wrong) = self.emulator.add_fault(&fault) {
                seeded.push(wrong);
            }
            let tried = self.best(e);
            self.take(tried, e);
            return Match::OutOfScope(reason);
        }
        let best = self.best(e);
        let stock = |d: &Difference| d.at.starts_with(".servers.") && d.at.ends_with(".availability");
        if !best.wrong.is_empty() && best.wrong.iter().all(stock) {
            self.take(best, e);
            return Match::OutOfScope("depends on the stock at the time of the recording");
        }
        if best.wrong.is_empty() {
            self.take(best, e);
            return Match::Equal;
        }
        if e.method == "GET" {
            if let Some(third_parties) = self.third_parties(e) {
                let pruned = Exchange { answer: third_parties.0, headers: third_parties.1, ..copy(e) };
                let again = self.best(&pruned);
                if again.wrong.is_empty() {
                    self.take(again, e);
                    return Match::OutOfScope("the list shows resources that the recording did not create");
                }
            }
            if best.wrong.iter().all(tells_a_state) && self.was_passed(all, n) {
                collect(&e.answer, &mut self.created);
                return Match::Passed;
            }
        }
        let wrong = best.wrong.clone();
        self.take(best, e);
        Match::Different(wrong)
    }

    /// Why an exchange cannot be replayed: its body, or that of the request that created its resource, is missing.
    fn cannot_be_played(&self, e: &Exchange) -> Option<&'static str> {
        let needs_body = matches!(e.method.as_str(), "POST" | "PATCH" | "PUT") && !e.path.contains("/user_data/");
        if needs_body && e.body.is_null() {
            return Some("a request whose body was not recorded");
        }
        let named = format!("{}{}{:?}", e.path, e.body, e.query);
        let lost = self.lost.iter().any(|id| named.contains(id.as_str()));
        lost.then_some("about a resource created by a request whose body was not recorded")
    }

    /// An error that no request caused: the fault that reproduces it, and why the exchange is not compared.
    fn injected(&self, e: &Exchange) -> Option<(&'static str, &'static str)> {
        if e.status == 429 {
            return Some(("rate_limited", "depends on the rate limit at the time of the recording"));
        }
        let refused =
            e.status == 400 && e.path.ends_with("/action") && e.answer["help_message"] == "server should be stopped";
        let server = self.names.ours(e.path.rsplit('/').nth(1).unwrap_or_default());
        let state = self.emulator.state();
        let stopped = |s: &Value| s["id"] == server.as_str() && s["state"] == "stopped";
        // The refusal is random only if the server is stopped.
        let by_chance = refused && state["servers"].as_array().into_iter().flatten().any(stopped);
        by_chance.then_some(("precondition_failed", "a random refusal to start a stopped server"))
    }

    fn take(&mut self, tried: Try, e: &Exchange) {
        self.moved_for_changes += u64::from(tried.moved && e.method != "GET");
        (self.emulator, self.names) = (tried.emulator, tried.names);
        // Successive requests are not answered at the same moment.
        self.emulator.advance_ms(1);
        collect(&e.answer, &mut self.created);
    }

    /// The earliest moment at which the answers are equal, or else the one at which they differ least.
    fn best(&self, e: &Exchange) -> Try {
        let mut at = self.emulator.fork();
        let mut best = self.send(&at, e);
        let mut strange = Vec::new();
        for _ in 0..EVENTS_MAX {
            if best.wrong.is_empty() {
                break;
            }
            let Some(ms) = at.next_event_in_ms() else { break };
            at = at.fork();
            at.advance_ms(ms);
            strange.extend(unheard(&at.state()));
            let mut tried = self.send(&at, e);
            let weight = |t: &Try| if status_only(&t.wrong) { usize::MAX } else { t.wrong.len() };
            if weight(&tried) < weight(&best) {
                tried.wrong.extend(strange.iter().cloned());
                best = Try { moved: true, ..tried };
            }
        }
        best
    }

    fn send(&self, at: &Emulator, e: &Exchange) -> Try {
        let (emulator, mut names) = (at.fork(), self.names.clone());
        let answer = emulator.handle(&request(e, &names));
        let mut headers = serde_json::Map::new();
        for name in ["content-type", "x-total-count", "link", "location"] {
            if let Some(text) = answer.headers().get(name).and_then(|v| v.to_str().ok()) {
                headers.insert(name.to_owned(), json!(text));
            }
        }
        let json =
            headers.get("content-type").and_then(Value::as_str).is_some_and(|t| t.starts_with("application/json"));
        let body = match serde_json::from_slice(answer.body()) {
            Ok(value) if json => value,
            _ if answer.body().is_empty() => Value::Null,
            _ => json!(String::from_utf8_lossy(answer.body())),
        };
        let recorded = Answer { status: e.status, headers: &e.headers, body: &e.answer };
        let emulated = Answer { status: answer.status().as_u16(), headers: &Value::Object(headers), body: &body };
        let mut wrong = differences(&recorded, &emulated, &mut names);
        if wrong.is_empty() {
            wrong = unheard(&emulator.state());
        }
        Try { emulator, names, wrong, moved: false }
    }

    /// A recorded list without the items that the recording did not create, and its headers with adjusted counts.
    fn third_parties(&self, e: &Exchange) -> Option<(Value, Value)> {
        let (mut answer, mut headers, mut dropped) = (e.answer.clone(), e.headers.clone(), 0_u64);
        let items = answer.as_object_mut()?.values_mut().find_map(Value::as_array_mut)?;
        items.retain(|item| {
            let ours = item["id"]
                .as_str()
                .is_none_or(|id| (self.created.contains(id) || self.names.knows(id)) && !self.lost.contains(id));
            dropped += u64::from(!ours);
            ours
        });
        if dropped == 0 {
            return None;
        }
        if let Some(total) = answer.get_mut("total_count") {
            *total = json!(total.as_u64()?.saturating_sub(dropped));
        }
        if let Some(total) = headers.get("x-total-count").and_then(Value::as_str).and_then(|t| t.parse::<u64>().ok()) {
            headers["x-total-count"] = json!(total.saturating_sub(dropped).to_string());
            headers["link"] = json!("REDACTED");
        }
        Some((answer, headers))
    }

    /// Whether only this poll shows the recorded state, and the emulator matches or will match a later poll.
    fn was_passed(&self, all: &[Exchange], n: usize) -> bool {
        let e = &all[n];
        let same = |other: &&Exchange| other.method == "GET" && other.path == e.path && other.query == e.query;
        let later: Vec<&Exchange> = all[n + 1..].iter().filter(same).take(POLLS_MAX).collect();
        if later.first().is_some_and(|next| next.status == e.status && words(&next.answer) == words(&e.answer)) {
            return false;
        }
        later.iter().any(|next| self.best(next).wrong.is_empty())
    }
}

/// The state fields of an answer: of the resource, and of a block volume's references.
fn words(answer: &Value) -> Vec<&str> {
    let inner = answer.as_object().filter(|o| o.len() == 1).and_then(|o| o.values().next()).unwrap_or(answer);
    let own = ["state", "state_detail", "status"].iter().filter_map(|k| inner.get(k));
    let references = inner.get("references").and_then(Value::as_array).into_iter().flatten();
    own.chain(references.filter_map(|r| r.get("status"))).filter_map(Value::as_str).collect()
}

/// Whether a difference is only about how far a state change has progressed.
fn tells_a_state(d: &Difference) -> bool {
    const STATES: [&str; 12] = [
        ".state",
        ".state_detail",
        ".status",
        ".allowed_actions",
        ".references",
        ".location",
        ".public_ip",
        ".public_ips",
        ".last_detached_at",
        ".progress",
        ".modification_date",
        ".updated_at",
    ];
    // The status differs if a poll came before the resource was gone.
    d.at == "status"
        || d.at
            .split('[')
            .next()
            .is_some_and(|at| STATES.iter().any(|s| at.ends_with(s) || at.contains(&format!("{s}."))))
}

fn status_only(wrong: &[Difference]) -> bool {
    wrong.first().is_some_and(|d| d.at == "status")
}
