//! What happens beyond a limit, and which limits it fits.

use super::*;
use crate::policy::snapshot::OnExceed;

const PRICE: &str = "price: [{ inputPerMTok: \"1\", outputPerMTok: \"8\" }]";

/// The good policy with models of a known length and price, and this limit.
fn limited(limit: &str) -> String {
    with("small: {", &format!("small: {{ maxOutputTokens: 1000, {PRICE}, "))
        .replace("large: {", &format!("large: {{ maxOutputTokens: 32768, {PRICE}, "))
        .replace("{ requests: 100, per: 1m, each: user }", limit)
}

/// What happens beyond the limit, in words.
fn event(limit: &str) -> Option<String> {
    let (snapshot, warnings) = good(&limited(limit));
    assert_eq!(warnings, [""; 0]);
    snapshot.tenants["app"].on_exceed.get("rpm").map(|event| match event {
        OnExceed::Clamp { at_least } => format!("clamp to {at_least}"),
        OnExceed::Queue { max_wait } => format!("queue for {max_wait:?}"),
        OnExceed::Downgrade { to } => format!("downgrade to {}", to.id),
    })
}

/// The only error under this limit, and its hint.
fn error(limit: &str) -> String {
    let found = compile(&Sources::single("policy.yaml", limited(limit))).unwrap_err();
    only_error(&found)
}

fn only_error(found: &Diagnostics) -> String {
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
    let clamp = Some("clamp to 256".to_owned());
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

const DOWNGRADE: &str = "{ requests: 100, per: 1m, onExceed: { downgrade: { to: small } } }";

#[test]
fn every_limit_may_downgrade() {
    for counted in [
        "requests: 5, per: 1m",
        "concurrent: 5",
        "inputTokens: 90000, per: 1m",
        "tokens: 90000, per: day",
        "usd: \"90\", per: month",
    ] {
        let limit = format!("{{ {counted}, onExceed: {{ downgrade: {{ to: small }} }} }}");
        assert_eq!(event(&limit).as_deref(), Some("downgrade to small"), "{limit}");
    }
}

#[test]
fn a_limit_does_not_count_by_way_of_what_it_downgrades_to() {
    let own =
        "plan: pro, limits: { tpd: { tokens: 90000, per: day, onExceed: { downgrade: { to: chat } } } },";
    let (snapshot, _) = good(&limited(DOWNGRADE).replace("plan: pro,", own));
    let tenant = &snapshot.tenants["app"];
    let by_way = |route: &str| {
        let counting = tenant.counting(&route.into());
        let keys: Vec<_> = counting.limits.iter().map(|rule| rule.key.to_string()).collect();
        (keys.join(" "), counting.counts_amounts)
    };
    assert_eq!(by_way("large"), ("rpm tpd".to_owned(), true));
    assert_eq!(by_way("small"), ("tpd".to_owned(), true));
    assert_eq!(by_way("chat"), ("rpm".to_owned(), false));
}

#[test]
fn a_tenant_downgrades_to_what_there_is_and_what_it_may_use() {
    let said = |text: &str| only_error(&compile(&Sources::single("policy.yaml", text)).unwrap_err());
    let found =
        compile(&Sources::single("policy.yaml", limited(&DOWNGRADE.replace("small", "smal")))).unwrap_err();
    assert_eq!(only_error(&found), "there is no route or model `smal`");
    assert!(found.to_string().contains("did you mean `small`?"), "{found}");
    let allows = limited(DOWNGRADE).replace("allow: [\"*\"]", "allow: [chat, large]");
    assert_eq!(said(&allows), "tenant `app` may not use `small`, to which its limit `rpm` downgrades");
    let denies = limited(DOWNGRADE).replace("allow: [\"*\"]", "allow: [\"*\"], deny: [small]");
    assert_eq!(
        said(&denies),
        "each target of `small`, to which limit `rpm` downgrades, is denied to tenant `app`"
    );
    let (_, warnings) = good(&limited(DOWNGRADE).replace("allow: [\"*\"]", "allow: [small]"));
    assert_eq!(warnings, ["tenant `app` may use nothing but `small`, so its limit `rpm` counts no call"]);
    assert_eq!(error(&DOWNGRADE.replace("{ to: small }", "{}")), "`to` is missing");
}

#[test]
fn what_a_limit_does_not_count_needs_no_price_and_no_bound() {
    let text = limited("{ usd: \"90\", per: month, onExceed: { downgrade: { to: local } } }")
        .replace("models:", "models:\n  local: { provider: openai }");
    good(&text);
    let counted =
        text.replace("onExceed: { downgrade: { to: local } }", "onExceed: { downgrade: { to: small } }");
    let errors: Vec<_> = faults(&counted).into_iter().filter(|fault| fault.contains("error")).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
}

#[test]
fn every_limit_may_queue_for_a_while() {
    for counted in [
        "requests: 5, per: 1m",
        "concurrent: 5",
        "inputTokens: 90000, per: 1m",
        "tokens: 90000, per: day",
        "usd: \"90\", per: month",
    ] {
        let limit = format!("{{ {counted}, onExceed: {{ queue: {{ maxWait: 5s }} }} }}");
        assert_eq!(event(&limit).as_deref(), Some("queue for 5s"), "{limit}");
    }
    for wrong in ["0s", "9ms", "61s", "2h"] {
        let limit = format!("{{ concurrent: 5, onExceed: {{ queue: {{ maxWait: {wrong} }} }} }}");
        assert_eq!(error(&limit), "this time span must be from 10ms to 1m", "{wrong}");
    }
    assert_eq!(error("{ concurrent: 5, onExceed: { queue: {} } }"), "`maxWait` is missing");
}

#[test]
fn answers_that_are_never_so_long_are_not_clamped() {
    let limit = |at_least: u64| {
        format!("{{ tokens: 90000, per: 1m, onExceed: {{ clamp: {{ atLeast: {at_least} }} }} }}")
    };
    assert!(event(&limit(32_768)).is_some());
    assert_eq!(
        error(&limit(32_769)),
        "limit `rpm` of tenant `app` clamps to no less than 32769 tokens, but no answer gets longer than 32768"
    );
}
