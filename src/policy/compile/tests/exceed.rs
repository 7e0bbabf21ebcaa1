//! What happens beyond a limit, and which limits it fits.

use super::*;
use crate::policy::snapshot::OnExceed;
use crate::units::Tokens;

const PRICE: &str = "price: [{ inputPerMTok: \"1\", outputPerMTok: \"8\" }]";

/// The good policy with models of a known length and price, and this limit.
fn limited(limit: &str) -> String {
    with("small: {", &format!("small: {{ maxOutputTokens: 1000, {PRICE}, "))
        .replace("large: {", &format!("large: {{ maxOutputTokens: 32768, {PRICE}, "))
        .replace("{ requests: 100, per: 1m, each: user }", limit)
}

fn event(limit: &str) -> Option<OnExceed> {
    let (snapshot, warnings) = good(&limited(limit));
    assert_eq!(warnings, [""; 0]);
    snapshot.tenants["app"].on_exceed.get("rpm").copied()
}

/// The only error under this limit, and its hint.
fn error(limit: &str) -> String {
    let found = compile(&Sources::single("policy.yaml", limited(limit))).unwrap_err();
    let errors: Vec<_> = found.iter().filter(|found| found.severity == Severity::Error).collect();
    assert_eq!(errors.len(), 1, "{found}");
    errors[0].message.clone()
}

#[test]
fn a_limit_refuses_where_nothing_else_is_said() {
    assert_eq!(event("{ requests: 5, per: 1m }"), None);
    assert_eq!(event("{ requests: 5, per: 1m, onExceed: reject }"), None);
}

#[test]
fn limits_of_output_may_clamp() {
    let clamp = Some(OnExceed::Clamp { at_least: Tokens(256) });
    for counted in ["tokens: 90000", "outputTokens: 90000", "usd: \"90\""] {
        let limit = format!("{{ {counted}, per: 1m, onExceed: {{ clamp: {{ atLeast: 256 }} }} }}");
        assert_eq!(event(&limit), clamp, "{limit}");
    }
    for (counted, unit) in [
        ("requests: 5, per: 1m", "requests"),
        ("inputTokens: 90000, per: 1m", "inputTokens"),
        ("concurrent: 5", "concurrent"),
    ] {
        assert_eq!(
            error(&format!("{{ {counted}, onExceed: {{ clamp: {{ atLeast: 256 }} }} }}")),
            format!("`clamp` bounds output, of which a limit of `{unit}` counts none")
        );
    }
}

#[test]
fn a_clamp_that_makes_no_sense_is_an_error() {
    let clamp = |clamp: &str| error(&format!("{{ tokens: 90000, per: 1m, onExceed: {clamp} }}"));
    assert_eq!(clamp("{ clamp: { atLeast: 0 } }"), "zero makes no sense here");
    assert_eq!(
        clamp("{ clamp: { atLeast: 90001 } }"),
        "this is more than the whole limit: no call would ever be clamped"
    );
    assert_eq!(clamp("{ clamp: { atLeast: many } }"), "expected a whole number, found text");
    assert_eq!(clamp("{ clamp: {} }"), "`atLeast` is missing");
    assert_eq!(clamp("{ clamp: { atLeast: 5, atMost: 9 } }"), "unknown field `atMost`");
    assert_eq!(clamp("{ clam: { atLeast: 5 } }"), "unknown choice `clam`");
    assert!(clamp("clamp").starts_with("expected"), "{}", clamp("clamp"));
}

#[test]
fn a_limit_that_clamps_has_room_for_the_least_answer() {
    let limit = |amount: u64, at_least: u64| {
        format!("{{ tokens: {amount}, per: 1m, onExceed: {{ clamp: {{ atLeast: {at_least} }} }} }}")
    };
    assert!(event(&limit(1_000, 256)).is_some(), "the large model's 32768 need not fit");
    assert_eq!(
        error(&limit(256, 256)),
        "limit `rpm` of tenant `app` has no room for a single call of `large`, `small`, for which 257 tokens are held"
    );
}
