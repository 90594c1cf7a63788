//! Changes that the cloud makes by itself, some time after a request.

use serde::{Deserialize, Serialize};

/// A change that happens without a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A server's state changes.
    State { server: String, epoch: u64, state: String, detail: String },
    /// A server that was terminated is gone.
    Gone { server: String, epoch: u64 },
    /// A block volume is created.
    Made { volume: String },
    /// A block volume's update is complete.
    Updated { volume: String },
    /// An attachment is complete.
    Attached { volume: String, reference: String },
    /// A detachment is complete.
    Detached { volume: String, reference: String },
    /// The creation, export or import of a local snapshot is complete.
    Snapshot { snapshot: String, state: String },
    /// The same of a block snapshot.
    BlockSnapshot { snapshot: String, status: String },
    /// A private network interface is attached.
    Nic { nic: String },
    /// A security group's rules take effect.
    Synced { group: String },
    /// The flexible addresses of a server that is being terminated are released.
    Freed { server: String, epoch: u64 },
    /// The requested name of an address resolves to it.
    Resolves { ip: String, name: String },
    /// A server that stops loses its dynamic address.
    Released { server: String, epoch: u64 },
    /// A guest reports that it is up, even while its server is stopping.
    Guest { server: String, boots: u64 },
    /// The deletion of a server's local volumes begins.
    Deleting { server: String, epoch: u64 },
    /// A terminated server is shown as stopped, without volumes, for a while.
    Emptied { server: String, epoch: u64 },
    /// The reference of a block volume, whose server is gone, is in error for a moment.
    Failing { volume: String, reference: String },
    /// A block volume's reference is gone, but the volume is not yet available.
    Unreferenced { volume: String, reference: String },
    /// A block volume, whose server is gone, begins to detach.
    Detaching { volume: String, reference: String },
}
