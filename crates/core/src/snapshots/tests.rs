//! Tests of `snapshots.rs`.

use super::*;
use crate::plan::tests::{instance, owned_volume, profile};

fn seen(id: &str, of: Option<&str>, kind: SnapshotKind) -> ObservedSnapshot {
    let snapshot = Snapshot {
        id: id.to_owned(),
        name: format!("name of {id}"),
        kind,
        size_bytes: Some(10_000_000_001),
        created_at: None,
        missing_since: None,
    };
    ObservedSnapshot { snapshot, volume_id: of.map(str::to_owned) }
}

fn ids(agg: &Aggregate) -> Vec<(String, String)> {
    of(agg, &BTreeMap::new()).into_iter().map(|s| (s.volume_id, s.snapshot.id)).collect()
}

#[test]
fn a_snapshot_stays_recorded_until_complete_lists_no_longer_show_it() {
    let mut agg = Aggregate { volumes: vec![owned_volume()], ..instance() };
    let volume = agg.volumes[0].provider_id.clone().unwrap();
    let pair = |id: &str| (volume.clone(), id.to_owned());
    note(&mut agg, &[seen("s2", Some(&volume), SnapshotKind::Block), seen("x", Some("theirs"), SnapshotKind::Block)]);
    note(&mut agg, &[seen("s1", Some(&volume), SnapshotKind::Local), seen("s2", Some(&volume), SnapshotKind::Block)]);
    assert_eq!(ids(&agg), [pair("s1"), pair("s2")]);
    // The volume is gone: the cloud no longer names it.
    note(&mut agg, &[seen("s2", None, SnapshotKind::Block)]);
    assert_eq!(ids(&agg), [pair("s1"), pair("s2")]);
    let (shown, again, nothing) = (BTreeSet::from(["s2"]), BTreeSet::from(["s1"]), BTreeSet::new());
    let list = |kind, ids, at: i64| List { kind, ids, began_at: Timestamp(at * 1_000) };
    let (block, local) = (SnapshotKind::Block, SnapshotKind::Local);
    for at in [1, 100_000] {
        forget(&mut agg, list(block, &shown, at), 60_000);
    }
    assert_eq!(ids(&agg).len(), 2, "the other kind has its own lists");
    // One list, or several within the window, may be stale.
    for at in [100_000, 160_000] {
        forget(&mut agg, list(local, &nothing, at), 60_000);
    }
    assert_eq!(ids(&agg).len(), 2);
    // Shown in between, it exists.
    forget(&mut agg, list(local, &again, 160_500), 60_000);
    for at in [161_000, 221_000] {
        forget(&mut agg, list(local, &nothing, at), 60_000);
    }
    assert_eq!(ids(&agg).len(), 2);
    forget(&mut agg, list(local, &nothing, 221_001), 60_000);
    assert_eq!(ids(&agg), [pair("s2")]);
    let images = BTreeMap::from([("s2".to_owned(), vec!["golden".to_owned()])]);
    let reported = of(&agg, &images);
    assert_eq!(
        (reported[0].images.as_slice(), reported[0].snapshot.hourly_micros(&profile().storage_prices)),
        (&["golden".to_owned()][..], Some(11 * 44))
    );
    agg.volumes[0].snapshots.clear();
    agg.volumes[0].origin = Origin::Foreign;
    note(&mut agg, &[seen("s3", Some(&volume), SnapshotKind::Block)]);
    assert!(ids(&agg).is_empty(), "a third party's volume");
}
