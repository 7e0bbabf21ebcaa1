//! Limits of providers: what may stand there, and what makes them impossible to keep.

use super::*;
use crate::limits::{Each, Owner, Unit};

/// The good policy with models of known length and price, and these limits at their provider.
fn limited(limits: &str) -> String {
    let price = |input: u32| format!("price: [{{ inputPerMTok: \"{input}\", outputPerMTok: \"8\" }}]");
    with("small: {", &format!("small: {{ maxOutputTokens: 1000, {}, ", price(1)))
        .replace("large: {", &format!("large: {{ maxOutputTokens: 32768, {}, ", price(2)))
        .replace("openai: {", &format!("openai: {{ limits: {{ {limits} }}, "))
}

/// The errors of a policy, without their places.
fn errors(text: &str) -> Vec<String> {
    faults(text).into_iter().filter_map(|fault| Some(fault.split_once(" error: ")?.1.to_owned())).collect()
}

#[test]
fn a_providers_limits_are_rules_of_the_provider() {
    let (snapshot, warnings) = good(&limited(
        "rpm: { requests: 9, per: 1m }, tpm: { tokens: 90000, per: 1m, each: model }, open: { concurrent: 5 }",
    ));
    assert_eq!(warnings, [""; 0]);
    let provider = &snapshot.providers["openai"];
    let rules: Vec<_> = provider.limits.iter().map(|rule| (rule.key.as_str(), rule.quota.unit())).collect();
    assert_eq!(rules, [("open", Unit::Concurrent), ("rpm", Unit::Requests), ("tpm", Unit::Tokens)]);
    assert!(provider.limits.iter().all(|rule| rule.owner == Owner::Provider("openai".into())));
    assert_eq!(provider.limits[2].each, Some(Each::Model));
    assert!(provider.counts_amounts && !provider.bounds_money);
    let (without, _) = good(GOOD);
    assert!(without.providers["openai"].limits.is_empty() && !without.providers["openai"].counts_amounts);
}

#[test]
fn what_only_callers_have_makes_no_sense_at_a_provider() {
    let limit = |written: &str| {
        let errors = errors(&limited(&format!("rpm: {written}")));
        assert_eq!(errors.len(), 1, "{errors:#?}");
        errors[0].clone()
    };
    for each in ["user", "app", "key"] {
        assert_eq!(
            limit(&format!("{{ requests: 9, per: 1m, each: {each} }}")),
            format!("a provider's limit is of all callers together, not of each {each}")
        );
    }
    assert_eq!(
        limit("{ requests: 9, per: day, budgetStatus: 402 }"),
        "`budgetStatus` makes no sense at a provider, whose limits never refuse a caller"
    );
    assert_eq!(limit("{ requests: 9 }"), "limit `rpm` counts requests, but does not say in which time");
    good(&limited("rpm: { requests: 9, per: 1m, onExceed: reject }"));
}

#[test]
fn what_only_providers_have_makes_no_sense_for_callers() {
    let fault = fault_of("each: user", "each: providerKey");
    assert_eq!(fault, "`each: providerKey` is for the limits of a provider");
}

#[test]
fn under_a_providers_limit_of_money_each_of_its_models_has_a_price() {
    let free = "models:\n  free: { provider: openai, maxOutputTokens: 9 }";
    let month = limited("month: { usd: \"500\", per: month }").replace("models:", free);
    let message = "limit `month` of provider `openai` counts money, but no price is known for `free`";
    assert_eq!(errors(&month), [message]);
    // What tenants assume is not what the provider asks.
    let assumes = "local: true, onUnpriced: { assume: { inputPerMTok: \"5\", outputPerMTok: \"20\" } },";
    assert_eq!(errors(&month.replace("local: true,", assumes)), [message]);
    good(&limited("month: { usd: \"500\", per: month }"));
}

#[test]
fn a_providers_limit_has_room_for_one_call_of_anyone_who_may_come() {
    let tokens = |amount: u64| limited(&format!("tpm: {{ tokens: {amount}, per: 1m }}"));
    assert_eq!(
        errors(&tokens(32_768)),
        [
            "limit `tpm` of provider `openai` has no room for a single call of `large`, for which 32769 tokens are held"
        ]
    );
    good(&tokens(32_769));
    good(&tokens(1_000).replace("local: true,", "local: true, reserveOutput: { cap: 999 },"));
    good(&tokens(1_001).replace("allow: [\"*\"]", "allow: [small]"));
    let endless = tokens(50_000).replace("maxOutputTokens: 1000,", "");
    assert_eq!(
        errors(&endless),
        [
            "limit `tpm` of provider `openai` counts output, but nothing says how long an answer of `small` gets"
        ]
    );
    let other = "providers:\n  other: { preset: openai, key: { fromEnv: OTHER } }";
    let elsewhere = endless.replace("providers:", other).replace("small: {", "small: { provider: other, ");
    good(&elsewhere.replace("provider: openai, name: gpt-small", "name: gpt-small"));
}
