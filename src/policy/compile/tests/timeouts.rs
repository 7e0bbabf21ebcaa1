//! `timeouts` of defaults, providers, models and routes: what stands over what, and what contradicts.

use std::num::NonZeroU32;

use super::*;
use crate::policy::snapshot::MinRate;

/// The good policy with timeouts in these places; an empty text says nothing there.
fn waiting(defaults: &str, provider: &str, model: &str, route: &str) -> String {
    let of = |timeouts: &str| match timeouts {
        "" => String::new(),
        timeouts => format!("timeouts: {{ {timeouts} }}, "),
    };
    with("providers:", &format!("defaults: {{ {} }}\nproviders:", of(defaults)))
        .replace("openai: {", &format!("openai: {{ {}", of(provider)))
        .replace("large: {", &format!("large: {{ {}", of(model)))
        .replace("chat: {", &format!("chat: {{ {}", of(route)))
}

fn timeouts(snapshot: &Snapshot, route: &str, target: usize) -> Timeouts {
    snapshot.routes[route].targets[target].timeouts
}

#[test]
fn a_route_stands_over_its_targets_model_that_over_its_provider_that_over_the_defaults() {
    let (snapshot, warnings) = good(&waiting(
        "connect: 1s, firstToken: 11s, streamIdle: 21s, answer: 31s",
        "firstToken: 12s, streamIdle: 22s, answer: 32s",
        "streamIdle: 23s, answer: 33s",
        "answer: 34s",
    ));
    assert_eq!(warnings, [""; 0]);
    let seconds = |route, target| {
        let Timeouts { connect, first_token, stream_idle, answer, .. } = timeouts(&snapshot, route, target);
        [connect, first_token, stream_idle, answer].map(|span| span.as_secs())
    };
    assert_eq!(seconds("chat", 0), [1, 12, 23, 34]);
    assert_eq!(seconds("chat", 1), [1, 12, 22, 34], "of the other model nothing is said");
    assert_eq!(seconds("large", 0), [1, 12, 23, 33]);
    assert_eq!(seconds("small", 0), [1, 12, 22, 32]);
}

#[test]
fn the_least_rate_is_one_field() {
    let rate = |tokens, seconds| {
        let tokens_per_second = NonZeroU32::new(tokens).unwrap();
        Some(MinRate { tokens_per_second, over: Duration::from_secs(seconds) })
    };
    let written = |tokens, seconds| format!("minRate: {{ tokensPerSecond: {tokens}, over: {seconds}s }}");
    let (snapshot, _) = good(&waiting(&written(1, 2), "", &written(3, 4), ""));
    assert_eq!(timeouts(&snapshot, "chat", 0).min_rate, rate(3, 4));
    assert_eq!(timeouts(&snapshot, "chat", 1).min_rate, rate(1, 2));
    assert_eq!(timeouts(&good(GOOD).0, "chat", 0).min_rate, None);
    let fault =
        |written: &str| fault_of("chat: {", &format!("chat: {{ timeouts: {{ minRate: {{ {written} }} }}, "));
    assert_eq!(fault("tokensPerSecond: 0, over: 2s"), "zero makes no sense here");
    assert_eq!(fault("tokensPerSecond: 5"), "`over` is missing");
    assert_eq!(fault("tokensPerSecond: 5, over: 2m"), "this time span must be from 100ms to 1m");
}

#[test]
fn the_whole_call_is_the_routes_or_the_defaults() {
    let total = |text: &str, route: &str| good(text).0.routes[route].total.as_secs();
    let text = waiting("total: 70s", "", "", "total: 80s");
    assert_eq!((total(&text, "chat"), total(&text, "large")), (80, 70));
    assert_eq!(total(GOOD, "chat"), 600);
    let message = "unknown field `total`";
    assert_eq!(fault_of("large: {", "large: { timeouts: { total: 5s }, "), message);
    assert_eq!(fault_of("openai: {", "openai: { timeouts: { total: 5s }, "), message);
}

#[test]
fn what_waits_longer_than_the_whole_call_is_warned_of() {
    let warnings = |defaults, provider, model, route| good(&waiting(defaults, provider, model, route)).1;
    let longer = |total: &str| format!("this is longer than the whole call may take, which is {total}");
    assert_eq!(warnings("answer: 700s", "", "", ""), [longer("10m")]);
    assert_eq!(
        warnings("", "", "", "total: 5s, firstToken: 6s, connect: 6s, answer: 5s"),
        [longer("5s"), longer("5s")]
    );
    // Of a stream each silence may be as long, and its end is the call's.
    assert_eq!(warnings("streamIdle: 700s", "", "", ""), [""; 0]);
    // What a place does not say itself does not contradict it.
    assert_eq!(warnings("answer: 300s", "", "", "total: 20s"), [""; 0]);
}

#[test]
fn what_providers_and_models_wait_is_measured_by_the_longest_call_that_comes_there() {
    let warnings = |model, route| good(&waiting("", "", model, route)).1;
    let longer = "this is longer than the whole call may take, which is 10m";
    assert_eq!(warnings("answer: 15m", ""), [longer]);
    assert_eq!(warnings("answer: 15m", "total: 20m"), [""; 0]);
    let (_, warnings) = good(&waiting("", "answer: 15m", "", ""));
    assert_eq!(warnings, [longer], "once, whatever number of models it has");
}
