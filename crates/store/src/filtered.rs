//! Lists that can be narrowed: a text of its own for each set of filters.
//!
//! With one text for all (`$2 IS NULL OR status = $2`), a database plans for the average: it walks through all that ever
//! ended to find what lives. A status stands in the text itself, so that it is known how few rows have it.

use crate::args::{Args, Statement};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The texts for one table, each made when it is needed first.
pub(crate) struct Filtered {
    table: &'static str,
    texts: Mutex<Option<HashMap<String, &'static str>>>,
}

impl Filtered {
    pub(crate) const fn new(table: &'static str) -> Self {
        Self { table, texts: Mutex::new(None) }
    }

    /// `limit` rows after the id `after`, in the order of ids, of one status (a word of ours, never a user's) and where
    /// these columns have these values.
    pub(crate) fn statement(
        &self,
        after: Option<&str>,
        status: Option<&'static str>,
        equal: &[(&'static str, Option<&str>)],
        limit: u32,
    ) -> Statement {
        let mut a = Args::new();
        a.text(after.unwrap_or_default());
        let mut condition = status.map(|s| format!(" AND status = '{s}'")).unwrap_or_default();
        for (column, value) in equal {
            if let Some(value) = value {
                a.text(value);
                condition.push_str(&format!(" AND {column} = ${}", a.len()));
            }
        }
        a.int(limit.into());
        let place = a.len();
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let text = texts.get_or_insert_default().entry(condition).or_insert_with_key(|condition| {
            let table = self.table;
            // As many as there are sets of filters, and no more.
            format!("SELECT * FROM {table} WHERE id > $1{condition} ORDER BY id LIMIT ${place}").leak()
        });
        a.statement(text)
    }
}
