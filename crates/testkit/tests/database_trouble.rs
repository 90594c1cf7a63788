//! Tests of PostgreSQL failures: a crash, fail-over to a standby without the last writes, a held lock, a full disk, no
//! connections, serialization failures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use futures::StreamExt;
use inventiv_core::time::Timestamp;
use inventiv_store::Store;
use inventiv_testkit::{Database, Line, Relay, TOKEN, Target, World};
use private_postgres::{Binaries, Postgres};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, Row};
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::PathBuf;
use tower::ServiceExt;

/// Fast settings: the data need not survive a power failure.
const QUIET: [&str; 2] = ["listen_addresses=", "fsync=off"];

fn request() -> Value {
    json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "data_volume_gb": 50})
}

/// The PostgreSQL binaries, if tests on PostgreSQL are enabled.
fn binaries() -> Option<Binaries> {
    if !Database::both().contains(&Database::Postgres) {
        return None;
    }
    let found = Binaries::find();
    if found.is_none() {
        println!("skipped: no PostgreSQL binaries found (set PG_BIN to their folder)");
    }
    found
}

async fn connect(server: &Postgres) -> PgConnection {
    PgConnection::connect(&server.url()).await.unwrap()
}

async fn run(on: &mut PgConnection, sql: &str) {
    on.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))).await.unwrap();
}

/// Terminates every connection but this one.
async fn cut(admin: &mut PgConnection) {
    run(
        admin,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL",
    )
    .await;
}

/// Status, whether there is a `Retry-After` header, and body.
async fn call(world: &World, method: &str, path: &str, body: Option<Value>) -> (u16, bool, Value) {
    let request =
        axum::http::Request::builder().method(method).uri(path).header("authorization", format!("Bearer {TOKEN}"));
    let request = request.header("content-type", "application/json");
    let body = axum::body::Body::from(body.map(|b| b.to_string()).unwrap_or_default());
    let answer = world.api.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    let (status, again) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, again, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn cannot_know(world: &World) {
    for (method, path, body) in
        [("GET", "/instances", None), ("POST", "/instances", Some(request())), ("GET", "/audit", None)]
    {
        let (status, again, body) = call(world, method, path, body).await;
        assert_eq!((status, again), (503, true), "{method} {path}: {body}");
    }
}

/// Terminates everything; checks that no server was created twice.
async fn ends_well(world: &World, ids: &[String]) {
    for id in ids {
        world.until_status(id, "ready").await;
    }
    for id in ids {
        world.terminate(id).await;
    }
    for id in ids {
        world.until_status(id, "terminated").await;
        assert_eq!(world.call("GET", &format!("/instances/{id}/proof"), None).await.1["clean"], true);
    }
    assert_eq!(world.left(), (0, 0, 0));
    assert_eq!(servers_made(world), ids.len(), "no server is created twice");
}

fn servers_made(world: &World) -> usize {
    let journal = world.emulator.journal();
    let is_one = |e: &&Value| e["method"] == "POST" && e["path"].as_str().is_some_and(|p| p.ends_with("/servers"));
    journal["entries"].as_array().unwrap().iter().filter(is_one).count()
}

async fn ends(stream: axum::body::BodyDataStream) {
    let end = stream.for_each(|_| std::future::ready(()));
    tokio::time::timeout(std::time::Duration::from_secs(60), end).await.expect("the stream ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_replica_loses_the_database() {
    let Some(binaries) = binaries() else { return };
    let server = Postgres::start(&binaries, &QUIET).unwrap();
    let line = Relay::to(Target::Unix(server.socket())).await;
    let world = World::at(format!("postgres://postgres@{}/postgres?sslmode=disable", line.address())).await;
    let stream = world.live_stream().await;
    line.set(Line::Closed);
    ends(stream).await;
    let request = axum::http::Request::builder().uri("/events").header("authorization", format!("Bearer {TOKEN}"));
    let answer = world.api.clone().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status().as_u16(), 503);
    line.set(Line::Open);
    let _again = world.live_stream().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_a_newer_version_adds_causes_no_errors() {
    let Some(binaries) = binaries() else { return };
    let server = Postgres::start(&binaries, &QUIET).unwrap();
    let world = World::at(server.url()).await;
    let id = world.create(request()).await;
    let admin = &mut connect(&server).await;
    for table in ["instances", "instance_servers", "instance_volumes", "action_logs", "instance_state_history"] {
        // Prepare all statements on every connection.
        for _ in 0..4 {
            world.resync().await;
            futures::future::join_all((0..24).map(|_| world.show(&id))).await;
        }
        run(admin, &format!("ALTER TABLE {table} ADD COLUMN more BIGINT")).await;
        let all = futures::future::join_all((0..24).map(|_| call(&world, "GET", "/instances", None))).await;
        assert!(all.iter().all(|(status, ..)| *status == 200), "{table}: {all:?}");
    }
    ends_well(&world, &[id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_crash_during_creation_loses_and_duplicates_nothing() {
    let Some(binaries) = binaries() else { return };
    let mut server = Postgres::start(&binaries, &QUIET).unwrap();
    let world = World::at(server.url()).await;
    let mut ids = Vec::new();
    for crash in 0..8 {
        ids.push(world.create(request()).await);
        for _ in 0..crash * 2 {
            world.tick().await;
        }
        // Also crash during a tick.
        let ticking = world.orchestrator.clone();
        let tick = tokio::spawn(async move { ticking.tick(crash % 2 == 0).await });
        for _ in 0..crash * 3 {
            tokio::task::yield_now().await;
        }
        server.kill();
        tick.await.unwrap().ok();
        if crash == 0 {
            cannot_know(&world).await;
        }
        world.advance_ms(1_000);
        server.resume().unwrap();
    }
    ends_well(&world, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_fail_over_to_a_standby_without_the_last_writes_nothing_is_duplicated_or_deleted() {
    let Some(binaries) = binaries() else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = [format!("port={port}"), "listen_addresses=127.0.0.1".to_owned()];
    let mut first = Postgres::start(&binaries, &listen.each_ref().map(String::as_str)).unwrap();
    let admin = &mut connect(&first).await;
    // Replication goes through one relay, our requests through the other.
    let reported = Relay::to(Target::Tcp(std::net::SocketAddr::from(([127, 0, 0, 1], port)))).await;
    let asked = Relay::to(Target::Unix(first.socket())).await;
    let second = {
        let (binaries, at) = (binaries.clone(), reported.address().port());
        let listens = ["listen_addresses=", "port=5432"];
        tokio::task::spawn_blocking(move || Postgres::follow(&binaries, at, &listens)).await.unwrap().unwrap()
    };
    let world = World::at(format!("postgres://postgres@{}/postgres", asked.address())).await;
    let known = world.create(request()).await;
    let lsn = "SELECT CAST(pg_current_wal_lsn() AS TEXT)";
    let at: String = admin.fetch_one(lsn).await.unwrap().get(0);
    let follower = &mut connect(&second).await;
    let arrived = format!("SELECT pg_last_wal_replay_lsn() >= '{at}'::pg_lsn");
    while !follower.fetch_one(sqlx::AssertSqlSafe(arrived.clone())).await.unwrap().get::<bool, _>(0) {
        tokio::task::yield_now().await;
    }
    reported.set(Line::Closed);
    // From here on, nothing reaches the standby: it lacks one instance, and all resources of the one that it knows.
    let unheard = world.create(request()).await;
    for id in [&known, &unheard] {
        world.until_status(id, "ready").await;
    }
    let left = world.left();
    let stream = world.live_stream().await;
    let place = world.store.newest_place().await.unwrap();
    first.kill();
    // A standby is not trusted before its promotion: its rows may be stale.
    asked.lead_to(Target::Unix(second.socket()));
    assert_eq!(call(&world, "GET", "/instances", None).await.0, 503);
    second.promote().unwrap();
    assert_eq!(world.show(&known).await["status"], "provisioning", "the last writes are lost");
    assert_eq!(world.call("GET", &format!("/instances/{unheard}"), None).await.0, 404);
    // A client that has read lost changes must start over.
    assert!(!place.is_behind(&world.store.newest_place().await.unwrap()));
    ends(stream).await;
    world.until_status(&known, "ready").await;
    for _ in 0..30 {
        world.resync().await;
    }
    assert_eq!(world.left(), left, "no live resource is deleted");
    assert_eq!(servers_made(&world), 2, "nothing is created twice");
    world.call("POST", "/audit", Some(json!({"fix": true, "policy": "delete"}))).await;
    world.orchestrator.audit_due().await.unwrap();
    let audit = world.call("GET", "/audit", None).await.1;
    assert!(audit.to_string().contains("\"records_look_rolled_back\":true"), "{audit:#}");
    assert_eq!(world.left(), left, "the sweep is frozen");
    // `inventiv recover` closes the gap.
    let plan = world.orchestrator.plan_recovery().await.unwrap();
    assert_eq!(world.orchestrator.apply_recovery(&plan).await.unwrap(), 1);
    let back = world.show(&unheard).await;
    assert_eq!(back["status"], "ready", "{back:#}");
    ends_well(&world, &[known, unheard]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_lock_exhausts_the_connections_and_causes_503() {
    let Some(binaries) = binaries() else { return };
    let server = Postgres::start(&binaries, &QUIET).unwrap();
    let world = World::at(server.url()).await;
    let mut holder = connect(&server).await;
    let mut lock = holder.begin().await.unwrap();
    run(&mut lock, "LOCK TABLE instances IN ACCESS EXCLUSIVE MODE").await;
    // More requests than connections.
    let requests =
        futures::future::join_all((0..12).map(|_| call(&world, "POST", "/instances", Some(request())))).await;
    for (status, again, body) in requests {
        assert_eq!((status, again), (503, true), "{body}");
    }
    lock.rollback().await.unwrap();
    assert_eq!(world.call("GET", "/instances", None).await.1["items"], json!([]), "none of them was written");
    let id = world.create(request()).await;
    ends_well(&world, &[id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_cancelled_and_writes_nothing() {
    let Some(binaries) = binaries() else { return };
    let server = Postgres::start(&binaries, &QUIET).unwrap();
    let world = World::at(server.url()).await;
    let mut admin = connect(&server).await;
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); RETURN NEW; END'; \
        CREATE TRIGGER slow AFTER INSERT ON instances FOR EACH ROW EXECUTE FUNCTION slow()";
    run(&mut admin, slow).await;
    let (status, again, body) = call(&world, "POST", "/instances", Some(request())).await;
    assert_eq!((status, again), (503, true), "{body}");
    run(&mut admin, "DROP TRIGGER slow ON instances").await;
    assert_eq!(world.call("GET", "/instances", None).await.1["items"], json!([]));
    let id = world.create(request()).await;
    ends_well(&world, &[id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_fail_to_serialize_are_retried() {
    let Some(binaries) = binaries() else { return };
    let server = Postgres::start(&binaries, &QUIET).unwrap();
    let world = World::at(server.url()).await;
    let mut admin = connect(&server).await;
    // Four of five instance writes fail to serialize. The sequence that counts them is not rolled back.
    let losing = "CREATE SEQUENCE tries; \
        CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'DECLARE n BIGINT := nextval(''tries''); \
        BEGIN IF n % 5 <> 0 THEN RAISE EXCEPTION ''lost'' USING ERRCODE = CASE n % 2 WHEN 0 THEN ''40001'' ELSE ''40P01'' END; \
        END IF; RETURN NEW; END'; \
        CREATE TRIGGER lose BEFORE INSERT OR UPDATE ON instances FOR EACH ROW EXECUTE FUNCTION lose()";
    run(&mut admin, losing).await;
    let id = world.create(request()).await;
    ends_well(&world, &[id]).await;
    let tries: i64 = admin.fetch_one("SELECT last_value FROM tries").await.unwrap().get(0);
    assert!(tries > 50, "{tries}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_accepts_no_connections_is_retried() {
    let Some(binaries) = binaries() else { return };
    let server = Postgres::start(&binaries, &QUIET).unwrap();
    let mut admin = connect(&server).await;
    run(&mut admin, "CREATE ROLE app LOGIN; GRANT CREATE ON SCHEMA public TO app").await;
    let world = World::at(server.url().replace("postgres@", "app@")).await;
    let id = world.create(request()).await;
    for _ in 0..4 {
        world.tick().await;
    }
    run(&mut admin, "ALTER ROLE app CONNECTION LIMIT 0").await;
    cut(&mut admin).await;
    cannot_know(&world).await;
    assert!(world.orchestrator.tick(true).await.is_err());
    run(&mut admin, "ALTER ROLE app CONNECTION LIMIT -1").await;
    ends_well(&world, &[id]).await;
}

/// Retries until the API works again, longer than any connection stays suspect.
async fn comes_back(world: &World) {
    let began = std::time::Instant::now();
    while call(world, "GET", "/readyz", None).await.0 != 200 {
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "the API does not recover by itself");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_initial_state_of_a_connection_does_not_outlive_its_cause() {
    let Some(binaries) = binaries() else { return };
    let server = Postgres::start(&binaries, &QUIET).unwrap();
    let mut admin = connect(&server).await;
    run(&mut admin, "CREATE ROLE app LOGIN; GRANT CREATE ON SCHEMA public TO app").await;
    let world = World::at(server.url().replace("postgres@", "app@")).await;
    let id = world.create(request()).await;
    let troubles = [
        // Like a managed database with a full disk.
        ("ALTER ROLE app SET default_transaction_read_only = on", "ALTER ROLE app RESET default_transaction_read_only"),
        ("ALTER ROLE app SET search_path = nowhere", "ALTER ROLE app RESET search_path"),
        ("ALTER ROLE app SET role = pg_monitor", "ALTER ROLE app RESET role"),
    ];
    run(&mut admin, "GRANT pg_monitor TO app").await;
    for (begins, ends) in troubles {
        run(&mut admin, begins).await;
        cut(&mut admin).await;
        // All connections of the pool are opened during that time.
        for _ in 0..4 {
            let asked = (0..8).map(|_| call(&world, "POST", "/instances", Some(request())));
            let answers = futures::future::join_all(asked).await;
            assert!(answers.iter().all(|(status, again, _)| (*status, *again) == (503, true)), "{begins}: {answers:?}");
        }
        run(&mut admin, ends).await;
        comes_back(&world).await;
        let (status, _, body) = call(&world, "POST", "/instances", Some(request())).await;
        assert_eq!(status, 202, "{ends}: {body}");
    }
    let (_, _, listed) = call(&world, "GET", "/instances", None).await;
    let ids = listed["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned());
    let ids: Vec<String> = ids.collect();
    assert!(ids.len() == 4 && ids.contains(&id), "{ids:?}");
    ends_well(&world, &ids).await;
}

/// Simulates a full disk for an empty table, in place of its file.
struct Full {
    file: PathBuf,
    owner: (u32, u32),
}

impl Full {
    async fn make(server: &Postgres, admin: &mut PgConnection, table: &str) -> Self {
        let path = format!("SELECT pg_relation_filepath('{table}')");
        let path: String = admin.fetch_one(sqlx::AssertSqlSafe(path)).await.unwrap().get(0);
        let file = server.data().join(path);
        let found = std::fs::metadata(&file).unwrap();
        assert_eq!(found.len(), 0, "{table} is not empty");
        std::fs::remove_file(&file).unwrap();
        symlink("/dev/full", &file).unwrap();
        cut(admin).await;
        Self { file, owner: (found.uid(), found.gid()) }
    }

    async fn make_room(self, admin: &mut PgConnection) {
        std::fs::remove_file(&self.file).unwrap();
        std::fs::write(&self.file, "").unwrap();
        chown(&self.file, Some(self.owner.0), Some(self.owner.1)).unwrap();
        cut(admin).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_requests_fail_and_a_server_whose_creation_could_not_be_recorded_is_adopted() {
    let Some(binaries) = binaries() else { return };
    let server = Postgres::start(&binaries, &QUIET).unwrap();
    let world = World::at(server.url()).await;
    let mut admin = connect(&server).await;
    let full = Full::make(&server, &mut admin, "instances").await;
    let (status, again, body) = call(&world, "POST", "/instances", Some(request())).await;
    assert_eq!((status, again), (503, true), "{body}");
    full.make_room(&mut admin).await;
    assert_eq!(world.call("GET", "/instances", None).await.1["items"], json!([]));
    // The worst moment: the cloud created the server, and its volumes cannot be recorded.
    let full = Full::make(&server, &mut admin, "instance_volumes").await;
    let id = world.create(request()).await;
    for _ in 0..40 {
        world.orchestrator.tick(false).await.ok();
        world.advance_ms(1_000);
    }
    assert_eq!((world.left().0, servers_made(&world)), (1, 1), "the server was created once");
    full.make_room(&mut admin).await;
    ends_well(&world, &[id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_replica_that_was_writing_a_lease_blocks_no_other() {
    let Some(binaries) = binaries() else { return };
    let server = Postgres::start(&binaries, &QUIET).unwrap();
    let line = Relay::to(Target::Unix(server.socket())).await;
    let through = format!("postgres://postgres@{}/postgres?sslmode=disable", line.address());
    let (frozen, other) = (Store::open(&through).await.unwrap(), Store::open(&server.url()).await.unwrap());
    other.remember_account("a", "scaleway", "p", Timestamp(1)).await.unwrap();
    assert!(frozen.begin_lease("a", "z", "frozen").await.unwrap());
    // If the write needed several round trips, this would hold back the last one.
    line.hold("COMMIT");
    let seen = other.leases("a").await.unwrap().remove(0);
    assert!(frozen.take_lease("a", &seen, "frozen").await.unwrap());
    let seen = other.leases("a").await.unwrap().remove(0);
    assert!(other.take_lease("a", &seen, "other").await.unwrap());
    // A longer transaction that is frozen midway is cancelled before any waiter times out.
    let zones = ["x".to_owned(), "y".to_owned()];
    let expecting = tokio::spawn(async move { frozen.expect_catalogues("a", &zones).await });
    line.until_held().await;
    other.expect_catalogues("a", &["x".to_owned(), "y".to_owned()]).await.unwrap();
    line.release();
    assert!(expecting.await.unwrap().is_err(), "the transaction was rolled back");
}
