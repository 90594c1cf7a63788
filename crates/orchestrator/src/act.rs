//! Carries out one action: one provider call, no choices.

use crate::{Inner, cloud_init};
use inventiv_core::action::Action;
use inventiv_core::error::{CallError, Effect, ErrorKind};
use inventiv_core::id::{InstanceId, ServerId, VolumeId};
use inventiv_core::name::{CloudName, Role};
use inventiv_core::observed::Observed;
use inventiv_core::progress::{Outcome, Reply};
use inventiv_core::recorded::{Aggregate, Proof, Volume};
use inventiv_core::status::Origin;
use inventiv_core::time::Timestamp;
use inventiv_providers::{Answer, Error, Existence, GoneAnswer, NewServer, NewVolume, VolumeRef};

/// How old an intent may be when its creation is sent: a process that was frozen in between must not send hours later.
const INTENT_AGE_MAX_MS: i64 = 5_000;

/// What a call gave.
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    pub(crate) request_id: Option<String>,
    /// What the call has shown, for the next plan of the same step.
    pub(crate) shown: Option<Reply>,
}

impl Done {
    fn from<T>(result: Result<Answer<T>, Error>, reply: impl FnOnce(T) -> Reply) -> Self {
        match result {
            Ok(answer) => {
                let reply = reply(answer.value);
                Self { shown: Some(reply.clone()), outcome: Ok(reply), request_id: answer.request_id }
            }
            Err(e) => Self { outcome: Err(e.for_record()), request_id: e.request_id, shown: None },
        }
    }

    fn never_sent(kind: ErrorKind, message: &str) -> Self {
        let error = CallError { kind, effect: Effect::None, message: message.to_owned() };
        Self { outcome: Err(error), request_id: None, shown: None }
    }
}

impl Inner {
    /// `agg` is what was committed before the call.
    pub(crate) async fn act(&self, agg: &Aggregate, action: &Action, seen: &Observed) -> Done {
        let zone = agg.instance.zone.as_str();
        let cloud = &self.provider;
        let accepted = |()| Reply::Accepted;
        match action {
            Action::CreateServer(row) => {
                if self.is_stale(row.prepared_at) {
                    return Done::never_sent(ErrorKind::Unavailable, "the intent grew old before it was sent; not sent");
                }
                let spec = &agg.instance.spec;
                let new = NewServer {
                    name: row.name.clone(),
                    tags: tags(&row.name, &spec.tags),
                    instance_type: agg.instance.instance_type.clone(),
                    image: spec.image.clone(),
                    boot_storage: spec.boot_storage,
                };
                Done::from(cloud.create_server(zone, &new).await, |s| Reply::Server(Box::new(s)))
            }
            Action::CreateVolume(row) => {
                if self.is_stale(row.created_at) {
                    return Done::never_sent(ErrorKind::Unavailable, "the intent grew old before it was sent; not sent");
                }
                let new = NewVolume {
                    name: row.name.clone(),
                    tags: tags(&row.name, &agg.instance.spec.tags),
                    size_bytes: row.size_bytes.unwrap_or_default(),
                    perf_iops: row.perf_iops,
                };
                Done::from(cloud.create_volume(zone, &new).await, |v| Reply::Volume(Box::new(v)))
            }
            Action::TagVolume(id) => {
                let Some((row, volume)) = volume(agg, id) else { return unknown_row() };
                let name = self.volume_name(agg, row);
                let tags = tags(&name, &agg.instance.spec.tags);
                Done::from(cloud.tag_volume(zone, &volume, &name, &tags).await, |v| Reply::Volume(Box::new(v)))
            }
            Action::ResizeVolume(id, bytes) => {
                let Some((_, volume)) = volume(agg, id) else { return unknown_row() };
                Done::from(cloud.resize_volume(zone, &volume, *bytes).await, |v| Reply::Volume(Box::new(v)))
            }
            Action::AttachVolume(id, server) => {
                let Some(((_, volume), server)) = volume(agg, id).zip(server_id(agg, server)) else { return unknown_row() };
                Done::from(cloud.attach_volume(zone, server, &volume).await, |s| Reply::Server(Box::new(s)))
            }
            Action::DetachVolume(id, server) => {
                let Some(((_, volume), server)) = volume(agg, id).zip(server_id(agg, server)) else { return unknown_row() };
                Done::from(cloud.detach_volume(zone, server, &volume).await, |s| Reply::Server(Box::new(s)))
            }
            Action::DeleteVolume(id) => {
                let Some((_, volume)) = volume(agg, id) else { return unknown_row() };
                Done::from(cloud.delete_volume(zone, &volume).await, accepted)
            }
            Action::ProveVolumeGone(id) => {
                let Some((_, volume)) = volume(agg, id) else { return unknown_row() };
                let asked_at = self.clock.now();
                match cloud.volume(zone, &volume).await {
                    Ok(Existence::Exists(v)) => still_there(Reply::Volume(Box::new(v))),
                    Ok(Existence::Gone(gone)) => proven(volume.id, gone, asked_at, seen),
                    Err(e) => Done::from(Err::<Answer<()>, _>(e), accepted),
                }
            }
            Action::SetUserData(id) => {
                let Some(server) = server_id(agg, id) else { return unknown_row() };
                let text = cloud_init::for_instance(agg);
                Done::from(cloud.set_user_data(zone, server, &text).await, accepted)
            }
            Action::StartServer(id) => {
                let Some(server) = server_id(agg, id) else { return unknown_row() };
                Done::from(cloud.start_server(zone, server).await, accepted)
            }
            Action::StopServer(id) => {
                let Some(server) = server_id(agg, id) else { return unknown_row() };
                Done::from(cloud.stop_server(zone, server).await, accepted)
            }
            Action::TerminateServer(id) => {
                let Some(server) = server_id(agg, id) else { return unknown_row() };
                Done::from(cloud.terminate_server(zone, server).await, accepted)
            }
            Action::DeleteServer(id) => {
                let Some(server) = server_id(agg, id) else { return unknown_row() };
                Done::from(cloud.delete_server(zone, server).await, accepted)
            }
            Action::ProveServerGone(id) => {
                let Some(server) = server_id(agg, id) else { return unknown_row() };
                let asked_at = self.clock.now();
                match cloud.server(zone, server).await {
                    Ok(Existence::Exists(s)) => still_there(Reply::Server(Box::new(s))),
                    Ok(Existence::Gone(gone)) => proven(server.to_owned(), gone, asked_at, seen),
                    Err(e) => Done::from(Err::<Answer<()>, _>(e), accepted),
                }
            }
        }
    }

    fn is_stale(&self, prepared_at: Timestamp) -> bool {
        self.clock.now().ms_since(prepared_at) > INTENT_AGE_MAX_MS
    }

    /// The name that a volume made by the cloud gets from us.
    fn volume_name(&self, agg: &Aggregate, row: &Volume) -> String {
        let role = match (row.is_boot, row.origin) {
            (true, _) => Role::Boot,
            (false, Origin::Ours) => Role::Data,
            (false, Origin::Cloud | Origin::Foreign) => Role::Extra,
        };
        let before = agg.volumes.iter().take_while(|v| v.id != row.id).filter(|v| v.is_boot == row.is_boot).count();
        let name = CloudName {
            control_plane: self.config.control_plane.clone(),
            instance: InstanceId::clone(&agg.instance.id),
            role,
            attempt: if role == Role::Data { row.attempt } else { u32::try_from(before + 1).unwrap_or(u32::MAX) },
            delete: row.delete_on_terminate,
        };
        name.text()
    }
}

fn tags(name: &str, own: &[String]) -> Vec<String> {
    let ours = CloudName::parse(name).map(|n| n.tags()).unwrap_or_default();
    ours.into_iter().chain(own.iter().cloned()).collect()
}

fn volume<'a>(agg: &'a Aggregate, id: &VolumeId) -> Option<(&'a Volume, VolumeRef)> {
    let row = agg.volume(id)?;
    Some((row, VolumeRef { id: row.provider_id.clone()?, volume_type: row.volume_type.clone() }))
}

fn server_id<'a>(agg: &'a Aggregate, id: &ServerId) -> Option<&'a str> {
    agg.server_by_id(id)?.provider_id.as_deref()
}

/// The planner names only rows that it was given, with ids that it was given.
fn unknown_row() -> Done {
    Done::never_sent(ErrorKind::Refused, "the plan names a resource that is not recorded; please report this")
}

fn still_there(shown: Reply) -> Done {
    Done { outcome: Ok(Reply::StillThere), request_id: None, shown: Some(shown) }
}

fn proven(resource_id: String, gone: GoneAnswer, asked_at: Timestamp, seen: &Observed) -> Done {
    let request_id = gone.request_id.clone();
    let proof = Proof {
        resource_id,
        asked: gone.asked,
        asked_at,
        answer: gone.answer,
        request_id: gone.request_id,
        absent_from_listing_begun_at: seen.listed.then_some(seen.began_at),
    };
    Done { outcome: Ok(Reply::Gone(Box::new(proof))), request_id, shown: None }
}
