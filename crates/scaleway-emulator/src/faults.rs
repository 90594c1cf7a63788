//! Fault injection: which request fails in which way. Set over HTTP (`/_emulator/faults`) or with the library.

use serde_json::{Value, json};

/// The effect of a fault.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Delays the answer by milliseconds (of real time, over HTTP).
    Delay(u64),
    /// One of the recorded refusals, by name; the request has no effect.
    Refuse(String),
    /// A status with a plain-text body; the request has no effect.
    Before(u16),
    /// The same, after the request took effect.
    After(u16),
    /// Cuts the connection; the request has no effect.
    CutBefore,
    /// The same, after the request took effect.
    CutAfter,
    /// Cuts the body off after so many bytes.
    Truncate(usize),
    /// The body is not JSON.
    Garble,
    /// Lists show the state of so many milliseconds ago.
    Lag(i64),
    /// The caller's credentials cannot see the project: lists are empty, reads find nothing, creations are denied.
    Blind,
    /// From the second page on, a list begins one item later, as if an earlier item had been deleted.
    Shift,
    /// The request is accepted but never completes: a detachment hangs, a server never boots.
    Hang,
    /// A start is accepted, but the server falls back to stopped.
    FallBack,
    /// The request succeeds, then a third party deletes the resource.
    Vanish,
}

impl Effect {
    /// The delay of the answer, in milliseconds.
    pub(crate) const fn delay_ms(&self) -> u64 {
        if let Self::Delay(ms) = self { *ms } else { 0 }
    }
}

/// The names of the refusals.
pub(crate) const REFUSALS: [&str; 12] = [
    "invalid_arguments",
    "denied_authentication",
    "permissions_denied",
    "quotas_exceeded",
    "not_found",
    "transient_state",
    "expired",
    "precondition_failed",
    "rate_limited",
    "internal_server_error",
    "out_of_stock",
    "gateway",
];

/// One rule.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) id: u64,
    method: Option<String>,
    /// `*` stands for any text.
    path: String,
    /// The first matching request that it affects.
    nth: u64,
    /// How many requests it affects.
    times: Option<u64>,
    /// The probability in percent.
    percent: u32,
    effect: Effect,
    seen: u64,
    pub(crate) fired: u64,
}

/// All rules, in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    pub(crate) rules: Vec<Fault>,
    made: u64,
}

impl Faults {
    /// Adds a rule. The error says what is wrong with it.
    pub(crate) fn add(&mut self, rule: &Value) -> Result<u64, String> {
        const KEYS: [&str; 6] = ["method", "path", "nth", "times", "percent", "effect"];
        let object = rule.as_object().ok_or("a fault is an object")?;
        if let Some(key) = object.keys().find(|k| !KEYS.contains(&k.as_str())) {
            return Err(format!("unknown key `{key}`; there are {}", KEYS.join(", ")));
        }
        let int = |key: &str| match rule.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(v) => v.as_u64().map(Some).ok_or_else(|| format!("`{key}` is a whole number")),
        };
        let percent = int("percent")?.unwrap_or(100);
        self.made += 1;
        let fault = Fault {
            id: self.made,
            method: rule.get("method").and_then(Value::as_str).map(str::to_uppercase),
            path: rule.get("path").and_then(Value::as_str).unwrap_or("*").to_owned(),
            nth: int("nth")?.unwrap_or(1).max(1),
            times: int("times")?.or(rule.get("nth").map(|_| 1)),
            percent: u32::try_from(percent).ok().filter(|p| *p <= 100).ok_or("`percent` is 0 to 100")?,
            effect: effect(rule.get("effect").ok_or("`effect` is missing")?)?,
            seen: 0,
            fired: 0,
        };
        self.rules.push(fault);
        Ok(self.made)
    }

    /// The effects to inject into this request.
    pub(crate) fn inject(&mut self, method: &str, path: &str, mut chance: impl FnMut() -> u32) -> Vec<Effect> {
        let mut effects = Vec::new();
        for f in &mut self.rules {
            if f.method.as_ref().is_some_and(|m| m != method) || !matches(&f.path, path) {
                continue;
            }
            f.seen += 1;
            let in_time = f.seen >= f.nth && f.times.is_none_or(|times| f.seen < f.nth.saturating_add(times));
            if in_time && chance() < f.percent {
                f.fired += 1;
                effects.push(f.effect.clone());
            }
        }
        effects
    }

    /// The longest lag of any rule.
    pub(crate) fn lag_ms(&self) -> i64 {
        let lag = |f: &Fault| if let Effect::Lag(ms) = f.effect { ms } else { 0 };
        self.rules.iter().map(lag).max().unwrap_or(0)
    }

    pub(crate) fn shown(&self) -> Value {
        let rule = |f: &Fault| {
            json!({"id": f.id, "method": f.method, "path": f.path, "nth": f.nth, "times": f.times, "percent": f.percent,
                "effect": format!("{:?}", f.effect), "seen": f.seen, "fired": f.fired})
        };
        json!({"faults": self.rules.iter().map(rule).collect::<Vec<_>>()})
    }
}

fn effect(value: &Value) -> Result<Effect, String> {
    const KINDS: &str =
        "delay_ms, error, status_before, status_after, cut, truncate, garble, lag_ms, blind, shift or then";
    let object = value.as_object().filter(|o| o.len() == 1);
    let (kind, given) = object.and_then(|o| o.iter().next()).ok_or(format!("an effect has one key: {KINDS}"))?;
    let number = || given.as_u64().ok_or(format!("`{kind}` is a whole number"));
    let status = || {
        number().and_then(|n| {
            u16::try_from(n).ok().filter(|n| (400..600).contains(n)).ok_or("a status is 400 to 599".to_owned())
        })
    };
    Ok(match (kind.as_str(), given.as_str()) {
        ("delay_ms", _) => Effect::Delay(number()?.min(600_000)),
        ("error", Some(name)) if REFUSALS.contains(&name) => Effect::Refuse(name.to_owned()),
        ("error", _) => return Err(format!("`error` is one of {}", REFUSALS.join(", "))),
        ("status_before", _) => Effect::Before(status()?),
        ("status_after", _) => Effect::After(status()?),
        ("cut", Some("before")) => Effect::CutBefore,
        ("cut", Some("after")) => Effect::CutAfter,
        ("cut", _) => return Err("`cut` is before or after".to_owned()),
        ("truncate", _) => Effect::Truncate(usize::try_from(number()?).unwrap_or(usize::MAX)),
        ("garble", _) => Effect::Garble,
        ("lag_ms", _) => Effect::Lag(i64::try_from(number()?).unwrap_or(i64::MAX / 2_000).min(86_400_000)),
        ("blind", _) => Effect::Blind,
        ("shift", _) => Effect::Shift,
        ("then", Some("hang")) => Effect::Hang,
        ("then", Some("fall_back")) => Effect::FallBack,
        ("then", Some("vanish")) => Effect::Vanish,
        ("then", _) => return Err("`then` is hang, fall_back or vanish".to_owned()),
        _ => return Err(format!("no effect `{kind}`; there are {KINDS}")),
    })
}

/// Whether a text matches the pattern, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    match last {
        None => rest.is_empty(),
        Some(part) => part.is_empty() || text.ends_with(part),
    }
}

#[cfg(test)]
mod tests;
