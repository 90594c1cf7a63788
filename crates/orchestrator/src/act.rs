//! Carries out one action: one provider call, without any decision.

use crate::Inner;
use inventiv_core::action::{Action, Creation, ServerCall, VolumeCall};
use inventiv_core::cloud::UserData;
use inventiv_core::cloud_config;
use inventiv_core::error::{CallError, Effect, ErrorKind};
use inventiv_core::id::{ServerId, VolumeId};
use inventiv_core::name::{CloudName, MODEL_TAG};
use inventiv_core::observed::{Observed, ObservedServer, ObservedVolume};
use inventiv_core::progress::{CallResult, Outcome};
use inventiv_core::recorded::{Aggregate, Proof, Server, Volume};
use inventiv_core::time::Timestamp;
use inventiv_providers::{Answer, Error, Existence, GoneAnswer, NewServer, NewVolume, VolumeRef};

/// The maximum age of an intent when its creation is sent: a process that was suspended must not send it hours later.
const INTENT_AGE_MAX_MS: i64 = 5_000;

/// The result of a call.
pub(crate) struct CallReport {
    pub(crate) outcome: Outcome,
    pub(crate) request_id: Option<String>,
    /// The resource that the response shows, for the next plan of the same step.
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
            Action::Create(Creation::Server(row)) => self.create_server(agg, row).await,
            Action::Create(Creation::Volume(row)) => self.create_volume(agg, row).await,
            Action::Volume(id, call) => match volume(agg, id) {
                Some((row, volume)) => self.call_volume(agg, row, &volume, call, seen).await,
                None => unknown_row(),
            },
            Action::Server(id, call) => match server(agg, id) {
                Some((row, server)) => self.call_server(agg, row, server, *call, seen).await,
                None => unknown_row(),
            },
        }
    }

    async fn create_server(&self, agg: &Aggregate, row: &Server) -> CallReport {
        if self.is_stale(row.intended_at) {
            return CallReport::never_sent(ErrorKind::Unavailable, "not sent: the intent was older than 5 s");
        }
        let (spec, profile) = (&agg.instance.spec, self.provider.profile());
        let user_data = match (profile.user_data == UserData::WithCreation).then(|| self.user_data(agg)).transpose() {
            Ok(user_data) => user_data,
            Err(e) => return CallReport::never_sent(ErrorKind::Unavailable, &e),
        };
        let new = NewServer {
            name: row.name.clone(),
            tags: tags(&row.name, agg),
            instance_type: agg.instance.instance_type.clone(),
            image: spec.image.clone(),
            boot_storage: spec.boot_storage,
            user_data,
        };
        CallReport::from(self.provider.create_server(&agg.instance.zone, &new).await, server_reply)
    }

    async fn create_volume(&self, agg: &Aggregate, row: &Volume) -> CallReport {
        if self.is_stale(row.created_at) {
            return CallReport::never_sent(ErrorKind::Unavailable, "not sent: the intent was older than 5 s");
        }
        let new = NewVolume {
            name: row.name.clone(),
            tags: tags(&row.name, agg),
            size_bytes: row.size_bytes.unwrap_or_default(),
            perf_iops: row.perf_iops,
        };
        CallReport::from(self.provider.create_volume(&agg.instance.zone, &new).await, volume_reply)
    }

    async fn call_volume(
        &self,
        agg: &Aggregate,
        row: &Volume,
        volume: &VolumeRef,
        call: &VolumeCall,
        seen: &Observed,
    ) -> CallReport {
        let (zone, cloud) = (agg.instance.zone.as_str(), &self.provider);
        match call {
            VolumeCall::Tag => {
                let name = agg.volume_name(row, &self.config.control_plane).text();
                let tags = tags(&name, agg);
                CallReport::from(cloud.tag_volume(zone, volume, &name, &tags).await, volume_reply)
            }
            VolumeCall::Resize(bytes) => {
                CallReport::from(cloud.resize_volume(zone, volume, *bytes).await, volume_reply)
            }
            VolumeCall::Attach(id) => match server(agg, id) {
                Some((_, server)) => CallReport::from(cloud.attach_volume(zone, server, volume).await, server_reply),
                None => unknown_row(),
            },
            VolumeCall::Detach(id) => match server(agg, id) {
                Some((_, server)) => CallReport::from(cloud.detach_volume(zone, server, volume).await, server_reply),
                None => unknown_row(),
            },
            VolumeCall::Delete => CallReport::from(cloud.delete_volume(zone, volume).await, accepted),
            VolumeCall::ProveGone => {
                let (asked_at, listed_at) = (self.clock.now(), seen.listed_at(row.is_block()));
                match cloud.volume(zone, volume).await {
                    Ok(Existence::Exists(v)) => still_there(volume_reply(v)),
                    Ok(Existence::Gone(gone)) => proven(volume.id.clone(), gone, asked_at, listed_at),
                    Err(e) => CallReport::from(Err::<Answer<()>, _>(e), accepted),
                }
            }
        }
    }

    async fn call_server(
        &self,
        agg: &Aggregate,
        row: &Server,
        server: &str,
        call: ServerCall,
        seen: &Observed,
    ) -> CallReport {
        let (zone, cloud) = (agg.instance.zone.as_str(), &self.provider);
        let done = match call {
            ServerCall::Tag => cloud.tag_server(zone, server, &row.name, &tags(&row.name, agg)).await,
            ServerCall::SetUserData => {
                let user_data = match self.user_data(agg) {
                    Ok(user_data) => user_data,
                    Err(e) => return CallReport::never_sent(ErrorKind::Unavailable, &e),
                };
                cloud.set_user_data(zone, server, &user_data).await
            }
            ServerCall::Start => cloud.start_server(zone, server).await,
            ServerCall::Stop => cloud.stop_server(zone, server).await,
            ServerCall::Reboot => cloud.reboot_server(zone, server).await,
            ServerCall::Terminate => cloud.terminate_server(zone, server).await,
            ServerCall::Delete => cloud.delete_server(zone, server).await,
            ServerCall::ProveGone => {
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

    /// The first-boot instructions of a server, with a new certificate for its worker if it serves a model.
    fn user_data(&self, agg: &Aggregate) -> Result<String, String> {
        let serves = agg.instance.spec.serving.is_some();
        let link = self.workers.get().filter(|_| serves);
        let files = link.map(|l| l.files(agg.instance.id.as_str())).transpose().map_err(|e| e.to_string())?;
        Ok(cloud_config::for_instance(agg, self.provider.profile(), files.as_ref()))
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

/// Our tags, the tag with the model (`inventiv recover` reads it), and the user's own tags.
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

fn server<'a>(agg: &'a Aggregate, id: &ServerId) -> Option<(&'a Server, &'a str)> {
    let row = agg.server_by_id(id)?;
    Some((row, row.provider_id.as_deref()?))
}

/// Should not happen: the planner uses only rows and ids that it was given.
fn unknown_row() -> CallReport {
    CallReport::never_sent(
        ErrorKind::Refused,
        "the plan contains a resource that is not recorded; please report this bug",
    )
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
