//! Who a caller is, what it may use, and its limits.

use std::num::NonZeroU32;

use super::*;
use crate::ids::UserId;
use crate::limits::{Each, Quota, Unit, Window};

const HASH: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

#[test]
fn globs_resolve_against_the_names_of_this_policy() {
    let text = with("allow: [\"*\"]", "allow: [chat, \"sm*\"], deny: [\"la*\"]");
    let (snapshot, warnings) = good(&text);
    let access = &snapshot.tenants["app"].access;
    let mut allowed: Vec<_> = access.allowed.iter().map(|route| route.as_str()).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["chat", "small"]);
    assert!(access.denied.contains("large") && access.denied.len() == 1);
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn a_pattern_that_matches_nothing_is_warned_of() {
    let (_, warnings) = good(&with("allow: [\"*\"]", "allow: [\"*\", \"gpt-small\"], deny: [chat, \"x*\"]"));
    // The provider's own name for a model is no name of the policy, and `deny` names no routes.
    assert_eq!(
        warnings,
        [
            "`gpt-small` matches no name of this policy",
            "`chat` matches no name of this policy",
            "`x*` matches no name of this policy"
        ]
    );
}

#[test]
fn a_route_of_which_every_target_is_denied_is_warned_of() {
    let (_, warnings) = good(&with("allow: [\"*\"]", "allow: [chat], deny: [\"*\"]"));
    assert_eq!(warnings, ["tenant `app` may ask for `chat`, but each of its targets is denied"]);
}

#[test]
fn no_access_and_no_limits_are_warned_of() {
    let (snapshot, warnings) = good(&with("plan: pro, access: { allow: [\"*\"] } }", "}"));
    assert_eq!(
        warnings,
        ["tenant `app` may not use anything", "tenant `app` has no limits: nothing bounds its use"]
    );
    assert!(snapshot.tenants["app"].access.allowed.is_empty());
}

#[test]
fn under_the_same_key_the_tenants_limit_stands_whole() {
    let own = "limits: { rpm: { requests: 7, per: 10s }, open: { concurrent: 3, each: model } },";
    let (snapshot, _) = good(&with("plan: pro,", &format!("plan: pro, {own}")));
    let tenant = &snapshot.tenants["app"];
    let limits: Vec<_> =
        tenant.limits.iter().map(|rule| (rule.key.as_str(), rule.quota.clone(), rule.each)).collect();
    let amount = |n| NonZeroU32::new(n).unwrap();
    let window = Window::Rolling(Duration::from_secs(10));
    let rpm = Quota::Windowed { unit: Unit::Requests, amount: amount(7).into(), window };
    // The plan's `each: user` does not come through.
    assert_eq!(
        limits,
        [("open", Quota::Concurrent { amount: amount(3) }, Some(Each::Model)), ("rpm", rpm, None)]
    );
    assert_eq!(tenant.limits[1].place.as_ref(), "policy.yaml:14");

    let (snapshot, _) = good(GOOD);
    let rule = &snapshot.tenants["app"].limits[0];
    assert_eq!(
        (rule.each, &*rule.owner.name(), rule.place.as_ref()),
        (Some(Each::User), "app", "policy.yaml:12")
    );
}

#[test]
fn callers_are_found_by_key_with_their_names_or_are_local() {
    let keys = format!("match: [{{ apiKeySha256: \"{HASH}\", name: ci, user: pipeline }}], ");
    let (snapshot, _) = good(&with("local: true, ", &format!("local: true, {keys}")));
    let principal = snapshot.keys.values().next().unwrap();
    assert_eq!(principal.user, Some(UserId::from("pipeline")));
    assert_eq!(principal.app, None);
    assert_eq!(snapshot.local.as_ref().unwrap().tenant.id.as_str(), "app");
}

#[test]
fn two_tenants_that_can_match_the_same_caller_are_an_error_that_names_both_places() {
    let text = format!(
        "{}  ci: {{ match: [{{ apiKeySha256: \"{HASH}\" }}], plan: pro, access: {{ allow: [chat] }} }}\n  cj: {{ local: true, match: [{{ apiKeySha256: \"{}\" }}], plan: pro, access: {{ allow: [chat] }} }}\n",
        GOOD,
        HASH.to_uppercase()
    );
    assert_eq!(
        faults(&text),
        [
            "16 error: two tenants say `local: true`: a caller without a key could be both",
            "16 error: the same key is given twice: its caller could be both"
        ]
    );
    let found = compile(&Sources::single("policy.yaml", text)).unwrap_err();
    let firsts: Vec<_> = found.iter().map(|d| d.other.as_ref().unwrap().1.line).collect();
    assert_eq!(firsts, [14, 15]);
}

#[test]
fn a_tenant_that_nobody_can_be_is_warned_of() {
    let (_, warnings) = good(&with("local: true, ", ""));
    assert_eq!(warnings, ["nobody can be tenant `app`: it has neither `match` nor `local: true`"]);
}

#[test]
fn a_key_hash_has_64_hex_digits_and_what_stands_there_is_not_shown() {
    let text = with("local: true, ", "match: [{ apiKeySha256: \"hunter2\", name: ci }], ");
    let found = compile(&Sources::single("policy.yaml", text)).unwrap_err().to_string();
    assert!(found.contains("this is not the SHA-256 of a key"), "{found}");
    assert!(!found.contains("hunter2"), "{found}");
}

#[test]
fn a_limit_counts_one_thing_and_requests_have_a_window() {
    let limit = |written: &str| fault_of("{ requests: 100, per: 1m, each: user }", written);
    assert_eq!(limit("{ requests: 100 }"), "limit `rpm` counts requests, but does not say in which time");
    assert_eq!(limit("{ per: 1m }"), "limit `rpm` does not say what it counts");
    assert_eq!(limit("{ concurrent: 3, per: 1m }"), "`concurrent` counts calls at once, so it has no window");
    assert_eq!(limit("{ concurrent: 3, requests: 3 }"), "limit `rpm` counts two things");
    assert_eq!(limit("{ requests: 0, per: 1m }"), "zero makes no sense here");
    assert_eq!(limit("{ requests: 1, per: 500ms }"), "this time span must be from 1s to 31d");
    assert_eq!(
        limit("{ requests: -1, per: 1s }"),
        "expected a whole number up to 4294967295, found the number -1"
    );
    assert_eq!(limit("{ requests: 1, per: 1s, each: usr }"), "unknown choice `usr`");
    assert_eq!(limit("7"), "expected a map, found a number");
}

#[test]
fn a_renamed_limit_knows_its_old_name() {
    let (snapshot, warnings) = good(&with("rpm: { requests: 100,", "calls: { was: rpm, requests: 100,"));
    assert_eq!(warnings, [""; 0]);
    let rule = &snapshot.tenants["app"].limits[0];
    assert_eq!((rule.key.as_str(), rule.was.as_ref().map(|was| was.as_str())), ("calls", Some("rpm")));
}

#[test]
fn a_limit_whose_old_name_is_another_limits_is_an_error() {
    let own = "limits: { calls: { was: rpm, requests: 7, per: 10s } },";
    let text = with("plan: pro,", &format!("plan: pro, {own}"));
    let message = "limit `calls` of tenant `app` was `rpm`, but tenant `app` has a limit `rpm` too";
    assert_eq!(faults(&text), [format!("14 error: {message}")]);
    let twice =
        with("rpm: { requests: 100,", "a: { was: old, requests: 5, per: 1m }, b: { was: old, requests: 100,");
    assert_eq!(
        faults(&twice),
        ["12 error: two limits of tenant `app` were `old`: only one can go on with its counts"]
    );
    assert_eq!(
        fault_of("rpm: { requests: 100,", "rpm: { was: rpm, requests: 100,"),
        "limit `rpm` was not renamed: this is its name"
    );
    assert_eq!(
        fault_of("rpm: { requests: 100,", "rpm: { was: \"a b\", requests: 100,"),
        "`a b` cannot be the name of a limit"
    );
    let there =
        with("openai: {", "openai: { limits: { a: { concurrent: 1 }, b: { was: a, concurrent: 2 } }, ");
    let message = "limit `b` of provider `openai` was `a`, but provider `openai` has a limit `a` too";
    assert_eq!(faults(&there), [format!("5 error: {message}")]);
}
