//! Services: desired state about models, and which instances answer for them.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::db::Written;
use crate::error::Error;
use crate::saved::Saved;
use inventiv_core::id::{InstanceId, ServiceId};
use inventiv_core::service::{Service, ServiceStatus};
use inventiv_core::status::Desired;
use inventiv_core::time::Timestamp;

const INSERT: &str = "INSERT INTO services (id, name, account_id, provider, model_id, desired, spec_json, revision, status, \
    reason, state_json, warm_until, created_at, updated_at, deleted_at, version, expires_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
const UPDATE: &str = "UPDATE services SET desired = $1, spec_json = $2, revision = $3, status = $4, reason = $5, \
    state_json = $6, warm_until = $7, updated_at = $8, deleted_at = $9, version = $10, \
    expires_at = $11 WHERE id = $12 AND version = $13";
const LIVING: &str = "SELECT * FROM services WHERE deleted_at IS NULL ORDER BY id";
const RECENT: &str = "SELECT * FROM services WHERE deleted_at IS NULL OR deleted_at > $1 ORDER BY id";
const LIVING_OF: &str = "SELECT * FROM services WHERE account_id = $1 AND deleted_at IS NULL ORDER BY id";
const NAMED: &str = "SELECT * FROM services WHERE name = $1 ORDER BY CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END, id DESC \
    LIMIT 1";
const REPLICAS: &str = "SELECT id FROM instances WHERE service_id = $1 AND (status NOT IN ('terminated', \
    'provisioning_failed') OR id >= $2 OR terminated_at >= $3) ORDER BY id";
const TARGETS: &str = "SELECT id, model_id, service_id, addresses_json, ip_address FROM instances \
    WHERE worker_json IS NOT NULL AND status = 'ready' AND model_id IS NOT NULL ORDER BY id";

/// An instance whose model answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its id, which is the name in its certificate.
    pub id: InstanceId,
    /// Its model.
    pub model_id: String,
    /// The service that it belongs to.
    pub service_id: Option<ServiceId>,
    /// Its first public address.
    pub address: Option<String>,
}

impl Store {
    /// Inserts a service.
    ///
    /// # Errors
    /// [`Error::Duplicate`] when a service that is not deleted has the name; when the database refuses.
    pub async fn insert_service(&self, s: &Service) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(s.id.as_str()).text(&s.name).text(&s.account_id).text(&s.provider).text(&s.spec.model_id);
        a.text(s.desired.text()).json(&s.spec).int(s.revision).text(s.status.text()).opt_text(s.reason.as_deref());
        a.json(&s.state).opt_time(s.warm_until).time(s.created_at).time(s.updated_at).opt_time(s.deleted_at);
        a.int(s.version).opt_time(s.expires_at);
        self.db.write(vec![a.statement(INSERT)]).await.map(|_| ())
    }

    /// Writes a service, if it is still in the version that was read.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn save_service(&self, s: &Service) -> Result<Saved, Error> {
        Ok(match self.db.write(vec![update(s)]).await? {
            Written::Done => Saved::Version(s.version + 1),
            Written::Stale => Saved::Stale,
        })
    }

    /// The services that are not deleted, oldest first; with an account, only those in it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn services(&self, account_id: Option<&str>) -> Result<Vec<Service>, Error> {
        let mut a = Args::new();
        let rows = match account_id {
            Some(account) => self.db.read(a.text(account).statement(LIVING_OF)).await?,
            None => self.db.read(a.statement(LIVING)).await?,
        };
        rows.iter().map(|r| read(&Columns(r))).collect()
    }

    /// The services that are not deleted, or were deleted after a time, oldest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) async fn recent_services(&self, since: Timestamp) -> Result<Vec<Service>, Error> {
        let mut a = Args::new();
        a.time(since);
        let rows = self.db.read(a.statement(RECENT)).await?;
        rows.iter().map(|r| read(&Columns(r))).collect()
    }

    /// The service with an id or a name. Of several with that name, the one that is not deleted, else the last one.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn service(&self, id_or_name: &str) -> Result<Option<Service>, Error> {
        let mut a = Args::new();
        a.text(id_or_name);
        let sql = if ServiceId::parse(id_or_name).is_some() { "SELECT * FROM services WHERE id = $1" } else { NAMED };
        let rows = self.db.read(a.statement(sql)).await?;
        rows.first().map(|r| read(&Columns(r))).transpose()
    }

    /// The instances of a service that have not ended, and those that were created or ended after a time, in milliseconds
    /// since 1970.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn replicas(&self, id: &ServiceId, ended_since_ms: u64) -> Result<Vec<InstanceId>, Error> {
        let mut a = Args::new();
        a.text(id.as_str()).text(InstanceId::first_at(ended_since_ms).as_str());
        a.int(i64::try_from(ended_since_ms).unwrap_or(i64::MAX).saturating_mul(1_000));
        let rows = self.db.read(a.statement(REPLICAS)).await?;
        rows.iter().map(|r| Columns(r).word("id", InstanceId::parse)).collect()
    }

    /// Every instance whose model answers.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn targets(&self) -> Result<Vec<Target>, Error> {
        let rows = self.db.read(Args::new().statement(TARGETS)).await?;
        let target = |c: Columns<'_>| {
            let addresses: Vec<String> = c.json("addresses_json")?;
            Ok(Target {
                id: c.word("id", InstanceId::parse)?,
                model_id: c.text("model_id")?,
                service_id: c.opt_word("service_id", ServiceId::parse)?,
                address: addresses.into_iter().next().or(c.opt_text("ip_address")?),
            })
        };
        rows.iter().map(|r| target(Columns(r))).collect()
    }
}

/// Guarded by the version as read.
pub(crate) fn update(s: &Service) -> Statement {
    let mut a = Args::new();
    a.text(s.desired.text()).json(&s.spec).int(s.revision).text(s.status.text()).opt_text(s.reason.as_deref());
    a.json(&s.state).opt_time(s.warm_until).time(s.updated_at).opt_time(s.deleted_at).int(s.version + 1);
    a.opt_time(s.expires_at);
    a.text(s.id.as_str()).int(s.version);
    a.guarded(UPDATE)
}

fn read(c: &Columns<'_>) -> Result<Service, Error> {
    Ok(Service {
        id: c.word("id", ServiceId::parse)?,
        name: c.text("name")?,
        account_id: c.text("account_id")?,
        provider: c.text("provider")?,
        desired: c.word("desired", Desired::parse)?,
        spec: c.json("spec_json")?,
        revision: c.int("revision")?,
        status: c.word("status", ServiceStatus::parse)?,
        reason: c.opt_text("reason")?,
        state: c.json("state_json")?,
        warm_until: c.opt_time("warm_until")?,
        expires_at: c.opt_time("expires_at")?,
        created_at: c.time("created_at")?,
        updated_at: c.time("updated_at")?,
        deleted_at: c.opt_time("deleted_at")?,
        version: c.int("version")?,
    })
}
