//! Volumes, and the proofs of their end.

use inventiv_core::recorded::{self, Volume, is_counted};
use inventiv_core::size::gb_ceil;
use inventiv_core::status::VolumeStatus;
use inventiv_core::storage_prices::StoragePrices;
use inventiv_store::VolumeWithOwner;
use inventiv_types::{OwnedVolume, Proof, Storage, Time, VolumePolicy};

pub(crate) fn storage(v: &Volume, prices: &StoragePrices) -> Storage {
    let costs = is_counted(v) || v.status == VolumeStatus::Retained;
    let hourly = |gb| if v.is_block() { prices.of_block(v.perf_iops).map(|p| p.hourly_micros(gb)) } else { Some(0) };
    let error = v.retry.as_ref().map(|r| r.error.message.clone());
    Storage {
        id: v.id.to_string(),
        provider_volume_id: v.provider_id.clone(),
        name: v.name.clone(),
        volume_type: v.volume_type.name.clone(),
        size_bytes: v.size_bytes,
        size_gb: v.size_bytes.map(gb_ceil),
        perf_iops: v.perf_iops,
        hourly_micros: v.size_bytes.filter(|_| costs).and_then(|bytes| hourly(gb_ceil(bytes))),
        is_boot: v.is_boot,
        delete_on_terminate: v.delete_on_terminate,
        policy_version: v.policy_version,
        newer_policy_in_cloud: v.cloud_policy.map(|p| if p.delete { VolumePolicy::Delete } else { VolumePolicy::Keep }),
        policy_written: v.tagged_at.is_some(),
        status: v.status,
        origin: v.origin,
        reused_from: v.reused_from.as_ref().map(ToString::to_string),
        reused_by: v.reused_by.as_ref().map(ToString::to_string),
        created_at: Time(v.created_at),
        attached_at: v.attached_at.map(Time),
        deleted_at: v.deleted_at.map(Time),
        proof: v.proof.as_ref().map(proof),
        error: error.or_else(|| v.create_error.as_ref().map(|e| e.message.clone())),
    }
}

pub(crate) fn proof(p: &recorded::Proof) -> Proof {
    Proof {
        resource_id: p.resource_id.clone(),
        asked: p.asked.clone(),
        asked_at: Time(p.asked_at),
        answer: p.answer.clone(),
        request_id: p.request_id.clone(),
        absent_from_listing_begun_at: p.absent_from_listing_begun_at.map(Time),
        confirm_after: p.confirm_after.map(Time),
        confirmed_at: p.confirmed_at.map(Time),
    }
}

pub(crate) fn owned_volume(v: &VolumeWithOwner, prices: &StoragePrices) -> OwnedVolume {
    OwnedVolume {
        instance_id: v.instance_id.to_string(),
        zone: v.zone.clone(),
        currency: prices.currency.clone(),
        storage: storage(&v.volume, prices),
    }
}
