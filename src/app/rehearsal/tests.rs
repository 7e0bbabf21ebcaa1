//! Tests of policies as they are written, and what is said of those that fail.

use std::sync::Arc;

use super::*;
use crate::policy::compile::{self, suite};
use crate::policy::load::Sources;
use crate::scenario::Failure;

const POLICY: &str = r#"
apiVersion: egret.dev/v1alpha1
kind: Policy
providers:
  a: { preset: openai, key: { fromEnv: A } }
  b: { preset: anthropic, key: { fromEnv: B } }
models:
  a1: { provider: a, maxOutputTokens: 32768, price: [{ inputPerMTok: "2.00", outputPerMTok: "8.00" }] }
  b1: { provider: b, maxOutputTokens: 8192, price: [{ inputPerMTok: "3.00", outputPerMTok: "15.00" }] }
routes: { chat: { targets: [{ model: a1 }, { model: b1, when: { inputTokensBelow: 1000 } }] } }
tenants:
  app:
    local: true
    access: { allow: [chat] }
    reserveOutput: { cap: 1000 }
    limits: { rpm: { requests: 20, per: 1m }, month: { usd: "10.00", per: month } }
"#;

/// Runs tests of the policy, given without their head.
fn tried(tests: &str) -> (Vec<Outcome>, Coverage) {
    let policy =
        compile::rehearse(&Sources::single("policy.yaml", POLICY)).unwrap_or_else(|f| panic!("{f}")).0;
    let policy = Arc::new(policy);
    let text = format!("apiVersion: egret.dev/v1alpha1\nkind: PolicyTest\ntests:\n{tests}");
    let sources = Sources::single("tests.yaml", text);
    let documents = suite::read(&sources).unwrap_or_else(|faults| panic!("{faults}"));
    let tests = documents[0].compile(&sources, &policy).unwrap_or_else(|faults| panic!("{faults}"));
    let mut outcomes = Vec::new();
    let coverage = run(&policy, &tests, |outcome| outcomes.push(outcome)).unwrap();
    (outcomes, coverage)
}

fn one(test: &str) -> Outcome {
    let (mut outcomes, _) = tried(&format!("  it:\n{test}"));
    outcomes.remove(0)
}

#[track_caller]
fn passes(test: &str) {
    let outcome = one(test);
    assert!(outcome.passed(), "{:#?}", outcome.failures);
}

/// Field, wanted, got of the only failure.
#[track_caller]
fn fails(test: &str) -> (&'static str, String, String) {
    let mut failures = one(test).failures;
    assert_eq!(failures.len(), 1, "{failures:#?}");
    let Failure { field, wanted, got, .. } = failures.remove(0);
    (field, wanted, got)
}

#[test]
fn a_call_reserves_is_charged_and_leaves_what_the_policy_says() {
    passes(
        "    call: { model: chat, inputTokens: 100 }
    expect:
      status: 200
      target: a1
      reserved: { inputTokens: 100, outputTokens: 1000, tokens: 1100, usd: \"0.0082\" }
      left: { rpm: 19 }
      headers: { x-egret-model: a1 }\n",
    );
}

#[test]
fn a_provider_that_is_down_is_failed_over() {
    passes(
        "    providers: { a: { faults: [{ status: { code: 503 } }] } }
    call: { model: chat }
    expect: { status: 200, tried: [a1, b1], outcomes: [error_status, answered] }\n",
    );
}

#[test]
fn an_hour_of_virtual_time_takes_no_time_and_turns_windows() {
    passes(
        "    used: [{ tenant: app, limit: rpm, amount: 20 }]
    calls:
      - { call: { model: chat }, expect: { status: 429, code: rate_limit_exceeded, retryAfter: 3s } }
      - { after: 1h, call: { model: chat }, times: 20, expect: { status: 200 } }
      - { call: { model: chat }, expect: { status: 429 } }\n",
    );
}

#[test]
fn what_is_spent_refuses_until_the_month_turns() {
    passes(
        "    at: \"2026-03-31T23:59:00Z\"
    used: [{ tenant: app, limit: month, amount: \"9.999\" }]
    calls:
      - { call: { model: chat }, expect: { status: 429, code: insufficient_quota, message: \"Limit `month`\" } }
      - { after: 2m, call: { model: chat }, expect: { status: 200 } }\n",
    );
}

#[test]
fn strangers_are_refused_whoever_they_say_they_are() {
    passes("    as: { unknownKey: true }\n    call: { model: chat }\n    expect: { status: 401 }\n");
    passes("    as: { afar: true }\n    call: { model: chat }\n    expect: { status: 401 }\n");
}

#[test]
fn what_does_not_come_is_told_with_what_came_instead() {
    let failure = fails("    call: { model: chat }\n    expect: { target: b1 }\n");
    assert_eq!(failure, ("target", "b1".into(), "a1".into()));
    let failure = fails("    call: { model: chat }\n    expect: { left: { rpm: 20 } }\n");
    assert_eq!(failure, ("left", "20".into(), "19".into()));
    let failure = fails("    call: { model: nope }\n    expect: { code: model_not_allowed }\n");
    assert_eq!(failure, ("code", "model_not_allowed".into(), "model_not_found".into()));
    let failure = fails("    call: { model: chat }\n    expect: { tried: [b1, a1] }\n");
    assert_eq!(failure, ("tried", "[b1, a1]".into(), "[a1]".into()));
}

#[test]
fn a_test_ends_with_the_first_call_that_fails_and_says_which_it_was() {
    let outcome = one("    calls:
      - { call: { model: chat }, times: 3, expect: { left: { rpm: 19 } } }
      - { call: { model: chat }, expect: { status: 500 } }\n");
    assert_eq!(outcome.calls, 2);
    assert_eq!(outcome.failures.len(), 1);
    assert!(outcome.failures[0].which.starts_with("call 1 of 2, time 2 of 3: status 200"), "{outcome:#?}");
    assert_eq!((outcome.failures[0].place.line, &*outcome.failures[0].place.file), (6, "tests.yaml"));
}

#[test]
fn tests_know_nothing_of_each_other() {
    let all = "    calls: [{ call: { model: chat }, times: 20, expect: { status: 200 } }]\n";
    let (outcomes, _) = tried(&format!("  one:\n{all}  other:\n{all}"));
    assert!(outcomes.iter().all(Outcome::passed), "{outcomes:#?}");
}

#[test]
fn coverage_names_what_no_test_has_seen() {
    let (_, coverage) =
        tried("  it:\n    call: { model: chat }\n    expect: { status: 200, left: { rpm: 19 } }\n");
    let missed: Vec<_> = coverage.missed.iter().map(ToString::to_string).collect();
    assert_eq!(
        missed,
        [
            "limit `month` of tenant `app`: no call meets it",
            "target `b1` of route `chat`: it is never tried",
            "`when` of target `b1` of route `chat`: no call for which it does not hold",
        ]
    );
}

#[test]
fn the_same_tests_come_out_the_same_however_often() {
    let test = "  it:\n    providers: { a: { faults: [ok, { status: { code: 500 } }] } }\n    calls: [{ call: { model: chat }, times: 9, expect: { status: 200 } }]\n";
    let told = |_| format!("{:?}", tried(test).0);
    let runs: Vec<_> = (0..3).map(told).collect();
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[1], runs[2]);
}
