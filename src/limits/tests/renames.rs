//! Limits under new names.

use super::*;
use crate::units::NanoUsd;

fn month(amount: u64) -> Quota {
    let zone = Arc::new(TimeZone::UTC);
    windowed(Unit::Usd, amount, Window::Calendar(Calendar { turn: Turn::Month, zone }))
}

fn was(old: &str, rule: Rule) -> Rule {
    Rule { was: Some(old.into()), ..rule }
}

/// Puts a policy of these rules into force.
fn policy(ledger: &Ledger, rules: impl IntoIterator<Item = Rule>, now: Now) -> Arc<[Rule]> {
    let rules = limits(rules);
    ledger.adopt(&*rules, now);
    rules
}

fn reserve(ledger: &Arc<Ledger>, rules: &Arc<[Rule]>, usd: u64, now: Now) -> Result<Reservation, Exceeded> {
    let amounts = Amounts { usd: NanoUsd(usd), ..Amounts::NONE };
    ledger.reserve(rules, &Ask { amounts, ..user("ana").ask() }, now)
}

/// Key, used and held of every cell that is shown.
fn shown(ledger: &Ledger, now: Now) -> Vec<(String, u64, u64)> {
    let uses = ledger.usage(now).into_iter();
    uses.map(|cell| (cell.key.to_string(), cell.settled, cell.reserved)).collect()
}

#[test]
fn a_renamed_limit_goes_on_with_its_cells_and_so_do_calls_under_way() {
    for each in [None, Some(Each::User), Some(Each::Model)] {
        let (ledger, now) = (ledger(), moment());
        let before = policy(&ledger, [rule("budget", month(100), each)], now);
        reserve(&ledger, &before, 30, now).unwrap().settle(&usd(30), now);
        let mut running = reserve(&ledger, &before, 40, now).unwrap();
        let after = policy(&ledger, [was("budget", rule("month", month(100), each))], now);
        let cells = |held| shown(&ledger, now).into_iter().find(|cell| cell.2 == held && cell.1 > 0).unwrap();
        assert_eq!(cells(40), ("month".to_owned(), 30, 40));
        assert!(reserve(&ledger, &after, 31, now).is_err());
        // A call that has the old policy in hand takes from the same cells.
        let late = reserve(&ledger, &before, 30, now).unwrap();
        assert!(reserve(&ledger, &after, 1, now).is_err());
        drop(late);
        running.settle(&usd(50), now);
        assert_eq!(cells(0), ("month".to_owned(), 80, 0));
        assert_eq!(shown(&ledger, now).iter().filter(|cell| cell.1 > 0).count(), 1, "shown under one name");
    }
}

fn usd(usd: u64) -> Amounts {
    Amounts { usd: NanoUsd(usd), ..Amounts::NONE }
}

#[test]
fn renames_go_on_over_several_policies_asked_or_not() {
    let (ledger, now) = (ledger(), moment());
    let first = policy(&ledger, [rule("a", month(100), None)], now);
    reserve(&ledger, &first, 60, now).unwrap().settle(&usd(60), now);
    // Nobody calls under the second.
    policy(&ledger, [was("a", rule("b", month(100), None))], now);
    let third = policy(&ledger, [was("b", rule("c", month(100), None))], now);
    assert!(reserve(&ledger, &third, 41, now).is_err());
    // It may stay in the policy, and go.
    policy(&ledger, [was("b", rule("c", month(100), None))], now);
    let last = policy(&ledger, [rule("c", month(100), None)], now);
    assert!(reserve(&ledger, &last, 41, now).is_err());
    assert!(reserve(&ledger, &first, 41, now).is_err(), "nor by the name of old");
    // One that skips a policy knows the name before.
    let skipped = policy(&ledger, [was("a", rule("d", month(100), None))], now);
    assert!(reserve(&ledger, &skipped, 41, now).is_err());
    assert_eq!(shown(&ledger, now), [("d".to_owned(), 60, 0)]);
}

#[test]
fn a_policy_that_is_taken_back_finds_its_counts() {
    let (ledger, now) = (ledger(), moment());
    for spent in [10, 20, 30] {
        let old = policy(&ledger, [rule("a", month(100), None)], now);
        assert!(reserve(&ledger, &old, 100 - 2 * spent + 21, now).is_err());
        reserve(&ledger, &old, 10, now).unwrap().settle(&usd(10), now);
        let new = policy(&ledger, [was("a", rule("b", month(100), None))], now);
        reserve(&ledger, &new, 10, now).unwrap().settle(&usd(10), now);
        assert_eq!(shown(&ledger, now), [("b".to_owned(), 2 * spent, 0)]);
    }
}

#[test]
fn an_old_name_that_is_given_to_another_limit_starts_anew() {
    let (ledger, now) = (ledger(), moment());
    let old = policy(&ledger, [rule("a", month(100), None)], now);
    reserve(&ledger, &old, 60, now).unwrap().settle(&usd(60), now);
    policy(&ledger, [was("a", rule("b", month(100), None))], now);
    let both = policy(&ledger, [rule("a", month(50), None), rule("b", month(200), None)], now);
    reserve(&ledger, &both, 50, now).unwrap().settle(&usd(50), now);
    assert_eq!(shown(&ledger, now), [("a".to_owned(), 50, 0), ("b".to_owned(), 110, 0)]);
}

#[test]
fn a_limit_with_counts_of_its_own_keeps_them() {
    let (ledger, now) = (ledger(), moment());
    let both = policy(&ledger, [rule("a", month(100), None), rule("b", month(100), None)], now);
    reserve(&ledger, &both, 70, now).unwrap().settle(&usd(70), now);
    let only = policy(&ledger, [rule("a", month(100), None)], now);
    reserve(&ledger, &only, 20, now).unwrap().settle(&usd(20), now);
    policy(&ledger, [was("a", rule("b", month(100), None))], now);
    assert_eq!(shown(&ledger, now), [("a".to_owned(), 90, 0), ("b".to_owned(), 70, 0)]);
}

#[test]
fn another_owner_unit_window_or_each_takes_nothing_over() {
    let same = || was("a", rule("b", month(100), None));
    let others = [
        Rule { owner: Owner::Tenant("other".into()), ..same() },
        Rule { owner: Owner::Provider("checkout".into()), ..same() },
        Rule { quota: windowed(Unit::Usd, 100, Window::Rolling(MINUTE)), ..same() },
        Rule { each: Some(Each::User), ..same() },
    ];
    for (takes_over, renamed) in [(true, same())].into_iter().chain(others.map(|other| (false, other))) {
        let (ledger, now) = (ledger(), moment());
        let old = policy(&ledger, [rule("a", month(100), None)], now);
        reserve(&ledger, &old, 60, now).unwrap().settle(&usd(60), now);
        let new = policy(&ledger, [renamed], now);
        assert_eq!(reserve(&ledger, &new, 41, now).is_err(), takes_over, "{new:?}");
    }
}

#[test]
fn names_of_old_are_forgotten_once_nothing_is_counted() {
    let (ledger, now) = (ledger(), moment());
    let mut rules = policy(&ledger, [rule("0", requests(1, MINUTE), None)], now);
    for i in 1..5_000_u32 {
        let now = now + MINUTE * i;
        ledger.reserve(&rules, &anyone().ask(), now).unwrap().written(now);
        rules = policy(
            &ledger,
            [was(&(i - 1).to_string(), rule(&i.to_string(), requests(1, MINUTE), None))],
            now,
        );
        assert!(ledger.reserve(&rules, &anyone().ask(), now).is_err());
    }
    assert!(format!("{ledger:?}").len() < 30, "{ledger:?}");
}
