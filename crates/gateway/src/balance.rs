//! Which replica answers a request. Pure.

/// How many more requests than the least busy replica one may have and still be preferred for its cache.
const AFFINITY_SLACK: u32 = 2;
/// In addition, a part of the average load, in percent.
const AFFINITY_PERCENT: u32 = 25;

/// Chooses among replicas, given as a number that identifies each and its outstanding requests.
///
/// A request with an affinity goes to the replica that rendezvous hashing gives it, unless that one has clearly more to
/// do than others. All other requests go to the least busy replica; `turn` decides between equals.
pub(crate) fn choose(replicas: &[(u64, u32)], affinity: Option<u64>, turn: usize) -> Option<usize> {
    let least = replicas.iter().map(|(_, n)| *n).min()?;
    let total: u64 = replicas.iter().map(|(_, n)| u64::from(*n)).sum();
    let average = u32::try_from(total / replicas.len() as u64).unwrap_or(u32::MAX);
    let most = least.saturating_add(AFFINITY_SLACK.max(average.saturating_mul(AFFINITY_PERCENT) / 100));
    if let Some(affinity) = affinity {
        let preferred = replicas.iter().enumerate().max_by_key(|(_, (id, _))| mixed(*id ^ affinity));
        if let Some((at, (_, outstanding))) = preferred
            && *outstanding <= most
        {
            return Some(at);
        }
    }
    let equals: Vec<usize> = (0..replicas.len()).filter(|i| replicas.get(*i).is_some_and(|r| r.1 == least)).collect();
    equals.get(turn % equals.len().max(1)).copied()
}

/// A bijection that spreads numbers that differ in few bits (the finalizer of `SplitMix64`).
const fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_affinity_the_least_busy_one_is_chosen() {
        for (loads, turn, chosen) in [
            (vec![], 0, None),
            (vec![5], 3, Some(0)),
            (vec![3, 1, 2], 9, Some(1)),
            (vec![1, 1, 2], 0, Some(0)),
            (vec![1, 1, 2], 1, Some(1)),
        ] {
            let replicas: Vec<(u64, u32)> = loads.iter().enumerate().map(|(i, n)| (i as u64, *n)).collect();
            assert_eq!(choose(&replicas, None, turn), chosen, "{loads:?}");
        }
    }

    #[test]
    fn an_affinity_holds_until_its_replica_is_overloaded() {
        let idle: Vec<(u64, u32)> = (0..4).map(|i| (i, 0)).collect();
        let preferred = choose(&idle, Some(42), 0).unwrap();
        let mut busy = idle;
        busy[preferred].1 = AFFINITY_SLACK;
        assert_eq!(choose(&busy, Some(42), 7), Some(preferred));
        busy[preferred].1 += 1;
        assert_ne!(choose(&busy, Some(42), 7), Some(preferred));
    }

    proptest! {
        #[test]
        fn a_replica_that_leaves_moves_only_its_own_requests(
            ids in proptest::collection::hash_set(any::<u64>(), 2..8), affinity in any::<u64>(), gone in any::<prop::sample::Index>()
        ) {
            let all: Vec<(u64, u32)> = ids.into_iter().map(|id| (id, 0)).collect();
            let before = all[choose(&all, Some(affinity), 0).unwrap()].0;
            let gone = all[gone.index(all.len())].0;
            let left: Vec<(u64, u32)> = all.into_iter().filter(|(id, _)| *id != gone).collect();
            let after = left[choose(&left, Some(affinity), 0).unwrap()].0;
            prop_assert!(after == before || before == gone);
        }

        #[test]
        fn affinity_never_overloads_a_replica(loads in proptest::collection::vec(0..1_000_u32, 1..9), affinity in any::<u64>()) {
            let replicas: Vec<(u64, u32)> = loads.iter().enumerate().map(|(i, n)| (i as u64 * 77, *n)).collect();
            let chosen = loads[choose(&replicas, Some(affinity), 0).unwrap()];
            let (least, sum) = (*loads.iter().min().unwrap(), loads.iter().sum::<u32>());
            let average = sum / u32::try_from(loads.len()).unwrap();
            prop_assert!(chosen <= least + AFFINITY_SLACK.max(average / 4));
        }
    }
}
