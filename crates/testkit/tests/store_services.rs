//! The store's contract for services and for what is counted, on both databases: what is written comes back, a stale
//! write writes nothing, and what several replicas of the control plane count adds up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_core::id::{InstanceId, KeyId, ServiceId};
use inventiv_core::offer::BootStorage;
use inventiv_core::recorded::{Aggregate, Instance, NewInstance, Spec};
use inventiv_core::service::{Avoided, Candidate, Load, ReplicaOf, Service, ServiceSpec, ServiceState, ServiceStatus};
use inventiv_core::status::{Desired, Status};
use inventiv_core::time::Timestamp;
use inventiv_store::{ApiKeyRow, Counted, Error, MinuteUse, Saved, Store, Usage, UsageKey};
use inventiv_testkit::{Database, Home, database};
use std::collections::BTreeSet;

const ACCOUNT: &str = "scaleway:p";
const HOUR_US: i64 = 3_600_000_000;
const MINUTE_US: i64 = 60_000_000;

fn at(n: i64) -> Timestamp {
    Timestamp(1_700_000_000_000_000 + n)
}

fn spec(service: Option<u128>) -> Spec {
    Spec {
        data_volume: None,
        boot_volume_bytes: None,
        image: "ubuntu".into(),
        boot_storage: BootStorage::Local,
        gpu_count: 1,
        warnings: Vec::new(),
        engine: None,
        serving: None,
        tags: Vec::new(),
        hourly_micros: 1_469_916,
        currency: "EUR".into(),
        ssh_keys: Vec::new(),
        user_data: None,
        recovered_at: None,
        idle_ms: None,
        replica_of: service.map(|n| ReplicaOf { service_id: ServiceId::new(n), revision: 4 }),
    }
}

fn service(n: u128, name: &str) -> Service {
    Service {
        id: ServiceId::new(n),
        name: name.into(),
        account_id: ACCOUNT.into(),
        provider: "scaleway".into(),
        desired: Desired::Present,
        spec: ServiceSpec {
            model_id: "Qwen/Qwen2.5-7B-Instruct".into(),
            min_replicas: 1,
            max_replicas: 3,
            target_concurrency: 16,
            idle_ms: 1_800_000,
            scale_down_ms: 300_000,
            candidates: vec![Candidate { zone: "fr-par-2".into(), instance_type: "L4-1-24G".into(), spec: spec(None) }],
            template: serde_json::json!({"min_replicas": 1, "tags": ["ü; --'"]}),
        },
        revision: 1,
        status: ServiceStatus::Starting,
        reason: None,
        state: ServiceState::default(),
        warm_until: None,
        expires_at: None,
        created_at: at(1),
        updated_at: at(1),
        deleted_at: None,
        version: 0,
    }
}

/// A service in which every field differs from its default.
fn changed(before: &Service) -> Service {
    let avoided = Avoided { until: at(20), why: "out of stock".into() };
    Service {
        desired: Desired::Absent,
        spec: ServiceSpec { min_replicas: 2, candidates: Vec::new(), ..before.spec.clone() },
        revision: 5,
        status: ServiceStatus::Deleted,
        reason: Some("because: \"ünïcode\" 'quotes' ; --".into()),
        state: ServiceState {
            more_since: Some((at(5), 3)),
            proves_late: true,
            limit_reached: Some("no".into()),
            size: 2,
            fewer_since: Some((at(3), 1)),
            avoid: [("fr-par-2/L4-1-24G".to_owned(), avoided)].into(),
            failures: 3,
            last_failure: Some("the disk is full".into()),
            failed_at: Some(at(4)),
            not_before: Some(at(5)),
            counted: vec![InstanceId::new(8)],
            unavailable: [(InstanceId::new(9), at(6))].into(),
        },
        warm_until: Some(at(7)),
        expires_at: Some(at(6)),
        updated_at: at(8),
        deleted_at: Some(at(9)),
        ..before.clone()
    }
}

fn replica(n: u128, of: Option<u128>, status: Status) -> Aggregate {
    let new = NewInstance {
        id: InstanceId::new(n),
        name: format!("replica-{n}"),
        account_id: ACCOUNT.into(),
        provider: "scaleway".into(),
        zone: "fr-par-2".into(),
        instance_type: "L4-1-24G".into(),
        model_id: None,
        spec: spec(of),
    };
    let instance = Instance { status, ..Instance::requested(new, at(1)) };
    Aggregate { instance, servers: Vec::new(), volumes: Vec::new() }
}

async fn open(kind: Database) -> (Store, Home, String) {
    let (url, home) = database(kind).await;
    let store = Store::open(&url).await.unwrap();
    store.remember_account(ACCOUNT, "scaleway", "p", at(0)).await.unwrap();
    (store, home, url)
}

#[tokio::test]
async fn every_field_of_a_service_comes_back_as_it_was_written() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        let mut first = service(1, "chat");
        store.insert_service(&first).await.unwrap();
        for by in [first.id.as_str(), "chat"] {
            assert_eq!(store.service(by).await.unwrap().as_ref(), Some(&first), "{by}");
        }
        assert_eq!(store.services(Some(ACCOUNT)).await.unwrap(), [first.clone()]);
        assert_eq!(store.services(None).await.unwrap(), [first.clone()]);
        assert!(store.services(Some("scaleway:other")).await.unwrap().is_empty());
        assert_eq!(store.service("nobody").await.unwrap(), None);

        first = changed(&first);
        assert_eq!(store.save_service(&first).await.unwrap(), Saved::Version(1));
        assert_eq!(store.save_service(&first).await.unwrap(), Saved::Stale, "it has changed since");
        first.version = 1;
        assert_eq!(store.service("chat").await.unwrap().as_ref(), Some(&first), "deleted, and still known by its name");
        assert!(store.services(None).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_name_belongs_to_one_living_service_and_then_to_the_next() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        let same: Vec<Service> = (1..=8).map(|n| service(n, "chat")).collect();
        let made = futures::future::join_all(same.iter().map(|s| store.insert_service(s))).await;
        assert_eq!(made.iter().filter(|m| m.is_ok()).count(), 1, "{made:?}");
        assert!(made.iter().all(|m| matches!(m, Ok(()) | Err(Error::Duplicate(_)))), "{made:?}");
        store.insert_service(&service(9, "other")).await.unwrap();

        let first = store.service("chat").await.unwrap().unwrap();
        store.save_service(&changed(&first)).await.unwrap();
        let second = service(10, "chat");
        store.insert_service(&second).await.unwrap();
        assert_eq!(store.service("chat").await.unwrap().unwrap().id, second.id, "the living one");
        store.save_service(&changed(&second)).await.unwrap();
        assert_eq!(store.service("chat").await.unwrap().unwrap().id, second.id, "the last one");
        assert_eq!(store.service(first.id.as_str()).await.unwrap().unwrap().id, first.id);
    }
}

#[tokio::test]
async fn a_replica_and_its_service_are_written_together_or_not_at_all() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        let before = service(1, "chat");
        store.insert_service(&before).await.unwrap();
        let written = Service { status: ServiceStatus::Ready, ..before.clone() };
        store.insert_replica(&replica(1, Some(1), Status::Provisioning), &[], &written).await.unwrap();
        let now = store.service("chat").await.unwrap().unwrap();
        assert_eq!((now.version, now.status), (1, ServiceStatus::Ready));

        // From the same facts, a second process creates nothing. Nor does a deleted or unknown service get a replica.
        let late = replica(2, Some(1), Status::Provisioning);
        let refused = store.insert_replica(&late, &[], &written).await;
        assert!(matches!(refused, Err(Error::Duplicate(_))), "{refused:?}");
        let unknown = Service { id: ServiceId::new(99), ..now.clone() };
        assert!(store.insert_replica(&late, &[], &unknown).await.is_err());
        assert_eq!(store.instance(&late.instance.id).await.unwrap(), None);

        // A name that is taken keeps the service as it was.
        let mut taken = replica(3, Some(1), Status::Provisioning);
        taken.instance.name = "replica-1".into();
        let refused = store.insert_replica(&taken, &[], &now).await;
        assert!(matches!(refused, Err(Error::Duplicate(_))), "{refused:?}");
        assert_eq!(store.service("chat").await.unwrap().unwrap(), now);

        // Many at once: each writes the version that it read.
        let many = (10..30).map(|n| {
            let (store, now) = (store.clone(), now.clone());
            async move { store.insert_replica(&replica(n, Some(1), Status::Provisioning), &[], &now).await.is_ok() }
        });
        let made = futures::future::join_all(many).await;
        assert_eq!(made.iter().filter(|made| **made).count(), 1);
        assert_eq!(store.replicas(&now.id, 1 << 45).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn replicas_are_those_that_live_and_those_of_a_recent_time() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        let drawn = |ms: u64, n: u128| (u128::from(ms) << 80) | n;
        let ids = |all: &[u128]| all.iter().map(|n| InstanceId::new(*n)).collect::<Vec<_>>();
        let (old, new) = (drawn(1_000, 1), drawn(2_000, 0));
        for (n, of, status) in [
            (old, Some(1), Status::Ready),
            (old + 1, Some(1), Status::Terminated),
            (old + 2, Some(1), Status::ProvisioningFailed),
            (old + 3, Some(1), Status::StartupFailed),
            (old + 4, Some(1), Status::Stopped),
            (old + 5, Some(2), Status::Ready),
            (old + 6, None, Status::Ready),
            (new, Some(1), Status::Terminated),
            (new + 1, Some(1), Status::ProvisioningFailed),
            (new + 2, Some(1), Status::Draining),
        ] {
            store.insert(&replica(n, of, status), &[]).await.unwrap();
        }
        // One that took long to fail.
        let mut late = replica(old + 7, Some(1), Status::ProvisioningFailed);
        late.instance.terminated_at = Some(Timestamp(2_500_000));
        store.insert(&late, &[]).await.unwrap();
        let of = async |n: u128, since: u64| store.replicas(&ServiceId::new(n), since).await.unwrap();
        assert_eq!(of(1, 2_000).await, ids(&[old, old + 3, old + 4, old + 7, new, new + 1, new + 2]));
        assert_eq!(of(1, 2_001).await, ids(&[old, old + 3, old + 4, old + 7, new + 2]));
        assert_eq!(of(1, 2_501).await, ids(&[old, old + 3, old + 4, new + 2]));
        assert_eq!(of(1, 1 << 45).await, ids(&[old, old + 3, old + 4, new + 2]), "those that live");
        assert_eq!(of(1, 0).await.len(), 9);
        assert_eq!(of(2, 0).await, ids(&[old + 5]));
        assert!(of(3, 0).await.is_empty());
    }
}

fn key(n: u128) -> KeyId {
    KeyId::new(n)
}

fn usage_key(hour: i64, key_id: u128, service_id: &str) -> UsageKey {
    UsageKey {
        hour,
        key_id: key(key_id).to_string(),
        service_id: service_id.into(),
        instance_id: String::new(),
        model: "Qwen/Qwen2.5-7B-Instruct".into(),
    }
}

fn used(n: i64) -> Usage {
    Usage {
        requests: n,
        errors: 2 * n,
        prompt_tokens: 3 * n,
        completion_tokens: 4 * n,
        first_token_ms: 5 * n,
        duration_ms: 6 * n,
    }
}

async fn add_key(store: &Store, n: u128) {
    let row = ApiKeyRow {
        id: key(n),
        name: "app".into(),
        hash: n.to_string(),
        scopes: Vec::new(),
        requests_per_minute: None,
        tokens_per_minute: None,
        created_at: at(0),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    };
    store.add_api_key(&row).await.unwrap();
}

/// Forty commits of one replica, each with the same rows in another order.
async fn counts(store: Store, replica: usize, minute: i64) {
    let (first, second) = (usage_key(0, 1, ""), usage_key(HOUR_US, 2, "svc"));
    for n in 0..40 {
        let mut usage = vec![(first.clone(), used(1)), (second.clone(), used(10)), (first.clone(), used(100))];
        let mut minutes = vec![
            (key(1), minute, MinuteUse { requests: 1, tokens: 7 }),
            (key(2), minute, MinuteUse { requests: 2, tokens: 70 }),
        ];
        let mut loads = vec![
            (ServiceId::new(1), Load { outstanding: 3, queued: 1, last_request_at: Some(at(n)) }),
            (ServiceId::new(2), Load { outstanding: 5, queued: 0, last_request_at: None }),
        ];
        if (replica + usize::try_from(n).unwrap()).is_multiple_of(2) {
            usage.reverse();
            minutes.reverse();
            loads.reverse();
        }
        store.add_counted(&format!("replica-{replica}"), &Counted { usage, minutes, loads }, at(n)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_several_replicas_count_at_once_adds_up_exactly() {
    for kind in Database::both() {
        let (store, _home, url) = open(kind).await;
        for n in [1, 2] {
            store.insert_service(&service(n, &format!("chat-{n}"))).await.unwrap();
            add_key(&store, n).await;
        }
        let minute = at(0).0.div_euclid(MINUTE_US);
        let mut tasks = Vec::new();
        for replica in 0..6 {
            let own = Store::open(&url).await.unwrap();
            tasks.push(tokio::spawn(counts(own, replica, minute)));
        }
        // Meanwhile, the services are written as the orchestrator writes them.
        let mut planned = store.service("chat-1").await.unwrap().unwrap();
        for _ in 0..40 {
            assert_eq!(store.save_service(&planned).await.unwrap(), Saved::Version(planned.version + 1));
            planned.version += 1;
        }
        for task in tasks {
            task.await.unwrap();
        }
        let times = 6 * 40;
        let rows = store.usage(Timestamp(0), Timestamp(2 * HOUR_US), ("", ""), 10).await.unwrap();
        let expected = [(usage_key(0, 1, ""), used(101 * times)), (usage_key(HOUR_US, 2, "svc"), used(10 * times))];
        assert_eq!(rows, expected, "{kind:?}");
        let minutes = store.key_minutes(at(0)).await.unwrap();
        let of = |n: u128| minutes[&(key(n).to_string(), minute)];
        assert_eq!(of(1), MinuteUse { requests: times, tokens: 7 * times });
        assert_eq!(of(2), MinuteUse { requests: 2 * times, tokens: 70 * times });
        let load = async |n: u128| store.service_load(&ServiceId::new(n), Timestamp(0)).await.unwrap();
        assert_eq!(load(1).await, Load { outstanding: 18, queued: 6, last_request_at: Some(at(39)) });
        assert_eq!(load(2).await, Load { outstanding: 30, queued: 0, last_request_at: None });
    }
}

#[tokio::test]
async fn the_load_of_a_replica_that_stopped_is_ignored_and_the_time_of_its_last_request_is_not() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        store.insert_service(&service(1, "chat")).await.unwrap();
        store.insert_service(&service(2, "other")).await.unwrap();
        let report = async |replica: &str, service: u128, load: Load, now: i64| {
            let counted = Counted { loads: vec![(ServiceId::new(service), load)], ..Counted::default() };
            store.add_counted(replica, &counted, at(now)).await.unwrap();
        };
        let load = |outstanding, queued, last: Option<i64>| Load { outstanding, queued, last_request_at: last.map(at) };
        let shown = async |after: i64| store.service_load(&ServiceId::new(1), at(after)).await.unwrap();
        assert_eq!(shown(0).await, Load::default());
        report("a", 1, load(3, 1, Some(90)), 100).await;
        report("b", 1, load(4, 2, Some(50)), 200).await;
        report("c", 2, load(100, 100, Some(300)), 300).await;
        assert_eq!(shown(99).await, load(7, 3, Some(90)));
        assert_eq!(shown(100).await, load(4, 2, Some(90)), "a report of exactly that time is too old");
        assert_eq!(shown(200).await, load(0, 0, Some(90)));
        // A replica replaces its own report. One that has seen no request since it started knows nothing of earlier ones.
        report("b", 1, load(1, 0, None), 400).await;
        assert_eq!(shown(99).await, load(4, 1, Some(90)));
        report("a", 1, load(0, 0, None), 400).await;
        assert_eq!(shown(399).await, load(1, 0, Some(90)));
        report("b", 1, load(1, 0, Some(380)), 500).await;
        assert_eq!(shown(499).await, load(1, 0, Some(380)));
        report("a", 1, load(u32::MAX, u32::MAX, None), 500).await;
        assert_eq!(shown(499).await, load(u32::MAX, u32::MAX, Some(380)), "a sum that is too large is the largest");
        // What a process told before it ended is kept for longer than a service may wait before it sleeps.
        let days = |n: i64| n * 86_400_000_000;
        report("a", 1, load(1, 0, Some(600)), days(5)).await;
        store.drop_old_counts(at(days(8))).await.unwrap();
        assert_eq!(shown(0).await.last_request_at, Some(at(600)));
        store.drop_old_counts(at(days(13) + 1)).await.unwrap();
        assert_eq!(shown(0).await, Load::default());
    }
}

#[tokio::test]
async fn minutes_of_keys_are_those_of_the_present_and_the_one_before() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        add_key(&store, 1).await;
        let first = at(0).0.div_euclid(MINUTE_US);
        let time = |minute: i64| Timestamp(minute * MINUTE_US + 17);
        let add = async |key_id: u128, minute: i64, requests: i64| {
            let minutes = vec![(key(key_id), minute, MinuteUse { requests, tokens: 10 * requests })];
            store.add_counted("a", &Counted { minutes, ..Counted::default() }, time(minute)).await.unwrap();
        };
        let last_used = async || store.api_key(&key(1)).await.unwrap().unwrap().last_used_at;
        assert_eq!(last_used().await, None);
        for n in 0..=6 {
            add(1, first + n, 1 + n).await;
            assert_eq!(last_used().await, Some(time(first + n)));
        }
        // A key that is not known any more, and another commit in the same minute.
        add(2, first + 6, 5).await;
        add(1, first + 6, 100).await;
        let shown = async |minute: i64| {
            let found = store.key_minutes(time(minute)).await.unwrap();
            found
                .into_iter()
                .map(|((key, at), used)| (key, at - first, used.requests, used.tokens))
                .collect::<BTreeSet<_>>()
        };
        let row = |n: u128, minute: i64, requests: i64| (key(n).to_string(), minute, requests, 10 * requests);
        assert_eq!(shown(first + 6).await, [row(1, 5, 6), row(1, 6, 107), row(2, 6, 5)].into());
        assert_eq!(shown(first + 7).await, [row(1, 6, 107), row(2, 6, 5)].into());
        assert!(shown(first + 8).await.is_empty());
        assert_eq!(shown(first).await.len(), 8);
        store.drop_old_counts(time(first + 6)).await.unwrap();
        assert_eq!(shown(first).await.len(), 7, "five minutes are kept");
        store.drop_old_counts(time(first + 12)).await.unwrap();
        assert!(shown(first).await.is_empty());
    }
}

#[tokio::test]
async fn usage_is_that_of_a_period_a_service_and_a_key() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        let rows =
            [usage_key(0, 1, "a"), usage_key(0, 2, ""), usage_key(HOUR_US, 1, "b"), usage_key(2 * HOUR_US, 1, "a")];
        let usage = rows.iter().rev().map(|k| (k.clone(), used(1))).collect();
        store.add_counted("r", &Counted { usage, ..Counted::default() }, at(0)).await.unwrap();
        store.add_counted("r", &Counted::default(), at(0)).await.unwrap();
        let key_1 = key(1).to_string();
        for (from, to, of, limit, expected) in [
            (0, 3 * HOUR_US, ("", ""), 9, vec![0, 1, 2, 3]),
            (HOUR_US - 1, 3 * HOUR_US, ("", ""), 9, vec![0, 1, 2, 3]),
            (HOUR_US, 3 * HOUR_US, ("", ""), 9, vec![2, 3]),
            (0, 2 * HOUR_US, ("", ""), 9, vec![0, 1, 2]),
            (0, 2 * HOUR_US + 1, ("a", ""), 9, vec![0, 3]),
            (0, 3 * HOUR_US, ("", key_1.as_str()), 9, vec![0, 2, 3]),
            (0, 3 * HOUR_US, ("b", key_1.as_str()), 9, vec![2]),
            (0, 3 * HOUR_US, ("", "key-none"), 9, vec![]),
            (0, 3 * HOUR_US, ("", ""), 2, vec![0, 1]),
        ] {
            let found = store.usage(Timestamp(from), Timestamp(to), of, limit).await.unwrap();
            let found: Vec<UsageKey> = found.into_iter().map(|(key, _)| key).collect();
            let expected: Vec<UsageKey> = expected.into_iter().map(|n: usize| rows[n].clone()).collect();
            assert_eq!(found, expected, "{from} {to} {of:?}");
        }
    }
}
