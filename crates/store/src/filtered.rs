//! Lists with filters: one statement for each set of filters.
//!
//! With one statement for all (`$2 IS NULL OR status = $2`), a database plans for the average: it scans all ended rows
//! to find the living ones. A status is a literal in the statement, so that PostgreSQL knows how few rows have it.
//! SQLite has no statistics: if few rows have a status, the statement is written so that only the index of the status
//! can serve it.

use crate::args::{Args, Statement};
use parking_lot::Mutex;
use std::collections::HashMap;

/// A status to filter by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The status.
    pub(crate) text: &'static str,
    /// Rows have it only temporarily, so few rows have it.
    pub(crate) passes: bool,
}

/// The statements for one table, each created on first use.
pub(crate) struct Filtered {
    table: &'static str,
    newest_first: bool,
    texts: Mutex<Option<HashMap<String, &'static str>>>,
}

impl Filtered {
    pub(crate) const fn new(table: &'static str) -> Self {
        Self { table, newest_first: false, texts: Mutex::new(None) }
    }

    /// In descending order of ids: `after` is where a page begins, too, and must be given.
    pub(crate) const fn newest_first(table: &'static str) -> Self {
        Self { table, newest_first: true, texts: Mutex::new(None) }
    }

    /// `limit` rows after the id `after`, in the order of ids, with this status and these column values.
    pub(crate) fn statement(
        &self,
        after: Option<&str>,
        status: Option<Wanted>,
        equal: &[(&'static str, Option<&str>)],
        limit: u32,
    ) -> Statement {
        let mut a = Args::new();
        a.text(after.unwrap_or_default());
        let mut condition = status.map(|s| format!(" AND status = '{}'", s.text)).unwrap_or_default();
        let by_status = status.is_some_and(|s| s.passes);
        // There are few accounts: an index on them would not find few rows.
        let unindexed = |column: &str| by_status || column == "account_id";
        for (column, value) in equal {
            if let Some(value) = value {
                a.text(value);
                let column = if unindexed(column) { format!("COALESCE({column}, '')") } else { (*column).to_owned() };
                condition.push_str(&format!(" AND {column} = ${}", a.len()));
            }
        }
        a.int(limit.into());
        let place = a.len();
        let mut texts = self.texts.lock();
        let text = texts.get_or_insert_default().entry(condition).or_insert_with_key(|condition| {
            let table = self.table;
            // Leaks at most one statement for each set of filters.
            let (after, order) = if self.newest_first { ('<', " DESC") } else { ('>', "") };
            format!("SELECT * FROM {table} WHERE id {after} $1{condition} ORDER BY id{order} LIMIT ${place}").leak()
        });
        a.statement(text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use crate::Store;
    use crate::args::Columns;

    /// The query plan of SQLite.
    async fn plan(store: &Store, statement: Statement) -> String {
        let sql: &'static str = format!("EXPLAIN QUERY PLAN {}", statement.sql).leak();
        let rows = store.db.read(Statement { sql, ..statement }).await.unwrap();
        rows.iter().map(|r| Columns(r).text("detail").unwrap()).collect::<Vec<_>>().join("; ")
    }

    #[tokio::test]
    async fn sqlite_which_knows_no_figures_goes_by_what_few_rows_have() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("t.db").display())).await.unwrap();
        let (instances, volumes) = (Filtered::new("instances"), Filtered::new("instance_volumes"));
        let ready = Some(Wanted { text: "ready", passes: true });
        let attached = Some(Wanted { text: "attached", passes: true });
        let over = Some(Wanted { text: "terminated", passes: false });
        let (zone, model, nothing) = (("zone", Some("z")), ("model_id", Some("m")), ("zone", None));
        let cases = [
            (instances.statement(None, None, &[nothing], 9), "sqlite_autoindex_instances_1"),
            (instances.statement(None, ready, &[nothing], 9), "instances_status"),
            (instances.statement(None, ready, &[zone, model], 9), "instances_status"),
            (instances.statement(None, ready, &[nothing, model], 9), "instances_status"),
            (instances.statement(None, None, &[zone], 9), "instances_in_zone"),
            (instances.statement(None, over, &[zone], 9), "instances_in_zone"),
            (instances.statement(None, None, &[model], 9), "instances_model"),
            (instances.statement(None, None, &[("account_id", Some("a"))], 9), "sqlite_autoindex_instances_1"),
            (instances.statement(None, None, &[zone, ("account_id", Some("a"))], 9), "instances_in_zone"),
            (volumes.statement(None, attached, &[("instance_id", None), zone], 9), "instance_volumes_status"),
            (volumes.statement(None, None, &[zone], 9), "instance_volumes_in_zone"),
            (volumes.statement(None, None, &[("instance_id", Some("i"))], 9), "instance_volumes_"),
        ];
        for (statement, index) in cases {
            let text = statement.sql;
            let reported = plan(&store, statement).await;
            // One instance has few volumes.
            let sorted = reported.contains("TEMP B-TREE") && !text.contains("instance_id");
            assert!(reported.starts_with("SEARCH") && reported.contains(index) && !sorted, "{text}: {reported}");
        }
    }
}
