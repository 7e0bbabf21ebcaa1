//! What users of other proxies reported, as tests.

use super::*;
use crate::units::NanoUsd;

#[test]
fn peer_bug_01_a_budget_is_not_passed_under_concurrency() {
    for callers in [1, 50, 200] {
        let (ledger, now) = (ledger(), moment());
        let rules = limits([rule("rpm", requests(60, MINUTE), None)]);
        // All are admitted before the first is written: nothing but the reservation says they are there.
        let calls: Vec<_> =
            (0..callers).filter_map(|_| ledger.reserve(&rules, &anyone().ask(), now).ok()).collect();
        assert_eq!(calls.len(), callers.min(60));
    }
}

#[test]
fn peer_bug_03_the_limit_bites_the_call_that_would_pass_it_not_the_next() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("rpm", requests(3, MINUTE), None)]);
    let calls: Vec<_> = (0..3).map(|_| ledger.reserve(&rules, &anyone().ask(), now).unwrap()).collect();
    assert!(ledger.reserve(&rules, &anyone().ask(), now).is_err());
    for mut call in calls {
        call.written(now);
    }
    assert!(ledger.reserve(&rules, &anyone().ask(), now).is_err());
}

#[test]
fn peer_bug_04_counts_survive_a_reload() {
    let (ledger, now) = (ledger(), moment());
    let policy = || {
        limits([rule("rpm", requests(3, MINUTE), None), rule("user", requests(9, MINUTE), Some(Each::User))])
    };
    let before = policy();
    for _ in 0..2 {
        ledger.reserve(&before, &user("ana").ask(), now).unwrap().written(now);
    }
    let running = ledger.reserve(&before, &user("ana").ask(), now).unwrap();
    drop(before);
    let after = policy();
    assert!(ledger.reserve(&after, &user("ana").ask(), now).is_err());
    assert_eq!(cell(&ledger, "user", Some("ana"), now).settled, 2);
    // A call that began under the old policy settles in the same cells.
    drop(running);
    assert!(ledger.reserve(&after, &user("ana").ask(), now).is_ok());
}

#[test]
fn peer_bug_01_a_budget_of_money_is_not_passed_by_the_first_calls_at_once() {
    let (ledger, now) = (ledger(), moment());
    let window = Window::Calendar(Calendar { turn: Turn::Month, zone: Arc::new(TimeZone::UTC) });
    let rules = limits([rule("month", windowed(Unit::Usd, 100, window), None)]);
    let amounts = Amounts { usd: NanoUsd(30), ..Amounts::NONE };
    let caller = anyone();
    // Nothing is spent yet; what they may spend is what counts.
    let calls: Vec<_> =
        (0..50).filter_map(|_| ledger.reserve(&rules, &Ask { amounts, ..caller.ask() }, now).ok()).collect();
    assert_eq!(calls.len(), 3);
}

#[test]
fn peer_bug_08_a_budget_begins_anew_at_its_own_zones_midnight_and_at_no_other_time() {
    let (ledger, noon) = (ledger(), moment());
    let zone = Arc::new(TimeZone::get("America/New_York").unwrap());
    let window = Window::Calendar(Calendar { turn: Turn::Day, zone });
    let rules = limits([rule("day", windowed(Unit::Usd, 100, window), None)]);
    let amounts = Amounts { usd: NanoUsd(100), ..Amounts::NONE };
    let caller = anyone();
    let ask = Ask { amounts, ..caller.ask() };
    let hour = |hours: u32| noon + 60 * MINUTE * hours;
    ledger.reserve(&rules, &ask, noon).unwrap().settle(&amounts, noon);
    // Noon in UTC is eight in the morning there; neither UTC's midnight nor a full day is theirs.
    assert!((0..16).all(|hours| ledger.reserve(&rules, &ask, hour(hours)).is_err()));
    let midnight = hour(16);
    ledger.reserve(&rules, &ask, midnight).unwrap().settle(&amounts, midnight);
    assert!((17..40).all(|hours| ledger.reserve(&rules, &ask, hour(hours)).is_err()));
    assert!(ledger.reserve(&rules, &ask, hour(40)).is_ok());
}
