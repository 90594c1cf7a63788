//! The cloud of a story: what its strangers own, what must survive, and what goes wrong.

use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, DeleteInUse, Options};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(crate) const ZONE: &str = "fr-par-2";
/// When every story begins: 2026-07-25, in microseconds since 1970.
pub(crate) const START_US: i64 = 1_785_000_000_000_000;

/// What can go wrong with which requests: method, path, effect.
const FAULTS: [(&str, &str, &str); 35] = [
    ("POST", "*/servers", r#"{"cut":"after"}"#),
    ("POST", "*/servers", r#"{"cut":"before"}"#),
    ("POST", "*/servers", r#"{"status_after":504}"#),
    ("POST", "*/servers", r#"{"error":"internal_server_error"}"#),
    ("POST", "*/servers", r#"{"error":"quotas_exceeded"}"#),
    ("POST", "*/servers", r#"{"error":"out_of_stock"}"#),
    ("POST", "*/servers", r#"{"truncate":40}"#),
    ("POST", "*/servers", r#"{"then":"vanish"}"#),
    ("POST", "*/volumes", r#"{"cut":"after"}"#),
    ("POST", "*/volumes", r#"{"cut":"before"}"#),
    ("POST", "*/volumes", r#"{"status_after":502}"#),
    ("POST", "*/volumes", r#"{"garble":true}"#),
    ("POST", "*/volumes", r#"{"error":"quotas_exceeded"}"#),
    ("POST", "*/action", r#"{"cut":"after"}"#),
    ("POST", "*/action", r#"{"status_before":503}"#),
    ("POST", "*/action", r#"{"error":"transient_state"}"#),
    ("POST", "*/action", r#"{"then":"fall_back"}"#),
    ("POST", "*-volume", r#"{"cut":"after"}"#),
    ("POST", "*-volume", r#"{"error":"precondition_failed"}"#),
    ("POST", "*-volume", r#"{"error":"internal_server_error"}"#),
    ("PATCH", "*", r#"{"cut":"after"}"#),
    ("PATCH", "*", r#"{"error":"internal_server_error"}"#),
    ("DELETE", "*/volumes/*", r#"{"cut":"after"}"#),
    ("DELETE", "*/volumes/*", r#"{"cut":"before"}"#),
    ("DELETE", "*/volumes/*", r#"{"error":"permissions_denied"}"#),
    ("DELETE", "*/servers/*", r#"{"status_after":500}"#),
    ("DELETE", "*/servers/*", r#"{"error":"transient_state"}"#),
    ("GET", "*", r#"{"error":"internal_server_error"}"#),
    ("GET", "*", r#"{"error":"denied_authentication"}"#),
    ("GET", "*", r#"{"error":"permissions_denied"}"#),
    ("GET", "*", r#"{"truncate":60}"#),
    ("GET", "*/volumes/*", r#"{"error":"not_found"}"#),
    ("GET", "*/servers/*", r#"{"error":"not_found"}"#),
    ("GET", "*/servers", LAG),
    ("GET", "*/volumes", LAG),
];
/// Longer than most things take, shorter than the grace.
const LAG: &str = r#"{"lag_ms":15000}"#;

/// The emulator, and what must be in it.
pub(crate) struct Cloud {
    pub(crate) emulator: Emulator,
    /// Ids of what strangers made.
    pub(crate) strangers: BTreeSet<String>,
    lags: bool,
    lies: bool,
}

impl Cloud {
    /// What nobody knows of the real cloud is drawn, too.
    pub(crate) fn drawn(rng: &mut fastrand::Rng) -> Self {
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
            journal_len: 200,
            seed: Some(rng.u64(..)),
            ..Options::default()
        };
        Self { emulator: Emulator::new(options), strangers: BTreeSet::new(), lags: false, lies: false }
    }

    /// As it usually is.
    pub(crate) fn plain(seed: u64) -> Self {
        let options = Options {
            clock: ClockMode::Manual,
            start_us: Some(START_US),
            journal_len: 10,
            seed: Some(seed),
            ..Options::default()
        };
        Self { emulator: Emulator::new(options), strangers: BTreeSet::new(), lags: false, lies: false }
    }

    /// Another pair of eyes and hands.
    pub(crate) fn view(&self) -> View {
        View(self.emulator.clone())
    }

    /// Something begins to go wrong. Says what.
    pub(crate) fn break_something(&mut self, rng: &mut fastrand::Rng) -> Result<String, String> {
        let (method, path, effect) = FAULTS[rng.usize(..FAULTS.len())];
        let (lag, lie) = (effect == LAG, effect.contains("not_found"));
        if (lag && self.lies) || (lie && self.lags) {
            // A cloud whose lists lag and whose single answers lie at the same time cannot be told from one that is right.
            return Ok("nothing".to_owned());
        }
        (self.lags, self.lies) = (self.lags || lag, self.lies || lie);
        let effect: Value = serde_json::from_str(effect).unwrap_or_default();
        // A list that lags goes on lagging; everything else passes.
        let (percent, times) = if lag { (100, 100_000) } else { (rng.u8(20..=100), rng.u32(1..8)) };
        let rule = json!({"method": method, "path": path, "percent": percent, "times": times, "effect": effect});
        self.emulator.add_fault(&rule).map_err(|e| format!("{rule}: {e}"))?;
        Ok(rule.to_string())
    }

    /// Nothing goes wrong any more.
    pub(crate) fn heal(&mut self) {
        (self.lags, self.lies) = (false, false);
        let _ = self.ask("DELETE", "/_emulator/faults", None);
    }

    /// Somebody else makes something.
    pub(crate) fn stranger_makes(&mut self, rng: &mut fastrand::Rng) -> String {
        let name = ["web", "db", "inventiv-agents", "iva-prod-x", "Ubuntu_sbs_volume_0"][rng.usize(..5)];
        let body = json!({"name": name, "from_empty": {"size": 5_000_000_000_i64}});
        let ids = |cloud: &Self| cloud.held().into_iter().map(|(_, id, ..)| id).collect::<BTreeSet<_>>();
        let before = ids(self);
        // Whatever the answer: faults strike strangers, too.
        self.ask("POST", &format!("/block/v1/zones/{ZONE}/volumes"), Some(body));
        let made: Vec<String> = ids(self).difference(&before).cloned().collect();
        self.strangers.extend(made.iter().cloned());
        format!("a stranger makes volume {made:?} {name}")
    }

    /// One request of somebody else.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.view().ask(method, path, body)
    }

    /// Everything that is held, as (kind, id, name, state).
    pub(crate) fn held(&self) -> Vec<(&'static str, String, String, String)> {
        self.view().held()
    }
}

/// What somebody else sees of the cloud, and can ask of it.
#[derive(Clone)]
pub(crate) struct View(Emulator);

impl View {
    /// One request of somebody else.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let body = body.map(|b| b.to_string()).unwrap_or_default();
        let request = http::Request::builder().method(method).uri(path).header("x-auth-token", "stranger");
        let Ok(request) = request.body(bytes::Bytes::from(body)) else { return (0, Value::Null) };
        let answer = self.0.handle(&request);
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
    }

    /// Everything that is held, as (kind, id, name, state).
    pub(crate) fn held(&self) -> Vec<(&'static str, String, String, String)> {
        let state = self.0.state();
        let of = |kind: &'static str, key: &str, word: &str| -> Vec<_> {
            let text = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
            let items = state[key].as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().map(|v| (kind, text(v, "id"), text(v, "name"), text(v, word))).collect()
        };
        let mut all = of("server", "servers", "state");
        all.extend(of("volume", "volumes", "status"));
        all.extend(of("address", "ips", "address"));
        all
    }
}
