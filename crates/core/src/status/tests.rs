//! Tests of `status.rs`.

use super::*;

#[test]
fn every_word_reads_back() {
    for s in Status::ALL {
        assert_eq!(Status::parse(s.text()), Some(*s));
    }
    for s in VolumeStatus::ALL {
        assert_eq!(VolumeStatus::parse(s.text()), Some(*s));
    }
    assert_eq!(Status::parse("gone"), None);
}

#[test]
fn what_exists_and_belongs_to_the_instance_counts() {
    let counted: Vec<VolumeStatus> = VolumeStatus::ALL.iter().copied().filter(|s| s.counts()).collect();
    let wanted = [
        VolumeStatus::Creating,
        VolumeStatus::Available,
        VolumeStatus::Attaching,
        VolumeStatus::Attached,
        VolumeStatus::Detaching,
        VolumeStatus::Deleting,
    ];
    assert_eq!(counted, wanted);
    let open: Vec<CreateState> = CreateState::ALL.iter().copied().filter(|s| s.is_open()).collect();
    assert_eq!(open, [CreateState::Intended, CreateState::Unconfirmed]);
    let last: Vec<Status> = Status::ALL.iter().copied().filter(|s| s.is_final()).collect();
    assert_eq!(last, [Status::Terminated, Status::ProvisioningFailed]);
}
