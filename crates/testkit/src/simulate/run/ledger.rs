//! The ledger of a run against what the cloud would bill, resource by resource.
//!
//! Whatever happens, nothing that the cloud bills is missing in the ledger, and nothing counts much longer than it exists. The
//! two have different clocks, so that only durations are compared.

use super::{Run, START_US, Step};
use crate::process::Process;
use sqlx::Row;
use std::collections::{BTreeMap, BTreeSet};

/// By kind and cloud id: units times the time, in microseconds; the largest number of units; and how often it began.
type Amounts = BTreeMap<(String, String), (i128, i128, i128)>;

/// What may be missing of a volume that kept its size, in seconds: a third party may delete one whose creation is
/// unconfirmed, while reads are stale.
const SHORT_S: i128 = 20;
/// What nobody ever observed may be missing as a whole, for so many seconds: a server that was started by a process that died
/// before it recorded that, its address, or a volume that a third party deletes while the credentials do not see it.
const UNSEEN_S: i128 = 120;
/// What may be too much for each time that it began, in seconds: the end counts once it is proven. A server that a third party
/// stops while its model is awaited counts until that wait ends, after fifteen minutes.
const LATE_S: i128 = 960;

const ROWS: &str = "SELECT kind, class, provider_id, quantity, starts_at, ends_at FROM charges \
    WHERE provider_id IS NOT NULL AND class NOT IN ('unconfirmed', 'third_party')";

fn add(to: &mut Amounts, key: (String, String), quantity: i64, lasted_us: i64) {
    let sum = to.entry(key).or_default();
    let quantity = i128::from(quantity);
    *sum = (sum.0 + quantity * i128::from(lasted_us), sum.1.max(quantity), sum.2 + 1);
}

impl Run {
    /// Compares the ledger with what the cloud would bill.
    pub(super) fn check_ledger(&mut self, process: &Process) -> Step<()> {
        let now_us = inventiv_orchestrator::Clock::now(&*self.environment.clock).0;
        let cloud_now_us = self.cloud.emulator.now_us();
        let written = process.runtime.block_on(written(&self.environment.url, now_us));
        let (written, orphan_rows) = written.map_err(|e| e.to_string())?;
        self.counts.orphan_rows += orphan_rows;
        let mut billed = Amounts::new();
        for m in self.cloud.emulator.metered().into_iter().filter(|m| !self.cloud.made_by_third_parties.contains(&m.id))
        {
            let lasted_us = m.until_us.unwrap_or(cloud_now_us) - m.from_us;
            add(&mut billed, (m.kind.to_owned(), m.id), m.quantity, lasted_us);
        }
        for (key, (amount, units, times)) in &billed {
            self.counts.billed += 1;
            let in_s = |micros: i128| micros / units / 1_000_000;
            let Some((said, ..)) = written.get(key) else {
                if in_s(*amount) > UNSEEN_S {
                    return Err(format!("{key:?} is not in the ledger, and the cloud bills {} s", in_s(*amount)));
                }
                self.counts.unseen += 1;
                continue;
            };
            let more_s = in_s(said - amount);
            // A growth whose response was lost counts from its observation, like what a third party changes.
            let short_s = if key.0 == "volume" { SHORT_S + UNSEEN_S * (times - 1) } else { UNSEEN_S };
            if more_s < -short_s || more_s > LATE_S * times {
                let rows = process.runtime.block_on(rows_of(&self.environment.url, &key.1));
                let rows = rows.map_err(|e| e.to_string())?;
                return Err(format!(
                    "the ledger has {more_s} s more of {key:?} than the cloud bills, which began {times} times: {rows}"
                ));
            }
        }
        let unknown: BTreeSet<_> = written.keys().filter(|key| !billed.contains_key(key)).collect();
        // A server that never ran counts from the request to start it, until it is observed.
        let is_wrong = |key: &&&(String, String)| key.0 != "server" || written[**key].0 > LATE_S * 1_000_000;
        match unknown.iter().find(is_wrong) {
            Some(key) => Err(format!("{key:?} is in the ledger, and the cloud never billed it")),
            None => Ok(()),
        }
    }
}

/// The rows of a resource, by our id or the cloud's, as text, with times in microseconds since the run began.
async fn rows_of(url: &str, id: &str) -> Result<String, sqlx::Error> {
    let pool = sqlx::AnyPool::connect(url).await?;
    let sql = "SELECT instance_id || ': ' || kind || ' ' || COALESCE(provider_id, '?') || ' ' || class || ' ' || (starts_at - $2) || ' to ' || \
        COALESCE(CAST(ends_at - $2 AS TEXT), 'now') FROM charges WHERE provider_id = $1 OR resource_id = $1 \
        OR provider_id IN (SELECT provider_id FROM charges WHERE resource_id = $1) ORDER BY starts_at";
    let rows: Vec<String> = sqlx::query_scalar(sql).bind(id).bind(START_US).fetch_all(&pool).await?;
    pool.close().await;
    Ok(rows.join("; "))
}

/// Certain rows of one resource never overlap: otherwise it would count twice. Those of an orphan have the cloud's id.
const OVERLAPS: &str = "SELECT a.resource_id FROM charges a JOIN charges b ON a.kind = b.kind \
    AND (a.resource_id = b.resource_id OR a.provider_id = b.provider_id AND 'orphan' IN (a.class, b.class)) \
    AND a.starts_at <= b.starts_at AND (a.starts_at < b.starts_at OR a.resource_id < b.resource_id) \
    AND (a.ends_at IS NULL OR a.ends_at > a.starts_at) AND (a.ends_at IS NULL OR a.ends_at > b.starts_at) \
    WHERE a.class <> 'unconfirmed' AND b.class <> 'unconfirmed' AND (b.ends_at IS NULL OR b.ends_at > b.starts_at)";

/// What the ledger says, and how many of its rows are of orphans.
async fn written(url: &str, now_us: i64) -> Result<(Amounts, usize), sqlx::Error> {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(url).await?;
    let (mut amounts, mut orphan_rows) = (Amounts::new(), 0);
    for row in sqlx::query(ROWS).fetch_all(&pool).await? {
        let ends_at: Option<i64> = row.try_get("ends_at")?;
        let lasted_us = ends_at.unwrap_or(now_us) - row.try_get::<i64, _>("starts_at")?;
        let key = (row.try_get("kind")?, row.try_get("provider_id")?);
        add(&mut amounts, key, row.try_get("quantity")?, lasted_us);
        orphan_rows += usize::from(row.try_get::<String, _>("class")? == "orphan");
    }
    if let Some(row) = sqlx::query(OVERLAPS).fetch_optional(&pool).await? {
        let id: String = row.try_get(0)?;
        let rows = rows_of(url, &id).await?;
        return Err(sqlx::Error::Protocol(format!("{id} counts twice: {rows}")));
    }
    pool.close().await;
    Ok((amounts, orphan_rows))
}
