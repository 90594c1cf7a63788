//! What costs money now, according to the records. Pure.
//!
//! [`charges`] lists every resource of an instance that the provider bills, from the facts that are recorded about it. The
//! ledger is the history of these lists: it is written in the same commit as the facts, so that neither can be without the
//! other.

use crate::recorded::{Aggregate, Server, Volume};
use crate::size::gb_ceil;
use crate::status::{CreateState, Origin, Status, VolumeStatus};
use crate::time::Timestamp;
use crate::words::words;
use std::net::Ipv4Addr;

words!(
    /// What kind of resource is charged.
    ChargeKind {
        /// A server while it is powered on. Its local and scratch volumes are part of its price.
        Server = "server",
        /// A volume on block storage, from its creation to its deletion.
        Volume = "volume",
        /// A public IPv4 address of a running server.
        Address = "address",
    }
);

words!(
    /// Why a resource is charged.
    ChargeClass {
        /// It belongs to an instance that is desired.
        Used = "used",
        /// A volume that is kept after the end of its instance.
        Retained = "retained",
        /// It belongs to an instance that failed or that ends, or it is a duplicate: its end is not proven yet.
        Ending = "ending",
        /// Its creation had no response: it may exist.
        Unconfirmed = "unconfirmed",
        /// A third party's volume on a server of ours: shown, and not part of a sum.
        ThirdParty = "third_party",
        /// An audit found it: it carries our name, and no record wants it.
        Orphan = "orphan",
    }
);

impl ChargeClass {
    /// Whether it is certain that we pay for it, so that it is part of a sum.
    #[must_use]
    pub const fn is_certain(self) -> bool {
        match self {
            Self::Used | Self::Retained | Self::Ending | Self::Orphan => true,
            Self::Unconfirmed | Self::ThirdParty => false,
        }
    }
}

/// A resource that costs money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The resource: its id in the records.
    pub resource_id: String,
    /// The cloud's id; `None`: not known yet.
    pub provider_id: Option<String>,
    /// Its kind.
    pub kind: ChargeKind,
    /// Why it is charged.
    pub class: ChargeClass,
    /// What it is priced by: `server/TYPE`, `block/IOPS`, `address/ipv4`.
    pub sku: String,
    /// How many units: GB (10^9 bytes, rounded up) of a volume, otherwise a count.
    pub quantity: i64,
    /// Since when; `None`: since this is recorded.
    pub since: Option<Timestamp>,
}

impl Charge {
    /// Whether it is the same charge, so that nothing has to be written.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let key = |c: &Self| (c.resource_id.clone(), c.kind, c.class, c.sku.clone(), c.quantity, c.provider_id.clone());
        key(self) == key(other)
    }
}

/// The speed in the name of the price of a volume whose speed is not known.
const DEFAULT_IOPS: i64 = 0;

/// What a server type is priced by.
#[must_use]
pub fn server_sku(instance_type: &str) -> String {
    format!("server/{instance_type}")
}

/// What a block volume is priced by.
#[must_use]
pub fn block_sku(perf_iops: Option<i64>) -> String {
    format!("block/{}", perf_iops.unwrap_or(DEFAULT_IOPS))
}

/// The speed in the name of a price of block storage: the other direction of [`block_sku`]. `None`: another price.
#[must_use]
pub fn block_iops(sku: &str) -> Option<Option<i64>> {
    let iops = sku.strip_prefix("block/")?.parse().ok()?;
    Some(Some(iops).filter(|i| *i != DEFAULT_IOPS))
}

/// What a public IPv4 address is priced by.
pub const ADDRESS_SKU: &str = "address/ipv4";

/// Everything of an instance that costs money, in the order of its servers and volumes.
#[must_use]
pub fn charges(agg: &Aggregate) -> Vec<Charge> {
    let servers = agg.servers.iter().flat_map(|s| of_server(agg, s));
    servers.chain(agg.volumes.iter().filter_map(|v| of_volume(agg, v))).collect()
}

fn of_server(agg: &Aggregate, s: &Server) -> Vec<Charge> {
    if !is_on(agg, s) {
        return Vec::new();
    }
    let server = Charge {
        resource_id: s.id.to_string(),
        provider_id: s.provider_id.clone(),
        kind: ChargeKind::Server,
        class: if agg.is_server_going(s) { ChargeClass::Ending } else { ChargeClass::Used },
        sku: server_sku(&agg.instance.instance_type),
        quantity: 1,
        since: s.start_sent_at.or(s.start_intended_at).filter(|t| s.stop_sent_at.is_none_or(|stop| *t > stop)),
    };
    let ipv4 = agg.instance.addresses.iter().filter(|a| a.parse::<Ipv4Addr>().is_ok()).count();
    let ipv4 = i64::try_from(ipv4).unwrap_or(i64::MAX);
    if ipv4 == 0 || !s.is_primary {
        return vec![server];
    }
    // The cloud gives it during the start, and it is shown some time later.
    let sku = ADDRESS_SKU.to_owned();
    let address = Charge { kind: ChargeKind::Address, sku, quantity: ipv4, ..server.clone() };
    vec![server, address]
}

/// Whether a server costs money: from its start on, until it is observed as stopped or proven gone.
fn is_on(agg: &Aggregate, s: &Server) -> bool {
    let may_exist = s.create_state == CreateState::Created && s.gone_at.is_none();
    let is_off = s.state.as_deref() == Some("stopped");
    // A start takes effect before an observation shows it, also if the end is requested meanwhile.
    let is_on_its_way = match agg.instance.status {
        Status::Booting | Status::Draining | Status::Terminating => true,
        Status::Provisioning
        | Status::Installing
        | Status::Starting
        | Status::Ready
        | Status::Unavailable
        | Status::StartupFailed
        | Status::Stopping
        | Status::Stopped
        | Status::Terminated
        | Status::ProvisioningFailed => false,
    };
    let was_started = s.start_sent_at.is_some_and(|t| s.stop_sent_at.is_none_or(|stop| t > stop));
    let is_starting = is_on_its_way && was_started;
    may_exist && s.may_have_run() && (!is_off || is_starting)
}

fn of_volume(agg: &Aggregate, v: &Volume) -> Option<Charge> {
    let class = match (v.create_state, v.status, v.origin) {
        (CreateState::Intended | CreateState::Refused | CreateState::Abandoned, _, _) => return None,
        (_, VolumeStatus::Deleted | VolumeStatus::Reused | VolumeStatus::Released | VolumeStatus::Failed, _) => {
            return None;
        }
        (CreateState::Unconfirmed, _, _) => ChargeClass::Unconfirmed,
        (CreateState::Created, _, Origin::Foreign) => ChargeClass::ThirdParty,
        (CreateState::Created, VolumeStatus::Retained, _) => ChargeClass::Retained,
        (CreateState::Created, _, _) if agg.is_volume_going(v) => ChargeClass::Ending,
        (CreateState::Created, _, _) => ChargeClass::Used,
    };
    // A local volume is part of the server's price. Of an unknown size, the price is unknown, not 0.
    let shown = v.size_bytes.filter(|_| v.is_block())?;
    // A boot volume has the size of its image at first. Once its change to the requested size was accepted, that counts.
    let requested = agg.instance.spec.boot_volume_bytes.filter(|_| v.is_boot && v.changed_at.is_some());
    let bytes = shown.max(requested.unwrap_or(0));
    // One that came with a server is as old as that.
    let server = v.server_id.as_ref().filter(|_| v.origin == Origin::Cloud).and_then(|id| agg.server_by_id(id));
    // How late the response was, or whether there was one, does not matter.
    let with_server = server.map_or(v.created_at, |s| s.intended_at.min(v.created_at));
    // A third party's volume, or one from another instance, existed before, and was not this instance's.
    let is_from_elsewhere = v.reused_from.is_some() || v.origin == Origin::Foreign;
    Some(Charge {
        resource_id: v.id.to_string(),
        provider_id: v.provider_id.clone(),
        kind: ChargeKind::Volume,
        class,
        sku: block_sku(v.perf_iops),
        quantity: gb_ceil(bytes),
        since: (!is_from_elsewhere).then_some(with_server),
    })
}

#[cfg(test)]
mod tests;
