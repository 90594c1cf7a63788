//! Carries out one action: one provider call, no choices.

use crate::Inner;
use inventiv_core::action::Action;
use inventiv_core::cloud_config;
use inventiv_core::error::{CallError, Effect, ErrorKind};
use inventiv_core::id::{ServerId, VolumeId};
use inventiv_core::name::{CloudName, MODEL_TAG};
use inventiv_core::observed::{Observed, ObservedServer, ObservedVolume};
use inventiv_core::progress::{CallResult, Outcome};
use inventiv_core::recorded::{Aggregate, Proof, Server, Volume};
use inventiv_core::time::Timestamp;
use inventiv_providers::{Answer, Error, Existence, GoneAnswer, NewServer, NewVolume, VolumeRef};

/// How old an intent may be when its creation is sent: a process that was frozen in between must not send hours later.
const INTENT_AGE_MAX_MS: i64 = 5_000;

/// What a call gave.
pub(crate) struct CallReport {
    pub(crate) outcome: Outcome,
    pub(crate) request_id: Option<String>,
    /// What the call has shown, for the next plan of the same step.
    pub(crate) shown: Option<CallResult>,
}

impl CallReport {
    fn from<T>(result: Result<Answer<T>, Error>, reply: impl FnOnce(T) -> CallResult) -> Self {
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
    pub(crate) async fn act(&self, agg: &Aggregate, action: &Action, seen: &Observed) -> CallReport {
        match action {
            Action::CreateServer(row) => self.create_server(agg, row).await,
            Action::CreateVolume(row) => self.create_volume(agg, row).await,
            Action::TagVolume(id)
            | Action::ResizeVolume(id, _)
            | Action::AttachVolume(id, _)
            | Action::DetachVolume(id, _)
            | Action::DeleteVolume(id)
            | Action::ProveVolumeGone(id) => match volume(agg, id) {
                Some((row, volume)) => self.act_on_volume(agg, action, seen, (row, volume)).await,
                None => unknown_row(),
            },
            Action::TagServer(id)
            | Action::SetUserData(id)
            | Action::StartServer(id)
            | Action::StopServer(id)
            | Action::TerminateServer(id)
            | Action::DeleteServer(id)
            | Action::ProveServerGone(id) => match server_id(agg, id) {
                Some(server) => self.act_on_server(agg, action, seen, server).await,
                None => unknown_row(),
            },
        }
    }

    async fn create_server(&self, agg: &Aggregate, row: &Server) -> CallReport {
        if self.is_stale(row.intended_at) {
            return CallReport::never_sent(ErrorKind::Unavailable, "the intent grew old before it was sent; not sent");
        }
        let spec = &agg.instance.spec;
        let new = NewServer {
            name: row.name.clone(),
            tags: tags(&row.name, agg),
            instance_type: agg.instance.instance_type.clone(),
            image: spec.image.clone(),
            boot_storage: spec.boot_storage,
        };
        CallReport::from(self.provider.create_server(&agg.instance.zone, &new).await, server_reply)
    }

    async fn create_volume(&self, agg: &Aggregate, row: &Volume) -> CallReport {
        if self.is_stale(row.created_at) {
            return CallReport::never_sent(ErrorKind::Unavailable, "the intent grew old before it was sent; not sent");
        }
        let new = NewVolume {
            name: row.name.clone(),
            tags: tags(&row.name, agg),
            size_bytes: row.size_bytes.unwrap_or_default(),
            perf_iops: row.perf_iops,
        };
        CallReport::from(self.provider.create_volume(&agg.instance.zone, &new).await, volume_reply)
    }

    async fn act_on_volume(
        &self,
        agg: &Aggregate,
        action: &Action,
        seen: &Observed,
        (row, volume): (&Volume, VolumeRef),
    ) -> CallReport {
        let (zone, cloud) = (agg.instance.zone.as_str(), &self.provider);
        let server = action.server_id().and_then(|id| server_id(agg, id));
        match (action, server) {
            (Action::TagVolume(_), _) => {
                let name = CloudName::of_volume(agg, row, &self.config.control_plane).text();
                let tags = tags(&name, agg);
                CallReport::from(cloud.tag_volume(zone, &volume, &name, &tags).await, volume_reply)
            }
            (Action::ResizeVolume(_, bytes), _) => {
                CallReport::from(cloud.resize_volume(zone, &volume, *bytes).await, volume_reply)
            }
            (Action::AttachVolume(..), Some(server)) => {
                CallReport::from(cloud.attach_volume(zone, server, &volume).await, server_reply)
            }
            (Action::DetachVolume(..), Some(server)) => {
                CallReport::from(cloud.detach_volume(zone, server, &volume).await, server_reply)
            }
            (Action::DeleteVolume(_), _) => CallReport::from(cloud.delete_volume(zone, &volume).await, accepted),
            (Action::ProveVolumeGone(_), _) => {
                let asked_at = self.clock.now();
                match cloud.volume(zone, &volume).await {
                    Ok(Existence::Exists(v)) => still_there(volume_reply(v)),
                    Ok(Existence::Gone(gone)) => proven(volume.id, gone, asked_at, seen.listed_at(row.is_block())),
                    Err(e) => CallReport::from(Err::<Answer<()>, _>(e), accepted),
                }
            }
            (
                Action::AttachVolume(..)
                | Action::DetachVolume(..)
                | Action::CreateServer(_)
                | Action::CreateVolume(_)
                | Action::TagServer(_)
                | Action::SetUserData(_)
                | Action::StartServer(_)
                | Action::StopServer(_)
                | Action::TerminateServer(_)
                | Action::DeleteServer(_)
                | Action::ProveServerGone(_),
                _,
            ) => unknown_row(),
        }
    }

    async fn act_on_server(&self, agg: &Aggregate, action: &Action, seen: &Observed, server: &str) -> CallReport {
        let (zone, cloud) = (agg.instance.zone.as_str(), &self.provider);
        let done = match action {
            Action::TagServer(id) => {
                let name = agg.server_by_id(id).map(|s| s.name.clone()).unwrap_or_default();
                cloud.tag_server(zone, server, &name, &tags(&name, agg)).await
            }
            Action::SetUserData(_) => {
                cloud.set_user_data(zone, server, &cloud_config::for_instance(agg, cloud.profile())).await
            }
            Action::StartServer(_) => cloud.start_server(zone, server).await,
            Action::StopServer(_) => cloud.stop_server(zone, server).await,
            Action::TerminateServer(_) => cloud.terminate_server(zone, server).await,
            Action::DeleteServer(_) => cloud.delete_server(zone, server).await,
            Action::CreateServer(_)
            | Action::CreateVolume(_)
            | Action::TagVolume(_)
            | Action::ResizeVolume(..)
            | Action::AttachVolume(..)
            | Action::DetachVolume(..)
            | Action::DeleteVolume(_)
            | Action::ProveVolumeGone(_) => return unknown_row(),
            Action::ProveServerGone(_) => {
                let asked_at = self.clock.now();
                return match cloud.server(zone, server).await {
                    Ok(Existence::Exists(s)) => still_there(server_reply(s)),
                    Ok(Existence::Gone(gone)) => proven(server.to_owned(), gone, asked_at, seen.listed_at(false)),
                    Err(e) => CallReport::from(Err::<Answer<()>, _>(e), accepted),
                };
            }
        };
        CallReport::from(done, accepted)
    }

    fn is_stale(&self, intended_at: Timestamp) -> bool {
        self.clock.now().ms_since(intended_at) > INTENT_AGE_MAX_MS
    }
}

fn accepted((): ()) -> CallResult {
    CallResult::Accepted
}

fn server_reply(seen: ObservedServer) -> CallResult {
    CallResult::Server(Box::new(seen))
}

fn volume_reply(seen: ObservedVolume) -> CallResult {
    CallResult::Volume(Box::new(seen))
}

/// Ours, the model's (whoever rebuilds from the cloud reads it there), and the requester's own.
fn tags(name: &str, agg: &Aggregate) -> Vec<String> {
    let ours = CloudName::parse(name).map(|n| n.tags()).unwrap_or_default();
    let model = agg.instance.model_id.iter().map(|m| format!("{MODEL_TAG}{m}"));
    ours.into_iter().chain(model).chain(agg.instance.spec.tags.iter().cloned()).collect()
}

fn volume<'a>(agg: &'a Aggregate, id: &VolumeId) -> Option<(&'a Volume, VolumeRef)> {
    let row = agg.volume(id)?;
    let volume = VolumeRef {
        deletion_accepted: row.delete_accepted_at.is_some(),
        ..VolumeRef::new(row.provider_id.clone()?, row.volume_type.clone())
    };
    Some((row, volume))
}

fn server_id<'a>(agg: &'a Aggregate, id: &ServerId) -> Option<&'a str> {
    agg.server_by_id(id)?.provider_id.as_deref()
}

/// The planner names only rows that it was given, with ids that it was given.
fn unknown_row() -> CallReport {
    CallReport::never_sent(ErrorKind::Refused, "the plan names a resource that is not recorded; please report this")
}

fn still_there(shown: CallResult) -> CallReport {
    CallReport { outcome: Ok(CallResult::StillThere), request_id: None, shown: Some(shown) }
}

fn proven(resource_id: String, gone: GoneAnswer, asked_at: Timestamp, listed_at: Option<Timestamp>) -> CallReport {
    let request_id = gone.request_id.clone();
    let proof = Proof {
        resource_id,
        asked: gone.asked,
        asked_at,
        answer: gone.answer,
        request_id: gone.request_id,
        absent_from_listing_begun_at: listed_at,
        confirm_after: None,
        confirmed_at: None,
    };
    CallReport { outcome: Ok(CallResult::Gone(Box::new(proof))), request_id, shown: None }
}
