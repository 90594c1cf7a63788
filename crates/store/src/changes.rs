//! Instances in the order in which what they show has changed: what a stream of changes is made of.
//!
//! Whoever writes an instance only marks it (`changed = 0`); whoever streams gives the marked ones the next number, all of
//! them in one commit, and the numbers are given one after the other (the row of `changes` lets one in at a time). So a
//! reader who has seen a number has seen everything that will ever have it: no writer waits for another one, and a commit
//! that comes late is numbered late. An instance has its latest number alone: a slow reader skips what is over already, and
//! nothing has to be kept.

use crate::Store;
use crate::args::{Args, Columns, Statement};
use crate::error::{Error, corrupt};
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::{Aggregate, Instance};
use std::collections::HashMap;
use std::fmt;

/// How many instances one commit numbers: nothing waits for it for long.
const BATCH: u32 = 500;

const MARK: &str = "INSERT INTO instance_changes (instance_id, changed) VALUES ($1, 0) \
    ON CONFLICT (instance_id) DO UPDATE SET changed = 0";
const FRESH: &str = "SELECT instance_id FROM instance_changes WHERE changed = 0 ORDER BY instance_id LIMIT $1";
const AFTER: &str = "SELECT instance_id, changed FROM instance_changes \
    WHERE (changed, instance_id) > ($1, $2) AND changed > 0 ORDER BY changed, instance_id LIMIT $3";
const LAST: &str = "SELECT last, history FROM changes";
const RENEW: &str = "UPDATE changes SET history = $1";
/// Every text begins after it, and no id is it.
const NO_ID: &str = "";

/// A place in the stream of changes, as text `NUMBER.INSTANCE.HISTORY`: after that change, of that instance. It holds on
/// every server that works with the same database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    number: i64,
    instance: String,
    history: String,
}

impl Cursor {
    /// `None`: no place has this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (number, instance, history) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        let is_word = |t: &str| t.len() <= 100 && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let fits = number > 0 && is_word(instance) && is_word(history) && !history.is_empty();
        fits.then(|| Self { number, instance: instance.to_owned(), history: history.to_owned() })
    }

    /// Whether it belongs to what the database has gone through whose newest place is given: not to another one, to a past
    /// that was lost with a server, or to a time after the backup that this one was restored from.
    #[must_use]
    pub fn is_behind(&self, newest: &Self) -> bool {
        self.history == newest.history && !self.is_after(newest)
    }

    /// Whether it comes after another one of the same history.
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

/// Whether more differs than when it is looked at next.
pub(crate) fn shows_a_change(before: &Aggregate, after: &Aggregate) -> bool {
    let (b, a) = (&before.instance, &after.instance);
    let looked_at = Instance { settled: a.settled, wake_at: a.wake_at, version: a.version, ..b.clone() };
    looked_at != *a || before.servers != after.servers || before.volumes != after.volumes
}

/// An instance that changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// The place after it.
    pub place: Cursor,
    /// What it is now, or a moment later.
    pub instance: Aggregate,
}

impl Store {
    /// The place after everything that is committed and that nobody is about to change again.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn newest_place(&self) -> Result<Cursor, Error> {
        self.number_changes().await?;
        let servers = self.db.history().await?;
        let rows = self.db.read(Args::new().statement(LAST)).await?;
        let c = rows.first().map(Columns).ok_or_else(|| corrupt("changes: it has no row"))?;
        let history = format!("{}-{servers}", c.text("history")?);
        // Before the first of the next number: whatever has this one is behind it.
        Ok(Cursor { number: c.int("last")?.saturating_add(1), instance: NO_ID.to_owned(), history })
    }

    /// Begins another history: from now on no place is known that was given before. `drawn` was never drawn here.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_places(&self, drawn: u128) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(&format!("{drawn:x}"));
        self.db.write(vec![a.statement(RENEW)]).await.map(|_| ())
    }

    /// Gives every change that is committed its number; one that is being changed again gets it the next time.
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

    /// At most `limit` instances that changed after a place and have their number, in the order of the numbers.
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
