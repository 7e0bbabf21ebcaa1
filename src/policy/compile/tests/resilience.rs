//! `breaker` and `retryBudget` of providers.

use std::num::NonZeroU32;

use super::*;
use crate::resilience::breaker::{BreakerSettings, FailureRatio};
use crate::resilience::retry::RetryBudgetSettings;

fn at_provider(field: &str) -> String {
    with("openai: {", &format!("openai: {{ {field}, "))
}

fn breaker(written: &str) -> BreakerSettings {
    let (snapshot, warnings) = good(&at_provider(&format!("breaker: {written}")));
    assert_eq!(warnings, [""; 0]);
    snapshot.providers["openai"].breaker
}

/// The errors that a field of the provider brings, without their places.
fn errors(field: &str) -> Vec<String> {
    let faults = faults(&at_provider(field));
    faults.into_iter().filter_map(|fault| Some(fault.split_once(" error: ")?.1.to_owned())).collect()
}

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

#[test]
fn a_breaker_says_when_it_opens_and_how_it_closes() {
    assert_eq!(good(GOOD).0.providers["openai"].breaker, BreakerSettings::default());
    assert_eq!(breaker("{}"), BreakerSettings::default());
    let written = "{ consecutiveFailures: 7, failureRatio: 12.5%, window: 1m, minRequests: 40, openFor: 5s, \
                   halfOpenProbes: 1, successesToClose: 4 }";
    let ratio = FailureRatio { permille: 125, window: MINUTE, min_requests: n(40) };
    let expected = BreakerSettings {
        consecutive_failures: Some(n(7)),
        failure_ratio: Some(ratio),
        open_for: Duration::from_secs(5),
        half_open_probes: n(1),
        successes_to_close: n(4),
    };
    assert_eq!(breaker(written), expected);
}

#[test]
fn a_breaker_of_a_ratio_alone_does_not_count_failures_in_a_row() {
    let of = breaker("{ failureRatio: 50% }");
    let ratio = FailureRatio { permille: 500, window: Duration::from_secs(30), min_requests: n(20) };
    assert_eq!((of.consecutive_failures, of.failure_ratio), (None, Some(ratio)));
    assert_eq!(breaker("{ openFor: 1s }").consecutive_failures, Some(n(5)));
}

#[test]
fn a_breaker_that_makes_no_sense_is_an_error() {
    let of = |written: &str| errors(&format!("breaker: {written}"));
    assert_eq!(
        of("{ window: 30s, minRequests: 5 }"),
        [
            "`window` belongs to a `failureRatio`, and there is none",
            "`minRequests` belongs to a `failureRatio`, and there is none"
        ]
    );
    assert_eq!(
        of("{ consecutiveFailures: 0, halfOpenProbes: 0, successesToClose: 0 }"),
        ["zero makes no sense here"; 3]
    );
    assert_eq!(of("{ failureRatio: 0% }"), ["a part is from 0.1% to 100%"]);
    assert_eq!(of("{ failureRatio: 0.5 }"), ["expected a part in percent, such as 50%, found a number"]);
    assert_eq!(of("{ failureRatio: 50%, minRequests: 0 }"), ["zero makes no sense here"]);
    assert_eq!(of("{ failureRatio: 50%, window: 2h }"), ["this time span must be from 1s to 1h"]);
    assert_eq!(of("{ openFor: 2d }"), ["this time span must be from 100ms to 1h"]);
    assert_eq!(of("{ openfor: 2s }"), ["unknown field `openfor`"]);
    assert_eq!(of("none"), ["expected a map, found text"]);
}

#[test]
fn a_retry_budget_is_a_part_of_the_calls_and_a_least() {
    let budget = |written: &str| {
        let (snapshot, warnings) = good(&at_provider(&format!("retryBudget: {written}")));
        assert_eq!(warnings, [""; 0]);
        let RetryBudgetSettings { permille, min_per_second } = snapshot.providers["openai"].retry_budget;
        (permille, min_per_second)
    };
    assert_eq!(budget("{}"), (200, 3));
    assert_eq!(budget("{ ratio: 0.125 }"), (125, 3));
    assert_eq!(budget("{ ratio: 1, minPerSecond: 0 }"), (1000, 0));
    assert_eq!(budget("{ ratio: 0, minPerSecond: 10 }"), (0, 10));
    assert_eq!(budget("{ ratio: 10 }"), (10_000, 3));
    let of = |written: &str| errors(&format!("retryBudget: {written}"));
    assert_eq!(of("{ ratio: 10.5 }"), ["a part is at most ten times the whole"]);
    assert_eq!(of("{ ratio: -0.5 }"), ["a part is not less than nothing"]);
    assert_eq!(of("{ ratio: -1 }"), ["a part is not less than nothing"]);
    assert_eq!(of("{ ratio: 0.0005 }"), ["this number is too large or too fine"]);
    assert_eq!(of("{ ratio: 20% }"), ["expected a plain number, found text"]);
    assert_eq!(of("{ minPerSecond: -1 }").len(), 1);
}
