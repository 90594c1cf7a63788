//! Leases: which of several replicas works on a zone.

use crate::Store;
use crate::args::{Args, Columns};
use crate::db::Written;
use crate::error::Error;
use inventiv_core::lease::Lease;
use std::collections::BTreeMap;

const LIST: &str = "SELECT zone, holder, heartbeat FROM leases WHERE account_id = $1";
/// If two replicas begin it at once, one of them changes nothing.
const BEGIN: &str = "INSERT INTO leases (account_id, zone, holder, heartbeat) VALUES ($1, $2, $3, 1) \
    ON CONFLICT (account_id, zone) DO NOTHING";
const TAKE: &str = "UPDATE leases SET holder = $3, heartbeat = heartbeat + 1 WHERE account_id = $1 AND zone = $2 \
    AND holder = $4 AND heartbeat = $5";
const GIVE_BACK: &str = "UPDATE leases SET holder = '', heartbeat = heartbeat + 1 WHERE account_id = $1 AND zone = $2 \
    AND holder = $3 AND heartbeat = $4";
const UNDER_WAY: &str = "SELECT zone, COUNT(*) AS n FROM instances WHERE account_id = $1 AND settled = 0 GROUP BY zone";
const RELEASE: &str = "UPDATE leases SET holder = '', heartbeat = heartbeat + 1 WHERE account_id = $1 AND holder = $2";

impl Store {
    /// Every lease of an account.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn leases(&self, account: &str) -> Result<Vec<Lease>, Error> {
        let mut a = Args::new();
        a.text(account);
        let one = |r| {
            let c = Columns(r);
            Ok(Lease { zone: c.text("zone")?, holder: c.text("holder")?, heartbeat: c.int("heartbeat")? })
        };
        self.db.read(a.statement(LIST)).await?.iter().map(one).collect()
    }

    /// The number of unsettled instances by zone; zones without any are omitted.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn under_way(&self, account: &str) -> Result<BTreeMap<String, i64>, Error> {
        let mut a = Args::new();
        a.text(account);
        let rows = self.db.read(a.statement(UNDER_WAY)).await?;
        rows.iter().map(|r| Ok((Columns(r).text("zone")?, Columns(r).int("n")?))).collect()
    }

    /// Takes a lease that no replica ever held; `false`: another replica was faster.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn begin_lease(&self, account: &str, zone: &str, me: &str) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(account).text(zone).text(me);
        Ok(self.db.write(vec![a.guarded(BEGIN)]).await? == Written::Done)
    }

    /// Takes or renews a lease if it is still as it was read; `false`: it has changed.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn take_lease(&self, account: &str, seen: &Lease, me: &str) -> Result<bool, Error> {
        let mut a = Args::new();
        a.text(account).text(&seen.zone).text(me).text(&seen.holder).int(seen.heartbeat);
        Ok(self.db.write(vec![a.guarded(TAKE)]).await? == Written::Done)
    }

    /// Releases one lease if it is still as it was read; another replica's lease is left alone.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn give_lease_back(&self, account: &str, seen: &Lease) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(account).text(&seen.zone).text(&seen.holder).int(seen.heartbeat);
        self.db.write(vec![a.statement(GIVE_BACK)]).await.map(|_| ())
    }

    /// Releases all leases of a replica.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn release_leases(&self, account: &str, me: &str) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(account).text(me);
        self.db.write(vec![a.statement(RELEASE)]).await.map(|_| ())
    }
}
