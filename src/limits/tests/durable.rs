//! A ledger that outlives its process: what it is told of earlier ones, and what holds while its store fails.

use std::iter;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::crashes::{Disk, World, admit, steps};
use super::*;
use crate::limits::store::{Lapse, Row};
use crate::units::{NanoUsd, Tokens};

fn tokens(key: &str, amount: u64, window: Window, each: Option<Each>) -> Rule {
    rule(key, windowed(Unit::Tokens, amount, window), each)
}

fn monthly(amount: u64) -> Rule {
    tokens(
        "month",
        amount,
        Window::Calendar(Calendar { turn: Turn::Month, zone: Arc::new(TimeZone::UTC) }),
        None,
    )
}

fn used(n: u64) -> Amounts {
    Amounts { input: Tokens(n), output: Tokens(0), usd: NanoUsd(0) }
}

fn ask<'a>(caller: &'a Caller, n: u64) -> Ask<'a> {
    Ask { amounts: used(n), ..caller.ask() }
}

fn spend(ledger: &Arc<Ledger>, rules: &Arc<[Rule]>, caller: &Caller, n: u64, now: Now) {
    let mut call = admit(ledger, rules, &ask(caller, n), now).unwrap();
    call.written(now);
    call.settle(&used(n), now);
}

fn settled(ledger: &Ledger, rules: &[Rule], key: &str, value: Option<&str>, now: Now) -> u64 {
    ledger.restore(rules, now);
    cell(ledger, key, value, now).settled
}

#[test]
fn a_crash_loses_nothing_that_was_settled_and_counts_at_most_a_block_too_much() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([monthly(100_000)]);
    let ledger = disk.ledger(now);
    for _ in 0..200 {
        spend(&ledger, &rules, &anyone(), 100, now);
    }
    drop(ledger);

    let found = settled(&disk.ledger(now), &rules, "month", None, now);
    assert!((20_000..=20_000 + 100_000 / 32).contains(&found), "{found}");
}

#[test]
fn a_clean_stop_is_exact_and_leaves_no_row_of_what_counts_nothing() {
    let (disk, now) = (Disk::default(), moment());
    let per_user = tokens("tpm", 1_000, Window::Rolling(MINUTE), Some(Each::User));
    let rules = limits([monthly(100_000), per_user]);
    let ledger = disk.ledger(now);
    spend(&ledger, &rules, &user("kim"), 700, now);
    spend(&ledger, &rules, &user("lee"), 10, now);
    spend(&ledger, &rules, &anyone(), 5, now);
    let later = now + MINUTE / 4;
    ledger.close(later);
    drop(ledger);

    let ledger = disk.ledger(later);
    assert_eq!(settled(&ledger, &rules, "month", None, later), 715);
    assert_eq!(settled(&ledger, &rules, "tpm", Some("kim"), later), 450);
    assert_eq!(ledger.usage(later).len(), 2, "what has leaked is no cell");
    assert_eq!(disk.keys().len(), 2);
}

#[test]
fn the_counts_of_a_renamed_limit_are_found_under_its_new_name_alone() {
    let (disk, now) = (Disk::default(), moment());
    let named = |key: &str, was: Option<&str>| {
        let month = Rule { key: key.into(), was: was.map(Into::into), ..monthly(100_000) };
        let users = tokens(&format!("{key}-users"), 100_000, Window::Rolling(MINUTE * 60), Some(Each::User));
        limits([month, Rule { was: was.map(|was| format!("{was}-users").as_str().into()), ..users }])
    };
    let load = |ledger: &Ledger, rules: &[Rule]| {
        ledger.adopt(rules, now);
        ledger.restore(rules, now);
    };
    let (old, renamed, again) = (named("a", None), named("b", Some("a")), named("c", Some("b")));
    let ledger = disk.ledger(now);
    load(&ledger, &old);
    spend(&ledger, &old, &user("kim"), 100, now);
    for rules in [&renamed, &again] {
        load(&ledger, rules);
        spend(&ledger, rules, &user("kim"), 10, now);
        spend(&ledger, rules, &user("lee"), 1, now);
    }
    // It says no more what it was; then the process crashes, and the next one never knew.
    let last = named("c", None);
    load(&ledger, &last);
    ledger.write();
    drop(ledger);
    assert!(
        disk.keys().iter().all(|key| key.contains("\"c\"") || key.contains("\"c-users\"")),
        "{:?}",
        disk.keys()
    );

    let ledger = disk.ledger(now);
    load(&ledger, &last);
    for (key, user, used) in [("c", None, 122), ("c-users", Some("kim"), 120), ("c-users", Some("lee"), 2)] {
        let found = cell(&ledger, key, user, now).settled;
        assert!((used..=used + 100_000 / 32).contains(&found), "{key} {user:?}: {found}");
    }
}

#[test]
fn a_limit_renamed_to_a_name_that_was_in_use_keeps_its_row() {
    let (disk, now) = (Disk::default(), moment());
    let rate = |key: &str| tokens(key, 100_000, Window::Rolling(MINUTE), None);
    let long = |key: &str| tokens(key, 100_000, Window::Rolling(MINUTE * 60), None);
    let (old, new) = (limits([long("a"), rate("b")]), limits([Rule { was: Some("a".into()), ..long("b") }]));
    let ledger = disk.ledger(now);
    ledger.adopt(old.iter(), now);
    spend(&ledger, &old, &anyone(), 50_000, now);
    // What `b` had used has leaked; its row is still there.
    let later = now + MINUTE;
    ledger.adopt(new.iter(), later);
    spend(&ledger, &new, &anyone(), 50, later);
    ledger.write();
    // The old policy goes, and with it the cell that `b` had.
    drop(old);
    ledger.write();
    let spent = cell(&ledger, "b", None, later).settled;
    drop(ledger);

    let found = settled(&disk.ledger(later), &new, "b", None, later);
    assert!(spent > 48_000 && found >= spent, "{found} of {spent}");
}

#[test]
fn what_a_limit_only_counted_is_no_debt_after_a_restart() {
    let (disk, now) = (Disk::default(), moment());
    let shadow = limits([Rule { mode: Mode::Shadow, ..monthly(1_000) }]);
    let ledger = disk.ledger(now);
    spend(&ledger, &shadow, &anyone(), 5_000, now);
    assert_eq!(cell(&ledger, "month", None, now).settled, 5_000);
    ledger.close(now);

    let ledger = disk.ledger(now);
    ledger.restore(shadow.iter(), now);
    assert_eq!(cell(&ledger, "month", None, now).mode, Mode::Shadow, "before anybody asks");
    drop(ledger);
    let enforced = limits([monthly(1_000)]);
    let ledger = disk.ledger(now);
    ledger.restore(enforced.iter(), now);
    let found = cell(&ledger, "month", None, now);
    assert_eq!((found.settled, found.debt), (1_000, 0));
}

#[test]
fn a_restart_shows_what_was_used_before_the_first_call() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([tokens("day", 1_000, Window::Rolling(MINUTE * 60), Some(Each::User))]);
    let ledger = disk.ledger(now);
    spend(&ledger, &rules, &user("a \"b\", ] c"), 10, now);
    spend(&ledger, &rules, &anyone(), 20, now);
    ledger.close(now);

    let ledger = disk.ledger(now);
    ledger.restore(rules.iter(), now);
    let seen: Vec<_> =
        ledger.usage(now).iter().map(|cell| (cell.value.clone(), cell.settled, cell.durable)).collect();
    assert_eq!(seen, [(Some("(none)".into()), 20, true), (Some("a \"b\", ] c".into()), 10, true)]);
}

#[test]
fn calls_hardly_ever_wait_and_most_write_nothing() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([monthly(10_000_000)]);
    let ledger = disk.ledger(now);
    let mut waits = 0;
    for _ in 0..5_000 {
        let mut call = match ledger.reserve(&rules, &ask(&anyone(), 100), now) {
            Ok(call) => call,
            Err(_) => {
                waits += 1;
                admit(&ledger, &rules, &ask(&anyone(), 100), now).unwrap()
            }
        };
        // What the writer does meanwhile.
        ledger.write();
        call.settle(&used(90), now);
    }
    assert_eq!(waits, 1);
    assert!(disk.writes() < 40, "{} writes for 5000 calls", disk.writes());
}

#[test]
fn nothing_is_granted_beyond_what_the_store_was_told_of() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([monthly(1_000)]);
    let ledger = disk.ledger(now);
    let short = ledger.reserve(&rules, &ask(&anyone(), 100), now).unwrap_err();
    assert_eq!((short.lack, short.wait, short.never), (Lack::Lease, None, false));
    assert!(disk.keys().is_empty());
    ledger.write();
    let call = ledger.reserve(&rules, &ask(&anyone(), 100), now).unwrap();
    assert_eq!(disk.keys(), [r#"["tenant","checkout","month","tokens","month",null] whole """#]);
    drop(call);
    // A limit that is reached is no matter of leases.
    assert_eq!(ledger.reserve(&rules, &ask(&anyone(), 2_000), now).unwrap_err().lack, Lack::Room);
}

#[test]
fn an_overrun_is_in_the_store_before_its_settlement_returns() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([monthly(10_000)]);
    let ledger = disk.ledger(now);
    let mut call = admit(&ledger, &rules, &ask(&anyone(), 10), now).unwrap();
    call.settle(&used(9_000), now);
    drop(ledger);
    assert!(settled(&disk.ledger(now), &rules, "month", None, now) >= 9_000);
}

#[test]
fn an_overrun_waits_for_the_thread_that_writes() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([monthly(1_000_000)]);
    let ledger = disk.ledger(now);
    let keeping = Arc::clone(&ledger);
    let writer = std::thread::spawn(move || keeping.keep());
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (ledger, rules, disk) = (Arc::clone(&ledger), Arc::clone(&rules), disk.clone());
            std::thread::spawn(move || {
                for settled in 1..=50 {
                    // What the others overran may take each lease before it is used: as in the relay, who lacks one asks
                    // again.
                    let mut call = iter::repeat_with(|| admit(&ledger, &rules, &ask(&anyone(), 10), now))
                        .find_map(Result::ok)
                        .unwrap();
                    call.settle(&used(1_500), now);
                    let kept: u64 = disk.rows.lock().values().map(|row| row.settled + row.ahead).sum();
                    // Of the others it does not know; its own are there.
                    assert!(kept >= settled * 1_500, "{kept} of {settled}");
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    let spent = cell(&ledger, "month", None, now).settled;
    let kept: u64 = disk.rows.lock().values().map(|row| row.settled + row.ahead).sum();
    assert!(spent == 4 * 50 * 1_500 && kept >= spent, "{spent} {kept}");
    ledger.close(now);
    writer.join().unwrap();
    assert_eq!(disk.rows.lock().values().next().map(|row| (row.settled, row.ahead)), Some((spent, 0)));
}

#[test]
fn a_stream_that_outlives_its_window_needs_no_new_lease() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([tokens("tpm", 1_000, Window::Rolling(MINUTE), None)]);
    let ledger = disk.ledger(now);
    let mut call = admit(&ledger, &rules, &ask(&anyone(), 500), now).unwrap();
    let (writes, later) = (disk.writes(), now + MINUTE * 30);
    call.settle(&used(500), later);
    assert_eq!(disk.writes(), writes);
    drop(ledger);
    assert!(settled(&disk.ledger(later), &rules, "tpm", None, later) >= 500);
}

#[test]
fn an_idle_cell_finds_its_lease_after_any_time() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([rule("rpm", requests(100, MINUTE), None)]);
    let ledger = disk.ledger(now);
    for minute in 0..10 {
        let now = now + MINUTE * 60 * minute;
        let asked = ledger.reserve(&rules, &anyone().ask(), now);
        assert_eq!(asked.is_err(), minute == 0);
        ledger.write();
        if let Ok(mut call) = asked {
            call.written(now);
        }
        ledger.write();
    }
}

#[test]
fn a_row_of_a_window_that_has_turned_counts_nothing_and_goes() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([monthly(1_000)]);
    let ledger = disk.ledger(now);
    spend(&ledger, &rules, &anyone(), 100, now);
    drop(ledger);
    let next = now + MINUTE * 60 * 24 * 20;
    let ledger = disk.ledger(next);
    assert_eq!(settled(&ledger, &rules, "month", None, next), 0);
    ledger.write();
    assert!(disk.keys().is_empty());
}

#[test]
fn a_lease_is_of_the_window_that_runs() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([monthly(1_000)]);
    let ledger = disk.ledger(now);
    spend(&ledger, &rules, &anyone(), 10, now);
    let next = now + MINUTE * 60 * 24 * 20;
    assert_eq!(ledger.reserve(&rules, &ask(&anyone(), 1), next).unwrap_err().lack, Lack::Lease);
    spend(&ledger, &rules, &anyone(), 10, next);
    drop(ledger);
    assert!(settled(&disk.ledger(next), &rules, "month", None, next) >= 10);
}

#[test]
fn a_lowered_rate_leaks_no_faster_in_the_store_than_here() {
    let (disk, now) = (Disk::default(), moment());
    let with = |amount| limits([tokens("tpm", amount, Window::Rolling(MINUTE), None)]);
    let ledger = disk.ledger(now);
    spend(&ledger, &with(10_000), &anyone(), 5_000, now);
    assert_eq!(ledger.reserve(&with(6_000), &ask(&anyone(), 10), now).unwrap_err().lack, Lack::Lease);
    let later = now + MINUTE / 2;
    spend(&ledger, &with(6_000), &anyone(), 10, later);
    let here = cell(&ledger, "tpm", None, later).settled;
    drop(ledger);
    assert!(settled(&disk.ledger(later), &with(6_000), "tpm", None, later) >= here);
}

#[test]
fn calls_at_once_end_with_their_process() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([rule("open", concurrent(2), None)]);
    let ledger = disk.ledger(now);
    let call = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    ledger.write();
    assert!(disk.keys().is_empty() && !ledger.usage(now)[0].durable);
    drop(call);
}

#[test]
fn the_row_of_a_cell_that_went_goes_too() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([tokens("tpm", 60_000, Window::Rolling(MINUTE), Some(Each::User))]);
    let ledger = disk.ledger(now);
    for n in 0..50 {
        let now = now + MINUTE * n;
        spend(&ledger, &rules, &user(&format!("user {n}")), 1, now);
        ledger.write();
    }
    assert!(disk.keys().len() < 10, "{:?}", disk.keys());
}

#[test]
fn a_renamed_limit_takes_over_the_rows_of_its_old_key() {
    let (disk, now) = (Disk::default(), moment());
    let ledger = disk.ledger(now);
    spend(&ledger, &limits([monthly(1_000)]), &anyone(), 100, now);
    ledger.close(now);
    drop(ledger);

    let renamed = limits([Rule { key: "budget".into(), was: Some("month".into()), ..monthly(1_000) }]);
    let ledger = disk.ledger(now);
    assert_eq!(settled(&ledger, &renamed, "budget", None, now), 100);
    spend(&ledger, &renamed, &anyone(), 1, now);
    assert_eq!(disk.keys(), [r#"["tenant","checkout","budget","tokens","month",null] whole """#]);
}

#[test]
fn while_the_store_fails_a_limit_does_as_it_says() {
    let lacks = |on_ledger_down, spent| {
        let (disk, now) = (Disk::default(), moment());
        let rules = limits([Rule { on_ledger_down, ..monthly(100_000) }]);
        let ledger = disk.ledger(now);
        spend(&ledger, &rules, &anyone(), 10, now);
        disk.fail(true);
        let asked = ledger.reserve(&rules, &ask(&anyone(), 50_000), now).map_err(|exceeded| exceeded.lack);
        assert_eq!(asked.unwrap_err(), Lack::Lease, "nobody knows yet");
        ledger.write();
        assert!(ledger.is_down());
        let mut granted = 0;
        let mut lack = None;
        for _ in 0..spent {
            match ledger.reserve(&rules, &ask(&anyone(), 1), now) {
                Ok(mut call) => {
                    call.settle(&used(1), now);
                    granted += 1;
                }
                Err(exceeded) => lack = Some(exceeded.lack),
            }
        }
        disk.fail(false);
        ledger.write();
        assert!(!ledger.is_down());
        assert_eq!(cell(&ledger, "month", None, now).settled, 10 + granted);
        drop(ledger);
        assert!(settled(&disk.ledger(now), &rules, "month", None, now) >= 10 + granted);
        (granted, lack)
    };
    assert_eq!(lacks(LedgerDown::Deny, 1_000), (0, Some(Lack::Store)));
    assert_eq!(lacks(LedgerDown::Allow, 1_000), (1_000, None));
    let (granted, lack) = lacks(LedgerDown::SpendLease, 1_000);
    assert!((1..200).contains(&granted) && lack == Some(Lack::Store), "{granted} {lack:?}");
}

#[test]
fn a_lease_that_may_have_become_smaller_is_spent_as_the_smaller() {
    let (disk, now) = (Disk::default(), moment());
    let rules = limits([monthly(100_000)]);
    let ledger = disk.ledger(now);
    let large = admit(&ledger, &rules, &ask(&anyone(), 5_000), now).unwrap();
    disk.fail(true);
    assert!(ledger.reserve(&rules, &ask(&anyone(), 50_000), now).is_err());
    ledger.write();
    drop(large);
    spend(&ledger, &rules, &anyone(), 10, now);
    disk.fail(false);
    disk.takes_and_fails.store(true, Ordering::Relaxed);
    ledger.write();
    while let Ok(mut call) = ledger.reserve(&rules, &ask(&anyone(), 10), now) {
        call.settle(&used(10), now);
    }
    let spent = cell(&ledger, "month", None, now).settled;
    drop(ledger);
    assert!(settled(&disk.ledger(now), &rules, "month", None, now) >= spent, "{spent}");
}

proptest! {
    #[test]
    fn a_restart_never_counts_less_than_was_settled_and_a_clean_one_exactly_that(schedule in steps()) {
        let mut world = World::new();
        for step in &schedule {
            world.step(step);
        }
        world.end();
    }
}

#[test]
fn a_row_says_when_it_counts_no_more() {
    let now = moment().wall;
    let leaks =
        |ahead| Row { settled: 10, ahead, at: now, lapse: Lapse::Leaks { amount: 10, per: 60_000_000_000 } };
    assert!(leaks(0).counts(now + MINUTE / 2) && !leaks(0).counts(now + MINUTE));
    assert!(leaks(1).counts(now + MINUTE * 1_000), "what is ahead may have been used just now");
    let turns = Row { lapse: Lapse::Turns { at: now + MINUTE }, ..leaks(1) };
    assert!(turns.counts(now) && !turns.counts(now + MINUTE));
}
