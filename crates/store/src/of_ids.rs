//! Statements for all rows that belong to some ids.

use crate::args::{Args, Statement};
use inventiv_core::id::InstanceId;

/// How many ids one statement has; shorter lists are padded with ids that do not exist.
pub(crate) const MANY: usize = 100;
/// The same for short lists: most ticks have few instances, and padding costs as much as ids.
const FEW: usize = 4;

/// The statements for all rows that belong to some ids.
pub(crate) struct OfIds {
    few: &'static str,
    many: &'static str,
}

impl OfIds {
    /// Created once per table and process.
    pub(crate) fn new(table: &str, column: &str) -> Self {
        let text = |ids: usize| -> &'static str {
            let places: Vec<String> = (1..=ids).map(|n| format!("${n}")).collect();
            format!("SELECT * FROM {table} WHERE {column} IN ({}) ORDER BY id", places.join(", ")).leak()
        };
        Self { few: text(FEW), many: text(MANY) }
    }

    /// For at most [`MANY`] ids.
    pub(crate) fn statement<'i>(&self, ids: impl ExactSizeIterator<Item = &'i InstanceId>) -> Statement {
        let (sql, room) = if ids.len() <= FEW { (self.few, FEW) } else { (self.many, MANY) };
        let (mut a, empty) = (Args::new(), room.saturating_sub(ids.len()));
        for id in ids {
            a.text(id.as_str());
        }
        for _ in 0..empty {
            a.text("");
        }
        a.statement(sql)
    }
}
