//! Routes: strategies, weights, tries, and what happens when nothing answers.

use std::num::NonZeroU32;

use super::*;
use crate::policy::snapshot::{
    Hedge, HedgeAfter, KeepAlive, OnAllOpen, OnContextOverflow, Retry, Route, Strategy,
};
use crate::resilience::backoff::Backoff;

/// The good policy with these fields of its route.
fn routed(fields: &str) -> String {
    with("chat: {", &format!("chat: {{ {fields}, "))
}

/// And these fields of `defaults`.
fn by_default(defaults: &str, route: &str) -> String {
    let text = if route.is_empty() { GOOD.to_owned() } else { routed(route) };
    text.replace("providers:", &format!("defaults: {{ {defaults} }}\nproviders:"))
}

fn route(snapshot: &Snapshot, name: &str) -> std::sync::Arc<Route> {
    std::sync::Arc::clone(&snapshot.routes[name])
}

/// What these fields make of the route, without a warning.
fn chat(fields: &str) -> std::sync::Arc<Route> {
    let (snapshot, warnings) = good(&routed(fields));
    assert_eq!(warnings, [""; 0]);
    route(&snapshot, "chat")
}

/// The one error that they bring.
fn fault(fields: &str) -> String {
    fault_of("chat: {", &format!("chat: {{ {fields}, "))
}

fn retry(most: u32, base: u64, max: u64) -> Retry {
    let backoff = Backoff { base: Duration::from_millis(base), max: Duration::from_millis(max) };
    Retry { max_attempts: NonZeroU32::new(most).unwrap(), backoff }
}

#[test]
fn a_route_says_nothing_of_failover_and_all_is_as_ever() {
    let route = route(&good(GOOD).0, "chat");
    assert_eq!((route.strategy, route.retry), (Strategy::Ordered, retry(3, 250, 5_000)));
    assert_eq!((route.hedge, route.keep_alive, route.on_context_overflow), (None, None, None));
    assert_eq!((&route.on_exhausted, route.on_all_open), (&None, OnAllOpen::Reject));
    assert!(route.when.is_none() && route.targets.iter().all(|target| target.when.is_none()));
}

#[test]
fn a_strategy_finds_the_order() {
    let of = |word: &str| good(&routed(&format!("strategy: {word}"))).0.routes["chat"].strategy;
    assert_eq!(of("ordered"), Strategy::Ordered);
    assert_eq!(of("weighted"), Strategy::Weighted);
    assert_eq!(of("fastest"), Strategy::Fastest);
    assert_eq!(of("cheapest"), Strategy::Cheapest);
    assert_eq!(fault("strategy: fasted"), "unknown choice `fasted`");
}

#[test]
fn weights_are_for_the_strategy_of_their_name() {
    let weighted = |strategy: &str, weight: &str| {
        routed(&format!("strategy: {strategy}"))
            .replace("{ model: large }", &format!("{{ model: large, weight: {weight} }}"))
    };
    let (snapshot, warnings) = good(&weighted("weighted", "9"));
    let weights: Vec<_> = snapshot.routes["chat"].targets.iter().map(|target| target.weight.get()).collect();
    assert_eq!((weights, warnings.len()), (vec![9, 1], 0));
    for strategy in ["ordered", "fastest", "cheapest"] {
        let faults = faults(&weighted(strategy, "9"));
        assert_eq!(faults[0], "10 error: weights are for `strategy: weighted`");
    }
    for wrong in ["0", "1001"] {
        assert_eq!(faults(&weighted("weighted", wrong)), ["10 error: a weight is from 1 to 1000"]);
    }
}

#[test]
fn a_strategy_without_a_choice_is_warned_of() {
    for strategy in ["weighted", "fastest"] {
        let text = routed(&format!("strategy: {strategy}")).replace(", { model: small }", "");
        assert_eq!(good(&text).1, ["route `chat` has one target: there is nothing to choose from"]);
    }
}

#[test]
fn a_choice_by_price_needs_prices() {
    let (_, warnings) = good(&routed("strategy: cheapest"));
    assert_eq!(warnings, ["route `chat` goes by prices, but no price is known for `large`, `small`"]);
    let price = "price: [{ inputPerMTok: \"1\", outputPerMTok: \"2\" }],";
    let priced = routed("strategy: cheapest")
        .replace("small: {", &format!("small: {{ {price}"))
        .replace("large: {", &format!("large: {{ {price}"));
    assert_eq!(good(&priced).1, [""; 0]);
}

#[test]
fn every_target_has_a_try_unless_the_route_says_otherwise() {
    let more: String = (0..25).map(|i| format!(", {{ model: m{i} }}")).collect();
    let models: String = (0..25).map(|i| format!("  m{i}: {{ provider: openai }}\n")).collect();
    let many = |count: usize| {
        let end = more.match_indices(", {").nth(count).map_or(more.len(), |(at, _)| at);
        with("{ model: small }]", &format!("{{ model: small }}{}]", &more[..end]))
            .replace("routes:", &format!("{models}routes:"))
    };
    let tries = |text: &str| good(text).0.routes["chat"].retry.max_attempts.get();
    assert_eq!([tries(GOOD), tries(&many(1)), tries(&many(3)), tries(&many(25))], [3, 3, 5, 20]);
    let said = many(3).replace("chat: {", "chat: { retry: { maxAttempts: 2 },");
    assert_eq!(tries(&said), 2);
}

#[test]
fn a_route_says_how_often_is_tried_and_how_long_is_waited_between() {
    let of = |written: &str| chat(&format!("retry: {written}")).retry;
    assert_eq!(of("{ maxAttempts: 4, backoff: { base: 200ms, max: 9s } }"), retry(4, 200, 9_000));
    assert_eq!(of("{ backoff: { base: 10s } }"), retry(3, 10_000, 10_000), "no less than what is said");
    assert_eq!(of("{ backoff: { max: 100ms } }"), retry(3, 100, 100));
    assert_eq!(of("{ backoff: { base: 1s, max: 1s } }"), retry(3, 1_000, 1_000));
    let fault = |written: &str| fault(&format!("retry: {written}"));
    for wrong in ["0", "21"] {
        assert_eq!(fault(&format!("{{ maxAttempts: {wrong} }}")), "a call is tried 1 to 20 times");
    }
    assert_eq!(
        fault("{ backoff: { base: 6s, max: 5s } }"),
        "the first wait, up to 6s, would be longer than the longest of 5s"
    );
    assert_eq!(fault("{ backoff: { base: 2m } }"), "this time span must be from 1ms to 1m");
    assert_eq!(fault("{ base: 2s }"), "unknown field `base`");
    assert_eq!(fault("3"), "expected a map, found a number");
}

#[test]
fn a_route_stands_over_the_defaults_field_by_field_and_models_go_by_the_defaults() {
    let (snapshot, _) = good(&by_default(
        "retry: { maxAttempts: 5, backoff: { base: 1s, max: 2s } }, keepAlive: { every: 3s }, \
         onExhausted: { respond: later }, onAllOpen: probe",
        "retry: { backoff: { max: 4s } }, keepAlive: { after: 2s }, onAllOpen: reject",
    ));
    let (chat, model) = (route(&snapshot, "chat"), route(&snapshot, "small"));
    assert_eq!((chat.retry, model.retry), (retry(5, 1_000, 4_000), retry(5, 1_000, 2_000)));
    let alive = |after, every| {
        Some(KeepAlive { after: Duration::from_secs(after), every: Duration::from_secs(every) })
    };
    assert_eq!((chat.keep_alive, model.keep_alive), (alive(2, 3), alive(15, 3)));
    assert_eq!((chat.on_exhausted.as_deref(), model.on_exhausted.as_deref()), (Some("later"), Some("later")));
    assert_eq!((chat.on_all_open, model.on_all_open), (OnAllOpen::Reject, OnAllOpen::Probe));

    let crossed = by_default("retry: { backoff: { max: 2s } }", "retry: { backoff: { base: 3s } }");
    assert_eq!(
        faults(&crossed),
        ["11 error: the first wait, up to 3s, would be longer than the longest of 2s"]
    );
}

#[test]
fn one_try_for_several_targets_is_warned_of() {
    let once = "retry: { maxAttempts: 1 }";
    let message = "only the first of 2 targets of route `chat` is ever tried";
    assert_eq!(good(&routed(once)).1, [message]);
    assert_eq!(good(&by_default(once, "")).1, [message]);
    let split = routed(&format!("{once}, strategy: weighted"));
    assert_eq!(good(&split).1, [""; 0], "a split may well be without a second try");
    let chosen = routed(once).replace("{ model: large }", "{ model: large, when: { plan: [pro] } }");
    assert_eq!(good(&chosen).1, [""; 0]);
    assert_eq!(good(&routed("retry: { maxAttempts: 2 }")).1, [""; 0]);
}

#[test]
fn a_hedge_waits_and_has_a_share() {
    let of = |written: &str| chat(&format!("hedge: {written}")).hedge;
    let hedge = |after, max_permille| Some(Hedge { after, max_permille });
    assert_eq!(of("{ after: p95 }"), hedge(HedgeAfter::P95, 50));
    let two = HedgeAfter::Fixed(Duration::from_secs(2));
    assert_eq!(of("{ after: 2s, maxShare: 0.125 }"), hedge(two, 125));
    assert_eq!(of("{ after: 2s, maxShare: 1 }"), hedge(two, 1000));
    let fault = |written: &str| fault(&format!("hedge: {written}"));
    assert_eq!(fault("{ maxShare: 0.5 }"), "`after` is missing");
    assert_eq!(fault("{ after: p99 }"), "this is no time span");
    assert_eq!(fault("{ after: 1ms }"), "this time span must be from 10ms to 10m");
    for wrong in ["0", "1.5"] {
        assert_eq!(
            fault(&format!("{{ after: p95, maxShare: {wrong} }}")),
            "a share of the calls is over 0 and at most 1"
        );
    }
    let alone = routed("hedge: { after: p95 }").replace(", { model: small }", "");
    assert_eq!(faults(&alone), ["10 error: there is no second target that could be asked too"]);
    let late = routed("hedge: { after: 9s }, timeouts: { total: 8s }");
    assert_eq!(good(&late).1, ["this is longer than the whole call may take, which is 8s"]);
    assert_eq!(
        fault_of("providers:", "defaults: { hedge: { after: p95 } }\nproviders:"),
        "unknown field `hedge`"
    );
}

#[test]
fn streams_are_kept_alive_where_that_is_said() {
    let alive = |after, every| {
        Some(KeepAlive { after: Duration::from_secs(after), every: Duration::from_secs(every) })
    };
    assert_eq!(chat("keepAlive: {}").keep_alive, alive(15, 15));
    assert_eq!(chat("keepAlive: { after: 1s, every: 10m }").keep_alive, alive(1, 600));
    for wrong in ["after: 999ms", "every: 11m"] {
        let fault = fault(&format!("keepAlive: {{ {wrong} }}"));
        assert_eq!(fault, "this time span must be from 1s to 10m");
    }
}

#[test]
fn what_happens_to_long_calls_needs_windows() {
    let windowed = |fields: &str| routed(fields).replace("small: {", "small: { contextTokens: 128000,");
    for (word, event) in [
        ("reject", OnContextOverflow::Reject),
        ("nextTarget", OnContextOverflow::NextTarget),
        ("truncateOldest", OnContextOverflow::TruncateOldest),
    ] {
        let (snapshot, warnings) = good(&windowed(&format!("onContextOverflow: {word}")));
        assert_eq!((snapshot.routes["chat"].on_context_overflow, warnings.len()), (Some(event), 0));
    }
    assert_eq!(
        good(&routed("onContextOverflow: reject")).1,
        ["no target of route `chat` has a window: this does nothing"]
    );
    assert_eq!(
        good(&by_default("onContextOverflow: reject", "")).1,
        ["no model has a window: this does nothing"]
    );
    let some = by_default("onContextOverflow: nextTarget", "")
        .replace("small: {", "small: { contextTokens: 128000,");
    let (snapshot, warnings) = good(&some);
    assert_eq!(warnings, [""; 0]);
    assert_eq!(snapshot.routes["large"].on_context_overflow, Some(OnContextOverflow::NextTarget));
    assert_eq!(fault("onContextOverflow: truncate"), "unknown choice `truncate`");
}

#[test]
fn what_is_answered_where_nothing_else_is_has_a_length() {
    let respond = |text: &str| format!("onExhausted: {{ respond: \"{text}\" }}");
    assert_eq!(chat(&respond("é later")).on_exhausted.as_deref(), Some("é later"));
    assert!(chat(&respond(&"é".repeat(4000))).on_exhausted.is_some());
    for wrong in [String::new(), "  ".to_owned(), "é".repeat(4001)] {
        assert_eq!(fault(&respond(&wrong)), "what is answered has 1 to 4000 characters");
    }
    assert_eq!(fault("onExhausted: reject"), "unknown choice `reject`");
    assert_eq!(fault("onExhausted: { respond: 5 }"), "expected text, found the number 5");
}

#[test]
fn fields_that_stand_elsewhere_are_told_where() {
    let hint = |old: &str, new: &str| {
        let found = compile(&Sources::single("policy.yaml", with(old, new))).unwrap_err();
        found.iter().next().unwrap().hint.clone().unwrap()
    };
    assert_eq!(hint("{ model: large }", "{ model: large, retry: {} }"), "say it at the route");
    assert_eq!(hint("chat: {", "chat: { weight: 5,"), "say it at each of its `targets`");
    assert_eq!(
        hint("large: {", "large: { breaker: {},"),
        "say it at the provider: each of its models has its own"
    );
}

#[test]
fn a_model_may_be_a_target_again_where_its_first_place_has_a_condition() {
    let again = |first: &str, last: &str| {
        let targets = format!("{{ model: large{first} }}, {{ model: small }}, {{ model: large{last} }}");
        good(&with("{ model: large }, { model: small }", &targets)).1
    };
    let message = "model `large` is a target twice";
    let when = ", when: { plan: [pro] }";
    assert_eq!(again("", ""), [message]);
    assert_eq!(again("", when), [message], "it was tried already");
    assert_eq!(again(when, ""), [""; 0]);
    assert_eq!(again(when, when), [message]);
    assert_eq!(again(when, ", when: { inputTokensBelow: 9 }"), [""; 0]);
}
