//! Limits of tokens and money, what is held for calls, and what makes such a policy impossible to keep.

use std::num::NonZeroU64;

use super::*;
use crate::clock::TimeZone;
use crate::dialect::edit;
use crate::dialect::provider::MaxTokensField;
use crate::limits::{Calendar, LedgerDown, Quota, Turn, Unit, Window};
use crate::policy::snapshot::{
    Abandoned, Expected, HeldOutput, Hold, MissingUsage, Reserve, ReserveOutput, Unpriced,
};
use crate::pricing::estimate::Estimate;
use crate::units::{NanoUsd, Tokens};

/// The good policy with models of known length and price, a limit of tokens, and a place in it for more.
fn budgeted(limit: &str, tenant: &str) -> String {
    let price = |input: u32| format!("price: [{{ inputPerMTok: \"{input}\", outputPerMTok: \"8\" }}]");
    with("small: {", &format!("small: {{ maxOutputTokens: 1000, {}, ", price(1)))
        .replace("large: {", &format!("large: {{ maxOutputTokens: 32768, {}, ", price(2)))
        .replace("{ requests: 100, per: 1m, each: user }", limit)
        .replace("local: true,", &format!("local: true, {tenant}"))
}

fn quota_of(limit: &str) -> Quota {
    let (snapshot, warnings) = good(&budgeted(limit, ""));
    assert_eq!(warnings, [""; 0]);
    snapshot.tenants["app"].limits[0].quota.clone()
}

/// The errors of a policy, without their places.
fn errors(text: &str) -> Vec<String> {
    faults(text).into_iter().filter_map(|fault| Some(fault.split_once(" error: ")?.1.to_owned())).collect()
}

fn snapshot(text: &str) -> Snapshot {
    good(text).0
}

#[test]
fn a_limit_counts_calls_tokens_or_money() {
    let rolls = || Window::Rolling(Duration::from_secs(60));
    let of =
        |unit, amount, window| Quota::Windowed { unit, amount: NonZeroU64::new(amount).unwrap(), window };
    assert_eq!(quota_of("{ tokens: 200000, per: 1m }"), of(Unit::Tokens, 200_000, rolls()));
    assert_eq!(quota_of("{ inputTokens: 9, per: 1m }"), of(Unit::InputTokens, 9, rolls()));
    assert_eq!(
        quota_of("{ outputTokens: 5000000000, per: 1m }"),
        of(Unit::OutputTokens, 5_000_000_000, rolls())
    );
    assert_eq!(quota_of("{ usd: \"500.000000001\", per: 1m }"), of(Unit::Usd, 500_000_000_001, rolls()));
    assert_eq!(quota_of("{ requests: 7, per: 1m }"), of(Unit::Requests, 7, rolls()));
}

#[test]
fn a_calendar_window_is_of_utc_or_of_a_named_zone() {
    let window = |limit: &str| match quota_of(limit) {
        Quota::Windowed { window: Window::Calendar(Calendar { turn, zone }), .. } => {
            (turn, zone.iana_name().map(str::to_owned))
        }
        other @ (Quota::Windowed { .. } | Quota::Concurrent { .. }) => panic!("{other:?}"),
    };
    let utc = || Some("UTC".to_owned());
    assert_eq!(window("{ requests: 7, per: day }"), (Turn::Day, utc()));
    assert_eq!(window("{ tokens: 700000, per: week, timeZone: UTC }"), (Turn::Week, utc()));
    let berlin = "{ usd: \"500.00\", per: month, timeZone: Europe/Berlin }";
    assert_eq!(window(berlin), (Turn::Month, Some("Europe/Berlin".to_owned())));
    let Quota::Windowed { window: Window::Calendar(calendar), .. } = quota_of(berlin) else { unreachable!() };
    assert_eq!(*calendar.zone, TimeZone::get("Europe/Berlin").unwrap());
}

#[test]
fn a_limit_that_makes_no_sense_is_an_error() {
    let limit = |written: &str| {
        let errors = errors(&budgeted(written, ""));
        assert_eq!(errors.len(), 1, "{errors:#?}");
        errors[0].clone()
    };
    assert_eq!(limit("{ tokens: 5 }"), "limit `rpm` counts tokens, but does not say in which time");
    assert_eq!(limit("{ tokens: 5, usd: \"5\", per: 1m }"), "limit `rpm` counts two things");
    assert_eq!(limit("{ tokens: 0, per: 1m }"), "zero makes no sense here");
    assert_eq!(limit("{ usd: \"0.00\", per: 1m }"), "zero makes no sense here");
    assert_eq!(
        limit("{ usd: 500, per: 1m }"),
        "expected an amount in quotes, such as \"500.00\", found a number"
    );
    assert_eq!(limit("{ usd: \"$5\", per: 1m }"), "this is no amount of money");
    assert_eq!(
        limit("{ usd: \"0.0000000001\", per: 1m }"),
        "an amount of money has at most nine digits after the point"
    );
    assert_eq!(limit("{ usd: \"20000000000\", per: 1m }"), "this amount is too large");
    assert_eq!(
        limit("{ tokens: 90000, per: 1m, timeZone: UTC }"),
        "a window that rolls has no midnight, so no time zone tells it apart"
    );
    assert_eq!(
        limit("{ concurrent: 5, timeZone: UTC }"),
        "`concurrent` counts calls at once, so it has no window"
    );
    assert_eq!(limit("{ tokens: 90000, per: 32d }"), "this time span must be from 1s to 31d");
    assert_eq!(limit("{ tokens: 90000, per: year }"), "this is no window");
}

#[test]
fn a_time_zone_is_one_of_the_iana_database_as_it_is_written_there() {
    let text = budgeted("{ requests: 5, per: day, timeZone: Europe/Berln }", "");
    let found = compile(&Sources::single("policy.yaml", text)).unwrap_err().to_string();
    assert!(found.contains("error: there is no time zone `Europe/Berln`"), "{found}");
    assert!(found.contains("help: did you mean `Europe/Berlin`?"), "{found}");
    for wrong in ["europe/berlin", "CEST", "\"+02:00\"", "\"\"", "../etc/passwd"] {
        let errors = errors(&budgeted(&format!("{{ requests: 5, per: day, timeZone: {wrong} }}"), ""));
        assert!(errors[0].starts_with("there is no time zone"), "{wrong}: {errors:?}");
    }
}

#[test]
fn a_spent_budget_may_be_a_402() {
    let of = |limit: &str| {
        let snapshot = snapshot(&budgeted(limit, ""));
        snapshot.tenants["app"].payment_required.contains("rpm")
    };
    assert!(of("{ usd: \"500\", per: 1m, budgetStatus: 402 }"));
    assert!(of("{ requests: 5, per: day, budgetStatus: 402 }"));
    assert!(!of("{ usd: \"500\", per: 1m, budgetStatus: 429 }"));
    assert!(!of("{ usd: \"500\", per: month }"));
    let rolling = errors(&budgeted("{ requests: 5, per: 1m, budgetStatus: 402 }", ""));
    assert_eq!(rolling, ["`budgetStatus` is for budgets: limits of `usd`, and those per day, week or month"]);
    let other = errors(&budgeted("{ usd: \"500\", per: day, budgetStatus: 403 }", ""));
    assert_eq!(other, ["the status of a spent budget is 402 or 429"]);
}

#[test]
fn a_limit_says_what_it_does_while_its_ledger_fails() {
    let of = |choice: &str| {
        let snapshot = snapshot(&budgeted(&format!("{{ requests: 5, per: day{choice} }}"), ""));
        snapshot.tenants["app"].limits[0].on_ledger_down
    };
    assert_eq!(of(""), LedgerDown::SpendLease);
    assert_eq!(of(", onLedgerDown: spendLease"), LedgerDown::SpendLease);
    assert_eq!(of(", onLedgerDown: deny"), LedgerDown::Deny);
    assert_eq!(of(", onLedgerDown: allow"), LedgerDown::Allow);
    let shared =
        errors(&budgeted("{ requests: 5, per: day, onLedgerDown: { localShare: { pods: 3 } } }", ""));
    assert_eq!(shared, ["`localShare` is not built yet"]);
    let places = errors(&budgeted("{ concurrent: 5, onLedgerDown: deny }", ""));
    assert_eq!(
        places,
        ["`onLedgerDown` is for what a ledger keeps, and calls at once are only counted in this process"]
    );
}

#[test]
fn only_limits_of_tokens_or_money_need_amounts() {
    let counts = |limit: &str| snapshot(&budgeted(limit, "")).tenants["app"].counts_amounts;
    for limit in ["tokens: 90000", "inputTokens: 9", "outputTokens: 90000", "usd: \"90\""] {
        assert!(counts(&format!("{{ {limit}, per: 1m }}")), "{limit}");
    }
    assert!(!counts("{ requests: 9, per: 1m }") && !counts("{ concurrent: 9 }"));
}

#[test]
fn what_tenant_route_model_and_defaults_say_holds_in_this_order() {
    let of = |tenant: &str, route: &str, model: &str, defaults: &str| {
        let text = budgeted("{ requests: 9, per: 1m }", tenant)
            .replace("small: {", &format!("small: {{ {model} "))
            .replace("chat: {", &format!("chat: {{ {route} "))
            .replace("providers:", &format!("defaults: {{ {defaults} }}\nproviders:"));
        let snapshot = snapshot(&text);
        let hold = Hold::of(&snapshot.tenants["app"], &snapshot.routes["chat"], &snapshot.models["small"]);
        (hold.output, hold.estimate)
    };
    let expect = |n: u64| format!("reserveOutput: {{ expect: {n} }},");
    let (one, two, three, four) = (expect(1), expect(2), expect(3), expect(4));
    let n = |n| ReserveOutput::Expect(Expected::Tokens(Tokens(n)));
    assert_eq!(of(&one, &two, &three, &four).0, n(1));
    assert_eq!(of("", &two, &three, &four).0, n(2));
    assert_eq!(of("", "", &three, &four).0, n(3));
    assert_eq!(of("", "", "", &four).0, n(4));
    assert_eq!(of("", "", "", ""), (ReserveOutput::Bound, Estimate::Calibrated));
    let (upper, calibrated) = ("estimate: upperBound,", "estimate: calibrated,");
    assert_eq!(of("", &two, upper, calibrated), (n(2), Estimate::UpperBound), "each field by itself");
    assert_eq!(of(calibrated, "", upper, upper).1, Estimate::Calibrated);
    let cap = "reserveOutput: { cap: 7 },";
    assert_eq!(of("reserveOutput: bound,", cap, cap, cap).0, ReserveOutput::Bound);
    let learned = "reserveOutput: { expect: learned },";
    assert_eq!(of(learned, cap, cap, cap).0, ReserveOutput::Expect(Expected::Learned));
}

#[test]
fn what_cannot_be_held_is_an_error() {
    let of =
        |written: &str| errors(&budgeted("{ requests: 9, per: 1m }", &format!("reserveOutput: {written},")));
    assert_eq!(of("{ cap: 0 }"), ["zero makes no sense here"]);
    assert_eq!(of("{ expect: 0 }"), ["zero makes no sense here"]);
    assert_eq!(of("{ cap: many }"), ["expected a whole number, found text"]);
    assert_eq!(of("{ expect: -1 }"), ["expected a whole number of tokens, or learned, found the number -1"]);
    assert_eq!(of("{ expect: much }"), ["expected a whole number of tokens, or learned, found text"]);
    assert_eq!(of("{ hold: 5 }"), ["unknown choice `hold`"]);
    assert_eq!(of("5"), ["expected one of bound, cap, expect, found a number"]);
    assert_eq!(of("{ cap: 5, expect: 5 }").len(), 1);
    assert_eq!(errors(&budgeted("{ requests: 9, per: 1m }", "estimate: guess,")), ["unknown choice `guess`"]);
}

#[test]
fn what_is_held_of_an_answer_is_what_it_may_write() {
    let held = |output, named: Option<u64>, longest: Option<u64>| {
        let hold = Hold { output, estimate: Estimate::Calibrated };
        let HeldOutput { tokens, cap } = hold.of_one(named.map(Tokens), longest.map(Tokens), || None);
        (tokens.0, cap.map(|cap| cap.0))
    };
    use ReserveOutput::{Bound, Cap, Expect};
    assert_eq!(held(Bound, Some(5), Some(100)), (5, None));
    assert_eq!(held(Bound, Some(500), Some(100)), (100, None), "a model writes no more than it can");
    assert_eq!(held(Bound, None, Some(100)), (100, None));
    assert_eq!(held(Bound, Some(5), None), (5, None));
    let cap = Cap(Tokens(50));
    assert_eq!(held(cap, None, Some(100)), (50, Some(50)));
    assert_eq!(held(cap, None, Some(20)), (20, Some(20)), "the provider would refuse a larger one");
    assert_eq!(held(cap, None, None), (50, Some(50)));
    assert_eq!(held(cap, Some(70), Some(100)), (70, None), "the caller's own bound stands");
    let expect = Expect(Expected::Tokens(Tokens(50)));
    assert_eq!(held(expect, None, Some(100)), (50, None));
    assert_eq!(held(expect, Some(5), Some(100)), (5, None));
    assert_eq!(held(expect, Some(70), None), (50, None));
    assert_eq!(held(expect, None, Some(20)), (20, None));
    let learned = Expect(Expected::Learned);
    assert_eq!(held(learned, None, Some(100)), (100, None), "nothing is known yet");
    let hold = Hold { output: learned, estimate: Estimate::Calibrated };
    let known =
        |named: Option<u64>| hold.of_one(named.map(Tokens), Some(Tokens(100)), || Some(Tokens(30))).tokens.0;
    assert_eq!([known(None), known(Some(70)), known(Some(5))], [30, 30, 5]);
}

#[test]
fn each_answer_of_a_call_is_held_and_an_embedding_has_none() {
    let hold = Hold { output: ReserveOutput::Cap(Tokens(50)), estimate: Estimate::Calibrated };
    let held = |api, body: &str| {
        let facts = edit::read(api, body.as_bytes()).unwrap();
        let HeldOutput { tokens, cap } = hold.held(api, &facts, Some(Tokens(1_000)), || None);
        (tokens.0, cap.map(|cap| cap.0))
    };
    assert_eq!(held(Api::Chat, r#"{"model":"a","n":3}"#), (150, Some(50)));
    assert_eq!(held(Api::Chat, r#"{"model":"a","n":3,"max_tokens":9}"#), (27, None));
    assert_eq!(held(Api::Completions, r#"{"model":"a","best_of":4}"#), (200, Some(50)));
    assert_eq!(held(Api::Chat, r#"{"model":"a","n":18446744073709551615}"#), (u64::MAX, Some(50)));
    assert_eq!(held(Api::Embeddings, r#"{"model":"a"}"#), (0, None));
}

#[test]
fn what_is_not_known_costs_what_tenant_or_defaults_say() {
    let of = |tenant: &str, defaults: &str| {
        let text = budgeted("{ requests: 9, per: 1m }", tenant)
            .replace("providers:", &format!("defaults: {{ {defaults} }}\nproviders:"));
        snapshot(&text).tenants["app"].unknowns
    };
    let unset = of("", "");
    assert_eq!(unset.missing_usage, MissingUsage::ChargeReservation);
    assert_eq!((unset.abandoned, unset.unpriced), (Abandoned::Input, Unpriced::Reject));
    let defaults = "onMissingUsage: estimate, onAbandoned: nothing, onUnpriced: reject";
    let tenant = "onAbandoned: reservation, \
                  onUnpriced: { assume: { inputPerMTok: \"5\", outputPerMTok: \"20\" } },";
    let both = of(tenant, defaults);
    assert_eq!((both.missing_usage, both.abandoned), (MissingUsage::Estimate, Abandoned::Reservation));
    let amount = |dollars: &str| dollars.parse::<PerMillion>().unwrap();
    assert_eq!(both.unpriced, Unpriced::Assume(Price::new(amount("5"), amount("20"))));

    let day = "onUnpriced: { assume: { inputPerMTok: \"5\", outputPerMTok: \"2\", effectiveFrom: \"2026-01-01\" } },";
    assert_eq!(
        errors(&budgeted("{ requests: 9, per: 1m }", day)),
        ["an assumed price has no first day: it holds wherever a model has none"]
    );
}

#[test]
fn a_model_costs_its_price_or_the_one_assumed() {
    let text = budgeted("{ requests: 9, per: 1m }", "")
        .replace("models:", "models:\n  free: { provider: openai }")
        .replace(
            "inputPerMTok: \"1\", outputPerMTok: \"8\"",
            "inputPerMTok: \"1\", outputPerMTok: \"8\", effectiveFrom: \"2026-07-01\"",
        );
    let assume = "local: true, onUnpriced: { assume: { inputPerMTok: \"5\", outputPerMTok: \"20\" } },";
    let (rejects, assumes) = (snapshot(&text), snapshot(&text.replace("local: true,", assume)));
    let input = |snapshot: &Snapshot, model: &str, at: &str| {
        let unknowns = &snapshot.tenants["app"].unknowns;
        unknowns.price(&snapshot.models[model], at.parse().unwrap()).map(|price| price.input)
    };
    let dollars = |dollars: u64| PerMillion::new(NanoUsd(dollars * NanoUsd::DOLLAR.0));
    assert_eq!(input(&rejects, "free", "2026-08-01T00:00:00Z"), None);
    assert_eq!(input(&assumes, "free", "2026-08-01T00:00:00Z"), dollars(5));
    assert_eq!(input(&assumes, "small", "2026-08-01T00:00:00Z"), dollars(1));
    assert_eq!(
        input(&assumes, "small", "2026-06-01T00:00:00Z"),
        dollars(5),
        "before its first price it has none"
    );
}

#[test]
fn under_a_limit_of_money_every_model_allowed_has_a_price() {
    let unpriced = |more: &str, tenant: &str| {
        let text = budgeted("{ usd: \"500\", per: month }", tenant);
        text.replace("models:", &format!("models:\n  free: {{ provider: openai, maxOutputTokens: 9 }}{more}"))
    };
    let message = "limit `rpm` of tenant `app` counts money, but no price is known for `free`";
    assert_eq!(errors(&unpriced("", "")), [message]);
    let more: String =
        (1..4).map(|n| format!("\n  free{n}: {{ provider: openai, maxOutputTokens: 9 }}")).collect();
    assert_eq!(
        errors(&unpriced(&more, "")),
        [
            "limit `rpm` of tenant `app` counts money, but no price is known for `free`, `free1`, `free2` and 1 more"
        ]
    );
    snapshot(&unpriced("", "onUnpriced: reject,"));
    snapshot(&unpriced("", "onUnpriced: { assume: { inputPerMTok: \"5\", outputPerMTok: \"20\" } },"));
    snapshot(&unpriced("", "").replace("providers:", "defaults: { onUnpriced: reject }\nproviders:"));
    snapshot(&unpriced("", "").replace("allow: [\"*\"]", "allow: [chat]"));
    snapshot(&unpriced("", "").replace("allow: [\"*\"]", "allow: [\"*\"], deny: [free]"));
    snapshot(&unpriced("", "").replace("usd: \"500\"", "tokens: 50000"));
}

#[test]
fn under_a_limit_that_counts_output_every_answer_has_a_bound() {
    let endless = |limit: &str, tenant: &str| {
        budgeted(limit, tenant).replace("small: { maxOutputTokens: 1000,", "small: {")
    };
    for limit in
        ["{ tokens: 50000, per: 1m }", "{ outputTokens: 50000, per: 1m }", "{ usd: \"500\", per: 1m }"]
    {
        let errors = errors(&endless(limit, ""));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].ends_with("counts output, but nothing says how long an answer of `small` gets"),
            "{errors:?}"
        );
        snapshot(&endless(limit, "reserveOutput: { cap: 100 },"));
        snapshot(&endless(limit, "reserveOutput: { expect: 100 },"));
        let errors = self::errors(&endless(limit, "reserveOutput: { expect: learned },"));
        assert_eq!(errors.len(), 1, "before anything is learned, the bound is held: {errors:?}");
    }
    snapshot(&endless("{ inputTokens: 50000, per: 1m }", ""));
    let tokens = "{ tokens: 50000, per: 1m }";
    // The route bounds calls that come through it; those that ask for the model by its name are still endless.
    let route = endless(tokens, "").replace("chat: {", "chat: { reserveOutput: { cap: 5 }, ");
    assert_eq!(errors(&route).len(), 1);
    snapshot(&route.replace("allow: [\"*\"]", "allow: [chat]"));
    let embeddings = endless(tokens, "").replace("openai: {", "openai: { apis: [embeddings], ");
    snapshot(&embeddings);
}

#[test]
fn a_limit_has_room_for_one_call_at_least() {
    let tokens = |amount: u64| format!("{{ tokens: {amount}, per: 1m }}");
    assert_eq!(
        errors(&budgeted(&tokens(32_768), "")),
        [
            "limit `rpm` of tenant `app` has no room for a single call of `large`, for which 32769 tokens are held"
        ]
    );
    snapshot(&budgeted(&tokens(32_769), ""));
    assert_eq!(
        errors(&budgeted(&tokens(1_000), "")),
        [
            "limit `rpm` of tenant `app` has no room for a single call of `large`, `small`, for which 32769 tokens are held"
        ]
    );
    snapshot(&budgeted(&tokens(1_000), "reserveOutput: { cap: 999 },"));
    snapshot(&budgeted(&tokens(1_000), "reserveOutput: { expect: 500 },"));
    snapshot(&budgeted("{ outputTokens: 32768, per: 1m }", ""));
    // 32,768 tokens of output at 8 dollars a million, and one of input at 2.
    let usd = |amount: &str| format!("{{ usd: \"{amount}\", per: day }}");
    assert_eq!(
        errors(&budgeted(&usd("0.262145999"), "")),
        [
            "limit `rpm` of tenant `app` has no room for a single call of `large`, for which 0.262146 US dollars are held"
        ]
    );
    snapshot(&budgeted(&usd("0.262146"), ""));
    // A price that has ended, or not begun, is no reason to refuse the policy.
    let dear = "price: [{ inputPerMTok: \"900\", outputPerMTok: \"900\", effectiveFrom: \"2020-01-01\" }, ";
    snapshot(&budgeted(&usd("0.262146"), "").replace("price: [", dear));
}

#[test]
fn a_plans_limits_are_checked_for_each_tenant_of_it() {
    let text = budgeted("{ tokens: 5000, per: 1m }", "").replace(
        "allow: [\"*\"] } }",
        "allow: [small] } }\n  other: { plan: pro, access: { allow: [chat] } }",
    );
    let errors = errors(&text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("limit `rpm` of tenant `other` has no room"), "{errors:?}");
}

#[test]
fn what_hangs_on_a_fault_elsewhere_is_not_told() {
    let text =
        budgeted("{ tokens: 5, per: 1m }", "").replace("maxOutputTokens: 1000", "maxOutputTokens: many");
    assert_eq!(errors(&text), ["expected a whole number, found text"]);
}

#[test]
fn a_place_that_says_nothing_leaves_it_to_the_next() {
    let reserve = Reserve { output: Some(ReserveOutput::Bound), estimate: None };
    let other = Reserve { output: Some(ReserveOutput::Cap(Tokens(5))), estimate: Some(Estimate::UpperBound) };
    let both = reserve.or(other);
    assert_eq!((both.output, both.estimate), (Some(ReserveOutput::Bound), Some(Estimate::UpperBound)));
}

#[test]
fn a_budget_without_a_price_is_told_with_the_ways_out() {
    let text = with("requests: 100, per: 1m, each: user", "usd: \"500.00\", per: month")
        .replace("small: {", "small: { maxOutputTokens: 100,")
        .replace("large: {", "large: { maxOutputTokens: 100,");
    let found = compile(&Sources::single("policy.yaml", text)).unwrap_err().to_string();
    let expected = r#"error: limit `rpm` of tenant `app` counts money, but no price is known for `large`, `small`
  --> policy.yaml:12:20
   |
12 |   pro: { limits: { rpm: { usd: "500.00", per: month } } }
   |                    ^^^
   = help: add a `price` to the model, or `onUnpriced` to the tenant: `reject`, or `{ assume: { inputPerMTok: "5.00", outputPerMTok: "20.00" } }`"#;
    assert_eq!(found, expected);
}

#[test]
fn a_cap_is_written_where_the_model_or_its_provider_reads_it() {
    let of = |text: &str| snapshot(text).models["small"].max_tokens_field;
    assert_eq!(of(GOOD), MaxTokensField::MaxCompletionTokens);
    let house = "openai: { preset: deepseek,";
    assert_eq!(of(&with("openai: {", house)), MaxTokensField::MaxTokens);
    let own = "openai: { dialect: openai, preset: mistral, baseUrl: \"http://localhost:8000/v1\",";
    let newer = "small: { accepts: { maxTokensField: max_completion_tokens },";
    assert_eq!(of(&with("openai: {", own).replace("small: {", newer)), MaxTokensField::MaxCompletionTokens);
    let older = "small: { accepts: { maxTokensField: max_tokens },";
    assert_eq!(of(&with("small: {", older)), MaxTokensField::MaxTokens);
    let wrong = with("small: {", "small: { accepts: { maxTokensField: max_output_tokens },");
    assert_eq!(errors(&wrong), ["unknown choice `max_output_tokens`"]);
}

#[test]
fn a_limit_that_only_counts_makes_warnings_of_what_cannot_be_kept() {
    let warned = |text: &str| good(text).1;
    let small = "{ tokens: 1000, per: 1m, mode: shadow }";
    let message = "limit `rpm` of tenant `app` has no room for a single call of `large`, `small`, for which 32769 tokens are held";
    assert_eq!(warned(&budgeted(small, "")), [message]);
    let money = budgeted("{ usd: \"500\", per: month, mode: shadow }", "");
    let unpriced = money.replace("models:", "models:\n  free: { provider: openai }");
    assert_eq!(
        warned(&unpriced),
        [
            "limit `rpm` of tenant `app` counts money, but no price is known for `free`",
            "limit `rpm` of tenant `app` counts output, but nothing says how long an answer of `free` gets"
        ]
    );
}

#[test]
fn a_limit_that_only_counts_needs_amounts_and_no_price_nor_bound() {
    let of = |limit: &str| {
        let (snapshot, _) = good(&budgeted(limit, ""));
        let tenant = &snapshot.tenants["app"];
        (tenant.counts_amounts, tenant.bounds_amounts, tenant.bounds_money)
    };
    assert_eq!(of("{ usd: \"90\", per: 1m }"), (true, true, true));
    assert_eq!(of("{ tokens: 90000, per: 1m }"), (true, true, false));
    assert_eq!(of("{ usd: \"90\", per: 1m, mode: shadow }"), (true, false, false));
    assert!(!of("{ usd: \"90\", per: 1m, mode: shadow, onExceed: reject, budgetStatus: 402 }").1);
    assert_eq!(errors(&budgeted("{ requests: 9, per: 1m, mode: shade }", "")), ["unknown choice `shade`"]);
}

#[test]
fn access_in_shadow_mode_is_not_built_yet() {
    let text =
        budgeted("{ requests: 9, per: 1m }", "").replace("allow: [\"*\"]", "allow: [\"*\"], mode: shadow");
    assert_eq!(errors(&text), ["`shadow` is not built yet"]);
}

#[test]
fn a_buffer_is_a_part_of_the_limit_that_is_granted_to_no_call() {
    let kept = |limit: &str| {
        let (snapshot, warnings) = good(&budgeted(limit, ""));
        assert_eq!(warnings, [""; 0]);
        snapshot.tenants["app"].limits[0].kept_back
    };
    assert_eq!(kept("{ tokens: 50005, per: 1m, reserveBuffer: 10% }"), 5_000);
    assert_eq!(kept("{ usd: \"18446744073\", per: 1m, reserveBuffer: 50% }"), 9_223_372_036_500_000_000);
    assert_eq!(kept("{ inputTokens: 1, per: 1m, reserveBuffer: 50% }"), 0, "something can always be granted");
    assert_eq!(kept("{ tokens: 50005, per: 1m }"), 0);
    let of = |limit: &str| errors(&budgeted(limit, ""));
    let nothing = "no call uses more of this limit than was held for it: there is nothing to keep back";
    assert_eq!(of("{ requests: 9, per: 1m, reserveBuffer: 10% }"), [nothing]);
    assert_eq!(of("{ concurrent: 9, reserveBuffer: 10% }"), [nothing]);
    let part = "a part of a limit that is kept back is from 1% to 50%";
    assert_eq!(of("{ tokens: 50000, per: 1m, reserveBuffer: 0% }"), [part]);
    assert_eq!(of("{ tokens: 50000, per: 1m, reserveBuffer: 51% }"), [part]);
    assert_eq!(of("{ tokens: 50000, per: 1m, reserveBuffer: much }"), ["this is no part of a limit"]);
    assert_eq!(
        of("{ tokens: 50000, per: 1m, reserveBuffer: 10 }"),
        ["expected a part in percent, such as 10%, found a number"]
    );
    // The single call has to fit into what may be granted.
    snapshot(&budgeted("{ outputTokens: 40000, per: 1m }", ""));
    let small = of("{ outputTokens: 40000, per: 1m, reserveBuffer: 20% }");
    assert!(small[0].contains("has no room for a single call of `large`"), "{small:?}");
}
