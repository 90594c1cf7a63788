//! Instances in the order of their visible changes: the source of the stream of changes.
//!
//! A writer of an instance only marks it (`changed = 0`). A reader of the stream gives all marked instances the next
//! number in one commit; the row of `changes` serialises this. So a reader that has seen a number has seen everything
//! that will ever have it. No writer waits for another writer, and a late commit gets a late number. An instance has
//! only its latest number: a slow reader skips intermediate states, and nothing has to be retained.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::error::{Error, corrupt};
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::{Aggregate, Instance};
use std::collections::HashMap;
use std::fmt;

/// How many instances one commit numbers: bounds how long others wait for it.
const BATCH: u32 = 500;

const MARK: &str = "INSERT INTO instance_changes (instance_id, changed) VALUES ($1, 0) \
    ON CONFLICT (instance_id) DO UPDATE SET changed = 0";
const FRESH: &str = "SELECT instance_id FROM instance_changes WHERE changed = 0 ORDER BY instance_id LIMIT $1";
const AFTER: &str = "SELECT instance_id, changed FROM instance_changes \
    WHERE (changed, instance_id) > ($1, $2) AND changed > 0 ORDER BY changed, instance_id LIMIT $3";
const LAST: &str = "SELECT last, history FROM changes";
const RENEW: &str = "UPDATE changes SET history = $1";
/// Sorts before every id, and is not an id.
const NO_ID: &str = "";

/// A position in the stream of changes, as text `NUMBER.INSTANCE.HISTORY`: after that change of that instance. It is
/// valid on every replica with the same database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    number: i64,
    instance: String,
    history: String,
}

impl Cursor {
    /// `None`: not a position.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (number, instance, history) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        let is_word = |t: &str| t.len() <= 100 && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let fits = number > 0 && is_word(instance) && is_word(history) && !history.is_empty();
        fits.then(|| Self { number, instance: instance.to_owned(), history: history.to_owned() })
    }

    /// Whether it is in the past of the database with this newest position: not of another database, of writes that a
    /// failover lost, or of the time after the backup that this database was restored from.
    #[must_use]
    pub fn is_behind(&self, newest: &Self) -> bool {
        self.history == newest.history && !self.is_after(newest)
    }

    /// Whether it comes after another position of the same history.
    #[must_use]
    pub fn is_after(&self, other: &Self) -> bool {
        (self.number, &self.instance) > (other.number, &other.instance)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.number, self.instance, self.history)
    }
}

/// Marks an instance.
pub(crate) fn mark(id: &InstanceId) -> Statement {
    let mut a = Args::new();
    a.text(id.as_str());
    a.statement(MARK)
}

/// Whether more changed than the schedule of the next reconciliation.
pub(crate) fn shows_a_change(before: &Aggregate, after: &Aggregate) -> bool {
    let (b, a) = (&before.instance, &after.instance);
    let looked_at = Instance { settled: a.settled, wake_at: a.wake_at, version: a.version, ..b.clone() };
    looked_at != *a || before.servers != after.servers || before.volumes != after.volumes
}

/// An instance that changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// The position after it.
    pub place: Cursor,
    /// Its state at this change or later.
    pub instance: Aggregate,
}

impl Store {
    /// The position after everything that is committed, except instances that are being changed again.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn newest_place(&self) -> Result<Cursor, Error> {
        self.number_changes().await?;
        let servers = self.db.history().await?;
        let rows = self.db.read(Args::new().statement(LAST)).await?;
        let c = rows.first().map(Columns).ok_or_else(|| corrupt("changes: it has no row"))?;
        let history = format!("{}-{servers}", c.text("history")?);
        // Before the first instance of the next number: everything with the current number is behind it.
        Ok(Cursor { number: c.int("last")?.saturating_add(1), instance: NO_ID.to_owned(), history })
    }

    /// Begins a new history: all earlier positions become unknown. `drawn` must never have been used here.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_places(&self, drawn: u128) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(&format!("{drawn:x}"));
        self.db.write(vec![a.statement(RENEW)]).await.map(|_| ())
    }

    /// Numbers every committed change; an instance that is being changed again is numbered the next time.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn number_changes(&self) -> Result<(), Error> {
        loop {
            let mut a = Args::new();
            a.int(BATCH.into());
            let fresh = self.db.read(a.statement(FRESH)).await?.len();
            if fresh == 0 || self.db.number_changes(BATCH, fresh).await? < BATCH as usize {
                return Ok(());
            }
        }
    }

    /// At most `limit` numbered instances that changed after a position, in the order of their numbers.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn changes(&self, after: &Cursor, limit: u32) -> Result<Vec<Change>, Error> {
        let mut a = Args::new();
        a.int(after.number).text(&after.instance).int(limit.into());
        let rows = self.db.read(a.statement(AFTER)).await?;
        let mut places = Vec::with_capacity(rows.len());
        for c in rows.iter().map(Columns) {
            places.push((c.word("instance_id", InstanceId::parse)?, c.int("changed")?));
        }
        let mut ids: Vec<InstanceId> = places.iter().map(|(id, _)| id.clone()).collect();
        ids.sort();
        let mut whole: HashMap<InstanceId, Aggregate> =
            self.instances_by_id(&ids).await?.into_iter().map(|a| (a.instance.id.clone(), a)).collect();
        let change = |(id, number): (InstanceId, i64)| {
            let place = Cursor { number, instance: id.to_string(), history: after.history.clone() };
            Some(Change { instance: whole.remove(&id)?, place })
        };
        Ok(places.into_iter().filter_map(change).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_nothing_else_is() {
        for text in ["1..file", "57.ins_0a-1.7312-00000001-5", "9223372036854775807.a.b"] {
            assert_eq!(Cursor::parse(text).unwrap().to_string(), text);
        }
        let long = format!("1.{}.file", "a".repeat(101));
        for text in ["", "1", "1.a", "1.a.", "0.a.file", "-1.a.file", "x.a.file", "1.a'.file", "1.a.fi\nle", &long] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_place_is_trusted_only_where_it_comes_from() {
        let place = |text| Cursor::parse(text).unwrap();
        let newest = place("8..x");
        for (text, trusted) in [("8..x", true), ("7.a.x", true), ("7.a.y", false), ("8.a.x", false), ("9..x", false)] {
            assert_eq!(place(text).is_behind(&newest), trusted, "{text}");
        }
    }
}
