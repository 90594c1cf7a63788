//! Tests of `GET /events`: first all existing objects, then every change, through any replica.

use crate::helpers::{bearer, get, request};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use eventsource_stream::{Event, Eventsource};
use futures::StreamExt;
use futures::stream::BoxStream;
use inventiv_store::{Cursor, Store};
use inventiv_testkit::{Database, World};
use serde_json::{Value, json};
use sqlx::{Connection, Executor};
use std::collections::BTreeMap;
use std::time::Duration;
use tower::ServiceExt;

/// Longer than any step takes; a test that reaches it fails.
const PATIENCE: Duration = Duration::from_secs(60);

struct Reader {
    events: BoxStream<'static, Event>,
}

impl Reader {
    async fn open(api: &Router, path: &str, last: Option<&str>) -> Self {
        let answer = follow(api, path, last).await;
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let events = answer.into_body().into_data_stream().eventsource().map(|e| e.expect("events are well-formed"));
        Self { events: events.boxed() }
    }

    /// The next event; `None`: the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.events.next()).await.expect("an event or the end arrives in time")
    }

    /// Reads until the `live` event: the instances, the snapshot's reason if there is one, and the last event id.
    async fn until_live(&mut self) -> (Vec<Value>, Option<Value>, String) {
        let (mut instances, mut snapshot) = (Vec::new(), None);
        loop {
            let event = self.next().await.expect("it goes on");
            let data: Value = serde_json::from_str(&event.data).unwrap();
            match event.event.as_str() {
                "snapshot" => snapshot = Some(data["reason"].clone()),
                "instance" => instances.push(data),
                "live" => return (instances, snapshot, event.id),
                other => panic!("unknown event {other}"),
            }
        }
    }

    async fn next_instance(&mut self) -> Value {
        let event = self.next().await.expect("it goes on");
        assert_eq!(event.event, "instance");
        serde_json::from_str(&event.data).unwrap()
    }

    /// Reads until an instance has a status. Returns the last event id, and every status seen.
    async fn until_status(&mut self, id: &str, status: &str) -> (String, Vec<String>) {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let event = self.next().await.expect("it goes on");
            assert_eq!(event.event, "instance");
            let data: Value = serde_json::from_str(&event.data).unwrap();
            if data["id"] == id {
                let now = data["status"].as_str().unwrap().to_owned();
                if seen.last() != Some(&now) {
                    seen.push(now);
                }
                if data["status"] == status {
                    return (event.id, seen);
                }
            }
        }
    }
}

async fn follow(api: &Router, path: &str, last: Option<&str>) -> axum::response::Response {
    let mut request = Request::builder().uri(path).header("authorization", bearer());
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    api.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn ids(instances: &[Value]) -> Vec<&str> {
    instances.iter().map(|i| i["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_with_what_lives_and_reports_each_change_through_every_replica() {
    for database in Database::both() {
        let world = World::new(database).await;
        let over = world.create(request()).await;
        world.terminate(&over).await;
        world.until_status(&over, "terminated").await;
        let there = world.create(request()).await;
        world.until_status(&there, "ready").await;
        let other = world.another_api().await.router();
        for api in [&world.api, &other] {
            let mut reader = Reader::open(api, "/events", None).await;
            let (instances, snapshot, _) = reader.until_live().await;
            assert_eq!(snapshot.unwrap(), "start");
            assert_eq!(ids(&instances), [there.as_str()], "ended instances are not reported");
            assert_eq!(instances[0], world.show(&there).await, "the same as in a single read");
            // All changes go through the first replica; both report them.
            let id = world.create(request()).await;
            assert_eq!(reader.until_status(&id, "provisioning").await.1, ["provisioning"]);
            world.until_status(&id, "ready").await;
            world.settle().await;
            reader.until_status(&id, "ready").await;
            // The instance itself does not change.
            let data =
                |i: &Value| i["storages"].as_array().unwrap().iter().find(|v| v["size_gb"] == 50).unwrap().clone();
            let volume = data(&world.show(&id).await)["id"].as_str().unwrap().to_owned();
            let keep = Some(json!({"delete_on_terminate": false}));
            assert_eq!(world.call("PATCH", &format!("/volumes/{volume}"), keep).await.0, 200);
            let is_kept = |i: &Value| i["id"] == id && data(i)["delete_on_terminate"] == false;
            while !is_kept(&reader.next_instance().await) {}
            world.terminate(&id).await;
            reader.until_status(&id, "terminating").await;
            world.until_status(&id, "terminated").await;
            reader.until_status(&id, "terminated").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_resumes_on_any_replica_where_a_reader_was_disconnected() {
    for database in Database::both() {
        let world = World::new(database).await;
        let (first, second) = (world.create(request()).await, world.create(request()).await);
        let mut reader = Reader::open(&world.api, "/events", None).await;
        let (instances, ..) = reader.until_live().await;
        assert_eq!(instances.len(), 2);
        world.until_status(&first, "ready").await;
        let (last, _) = reader.until_status(&first, "ready").await;
        drop(reader);
        world.settle().await;
        // Changes while no reader is connected, including an end.
        world.terminate(&first).await;
        world.until_status(&first, "terminated").await;
        let third = world.create(request()).await;
        let other = world.another_api().await.router();
        for (path, header) in [("/events".to_owned(), Some(last.as_str())), (format!("/events?after={last}"), None)] {
            let mut reader = Reader::open(&other, &path, header).await;
            let (instances, snapshot, live) = reader.until_live().await;
            assert_eq!(snapshot, None, "no event is repeated");
            let latest: BTreeMap<&str, &Value> =
                instances.iter().map(|i| (i["id"].as_str().unwrap(), &i["status"])).collect();
            assert_eq!(latest[first.as_str()], "terminated");
            assert_eq!(latest[third.as_str()], "provisioning");
            // Without changes there are no events, and the event id stays the same.
            let (nothing, _, again) = Reader::open(&world.api, "/events", Some(&live)).await.until_live().await;
            assert_eq!((nothing.len(), again), (0, live));
        }
        let mut reader = Reader::open(&world.api, &format!("/events?instance_id={second}"), Some(&last)).await;
        let (instances, ..) = reader.until_live().await;
        assert!(ids(&instances).iter().all(|id| *id == second), "only the requested instance");
        let elsewhere = Reader::open(&world.api, "/events?zone=pl-waw-2", None).await.until_live().await.0;
        assert_eq!(elsewhere.len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_event_id_starts_over_and_an_invalid_one_is_refused() {
    for database in Database::both() {
        let world = World::new(database).await;
        let id = world.create(request()).await;
        let newest = world.store.newest_place().await.unwrap().to_string();
        let (number, rest) = newest.split_once('.').unwrap();
        // A restored database is recovered: its readers may have seen changes that it lost.
        let forgotten = newest.clone();
        let plan = world.orchestrator.plan_recovery().await.unwrap();
        assert_eq!(world.orchestrator.apply_recovery(&plan).await.unwrap(), 0);
        let later = format!("{}.{rest}", number.parse::<i64>().unwrap() + 1);
        for unknown in [format!("{number}..elsewhere"), later, forgotten] {
            let (instances, snapshot, _) = Reader::open(&world.api, "/events", Some(&unknown)).await.until_live().await;
            assert_eq!(snapshot.unwrap(), "unknown_id", "{unknown}");
            assert_eq!(ids(&instances), [id.as_str()]);
        }
        for (path, last, status, code) in [
            ("/events", Some("nonsense"), 422, "invalid"),
            ("/events", Some("1.a'b.c"), 422, "invalid"),
            ("/events?after=-3", None, 422, "invalid"),
            ("/events?instance_id=nobody", None, 404, "not_found"),
            ("/events?zone=%00", None, 422, "invalid"),
            ("/events?colour=blue", None, 422, "invalid"),
        ] {
            let answer = follow(&world.api, path, last).await;
            assert_eq!(answer.status().as_u16(), status, "{path} {last:?}");
            let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
            let problem: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem["type"], format!("urn:inventiv:{code}"), "{path} {last:?}");
        }
        assert_eq!(get(&world.api, "/events", &[]).await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_their_replica_stops_and_their_number_is_limited() {
    let world = World::new(Database::Sqlite).await;
    let app = world.another_api().await;
    let api = app.router();
    let mut readers = Vec::new();
    let refused = loop {
        let answer = follow(&api, "/events", None).await;
        if answer.status().as_u16() != 200 {
            break answer;
        }
        readers.push(answer);
    };
    assert_eq!((readers.len(), refused.status().as_u16()), (256, 503));
    assert!(refused.headers().contains_key("retry-after"));
    // A closed stream frees its slot.
    readers.pop();
    tokio::time::timeout(PATIENCE, async {
        while follow(&api, "/events", None).await.status().as_u16() != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a slot is free again");
    let mut reader = Reader::open(&world.api, "/events", None).await;
    reader.until_live().await;
    app.close_streams();
    for reader in readers {
        let whole = tokio::time::timeout(PATIENCE, axum::body::to_bytes(reader.into_body(), 1 << 20)).await;
        whole.expect("it ends").unwrap();
    }
    assert_eq!(follow(&api, "/events", None).await.status().as_u16(), 503);
    // The other replica's stream continues.
    let id = world.create(request()).await;
    reader.until_status(&id, "provisioning").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_misses_nothing() {
    // More than its buffer holds.
    const MANY: usize = 300;
    let world = World::new(Database::Sqlite).await;
    let mut reader = Reader::open(&world.api, "/events", None).await;
    reader.until_live().await;
    let mut prompt = Reader::open(&world.api, "/events", None).await;
    prompt.until_live().await;
    let elsewhere = Reader::open(&world.api, "/events?zone=pl-waw-2", None).await;
    let mut wanted = Vec::new();
    for _ in 0..MANY {
        wanted.push(world.create(request()).await);
    }
    // By now all changes have been published, but this reader has not read them.
    for reader in [&mut prompt, &mut reader] {
        let mut reported = std::collections::BTreeSet::new();
        while reported.len() < MANY {
            reported.insert(reader.next_instance().await["id"].as_str().unwrap().to_owned());
        }
        assert!(wanted.iter().all(|id| reported.contains(id)));
    }
    // A reader whose filter matches nothing gets a new event id now and then, so it need not repeat everything.
    let lives: Vec<Event> = elsewhere.events.take(3).collect().await;
    assert_eq!(lives.iter().map(|e| e.event.as_str()).collect::<Vec<_>>(), ["snapshot", "live", "live"]);
    assert_ne!(lives[1].id, lives[2].id);
    // No reader is connected for a while; then one connects again.
    drop((reader, prompt));
    let mut reader = Reader::open(&world.api, "/events", Some(&lives[2].id)).await;
    reader.until_live().await;
    world.terminate(&wanted[0]).await;
    reader.until_status(&wanted[0], "terminating").await;
}

/// A writer that writes early but commits only after others have committed and have been read.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_gets_a_later_number() {
    if !Database::both().contains(&Database::Postgres) {
        return;
    }
    let world = World::new(Database::Postgres).await;
    let (late, early) = (world.create(request()).await, world.create(request()).await);
    let begin = world.store.newest_place().await.unwrap();
    let mut writer = sqlx::PgConnection::connect(&world.database_url).await.unwrap();
    let mark = |id: &str| format!("UPDATE instance_changes SET changed = 0 WHERE instance_id = '{id}'");
    writer.execute(sqlx::AssertSqlSafe(format!("BEGIN; {}", mark(&late)))).await.unwrap();
    let mut other = sqlx::PgConnection::connect(&world.database_url).await.unwrap();
    // An older change of the same instance is marked, too, and locked by its writer.
    other.execute(sqlx::AssertSqlSafe(mark(&early))).await.unwrap();
    let ids = |changes: &[inventiv_store::Change]| -> Vec<String> {
        changes.iter().map(|c| c.instance.instance.id.to_string()).collect()
    };
    world.store.number_changes().await.unwrap();
    let first = world.store.changes(&begin, 9).await.unwrap();
    assert_eq!(ids(&first), [early.as_str()], "a read does not wait for the open transaction");
    writer.execute("COMMIT").await.unwrap();
    world.store.number_changes().await.unwrap();
    let second = world.store.changes(&first[0].place, 9).await.unwrap();
    assert_eq!(ids(&second), [late.as_str()]);
}

/// Readers of several replicas lag a little while several writers write; each reads the last change of everything.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_commits_late_is_reported_and_nothing_is_missed() {
    const EACH: usize = 12;
    for database in Database::both() {
        let world = World::new(database).await;
        let mut stores = vec![world.store.clone()];
        for _ in 0..2 {
            stores.push(Store::open(&world.database_url).await.unwrap());
        }
        let mut wanted = Vec::new();
        for _ in 0..EACH {
            wanted.push(world.create(request()).await);
        }
        let begin = world.store.newest_place().await.unwrap();
        let (done, _) = tokio::sync::watch::channel(None);
        let readers: Vec<_> =
            stores.iter().cloned().map(|s| tokio::spawn(read(s, begin.clone(), done.subscribe()))).collect();
        let writers: Vec<_> =
            wanted.iter().enumerate().map(|(n, id)| tokio::spawn(write(stores[n % 3].clone(), id.clone()))).collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let mut last = BTreeMap::new();
        for id in &wanted {
            let parsed = inventiv_core::id::InstanceId::parse(id).unwrap();
            last.insert(id.clone(), world.store.instance(&parsed).await.unwrap().unwrap().instance.version);
        }
        done.send_replace(Some(last));
        for reader in readers {
            let read = tokio::time::timeout(PATIENCE, reader).await;
            read.unwrap_or_else(|_| panic!("{database:?}: the last change of each is seen")).unwrap();
        }
    }
}

/// Numbers changes and reads them, until it has seen the last version of each instance.
async fn read(store: Store, mut place: Cursor, last: tokio::sync::watch::Receiver<Option<BTreeMap<String, i64>>>) {
    let mut seen = BTreeMap::new();
    while last.borrow().as_ref() != Some(&seen) {
        store.number_changes().await.unwrap();
        for change in store.changes(&place, 5).await.unwrap() {
            assert!(change.place.is_after(&place));
            place = change.place;
            seen.insert(change.instance.instance.id.to_string(), change.instance.instance.version);
        }
        tokio::task::yield_now().await;
    }
}

async fn write(store: Store, id: String) {
    let id = inventiv_core::id::InstanceId::parse(&id).unwrap();
    for n in 0..60 {
        let now = inventiv_core::time::Timestamp(1_800_000_000_000_000 + n);
        let change = |agg: &mut inventiv_core::recorded::Aggregate| {
            agg.instance.ip_address = Some(format!("10.0.0.{n}"));
            Ok::<_, inventiv_store::Error>(Vec::new())
        };
        store.change(&id, now, change).await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_without_a_snapshot_begins_now() {
    for db in Database::both() {
        let w = World::new(db).await;
        w.create(request()).await;
        let mut reader = Reader::open(&w.api, "/events?snapshot=false", None).await;
        let (instances, snapshot, last) = reader.until_live().await;
        assert_eq!((instances.len(), snapshot), (0, None));
        let second = w.create(request()).await;
        assert_eq!(reader.next_instance().await["id"], second.as_str());
        // Resumed, it continues as any other stream.
        let mut resumed = Reader::open(&w.api, "/events?snapshot=false", Some(&last)).await;
        assert_eq!(resumed.next_instance().await["id"], second.as_str());
    }
}
