//! What the gateway counts: usage by hour, the minutes of limits, and the load of services.
//!
//! Every replica of the control plane adds what it counted. Additions commute, so that the order does not matter.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::error::Error;
use inventiv_core::id::{KeyId, ServiceId};
use inventiv_core::service::Load;
use inventiv_core::time::Timestamp;
use std::collections::HashMap;

/// The length of an hour, in microseconds.
const HOUR_US: i64 = 3_600_000_000;
/// How long the minutes of limits are kept, in minutes.
const MINUTES_KEPT: i64 = 5;

/// How long the load that a process told is kept, in milliseconds: longer than a service may wait before it is idle.
const LOADS_KEPT_MS: i64 = 8 * 86_400_000;

/// What usage is counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsageKey {
    /// The start of the hour, in microseconds since 1970.
    pub hour: i64,
    /// The key that was used.
    pub key_id: String,
    /// The service; empty: none.
    pub service_id: String,
    /// The instance that answered; empty: none did.
    pub instance_id: String,
    /// The model that was asked for.
    pub model: String,
}

impl UsageKey {
    /// The start of the hour that a time is in.
    #[must_use]
    pub const fn hour_of(at: Timestamp) -> i64 {
        at.0.div_euclid(HOUR_US) * HOUR_US
    }
}

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests that were accepted.
    pub requests: i64,
    /// Those of them that ended with an error.
    pub errors: i64,
    /// Tokens of prompts.
    pub prompt_tokens: i64,
    /// Tokens of answers.
    pub completion_tokens: i64,
    /// The sum of the times until the first token, in milliseconds.
    pub first_token_ms: i64,
    /// The sum of the durations, in milliseconds.
    pub duration_ms: i64,
}

impl Usage {
    /// Adds another one.
    pub const fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.first_token_ms += other.first_token_ms;
        self.duration_ms += other.duration_ms;
    }
}

/// What a key used in one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MinuteUse {
    /// Requests that were accepted.
    pub requests: i64,
    /// Tokens of prompts and answers.
    pub tokens: i64,
}

/// What one replica of the control plane counted since it last told.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// Usage, to be added.
    pub usage: Vec<(UsageKey, Usage)>,
    /// The use of keys by key and minute (since 1970), to be added.
    pub minutes: Vec<(KeyId, i64, MinuteUse)>,
    /// The load of services as this replica sees it now.
    pub loads: Vec<(ServiceId, Load)>,
}

const ADD_USAGE: &str = "INSERT INTO usage_hours (hour, key_id, service_id, instance_id, model, requests, errors, \
    prompt_tokens, completion_tokens, first_token_ms, duration_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
    ON CONFLICT (hour, key_id, service_id, instance_id, model) DO UPDATE SET \
    requests = usage_hours.requests + excluded.requests, errors = usage_hours.errors + excluded.errors, \
    prompt_tokens = usage_hours.prompt_tokens + excluded.prompt_tokens, \
    completion_tokens = usage_hours.completion_tokens + excluded.completion_tokens, \
    first_token_ms = usage_hours.first_token_ms + excluded.first_token_ms, \
    duration_ms = usage_hours.duration_ms + excluded.duration_ms";
const ADD_MINUTE: &str = "INSERT INTO key_minutes (key_id, minute, requests, tokens) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (key_id, minute) DO UPDATE SET requests = key_minutes.requests + excluded.requests, \
    tokens = key_minutes.tokens + excluded.tokens";
const USED: &str =
    "UPDATE api_keys SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $3)";
const PUT_LOAD: &str = "INSERT INTO service_load (service_id, replica, outstanding, queued, last_request_at, reported_at) \
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (service_id, replica) DO UPDATE SET \
    outstanding = excluded.outstanding, queued = excluded.queued, \
    last_request_at = COALESCE(excluded.last_request_at, service_load.last_request_at), reported_at = excluded.reported_at";
const LOAD: &str = "SELECT outstanding, queued, last_request_at, reported_at FROM service_load WHERE service_id = $1";
const DROP_MINUTES: &str = "DELETE FROM key_minutes WHERE minute < $1";
const DROP_LOADS: &str = "DELETE FROM service_load WHERE reported_at < $1";
const MINUTES: &str = "SELECT * FROM key_minutes WHERE minute >= $1";
const USAGE: &str = "SELECT * FROM usage_hours WHERE hour >= $1 AND hour < $2 AND ($3 = '' OR service_id = $3) \
    AND ($4 = '' OR key_id = $4) ORDER BY hour, key_id, service_id, instance_id, model LIMIT $5";

impl Store {
    /// Adds what a replica counted, in one commit.
    ///
    /// # Errors
    /// When the database refuses: then nothing was added, unless the error says that the outcome is unknown.
    pub async fn add_counted(&self, replica: &str, counted: &Counted, now: Timestamp) -> Result<(), Error> {
        let mut statements: Vec<Statement> = Vec::new();
        // In one order, so that two replicas that add at once do not wait for each other in a circle.
        let mut usage: Vec<_> = counted.usage.iter().collect();
        usage.sort_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
        for (key, used) in usage {
            let mut a = Args::new();
            a.int(key.hour).text(&key.key_id).text(&key.service_id).text(&key.instance_id).text(&key.model);
            a.int(used.requests).int(used.errors).int(used.prompt_tokens).int(used.completion_tokens);
            a.int(used.first_token_ms).int(used.duration_ms);
            statements.push(a.statement(ADD_USAGE));
        }
        let mut minutes: Vec<_> = counted.minutes.iter().collect();
        minutes.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        for (key, minute, used) in minutes {
            let mut a = Args::new();
            a.text(key.as_str()).int(*minute).int(used.requests).int(used.tokens);
            statements.push(a.statement(ADD_MINUTE));
            // To the minute: a busy key is not written each second.
            a.time(now).text(key.as_str()).int(minute * 60_000_000);
            statements.push(a.statement(USED));
        }
        for (service, load) in &counted.loads {
            let mut a = Args::new();
            a.text(service.as_str()).text(replica).int(load.outstanding.into()).int(load.queued.into());
            a.opt_time(load.last_request_at).time(now);
            statements.push(a.statement(PUT_LOAD));
        }
        if statements.is_empty() {
            return Ok(());
        }
        self.db.write(statements).await.map(|_| ())
    }

    /// What every key used in the minute of a time and the one before, by key and minute. Older minutes are deleted.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn key_minutes(&self, now: Timestamp) -> Result<HashMap<(String, i64), MinuteUse>, Error> {
        let minute = now.0.div_euclid(60_000_000);
        let mut a = Args::new();
        a.int(minute - 1);
        let rows = self.db.read(a.statement(MINUTES)).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for c in rows.iter().map(Columns) {
            let used = MinuteUse { requests: c.int("requests")?, tokens: c.int("tokens")? };
            found.insert((c.text("key_id")?, c.int("minute")?), used);
        }
        Ok(found)
    }

    /// Deletes the minutes of limits, and the loads told by processes that ended, that no longer matter.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn drop_old_counts(&self, now: Timestamp) -> Result<(), Error> {
        let mut a = Args::new();
        let minutes = a.int(now.0.div_euclid(60_000_000) - MINUTES_KEPT).statement(DROP_MINUTES);
        let loads = a.time(now.plus_ms(-LOADS_KEPT_MS)).statement(DROP_LOADS);
        self.db.write(vec![minutes, loads]).await.map(|_| ())
    }

    /// The load of a service, over all replicas that reported after a time.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn service_load(&self, id: &ServiceId, reported_after: Timestamp) -> Result<Load, Error> {
        let mut a = Args::new();
        a.text(id.as_str());
        let rows = self.db.read(a.statement(LOAD)).await?;
        let mut load = Load::default();
        for c in rows.iter().map(Columns) {
            load.last_request_at = load.last_request_at.max(c.opt_time("last_request_at")?);
            // A replica that stopped answers nothing; when the last request came stays true.
            if c.time("reported_at")? > reported_after {
                load.outstanding = load.outstanding.saturating_add(c.small("outstanding")?);
                load.queued = load.queued.saturating_add(c.small("queued")?);
            }
        }
        Ok(load)
    }

    /// What was used in a period, by hour; empty `service_id` or `key_id`: of all.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn usage(
        &self,
        from: Timestamp,
        to: Timestamp,
        (service_id, key_id): (&str, &str),
        limit: u32,
    ) -> Result<Vec<(UsageKey, Usage)>, Error> {
        let mut a = Args::new();
        a.int(UsageKey::hour_of(from)).time(to).text(service_id).text(key_id).int(limit.into());
        let rows = self.db.read(a.statement(USAGE)).await?;
        rows.iter().map(|r| read(&Columns(r))).collect()
    }
}

fn order(key: &UsageKey) -> (i64, &str, &str, &str, &str) {
    (key.hour, &key.key_id, &key.service_id, &key.instance_id, &key.model)
}

fn read(c: &Columns<'_>) -> Result<(UsageKey, Usage), Error> {
    let key = UsageKey {
        hour: c.int("hour")?,
        key_id: c.text("key_id")?,
        service_id: c.text("service_id")?,
        instance_id: c.text("instance_id")?,
        model: c.text("model")?,
    };
    let usage = Usage {
        requests: c.int("requests")?,
        errors: c.int("errors")?,
        prompt_tokens: c.int("prompt_tokens")?,
        completion_tokens: c.int("completion_tokens")?,
        first_token_ms: c.int("first_token_ms")?,
        duration_ms: c.int("duration_ms")?,
    };
    Ok((key, usage))
}
