//! What costs money, and from when to when: the basis of an emulated bill.
//!
//! What is billed follows the provider's description: a server while it is powered on, a block volume from its creation to its
//! deletion, a flexible IPv4 address while it is reserved, a dynamic one while its server runs. The exact moments are not
//! evidenced: here, a server counts until it is shown as stopped or is gone.

use std::collections::{BTreeMap, VecDeque};

/// How much of what did cost money is remembered.
const ENDED_MAX: usize = 100_000;

/// A resource during a time in which it cost the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metered {
    /// `server`, `volume` or `address`.
    pub kind: &'static str,
    /// Its id; of a dynamic address, its server's.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// Its project.
    pub project: String,
    /// What it is priced by: a server type, the IOPS of a volume, or `ipv4`.
    pub unit: String,
    /// How many units: GB (10^9 bytes, rounded up) of a volume, otherwise 1.
    pub quantity: i64,
    /// Since when, in microseconds since 1970.
    pub from_us: i64,
    /// Until when; `None`: it goes on.
    pub until_us: Option<i64>,
}

/// What costs money now, by kind and id, and what did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    open: BTreeMap<(&'static str, String), Metered>,
    ended: VecDeque<Metered>,
}

impl Meter {
    /// Says what a resource costs from a moment on; `None`: nothing.
    pub(crate) fn set(&mut self, kind: &'static str, id: &str, now: Option<Metered>, at_us: i64) {
        let key = (kind, id.to_owned());
        let same = |a: &Metered, b: &Metered| (&a.unit, a.quantity) == (&b.unit, b.quantity);
        match (self.open.remove(&key), now) {
            (Some(old), Some(new)) if same(&old, &new) => {
                self.open.insert(key, Metered { name: new.name, ..old });
            }
            (old, new) => {
                // What began and ended at once costs nothing.
                let old = old.filter(|old| old.from_us < at_us);
                self.ended.extend(old.map(|old| Metered { until_us: Some(at_us), ..old }));
                self.open.extend(new.map(|new| (key, new)));
                while self.ended.len() > ENDED_MAX {
                    self.ended.pop_front();
                }
            }
        }
    }

    /// Everything that costs or did cost money, in the order of the beginnings.
    pub(crate) fn all(&self) -> Vec<Metered> {
        let mut all: Vec<Metered> = self.ended.iter().chain(self.open.values()).cloned().collect();
        all.sort_by(|a, b| (a.from_us, &a.id, a.kind).cmp(&(b.from_us, &b.id, b.kind)));
        all
    }
}
