use super::super::calendar::Turn;
use super::*;
use crate::clock::TimeZone;

fn amount(amount: u64) -> NonZeroU64 {
    NonZeroU64::new(amount).unwrap()
}

fn days(zone: &str) -> Calendar {
    Calendar { turn: Turn::Day, zone: Arc::new(TimeZone::get(zone).unwrap()) }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn budget(limit: u64, now: Timestamp) -> Budget {
    Budget::new(amount(limit), &days("UTC"), now)
}

/// Holds what the test has seen to fit.
fn granted(budget: &mut Budget, ask: u64) -> Share {
    let mut share = Share::default();
    budget.grant(ask, &mut share);
    share
}

#[test]
fn exactly_the_limit_fits() {
    let now = time("2026-11-20T12:00:00Z");
    let mut budget = budget(10, now);
    granted(&mut budget, 4);
    assert_eq!(budget.short(6, 0, now), None);
    assert_eq!(budget.short(7, 0, now), Some(Short::For(Duration::from_secs(12 * 3600))));
    assert_eq!(budget.short(10, 4, now), None, "in place of what is held");
    assert_eq!(budget.short(11, 4, now), Some(Short::Never));
}

#[test]
fn what_is_asked_fits_after_the_wait_and_not_before() {
    let now = time("2026-11-20T12:00:00Z");
    let mut budget = budget(10, now);
    let mut share = granted(&mut budget, 10);
    budget.charge(10, &mut share, now);
    budget.give_back(&mut share);
    let Some(Short::For(wait)) = budget.short(1, 0, now) else { panic!("it is full") };
    budget.advance(now + wait - Duration::from_nanos(1));
    assert!(budget.short(1, 0, now).is_some());
    budget.advance(now + wait);
    assert_eq!(budget.short(10, 0, now), None);
}

#[test]
fn a_clock_that_steps_back_does_not_reopen_a_window() {
    let now = time("2026-11-21T00:00:05Z");
    let mut budget = budget(10, now);
    let mut share = granted(&mut budget, 10);
    budget.charge(10, &mut share, now);
    budget.give_back(&mut share);
    let before = time("2026-11-20T23:59:50Z");
    budget.advance(before);
    // The true wait is to the end of the window that has begun.
    let wait = Duration::from_secs(86_400 + 10);
    assert_eq!(budget.short(1, 0, before), Some(Short::For(wait)));
    // Nor does midnight turn it when it comes again.
    budget.advance(now);
    assert_eq!(budget.settled(), 10);
}

#[test]
fn a_budget_that_a_stepped_back_clock_would_begin_too_early_is_not_idle() {
    let now = time("2026-11-21T00:00:05Z");
    let budget = budget(10, now);
    assert!(budget.is_idle(now));
    assert!(!budget.is_idle(time("2026-11-20T23:59:50Z")));
}

#[test]
fn what_was_held_at_the_turn_is_the_old_windows_and_what_goes_beyond_the_new_ones() {
    let (before, after) = (time("2026-11-20T23:59:59Z"), time("2026-11-21T00:00:01Z"));
    for (used, counts) in [(60, 0), (100, 0), (130, 30)] {
        let mut budget = budget(100, before);
        let mut share = granted(&mut budget, 100);
        budget.advance(after);
        assert_eq!(budget.reserved(), 100, "a call in flight does not drain");
        budget.charge(used, &mut share, after);
        budget.give_back(&mut share);
        assert_eq!((budget.settled(), budget.reserved()), (counts, 0), "{used} were used");
    }
}

#[test]
fn attempts_after_the_turn_use_up_what_was_held_together() {
    let (before, after) = (time("2026-11-20T23:59:59Z"), time("2026-11-21T00:00:01Z"));
    let mut budget = budget(100, before);
    let mut share = granted(&mut budget, 100);
    budget.charge(70, &mut share, after);
    budget.charge(70, &mut share, after);
    assert_eq!(budget.settled(), 40);
}

#[test]
fn what_is_asked_anew_after_the_turn_is_the_new_windows() {
    let (before, after) = (time("2026-11-20T23:59:59Z"), time("2026-11-21T00:00:01Z"));
    let mut budget = budget(100, before);
    let mut share = granted(&mut budget, 100);
    budget.advance(after);
    assert_eq!(budget.short(100, share.held, after), None);
    budget.grant(100, &mut share);
    budget.charge(80, &mut share, after);
    budget.give_back(&mut share);
    assert_eq!((budget.settled(), budget.reserved()), (80, 0));
}

#[test]
fn a_window_nobody_asked_in_is_passed_over() {
    let now = time("2026-11-20T12:00:00Z");
    let mut budget = budget(10, now);
    let mut share = granted(&mut budget, 1);
    budget.charge(10, &mut share, now);
    budget.advance(time("2027-02-20T12:00:00Z"));
    assert_eq!((budget.settled(), budget.end()), (0, time("2027-02-21T00:00:00Z")));
}

#[test]
fn in_a_new_zone_what_was_used_counts_until_its_midnight() {
    let now = time("2026-11-20T12:00:00Z");
    let mut budget = budget(10, now);
    let mut share = granted(&mut budget, 7);
    budget.charge(7, &mut share, now);
    budget.give_back(&mut share);
    budget.adopt(amount(10), &days("Asia/Tokyo"), now);
    assert_eq!((budget.settled(), budget.end()), (7, time("2026-11-20T15:00:00Z")));
    budget.advance(time("2026-11-20T15:00:00Z"));
    assert_eq!(budget.settled(), 0);
}

#[test]
fn a_zone_that_is_read_again_is_the_same() {
    let now = time("2026-11-20T12:00:00Z");
    let mut budget = budget(10, now);
    budget.adopt(amount(10), &days("Europe/Berlin"), now);
    let end = budget.end();
    budget.adopt(amount(10), &days("Europe/Berlin"), now);
    assert_eq!(budget.end(), end);
}

#[test]
fn a_lowered_limit_is_over_and_a_raised_one_applies_at_once() {
    let now = time("2026-11-20T12:00:00Z");
    let mut budget = budget(10, now);
    let mut share = granted(&mut budget, 8);
    budget.charge(8, &mut share, now);
    budget.give_back(&mut share);
    budget.adopt(amount(5), &days("UTC"), now);
    assert!(budget.short(0, 0, now).is_some(), "even nothing, while it is over");
    budget.adopt(amount(8), &days("UTC"), now);
    assert_eq!((budget.short(0, 0, now), budget.short(1, 0, now).is_some()), (None, true));
    budget.adopt(amount(9), &days("UTC"), now);
    assert_eq!(budget.short(1, 0, now), None);
}

#[test]
fn the_largest_amounts_do_not_overflow() {
    let now = time("2026-11-20T12:00:00Z");
    let mut budget = budget(u64::MAX, now);
    let mut share = granted(&mut budget, u64::MAX);
    assert!(budget.short(1, 0, now).is_some());
    budget.charge(u64::MAX, &mut share, now);
    budget.charge(u64::MAX, &mut share, now);
    assert_eq!(budget.settled(), u64::MAX);
    assert!(budget.short(u64::MAX, u64::MAX, now).is_some());
    budget.give_back(&mut share);
    assert_eq!((budget.reserved(), budget.standing().remaining), (0, 0));
}
