use super::*;

#[test]
fn reserving_takes_from_every_rule_or_from_none() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("wide", requests(10, MINUTE), None), rule("narrow", requests(1, MINUTE), None)]);
    let _first = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    let refused = ledger.reserve(&rules, &anyone().ask(), now).unwrap_err();
    assert_eq!(refused.rule.key.as_str(), "narrow");
    assert_eq!(cell(&ledger, "wide", None, now).reserved, 1);
}

#[test]
fn the_rule_with_the_longest_wait_refuses() {
    let (ledger, now) = (ledger(), moment());
    let rules =
        limits([rule("minute", requests(1, MINUTE), None), rule("hour", requests(1, 60 * MINUTE), None)]);
    let _held = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    let refused = ledger.reserve(&rules, &anyone().ask(), now).unwrap_err();
    assert_eq!((refused.rule.key.as_str(), refused.wait), ("hour", Some(60 * MINUTE)));
}

#[test]
fn no_time_is_told_where_places_are_taken() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("rpm", requests(1, MINUTE), None), rule("open", concurrent(1), None)]);
    let _held = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    let refused = ledger.reserve(&rules, &anyone().ask(), now).unwrap_err();
    assert_eq!((refused.rule.key.as_str(), refused.wait), ("open", None));
}

#[test]
fn waiting_as_told_finds_room() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("rpm", requests(7, MINUTE), None)]);
    for _ in 0..7 {
        ledger.reserve(&rules, &anyone().ask(), now).unwrap().written(now);
    }
    let wait = ledger.reserve(&rules, &anyone().ask(), now).unwrap_err().wait.unwrap();
    let nearly = now + (wait - Duration::from_nanos(1));
    assert!(ledger.reserve(&rules, &anyone().ask(), nearly).is_err());
    assert!(ledger.reserve(&rules, &anyone().ask(), now + wait).is_ok());
}

#[test]
fn a_dropped_reservation_returns_places_and_refunds_what_was_never_written() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("rpm", requests(1, MINUTE), None), rule("open", concurrent(1), None)]);
    for _ in 0..3 {
        drop(ledger.reserve(&rules, &anyone().ask(), now).unwrap());
    }
    assert_eq!(cell(&ledger, "rpm", None, now).reserved, 0);
    assert_eq!(cell(&ledger, "open", None, now).reserved, 0);
}

#[test]
fn what_was_written_stays_used_after_the_call_and_leaks() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("rpm", requests(1, MINUTE), None), rule("open", concurrent(1), None)]);
    let mut call = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    call.written(now);
    call.written(now);
    call.release();
    call.release();
    drop(call);
    let rpm = cell(&ledger, "rpm", None, now);
    assert_eq!((rpm.settled, rpm.reserved, rpm.wait), (1, 0, Some(MINUTE)));
    assert_eq!(cell(&ledger, "rpm", None, now + MINUTE).settled, 0);
}

#[test]
fn a_sequential_caller_under_one_place_never_waits() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("open", concurrent(1), None)]);
    let mut last = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    for _ in 0..100 {
        last.release();
        last = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    }
}

#[test]
fn each_user_has_a_cell_and_those_without_a_name_share_one() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("rpm", requests(1, MINUTE), Some(Each::User))]);
    let _ana = ledger.reserve(&rules, &user("ana").ask(), now).unwrap();
    let _bo = ledger.reserve(&rules, &user("bo").ask(), now).unwrap();
    let refused = ledger.reserve(&rules, &user("ana").ask(), now).unwrap_err();
    assert_eq!(refused.each.as_deref(), Some("ana"));
    let _nameless = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    let refused = ledger.reserve(&rules, &anyone().ask(), now).unwrap_err();
    assert_eq!(refused.each.as_deref(), Some("(none)"));
    // A user of that name is somebody else.
    assert!(ledger.reserve(&rules, &user("(none)").ask(), now).is_ok());
}

#[test]
fn tenants_do_not_share_cells() {
    let (ledger, now) = (ledger(), moment());
    let ours = limits([rule("rpm", requests(1, MINUTE), None)]);
    let theirs = limits([Rule { owner: Owner::Tenant("billing".into()), ..ours[0].clone() }]);
    let _ours = ledger.reserve(&ours, &anyone().ask(), now).unwrap();
    // A copied rule carries the slot of the one it was copied from.
    let copied = limits([Rule { owner: Owner::Tenant("billing".into()), ..ours[0].clone() }]);
    assert!(ledger.reserve(&theirs, &anyone().ask(), now).is_ok());
    assert!(ledger.reserve(&copied, &anyone().ask(), now).is_ok());
}

#[test]
fn a_reload_finds_the_counts_and_applies_its_own_amounts() {
    let (ledger, now) = (ledger(), moment());
    let old = limits([rule("rpm", requests(10, MINUTE), None)]);
    for _ in 0..10 {
        ledger.reserve(&old, &anyone().ask(), now).unwrap().written(now);
    }
    let raised = limits([rule("rpm", requests(11, MINUTE), None)]);
    ledger.reserve(&raised, &anyone().ask(), now).unwrap().written(now);
    assert!(ledger.reserve(&raised, &anyone().ask(), now).is_err());
    let slower = limits([rule("rpm", requests(11, 10 * MINUTE), None)]);
    let refused = ledger.reserve(&slower, &anyone().ask(), now).unwrap_err();
    assert_eq!(refused.wait, Some((10 * MINUTE).div_f64(11.0) + Duration::from_nanos(1)));
    assert_eq!(cell(&ledger, "rpm", None, now).settled, 11);
}

#[test]
fn another_unit_or_each_is_another_cell() {
    let (ledger, now) = (ledger(), moment());
    let whole = limits([rule("limit", requests(1, MINUTE), None)]);
    let _held = ledger.reserve(&whole, &anyone().ask(), now).unwrap();
    let places = limits([rule("limit", concurrent(1), None)]);
    let _place = ledger.reserve(&places, &anyone().ask(), now).unwrap();
    let each = limits([rule("limit", requests(1, MINUTE), Some(Each::User))]);
    let _each = ledger.reserve(&each, &anyone().ask(), now).unwrap();
}

#[test]
fn a_scratch_ledger_neither_reads_nor_marks_the_serving_one() {
    let (serving, scratch, now) = (ledger(), Arc::new(Ledger::scratch()), moment());
    let rules = limits([rule("rpm", requests(1, MINUTE), None)]);
    let _tried = scratch.reserve(&rules, &anyone().ask(), now).unwrap();
    assert!(rules[0].slot.limit().is_none());
    let _served = serving.reserve(&rules, &anyone().ask(), now).unwrap();
    assert!(rules[0].slot.limit().is_some());
    assert!(scratch.reserve(&rules, &anyone().ask(), now).is_err());
    assert!(Arc::new(Ledger::scratch()).reserve(&rules, &anyone().ask(), now).is_ok());
}

#[test]
fn one_cell_named_twice_counts_a_call_once_and_holds_both_amounts() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("rpm", requests(2, MINUTE), None), rule("rpm", requests(3, MINUTE), None)]);
    let mut first = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    assert_eq!(cell(&ledger, "rpm", None, now).reserved, 1);
    first.written(now);
    let _second = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    assert!(ledger.reserve(&rules, &anyone().ask(), now).is_err());
    drop(first);
    let after = cell(&ledger, "rpm", None, now);
    assert_eq!((after.settled, after.reserved), (1, 1));
}

#[test]
fn the_standing_is_that_of_the_tightest_rate() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([
        rule("day", requests(1_000, 1_440 * MINUTE), None),
        rule("rpm", requests(60, MINUTE), None),
        rule("open", concurrent(1), None),
    ]);
    let call = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    let (_, standing) = call.standing(Unit::Requests).unwrap();
    assert_eq!((standing.limit, standing.remaining), (60, 59));
    assert_eq!((standing.reset, standing.per), (Duration::from_secs(1), MINUTE));
    let places = limits([rule("only", concurrent(1), None)]);
    assert_eq!(ledger.reserve(&places, &anyone().ask(), now).unwrap().standing(Unit::Requests), None);
}

#[test]
fn a_redirect_moves_only_what_depends_on_the_model() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([
        rule("rpm", requests(5, MINUTE), None),
        rule("model-rpm", requests(5, MINUTE), Some(Each::Model)),
        rule("model-open", concurrent(5), Some(Each::Model)),
    ]);
    let mut call = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    call.resize(&"claude".into(), &Amounts::NONE, now).unwrap();
    assert_eq!(cell(&ledger, "rpm", None, now).reserved, 1);
    for key in ["model-rpm", "model-open"] {
        assert_eq!(cell(&ledger, key, Some("gpt"), now).reserved, 0);
        assert_eq!(cell(&ledger, key, Some("claude"), now).reserved, 1);
    }
}

#[test]
fn a_redirect_without_room_changes_nothing() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([
        rule("model-rpm", requests(9, MINUTE), Some(Each::Model)),
        rule("model-open", concurrent(1), Some(Each::Model)),
    ]);
    let claude = Caller { user: None, model: "claude".into() };
    let _other = ledger.reserve(&rules, &claude.ask(), now).unwrap();
    let mut call = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    let refused = call.resize(&claude.model, &Amounts::NONE, now).unwrap_err();
    assert_eq!((refused.rule.key.as_str(), refused.each.as_deref()), ("model-open", Some("claude")));
    for key in ["model-rpm", "model-open"] {
        assert_eq!(cell(&ledger, key, Some("gpt"), now).reserved, 1);
        assert_eq!(cell(&ledger, key, Some("claude"), now).reserved, 1);
    }
}

#[test]
fn a_call_that_returns_to_a_model_counts_once_in_its_cell() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("rpm", requests(1, MINUTE), Some(Each::Model))]);
    let mut call = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    for model in ["claude", "gpt", "claude", "claude", "gpt"] {
        call.written(now);
        call.resize(&model.into(), &Amounts::NONE, now).unwrap();
    }
    drop(call);
    for model in ["claude", "gpt"] {
        let left = cell(&ledger, "rpm", Some(model), now);
        assert_eq!((left.settled, left.reserved), (1, 0));
    }
}

#[test]
fn a_released_call_takes_nothing_more() {
    let (ledger, now) = (ledger(), moment());
    let rules =
        limits([rule("open", concurrent(1), Some(Each::Model)), rule("rpm", requests(1, MINUTE), None)]);
    let mut call = ledger.reserve(&rules, &anyone().ask(), now).unwrap();
    call.release();
    call.written(now);
    call.resize(&"claude".into(), &Amounts::NONE, now).unwrap();
    let uses = ledger.usage(now);
    assert!(uses.iter().all(|cell| cell.settled == 0 && cell.reserved == 0), "{uses:?}");
}

#[test]
fn without_rules_everything_is_admitted() {
    let (ledger, now) = (ledger(), moment());
    let mut call = ledger.reserve(&limits([]), &anyone().ask(), now).unwrap();
    call.resize(&"claude".into(), &Amounts::NONE, now).unwrap();
    call.written(now);
    assert_eq!(call.standing(Unit::Requests), None);
}

#[test]
fn ledger_and_reservation_go_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Ledger>();
    shared::<Reservation>();
    shared::<Rule>();
}
