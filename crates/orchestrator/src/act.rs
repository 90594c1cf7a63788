//! Carries out one action: one provider call, no choices.

use crate::Inner;
use inventiv_core::action::Action;
use inventiv_core::cloud_config;
use inventiv_core::error::{CallError, Effect, ErrorKind};
use inventiv_core::id::{ServerId, VolumeId};
use inventiv_core::name::{CloudName, MODEL_TAG};
use inventiv_core::observed::{Observed, SeenServer, SeenVolume};
use inventiv_core::progress::{Outcome, Reply};
use inventiv_core::recorded::{Aggregate, Proof, Server, Volume};
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

    async fn create_server(&self, agg: &Aggregate, row: &Server) -> Done {
        if self.is_stale(row.prepared_at) {
            return Done::never_sent(ErrorKind::Unavailable, "the intent grew old before it was sent; not sent");
        }
        let spec = &agg.instance.spec;
        let new = NewServer {
            name: row.name.clone(),
            tags: tags(&row.name, agg),
            instance_type: agg.instance.instance_type.clone(),
            image: spec.image.clone(),
            boot_storage: spec.boot_storage,
        };
        Done::from(self.provider.create_server(&agg.instance.zone, &new).await, server_reply)
    }

    async fn create_volume(&self, agg: &Aggregate, row: &Volume) -> Done {
        if self.is_stale(row.created_at) {
            return Done::never_sent(ErrorKind::Unavailable, "the intent grew old before it was sent; not sent");
        }
        let new = NewVolume {
            name: row.name.clone(),
            tags: tags(&row.name, agg),
            size_bytes: row.size_bytes.unwrap_or_default(),
            perf_iops: row.perf_iops,
        };
        Done::from(self.provider.create_volume(&agg.instance.zone, &new).await, volume_reply)
    }

    async fn act_on_volume(
        &self,
        agg: &Aggregate,
        action: &Action,
        seen: &Observed,
        (row, volume): (&Volume, VolumeRef),
    ) -> Done {
        let (zone, cloud) = (agg.instance.zone.as_str(), &self.provider);
        let server = action.server_id().and_then(|id| server_id(agg, id));
        match (action, server) {
            (Action::TagVolume(_), _) => {
                let name = CloudName::of_volume(agg, row, &self.config.control_plane).text();
                let tags = tags(&name, agg);
                Done::from(cloud.tag_volume(zone, &volume, &name, &tags).await, volume_reply)
            }
            (Action::ResizeVolume(_, bytes), _) => {
                Done::from(cloud.resize_volume(zone, &volume, *bytes).await, volume_reply)
            }
            (Action::AttachVolume(..), Some(server)) => {
                Done::from(cloud.attach_volume(zone, server, &volume).await, server_reply)
            }
            (Action::DetachVolume(..), Some(server)) => {
                Done::from(cloud.detach_volume(zone, server, &volume).await, server_reply)
            }
            (Action::DeleteVolume(_), _) => Done::from(cloud.delete_volume(zone, &volume).await, accepted),
            (Action::ProveVolumeGone(_), _) => {
                let asked_at = self.clock.now();
                match cloud.volume(zone, &volume).await {
                    Ok(Existence::Exists(v)) => still_there(volume_reply(v)),
                    Ok(Existence::Gone(gone)) => proven(volume.id, gone, asked_at, seen.listed_at(row.is_block())),
                    Err(e) => Done::from(Err::<Answer<()>, _>(e), accepted),
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

    async fn act_on_server(&self, agg: &Aggregate, action: &Action, seen: &Observed, server: &str) -> Done {
        let (zone, cloud) = (agg.instance.zone.as_str(), &self.provider);
        let done = match action {
            Action::TagServer(id) => {
                let name = agg.server_by_id(id).map(|s| s.name.clone()).unwrap_or_default();
                cloud.tag_server(zone, server, &name, &tags(&name, agg)).await
            }
            Action::SetUserData(_) => cloud.set_user_data(zone, server, &cloud_config::for_instance(agg)).await,
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
                    Err(e) => Done::from(Err::<Answer<()>, _>(e), accepted),
                };
            }
        };
        Done::from(done, accepted)
    }

    fn is_stale(&self, prepared_at: Timestamp) -> bool {
        self.clock.now().ms_since(prepared_at) > INTENT_AGE_MAX_MS
    }
}

fn accepted((): ()) -> Reply {
    Reply::Accepted
}

fn server_reply(seen: SeenServer) -> Reply {
    Reply::Server(Box::new(seen))
}

fn volume_reply(seen: SeenVolume) -> Reply {
    Reply::Volume(Box::new(seen))
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
fn unknown_row() -> Done {
    Done::never_sent(ErrorKind::Refused, "the plan names a resource that is not recorded; please report this")
}

fn still_there(shown: Reply) -> Done {
    Done { outcome: Ok(Reply::StillThere), request_id: None, shown: Some(shown) }
}

fn proven(resource_id: String, gone: GoneAnswer, asked_at: Timestamp, listed_at: Option<Timestamp>) -> Done {
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
    Done { outcome: Ok(Reply::Gone(Box::new(proof))), request_id, shown: None }
}
