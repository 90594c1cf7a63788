//! The stream of changes: everything that is there, then everything that changes, through whichever server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use eventsource_stream::{Event, Eventsource};
use futures::StreamExt;
use futures::stream::BoxStream;
use inventiv_store::{Cursor, Store};
use inventiv_testkit::{Database, TOKEN, World};
use serde_json::{Value, json};
use sqlx::{Connection, Executor};
use std::collections::BTreeMap;
use std::time::Duration;
use tower::ServiceExt;

/// Longer than anything here takes; a test that waits for it fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn request() -> Value {
    json!({"instance_type": "L40S-1-48G", "zone": "fr-par-2", "data_volume_gb": 50})
}

struct Reader {
    events: BoxStream<'static, Event>,
}

impl Reader {
    async fn open(api: &Router, path: &str, last: Option<&str>) -> Self {
        let answer = ask(api, path, last).await;
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let events = answer.into_body().into_data_stream().eventsource().map(|e| e.expect("events are well-formed"));
        Self { events: events.boxed() }
    }

    /// The next one; `None`: the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.events.next()).await.expect("something comes, or it ends")
    }

    /// What comes until it is live: ids, and whether it began with a snapshot.
    async fn until_live(&mut self) -> (Vec<Value>, Option<Value>, String) {
        let (mut instances, mut snapshot) = (Vec::new(), None);
        loop {
            let event = self.next().await.expect("it goes on");
            let data: Value = serde_json::from_str(&event.data).unwrap();
            match event.event.as_str() {
                "snapshot" => snapshot = Some(data["reason"].clone()),
                "instance" => instances.push(data),
                "live" => return (instances, snapshot, event.id),
                other => panic!("{other} is no event of ours"),
            }
        }
    }

    async fn next_instance(&mut self) -> Value {
        let event = self.next().await.expect("it goes on");
        assert_eq!(event.event, "instance");
        serde_json::from_str(&event.data).unwrap()
    }

    /// Until an instance is shown with a status. Gives the last id, and every status that it was shown with.
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

async fn ask(api: &Router, path: &str, last: Option<&str>) -> axum::response::Response {
    let mut request = Request::builder().uri(path).header("authorization", format!("Bearer {TOKEN}"));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    api.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn ids(instances: &[Value]) -> Vec<&str> {
    instances.iter().map(|i| i["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_with_what_lives_and_tells_each_change_through_every_server() {
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
            assert_eq!(ids(&instances), [there.as_str()], "what is over is not there");
            assert_eq!(instances[0], world.show(&there).await, "as it is shown by itself");
            // Everything happens through the first; both tell.
            let id = world.create(request()).await;
            assert_eq!(reader.until_status(&id, "provisioning").await.1, ["provisioning"]);
            world.until_status(&id, "ready").await;
            world.settle().await;
            reader.until_status(&id, "ready").await;
            // Of the instance itself, nothing changes.
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
async fn it_goes_on_where_a_reader_was_cut_off_on_any_server() {
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
        // What happens while nobody listens, an end included.
        world.terminate(&first).await;
        world.until_status(&first, "terminated").await;
        let third = world.create(request()).await;
        let other = world.another_api().await.router();
        for (path, header) in [("/events".to_owned(), Some(last.as_str())), (format!("/events?after={last}"), None)] {
            let mut reader = Reader::open(&other, &path, header).await;
            let (instances, snapshot, live) = reader.until_live().await;
            assert_eq!(snapshot, None, "nothing is told twice");
            let latest: BTreeMap<&str, &Value> =
                instances.iter().map(|i| (i["id"].as_str().unwrap(), &i["status"])).collect();
            assert_eq!(latest[first.as_str()], "terminated");
            assert_eq!(latest[third.as_str()], "provisioning");
            // Nothing happened since: nothing is told, and the place is the same.
            let (nothing, _, again) = Reader::open(&world.api, "/events", Some(&live)).await.until_live().await;
            assert_eq!((nothing.len(), again), (0, live));
        }
        let mut reader = Reader::open(&world.api, &format!("/events?instance_id={second}"), Some(&last)).await;
        let (instances, ..) = reader.until_live().await;
        assert!(ids(&instances).iter().all(|id| *id == second), "only what was asked for");
        let elsewhere = Reader::open(&world.api, "/events?zone=pl-waw-2", None).await.until_live().await.0;
        assert_eq!(elsewhere.len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_the_database_does_not_know_begins_anew_and_nonsense_is_refused() {
    for database in Database::both() {
        let world = World::new(database).await;
        let id = world.create(request()).await;
        let newest = world.store.newest_place().await.unwrap().to_string();
        let (number, rest) = newest.split_once('.').unwrap();
        // A database that is restored is recovered: whoever followed it may know what it has lost.
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
            let answer = ask(&world.api, path, last).await;
            assert_eq!(answer.status().as_u16(), status, "{path} {last:?}");
            let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
            let problem: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem["type"], format!("urn:inventiv:{code}"), "{path} {last:?}");
        }
        let without = Request::builder().uri("/events").body(Body::empty()).unwrap();
        assert_eq!(world.api.clone().oneshot(without).await.unwrap().status().as_u16(), 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_their_server_stops_and_there_are_only_so_many() {
    let world = World::new(Database::Sqlite).await;
    let app = world.another_api().await;
    let api = app.router();
    let mut readers = Vec::new();
    let refused = loop {
        let answer = ask(&api, "/events", None).await;
        if answer.status().as_u16() != 200 {
            break answer;
        }
        readers.push(answer);
    };
    assert_eq!((readers.len(), refused.status().as_u16()), (256, 503));
    assert!(refused.headers().contains_key("retry-after"));
    // One that goes makes room for another.
    readers.pop();
    tokio::time::timeout(PATIENCE, async {
        while ask(&api, "/events", None).await.status().as_u16() != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("there is room again");
    let mut reader = Reader::open(&world.api, "/events", None).await;
    reader.until_live().await;
    app.close_streams();
    for reader in readers {
        let whole = tokio::time::timeout(PATIENCE, axum::body::to_bytes(reader.into_body(), 1 << 20)).await;
        whole.expect("it ends").unwrap();
    }
    assert_eq!(ask(&api, "/events", None).await.status().as_u16(), 503);
    // The other server's goes on.
    let id = world.create(request()).await;
    reader.until_status(&id, "provisioning").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_takes_nothing_for_a_while_misses_nothing() {
    // More than are kept for it.
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
    // All of them have been told by now, but not to that one.
    for reader in [&mut prompt, &mut reader] {
        let mut reported = std::collections::BTreeSet::new();
        while reported.len() < MANY {
            reported.insert(reader.next_instance().await["id"].as_str().unwrap().to_owned());
        }
        assert!(wanted.iter().all(|id| reported.contains(id)));
    }
    // Who asked for none of it hears now and then how far it is, and need not go through all of it again.
    let lives: Vec<Event> = elsewhere.events.take(3).collect().await;
    assert_eq!(lives.iter().map(|e| e.event.as_str()).collect::<Vec<_>>(), ["snapshot", "live", "live"]);
    assert_ne!(lives[1].id, lives[2].id);
    // Nobody listens for a while; then somebody does again.
    drop((reader, prompt));
    let mut reader = Reader::open(&world.api, "/events", Some(&lives[2].id)).await;
    reader.until_live().await;
    world.terminate(&wanted[0]).await;
    reader.until_status(&wanted[0], "terminating").await;
}

/// A writer that has written, and commits only after others have, and after they have been read.
#[tokio::test(flavor = "multi_thread")]
async fn what_commits_late_is_numbered_late() {
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
    // The same instance in an older state is marked, too, and is locked by its writer.
    other.execute(sqlx::AssertSqlSafe(mark(&early))).await.unwrap();
    let ids = |changes: &[inventiv_store::Change]| -> Vec<String> {
        changes.iter().map(|c| c.instance.instance.id.to_string()).collect()
    };
    world.store.number_changes().await.unwrap();
    let first = world.store.changes(&begin, 9).await.unwrap();
    assert_eq!(ids(&first), [early.as_str()], "nobody waits for the other one");
    writer.execute("COMMIT").await.unwrap();
    world.store.number_changes().await.unwrap();
    let second = world.store.changes(&first[0].place, 9).await.unwrap();
    assert_eq!(ids(&second), [late.as_str()]);
}

/// Readers that are always a little behind, of several servers, while several write: each has the last word on everything.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_commits_late_is_told_and_nothing_is_missed() {
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

/// Numbers and reads, until it has seen the last version of each.
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
