//! What is rebuilt from which state of the cloud.

use super::*;
use crate::observed::{Attachment, ServerState};
use crate::plan::Rules;
use crate::plan::tests::{profile, volume_type};
use crate::size::GB;

const NOW: Timestamp = Timestamp(9_000_000_000);

fn name(id: u128, role: Role, attempt: u32, delete: bool) -> String {
    CloudName { control_plane: "test".into(), instance: InstanceId::new(id), role, attempt, delete, policy_version: 0 }
        .text()
}

pub(crate) fn server(id: &str, name: &str, state: ServerState, volumes: &[&str]) -> ObservedServer {
    let on = |(n, v): (usize, &&str)| Attachment {
        index: u32::try_from(n).unwrap_or_default(),
        volume_id: (*v).to_owned(),
        volume_type: volume_type("sbs_volume"),
        boot: false,
        name: None,
        size_bytes: None,
    };
    ObservedServer {
        id: id.into(),
        name: name.into(),
        state,
        allowed: Vec::new(),
        attachments: volumes.iter().enumerate().map(on).collect(),
        addresses: vec!["10.0.0.1".into()],
        foreign_addresses: Vec::new(),
        image_name: Some("img".into()),
        instance_type: Some("L40S-1-48G".into()),
        tags: CloudName::parse(name)
            .map_or_else(|| vec!["inventiv".into()], |n| n.tags())
            .into_iter()
            .chain(["inventiv-model=Qwen/Qwen2.5-7B".into(), "team=a".into()])
            .collect(),
        created_at: Some(Timestamp(5)),
    }
}

fn volume(id: &str, name: &str, on: Option<&str>) -> ObservedVolume {
    ObservedVolume {
        id: id.into(),
        name: name.into(),
        volume_type: volume_type("sbs_volume"),
        size_bytes: Some(50 * GB),
        perf_iops: Some(5_000),
        state: if on.is_some() { crate::observed::VolumeState::InUse } else { crate::observed::VolumeState::Available },
        server_id: on.map(str::to_owned),
        attachment_settled: on.is_some(),
        tags: CloudName::parse(name).map(|n| n.tags()).unwrap_or_default(),
        created_at: Some(Timestamp(6)),
    }
}

fn recovered(servers: Vec<ObservedServer>, volumes: Vec<ObservedVolume>, recorded: &[u128]) -> Recovery {
    recovered_with(&[], servers, volumes, recorded)
}

fn recovered_with(
    offers: &[Offer],
    servers: Vec<ObservedServer>,
    volumes: Vec<ObservedVolume>,
    recorded: &[u128],
) -> Recovery {
    let inventory =
        ZoneInventory { began_at: NOW, complete: true, hidden: None, blocks_hidden: None, servers, volumes };
    let recorded = recorded.iter().map(|n| InstanceId::new(*n)).collect();
    let (rules, mut next) = (Rules::default(), 100);
    let mut ids = || {
        next += 1;
        next
    };
    let mut cx = Context { now: NOW, rules: &rules, profile: &profile(), control_plane: "test", ids: &mut ids };
    let location = Location { account_id: "scaleway:p", provider: "scaleway", zone: "fr-par-2", offers };
    recover(&inventory, &recorded, location, &mut cx)
}

#[test]
fn a_living_instance_comes_back_with_every_volume_its_role_and_its_policy() {
    let got = recovered(
        vec![server("s-1", &name(7, Role::Server, 2, true), ServerState::Running, &["boot", "data", "theirs"])],
        vec![
            volume("boot", &name(7, Role::Boot, 1, true), Some("s-1")),
            volume("data", &name(7, Role::Data, 1, false), Some("s-1")),
            volume("theirs", "wedding-photos", Some("s-1")),
            volume("other", &name(8, Role::Data, 1, true).replace("-test-", "-prod-"), None),
        ],
        &[],
    );
    assert_eq!((got.instances.len(), got.foreign, got.known), (1, 1, 0));
    let agg = &got.instances[0];
    let i = &agg.instance;
    assert_eq!((i.status, i.desired, i.settled), (Status::Ready, Desired::Present, false));
    assert_eq!((i.instance_type.as_str(), i.model_id.as_deref()), ("L40S-1-48G", Some("Qwen/Qwen2.5-7B")));
    assert_eq!((i.spec.tags.as_slice(), i.spec.recovered_at), (["team=a".to_owned()].as_slice(), Some(NOW)));
    assert_eq!((agg.servers[0].attempt, agg.servers[0].is_primary, agg.servers.len()), (2, true, 1));
    let of = |id: &str| agg.volumes.iter().find(|v| v.provider_id.as_deref() == Some(id)).cloned().unwrap();
    let (boot, data, foreign) = (of("boot"), of("data"), of("theirs"));
    assert_eq!((boot.is_boot, boot.origin, boot.delete_on_terminate), (true, Origin::Cloud, true));
    assert_eq!((data.is_boot, data.origin, data.delete_on_terminate), (false, Origin::Ours, false));
    assert_eq!((foreign.origin, foreign.delete_on_terminate), (Origin::Foreign, false));
    assert_eq!(i.spec.data_volume.as_ref().map(|d| d.delete_on_terminate), Some(false));
    assert!(agg.volumes.iter().all(|v| v.status == VolumeStatus::Attached && v.server_id.is_some()));
}

#[test]
fn the_next_observation_of_a_recovered_instance_changes_nothing_in_the_cloud() {
    for (state, status) in [(ServerState::Running, Status::Ready), (ServerState::Stopped, Status::Stopped)] {
        let servers = vec![server("s-1", &name(7, Role::Server, 1, true), state, &["boot"])];
        let volumes = vec![
            volume("boot", &name(7, Role::Boot, 1, true), Some("s-1")),
            // Detached when the records were lost.
            volume("data", &name(7, Role::Data, 1, true), None),
        ];
        let agg = recovered(servers.clone(), volumes.clone(), &[]).instances.remove(0);
        let seen = Observed {
            holders: Vec::new(),
            began_at: NOW,
            complete: true,
            listed: true,
            blocks_listed_at: None,
            blocks_hidden: false,
            hidden: None,
            servers,
            volumes,
        };
        let (rules, mut ids) = (Rules::default(), || 1);
        let mut cx =
            Context { now: NOW.plus_ms(1), rules: &rules, profile: &profile(), control_plane: "test", ids: &mut ids };
        let next = plan(&agg, &seen, &mut cx);
        assert_eq!(next.actions, [], "{:?}", next.recorded.instance.notes);
        assert_eq!(next.recorded.instance.status, status);
    }
}

#[test]
fn volumes_without_a_server_are_retained_whatever_their_names_say() {
    let volumes =
        vec![volume("kept", &name(7, Role::Data, 1, false), None), volume("left", &name(8, Role::Boot, 1, true), None)];
    let got = recovered(Vec::new(), volumes, &[]);
    for agg in &got.instances {
        assert_eq!((agg.instance.status, agg.instance.settled), (Status::Terminated, true));
        assert_eq!(agg.volumes.len(), 1);
        assert_eq!((agg.volumes[0].status, agg.volumes[0].is_to_delete()), (VolumeStatus::Retained, false));
        let says_keep = agg.volumes[0].name.ends_with("-k");
        assert_eq!(agg.volumes[0].tagged_at.is_some(), says_keep, "a name that says otherwise is set again");
    }
    assert_eq!(got.instances.len(), 2);
}

#[test]
fn recorded_instances_are_skipped_and_of_several_servers_none_is_recovered() {
    let servers = vec![
        server("old", &name(7, Role::Server, 1, true), ServerState::Stopped, &[]),
        server("new", &name(7, Role::Server, 2, true), ServerState::Running, &[]),
        server("known", &name(9, Role::Server, 1, true), ServerState::Running, &[]),
    ];
    let got = recovered(servers, Vec::new(), &[9]);
    assert_eq!((got.instances.len(), got.known), (0, 1));
    assert_eq!(got.left.iter().map(|(s, _)| s.id.as_str()).collect::<Vec<_>>(), ["new", "old"]);
}

#[test]
fn of_two_volumes_with_one_name_that_says_keep_none_is_deleted() {
    let kept = name(7, Role::Data, 1, false);
    let servers = vec![server("s-1", &name(7, Role::Server, 1, true), ServerState::Running, &["d2"])];
    let got = recovered(servers, vec![volume("d1", &kept, None), volume("d2", &kept, Some("s-1"))], &[]);
    let volumes = &got.instances[0].volumes;
    assert_eq!((volumes.len(), volumes.iter().any(|v| v.is_to_delete())), (2, false));
}

#[test]
fn resources_without_our_name_are_counted_and_left_alone() {
    let other = name(7, Role::Server, 1, true).replace("-test-", "-prod-");
    let servers = vec![
        server("x", "web", ServerState::Running, &["x-boot"]),
        server("y", &other, ServerState::Running, &[]),
        server("known", &name(9, Role::Server, 1, true), ServerState::Running, &["known-boot"]),
    ];
    let volumes = vec![
        volume("x-boot", "img_sbs_volume_0", Some("x")),
        volume("known-boot", "img_sbs_volume_0", Some("known")),
        volume("known-data", &name(9, Role::Data, 1, true), None),
    ];
    let got = recovered(servers, volumes, &[9]);
    assert_eq!((got.foreign, got.known, got.instances.len(), got.left.len()), (3, 3, 0, 0));
    assert_eq!(
        got.others,
        BTreeMap::from([("prod".to_owned(), 1)]),
        "the report shows the id of the other control plane"
    );
}

#[test]
fn a_recovered_instance_has_the_times_that_the_cloud_shows() {
    let mut seen = server("s-1", &name(7, Role::Server, 1, true), ServerState::Running, &[]);
    let agg = recovered(vec![seen.clone()], vec![], &[]).instances.remove(0);
    let i = &agg.instance;
    assert_eq!(
        (i.created_at, i.ready_at, i.terminate_requested_at, i.terminated_at),
        (Timestamp(5), Some(NOW), None, None)
    );
    assert_eq!((i.spec.image.as_str(), i.ip_address.as_deref()), ("img", Some("10.0.0.1")));
    assert_eq!((i.spec.hourly_micros, i.spec.currency.as_str()), (0, "EUR"), "there is no such offer");
    (seen.instance_type, seen.image_name) = (None, None);
    let agg = recovered(vec![seen], vec![], &[]).instances.remove(0);
    assert_eq!((agg.instance.instance_type.as_str(), agg.instance.spec.image.as_str()), ("unknown", "unknown"));
    let mut tagged = volume("v", &name(7, Role::Data, 1, false), None);
    tagged.tags.push("team=b".into());
    let agg = recovered(vec![], vec![tagged], &[]).instances.remove(0);
    let i = &agg.instance;
    assert_eq!((i.created_at, i.ready_at), (Timestamp(6), None));
    assert_eq!((i.terminate_requested_at, i.terminated_at, i.wake_at), (Some(NOW), Some(NOW), NOW));
    assert_eq!((i.spec.tags.as_slice(), &i.spec.data_volume), (["team=b".to_owned()].as_slice(), &None));
    assert_eq!((i.instance_type.as_str(), i.desired), ("unknown", Desired::Absent));
}

#[test]
fn a_recovered_instance_is_priced_by_the_offer_of_its_type() {
    let offer = |instance_type: &str, micros, boot_storage| Offer {
        instance_type: instance_type.into(),
        zone: "fr-par-2".into(),
        gpu_count: 1,
        gpu_name: None,
        gpu_memory_bytes: None,
        vcpus: 8,
        ram_bytes: 48 * GB,
        price: crate::money::HourlyPrice { micros, currency: "CHF".into() },
        availability: crate::offer::Availability::Available,
        boot_storage,
        end_of_service: false,
        local_min_bytes: 0,
        local_max_bytes: 0,
        scratch_bytes: 0,
        arch: "x86_64".into(),
    };
    let offers = [offer("L4-1-24G", 7, BootStorage::Block), offer("L40S-1-48G", 9, BootStorage::Local)];
    let servers = vec![server("s-1", &name(7, Role::Server, 1, true), ServerState::Running, &[])];
    let spec = recovered_with(&offers, servers, vec![], &[]).instances.remove(0).instance.spec;
    assert_eq!((spec.hourly_micros, spec.currency.as_str(), spec.boot_storage), (9, "CHF", BootStorage::Local));
}

#[test]
fn a_project_that_shows_nothing_is_reported_as_hidden() {
    let hidden = Some("the credentials show nothing".to_owned());
    let inventory = ZoneInventory {
        began_at: NOW,
        complete: true,
        hidden: hidden.clone(),
        blocks_hidden: None,
        servers: Vec::new(),
        volumes: Vec::new(),
    };
    let (rules, mut ids) = (Rules::default(), || 1);
    let mut cx = Context { now: NOW, rules: &rules, profile: &profile(), control_plane: "test", ids: &mut ids };
    let location = Location { account_id: "scaleway:p", provider: "scaleway", zone: "fr-par-2", offers: &[] };
    assert_eq!(recover(&inventory, &Default::default(), location, &mut cx).hidden, hidden);
}
