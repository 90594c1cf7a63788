//! Tests of `alert.rs` and its folder.

use super::*;
use crate::id::ServiceId;
use crate::plan::tests::{T0, life};
use crate::recorded::Failure;
use crate::request::Request;
use crate::service::{ServiceSpec, ServiceState};

fn minutes(n: i64) -> Timestamp {
    T0.plus_ms(n * 60_000)
}

/// Kind and text of each alert that is shown.
fn shown(facts: &Facts, now: Timestamp) -> Vec<(AlertKind, String)> {
    alerts(facts, now).into_iter().filter(|a| !a.is_implied).map(|a| (a.kind, a.text)).collect()
}

fn kinds(facts: &Facts, now: Timestamp) -> Vec<AlertKind> {
    shown(facts, now).into_iter().map(|(kind, _)| kind).collect()
}

fn instance(change: impl FnOnce(&mut Instance)) -> Facts {
    let mut i = life().instance;
    change(&mut i);
    Facts { instances: vec![i], ..Facts::default() }
}

fn failed(at: Option<Timestamp>) -> impl FnOnce(&mut Instance) {
    move |i| {
        i.failure = Some(Failure { code: "quota".into(), message: "the quota is used up".into() });
        (i.status, i.terminated_at) = (Status::ProvisioningFailed, at);
    }
}

#[test]
fn a_failed_instance_is_an_alert_until_a_day_after_its_end() {
    let day = PAST_MS / 60_000;
    let cases = [(None, 10 * day, true), (Some(T0), day - 1, true), (Some(T0), day, false)];
    for (ended, now, wanted) in cases {
        let found = shown(&instance(failed(ended)), minutes(now));
        assert_eq!(found.len(), usize::from(wanted), "{ended:?} {now}: {found:?}");
        let says = |(kind, text): &(AlertKind, String)| {
            *kind == AlertKind::InstanceFailed && text.contains("the quota is used up: inventiv explain ins-")
        };
        assert!(found.iter().all(says), "{found:?}");
    }
    assert_eq!(shown(&instance(|_| {}), T0), []);
    let replica = instance(|i| {
        failed(None)(i);
        i.spec.replica_of = Some(crate::service::ReplicaOf { service_id: ServiceId::new(1), revision: 1 });
    });
    assert_eq!(shown(&replica, T0), [], "the service tells about its replicas");
}

#[test]
fn a_model_that_stopped_answering_is_an_alert() {
    assert_eq!(kinds(&instance(|i| i.status = Status::Unavailable), T0), [AlertKind::InstanceUnavailable]);
}

#[test]
fn an_end_is_told_before_and_after_unless_somebody_ended_it_earlier() {
    let (soon, ended) = (AlertKind::InstanceEndsSoon, AlertKind::InstanceEnded);
    let day = PAST_MS / 60_000;
    // It ends after 60 minutes. When its end was requested, and now; the alert.
    let cases = [
        (None, 49, None),
        (None, 50, Some(soon)),
        (None, 61, Some(soon)),
        (Some(60), 61, Some(ended)),
        (Some(61), 60 + day - 1, Some(ended)),
        (Some(61), 60 + day, None),
        (Some(55), 56, None),
        (Some(55), 70, None),
    ];
    for (requested, now, wanted) in cases {
        let facts = instance(|i| {
            i.expires_at = Some(minutes(60));
            i.terminate_requested_at = requested.map(minutes);
            i.desired = if requested.is_some() { Desired::Absent } else { Desired::Present };
        });
        assert_eq!(kinds(&facts, minutes(now)), Vec::from_iter(wanted), "{requested:?} {now}");
    }
}

#[test]
fn an_instance_that_nobody_asks_is_told_before_and_after_its_end() {
    let (soon, ended) = (AlertKind::InstanceEndsSoon, AlertKind::InstanceEnded);
    let day = PAST_MS / 60_000;
    // It ends after 60 minutes. When its end was requested, its status, and now; the alert.
    let cases = [
        (None, Status::Ready, 51, Some(soon)),
        (None, Status::Unavailable, 51, None),
        (Some(60), Status::Draining, 60, Some(ended)),
        (Some(60), Status::Terminated, 60 + day - 1, Some(ended)),
        (Some(60), Status::Terminated, 60 + day, None),
        // Somebody was faster.
        (Some(55), Status::Draining, 56, None),
    ];
    for (requested, status, now, wanted) in cases {
        let facts = instance(|i| {
            i.idle_ends_at = Some(minutes(60));
            i.status = status;
            i.terminate_requested_at = requested.map(minutes);
            i.desired = if requested.is_some() { Desired::Absent } else { Desired::Present };
        });
        let found: Vec<AlertKind> = kinds(&facts, minutes(now));
        let found: Vec<AlertKind> = found.into_iter().filter(|k| *k != AlertKind::InstanceUnavailable).collect();
        assert_eq!(found, Vec::from_iter(wanted), "{requested:?} {status} {now}");
    }
}

#[test]
fn who_ends_an_idle_instance_by_hand_is_not_told_that_nobody_asked() {
    let ends_at = |minute: i64| {
        let near = instance(|i| {
            (i.status, i.idle_ends_at) = (Status::Ready, Some(minutes(60)));
            // Its worker fell silent, so that it did not end then.
            if minute > 60 {
                i.status = Status::Unavailable;
            }
            Request::Terminate.apply(i, minutes(minute)).unwrap();
        });
        kinds(&near, minutes(minute))
    };
    assert_eq!((ends_at(55), ends_at(90)), (vec![], vec![]));
    let key = |at| {
        alerts(&instance(|i| (i.status, i.idle_ends_at) = (Status::Ready, Some(minutes(at)))), minutes(55))
            .remove(0)
            .key
    };
    assert_eq!(key(60), key(61), "the same alert, however often somebody asks at the last moment");
}

#[test]
fn a_failed_instance_does_not_end_soon_and_a_new_end_is_another_alert() {
    let ends = |i: &mut Instance| i.expires_at = Some(minutes(60));
    let failed_one = instance(|i| {
        failed(Some(T0))(i);
        ends(i);
    });
    assert_eq!(kinds(&failed_one, minutes(55)), [AlertKind::InstanceFailed]);
    assert_eq!(kinds(&failed_one, T0.plus_ms(3 * PAST_MS)), []);
    let key = |at| alerts(&instance(|i| i.expires_at = Some(minutes(at))), minutes(55)).remove(0).key;
    assert_ne!(key(60), key(61));
}

fn service(change: impl FnOnce(&mut Service)) -> Facts {
    let spec = ServiceSpec {
        model_id: "Qwen/Qwen2.5-7B-Instruct".into(),
        min_replicas: 0,
        max_replicas: 1,
        target_concurrency: 1,
        idle_ms: 0,
        scale_down_ms: 0,
        candidates: Vec::new(),
        template: serde_json::Value::Null,
    };
    let mut service = Service {
        id: ServiceId::new(1),
        name: "chat".into(),
        account_id: "a".into(),
        provider: "p".into(),
        desired: Desired::Present,
        spec,
        revision: 1,
        status: ServiceStatus::Ready,
        reason: None,
        state: ServiceState::default(),
        warm_until: None,
        expires_at: None,
        created_at: T0,
        updated_at: T0,
        deleted_at: None,
        version: 1,
    };
    change(&mut service);
    Facts { services: vec![service], ..Facts::default() }
}

#[test]
fn a_degraded_service_says_why_and_one_that_ends_says_when() {
    let degraded = service(|s| (s.status, s.reason) = (ServiceStatus::Degraded, Some("no stock".into())));
    let text = "service chat is degraded: no stock; see inventiv service show chat".to_owned();
    assert_eq!(shown(&degraded, T0), [(AlertKind::ServiceDegraded, text)]);
    let ends = |desired, requested: i64| {
        service(|s| (s.expires_at, s.desired, s.updated_at) = (Some(minutes(60)), desired, minutes(requested)))
    };
    let cases = [
        (Desired::Present, 0, 49, None),
        (Desired::Present, 0, 50, Some(AlertKind::ServiceEndsSoon)),
        (Desired::Absent, 55, 56, None),
        (Desired::Absent, 59, 61, None),
        (Desired::Absent, 60, 61, Some(AlertKind::ServiceEnded)),
        (Desired::Absent, 62, 63, Some(AlertKind::ServiceEnded)),
    ];
    for (desired, requested, now, wanted) in cases {
        assert_eq!(
            kinds(&ends(desired, requested), minutes(now)),
            Vec::from_iter(wanted),
            "{desired} {requested} {now}"
        );
    }
}

#[test]
fn of_the_steps_of_a_limit_the_highest_is_told() {
    let limits =
        Limits { instances: Some(10), day_micros: Some(50_000_000), currency: "EUR".into(), ..Limits::default() };
    let of = |instances, day_micros, limits: &Limits| {
        let used = InUse { instances, day_micros, ..InUse::default() };
        alerts(&Facts { limits: vec![(LimitScope::All, limits.clone(), used)], ..Facts::default() }, T0)
    };
    let cases = [
        (4, 0, vec![]),
        (5, 0, vec!["50 % of the limit of 10 instances are used; see inventiv limit show"]),
        (8, 0, vec!["80 % of the limit of 10 instances are used; see inventiv limit show"]),
        (12, 0, vec!["the limit of 10 instances is reached: nothing is created beyond it; see inventiv limit show"]),
        (0, 24_999_999, vec![]),
        (0, 40_000_000, vec!["80 % of the limit of 50.00 EUR today (UTC) are used; see inventiv limit show"]),
    ];
    for (instances, day, wanted) in cases {
        let found = of(instances, day, &limits);
        let told: Vec<&str> = found.iter().filter(|a| !a.is_implied).map(|a| a.text.as_str()).collect();
        assert_eq!(told, wanted, "{instances} {day}");
    }
    let drains = Limits { on_limit: crate::limits::OnLimit::Drain, ..limits.clone() };
    let told: Vec<String> = of(10, 50_000_000, &drains).into_iter().filter(|a| !a.is_implied).map(|a| a.text).collect();
    assert!(
        told[0].contains("nothing is created") && told[1].contains("every instance that it holds for is terminated"),
        "{told:?}"
    );
    // The lower steps stay open, so that a falling use tells nothing.
    assert_eq!(of(10, 0, &limits).iter().filter(|a| a.is_implied).count(), 2);
    assert_eq!(of(0, 0, &Limits { instances: Some(0), ..limits.clone() }), [], "a limit of 0 is no alert");
    let nothing = Limits { day_micros: Some(0), instances: None, ..drains.clone() };
    assert_eq!(of(0, 0, &nothing).len(), 1, "but it is, if it ends what runs");
    let key = |limits: &Limits| of(0, 50_000_000, limits).into_iter().find(|a| !a.is_implied).unwrap().key;
    assert_ne!(key(&limits), key(&drains), "it says something else");
    assert_eq!(of(5, i64::MAX, &limits).len(), 4, "nothing overflows");
}

#[test]
fn limits_of_a_service_and_of_a_tag_are_told_apart() {
    let limits = Limits { instances: Some(2), ..Limits::default() };
    let used = InUse { instances: 2, ..InUse::default() };
    let scopes = [LimitScope::All, LimitScope::Service("svc-1".into()), LimitScope::Tag("team=a".into())];
    let facts = Facts { limits: scopes.map(|s| (s, limits.clone(), used)).to_vec(), ..Facts::default() };
    let told: Vec<_> = alerts(&facts, T0).into_iter().filter(|a| !a.is_implied).collect();
    let about: Vec<&str> = told.iter().map(|a| a.about.as_str()).collect();
    assert_eq!(about, ["instances", "instances service/svc-1", "instances tag/team=a"]);
    assert!(told[2].text.starts_with("tag `team=a`: the limit of 2 instances is reached"), "{}", told[2].text);
    assert!(told[0].key != told[1].key && told[1].key != told[2].key);
}

#[test]
fn a_day_that_begins_is_told_again() {
    let limits = Limits { day_micros: Some(10), month_micros: Some(10), currency: "EUR".into(), ..Limits::default() };
    let used = InUse { day_micros: 5, month_micros: 5, ..InUse::default() };
    let facts = Facts { limits: vec![(LimitScope::All, limits, used)], ..Facts::default() };
    let keys = |now| alerts(&facts, now).into_iter().map(|a| a.key).collect::<Vec<_>>();
    let (today, tomorrow) = (keys(T0), keys(T0.plus_ms(86_400_000)));
    assert_ne!(today.first(), tomorrow.first(), "{today:?}");
    assert_eq!(today.get(1), tomorrow.get(1), "the same month");
}

#[test]
fn what_an_audit_found_is_an_alert_for_each_resource() {
    use crate::audit::Finding;
    use crate::status::ResourceKind;
    let finding = |kind, id: &str| Finding {
        kind,
        resource: ResourceKind::Server,
        provider_id: id.into(),
        name: "iva-\u{202e}x".into(),
        size_bytes: None,
        created_at: None,
        instance_id: None,
        known: false,
        hourly_micros: None,
        costs: None,
        why: "no record wants it".into(),
        remedy: "delete it".into(),
    };
    let findings = vec![finding(FindingKind::Orphan, "s-1"), finding(FindingKind::Missing, "s-1")];
    let report = Report { findings, ..Report::inconclusive(T0, "the listing failed") };
    let facts = Facts {
        audits: vec![AuditFacts { account: "a".into(), zone: "fr-par-2".into(), report }],
        stuck: vec![InstanceId::new(7)],
        ..Facts::default()
    };
    let found = alerts(&facts, T0);
    let kinds: Vec<_> = found.iter().map(|a| a.kind).collect();
    let (orphan, other) = (AlertKind::OrphanFound, AlertKind::AuditFinding);
    assert_eq!(kinds, [AlertKind::DeletionStuck, orphan, other, AlertKind::AuditInconclusive]);
    let text = &found[1].text;
    assert_eq!(
        text,
        "the audit of fr-par-2 in account a found an orphan, server s-1 (iva-\\u{202e}x): no record wants it; delete it"
    );
    let mut keys: Vec<_> = found.iter().map(|a| &a.key).collect();
    keys.dedup();
    assert_eq!(keys.len(), found.len(), "{keys:?}");
    // As long as the audit is inconclusive, nobody knows whether the orphan of the last one is still there.
    let unknown: Vec<bool> = found.iter().map(|a| is_unknown(&a.key, &facts)).collect();
    assert_eq!(unknown, [false, true, true, false]);
    let elsewhere =
        Facts { audits: vec![AuditFacts { zone: "fr-par-1".into(), ..facts.audits[0].clone() }], ..facts.clone() };
    assert!(!found.iter().any(|a| is_unknown(&a.key, &elsewhere)));
}
