//! The migrations, embedded into the program.
//!
//! `sqlx::migrate!` would list the files, but its macros need a second build of sqlx and both drivers, for the compiler.

use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use std::sync::LazyLock;

macro_rules! file {
    ($name:literal) => {
        ($name, include_str!(concat!("../../migrations/", $name)))
    };
}

/// The files of the folder `migrations`, in order.
const FILES: [(&str, &str); 20] = [
    file!("0014_baseline.sql"),
    file!("0015_stopped_instances.sql"),
    file!("0016_reused_volumes.sql"),
    file!("0017_secrets.sql"),
    file!("0018_workers.sql"),
    file!("0019_gateway.sql"),
    file!("0020_ledger.sql"),
    file!("0021_expiry.sql"),
    file!("0022_limits.sql"),
    file!("0023_idempotent_requests.sql"),
    file!("0024_plans.sql"),
    file!("0025_settled_costs.sql"),
    file!("0026_alerts.sql"),
    file!("0027_on_limit.sql"),
    file!("0028_sessions.sql"),
    file!("0029_limit_scopes.sql"),
    file!("0030_idle_ends.sql"),
    file!("0031_counting.sql"),
    file!("0032_orphan_charges.sql"),
    file!("0033_settled_days.sql"),
];

/// Every migration, by number.
pub(super) static MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| Migrator::with_migrations(FILES.iter().filter_map(|(name, sql)| migration(name, sql)).collect()));

/// A migration from a file such as `0014_baseline.sql`. Its number, and the SHA-384 of its text, are in the databases that
/// have it.
fn migration(name: &'static str, sql: &'static str) -> Option<Migration> {
    let (number, rest) = name.strip_suffix(".sql")?.split_once('_')?;
    let description = rest.replace('_', " ").into();
    Some(Migration::new(number.parse().ok()?, description, MigrationType::Simple, SqlStr::from_static(sql), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_migration() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        assert_eq!(files, FILES.map(|(name, _)| name));
        let known: Vec<String> =
            MIGRATIONS.iter().map(|m| format!("{:04}_{}.sql", m.version, m.description.replace(' ', "_"))).collect();
        assert_eq!(files, known);
        // Within a transaction, as all of them.
        assert!(FILES.iter().all(|(_, sql)| !sql.starts_with("-- no-transaction")));
    }
}
