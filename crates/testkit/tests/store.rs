//! The store's contract, on both databases: what is written comes back, and a stale write writes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_core::engine::{Engine, EngineKind, Serving};
use inventiv_core::error::{CallError, Effect, ErrorKind};
use inventiv_core::id::{InstanceId, LogId, ServerId, ServiceId, VolumeId};
use inventiv_core::offer::BootStorage;
use inventiv_core::recorded::{Aggregate, DataVolumeSpec, Failure, Instance, Note, Proof, Retry, Server, Spec, Volume};
use inventiv_core::service::ReplicaOf;
use inventiv_core::status::{CreateState, Desired, LogStatus, Origin, Status, VolumeStatus};
use inventiv_core::time::Timestamp;
use inventiv_core::worker::record::WorkerRecord;
use inventiv_store::{ActionLog, Error, InstanceFilter, LogWrite, Saved, Store, VolumeFilter};
use inventiv_testkit::{Database, database};

const ACCOUNT: &str = "scaleway:p";

fn at(n: i64) -> Timestamp {
    Timestamp(1_700_000_000_000_000 + n)
}

fn instance(n: u128) -> Aggregate {
    let spec = Spec {
        data_volume: Some(DataVolumeSpec {
            size_bytes: 200_000_000_000,
            perf_iops: Some(15_000),
            delete_on_terminate: false,
            size_reason: "because: \"ünïcode\" 'quotes' ; --".into(),
        }),
        boot_volume_bytes: None,
        image: "ubuntu".into(),
        boot_storage: BootStorage::Local,
        gpu_count: 1,
        warnings: Vec::new(),
        engine: Some(Engine { kind: EngineKind::Command, context_tokens: 100 }),
        serving: Some(Serving {
            image: Some("x:y".into()),
            args: vec!["--a b".into()],
            command: vec!["c".into()],
            env: [("A".to_owned(), "ü".to_owned())].into(),
            secrets: [("B".to_owned(), "b".to_owned())].into(),
            keep_failed: true,
        }),
        tags: vec!["a=b".into()],
        hourly_micros: 1_469_916,
        currency: "EUR".into(),
        ssh_keys: vec!["ssh-ed25519 AAAA…".into()],
        user_data: Some("#!/bin/sh\necho 'ü'\n".into()),
        recovered_at: Some(at(1)),
        idle_ms: Some(1),
        replica_of: Some(ReplicaOf { service_id: ServiceId::new(7), revision: 3 }),
    };
    let instance = Instance {
        id: InstanceId::new(n),
        name: "näme'; DROP TABLE instances; --".into(),
        account_id: ACCOUNT.into(),
        provider: "scaleway".into(),
        zone: "fr-par-2".into(),
        instance_type: "L40S-1-48G".into(),
        model_id: Some("Qwen/Qwen2.5-7B-Instruct".into()),
        spec,
        desired: Desired::Present,
        status: Status::Provisioning,
        failure: None,
        ip_address: None,
        addresses: vec!["10.0.0.1".into(), "2001:db8::1".into()],
        created_at: at(1),
        up_at: Some(at(2)),
        ready_at: None,
        worker: Some(Box::new(WorkerRecord::expected(at(2)))),
        terminate_requested_at: None,
        terminated_at: None,
        notes: Vec::new(),
        settled: false,
        wake_at: at(1),
        confirm_after: None,
        reboot_requested_at: None,
        expires_at: None,
        expiry_told_at: None,
        idle_ends_at: None,
        version: 0,
    };
    Aggregate { instance, servers: Vec::new(), volumes: Vec::new() }
}

fn error() -> CallError {
    CallError { kind: ErrorKind::Conflict, effect: Effect::Unknown, message: "it's so".into() }
}

fn retry() -> Retry {
    Retry { count: 3, not_before: at(9), error: error(), call: None }
}

fn proof() -> Proof {
    Proof {
        resource_id: "r".into(),
        asked: "GET /x".into(),
        asked_at: at(8),
        answer: "404".into(),
        request_id: Some("q".into()),
        absent_from_listing_begun_at: Some(at(7)),
        confirm_after: Some(at(8)),
        confirmed_at: None,
    }
}

fn server(n: u128, attempt: u32) -> Server {
    Server {
        id: ServerId::new(n),
        attempt,
        name: format!("iva-{attempt}"),
        is_primary: true,
        create_state: CreateState::Unconfirmed,
        create_error: Some(error()),
        provider_id: Some("s1".into()),
        state: Some("stopped in place".into()),
        intended_at: at(2),
        answered_at: Some(at(3)),
        tagged_at: Some(at(4)),
        tags_shown: true,
        user_data_at: Some(at(4)),
        starts: 2,
        start_intended_at: Some(at(4)),
        start_sent_at: Some(at(5)),
        stop_sent_at: Some(at(6)),
        delete_intended_at: Some(at(7)),
        delete_sent_at: Some(at(8)),
        gone_at: Some(at(9)),
        proof: Some(proof()),
        retry: Some(retry()),
        pending_observation: None,
    }
}

fn volume(n: u128) -> Volume {
    Volume {
        id: VolumeId::new(n),
        server_id: Some(ServerId::new(1)),
        attempt: 1,
        name: "v".into(),
        origin: Origin::Cloud,
        is_boot: true,
        volume_type: inventiv_core::volume_type::VolumeType::new(
            inventiv_core::status::VolumeKind::Unknown,
            "holographic",
        ),
        size_bytes: None,
        perf_iops: Some(5_000),
        delete_on_terminate: true,
        status: VolumeStatus::Attached,
        create_state: CreateState::Created,
        create_error: Some(error()),
        provider_id: Some(format!("p{n}")),
        created_at: at(2),
        answered_at: Some(at(3)),
        tagged_at: Some(at(4)),
        tags_shown: true,
        changed_at: Some(at(5)),
        attach_sent_at: Some(at(6)),
        attached_at: Some(at(7)),
        detach_sent_at: Some(at(8)),
        delete_intended_at: Some(at(9)),
        delete_sent_at: Some(at(10)),
        delete_accepted_at: None,
        deleted_at: Some(at(11)),
        proof: Some(proof()),
        retry: Some(retry()),
        policy_version: 3,
        cloud_policy: Some(inventiv_core::recorded::CloudPolicy { delete: false, version: 4 }),
        pending_observation: None,
        snapshots: vec![inventiv_core::snapshots::Snapshot {
            id: "snap".into(),
            name: "copy".into(),
            kind: inventiv_core::snapshots::SnapshotKind::Block,
            size_bytes: Some(9),
            created_at: Some(at(3)),
            missing_since: Some(at(4)),
        }],
        reused_from: Some(InstanceId::new(5)),
        reused_by: Some(InstanceId::new(6)),
    }
}

fn log(n: u128, instance: &InstanceId) -> LogWrite {
    LogWrite::Open(Box::new(ActionLog {
        id: LogId::new(n),
        instance_id: Some(instance.to_string()),
        volume_id: None,
        action: "TEST".into(),
        status: LogStatus::InProgress,
        provider: "scaleway".into(),
        account_id: ACCOUNT.into(),
        zone: "fr-par-2".into(),
        resource_id: None,
        attempt: Some(1),
        request_id: None,
        error_kind: None,
        error: None,
        details: None,
        started_at: at(1),
        ended_at: None,
    }))
}

async fn open(kind: Database) -> (Store, inventiv_testkit::Home, String) {
    let (url, home) = database(kind).await;
    let store = Store::open(&url).await.unwrap();
    store.remember_account(ACCOUNT, "scaleway", "p", at(0)).await.unwrap();
    (store, home, url)
}

#[tokio::test]
async fn every_field_comes_back_as_it_was_written() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        let before = instance(1);
        store.insert(&before, &[log(1, &before.instance.id)]).await.unwrap();
        assert_eq!(store.instance(&before.instance.id).await.unwrap().as_ref(), Some(&before));
        let mut after = before.clone();
        after.servers.push(server(1, 1));
        after.volumes.push(volume(1));
        after.instance.status = Status::Terminating;
        after.instance.desired = Desired::Absent;
        after.instance.failure = Some(Failure { code: "c".into(), message: "m".into() });
        after.instance.ip_address = Some("1.2.3.4".into());
        after.instance.ready_at = Some(at(5));
        after.instance.terminate_requested_at = Some(at(6));
        after.instance.terminated_at = Some(at(7));
        after.instance.notes =
            vec![Note { code: inventiv_core::status::NoteCode::Waiting, text: "waits".into(), until: Some(at(8)) }];
        after.instance.reboot_requested_at = Some(at(9));
        (after.instance.expires_at, after.instance.expiry_told_at) = (Some(at(10)), Some(at(11)));
        after.instance.idle_ends_at = Some(at(12));
        after.instance.settled = true;
        after.instance.wake_at = at(9);
        assert_eq!(store.save(&before, &after, &[], at(10)).await.unwrap(), Saved::Version(1));
        after.instance.version = 1;
        assert_eq!(store.instance(&before.instance.id).await.unwrap().as_ref(), Some(&after));
        let history = store.history(&before.instance.id).await.unwrap();
        let steps: Vec<(Option<Status>, Status)> = history.iter().map(|c| (c.from_status, c.to_status)).collect();
        assert_eq!(steps, [(None, Status::Provisioning), (Some(Status::Provisioning), Status::Terminating)]);
        let found = store.volumes(&VolumeFilter { limit: 10, ..VolumeFilter::default() }).await.unwrap();
        assert_eq!((found.len(), &found[0].volume), (1, &after.volumes[0]));
    }
}

#[tokio::test]
async fn a_stale_write_writes_nothing_at_all() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        let before = instance(1);
        store.insert(&before, &[]).await.unwrap();
        let mut mine = before.clone();
        mine.instance.wake_at = at(50);
        assert_eq!(store.save(&before, &mine, &[], at(10)).await.unwrap(), Saved::Version(1));
        let mut foreign = before.clone();
        foreign.servers.push(server(9, 1));
        let writes = [log(7, &before.instance.id)];
        assert_eq!(store.save(&before, &foreign, &writes, at(11)).await.unwrap(), Saved::Stale);
        let kept = store.instance(&before.instance.id).await.unwrap().unwrap();
        assert!(kept.servers.is_empty());
        assert_eq!(kept.instance.wake_at, at(50));
        assert!(store.action_logs(Some(&before.instance.id), None, 10).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_stale_write_is_reported_as_stale_even_if_its_rows_collide_with_the_winners() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        let before = instance(1);
        store.insert(&before, &[]).await.unwrap();
        let attempt = |n: u128| {
            let mut foreign = before.clone();
            foreign.instance.status = Status::Terminating;
            foreign.servers.push(server(n, 1));
            foreign
        };
        assert_eq!(store.save(&before, &attempt(1), &[], at(10)).await.unwrap(), Saved::Version(1));
        // The same attempt and the same history line: alone, and in a batch with others.
        assert_eq!(store.save(&before, &attempt(2), &[], at(11)).await.unwrap(), Saved::Stale);
        let late: Vec<_> = (3..20).map(attempt).collect();
        let writes = late.iter().map(|foreign| store.save(&before, foreign, &[], at(12)));
        for saved in futures::future::join_all(writes).await {
            assert_eq!(saved.unwrap(), Saved::Stale);
        }
        let kept = store.instance(&before.instance.id).await.unwrap().unwrap();
        assert_eq!(kept.servers, attempt(1).servers);
    }
}

#[tokio::test]
async fn one_attempt_can_be_started_only_once() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        let before = instance(1);
        store.insert(&before, &[]).await.unwrap();
        let mut after = before.clone();
        after.servers = vec![server(1, 1), server(2, 1)];
        let refused = store.save(&before, &after, &[], at(10)).await;
        assert!(matches!(refused, Err(Error::Duplicate(_))), "{refused:?}");
        assert!(store.instance(&before.instance.id).await.unwrap().unwrap().servers.is_empty());
    }
}

#[tokio::test]
async fn concurrent_writers_lose_nothing_and_refused_writes_do_not_affect_others() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        for n in 0..20 {
            store.insert(&instance(n), &[]).await.unwrap();
        }
        let mut tasks = Vec::new();
        for n in 0..400_u128 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                let id = InstanceId::new(n % 20);
                if n % 7 == 0 {
                    // A refused write in the middle of a batch.
                    return store.insert(&instance(n % 20), &[]).await.is_err();
                }
                let changed = store.change(&id, at(1), |agg| {
                    agg.instance.wake_at = Timestamp(agg.instance.wake_at.0 + 1);
                    Ok::<_, Error>(vec![log(1_000 + n, &id)])
                });
                changed.await.is_ok_and(|agg| agg.is_some())
            }));
        }
        for task in tasks {
            assert!(task.await.unwrap());
        }
        let all = store.instances(&InstanceFilter { limit: 100, ..InstanceFilter::default() }).await.unwrap();
        let sum: i64 = all.iter().map(|a| a.instance.wake_at.0 - at(1).0).sum();
        let writes = (0..400).filter(|n| n % 7 != 0).count();
        assert_eq!(sum, i64::try_from(writes).unwrap());
        assert_eq!(store.action_logs(None, None, 500).await.unwrap().len(), writes);
    }
}

#[tokio::test]
async fn a_schema_from_a_newer_version_is_refused_and_unchanged() {
    for kind in Database::both() {
        let (store, _home, url) = open(kind).await;
        drop(store);
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&url).await.unwrap();
        let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                   SELECT 9999, 'from the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 14";
        sqlx::query(sql).execute(&pool).await.unwrap();
        let opened = Store::open(&url).await;
        assert!(matches!(opened, Err(Error::Newer(9999))), "{:?}", opened.err());
        // One of before the first release is not said to be newer: what to do about it is another thing.
        sqlx::query("DELETE FROM _sqlx_migrations WHERE version <> 14").execute(&pool).await.unwrap();
        sqlx::query("UPDATE _sqlx_migrations SET version = 13").execute(&pool).await.unwrap();
        let says = Store::open(&url).await.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(says.contains("before the first release") && says.contains("inventiv recover"), "{says}");
    }
}

#[tokio::test]
async fn errors_when_opening_a_database_name_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let says = async |url: String| Store::open(&url).await.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(says("mysql://x".into()).await.contains("sqlite: or postgres://"));
    assert!(says("sqlite::memory:".into()).await.contains("needs a file"));
    let nowhere = format!("sqlite:{}/no/such/folder/x.db", folder.path().display());
    assert!(says(nowhere).await.contains("cannot be opened"));
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, vec![7_u8; 8_192]).unwrap();
    assert!(!says(format!("sqlite:{}", garbage.display())).await.is_empty());
    assert!(!says("postgres://nobody:hunter2@127.0.0.1:1/x".into()).await.contains("hunter2"));
}

#[tokio::test]
async fn a_locked_database_is_an_error_and_loses_nothing() {
    let (store, home, _) = open(Database::Sqlite).await;
    let before = instance(1);
    store.insert(&before, &[]).await.unwrap();
    sqlx::any::install_default_drivers();
    let other = sqlx::AnyPool::connect(&format!("sqlite:{}", home.path().join("test.db").display())).await.unwrap();
    let lock = other.begin_with("BEGIN EXCLUSIVE").await.unwrap();
    let mut after = before.clone();
    after.instance.wake_at = at(77);
    let writing = store.save(&before, &after, &[], at(10));
    let refused = writing.await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    lock.rollback().await.unwrap();
    assert_eq!(store.save(&before, &after, &[], at(10)).await.unwrap(), Saved::Version(1));
}

#[tokio::test]
async fn due_and_living_find_the_right_instances() {
    for kind in Database::both() {
        let (store, _home, _) = open(kind).await;
        for (n, status, settled, wake) in [
            (1, Status::Ready, true, 0),
            (2, Status::Provisioning, false, 5),
            (3, Status::Terminating, false, 1_000),
            (4, Status::Terminated, true, 0),
        ] {
            let mut agg = instance(n);
            (agg.instance.status, agg.instance.settled, agg.instance.wake_at) = (status, settled, at(wake));
            store.insert(&agg, &[]).await.unwrap();
        }
        let due: Vec<InstanceId> =
            store.due(ACCOUNT, None, at(100), 10).await.unwrap().into_iter().map(|(id, ..)| id).collect();
        assert_eq!(due, [InstanceId::new(2)]);
        assert_eq!(store.next_wake(ACCOUNT).await.unwrap(), Some(at(5)));
        assert!(store.due("scaleway:other", None, at(100), 10).await.unwrap().is_empty());
        assert_eq!(store.due(ACCOUNT, Some("fr-par-2"), at(100), 10).await.unwrap().len(), 1);
        assert!(store.due(ACCOUNT, Some("fr-par-1"), at(100), 10).await.unwrap().is_empty());
        let living = store.living(ACCOUNT, "fr-par-2", "", 10).await.unwrap();
        assert_eq!(living.len(), 3);
        assert_eq!(store.zones(ACCOUNT).await.unwrap(), ["fr-par-2"]);
        let ready = InstanceFilter { status: Some(Status::Ready), limit: 10, ..InstanceFilter::default() };
        assert_eq!(store.instances(&ready).await.unwrap().len(), 1);
    }
}
