//! Instances and services that end by themselves. Pure.

use crate::recorded::Instance;
use crate::status::Desired;
use crate::time::Timestamp;

/// How long before its end it is told, in milliseconds.
pub const TOLD_BEFORE_MS: i64 = 600_000;
/// The least and the largest time that an instance or a service may be given, in seconds.
pub const TTL_RANGE_S: std::ops::RangeInclusive<i64> = 60..=31_536_000;

/// What is due about an instance that ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Tell that its end is near.
    Tell,
    /// Request its end.
    End,
}

/// What is due now. Nothing, once its end was requested.
#[must_use]
pub fn due(i: &Instance, now: Timestamp) -> Option<Due> {
    let at = i.expires_at.filter(|_| i.desired != Desired::Absent && !i.status.is_final())?;
    if now >= at {
        return Some(Due::End);
    }
    (i.expiry_told_at.is_none() && at.ms_since(now) <= TOLD_BEFORE_MS).then_some(Due::Tell)
}

/// Sets when an instance ends by itself; `None`: never. Returns whether that changes anything.
pub fn extend(i: &mut Instance, expires_at: Option<Timestamp>) -> bool {
    let changes = i.expires_at != expires_at;
    if changes {
        (i.expires_at, i.expiry_told_at) = (expires_at, None);
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{T0, life};
    use crate::status::Status;

    #[test]
    fn the_end_is_told_once_and_then_requested_once() {
        let minutes = |n: i64| T0.plus_ms(n * 60_000);
        // Told at, and now, in minutes, of an instance that ends after 60; what is due.
        let cases = [
            (None, 0, None),
            (None, 49, None),
            (None, 50, Some(Due::Tell)),
            (Some(50), 50, None),
            (Some(50), 59, None),
            (None, 60, Some(Due::End)),
            (Some(50), 60, Some(Due::End)),
            (Some(50), 600, Some(Due::End)),
        ];
        for (told, now, wanted) in cases {
            let mut i = life().instance;
            assert_eq!(due(&i, minutes(now)), None, "it has no end");
            (i.expires_at, i.expiry_told_at) = (Some(minutes(60)), told.map(minutes));
            assert_eq!(due(&i, minutes(now)), wanted, "{told:?} {now}");
            i.desired = Desired::Stopped;
            assert_eq!(due(&i, minutes(now)), wanted, "a stopped instance ends, too");
            i.desired = Desired::Absent;
            assert_eq!(due(&i, minutes(now)), None);
            (i.desired, i.status) = (Desired::Present, Status::ProvisioningFailed);
            assert_eq!(due(&i, minutes(now)), None);
        }
    }

    #[test]
    fn a_new_end_is_told_again() {
        let mut i = life().instance;
        assert!(!extend(&mut i, None));
        assert!(extend(&mut i, Some(T0)));
        i.expiry_told_at = Some(T0);
        assert!(!extend(&mut i, Some(T0)));
        assert!(i.expiry_told_at.is_some());
        assert!(extend(&mut i, Some(T0.plus_ms(1))));
        assert_eq!(i.expiry_told_at, None);
        assert!(extend(&mut i, None));
    }
}
