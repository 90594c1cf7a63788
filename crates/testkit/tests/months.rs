//! Tests of the partitioned action log on PostgreSQL: a permanent partition for proofs, and monthly ones for the rest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_core::id::LogId;
use inventiv_core::month::{Month, begin_of_month};
use inventiv_core::proof::CALLS;
use inventiv_core::time::Timestamp;
use inventiv_orchestrator::Clock;
use inventiv_orchestrator::clock::SystemClock;
use inventiv_store::Store;
use inventiv_testkit::{Database, World, database};
use serde_json::{Value, json};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const DAY_MS: i64 = 86_400_000;

fn there_is_a_server() -> bool {
    Database::both().contains(&Database::Postgres)
}

fn name_of(url: &str) -> &str {
    url.split('?').next().unwrap().rsplit('/').next().unwrap()
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn run(on: &mut PgConnection, sql: &str) {
    on.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
}

async fn number(on: &mut PgConnection, sql: &str) -> i64 {
    on.fetch_one(AssertSqlSafe(sql.to_owned())).await.unwrap().get(0)
}

/// The number of lines in each partition.
async fn parts(on: &mut PgConnection) -> BTreeMap<String, i64> {
    let rows = on.fetch_all("SELECT tableoid::regclass::text, COUNT(*) FROM action_logs GROUP BY 1").await.unwrap();
    rows.iter().map(|r| (r.get::<String, _>(0).replace("action_logs_", ""), r.get(1))).collect()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Inserts a minimal line that begins at a moment.
async fn line(on: &mut PgConnection, begun: &str, random: u128, action: &str, status: &str) -> LogId {
    let begun = at(begun);
    let ms = u128::try_from(begun.0 / 1000).unwrap();
    let id = LogId::new(ms << 80 | random);
    let sql = format!(
        "INSERT INTO action_logs (id, action, status, provider, account_id, zone, details, started_at) \
        VALUES ('{id}', '{action}', '{status}', 'scaleway', 'a', 'fr-par-2', 'a line', {})",
        begun.0
    );
    run(on, &sql).await;
    id
}

/// The schema of the version that had a single table for the log.
async fn before_the_months(on: &mut PgConnection) {
    let all = Migrator::new(Path::new("../store/migrations")).await.unwrap();
    Migrator::with_migrations(all.iter().filter(|m| m.version < 7).cloned().collect()).run(on).await.unwrap();
}

fn months(texts: &[&str]) -> Vec<Month> {
    texts.iter().map(|t| Month::parse(t).unwrap()).collect()
}

fn request() -> Value {
    json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "data_volume_gb": 20})
}

#[tokio::test]
async fn a_log_in_one_table_is_partitioned_with_every_line_and_all_grants() {
    if !there_is_a_server() {
        return;
    }
    let (url, _home) = database(Database::Postgres).await;
    let mut c = connect(&url).await;
    before_the_months(&mut c).await;
    let role = format!("reader_{}", name_of(&url));
    run(&mut c, &format!("CREATE ROLE {role}; GRANT SELECT, INSERT ON action_logs TO {role} WITH GRANT OPTION")).await;
    run(&mut c, "GRANT SELECT ON action_logs TO PUBLIC").await;
    // A superuser that does not own the tables migrates the schema.
    run(&mut c, &format!("CREATE ROLE \"{role}'s owner\"; ALTER TABLE action_logs OWNER TO \"{role}'s owner\"")).await;
    let actions = CALLS.iter().copied().chain(["PROVIDER_START", "PROVIDER_ATTACH_VOLUME", "USER_TERMINATE"]);
    for (n, action) in (0..).zip(actions.cycle().take(200)) {
        line(&mut c, "2026-05-31T23:59:59Z", n, action, "completed").await;
        line(&mut c, "2026-06-01T00:00:00Z", n, action, "in_progress").await;
    }
    let first = line(&mut c, "2026-06-01T00:00:00Z", 1 << 79, "PROVIDER_START", "in_progress").await.to_string();
    run(&mut c, &format!("UPDATE action_logs SET error = 'no' WHERE id = '{first}'")).await;
    let before = c.fetch_all("SELECT CAST(l AS TEXT) FROM action_logs l ORDER BY id").await.unwrap();
    let texts = |rows: Vec<sqlx::postgres::PgRow>| rows.iter().map(|r| r.get::<String, _>(0)).collect::<Vec<_>>();

    // A replica of the old version continues with its prepared statements, but must prepare row reads again.
    let (close, list) = ("UPDATE action_logs SET error = $1 WHERE id = $2", "SELECT * FROM action_logs WHERE id = $1");
    let mut older = connect(&url).await;
    let closed = sqlx::query(close).bind("no").bind(&first).execute(&mut older).await.unwrap();
    assert_eq!(closed.rows_affected(), 1);
    sqlx::query(list).bind(&first).fetch_one(&mut older).await.unwrap();
    let store = Store::open(&url).await.unwrap();
    let closed = sqlx::query(close).bind("no").bind(&first).execute(&mut older).await.unwrap();
    assert_eq!(closed.rows_affected(), 1);
    let Err(sqlx::Error::Database(outdated)) = sqlx::query(list).bind(&first).fetch_one(&mut older).await else {
        panic!("the type of ids has changed: they compare byte by byte")
    };
    assert_eq!(outdated.code().as_deref(), Some("0A000"), "the prepared statement is outdated");

    let after = c.fetch_all("SELECT CAST(l AS TEXT) FROM action_logs l ORDER BY id").await.unwrap();
    assert_eq!(texts(after), texts(before));
    let rights = format!(
        "SELECT COUNT(*) FROM information_schema.role_table_grants WHERE table_name = 'action_logs' \
        AND (grantee = '{role}' AND is_grantable = 'YES' AND privilege_type IN ('SELECT', 'INSERT') \
        OR grantee = 'PUBLIC' AND privilege_type = 'SELECT')"
    );
    assert_eq!(number(&mut c, &rights).await, 3);
    let outside = "SELECT COUNT(*) FROM action_logs_proofs WHERE action LIKE 'USER%' OR action LIKE '%START' \
        OR action LIKE '%ATTACH%'";
    assert_eq!(number(&mut c, outside).await, 0);

    let parts = parts(&mut c).await;
    assert_eq!(parts.keys().collect::<Vec<_>>(), ["2026_05", "2026_06", "proofs"]);
    assert_eq!(parts["2026_05"] + 1, parts["2026_06"]);
    assert_eq!(parts.values().sum::<i64>(), 401);
    // The months are those that a replica would have created.
    let now = SystemClock.now();
    let there = store.action_log_months().await.unwrap();
    assert_eq!(there[..3], months(&["2026_05", "2026_06", "2026_07"]));
    assert!(store.arrange_action_logs(there[1].begins(), None).await.unwrap().made.is_empty());
    let arranged = store.arrange_action_logs(now, None).await.unwrap();
    assert!(arranged.made.is_empty() && arranged.gone.iter().all(|(_, lines)| *lines == 0), "{arranged:?}");
    let left = there.iter().filter(|month| arranged.gone.iter().all(|(gone, _)| gone != *month));
    assert!(left.count() >= 5, "{arranged:?}");
    let others = format!(
        "SELECT COUNT(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relname LIKE 'action_logs%' \
        AND pg_get_userbyid(relowner) <> '{role}''s owner'"
    );
    store.arrange_action_logs(now.plus_ms(90 * DAY_MS), None).await.unwrap();
    assert_eq!(number(&mut c, &others).await, 0);
    for role in [role.clone(), format!("\"{role}'s owner\"")] {
        run(&mut c, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    }
}

#[tokio::test]
async fn a_migration_that_would_lose_something_of_the_old_table_is_refused_with_advice() {
    if !there_is_a_server() {
        return;
    }
    for own in [
        "ALTER TABLE action_logs ENABLE ROW LEVEL SECURITY",
        "CREATE PUBLICATION lines FOR TABLE action_logs",
        "GRANT SELECT (id) ON action_logs TO PUBLIC",
        "CREATE VIEW lines AS SELECT * FROM action_logs",
    ] {
        let (url, _home) = database(Database::Postgres).await;
        let mut c = connect(&url).await;
        before_the_months(&mut c).await;
        run(&mut c, own).await;
        let Err(refused) = Store::open(&url).await else { panic!("{own}") };
        assert!(refused.to_string().contains("action_logs"), "{own}: {refused}");
        let says_what_to_do =
            ["take them away first", "drop them"].iter().any(|hint| refused.to_string().contains(hint));
        assert!(says_what_to_do, "{own}: {refused}");
        assert_eq!(Store::schema(&url).await.unwrap().version, 6, "{own}");
    }
}

#[tokio::test]
async fn the_migration_does_not_wait_for_a_running_backup() {
    if !there_is_a_server() {
        return;
    }
    let (url, _home) = database(Database::Postgres).await;
    let (mut c, mut backup) = (connect(&url).await, connect(&url).await);
    before_the_months(&mut c).await;
    run(&mut backup, "BEGIN; SELECT COUNT(*) FROM action_logs").await;
    let Err(refused) = Store::open(&url).await else { panic!("the table is locked") };
    assert!(refused.to_string().contains("try again after it"), "{refused}");
    run(&mut backup, "COMMIT").await;
    assert_eq!(Store::schema(&url).await.unwrap().version, 6);
    Store::open(&url).await.unwrap().check().await.unwrap();
    assert_eq!(Store::schema(&url).await.unwrap().version, 13);
}

#[tokio::test]
async fn the_permanent_partition_holds_the_lines_that_proofs_need() {
    if !there_is_a_server() {
        return;
    }
    let (url, _home) = database(Database::Postgres).await;
    drop(Store::open(&url).await.unwrap());
    let mut c = connect(&url).await;
    let sql = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'action_logs_proofs'";
    let bound: String = c.fetch_one(sql).await.unwrap().get(0);
    let named: BTreeSet<&str> = bound.split('\'').skip(1).step_by(2).collect();
    assert_eq!(named, CALLS.into_iter().collect());
}

#[tokio::test]
async fn months_are_created_in_advance_and_dropped_empty_after_their_end() {
    for kind in Database::both() {
        let (url, _home) = database(kind).await;
        let store = Store::open(&url).await.unwrap();
        let first = store.arrange_action_logs(at("2026-12-31T23:59:59Z"), None).await.unwrap();
        if kind == Database::Sqlite {
            assert_eq!(first, inventiv_store::Arranged::default());
            assert!(store.action_log_months().await.unwrap().is_empty());
            continue;
        }
        assert_eq!(first.made, months(&["2026_12", "2027_01", "2027_02"]));
        let mut c = connect(&url).await;
        line(&mut c, "2026-12-31T23:59:59Z", 1, "PROVIDER_START", "completed").await;
        line(&mut c, "2027-01-31T00:00:00Z", 1, "PROVIDER_DELETE", "completed").await;
        assert_eq!(store.arrange_action_logs(at("2026-12-31T23:59:59Z"), None).await.unwrap(), Default::default());
        // A replica whose clock is behind may still write to January.
        let soon = store.arrange_action_logs(at("2027-02-01T00:00:01Z"), None).await.unwrap();
        assert_eq!((soon.made, soon.gone), (months(&["2027_03", "2027_04"]), vec![]));
        let later = store.arrange_action_logs(at("2027-02-02T00:00:01Z"), None).await.unwrap();
        assert_eq!((later.made, later.gone), (vec![], vec![(Month::parse("2027_01").unwrap(), 0)]));
        assert_eq!(store.action_log_months().await.unwrap(), months(&["2026_12", "2027_02", "2027_03", "2027_04"]));
        assert_eq!(parts(&mut c).await, BTreeMap::from([("2026_12".to_owned(), 1), ("proofs".to_owned(), 1)]));
    }
}

#[tokio::test]
async fn a_line_without_a_partition_gets_one_and_a_wrong_clock_creates_none() {
    if !there_is_a_server() {
        return;
    }
    let (url, _home) = database(Database::Postgres).await;
    let store = Store::open(&url).await.unwrap();
    let mut c = connect(&url).await;
    for begun in ["1970-01-01T00:00:00Z", "2024-02-29T00:00:00Z", "2026-06-30T23:59:59.999Z", "2031-01-01T00:00:00Z"] {
        line(&mut c, begun, (1 << 80) - 1, "PROVIDER_START", "completed").await;
    }
    let many = 100_001;
    let (from, to) = (Month::parse("2025_03").unwrap().first_log(), Month::parse("2025_04").unwrap().first_log());
    let sql = format!(
        "INSERT INTO action_logs (id, action, status, provider, account_id, zone, started_at) SELECT '{}' || lpad( \
        CAST(n AS TEXT), 10, '0'), 'PROVIDER_START', 'completed', 's', 'a', 'z', 0 FROM generate_series(1, {many}) n",
        &from.as_str()[..20]
    );
    run(&mut c, &sql).await;
    let arranged = store.arrange_action_logs(at("2026-07-05T00:00:00Z"), None).await.unwrap();
    let wanted = ["1970_01", "2024_02", "2026_06", "2026_07", "2026_08", "2026_09"];
    assert_eq!(arranged.made, months(&wanted), "moving so many would block others, and 2031 is too far");
    let left = format!("SELECT COUNT(*) FROM action_logs_unsorted WHERE id >= '{from}' AND id < '{to}'");
    assert_eq!(number(&mut c, &left).await, many);
    assert_eq!(parts(&mut c).await["unsorted"], many + 1);
    assert_eq!(number(&mut c, "SELECT COUNT(*) FROM action_logs").await, many + 4);

    // Old lines of a month without a partition are deleted one by one; then the month can get one.
    let before = at("2026-06-01T00:00:00Z");
    let mut next = Some(String::new());
    while let Some(after) = next {
        next = store.prune_action_logs(before, &after).await.unwrap();
    }
    let arranged = store.arrange_action_logs(at("2026-07-05T00:00:00Z"), Some(before)).await.unwrap();
    assert_eq!(arranged.gone, [("1970_01", 0), ("2024_02", 0)].map(|(m, n)| (Month::parse(m).unwrap(), n)));
    assert_eq!(parts(&mut c).await, BTreeMap::from([("2026_06".to_owned(), 1), ("unsorted".to_owned(), 1)]));
}

#[tokio::test]
async fn months_do_not_depend_on_the_collation_of_the_database() {
    if !there_is_a_server() {
        return;
    }
    let mut admin = connect(&std::env::var("TEST_DATABASE_URL").unwrap()).await;
    // In Danish "aa" comes after "z", in Czech "ch" after "h", in Lithuanian "y" beside "i".
    for language in ["da", "cs", "lt"] {
        let (url, _home) = database(Database::Postgres).await;
        let name = name_of(&url);
        run(&mut admin, &format!("DROP DATABASE {name}")).await;
        let sql =
            format!("CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE '{language}' LOCALE 'C'");
        run(&mut admin, &sql).await;
        let store = Store::open(&url).await.unwrap();
        let mut c = connect(&url).await;
        let begin = at("2019-01-01T00:00:00Z");
        let mut wanted = BTreeMap::<String, i64>::new();
        for hours in (0..24 * 365 * 9).step_by(31) {
            let begun = begin.plus_ms(hours * DAY_MS / 24);
            line(&mut c, &begun.to_string(), 1, "PROVIDER_START", "completed").await;
            *wanted.entry(Month::of(begun).unwrap().suffix()).or_default() += 1;
        }
        let now = at("2027-12-31T00:00:00Z");
        store.arrange_action_logs(now, None).await.unwrap();
        assert_eq!(parts(&mut c).await, wanted, "{language}");
        let before = at("2024-01-01T00:00:00Z");
        let arranged = store.arrange_action_logs(now, Some(before)).await.unwrap();
        assert_eq!(arranged.gone.len(), 60, "{language}");
        wanted.retain(|month, _| month.as_str() >= "2024");
        assert_eq!(parts(&mut c).await, wanted, "{language}");
    }
}

#[tokio::test]
async fn a_running_backup_sees_the_lines_that_move() {
    if !there_is_a_server() {
        return;
    }
    let (url, _home) = database(Database::Postgres).await;
    let store = Store::open(&url).await.unwrap();
    let (mut c, mut backup) = (connect(&url).await, connect(&url).await);
    for random in 0..100 {
        line(&mut c, "2026-06-10T00:00:00Z", random, "PROVIDER_START", "completed").await;
    }
    run(&mut backup, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
    let arranged = store.arrange_action_logs(at("2026-06-11T00:00:00Z"), None).await.unwrap();
    assert_eq!(arranged.made.len(), 3);
    assert_eq!(number(&mut backup, "SELECT COUNT(*) FROM action_logs").await, 100);
    assert_eq!(parts(&mut c).await, BTreeMap::from([("2026_06".to_owned(), 100)]));
}

#[tokio::test]
async fn a_line_that_comes_late_keeps_its_month_at_every_default_isolation_level() {
    if !there_is_a_server() {
        return;
    }
    let (url, _home) = database(Database::Postgres).await;
    let mut c = connect(&url).await;
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let sql = format!("ALTER DATABASE {} SET default_transaction_isolation = '{isolation}'", name_of(&url));
        run(&mut c, &sql).await;
        let store = Store::open(&url).await.unwrap();
        line(&mut c, "2026-06-10T00:00:00Z", 1, "PROVIDER_START", "completed").await;
        store.arrange_action_logs(at("2026-06-11T00:00:00Z"), None).await.unwrap();

        let mut late = connect(&url).await;
        run(&mut late, "BEGIN").await;
        let kept = line(&mut late, "2026-06-20T00:00:00Z", 2, "PROVIDER_START", "in_progress").await;
        // Another replica deletes old lines one by one, so the number of lines is as before.
        run(&mut late, "DELETE FROM action_logs WHERE status = 'completed'").await;
        let later = at("2026-09-01T00:00:00Z");
        let arranging =
            tokio::spawn(async move { store.arrange_action_logs(later, Some(at("2026-08-01T00:00:00Z"))).await });
        let waits = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND relation = 'action_logs_others'::regclass";
        while number(&mut c, waits).await == 0 && !arranging.is_finished() {
            tokio::task::yield_now().await;
        }
        run(&mut late, "COMMIT").await;
        let arranged = arranging.await.unwrap().unwrap();
        assert!(arranged.gone.iter().all(|(month, _)| month.suffix() != "2026_06"), "{isolation}: {arranged:?}");
        let left = number(&mut c, &format!("SELECT COUNT(*) FROM action_logs WHERE id = '{kept}'")).await;
        assert_eq!(left, 1, "{isolation}");
        run(&mut c, "DELETE FROM action_logs").await;
    }
}

#[tokio::test]
async fn several_servers_arrange_at_once_while_lines_are_written() {
    if !there_is_a_server() {
        return;
    }
    let (url, _home) = database(Database::Postgres).await;
    let stores = futures::future::join_all((0..4).map(|_| Store::open(&url))).await;
    let stores: Vec<Store> = stores.into_iter().map(Result::unwrap).collect();
    let (mut writer, mut reader) = (connect(&url).await, connect(&url).await);
    let arrange = async {
        for month in 1..=12 {
            let now = at(&format!("2026-{month:02}-15T00:00:00Z"));
            let each = stores.iter().map(|s| s.arrange_action_logs(now, Some(begin_of_month(now))));
            for done in futures::future::join_all(each).await {
                done.unwrap();
            }
        }
    };
    let write = async {
        for n in 0..300 {
            let begun = format!("2026-{:02}-28T00:00:00Z", 1 + n % 12);
            line(&mut writer, &begun, n, "PROVIDER_START", "in_progress").await;
        }
    };
    let read = async {
        let mut seen = 0;
        while seen < 300 {
            let now = number(&mut reader, "SELECT COUNT(*) FROM action_logs").await;
            assert!(now >= seen, "lines stay visible while they move");
            seen = now;
        }
    };
    tokio::join!(arrange, write, read);
    assert_eq!(number(&mut writer, "SELECT COUNT(DISTINCT id) FROM action_logs").await, 300);
    let whole = stores[0].arrange_action_logs(at("2026-12-15T00:00:00Z"), None).await.unwrap();
    assert!(whole.gone.is_empty());
    let parts = parts(&mut writer).await;
    assert_eq!(parts.len(), 12, "{parts:?}");
    assert!(parts.values().all(|n| *n == 25), "{parts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_dropped_once_nothing_in_it_must_be_kept_and_every_proof_stays_the_same() {
    if !there_is_a_server() {
        return;
    }
    let world = World::new(Database::Postgres).await;
    world.store.arrange_action_logs(world.clock.now(), None).await.unwrap();
    let (over, living) = (world.create(request()).await, world.create(request()).await);
    for id in [&over, &living] {
        world.until_status(id, "ready").await;
    }
    world.terminate(&over).await;
    world.until_status(&over, "terminated").await;
    let proof = async |id: &str| {
        let mut proof = world.call("GET", &format!("/instances/{id}/proof"), None).await.1;
        proof.as_object_mut().unwrap().remove("read_at");
        proof
    };
    let log = async |id: &str| {
        let lines = world.call("GET", &format!("/action_logs?instance_id={id}&limit=500"), None).await.1;
        lines["items"].as_array().unwrap().iter().map(|l| l["action"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (reported, whole, lives) = (proof(&over).await, log(&over).await, log(&living).await);
    let mut c = connect(&world.database_url).await;
    assert_eq!(parts(&mut c).await.get("unsorted"), None, "its months existed");
    let later = world.clock.now().plus_ms(100 * DAY_MS);
    let before = Some(begin_of_month(world.clock.now().plus_ms(40 * DAY_MS)));

    let arranged = world.store.arrange_action_logs(later, before).await.unwrap();
    assert!(arranged.gone.iter().all(|(_, lines)| *lines == 0), "an instance is live: {arranged:?}");
    assert_eq!((log(&over).await, log(&living).await), (whole.clone(), lives));

    world.terminate(&living).await;
    world.until_status(&living, "terminated").await;
    let proof_of_the_other = proof(&living).await;
    // An open line belongs to a call in progress.
    let open = line(&mut c, &world.clock.now().to_string(), 7, "PROVIDER_START", "in_progress").await;
    let arranged = world.store.arrange_action_logs(later, before).await.unwrap();
    assert!(arranged.gone.iter().all(|(_, lines)| *lines == 0), "{arranged:?}");
    run(&mut c, &format!("UPDATE action_logs SET status = 'unknown' WHERE id = '{open}'")).await;

    let arranged = world.store.arrange_action_logs(later, before).await.unwrap();
    let gone: u64 = arranged.gone.iter().map(|(_, lines)| lines).sum();
    assert!(gone > 5, "{arranged:?}");
    let left: Vec<String> = whole.iter().filter(|action| CALLS.contains(&action.as_str())).cloned().collect();
    assert!(!left.is_empty() && left.len() < whole.len());
    assert_eq!(log(&over).await, left);
    assert_eq!((proof(&over).await, proof(&living).await), (reported, proof_of_the_other));
    assert_eq!(parts(&mut c).await.keys().collect::<Vec<_>>(), ["proofs"]);
}

#[tokio::test]
async fn a_role_without_the_rights_leaves_the_partitions_to_the_owner() {
    if !there_is_a_server() {
        return;
    }
    let (url, _home) = database(Database::Postgres).await;
    let owner = Store::open(&url).await.unwrap();
    let mut c = connect(&url).await;
    let role = format!("app_{}", name_of(&url));
    run(
        &mut c,
        &format!(
            "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
        ),
    )
    .await;
    let app_url = url.replacen("postgres://postgres@", &format!("postgres://{role}@"), 1);
    let (app, mut its) = (Store::open(&app_url).await.unwrap(), connect(&app_url).await);
    let now = at("2026-06-10T00:00:00Z");
    let arranged = app.arrange_action_logs(now, Some(now)).await.unwrap();
    assert!(arranged.left_to_owner && arranged.made.is_empty() && arranged.gone.is_empty());
    for (random, action) in [(1, "PROVIDER_START"), (2, "PROVIDER_DELETE")] {
        line(&mut its, "2026-06-10T00:00:00Z", random, action, "completed").await;
    }
    assert_eq!(parts(&mut its).await, BTreeMap::from([("proofs".to_owned(), 1), ("unsorted".to_owned(), 1)]));
    let arranged = owner.arrange_action_logs(now, None).await.unwrap();
    assert_eq!(arranged.made, months(&["2026_06", "2026_07", "2026_08"]));
    // It may also use partitions created later.
    line(&mut its, "2026-06-10T00:00:00Z", 3, "PROVIDER_START", "completed").await;
    assert_eq!(parts(&mut its).await, BTreeMap::from([("proofs".to_owned(), 1), ("2026_06".to_owned(), 2)]));
    drop((app, its));
    run(&mut c, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
