//! Instances in the order in which what they show has changed: what a stream of changes is made of.
//!
//! Whoever writes an instance only marks it (`changed = 0`); whoever streams gives the marked ones the next number, all of
//! them in one commit, and the numbers are given one after the other (the row of `changes` lets one in at a time). So a
//! reader who has seen a number has seen everything that will ever have it: no writer waits for that, and a commit that
//! comes late is numbered late. An instance has its latest number alone: a slow reader skips what is over already, and
//! nothing has to be kept.

use crate::args::{Args, Columns};
use crate::error::{Error, corrupt};
use crate::{Store, instance_rows};
use inventiv_core::recorded::Aggregate;
use std::fmt;

/// How many instances one commit numbers: nothing waits for it for long.
const BATCH: u32 = 500;

const FRESH: &str = "SELECT id FROM instances WHERE changed = 0 ORDER BY id LIMIT $1";
const AFTER: &str =
    "SELECT * FROM instances WHERE (changed, id) > ($1, $2) AND changed > 0 ORDER BY changed, id LIMIT $3";
const LAST: &str = "SELECT last FROM changes";
/// Every text begins after it, and no id is it.
const NO_ID: &str = "";

/// A place in the stream of changes, as text `NUMBER.INSTANCE.HISTORY`: after that change, of that instance. It holds on
/// every server that works with the same database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    number: i64,
    instance: String,
    history: String,
}

impl Place {
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

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.number, self.instance, self.history)
    }
}

/// An instance that changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// The place after it.
    pub place: Place,
    /// What it is now, or a moment later.
    pub instance: Aggregate,
}

impl Store {
    /// The place after everything that is committed.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn newest_place(&self) -> Result<Place, Error> {
        let history = self.db.history().await?;
        self.number_changes().await?;
        let rows = self.db.read(Args::new().statement(LAST)).await?;
        let last = rows.first().map(Columns).ok_or_else(|| corrupt("changes: it has no row"))?.int("last")?;
        // Before the first of the next number: whatever has this one is behind it.
        Ok(Place { number: last.saturating_add(1), instance: NO_ID.to_owned(), history })
    }

    /// Gives every change that is committed its number.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn number_changes(&self) -> Result<(), Error> {
        loop {
            let mut a = Args::new();
            a.int(BATCH.into());
            let fresh = self.db.read(a.statement(FRESH)).await?.len();
            if fresh > 0 {
                self.db.number_changes(BATCH).await?;
            }
            if fresh < BATCH as usize {
                return Ok(());
            }
        }
    }

    /// At most `limit` instances that changed after a place and have their number, in the order of the numbers.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn changes(&self, after: &Place, limit: u32) -> Result<Vec<Change>, Error> {
        let mut a = Args::new();
        a.int(after.number).text(&after.instance).int(limit.into());
        let rows = self.db.read(a.statement(AFTER)).await?;
        let mut places = Vec::with_capacity(rows.len());
        for row in &rows {
            let c = Columns(row);
            let (number, instance) = (c.int("changed")?, instance_rows::read(&c)?.id.to_string());
            places.push(Place { number, instance, history: after.history.clone() });
        }
        let mut whole: std::collections::HashMap<String, Aggregate> =
            self.whole(&rows).await?.into_iter().map(|a| (a.instance.id.to_string(), a)).collect();
        let change = |place: Place| Some(Change { instance: whole.remove(&place.instance)?, place });
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
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
        let long = format!("1.{}.file", "a".repeat(101));
        for text in ["", "1", "1.a", "1.a.", "0.a.file", "-1.a.file", "x.a.file", "1.a'.file", "1.a.fi\nle", &long] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_place_is_trusted_only_where_it_comes_from() {
        let place = |text| Place::parse(text).unwrap();
        let newest = place("8..x");
        for (text, trusted) in [("8..x", true), ("7.a.x", true), ("7.a.y", false), ("8.a.x", false), ("9..x", false)] {
            assert_eq!(place(text).is_behind(&newest), trusted, "{text}");
        }
    }
}
