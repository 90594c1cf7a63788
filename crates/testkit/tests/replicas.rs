//! Tests of a shared database: fail-over, roles with few rights, concurrent opening, moving from SQLite.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use futures::StreamExt;
use inventiv_core::service::Load;
use inventiv_store::{Counted, MinuteUse, Store, Usage, UsageKey};
use inventiv_testkit::{Database, World, database};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection, Row};

const REQUEST: &str = r#"{"instance_type": "L40S-1-48G", "zone": "fr-par-2", "data_volume_gb": 50}"#;

fn there_is_a_server() -> bool {
    Database::both().contains(&Database::Postgres)
}

async fn admin() -> PgConnection {
    PgConnection::connect(&std::env::var("TEST_DATABASE_URL").unwrap()).await.unwrap()
}

async fn run(on: &mut PgConnection, sql: String) {
    on.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
}

fn name_of(url: &str) -> String {
    let path = url.split('?').next().unwrap();
    path.rsplit('/').next().unwrap().to_owned()
}

/// Closes a database: terminates all connections, refuses new ones, and waits until none is left.
async fn close(admin: &mut PgConnection, name: &str) {
    run(admin, format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    let count = format!("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = '{name}'");
    loop {
        run(admin, cut.clone()).await;
        let left: i64 = admin.fetch_one(sqlx::AssertSqlSafe(count.clone())).await.unwrap().get(0);
        if left == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Copies a database, as a standby that lags behind has it.
async fn copy(admin: &mut PgConnection, name: &str, into: &str) {
    close(admin, name).await;
    run(admin, format!("CREATE DATABASE {into} TEMPLATE {name}")).await;
    run(admin, format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
}

/// Replaces the original by the copy.
async fn fail_over(admin: &mut PgConnection, name: &str, copy: &str) {
    close(admin, name).await;
    run(admin, format!("ALTER DATABASE {name} RENAME TO {name}_lost")).await;
    run(admin, format!("ALTER DATABASE {copy} RENAME TO {name}")).await;
}

#[tokio::test]
async fn after_a_fail_over_that_lost_the_last_writes_nothing_is_duplicated_or_deleted() {
    if !there_is_a_server() {
        return;
    }
    let world = World::new(Database::Postgres).await;
    let (name, mut admin) = (name_of(&world.database_url), admin().await);
    // The copy knows one instance only as a request, and the other not at all.
    let known = world.create(serde_json::from_str(REQUEST).unwrap()).await;
    copy(&mut admin, &name, &format!("{name}_copy")).await;
    let unheard = world.create(serde_json::from_str(REQUEST).unwrap()).await;
    for id in [&known, &unheard] {
        world.until_status(id, "ready").await;
    }
    world.settle().await;
    let before = world.left();
    let (servers, volumes) = (world.requests("POST", "/servers"), world.requests("POST", "/volumes"));
    let stream = world.live_stream().await;
    fail_over(&mut admin, &name, &format!("{name}_copy")).await;
    assert_eq!(world.show(&known).await["status"], "provisioning", "the last writes are lost");
    assert_eq!(world.call("GET", &format!("/instances/{unheard}"), None).await.0, 404);
    // A client that has read lost changes must start over.
    let end = stream.for_each(|_| std::future::ready(()));
    tokio::time::timeout(std::time::Duration::from_secs(60), end).await.expect("the stream ends");
    world.until_status(&known, "ready").await;
    world.settle().await;
    world.resync().await;
    assert_eq!(world.left(), before, "no live resource is deleted");
    let made = (world.requests("POST", "/servers") - servers, world.requests("POST", "/volumes") - volumes);
    assert_eq!(made, (0, 0), "nothing is created twice");
    let state = world.emulator.state();
    assert_eq!(state["servers"].as_array().unwrap().len(), 2, "{state:#}");
    // The audit reports the unknown instance, and deletes nothing even with `fix` and `delete`.
    world.call("POST", "/audit", Some(json!({"fix": true, "policy": "delete"}))).await;
    world.orchestrator.audit_due().await.unwrap();
    let audit = world.call("GET", "/audit", None).await.1;
    assert!(audit["orphans"].as_u64().unwrap() >= 1, "{audit:#}");
    assert!(audit.to_string().contains("\"records_look_rolled_back\":true"), "{audit:#}");
    assert_eq!(world.left(), before);
    world.terminate(&known).await;
    world.until_status(&known, "terminated").await;
    assert_eq!(world.call("GET", &format!("/instances/{known}/proof"), None).await.1["clean"], true);
}

#[tokio::test]
async fn many_open_an_empty_database_at_once_and_one_creates_its_tables() {
    if !there_is_a_server() {
        return;
    }
    let (url, _home) = database(Database::Postgres).await;
    let opened = futures::future::join_all((0..6).map(|_| Store::open(&url))).await;
    for store in opened {
        store.unwrap().check().await.unwrap();
    }
}

/// The grants in docs/OPERATIONS.md.
const GRANTS: [&str; 4] = [
    "GRANT USAGE ON SCHEMA public TO ROLE",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ROLE",
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    "REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations FROM ROLE",
];

#[tokio::test]
async fn a_role_that_may_only_read_and_write_rows_is_sufficient() {
    if !there_is_a_server() {
        return;
    }
    let world = World::new(Database::Postgres).await;
    let (name, mut server) = (name_of(&world.database_url), admin().await);
    let role = format!("r_{name}");
    run(&mut server, format!("CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")).await;
    let mut owner = PgConnection::connect(&world.database_url).await.unwrap();
    for grant in GRANTS {
        run(&mut owner, grant.replace("ROLE", &role)).await;
    }
    let docs = include_str!("../../../docs/OPERATIONS.md");
    for grant in GRANTS {
        assert!(docs.contains(&grant.replace("ROLE", "inventiv_app")), "missing in the documentation: {grant}");
    }
    let url = world.database_url.replacen("postgres://postgres@", &format!("postgres://{role}@"), 1);
    assert_ne!(url, world.database_url);
    let mut app = PgConnection::connect(&url).await.unwrap();
    assert!(app.execute("CREATE TABLE more (id TEXT)").await.is_err(), "it may not change tables");
    let world = World { database_url: url, ..world }.restarted().await;
    let begin = world.store.newest_place().await.unwrap();
    let id = world.create(serde_json::from_str(REQUEST).unwrap()).await;
    world.until_status(&id, "ready").await;
    world.terminate(&id).await;
    world.until_status(&id, "terminated").await;
    assert_eq!(world.left(), (0, 0, 0));
    world.store.number_changes().await.unwrap();
    assert_eq!(world.store.changes(&begin, 9).await.unwrap().len(), 1, "it may stream changes");
}

#[tokio::test]
async fn a_request_through_one_replica_notifies_the_others() {
    if !there_is_a_server() {
        return;
    }
    let (url, _home) = database(Database::Postgres).await;
    let (here, there) = (Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap());
    // A new listener gets one notification at once.
    let mut hints = there.hints();
    hints.next().await;
    let heard = tokio::spawn(async move { hints.next().await });
    here.tell_change();
    tokio::time::timeout(std::time::Duration::from_secs(30), heard).await.unwrap().unwrap();
}

#[tokio::test]
async fn everything_moves_from_sqlite_to_postgresql_and_the_file_is_closed() {
    if !there_is_a_server() {
        return;
    }
    let world = World::new(Database::Sqlite).await;
    let id = world.create(serde_json::from_str(REQUEST).unwrap()).await;
    let gone = world.create(serde_json::from_str(REQUEST).unwrap()).await;
    for id in [&id, &gone] {
        world.until_status(id, "ready").await;
    }
    world.terminate(&gone).await;
    world.until_status(&gone, "terminated").await;
    world.settle().await;
    world.call("POST", "/models", Some(json!({"id": "org/model", "data_volume_gb": 7}))).await;
    let (to, _home) = database(Database::Postgres).await;
    let now = inventiv_core::time::Timestamp(5);
    let mut tables = Vec::new();
    let mut reported = |m: &inventiv_store::Moved| tables.push((m.table, m.rows));

    // In both targets, an earlier move was begun: the account already exists.
    let (other, _other_home) = database(Database::Postgres).await;
    let (account, project) = (format!("scaleway:{}", inventiv_testkit::PROJECT), inventiv_testkit::PROJECT);
    let made: i64 = {
        let mut file = sqlx::SqliteConnection::connect(&world.database_url).await.unwrap();
        file.fetch_one("SELECT created_at FROM provider_accounts").await.unwrap().get(0)
    };
    for url in [&other, &to] {
        drop(Store::open(url).await.unwrap());
        let mut there = PgConnection::connect(url).await.unwrap();
        let columns = "id, provider, project_id, created_at";
        let row = format!("'{account}', 'scaleway', '{project}', {made}");
        run(&mut there, format!("INSERT INTO provider_accounts ({columns}) VALUES ({row})")).await;
    }

    // A target with other data is refused and unchanged, and the file stays in use.
    let mut there = PgConnection::connect(&other).await.unwrap();
    run(&mut there, "INSERT INTO models (id, created_at, updated_at) VALUES ('their/model', 1, 1)".to_owned()).await;
    let refused = Store::move_rows(&world.database_url, &other, now, &mut reported).await;
    assert!(refused.unwrap_err().to_string().contains("take an empty database"));
    let models: i64 = there.fetch_one("SELECT COUNT(*) FROM models").await.unwrap().get(0);
    assert_eq!(models, 1, "nothing was written to it");

    tables.clear();
    let place = world.store.newest_place().await.unwrap();
    let mut reported = |m: &inventiv_store::Moved| tables.push((m.table, m.rows));
    Store::move_rows(&world.database_url, &to, now, &mut reported).await.unwrap();
    let rows = |table: &str| tables.iter().find(|(t, _)| *t == table).unwrap().1;
    assert_eq!((rows("instances"), rows("instance_servers"), rows("provider_accounts"), rows("models")), (2, 2, 1, 1));
    assert!(rows("action_logs") > 20);

    let closed = Store::open(&world.database_url).await.err().unwrap();
    assert!(closed.to_string().contains("moved to PostgreSQL"), "{closed}");
    let again = Store::move_rows(&world.database_url, &to, now, &mut |_| {}).await.unwrap_err();
    assert!(again.to_string().contains("moved to PostgreSQL"), "{again}");
    // A replica that still uses the file can write nothing, and so makes no calls.
    let calls = world.requests("POST", "");
    let request = serde_json::from_str(REQUEST).unwrap();
    assert_eq!(world.call("POST", "/instances", Some(request)).await.0, 503);
    assert_eq!(world.call("DELETE", &format!("/instances/{id}"), None).await.0, 503);
    world.resync().await;
    assert_eq!(world.requests("POST", ""), calls);
    let before: Vec<_> =
        [world.show(&id).await, world.show(&gone).await, world.call("GET", "/models", None).await.1].into();
    let world = world.on_database(to, _home).await;
    let after: Vec<_> =
        [world.show(&id).await, world.show(&gone).await, world.call("GET", "/models", None).await.1].into();
    assert_eq!(after, before);
    // The numbering of changes continues, and readers of the file must start over.
    let begin = world.store.newest_place().await.unwrap();
    assert!(!place.is_behind(&begin) && world.store.changes(&begin, 9).await.unwrap().is_empty());
    world.terminate(&id).await;
    world.until_status(&id, "terminated").await;
    world.store.number_changes().await.unwrap();
    assert_eq!(world.store.changes(&begin, 9).await.unwrap().len(), 1);
    assert_eq!(world.left(), (0, 0, 0));
}

#[tokio::test]
async fn services_keys_and_what_was_counted_move_with_their_replicas() {
    if !there_is_a_server() {
        return;
    }
    let world = World::new(Database::Sqlite).await;
    let service = json!({"model_id": "Qwen/Qwen2.5-7B-Instruct", "name": "chat", "max_replicas": 2, "min_replicas": 2});
    assert_eq!(world.call("POST", "/services", Some(service)).await.0, 201);
    world.call("POST", "/services", Some(json!({"model_id": "openai/gpt-oss-20b"}))).await;
    world.call("DELETE", "/services/gpt-oss-20b", None).await;
    world.call("POST", "/keys", Some(json!({"name": "app"}))).await;
    world.orchestrator.reconcile_services().await.unwrap();
    let (key, service) = (world.store.api_keys().await.unwrap().remove(0), world.store.service("chat").await.unwrap());
    let service = service.unwrap();
    let now = (world.settings().now)();
    let used = Usage { requests: 7, prompt_tokens: 1_000_000_000_000, ..Usage::default() };
    let of = |hours: i64| UsageKey {
        hour: UsageKey::hour_of(now.plus_ms(-hours * 3_600_000)),
        key_id: key.id.to_string(),
        service_id: service.id.to_string(),
        instance_id: String::new(),
        model: "chat".to_owned(),
    };
    let load = Load { outstanding: 3, queued: 1, last_request_at: Some(now) };
    let minute = (key.id.clone(), now.0 / 60_000_000, MinuteUse { requests: 7, tokens: 70 });
    // More than one page of rows.
    let usage = (0..450).map(|hours| (of(hours), used)).collect();
    let counted = Counted { usage, minutes: vec![minute], loads: vec![(service.id.clone(), load)] };
    world.store.add_counted("a", &counted, now).await.unwrap();

    let shown = async |store: &Store| {
        let replicas = store.replicas(&service.id, 0).await.unwrap();
        let load = store.service_load(&service.id, inventiv_core::time::Timestamp(0)).await.unwrap();
        let usage = store.usage(inventiv_core::time::Timestamp(0), now, ("", ""), 999).await.unwrap();
        let minutes = store.key_minutes(now).await.unwrap();
        let (living, ended) = (store.services(None).await.unwrap(), store.service("gpt-oss-20b").await.unwrap());
        let instances = store.instances_by_id(&replicas).await.unwrap();
        (living, ended, instances, load, usage, minutes, store.api_keys().await.unwrap())
    };
    let before = shown(&world.store).await;
    assert_eq!((before.0.len(), before.2.len(), before.4.len(), before.5.len()), (1, 2, 450, 1));
    let (to, _home) = database(Database::Postgres).await;
    let mut tables = Vec::new();
    let mut reported = |m: &inventiv_store::Moved| tables.push((m.table, m.rows));
    Store::move_rows(&world.database_url, &to, now, &mut reported).await.unwrap();
    let rows = |table: &str| tables.iter().find(|(t, _)| *t == table).unwrap().1;
    let moved = ["services", "instances", "api_keys", "service_load", "key_minutes", "usage_hours"].map(rows);
    assert_eq!(moved, [2, 2, 1, 1, 1, 450]);
    assert_eq!(shown(&Store::open(&to).await.unwrap()).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stopping_replica_always_releases_its_zones() {
    if !there_is_a_server() {
        return;
    }
    let world = World::new(Database::Postgres).await;
    let account = format!("scaleway:{}", inventiv_testkit::PROJECT);
    let holders = async || {
        let leases = world.store.leases(&account).await.unwrap();
        leases.into_iter().filter(|l| !l.holder.is_empty()).count()
    };
    for n in 0..10 {
        let (stop, orchestrator) = (tokio_util::sync::CancellationToken::new(), world.orchestrator.clone());
        let asked = stop.clone();
        let running = tokio::spawn(async move { orchestrator.run(asked).await });
        while holders().await == 0 {
            tokio::task::yield_now().await;
        }
        // By then it has nothing to do and waits.
        for _ in 0..200 {
            holders().await;
        }
        stop.cancel();
        running.await.unwrap();
        assert_eq!(holders().await, 0, "round {n}");
    }
}
