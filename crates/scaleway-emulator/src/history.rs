//! When the API changed: the form of an answer depends on the emulator's clock.
//!
//! Each moment lies between the last recording without the change and the first recording with it.

use crate::clock::day_us;

/// A change of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Types show `gpu_info`, `end_of_service` and file systems, and one interface for both networks; servers show
    /// `filesystems` and `end_of_service`.
    FileSystems,
    /// A server's block volumes show their state.
    VolumeState,
    /// Types show how many scratch volumes they take, and 0 instead of null where they take none.
    ScratchCount,
    /// Servers show their name in the DNS.
    Dns,
    /// Block snapshots show whether they are public.
    PublicSnapshots,
    /// Block volumes show the key that they are encrypted with.
    Keys,
    /// All server actions answer with the same placeholder task.
    FakeTasks,
    /// The product catalogue says whether a type shares its cores.
    SharedCores,
    /// An address has one id for Instance and IPAM.
    OneAddressId,
    /// Local volumes stop showing where they were exported to.
    NoExport,
    /// Local volumes show it again.
    Export,
}

const DAYS: [(Change, &str); 11] = [
    (Change::FileSystems, "2025-03-15"),
    (Change::VolumeState, "2025-10-01"),
    (Change::ScratchCount, "2025-12-15"),
    (Change::Dns, "2025-12-15"),
    (Change::PublicSnapshots, "2026-04-01"),
    (Change::Keys, "2026-06-10"),
    (Change::FakeTasks, "2026-06-10"),
    (Change::SharedCores, "2026-07-15"),
    (Change::OneAddressId, "2025-12-15"),
    (Change::NoExport, "2025-11-04"),
    (Change::Export, "2025-12-15"),
];

/// Whether a change was in effect at a time.
pub(crate) fn has(change: Change, at_us: i64) -> bool {
    DAYS.iter().any(|(c, day)| *c == change && day_us(day).is_some_and(|since| since <= at_us))
}

/// The times of all changes, in microseconds since 1970.
pub(crate) fn changes_us() -> Vec<i64> {
    DAYS.iter().filter_map(|(_, day)| day_us(day)).collect()
}
