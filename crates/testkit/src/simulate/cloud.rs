//! The cloud of a run: the resources of third parties, and the faults.

use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, DeleteInUse, Options, Reads, StaleReads};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ZONE: &str = "fr-par-2";
/// The start of every run: 2026-07-25, in microseconds since 1970.
pub(crate) const START_US: i64 = 1_785_000_000_000_000;

/// The calls that we make: method and path.
const CALLS: [(&str, &str); 17] = [
    ("POST", "/instance/*/servers"),
    ("POST", "/block/*/volumes"),
    ("POST", "*/action"),
    ("POST", "*/attach-volume"),
    ("POST", "*/detach-volume"),
    ("PATCH", "*/user_data/*"),
    ("PATCH", "/instance/*/servers/*"),
    ("PATCH", "/block/*/volumes/*"),
    ("PATCH", "/instance/*/volumes/*"),
    ("DELETE", "/block/*/volumes/*"),
    ("DELETE", "/instance/*/servers/*"),
    ("GET", "/instance/*/servers"),
    ("GET", "/instance/*/volumes"),
    ("GET", "/block/*/volumes"),
    ("GET", "/instance/*/servers/*"),
    ("GET", "/block/*/volumes/*"),
    ("GET", "/marketplace/*"),
];
/// The faults for every call.
const EFFECTS: [&str; 10] = [
    r#"{"cut":"before"}"#,
    r#"{"cut":"after"}"#,
    r#"{"status_before":503}"#,
    r#"{"status_after":502}"#,
    r#"{"error":"internal_server_error"}"#,
    r#"{"error":"rate_limited"}"#,
    r#"{"error":"denied_authentication"}"#,
    r#"{"error":"permissions_denied"}"#,
    r#"{"truncate":40}"#,
    r#"{"garble":true}"#,
];
/// The faults for single calls: an index into [`CALLS`], and the effect.
const SPECIAL: [(usize, &str); 18] = [
    (0, r#"{"error":"quotas_exceeded"}"#),
    (0, r#"{"error":"out_of_stock"}"#),
    (0, r#"{"then":"vanish"}"#),
    (1, r#"{"error":"quotas_exceeded"}"#),
    (1, r#"{"then":"vanish"}"#),
    (2, r#"{"error":"transient_state"}"#),
    (2, r#"{"then":"fall_back"}"#),
    (3, r#"{"error":"precondition_failed"}"#),
    (4, r#"{"error":"precondition_failed"}"#),
    (9, r#"{"error":"precondition_failed"}"#),
    (10, r#"{"error":"transient_state"}"#),
    (9, r#"{"error":"not_found"}"#),
    (10, r#"{"error":"not_found"}"#),
    (14, r#"{"error":"not_found"}"#),
    (15, r#"{"error":"not_found"}"#),
    (11, LAG),
    (12, LAG),
    (13, LAG),
];

/// The number of pairs of a call and a fault.
pub const PAIRS: usize = CALLS.len() * EFFECTS.len() + SPECIAL.len();

/// The nth pair: method, path, effect.
fn pair(n: usize) -> (&'static str, &'static str, &'static str) {
    let (call, effect) = match n.checked_sub(SPECIAL.len()) {
        None => SPECIAL[n],
        Some(n) => (n / EFFECTS.len(), EFFECTS[n % EFFECTS.len()]),
    };
    (CALLS[call].0, CALLS[call].1, effect)
}

/// Longer than most changes take, shorter than the grace period.
const LAG: &str = r#"{"lag_ms":15000}"#;
/// The longest staleness of a read: the consistency window in a run's rules.
pub(crate) const STALE_MS: i64 = 20_000;

/// The emulator, and the ids that must exist in it.
pub(crate) struct Cloud {
    pub(crate) emulator: Emulator,
    /// Ids of the resources of third parties.
    pub(crate) third_parties: BTreeSet<String>,
    /// The same, with those that are gone.
    pub(crate) made_by_third_parties: BTreeSet<String>,
    lags: bool,
    lies: bool,
    /// The id of each fault, and its pair.
    set: Vec<(u64, usize)>,
    /// The fault that hides the project from the credentials.
    hidden: Option<u64>,
}

impl Cloud {
    /// A cloud with drawn options for all unknown behaviour of the real cloud.
    pub(crate) fn drawn(rng: &mut fastrand::Rng, stale: bool) -> Self {
        let mut chance = || rng.u8(..4) == 0;
        let options = Options {
            clock: ClockMode::Manual,
            start_us: Some(START_US),
            scratch_survives_delete: chance(),
            scratch_with_volumes: chance(),
            delete_in_use_block_volume: if chance() { DeleteInUse::Accepted } else { DeleteInUse::Refused },
            delete_attached_local_volume: chance(),
            delete_running_server: chance(),
            terminate_stopped_server: chance(),
            boot_volume_name_honoured: chance(),
            block_tags_by_patch: !chance(),
            block_name_exact: chance(),
            lingers_stopped_after_terminate: chance(),
            local_gpu_image_for_render: !chance(),
            past_ms: if stale { STALE_MS } else { 0 },
            journal_len: 200,
            seed: Some(rng.u64(..)),
            ..Options::default()
        };
        Self::of(options)
    }

    /// A cloud with default options.
    pub(crate) fn plain(seed: u64) -> Self {
        let options = Options {
            clock: ClockMode::Manual,
            start_us: Some(START_US),
            past_ms: STALE_MS,
            journal_len: 10,
            seed: Some(seed),
            ..Options::default()
        };
        Self::of(options)
    }

    fn of(options: Options) -> Self {
        let (emulator, third_parties) = (Emulator::new(options), BTreeSet::new());
        Self {
            emulator,
            third_parties,
            made_by_third_parties: BTreeSet::new(),
            lags: false,
            lies: false,
            set: Vec::new(),
            hidden: None,
        }
    }

    /// A third party's access to the cloud.
    pub(crate) fn view(&self) -> View {
        View(self.emulator.clone())
    }

    /// Adds a drawn fault and describes it.
    pub(crate) fn break_something(&mut self, rng: &mut fastrand::Rng) -> Result<String, String> {
        let drawn = rng.usize(..PAIRS);
        let (method, path, effect) = pair(drawn);
        let (lag, lie) = (effect == LAG, effect.contains("not_found"));
        if (lag && self.lies) || (lie && self.lags) {
            // If lists lag and single reads return false 404s, no observation can reveal the error.
            return Ok("nothing".to_owned());
        }
        (self.lags, self.lies) = (self.lags || lag, self.lies || lie);
        let effect: Value = serde_json::from_str(effect).unwrap_or_default();
        // Lists keep lagging; all other faults end.
        let (percent, times) = if lag { (100, 100_000) } else { (rng.u8(20..=100), rng.u32(1..8)) };
        let rule = json!({"method": method, "path": path, "percent": percent, "times": times, "effect": effect});
        let id = self.emulator.add_fault(&rule).map_err(|e| format!("{rule}: {e}"))?;
        self.set.push((id, drawn));
        Ok(rule.to_string())
    }

    /// Makes reads stale and describes how. Drawn: the APIs and kinds, lists or single reads or both, the lag up to the
    /// consistency window, and whether reads may go backwards.
    pub(crate) fn make_reads_stale(&mut self, rng: &mut fastrand::Rng) -> String {
        let mut some = |of: &[&str]| of.get(rng.usize(..of.len() * 2)).map(|text| (*text).to_owned());
        let (api, kind) = (some(&["instance", "block"]), some(&["servers", "volumes"]));
        let reads = [Reads::Both, Reads::Both, Reads::Lists, Reads::Single][rng.usize(..4)];
        let lag_ms = if rng.bool() { STALE_MS } else { rng.i64(500..STALE_MS) };
        let stale = StaleReads { api, kind, reads, lag_ms, backwards: rng.bool() };
        let text = format!("{stale:?}");
        self.emulator.set_stale_reads(vec![stale]);
        // Excludes false 404s: together, no observation could reveal the error.
        self.lags = true;
        text
    }

    /// Ends stale reads.
    pub(crate) fn refresh_reads(&self) {
        self.emulator.set_stale_reads(Vec::new());
    }

    /// Hides the project from the credentials, in every API or in one, some requests from now. Describes the fault.
    pub(crate) fn hidden(&mut self, rng: &mut fastrand::Rng) -> Result<String, String> {
        let path = ["*", "/instance/*", "/block/*"][rng.usize(..3)];
        let rule = json!({"path": path, "nth": rng.u32(1..12), "times": 1_000_000, "effect": {"blind": true}});
        self.hidden = Some(self.emulator.add_fault(&rule).map_err(|e| format!("{rule}: {e}"))?);
        Ok(rule.to_string())
    }

    /// Makes the project visible again. `true`: it was hidden.
    pub(crate) fn see_again(&mut self) -> bool {
        let Some(id) = self.hidden.take() else { return false };
        let _ = self.ask("DELETE", &format!("/_emulator/faults/{id}"), None);
        true
    }

    /// How often each pair was injected since the last [`Cloud::heal`].
    pub(crate) fn injected(&self) -> Vec<(usize, u64)> {
        let shown = self.ask("GET", "/_emulator/faults", None).1;
        let fired: BTreeMap<u64, u64> = shown["faults"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|f| Some((f["id"].as_u64()?, f["fired"].as_u64()?)))
            .collect();
        self.set.iter().map(|(id, pair)| (*pair, fired.get(id).copied().unwrap_or(0))).collect()
    }

    /// Ends all faults.
    pub(crate) fn heal(&mut self) {
        self.set.clear();
        self.hidden = None;
        (self.lags, self.lies) = (false, false);
        let _ = self.ask("DELETE", "/_emulator/faults", None);
        self.refresh_reads();
    }

    /// A third party creates a volume.
    pub(crate) fn stranger_makes(&mut self, rng: &mut fastrand::Rng) -> String {
        let name = ["web", "db", "inventiv-agents", "iva-prod-x", "Ubuntu_sbs_volume_0"][rng.usize(..5)];
        let body = json!({"name": name, "from_empty": {"size": 5_000_000_000_i64}});
        let ids = |cloud: &Self| cloud.held().into_iter().map(|(_, id, ..)| id).collect::<BTreeSet<_>>();
        let before = ids(self);
        // The answer is ignored: faults also affect third parties.
        self.ask("POST", &format!("/block/v1/zones/{ZONE}/volumes"), Some(body));
        let made: Vec<String> = ids(self).difference(&before).cloned().collect();
        self.third_parties.extend(made.iter().cloned());
        self.made_by_third_parties.extend(made.iter().cloned());
        format!("a third party creates volume {made:?} {name}")
    }

    /// Sends a request of a third party.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.view().ask(method, path, body)
    }

    /// All resources, as (kind, id, name, state).
    pub(crate) fn held(&self) -> Vec<(&'static str, String, String, String)> {
        self.view().held()
    }

    /// The number of block volumes in the zone of the runs.
    pub(crate) fn block_volumes(&self) -> u64 {
        let (_, listed) = self.view().ask("GET", &format!("/block/v1/zones/{ZONE}/volumes"), None);
        listed["total_count"].as_u64().unwrap_or(u64::MAX)
    }
}

/// A third party's access to the cloud.
#[derive(Clone)]
pub(crate) struct View(Emulator);

impl View {
    /// Sends a request of a third party.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let body = body.map(|b| b.to_string()).unwrap_or_default();
        let request = http::Request::builder().method(method).uri(path).header("x-auth-token", "third party");
        let Ok(request) = request.body(bytes::Bytes::from(body)) else { return (0, Value::Null) };
        let answer = self.0.handle(&request);
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
    }

    /// All resources, as (kind, id, name, state).
    pub(crate) fn held(&self) -> Vec<(&'static str, String, String, String)> {
        self.0.resources().into_iter().map(|h| (h.kind, h.id, h.name, h.state)).collect()
    }
}

/// Describes a pair for people.
#[must_use]
pub fn pair_text(n: usize) -> String {
    let (method, path, effect) = pair(n);
    format!("{method} {path} {effect}")
}
