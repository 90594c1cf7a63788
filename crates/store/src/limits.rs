//! Limits, and what is used of them.

use crate::Store;
use crate::args::{Args, Columns};
use crate::costs::CostFilter;
use crate::error::Error;
use inventiv_core::calendar::{day_of, month_of};
use inventiv_core::cost_group::CostGroup;
use inventiv_core::id::InstanceId;
use inventiv_core::limits::{InUse, LimitScope, Limits, OnLimit, reached};
use inventiv_core::time::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;

/// How old the sums of what was spent may be, in milliseconds. What costs money since then is added at its rate, for limits on
/// everything.
const SUMS_MAX_AGE_MS: i64 = 30_000;
/// How many sums are kept.
const SUMS_MAX: usize = 1_000;

/// What was spent, as it was last summed up, by what it was spent on.
pub(crate) type Sums = HashMap<LimitScope, Spent>;

/// What was spent.
#[derive(Debug, Clone)]
pub(crate) struct Spent {
    at: Timestamp,
    currency: String,
    day_micros: i64,
    month_micros: i64,
}

/// The part of a spec that tags are in.
#[derive(Deserialize)]
struct Tagged {
    tags: Vec<String>,
}

const ALL: &str = "SELECT * FROM limits ORDER BY scope";
const GET: &str = "SELECT * FROM limits WHERE scope = $1";
const SET: &str = "INSERT INTO limits (instances, gpus, day_micros, month_micros, currency, on_limit, updated_at, scope) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (scope) DO UPDATE SET instances = excluded.instances, \
    gpus = excluded.gpus, day_micros = excluded.day_micros, month_micros = excluded.month_micros, \
    currency = excluded.currency, on_limit = excluded.on_limit, updated_at = excluded.updated_at";
const REMOVE: &str = "DELETE FROM limits WHERE scope = $1";
const LIVING: &str = concat!(
    "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(COALESCE(i.gpu_count, o.gpu_count, 0)), 0) AS BIGINT) AS gpus FROM instances i \
    LEFT JOIN offers o ON o.account_id = i.account_id AND o.zone = i.zone AND o.instance_type = i.instance_type \
    WHERE ($1 = '' OR i.service_id = $1) AND ",
    living!()
);
/// What has a text in its spec: those that have it as a tag are among them.
const LIVING_WITH: &str = concat!(
    "SELECT i.spec_json, COALESCE(i.gpu_count, o.gpu_count, 0) AS gpus FROM instances i \
    LEFT JOIN offers o ON o.account_id = i.account_id AND o.zone = i.zone AND o.instance_type = i.instance_type \
    WHERE i.spec_json LIKE $1 ESCAPE '!' AND ",
    living!()
);
const NOT_ENDING: &str = concat!(
    "SELECT id, service_id, spec_json FROM instances WHERE account_id = $1 AND desired <> 'absent' \
    AND ($2 = '' OR service_id = $2) AND spec_json LIKE $3 ESCAPE '!' AND ",
    living!(),
    " ORDER BY id"
);

fn limits(c: &Columns<'_>) -> Result<Limits, Error> {
    Ok(Limits {
        instances: c.opt_int("instances")?,
        gpus: c.opt_int("gpus")?,
        day_micros: c.opt_int("day_micros")?,
        month_micros: c.opt_int("month_micros")?,
        currency: c.text("currency")?,
        on_limit: c.word("on_limit", OnLimit::parse)?,
    })
}

/// A pattern for specs that have a text: as it is written in JSON, with the characters that mean something escaped.
fn pattern(tag: &str) -> String {
    let json = serde_json::Value::from(tag).to_string();
    format!("%{}%", json.replace('!', "!!").replace('%', "!%").replace('_', "!_"))
}

/// The service of a scope; empty: it is not one of a service.
fn service_of(scope: &LimitScope) -> &str {
    match scope {
        LimitScope::Service(id) => id,
        LimitScope::All | LimitScope::Tag(_) => "",
    }
}

impl Store {
    /// The limits of a scope.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn limits(&self, scope: &LimitScope) -> Result<Limits, Error> {
        let mut a = Args::new();
        a.text(&scope.text());
        let rows = self.db.read(a.statement(GET)).await?;
        rows.first().map_or_else(|| Ok(Limits::default()), |row| limits(&Columns(row)))
    }

    /// All limits, those on everything first.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn all_limits(&self) -> Result<Vec<(LimitScope, Limits)>, Error> {
        let rows = self.db.read(Args::new().statement(ALL)).await?;
        rows.iter().map(|r| Ok((Columns(r).word("scope", LimitScope::parse)?, limits(&Columns(r))?))).collect()
    }

    /// Sets the limits of a scope.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set_limits(&self, scope: &LimitScope, l: &Limits, now: Timestamp) -> Result<(), Error> {
        let mut a = Args::new();
        a.opt_int(l.instances).opt_int(l.gpus).opt_int(l.day_micros).opt_int(l.month_micros);
        a.text(&l.currency).text(l.on_limit.text()).time(now).text(&scope.text());
        self.db.write(vec![a.statement(SET)]).await.map(|_| ())
    }

    /// Removes the limits of a scope, if there are any.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn remove_limits(&self, scope: &LimitScope) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(&scope.text());
        self.db.write(vec![a.statement(REMOVE)]).await.map(|_| ())
    }

    /// Why no instance of a service, with these tags and so many GPUs, may be created now; `None`: it may.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn refused_by_limit(
        &self,
        service_id: Option<&str>,
        tags: &[String],
        gpus: i64,
        now: Timestamp,
    ) -> Result<Option<String>, Error> {
        for (scope, limits) in self.all_limits().await? {
            if limits.is_any() && scope.has(service_id, tags) {
                let used = self.in_use(&scope, &limits, now).await?;
                if let Some(why) = reached(&scope, &limits, &used, gpus) {
                    return Ok(Some(why));
                }
            }
        }
        Ok(None)
    }

    /// What is used of the limits now. What was spent is read for limits on money alone.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn in_use(&self, scope: &LimitScope, limits: &Limits, now: Timestamp) -> Result<InUse, Error> {
        let mut used = InUse::default();
        (used.instances, used.gpus) = self.living_of(scope).await?;
        if limits.has_money() {
            let spent = self.spent(scope, &limits.currency, now).await?;
            (used.day_micros, used.month_micros) = (spent.day_micros, spent.month_micros);
        }
        Ok(used)
    }

    /// The same, with sums over the past as they are now.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn in_use_exactly(&self, scope: &LimitScope, limits: &Limits, now: Timestamp) -> Result<InUse, Error> {
        self.spent.lock().remove(scope);
        self.in_use(scope, limits, now).await
    }

    /// Instances of the account that are in the scope and not on their way to their end, `most` at most.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn not_ending(&self, account: &str, scope: &LimitScope, most: usize) -> Result<Vec<InstanceId>, Error> {
        let mut a = Args::new();
        let tag = if let LimitScope::Tag(tag) = scope { pattern(tag) } else { "%".to_owned() };
        a.text(account).text(service_of(scope)).text(&tag);
        let mut found = Vec::new();
        for row in &self.db.read(a.statement(NOT_ENDING)).await? {
            let c = Columns(row);
            if scope.has(c.opt_text("service_id")?.as_deref(), &c.json::<Tagged>("spec_json")?.tags) {
                found.push(c.word("id", InstanceId::parse)?);
            }
        }
        found.truncate(most);
        Ok(found)
    }

    /// How many instances live, and their GPUs.
    async fn living_of(&self, scope: &LimitScope) -> Result<(i64, i64), Error> {
        let mut a = Args::new();
        let LimitScope::Tag(tag) = scope else {
            a.text(service_of(scope));
            let rows = self.db.read(a.statement(LIVING)).await?;
            return rows.first().map_or(Ok((0, 0)), |r| Ok((Columns(r).int("n")?, Columns(r).int("gpus")?)));
        };
        a.text(&pattern(tag));
        let (mut instances, mut gpus) = (0, 0);
        for row in &self.db.read(a.statement(LIVING_WITH)).await? {
            if Columns(row).json::<Tagged>("spec_json")?.tags.contains(tag) {
                (instances, gpus) = (instances + 1, gpus + Columns(row).int("gpus")?);
            }
        }
        Ok((instances, gpus))
    }

    /// What was spent today and this month in a currency. Sums over the past are made twice a minute at most.
    async fn spent(&self, scope: &LimitScope, currency: &str, now: Timestamp) -> Result<Spent, Error> {
        let known = self.spent.lock().get(scope).cloned();
        let is_new = |s: &Spent| {
            let is_young = (0..SUMS_MAX_AGE_MS).contains(&now.ms_since(s.at));
            is_young && day_of(s.at) == day_of(now) && s.currency == currency
        };
        if let Some(spent) = known.filter(is_new) {
            if *scope != LimitScope::All {
                return Ok(spent);
            }
            let rates = self.cost_rates("").await?;
            let of = rates.iter().filter(|r| r.currency == currency && r.class.is_certain());
            let hourly = of.fold(0_i64, |sum, r| sum.saturating_add(r.hourly_micros));
            let since = hourly.saturating_mul(now.ms_since(spent.at)) / 3_600_000;
            let (day, month) = (spent.day_micros.saturating_add(since), spent.month_micros.saturating_add(since));
            return Ok(Spent { at: now, day_micros: day, month_micros: month, ..spent });
        }
        let day_micros = self.spent_since(scope, currency, day_of(now), now).await?;
        let month_micros = self.spent_since(scope, currency, month_of(now).0, now).await?;
        let spent = Spent { at: now, currency: currency.to_owned(), day_micros, month_micros };
        let mut sums = self.spent.lock();
        if sums.len() >= SUMS_MAX {
            sums.clear();
        }
        sums.insert(scope.clone(), spent.clone());
        Ok(spent)
    }

    async fn spent_since(
        &self,
        scope: &LimitScope,
        currency: &str,
        from: Timestamp,
        now: Timestamp,
    ) -> Result<i64, Error> {
        let filter = CostFilter { service_id: service_of(scope).to_owned(), ..CostFilter::default() };
        let group = matches!(scope, LimitScope::Tag(_)).then_some(CostGroup::Instance);
        let mut rows = self.costs((from, now), group, &filter).await?;
        if let LimitScope::Tag(tag) = scope {
            let tags = self.charged_tags((from, now), &filter).await?;
            rows.retain(|r| tags.get(&r.key).is_some_and(|tags| tags.contains(tag)));
        }
        let of = rows.iter().filter(|r| r.currency == currency && r.class.is_certain());
        Ok(of.fold(0_i64, |sum, r| sum.saturating_add(r.micros)))
    }
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn a_tag_is_looked_for_as_it_is_written() {
        for (tag, wanted) in
            [("team=a", r#"%"team=a"%"#), ("50%_off!", r#"%"50!%!_off!!"%"#), (r#"say "hi""#, r#"%"say \"hi\""%"#)]
        {
            assert_eq!(pattern(tag), wanted);
        }
    }
}
