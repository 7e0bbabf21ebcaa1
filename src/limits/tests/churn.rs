//! Floods of names and of policies.

use super::*;

#[test]
fn names_beyond_the_cap_share_one_cell_and_escape_nothing() {
    let (ledger, now) = (Arc::new(Ledger::with_cells(100)), moment());
    let rules = limits([rule("rpm", requests(2, MINUTE), Some(Each::User))]);
    let admitted = |name: &str| match ledger.reserve(&rules, &user(name).ask(), now) {
        Ok(mut call) => {
            call.written(now);
            true
        }
        Err(_) => false,
    };
    for i in 0..100 {
        assert!(admitted(&format!("user-{i}")));
    }
    let late = (0..1_000).filter(|i| admitted(&format!("late-{i}"))).count();
    assert_eq!(late, 2, "all late names share the cell of the overflow");
    for i in 0..100 {
        assert!(admitted(&format!("user-{i}")));
        assert!(!admitted(&format!("user-{i}")), "the flood washed a count away");
    }
    let shared = cell(&ledger, "rpm", Some("(overflow)"), now);
    assert_eq!(shared.settled, 2);
    assert_eq!(ledger.usage(now).len(), 101);
    // As soon as cells have leaked, new names have cells of their own again.
    let later = now + MINUTE;
    let fresh =
        (0..100).filter_map(|i| ledger.reserve(&rules, &user(&format!("new-{i}")).ask(), later).ok()).count();
    assert_eq!(fresh, 100);
}

#[test]
fn a_running_call_keeps_its_cell_through_a_flood() {
    let (ledger, now) = (Arc::new(Ledger::with_cells(4)), moment());
    let rules = limits([rule("open", concurrent(1), Some(Each::User))]);
    let running = ledger.reserve(&rules, &user("ana").ask(), now).unwrap();
    for i in 0..1_000 {
        drop(ledger.reserve(&rules, &user(&format!("user-{i}")).ask(), now).unwrap());
    }
    assert!(ledger.reserve(&rules, &user("ana").ask(), now).is_err());
    drop(running);
    assert!(ledger.reserve(&rules, &user("ana").ask(), now).is_ok());
}

#[test]
fn limits_of_policies_gone_are_forgotten_once_they_count_nothing() {
    let (ledger, now) = (ledger(), moment());
    let kept = limits([rule("kept", requests(1, MINUTE), None)]);
    ledger.reserve(&kept, &anyone().ask(), now).unwrap().written(now);
    let running =
        ledger.reserve(&limits([rule("running", concurrent(1), None)]), &anyone().ask(), now).unwrap();
    for i in 0..5_000_u32 {
        let now = now + MINUTE / 10 + Duration::from_secs(u64::from(i));
        let gone = limits([rule(&format!("gone-{i}"), requests(1, MINUTE), None)]);
        ledger.reserve(&gone, &anyone().ask(), now).unwrap().written(now);
    }
    let end = now + Duration::from_secs(5_000);
    assert!(ledger.usage(end).len() < 600, "{} limits", ledger.usage(end).len());
    // The one that a rule still names and the one that a call still holds are there.
    assert_eq!(cell(&ledger, "kept", None, end).reserved, 0);
    assert_eq!(cell(&ledger, "running", None, end).reserved, 1);
    drop(running);
}

#[test]
fn a_removed_limit_that_returns_finds_its_count() {
    let (ledger, now) = (ledger(), moment());
    let day = || limits([rule("day", requests(1, 1_440 * MINUTE), None)]);
    ledger.reserve(&day(), &anyone().ask(), now).unwrap().written(now);
    for i in 0..2_000 {
        let other = limits([rule(&format!("other-{i}"), requests(1, MINUTE), None)]);
        drop(ledger.reserve(&other, &anyone().ask(), now).unwrap());
    }
    assert!(ledger.reserve(&day(), &anyone().ask(), now).is_err());
}
