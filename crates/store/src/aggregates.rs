//! Instances with their servers and volumes: read whole, written as the difference, guarded by the version.

use crate::args::{Args, Columns, Statement};
use crate::db::Written;
use crate::difference::{Giver, difference};
use crate::error::Error;
use crate::filtered::{Filtered, Wanted};
use crate::logs::LogWrite;
use crate::of_ids::{MANY, OfIds};
use crate::saved::Saved;
use crate::{
    IdempotencyKey, Store, changes, charges, idempotency, instance_rows, logs, names, server_rows, services,
    volume_rows,
};
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::{Aggregate, Instance};
use inventiv_core::service::Service;
use inventiv_core::status::Status;
use inventiv_core::time::Timestamp;
use sqlx::any::AnyRow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Which instances to list; `None`: no filter.
#[derive(Debug, Clone, Default)]
pub struct InstanceFilter {
    /// Only in this account.
    pub account_id: Option<String>,
    /// Only in this status.
    pub status: Option<Status>,
    /// Only in this zone.
    pub zone: Option<String>,
    /// Only for this model.
    pub model_id: Option<String>,
    /// Only after this id.
    pub after: Option<String>,
    /// Whether the newest come first.
    pub newest_first: bool,
    /// The maximum number.
    pub limit: u32,
}

static LIST: Filtered = Filtered::new("instances");
static NEWEST: Filtered = Filtered::newest_first("instances");
/// Greater than every id of an instance.
const LAST: &str = "ins-zzzzzzzzzzzzzzzzzzzzzzzzzzz";
static SERVERS_OF: LazyLock<OfIds> = LazyLock::new(|| OfIds::new("instance_servers", "instance_id"));
static VOLUMES_OF: LazyLock<OfIds> = LazyLock::new(|| OfIds::new("instance_volumes", "instance_id"));
static INSTANCES: LazyLock<OfIds> = LazyLock::new(|| OfIds::new("instances", "id"));
const UNSETTLED: &str = "SELECT id, zone, version FROM instances WHERE account_id = $1 AND settled = 0 AND wake_at <= $2 \
    AND ($4 = '' OR zone = $4) ORDER BY wake_at LIMIT $3";
const EXPIRING: &str = concat!(
    "SELECT id FROM instances WHERE account_id = $1 AND desired <> 'absent' AND expires_at <= $2 AND ",
    living!(),
    " ORDER BY expires_at LIMIT $3"
);
const NEXT_WAKE: &str = "SELECT MIN(wake_at) AS wake_at FROM instances WHERE account_id = $1 AND settled = 0";
const ZONES: &str = concat!(
    "SELECT zone FROM instances WHERE account_id = $1 AND ",
    living!(),
    " UNION SELECT zone FROM instance_servers WHERE account_id = $1 AND create_state = 'abandoned' \
    UNION SELECT zone FROM instance_volumes WHERE account_id = $1 AND create_state = 'abandoned' \
    UNION SELECT zone FROM instance_volumes WHERE account_id = $1 AND status = 'retained' \
    UNION SELECT zone FROM instances WHERE account_id = $1 AND confirm_after IS NOT NULL"
);
const IN_ZONE: &str = concat!(
    "SELECT * FROM instances WHERE account_id = $1 AND zone = $2 AND ",
    living!(),
    " AND id > $3 ORDER BY id LIMIT $4"
);
const COUNTS: &str = concat!("SELECT status, COUNT(*) AS n FROM instances WHERE ", living!(), " GROUP BY status");

/// When an instance is recorded the first time: one that is rebuilt was created long before.
fn recorded_at(agg: &Aggregate) -> Timestamp {
    agg.instance.spec.recovered_at.unwrap_or(agg.instance.created_at)
}

impl Store {
    /// Writes a new instance with its servers and volumes, or nothing.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert(&self, agg: &Aggregate, writes: &[LogWrite]) -> Result<(), Error> {
        // An ended instance no longer owns its name.
        let name = (!agg.instance.status.is_final()).then(|| names::take(&agg.instance, false));
        self.insert_with(agg, writes, name, None, Vec::new()).await
    }

    /// The same, only if its name is free and its idempotency key, if any, is new.
    ///
    /// # Errors
    /// [`Error::Duplicate`] when the name is taken or the key was used; when the database refuses.
    pub async fn insert_new(
        &self,
        agg: &Aggregate,
        writes: &[LogWrite],
        key: Option<&IdempotencyKey>,
    ) -> Result<(), Error> {
        self.insert_with(agg, writes, Some(names::take(&agg.instance, true)), key, Vec::new()).await
    }

    /// The same, together with a change of the instance whose retained volume the new one gets: both or neither.
    ///
    /// # Errors
    /// [`Error::Duplicate`] also if another write to that instance came in between; when the database refuses.
    pub async fn insert_reusing(
        &self,
        agg: &Aggregate,
        writes: &[LogWrite],
        key: Option<&IdempotencyKey>,
        giver: Giver<'_>,
    ) -> Result<(), Error> {
        let given = difference(giver.before, giver.after, &[], agg.instance.created_at);
        self.insert_with(agg, writes, Some(names::take(&agg.instance, true)), key, given).await
    }

    /// The same, together with the write of the service that it belongs to: both or neither.
    ///
    /// # Errors
    /// [`Error::Duplicate`] also if another write to the service came in between; when the database refuses.
    pub async fn insert_replica(&self, agg: &Aggregate, writes: &[LogWrite], service: &Service) -> Result<(), Error> {
        let of = vec![services::update(service)];
        self.insert_with(agg, writes, Some(names::take(&agg.instance, true)), None, of).await
    }

    /// Inserts an instance that was rebuilt from the cloud, together with changes of the instances that its volumes were
    /// retained from: all or none.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if another write to one of these came in between; when the database refuses.
    pub async fn insert_recovered(
        &self,
        agg: &Aggregate,
        writes: &[LogWrite],
        givers: &[Giver<'_>],
    ) -> Result<(), Error> {
        let now = recorded_at(agg);
        let given = givers.iter().flat_map(|g| difference(g.before, g.after, &[], now)).collect();
        let name = (!agg.instance.status.is_final()).then(|| names::take(&agg.instance, false));
        self.insert_with(agg, writes, name, None, given).await
    }

    async fn insert_with(
        &self,
        agg: &Aggregate,
        writes: &[LogWrite],
        name: Option<Statement>,
        key: Option<&IdempotencyKey>,
        given: Vec<Statement>,
    ) -> Result<(), Error> {
        let mut statements = vec![instance_rows::insert(agg)];
        statements.extend(given);
        statements.push(logs::history(&agg.instance, None, agg.instance.version, agg.instance.created_at));
        statements.extend(agg.servers.iter().map(|s| server_rows::insert(&agg.instance, s)));
        statements.extend(agg.volumes.iter().map(|v| volume_rows::insert(&agg.instance, v)));
        statements.extend(charges::difference(None, agg, recorded_at(agg)));
        statements.push(changes::mark(&agg.instance.id));
        statements.extend(name);
        statements.extend(key.map(idempotency::insert));
        statements.extend(writes.iter().map(logs::statement));
        match self.db.write_apart(statements).await? {
            Written::Done => {}
            Written::Stale => return Err(Error::Duplicate("an instance of that name".to_owned())),
        }
        self.tell_change();
        Ok(())
    }

    /// Writes the difference between `before` (as read) and `after`, with lines of the action log, or nothing.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn save(
        &self,
        before: &Aggregate,
        after: &Aggregate,
        writes: &[LogWrite],
        now: Timestamp,
    ) -> Result<Saved, Error> {
        let version = before.instance.version;
        if before == after && writes.is_empty() {
            return Ok(Saved::Version(version));
        }
        Ok(match self.db.write_apart(difference(before, after, writes, now)).await? {
            Written::Done => Saved::Version(version + 1),
            Written::Stale => Saved::Stale,
        })
    }

    /// Reads, changes and writes one instance; retries if another write came in between. `None`: no such instance.
    ///
    /// `change` may be called several times and must depend only on its argument.
    ///
    /// # Errors
    /// When the database refuses, or `change` does; [`Error::Duplicate`] when another instance has the new name.
    pub async fn change<E: From<Error>>(
        &self,
        id: &InstanceId,
        now: Timestamp,
        mut change: impl FnMut(&mut Aggregate) -> Result<Vec<LogWrite>, E>,
    ) -> Result<Option<Aggregate>, E> {
        let mut refused = None;
        loop {
            let Some(before) = self.instance(id).await? else { return Ok(None) };
            let mut after = before.clone();
            let writes = change(&mut after)?;
            // No other write came in between: the name was refused.
            if refused == Some(before.instance.version) && after.instance.name != before.instance.name {
                return Err(Error::Duplicate("an instance of that name".to_owned()).into());
            }
            refused = Some(before.instance.version);
            if let Saved::Version(version) = self.save(&before, &after, &writes, now).await? {
                after.instance.version = version;
                return Ok(Some(after));
            }
        }
    }

    /// One instance with its servers and volumes.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn instance(&self, id: &InstanceId) -> Result<Option<Aggregate>, Error> {
        let mut a = Args::new();
        a.text(id.as_str());
        let rows = self.db.read(a.statement("SELECT * FROM instances WHERE id = $1")).await?;
        Ok(self.whole(&rows).await?.pop())
    }

    /// These instances, in the order of their ids; missing ones are omitted.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn instances_by_id(&self, ids: &[InstanceId]) -> Result<Vec<Aggregate>, Error> {
        let mut all = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(MANY) {
            let rows = self.db.read(INSTANCES.statement(chunk.iter())).await?;
            all.extend(self.whole(&rows).await?);
        }
        Ok(all)
    }

    /// Instances in the order of their ids, or in the reverse order.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn instances(&self, filter: &InstanceFilter) -> Result<Vec<Aggregate>, Error> {
        let equal = [
            ("zone", filter.zone.as_deref()),
            ("model_id", filter.model_id.as_deref()),
            ("account_id", filter.account_id.as_deref()),
        ];
        let status = filter.status.map(|s| Wanted { text: s.text(), passes: !s.is_final() });
        let after = filter.after.as_deref();
        let statement = if filter.newest_first {
            NEWEST.statement(after.filter(|id| !id.is_empty()).or(Some(LAST)), status, &equal, filter.limit)
        } else {
            LIST.statement(after, status, &equal, filter.limit)
        };
        let rows = self.db.read(statement).await?;
        self.whole(&rows).await
    }

    /// Living instances of one zone: `limit` after `after`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn living(&self, account: &str, zone: &str, after: &str, limit: u32) -> Result<Vec<Aggregate>, Error> {
        let mut a = Args::new();
        a.text(account).text(zone).text(after).int(limit.into());
        let rows = self.db.read(a.statement(IN_ZONE)).await?;
        self.whole(&rows).await
    }

    /// Unsettled instances to reconcile now, of one zone or all: id, zone and version, the longest waiting first.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn due(
        &self,
        account: &str,
        zone: Option<&str>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(InstanceId, String, i64)>, Error> {
        let mut a = Args::new();
        a.text(account).time(now).int(limit.into()).text(zone.unwrap_or_default());
        let rows = self.db.read(a.statement(UNSETTLED)).await?;
        let due = |r| {
            let c = Columns(r);
            Ok((c.word("id", InstanceId::parse)?, c.text("zone")?, c.int("version")?))
        };
        rows.iter().map(due).collect()
    }

    /// Instances whose end was not requested and that end by themselves until a time, those that are due first.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn expiring(&self, account: &str, until: Timestamp, limit: u32) -> Result<Vec<InstanceId>, Error> {
        let mut a = Args::new();
        a.text(account).time(until).int(limit.into());
        let rows = self.db.read(a.statement(EXPIRING)).await?;
        rows.iter().map(|r| Columns(r).word("id", InstanceId::parse)).collect()
    }

    /// When the next unsettled instance is due for reconciliation.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn next_wake(&self, account: &str) -> Result<Option<Timestamp>, Error> {
        let mut a = Args::new();
        a.text(account);
        let rows = self.db.read(a.statement(NEXT_WAKE)).await?;
        rows.first().map_or(Ok(None), |r| Columns(r).opt_time("wake_at"))
    }

    /// The zones to list regularly: those with living instances, those where an abandoned creation may still take
    /// effect, and those with a retained volume.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn zones(&self, account: &str) -> Result<Vec<String>, Error> {
        let mut a = Args::new();
        a.text(account);
        self.db.read(a.statement(ZONES)).await?.iter().map(|r| Columns(r).text("zone")).collect()
    }

    /// The number of living instances by status; empty statuses are omitted.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn living_counts(&self) -> Result<BTreeMap<String, i64>, Error> {
        let rows = self.db.read(Args::new().statement(COUNTS)).await?;
        rows.iter().map(|r| Ok((Columns(r).text("status")?, Columns(r).int("n")?))).collect()
    }

    /// Adds servers and volumes to rows of `instances` (in the order of ids).
    async fn whole(&self, rows: &[AnyRow]) -> Result<Vec<Aggregate>, Error> {
        let instances: Vec<Instance> =
            rows.iter().map(|r| instance_rows::read(&Columns(r))).collect::<Result<_, _>>()?;
        let (mut servers, mut volumes) = (Vec::new(), Vec::new());
        for chunk in instances.chunks(MANY) {
            let of = |texts: &OfIds| self.db.read(texts.statement(chunk.iter().map(|i| &i.id)));
            let (s, v) = tokio::try_join!(of(&SERVERS_OF), of(&VOLUMES_OF))?;
            servers.extend(s);
            volumes.extend(v);
        }
        let mut all: BTreeMap<InstanceId, Aggregate> = instances
            .into_iter()
            .map(|instance| (instance.id.clone(), Aggregate { instance, servers: Vec::new(), volumes: Vec::new() }))
            .collect();
        for row in &servers {
            let c = Columns(row);
            if let Some(agg) = all.get_mut(&c.word("instance_id", InstanceId::parse)?) {
                agg.servers.push(server_rows::read(&c)?);
            }
        }
        for row in &volumes {
            let c = Columns(row);
            if let Some(agg) = all.get_mut(&c.word("instance_id", InstanceId::parse)?) {
                agg.volumes.push(volume_rows::read(&c)?);
            }
        }
        Ok(all.into_values().collect())
    }
}
