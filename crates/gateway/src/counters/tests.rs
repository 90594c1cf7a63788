//! Tests of what is told about the load.

use super::*;
use inventiv_core::service::LOAD_DELAY_MS;

#[test]
fn who_asks_all_the_time_is_known_soon() {
    // The gateway writes in steps of so many milliseconds, one after the other: upon hints, or once a second.
    for steps in [vec![150], vec![1_050], vec![850, 1_050], vec![60, 820, 1_050]] {
        let (id, load) = (ServiceId::new(1), ServiceLoad::default());
        let begin = 1_000_000_000_000;
        let (mut now, mut known, mut told) = (Timestamp(begin), begin, 0);
        for step in steps.iter().cycle().take(400) {
            // Nobody answers: each request is refused at once.
            load.last_request_us.store(now.0 - 20_000, Ordering::SeqCst);
            if let Some((_, next)) = load_to_tell(&id, &load, now) {
                (known, told) = (next.last_request_at.map_or(0, |at| at.0), told + 1);
            }
            // Until the next write, nothing else is known.
            now = now.plus_ms(*step);
            let delay_ms = (now.0 - known) / 1_000;
            assert!(delay_ms <= LOAD_DELAY_MS - 900, "{steps:?}: {delay_ms} ms");
        }
        let passed_s = (now.0 - begin) / 1_000_000;
        assert!(told <= passed_s * 10 / 9 + 1, "{steps:?}: about once a second, not each time: {told} in {passed_s} s");
    }
}

#[test]
fn a_change_is_told_at_once_and_silence_costs_nothing() {
    let (id, load) = (ServiceId::new(1), ServiceLoad::default());
    let at = |ms: i64| Timestamp(1_000_000_000_000 + ms * 1_000);
    let told = |now| load_to_tell(&id, &load, now).map(|(_, l)| (l.outstanding, l.queued));
    assert_eq!(told(at(0)), None, "nobody ever asked");
    load.outstanding.store(2, Ordering::SeqCst);
    assert_eq!(told(at(10)), Some((2, 0)));
    assert_eq!(told(at(20)), None);
    load.queued.store(1, Ordering::SeqCst);
    assert_eq!(told(at(30)), Some((2, 1)));
    assert_eq!(told(at(3_020)), None);
    assert_eq!(told(at(3_031)), Some((2, 1)), "what lasts is told again, or it would be forgotten");
    load.outstanding.store(0, Ordering::SeqCst);
    load.queued.store(0, Ordering::SeqCst);
    assert_eq!(told(at(3_040)), Some((0, 0)));
    assert_eq!(told(at(60_000)), None);
    tell_again(&load);
    load.last_request_us.store(at(60_000).0, Ordering::SeqCst);
    assert_eq!(told(at(60_001)), Some((0, 0)), "it could not be told");
}
