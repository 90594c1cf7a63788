//! A cloud of one server, moved by hand, and rows to start from.

use crate::action::Action;
use crate::error::{CallError, Effect, ErrorKind};
use crate::id::{InstanceId, ServerId, VolumeId};
use crate::name::CloudName;
use crate::observed::{Allowed, Attachment, Observed, ObservedServer, ObservedVolume, ServerState, VolumeState};
use crate::offer::BootStorage;
use crate::plan::{Context, Plan, Rules, plan};
use crate::progress::{CallResult, record_intent, record_outcome};
use crate::recorded::{Aggregate, DataVolumeSpec, Instance, Proof, Server, Spec, Volume};
use crate::size::GB;
use crate::status::{CreateState, Desired, Origin, Status};
use crate::time::Timestamp;

pub(crate) const T0: Timestamp = Timestamp(1_000_000_000_000);

pub(crate) fn instance() -> Aggregate {
    let spec = Spec {
        data_volume: Some(DataVolumeSpec {
            size_bytes: 200 * GB,
            perf_iops: None,
            delete_on_terminate: true,
            size_reason: "test".into(),
        }),
        boot_volume_bytes: None,
        image: "ubuntu".into(),
        boot_storage: BootStorage::Block,
        gpu_count: 1,
        warnings: Vec::new(),
        tags: Vec::new(),
        hourly_micros: 1,
        currency: "EUR".into(),
        ssh_keys: Vec::new(),
        user_data: None,
        recovered_at: None,
    };
    let instance = Instance {
        id: InstanceId::new(7),
        name: "n".into(),
        account_id: "scaleway:p".into(),
        provider: "scaleway".into(),
        zone: "fr-par-2".into(),
        instance_type: "L40S-1-48G".into(),
        model_id: None,
        spec,
        desired: Desired::Present,
        status: Status::Provisioning,
        failure: None,
        ip_address: None,
        addresses: Vec::new(),
        created_at: T0,
        ready_at: None,
        terminate_requested_at: None,
        terminated_at: None,
        notes: Vec::new(),
        settled: false,
        wake_at: T0,
        confirm_after: None,
        version: 0,
    };
    Aggregate { instance, servers: Vec::new(), volumes: Vec::new() }
}

/// An instance that is ready: server `s1`, its volumes `boot` and `scr`, and the data volume `data`.
pub(crate) fn life() -> Aggregate {
    Stage::ready().agg
}

/// A volume of which we know the id.
pub(crate) fn owned_volume() -> Volume {
    crate::plan::found_volume(VolumeId::new(9), "v-1".into(), T0)
}

/// A server that has ended.
pub(crate) fn gone_server(proof: Proof) -> Server {
    Server {
        id: ServerId::new(8),
        attempt: 1,
        name: "s".into(),
        is_primary: true,
        create_state: CreateState::Created,
        create_error: None,
        provider_id: Some("s-1".into()),
        state: None,
        intended_at: T0,
        answered_at: Some(T0),
        tagged_at: Some(T0),
        tags_shown: false,
        user_data_at: None,
        starts: 0,
        start_intended_at: None,
        start_sent_at: None,
        stop_sent_at: None,
        delete_intended_at: Some(T0),
        delete_sent_at: Some(T0),
        gone_at: Some(T0),
        proof: Some(proof),
        retry: None,
        pending_observation: None,
    }
}

/// A cloud of one server, moved by hand.
pub(super) struct Stage {
    pub(super) agg: Aggregate,
    /// How old a read may be; 0 where a test is about something else.
    pub(super) stale_ms: i64,
    pub(super) now: Timestamp,
    pub(super) next_id: u128,
    pub(super) servers: Vec<ObservedServer>,
    pub(super) volumes: Vec<ObservedVolume>,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self { agg: instance(), stale_ms: 0, now: T0, next_id: 100, servers: Vec::new(), volumes: Vec::new() }
    }

    pub(super) fn observe(&self) -> Observed {
        Observed {
            began_at: self.now,
            complete: true,
            listed: true,
            blocks_listed_at: None,
            hidden: None,
            servers: self.servers.clone(),
            volumes: self.volumes.clone(),
        }
    }

    pub(super) fn context<R>(&mut self, work: impl FnOnce(&mut Aggregate, &mut Context<'_>) -> R) -> R {
        let rules = Rules { stale_ms: self.stale_ms, ..Rules::default() };
        let next = &mut self.next_id;
        let mut ids = || {
            *next += 1;
            *next
        };
        let mut cx = Context { now: self.now, rules: &rules, control_plane: "test", ids: &mut ids };
        work(&mut self.agg, &mut cx)
    }

    /// A second later: what the planner does upon a fresh complete look, as words; recorded as if it was committed.
    pub(super) fn step(&mut self) -> (Vec<String>, Plan) {
        self.now = self.now.plus_ms(1_000);
        let observed = self.observe();
        let planned = self.context(|agg, cx| plan(agg, &observed, cx));
        self.agg = planned.recorded.clone();
        let now = self.now;
        for action in &planned.actions {
            record_intent(&mut self.agg, action, now);
        }
        (planned.actions.iter().map(|a| a.log_name().replace("PROVIDER_", "")).collect(), planned)
    }

    pub(super) fn answer(&mut self, action: &Action, outcome: Result<CallResult, CallError>) {
        let action = action.clone();
        self.context(|agg, cx| record_outcome(agg, &action, &outcome, cx));
    }

    /// Answers a creation with a stopped server that has a boot and a scratch volume.
    pub(super) fn create(&mut self, action: &Action) {
        let Action::CreateServer(row) = action else { panic!("{action:?}") };
        let server = observed_server("s1", &row.name, ServerState::Stopped);
        self.servers.push(server.clone());
        self.volumes.push(observed_volume("boot", "img_sbs_volume_0", "sbs_volume", Some("s1")));
        self.volumes.push(observed_volume("scr", "autogenerated scratch volume", "scratch", Some("s1")));
        self.answer(action, Ok(CallResult::Server(Box::new(server))));
    }

    /// Everything up to a server that runs with three volumes.
    pub(super) fn ready() -> Self {
        let mut stage = Self::new();
        let (_, planned) = stage.step();
        stage.create(&planned.actions[0]);
        let (_, planned) = stage.step();
        for action in &planned.actions {
            if let Action::CreateVolume(row) = action {
                let volume = observed_volume("data", &row.name, "sbs_volume", None);
                stage.volumes.push(volume.clone());
                stage.answer(action, Ok(CallResult::Volume(Box::new(volume))));
            } else {
                stage.answer(action, Ok(CallResult::Accepted));
            }
        }
        let (_, planned) = stage.step();
        for action in &planned.actions {
            stage.answer(action, Ok(CallResult::Accepted));
        }
        stage.servers[0].attachments.push(attachment(2, "data", "sbs_volume"));
        stage.volumes[2].server_id = Some("s1".into());
        stage.volumes[2].attachment_settled = true;
        stage.volumes[2].state = VolumeState::InUse;
        let (words, planned) = stage.step();
        assert_eq!(words, ["START"]);
        stage.answer(&planned.actions[0], Ok(CallResult::Accepted));
        stage.servers[0].state = ServerState::Running;
        stage.servers[0].allowed = vec![Allowed::Stop, Allowed::Terminate];
        stage.servers[0].addresses = vec!["1.2.3.4".into()];
        let (words, planned) = stage.step();
        assert!(words.is_empty());
        assert_eq!(planned.recorded.instance.status, Status::Ready);
        stage
    }

    pub(super) fn cancel(&mut self) {
        self.agg.instance.desired = Desired::Absent;
        self.agg.instance.terminate_requested_at = Some(self.now);
    }
}

/// What one look makes of the stage a second later, nothing carried out.
pub(super) fn upon(stage: &mut Stage) -> Plan {
    stage.now = stage.now.plus_ms(1_000);
    let observed = stage.observe();
    stage.context(|agg, cx| plan(agg, &observed, cx))
}

/// The row of the volume that we made.
pub(super) fn data(stage: &mut Stage) -> &mut Volume {
    stage.agg.volumes.iter_mut().find(|v| v.origin == Origin::Ours).unwrap()
}

pub(crate) fn attachment(index: u32, id: &str, kind: &str) -> Attachment {
    let local = kind != "sbs_volume";
    Attachment {
        index,
        volume_id: id.into(),
        volume_type: kind.into(),
        boot: false,
        name: local.then(|| "autogenerated scratch volume".into()),
        size_bytes: local.then_some(1_600 * GB),
    }
}

pub(crate) fn observed_server(id: &str, name: &str, state: ServerState) -> ObservedServer {
    ObservedServer {
        id: id.into(),
        name: name.into(),
        state,
        allowed: vec![Allowed::Start],
        attachments: vec![attachment(0, "boot", "sbs_volume"), attachment(1, "scr", "scratch")],
        addresses: Vec::new(),
        foreign_addresses: Vec::new(),
        image_name: Some("img".into()),
        instance_type: None,
        tags: CloudName::parse(name).map(|n| n.tags()).unwrap_or_default(),
        created_at: Some(T0),
    }
}

pub(crate) fn observed_volume(id: &str, name: &str, kind: &str, on: Option<&str>) -> ObservedVolume {
    ObservedVolume {
        id: id.into(),
        name: name.into(),
        volume_type: kind.into(),
        size_bytes: Some(20 * GB),
        perf_iops: None,
        state: if on.is_some() { VolumeState::InUse } else { VolumeState::Available },
        server_id: on.map(str::to_owned),
        attachment_settled: on.is_some(),
        tags: CloudName::parse(name).map(|n| n.tags()).unwrap_or_default(),
        created_at: Some(T0),
    }
}

pub(super) fn lost() -> CallError {
    CallError { kind: ErrorKind::Unavailable, effect: Effect::Unknown, message: "lost".into() }
}

pub(super) fn notes(planned: &Plan) -> String {
    planned.recorded.instance.notes.iter().map(|n| n.text.clone()).collect::<Vec<_>>().join("; ")
}

pub(super) fn proof(id: &str, at: Timestamp) -> CallResult {
    CallResult::Gone(Box::new(Proof { asked_at: at, absent_from_listing_begun_at: Some(at), ..proof_of(id) }))
}

/// That something was gone at the beginning.
pub(crate) fn proof_of(id: &str) -> Proof {
    Proof {
        resource_id: id.into(),
        asked: "GET".into(),
        asked_at: T0,
        answer: "404".into(),
        request_id: None,
        absent_from_listing_begun_at: Some(T0),
        confirm_after: None,
        confirmed_at: None,
    }
}
