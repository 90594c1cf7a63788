//! The state of everything that an instance ever had: proven gone, retained, never created, or open.
//!
//! An instance is clean only when nothing is open. An abandoned creation has no id to read: the evidence is that its
//! resource was in no complete listing begun after the grace, and that its name stays watched.

use crate::id::InstanceId;
use crate::recorded::{Aggregate, Proof, Server, Volume};
use crate::status::{CreateState, Origin, VolumeStatus};

/// The state of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CleanupState<'a> {
    /// Proven gone.
    Gone(&'a Proof),
    /// Retained on purpose: it exists, and costs money.
    Kept,
    /// Given to another instance, whose proof covers it.
    Given(&'a InstanceId),
    /// A third party's: left alone, never deleted.
    Foreign,
    /// Certainly never created: its creation was refused, or never sent.
    NeverMade,
    /// Its creation was abandoned; its name stays watched.
    Watched,
    /// Something is unknown or not done yet, in words.
    Open(String),
}

/// The state of an attempt to create a server.
#[must_use]
pub fn server(s: &Server) -> CleanupState<'_> {
    let open =
        |what: &str| CleanupState::Open(format!("server {}: {what}", s.provider_id.as_deref().unwrap_or(&s.name)));
    match s.create_state {
        CreateState::Intended | CreateState::Unconfirmed => {
            open("it is not known yet whether its creation took effect")
        }
        CreateState::Refused => CleanupState::NeverMade,
        CreateState::Abandoned => CleanupState::Watched,
        CreateState::Created => match (&s.gone_at, &s.proof) {
            (Some(_), Some(proof)) if is_whole(proof) => CleanupState::Gone(proof),
            (Some(_), _) => open("its deletion was recorded without complete evidence"),
            (None, _) => open("it is not proven gone"),
        },
    }
}

/// The state of a volume.
#[must_use]
pub fn volume(v: &Volume) -> CleanupState<'_> {
    let open =
        |what: &str| CleanupState::Open(format!("volume {}: {what}", v.provider_id.as_deref().unwrap_or(&v.name)));
    match v.create_state {
        CreateState::Intended | CreateState::Unconfirmed => {
            return open("it is not known yet whether its creation took effect");
        }
        CreateState::Refused => return CleanupState::NeverMade,
        CreateState::Abandoned => return CleanupState::Watched,
        CreateState::Created => {}
    }
    match (v.status, &v.proof) {
        (VolumeStatus::Deleted, Some(proof)) if is_whole(proof) => CleanupState::Gone(proof),
        (VolumeStatus::Deleted, _) => open("its deletion was recorded without complete evidence"),
        (VolumeStatus::Retained, _) if !v.is_to_delete() => CleanupState::Kept,
        (VolumeStatus::Reused, _) if let Some(to) = &v.reused_by => CleanupState::Given(to),
        (VolumeStatus::Released, _) if v.origin == Origin::Foreign => CleanupState::Foreign,
        (
            VolumeStatus::Retained
            | VolumeStatus::Reused
            | VolumeStatus::Released
            | VolumeStatus::Failed
            | VolumeStatus::Creating
            | VolumeStatus::Available
            | VolumeStatus::Attaching
            | VolumeStatus::Attached
            | VolumeStatus::Detaching
            | VolumeStatus::Deleting,
            _,
        ) => {
            open(if v.is_to_delete() { "it is not proven gone" } else { "it is not known yet whether it was retained" })
        }
    }
}

/// A typed not-found, and absence from a complete listing.
const fn is_whole(proof: &Proof) -> bool {
    proof.absent_from_listing_begun_at.is_some()
}

/// Everything that is open; empty: the instance is clean, and left nothing behind but what is retained.
#[must_use]
pub fn open_points(agg: &Aggregate) -> Vec<String> {
    let ended = agg.instance.status.is_final();
    let living = (!ended).then(|| format!("the instance is {}: it has not ended", agg.instance.status));
    let states = agg.servers.iter().map(server).chain(agg.volumes.iter().map(volume));
    let open = states.filter_map(|s| if let CleanupState::Open(what) = s { Some(what) } else { None });
    living.into_iter().chain(open).collect()
}

/// Whether a proof is still provisional: not confirmed by an observation after the consistency window.
#[must_use]
pub fn is_provisional(agg: &Aggregate) -> bool {
    agg.proofs().any(Proof::is_provisional)
}

#[cfg(test)]
mod tests;
