//! What can be said of everything that an instance ever had: proven gone, kept, never made, or not known yet.
//!
//! "Clean" is said only when nothing is left to find out. A creation that was given up has no id to ask for: what is
//! known of it is that it was in no complete listing begun after its grace, and that its name stays watched.

use crate::recorded::{Aggregate, Proof, Server, Volume};
use crate::status::{CreateState, Origin, VolumeStatus};

/// What can be said of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CleanupState<'a> {
    /// Proven gone.
    Gone(&'a Proof),
    /// Kept on purpose: it is there, and costs money.
    Kept,
    /// Somebody else's: let go, never deleted.
    Foreign,
    /// Surely never made: its creation was refused, or never sent.
    NeverMade,
    /// Its creation was never answered and it never turned up; its name stays watched.
    Watched,
    /// Something is not known, or not done yet: what.
    Open(String),
}

/// What can be said of an attempt at a server.
#[must_use]
pub fn server(s: &Server) -> CleanupState<'_> {
    let open =
        |what: &str| CleanupState::Open(format!("server {}: {what}", s.provider_id.as_deref().unwrap_or(&s.name)));
    match s.create_state {
        CreateState::Intended | CreateState::Unconfirmed => open("whether its creation took effect is not known yet"),
        CreateState::Refused => CleanupState::NeverMade,
        CreateState::Abandoned => CleanupState::Watched,
        CreateState::Created => match (&s.gone_at, &s.proof) {
            (Some(_), Some(proof)) if is_whole(proof) => CleanupState::Gone(proof),
            (Some(_), _) => open("its end was written down without the whole evidence"),
            (None, _) => open("it is not proven gone"),
        },
    }
}

/// What can be said of a volume.
#[must_use]
pub fn volume(v: &Volume) -> CleanupState<'_> {
    let open =
        |what: &str| CleanupState::Open(format!("volume {}: {what}", v.provider_id.as_deref().unwrap_or(&v.name)));
    match v.create_state {
        CreateState::Intended | CreateState::Unconfirmed => {
            return open("whether its creation took effect is not known yet");
        }
        CreateState::Refused => return CleanupState::NeverMade,
        CreateState::Abandoned => return CleanupState::Watched,
        CreateState::Created => {}
    }
    match (v.status, &v.proof) {
        (VolumeStatus::Deleted, Some(proof)) if is_whole(proof) => CleanupState::Gone(proof),
        (VolumeStatus::Deleted, _) => open("its end was written down without the whole evidence"),
        (VolumeStatus::Retained, _) if !v.is_to_delete() => CleanupState::Kept,
        (VolumeStatus::Released, _) if v.origin == Origin::Foreign => CleanupState::Foreign,
        (
            VolumeStatus::Retained
            | VolumeStatus::Released
            | VolumeStatus::Failed
            | VolumeStatus::Creating
            | VolumeStatus::Available
            | VolumeStatus::Attaching
            | VolumeStatus::Attached
            | VolumeStatus::Detaching
            | VolumeStatus::Deleting,
            _,
        ) => open(if v.is_to_delete() { "it is not proven gone" } else { "it is not known yet that it was kept" }),
    }
}

/// A typed not-found, and absence from a complete listing.
const fn is_whole(proof: &Proof) -> bool {
    proof.absent_from_listing_begun_at.is_some()
}

/// Everything that stands between an instance and "clean"; empty: it left nothing behind but what is kept.
#[must_use]
pub fn open_points(agg: &Aggregate) -> Vec<String> {
    let ended = agg.instance.status.is_final();
    let life = (!ended).then(|| format!("the instance is {}: its life is not over", agg.instance.status));
    let states = agg.servers.iter().map(server).chain(agg.volumes.iter().map(volume));
    let open = states.filter_map(|s| if let CleanupState::Open(what) = s { Some(what) } else { None });
    life.into_iter().chain(open).collect()
}

/// Whether anything that is proven gone has yet to be confirmed by a look that cannot be as old as its proof.
#[must_use]
pub fn is_provisional(agg: &Aggregate) -> bool {
    agg.proofs().any(Proof::is_provisional)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{gone_server, instance, owned_volume};
    use crate::status::Status;
    use crate::time::Timestamp;

    fn proof(listed: bool) -> Proof {
        Proof {
            resource_id: "v-1".into(),
            asked: "GET /volumes/v-1".into(),
            asked_at: Timestamp(5),
            answer: "HTTP 404 not_found".into(),
            request_id: None,
            absent_from_listing_begun_at: listed.then_some(Timestamp(4)),
            confirm_after: None,
            confirmed_at: None,
        }
    }

    #[test]
    fn clean_is_said_only_when_nothing_is_left_to_find_out() {
        let mut agg = instance();
        assert_eq!(open_points(&agg).len(), 1, "it lives");
        agg.instance.status = Status::Terminated;
        assert!(open_points(&agg).is_empty(), "nothing was ever made");
        agg.servers.push(gone_server(proof(true)));
        agg.volumes.push(Volume { status: VolumeStatus::Deleted, proof: Some(proof(true)), ..owned_volume() });
        assert!(open_points(&agg).is_empty(), "{:?}", open_points(&agg));
        type Spoil = fn(&mut Aggregate);
        let spoils: [(&str, Spoil); 10] = [
            ("no proof", |a| a.volumes[0].proof = None),
            ("no listing", |a| a.volumes[0].proof = Some(proof(false))),
            ("still deleting", |a| a.volumes[0].status = VolumeStatus::Deleting),
            ("in doubt", |a| a.volumes[0].create_state = CreateState::Unconfirmed),
            ("kept, though it should go", |a| a.volumes[0].status = VolumeStatus::Retained),
            ("let go, though it is ours", |a| a.volumes[0].status = VolumeStatus::Released),
            ("a server without a listing", |a| a.servers[0].proof = Some(proof(false))),
            ("a server without proof", |a| a.servers[0].proof = None),
            ("a server without end", |a| a.servers[0].gone_at = None),
            ("a server in doubt", |a| a.servers[0].create_state = CreateState::Intended),
        ];
        for (what, spoil) in spoils {
            let mut spoiled = agg.clone();
            spoil(&mut spoiled);
            assert_eq!(open_points(&spoiled).len(), 1, "{what}: {:?}", open_points(&spoiled));
        }
    }

    #[test]
    fn what_is_kept_or_was_never_made_does_not_stand_in_the_way() {
        let kept = Volume { status: VolumeStatus::Retained, delete_on_terminate: false, ..owned_volume() };
        assert_eq!(volume(&kept), CleanupState::Kept);
        let foreign = Volume { status: VolumeStatus::Released, origin: Origin::Foreign, ..owned_volume() };
        assert_eq!(volume(&foreign), CleanupState::Foreign);
        let abandoned = Volume { create_state: CreateState::Abandoned, status: VolumeStatus::Failed, ..owned_volume() };
        assert_eq!(volume(&abandoned), CleanupState::Watched);
        let refused = Volume { create_state: CreateState::Refused, status: VolumeStatus::Failed, ..owned_volume() };
        assert_eq!(volume(&refused), CleanupState::NeverMade);
    }
}
