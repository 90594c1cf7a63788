//! What a resource costs that was found, by what the cloud shows of it.

use crate::ledger::{ADDRESS_SKU, ChargeKind, block_sku, server_sku};
use crate::observed::{ObservedServer, ObservedVolume, ServerState};
use crate::size::gb_ceil;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Something that is charged for a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundCost {
    /// Its kind.
    pub kind: ChargeKind,
    /// What it is priced by, as in [`crate::ledger::Charge`].
    pub sku: String,
    /// How many units: GB (10^9 bytes, rounded up) of a volume, otherwise a count.
    pub quantity: i64,
}

/// What is charged for a server; `None`: what the cloud shows does not tell.
pub(super) fn of_server(s: &ObservedServer) -> Option<Vec<FoundCost>> {
    match s.state {
        ServerState::Stopped => return Some(Vec::new()),
        ServerState::Other(_) => return None,
        ServerState::StoppedInPlace
        | ServerState::Starting
        | ServerState::Running
        | ServerState::Stopping
        | ServerState::Locked => {}
    }
    let sku = server_sku(s.instance_type.as_ref()?);
    let mut costs = vec![FoundCost { kind: ChargeKind::Server, sku, quantity: 1 }];
    let ipv4 = s.addresses.iter().filter(|a| a.parse::<Ipv4Addr>().is_ok()).count();
    if let Ok(quantity @ 1..) = i64::try_from(ipv4) {
        costs.push(FoundCost { kind: ChargeKind::Address, sku: ADDRESS_SKU.to_owned(), quantity });
    }
    Some(costs)
}

/// What is charged for a volume; `None`: what the cloud shows does not tell. A local one is part of the price of its server.
pub(super) fn of_volume(v: &ObservedVolume) -> Option<Vec<FoundCost>> {
    if !v.is_block() {
        return Some(Vec::new());
    }
    let quantity = gb_ceil(v.size_bytes?);
    Some(vec![FoundCost { kind: ChargeKind::Volume, sku: block_sku(v.perf_iops), quantity }])
}
