//! What callers are promised of tokens, money and calendars.

use super::*;
use crate::units::{NanoUsd, Tokens};

fn days() -> Window {
    let zone = Arc::new(TimeZone::get("Europe/Berlin").unwrap());
    Window::Calendar(Calendar { turn: Turn::Day, zone })
}

fn month() -> Window {
    let zone = Arc::new(TimeZone::UTC);
    Window::Calendar(Calendar { turn: Turn::Month, zone })
}

fn usd(amount: u64) -> Amounts {
    Amounts { usd: NanoUsd(amount), ..Amounts::NONE }
}

fn tokens(input: u64, output: u64) -> Amounts {
    Amounts { input: Tokens(input), output: Tokens(output), usd: NanoUsd::ZERO }
}

/// A call of anyone that may use so much.
fn reserve(
    ledger: &Arc<Ledger>,
    rules: &Arc<[Rule]>,
    amounts: Amounts,
    now: Now,
) -> Result<Reservation, Exceeded> {
    ledger.reserve(rules, &Ask { amounts, ..anyone().ask() }, now)
}

/// What is used and held of a whole tenant's limit.
fn counts(ledger: &Ledger, key: &str, now: Now) -> (u64, u64) {
    let cell = cell(ledger, key, None, now);
    (cell.settled, cell.reserved)
}

#[test]
fn each_unit_counts_its_own_share_of_a_call() {
    let (ledger, now) = (ledger(), moment());
    let per = Window::Rolling(MINUTE);
    let rules = limits([
        rule("calls", windowed(Unit::Requests, 100, per.clone()), None),
        rule("all", windowed(Unit::Tokens, 100, per.clone()), None),
        rule("in", windowed(Unit::InputTokens, 100, per.clone()), None),
        rule("out", windowed(Unit::OutputTokens, 100, per), None),
        rule("month", windowed(Unit::Usd, 100, month()), None),
    ]);
    let asked = Amounts { usd: NanoUsd(9), ..tokens(30, 20) };
    let mut call = reserve(&ledger, &rules, asked, now).unwrap();
    let held = ["calls", "all", "in", "out", "month"].map(|key| counts(&ledger, key, now));
    assert_eq!(held, [(0, 1), (0, 50), (0, 30), (0, 20), (0, 9)]);
    call.written(now);
    call.settle(&Amounts { usd: NanoUsd(4), ..tokens(31, 5) }, now);
    let used = ["calls", "all", "in", "out", "month"].map(|key| counts(&ledger, key, now));
    assert_eq!(used, [(1, 0), (36, 0), (31, 0), (5, 0), (4, 0)]);
}

#[test]
fn what_is_asked_may_fill_a_limit_and_not_pass_it() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("month", windowed(Unit::Usd, 100, month()), None)]);
    let _first = reserve(&ledger, &rules, usd(60), now).unwrap();
    assert!(reserve(&ledger, &rules, usd(41), now).is_err());
    assert!(reserve(&ledger, &rules, usd(40), now).is_ok());
}

#[test]
fn a_call_larger_than_the_whole_limit_is_told_that_it_never_fits() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([
        rule("open", concurrent(1), None),
        rule("day", windowed(Unit::Usd, 100, days()), None),
        rule("tpm", windowed(Unit::Tokens, 10, Window::Rolling(MINUTE)), None),
    ]);
    let _place = reserve(&ledger, &rules, Amounts::NONE, now).unwrap();
    let refused = reserve(&ledger, &rules, tokens(6, 5), now).unwrap_err();
    assert_eq!((refused.rule.key.as_str(), refused.never, refused.wait), ("tpm", true, None));
    assert_eq!(refused.asked, 11);
    let refused = reserve(&ledger, &rules, tokens(5, 5), now).unwrap_err();
    assert_eq!((refused.rule.key.as_str(), refused.never, refused.wait), ("open", false, None));
}

#[test]
fn a_spent_budget_waits_until_its_window_turns_and_a_rate_until_enough_has_leaked() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("day", windowed(Unit::Usd, 100, days()), None)]);
    reserve(&ledger, &rules, usd(100), now).unwrap().settle(&usd(100), now);
    let wait = reserve(&ledger, &rules, usd(1), now).unwrap_err().wait.unwrap();
    // From noon in UTC to midnight in Berlin.
    assert_eq!(wait, 11 * 60 * MINUTE);
    assert!(reserve(&ledger, &rules, usd(1), now + (wait - Duration::from_nanos(1))).is_err());
    assert!(reserve(&ledger, &rules, usd(100), now + wait).is_ok());

    let rules = limits([rule("tpm", windowed(Unit::Tokens, 60, Window::Rolling(MINUTE)), None)]);
    reserve(&ledger, &rules, tokens(60, 0), now).unwrap().settle(&tokens(60, 0), now);
    let wait = reserve(&ledger, &rules, tokens(10, 7), now).unwrap_err().wait;
    assert_eq!(wait, Some(Duration::from_secs(17)));
}

#[test]
fn what_a_call_uses_beyond_its_share_is_debt_at_once() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("tpm", windowed(Unit::Tokens, 60, Window::Rolling(MINUTE)), None)]);
    reserve(&ledger, &rules, tokens(10, 50), now).unwrap().settle(&tokens(10, 80), now);
    let tpm = cell(&ledger, "tpm", None, now);
    assert_eq!((tpm.settled, tpm.reserved, tpm.debt, tpm.limit), (90, 0, 30, 60));
    // A call that costs nothing is refused too while there is debt.
    let refused = reserve(&ledger, &rules, Amounts::NONE, now).unwrap_err();
    assert_eq!((refused.never, refused.wait), (false, Some(Duration::from_secs(30))));
    assert!(reserve(&ledger, &rules, Amounts::NONE, now + MINUTE / 2).is_ok());
}

#[test]
fn a_dropped_call_gives_everything_back_and_costs_nothing() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([
        rule("tpm", windowed(Unit::Tokens, 60, Window::Rolling(MINUTE)), None),
        rule("month", windowed(Unit::Usd, 100, month()), None),
    ]);
    let asked = Amounts { usd: NanoUsd(100), ..tokens(60, 0) };
    for _ in 0..3 {
        drop(reserve(&ledger, &rules, asked, now).unwrap());
    }
    assert_eq!((counts(&ledger, "tpm", now), counts(&ledger, "month", now)), ((0, 0), (0, 0)));
}

#[test]
fn only_the_first_settlement_counts() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("month", windowed(Unit::Usd, 100, month()), None)]);
    let mut call = reserve(&ledger, &rules, usd(50), now).unwrap();
    call.settle(&usd(20), now);
    call.settle(&usd(20), now);
    call.charge(&usd(20), now);
    call.release();
    call.resize(&"claude".into(), &usd(90), now).unwrap();
    drop(call);
    assert_eq!(counts(&ledger, "month", now), (20, 0));
}

#[test]
fn an_attempt_is_charged_at_once_and_the_next_one_asks_anew() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("month", windowed(Unit::Usd, 100, month()), None)]);
    let mut call = reserve(&ledger, &rules, usd(40), now).unwrap();
    call.charge(&usd(30), now);
    assert_eq!(counts(&ledger, "month", now), (30, 40));
    let refused = call.resize(&"claude".into(), &usd(71), now).unwrap_err();
    assert_eq!((refused.asked, refused.never), (71, false));
    assert_eq!(counts(&ledger, "month", now), (30, 40), "what was held stays as it was");
    call.resize(&"claude".into(), &usd(70), now).unwrap();
    assert_eq!(counts(&ledger, "month", now), (30, 70));
    call.settle(&usd(65), now);
    assert_eq!(counts(&ledger, "month", now), (95, 0));
}

#[test]
fn an_attempt_is_charged_to_the_model_that_made_it() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("model", windowed(Unit::Usd, 100, month()), Some(Each::Model))]);
    let mut call = reserve(&ledger, &rules, usd(40), now).unwrap();
    for (model, cost) in [("claude", 7), ("gpt", 30), ("claude", 2)] {
        call.charge(&usd(cost), now);
        call.resize(&model.into(), &usd(50), now).unwrap();
    }
    call.settle(&usd(11), now);
    let of = |model| cell(&ledger, "model", Some(model), now);
    // The first and the third were gpt's, the second and the last claude's.
    assert_eq!([of("gpt").settled, of("claude").settled], [9, 41]);
    assert_eq!([of("gpt").reserved, of("claude").reserved], [0, 0]);
}

#[test]
fn a_call_under_an_older_policy_asks_for_no_more_than_the_limit_in_force() {
    let (ledger, now) = (ledger(), moment());
    let old = limits([rule("month", windowed(Unit::Usd, 100, month()), None)]);
    let new = limits([rule("month", windowed(Unit::Usd, 50, month()), None)]);
    let mut call = reserve(&ledger, &old, usd(40), now).unwrap();
    let _other = reserve(&ledger, &new, usd(5), now).unwrap();
    assert!(call.resize(&"claude".into(), &usd(46), now).is_err());
    call.resize(&"claude".into(), &usd(45), now).unwrap();
    assert_eq!(cell(&ledger, "month", None, now).limit, 50);
}

#[test]
fn another_kind_of_window_or_unit_is_another_cell_and_another_zone_is_not() {
    let (ledger, now) = (ledger(), moment());
    let full = |unit, window| {
        let rules = limits([rule("limit", windowed(unit, 10, window), None)]);
        let asked = Amounts { usd: NanoUsd(10), ..tokens(10, 0) };
        reserve(&ledger, &rules, asked, now).map(|mut call| call.settle(&asked, now)).is_err()
    };
    assert!(!full(Unit::Tokens, days()));
    assert!(!full(Unit::Tokens, month()));
    assert!(!full(Unit::Tokens, Window::Rolling(MINUTE)));
    assert!(!full(Unit::InputTokens, days()));
    assert!(!full(Unit::Usd, days()));
    let zone = Arc::new(TimeZone::get("Asia/Tokyo").unwrap());
    assert!(full(Unit::Tokens, Window::Calendar(Calendar { turn: Turn::Day, zone })));
    assert!(full(Unit::Tokens, Window::Rolling(2 * MINUTE)));
}

#[test]
fn the_standing_is_told_for_each_unit() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([
        rule("day", windowed(Unit::Tokens, 90, days()), None),
        rule("tpm", windowed(Unit::Tokens, 120, Window::Rolling(MINUTE)), None),
    ]);
    let mut call = reserve(&ledger, &rules, tokens(30, 30), now).unwrap();
    let (rule, standing) = call.standing(Unit::Tokens).unwrap();
    assert_eq!((rule.key.as_str(), standing.limit, standing.remaining), ("day", 90, 30));
    assert_eq!((standing.reset, standing.per), (11 * 60 * MINUTE, 24 * 60 * MINUTE));
    assert_eq!(call.standing(Unit::Requests), None);
    call.settle(&tokens(6, 0), now);
    assert_eq!(call.standing(Unit::Tokens).unwrap().1.remaining, 84);
}

#[test]
fn operators_see_when_a_budget_turns() {
    let (ledger, now) = (ledger(), moment());
    let rules =
        limits([rule("day", windowed(Unit::Usd, 100, days()), None), rule("rpm", requests(5, MINUTE), None)]);
    let _call = reserve(&ledger, &rules, usd(100), now).unwrap();
    let day = cell(&ledger, "day", None, now);
    assert_eq!((day.turn, day.reset), (Some(Turn::Day), Some("2026-03-15T23:00:00Z".parse().unwrap())));
    assert_eq!((day.per, day.wait), (Some(24 * 60 * MINUTE), Some(11 * 60 * MINUTE)));
    let rpm = cell(&ledger, "rpm", None, now);
    assert_eq!((rpm.turn, rpm.reset, rpm.per), (None, None, Some(MINUTE)));
    let fullest = ledger.fullest(now).into_iter().find(|limit| limit.key.as_str() == "day").unwrap();
    assert_eq!((fullest.used, fullest.available, fullest.turn), (100, 0, Some(Turn::Day)));
}

#[test]
fn a_new_name_does_not_begin_in_a_window_that_has_turned() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("user", windowed(Unit::Usd, 10, days()), Some(Each::User))]);
    // 30 s after midnight in Berlin somebody comes, then the clock steps back by a minute.
    let after = now + (11 * 60 * MINUTE + MINUTE / 2);
    drop(ledger.reserve(&rules, &user("ana").ask(), after).unwrap());
    let before = Now { wall: after.wall - MINUTE, ..after };
    let bo = user("bo");
    let ask = Ask { amounts: usd(10), ..bo.ask() };
    ledger.reserve(&rules, &ask, before).unwrap().settle(&usd(10), before);
    // Midnight comes again, and nothing is given anew.
    assert!(ledger.reserve(&rules, &ask, after).is_err());
}

/// The same rule, which only counts.
fn shadow(rule: Rule) -> Rule {
    Rule { mode: Mode::Shadow, ..rule }
}

#[test]
fn what_only_counts_counts_every_call_and_refuses_none() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([
        shadow(rule("month", windowed(Unit::Usd, 100, month()), None)),
        shadow(rule("open", concurrent(1), None)),
        shadow(rule("rpm", requests(2, MINUTE), None)),
    ]);
    let mut calls: Vec<_> = (0..4).map(|_| reserve(&ledger, &rules, usd(40), now).unwrap()).collect();
    let told = calls.iter().map(|call| call.would_refuse().map(|rule| rule.key.to_string()).collect());
    let told: Vec<Vec<String>> = told.collect();
    assert_eq!(told, [vec![], vec!["open".to_owned()], told[3].clone(), told[3].clone()]);
    assert_eq!(told[3].len(), 3, "{told:?}");
    assert_eq!((counts(&ledger, "month", now), counts(&ledger, "open", now)), ((0, 160), (0, 4)));
    calls.iter_mut().for_each(|call| call.settle(&usd(45), now));
    assert_eq!(counts(&ledger, "month", now), (180, 0));
    assert_eq!(cell(&ledger, "month", None, now).mode, Mode::Shadow);
    assert_eq!(calls[0].standing(Unit::Requests), None, "no caller is told of it");
}

#[test]
fn another_attempt_of_a_call_tells_what_only_counts_once() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([shadow(rule("month", windowed(Unit::Usd, 100, month()), None))]);
    let mut call = reserve(&ledger, &rules, usd(90), now).unwrap();
    assert_eq!(call.would_refuse().count(), 0);
    for ask in [110, 120, 5] {
        call.resize(&"claude".into(), &usd(ask), now).unwrap();
        assert_eq!(call.would_refuse().count(), 1);
    }
}

#[test]
fn what_only_counts_refuses_nobody_on_the_way_to_one_that_does() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([
        shadow(rule("small", windowed(Unit::Usd, 10, month()), None)),
        rule("large", windowed(Unit::Usd, 100, month()), None),
    ]);
    let _first = reserve(&ledger, &rules, usd(60), now).unwrap();
    let refused = reserve(&ledger, &rules, usd(60), now).unwrap_err();
    assert_eq!(refused.rule.key.as_str(), "large");
    assert_eq!(counts(&ledger, "small", now), (0, 60), "a refused call is counted nowhere");
}

#[test]
fn turned_on_a_limit_starts_from_its_count_at_most_the_limit() {
    let (ledger, now) = (ledger(), moment());
    for (key, window) in [("day", days()), ("tpm", Window::Rolling(MINUTE))] {
        let used = |amount, used| {
            let rule = rule(key, windowed(Unit::Usd, amount, window.clone()), None);
            reserve(&ledger, &limits([shadow(rule)]), usd(used), now).unwrap().settle(&usd(used), now);
        };
        used(100, 30);
        let on = |amount| limits([rule(key, windowed(Unit::Usd, amount, window.clone()), None)]);
        assert!(reserve(&ledger, &on(100), usd(71), now).is_err(), "below its limit it has its count");
        used(100, 500);
        assert_eq!(counts(&ledger, key, now), (530, 0));
        let refused = reserve(&ledger, &on(100), usd(1), now).unwrap_err();
        assert_eq!(counts(&ledger, key, now), (100, 0));
        let room = now + refused.wait.unwrap();
        assert!(reserve(&ledger, &on(100), usd(1), room).is_ok(), "it owes nothing beyond its limit");
        // What is used beyond a limit that refuses stays debt, however often it is asked.
        let mut call = reserve(&ledger, &on(200), usd(50), room).unwrap();
        call.settle(&usd(900), room);
        let _ = reserve(&ledger, &on(200), usd(1), room);
        assert!(counts(&ledger, key, room).0 > 890);
    }
}

#[test]
fn what_only_counts_may_be_asked_for_anything() {
    let (ledger, now) = (ledger(), moment());
    for (key, window) in [("day", days()), ("tpm", Window::Rolling(MINUTE))] {
        let rules = limits([shadow(rule(key, windowed(Unit::Usd, 100, window.clone()), None))]);
        let mut calls: Vec<_> =
            (0..3).map(|_| reserve(&ledger, &rules, usd(u64::MAX - 5), now).unwrap()).collect();
        assert_eq!(counts(&ledger, key, now), (0, u64::MAX));
        drop(calls.remove(1));
        calls.pop().unwrap().settle(&usd(u64::MAX), now);
        drop(calls);
        assert_eq!(counts(&ledger, key, now).1, 0);
    }
}

#[test]
fn what_is_kept_back_is_granted_to_no_call_and_takes_what_they_use_beyond() {
    let (ledger, now) = (ledger(), moment());
    for (key, window) in [("day", days()), ("tpm", Window::Rolling(MINUTE))] {
        let kept = |kept_back| {
            let rule = rule(key, windowed(Unit::Usd, 100, window.clone()), None);
            limits([Rule { kept_back, ..rule }])
        };
        let refused = reserve(&ledger, &kept(20), usd(81), now).unwrap_err();
        assert!(refused.never, "it is more than is ever granted");
        let mut call = reserve(&ledger, &kept(20), usd(60), now).unwrap();
        let standing = call.standing(Unit::Usd).unwrap().1;
        assert_eq!((standing.limit, standing.remaining), (80, 20), "callers are told what may be granted");
        assert!(reserve(&ledger, &kept(20), usd(21), now).is_err());
        assert!(reserve(&ledger, &kept(20), usd(20), now).is_ok());
        call.settle(&usd(95), now);
        let shown = cell(&ledger, key, None, now);
        assert_eq!((shown.settled, shown.limit, shown.kept_back, shown.debt), (95, 100, 20, 0));
        let fullest = ledger.fullest(now).into_iter().find(|limit| limit.key.as_str() == key).unwrap();
        assert_eq!((fullest.used, fullest.available), (95, 0));
        assert!(reserve(&ledger, &kept(20), usd(1), now).is_err());
        assert!(reserve(&ledger, &kept(0), usd(5), now).is_ok(), "another policy keeps back what it says");
    }
}

#[test]
fn a_rate_that_keeps_something_back_leaks_all_of_its_amount() {
    let (ledger, now) = (ledger(), moment());
    let rule = rule("tpm", windowed(Unit::Usd, 60, Window::Rolling(MINUTE)), None);
    let rules = limits([Rule { kept_back: 30, ..rule }]);
    reserve(&ledger, &rules, usd(30), now).unwrap().settle(&usd(60), now);
    let wait = reserve(&ledger, &rules, usd(10), now).unwrap_err().wait;
    assert_eq!(wait, Some(Duration::from_secs(40)), "60 used, 20 may be for 10 more, 1 leaks each second");
    assert!(reserve(&ledger, &rules, usd(10), now + Duration::from_secs(40)).is_ok());
}
