//! Rule by rule.

use super::*;

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_starts_the_count_again() {
    let (breaker, now) = (breaker(settings()), Instant::now());
    fails(&breaker, 2, now);
    succeeds(&breaker, 1, now);
    fails(&breaker, 2, now);
    assert!(is_closed(&breaker, now));
    fails(&breaker, 1, now);
    assert_eq!(breaker.state(now), BreakerState::Open { until: now + MINUTE });
    assert_eq!(breaker.opened(), 1);
}

#[test]
fn open_it_lets_nothing_through_until_its_time_is_over() {
    let (breaker, until) = opened(settings());
    let before = until - Duration::from_millis(1);
    assert_eq!(breaker.admit(before).unwrap_err(), until);
    assert_eq!(breaker.retry_at(before), Some(until));
    assert_eq!(breaker.retry_at(until), None);
    assert_eq!(breaker.state(until), BreakerState::HalfOpen);
    assert!(breaker.admit(until).is_ok());
}

#[test]
fn half_open_it_lets_so_many_probe_at_once() {
    let (breaker, now) = opened(settings());
    let (one, two) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
    assert_eq!(breaker.admit(now).unwrap_err(), now + SECOND);
    assert_eq!(breaker.retry_at(now), Some(now + SECOND));
    one.succeeded(now);
    assert_eq!(breaker.retry_at(now), None);
    let three = breaker.admit(now).unwrap();
    assert!(breaker.admit(now).is_err());
    drop((two, three));
}

#[test]
fn enough_probes_that_succeed_close_it() {
    let (breaker, now) = opened(settings());
    breaker.admit(now).unwrap().succeeded(now);
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    breaker.admit(now).unwrap().succeeded(now);
    assert!(is_closed(&breaker, now));
}

#[test]
fn more_may_have_to_succeed_than_may_probe_at_once() {
    let settings = BreakerSettings { half_open_probes: few(1), successes_to_close: few(3), ..settings() };
    let (breaker, now) = opened(settings);
    succeeds(&breaker, 2, now);
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    succeeds(&breaker, 1, now);
    assert!(is_closed(&breaker, now));
}

#[test]
fn closed_again_it_has_forgotten_what_failed() {
    let (breaker, mut now) = opened(settings());
    // Twice as long, for the first probe failed.
    breaker.admit(now).unwrap().failed(now);
    now += 2 * MINUTE;
    succeeds(&breaker, 2, now);
    fails(&breaker, 2, now);
    assert!(is_closed(&breaker, now));
    fails(&breaker, 1, now);
    assert_eq!(breaker.state(now), BreakerState::Open { until: now + MINUTE });
}

#[test]
fn a_probe_that_fails_opens_it_again_however_many_succeeded() {
    let (breaker, now) = opened(settings());
    breaker.admit(now).unwrap().succeeded(now);
    breaker.admit(now).unwrap().failed(now);
    assert_eq!(breaker.state(now), BreakerState::Open { until: now + 2 * MINUTE });
    assert_eq!(breaker.opened(), 2);
    // The success before counts no longer.
    let now = now + 2 * MINUTE;
    breaker.admit(now).unwrap().succeeded(now);
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
}

/// For how many seconds it is open, time after time, while every probe fails.
fn lengths(open_for: Duration, times: usize) -> Vec<u64> {
    let (breaker, mut now) = opened(BreakerSettings { open_for, ..settings() });
    let mut lengths = vec![open_for.as_secs()];
    while lengths.len() < times {
        breaker.admit(now).unwrap().failed(now);
        let BreakerState::Open { until } = breaker.state(now) else { panic!("not open") };
        lengths.push((until - now).as_secs());
        now = until;
    }
    lengths
}

#[test]
fn it_stays_open_for_twice_as_long_with_each_time_that_probes_fail() {
    assert_eq!(lengths(MINUTE, 7), [60, 120, 240, 240, 240, 240, 240]);
    // An hour, unless it is to be longer from the first.
    assert_eq!(lengths(20 * MINUTE, 4), [1_200, 2_400, 3_600, 3_600]);
    assert_eq!(lengths(120 * MINUTE, 3), [7_200, 7_200, 7_200]);
}

#[test]
fn a_call_that_is_not_judged_says_nothing_and_gives_its_place_back() {
    let (breaker, now) = opened(settings());
    for _ in 0..10 {
        drop(breaker.admit(now).unwrap());
    }
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    succeeds(&breaker, 2, now);
    fails(&breaker, 2, now);
    drop(breaker.admit(now).unwrap());
    fails(&breaker, 1, now);
    assert!(!is_closed(&breaker, now), "what is not judged is no success between failures");
}

#[test]
fn what_was_let_through_before_it_opened_neither_closes_nor_holds_it() {
    let (breaker, now) = (breaker(settings()), Instant::now());
    let early: Vec<_> = (0..9).map(|_| breaker.admit(now).unwrap()).collect();
    fails(&breaker, 3, now);
    let mut early = early.into_iter();
    let mut next = || early.next().unwrap();
    let still_open = BreakerState::Open { until: now + MINUTE };

    next().succeeded(now + SECOND);
    next().failed(now + SECOND);
    drop(next());
    assert_eq!(breaker.state(now + SECOND), still_open);

    let now = now + MINUTE;
    let probe = breaker.admit(now).unwrap();
    next().succeeded(now);
    next().succeeded(now);
    next().failed(now);
    drop(next());
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    let other = breaker.admit(now).unwrap();
    assert!(breaker.admit(now).is_err(), "an early call gives no place back that it never had");

    probe.succeeded(now);
    other.succeeded(now);
    fails(&breaker, 2, now);
    next().succeeded(now);
    next().failed(now);
    assert!(is_closed(&breaker, now));
    fails(&breaker, 1, now);
    assert!(!is_closed(&breaker, now), "an early success is none between failures");
}

#[test]
fn a_probe_of_an_earlier_time_does_not_disturb_the_present_one() {
    let (breaker, now) = opened(settings());
    let (late, failing) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
    failing.failed(now);
    let now = now + 2 * MINUTE;
    let (one, two) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
    late.failed(now);
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    assert!(breaker.admit(now).is_err());
    drop((one, two));
}

#[test]
fn a_probe_goes_through_although_it_is_open_and_its_success_counts() {
    let (breaker, until) = opened(settings());
    let now = until - 30 * SECOND;
    breaker.probe(now).succeeded(now);
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    breaker.probe(now).succeeded(now);
    assert!(is_closed(&breaker, now));
}

#[test]
fn a_probe_that_went_through_although_it_was_open_and_fails_lets_it_begin_its_time_anew() {
    let (breaker, until) = opened(settings());
    let now = until - 30 * SECOND;
    let probes: Vec<_> = (0..50).map(|_| breaker.probe(now)).collect();
    probes.into_iter().for_each(|probe| probe.failed(now));
    assert_eq!(breaker.state(now), BreakerState::Open { until: now + MINUTE });
    assert_eq!(breaker.opened(), 1);
    drop(breaker.probe(now));
    assert_eq!(breaker.retry_at(now), Some(now + MINUTE));
}

#[test]
fn a_probe_goes_through_although_all_places_are_taken() {
    let (breaker, now) = opened(settings());
    let places = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
    let third = breaker.probe(now);
    drop(places);
    let second = breaker.admit(now).unwrap();
    assert!(breaker.admit(now).is_err());
    third.failed(now);
    assert!(matches!(breaker.state(now), BreakerState::Open { .. }));
    drop(second);
}

#[test]
fn a_probe_of_a_closed_one_is_a_call_as_any_other() {
    let (breaker, now) = (breaker(settings()), Instant::now());
    (0..2).for_each(|_| breaker.probe(now).failed(now));
    breaker.probe(now).succeeded(now);
    assert!(is_closed(&breaker, now));
    (0..3).for_each(|_| breaker.probe(now).failed(now));
    assert!(!is_closed(&breaker, now));
}

#[test]
fn a_part_of_what_was_tried_opens_it_once_there_was_enough() {
    let (breaker, now) = (breaker(by_ratio()), Instant::now());
    fails(&breaker, 9, now);
    assert!(is_closed(&breaker, now));
    fails(&breaker, 1, now);
    assert!(!is_closed(&breaker, now));
}

#[test]
fn a_smaller_part_does_not_open_it() {
    let (breaker, start) = (breaker(by_ratio()), Instant::now());
    for n in 0..1_000 {
        let now = start + n * SECOND / 10;
        succeeds(&breaker, 6, now);
        fails(&breaker, 5, now);
    }
    assert!(is_closed(&breaker, start + 100 * SECOND));
    let now = start + 100 * SECOND;
    // In the last nine to ten seconds 90 failures fewer than successes, to 100.
    fails(&breaker, 80, now);
    assert!(is_closed(&breaker, now));
    (0..30).map_while(|_| breaker.admit(now).ok()).for_each(|pass| pass.failed(now));
    assert!(!is_closed(&breaker, now));
}

#[test]
fn what_failed_before_the_window_does_not_count() {
    let (breaker, now) = (breaker(by_ratio()), Instant::now());
    fails(&breaker, 9, now);
    let now = now + 10 * SECOND;
    fails(&breaker, 9, now);
    assert!(is_closed(&breaker, now));
}

#[test]
fn closed_again_it_has_forgotten_the_ratio_too() {
    let ratio = FailureRatio { permille: 500, window: 60 * MINUTE, min_requests: few(10) };
    let (breaker, now) =
        (breaker(BreakerSettings { failure_ratio: Some(ratio), ..by_ratio() }), Instant::now());
    fails(&breaker, 10, now);
    let now = now + MINUTE;
    succeeds(&breaker, 2, now);
    fails(&breaker, 9, now);
    assert!(is_closed(&breaker, now));
    fails(&breaker, 1, now);
    assert!(!is_closed(&breaker, now));
}

#[test]
fn answers_that_break_off_count_as_failures_while_it_is_closed() {
    let (breaker, now) = (breaker(settings()), Instant::now());
    succeeds(&breaker, 3, now);
    (0..3).for_each(|_| breaker.failed_late(now));
    assert!(!is_closed(&breaker, now));
    let until = now + MINUTE;
    breaker.failed_late(now + SECOND);
    assert_eq!(breaker.retry_at(now), Some(until));
    let probe = breaker.admit(until).unwrap();
    breaker.failed_late(until);
    assert_eq!(breaker.state(until), BreakerState::HalfOpen);
    probe.succeeded(until);
}

#[test]
fn an_answer_that_begins_while_it_is_half_open_is_a_success_at_once_and_may_still_fail() {
    let few_probes = BreakerSettings { successes_to_close: few(1), ..settings() };
    let (breaker, now) = (breaker(few_probes), Instant::now());
    fails(&breaker, 3, now);
    let until = now + MINUTE;
    let mut probe = breaker.admit(until).unwrap();
    probe.begins(until);
    assert!(is_closed(&breaker, until));
    fails(&breaker, 2, until);
    probe.failed(until);
    assert!(!is_closed(&breaker, until), "it was the third in a row");
}

#[test]
fn an_answer_that_begins_while_it_is_closed_is_judged_at_its_end() {
    let (breaker, now) = (breaker(settings()), Instant::now());
    fails(&breaker, 2, now);
    let mut pass = breaker.admit(now).unwrap();
    pass.begins(now);
    pass.failed(now);
    assert!(!is_closed(&breaker, now), "its begin was no success between");
}

#[test]
fn an_answer_that_breaks_off_was_one_try_and_not_two() {
    let ratio = FailureRatio { permille: 1_000, window: 10 * SECOND, min_requests: few(10) };
    let (breaker, now) =
        (breaker(BreakerSettings { failure_ratio: Some(ratio), ..by_ratio() }), Instant::now());
    succeeds(&breaker, 10, now);
    (0..9).for_each(|_| breaker.failed_late(now));
    assert!(is_closed(&breaker, now));
    breaker.failed_late(now);
    assert!(!is_closed(&breaker, now));
}

#[test]
fn answers_that_began_before_the_window_and_break_off_in_it_are_enough() {
    let (breaker, now) = (breaker(by_ratio()), Instant::now());
    succeeds(&breaker, 10, now);
    let now = now + MINUTE;
    (0..9).for_each(|_| breaker.failed_late(now));
    assert!(is_closed(&breaker, now));
    breaker.failed_late(now);
    assert!(!is_closed(&breaker, now));
}

#[test]
fn a_reload_keeps_what_it_knows() {
    let (breaker, now) = (breaker(settings()), Instant::now());
    fails(&breaker, 2, now);
    breaker.adopt(BreakerSettings { open_for: 10 * SECOND, ..settings() });
    fails(&breaker, 1, now);
    assert_eq!(breaker.retry_at(now), Some(now + 10 * SECOND));

    // Its end moves; it does not close.
    breaker.adopt(BreakerSettings { open_for: 30 * SECOND, ..settings() });
    assert_eq!(breaker.retry_at(now), Some(now + 30 * SECOND));

    let now = now + 30 * SECOND;
    succeeds(&breaker, 1, now);
    breaker.adopt(BreakerSettings { successes_to_close: few(3), ..settings() });
    succeeds(&breaker, 1, now);
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    succeeds(&breaker, 1, now);
    assert!(is_closed(&breaker, now));
}

#[test]
fn a_reload_keeps_what_was_counted_unless_the_window_is_another() {
    let now = Instant::now();
    let with = |window, permille| {
        let ratio = FailureRatio { permille, window, min_requests: few(10) };
        BreakerSettings { failure_ratio: Some(ratio), ..by_ratio() }
    };
    let breaker = breaker(with(10 * SECOND, 1_000));
    fails(&breaker, 9, now);
    breaker.adopt(with(10 * SECOND, 900));
    assert!(is_closed(&breaker, now));
    breaker.adopt(with(20 * SECOND, 900));
    fails(&breaker, 9, now);
    assert!(is_closed(&breaker, now));
    fails(&breaker, 1, now);
    assert!(!is_closed(&breaker, now));
}

#[test]
fn one_without_a_rule_never_opens_and_no_time_is_too_long() {
    let now = Instant::now();
    let never = breaker(BreakerSettings { consecutive_failures: None, ..settings() });
    fails(&never, 1_000, now);
    assert!(is_closed(&never, now));

    let long = breaker(BreakerSettings { open_for: Duration::MAX, ..settings() });
    fails(&long, 3, now);
    assert!(long.retry_at(now).unwrap() > now + 24 * 60 * MINUTE);
}
