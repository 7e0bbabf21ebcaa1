//! `key` and `keys`: a provider's one key, or its pool.

use super::*;
use crate::limits::Each;

/// The good policy with these in the place of its provider's key.
fn keyed(keys: &str) -> String {
    with("key: { fromEnv: OPENAI_API_KEY }", keys)
}

/// The one error that they bring.
fn fault(keys: &str) -> String {
    fault_of("key: { fromEnv: OPENAI_API_KEY }", keys)
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.providers["openai"].keys.iter().map(|key| key.name.as_str()).collect()
}

#[test]
fn a_pool_has_its_keys_in_the_order_as_written() {
    let (snapshot, warnings) =
        good(&keyed("keys: [{ name: b, fromEnv: KEY_B }, { name: a, fromFile: /run/a }]"));
    assert_eq!(warnings, [""; 0]);
    assert_eq!(names(&snapshot), ["b", "a"]);
    let places: Vec<_> = snapshot.providers["openai"].keys.iter().map(|key| key.at.clone()).collect();
    let file = SecretRef::File(std::sync::Arc::new("/run/a".into()));
    assert_eq!(places, [Some(SecretRef::Env("KEY_B".into())), Some(file)]);
}

#[test]
fn a_single_key_has_the_name_of_its_provider_and_no_key_is_one_that_is_nowhere() {
    let (snapshot, _) = good(GOOD);
    assert_eq!(names(&snapshot), ["openai"]);
    let (snapshot, _) = good(&with("{ key: { fromEnv: OPENAI_API_KEY } }", "{}"));
    assert_eq!((names(&snapshot), &snapshot.providers["openai"].keys[0].at), (vec!["openai"], &None));
}

#[test]
fn a_key_of_a_pool_has_a_name_of_its_own_and_one_place() {
    assert_eq!(fault("keys: []"), "the pool of provider `openai` has no keys");
    let of = |key: &str| fault(&format!("keys: [{{ name: a, fromEnv: A }}, {key}]"));
    assert_eq!(of("{ fromEnv: B }"), "this key has no name, by which limits and logs could tell it");
    assert_eq!(of("{ name: a, fromEnv: B }"), "two keys have the name `a`");
    assert_eq!(of("{ name: \"b c\", fromEnv: B }"), "`b c` cannot be the name of a key");
    assert_eq!(of("{ name: b }"), "this key does not say where it is to be found");
    assert_eq!(of("{ name: b, fromEnv: B, fromFile: /b }"), "this key comes from two places");
    assert_eq!(of("{ name: b, fromFile: \" \" }"), "this names neither an environment variable nor a file");
    assert_eq!(of("{ name: b, fromEnvv: B }"), "unknown field `fromEnvv`");
    let both = "key: { fromEnv: A }, keys: [{ name: b, fromEnv: B }]";
    assert_eq!(fault(both), "provider `openai` has both `key` and `keys`");
}

#[test]
fn one_key_of_two_names_is_warned_of() {
    let (_, warnings) = good(&keyed("keys: [{ name: a, fromEnv: A }, { name: b, fromEnv: A }]"));
    assert_eq!(warnings, ["this is the key `a` once more: both come from one place"]);
}

#[test]
fn a_script_may_have_keys_to_tell_apart() {
    let text = keyed("mock: {}, keys: [{ name: a, fromEnv: A }]")
        .replace("kind: Policy", "kind: Policy\nallowMock: true");
    let (snapshot, _) = good(&text);
    assert_eq!(snapshot.providers["openai"].keys[0].name.as_str(), "a");
}

#[test]
fn a_key_pasted_into_a_pool_is_not_shown() {
    for written in [
        "keys: hunter2",
        "keys: [hunter2]",
        "keys: [{ name: a, fromEnv: A }, hunter2]",
        "keys: [{ name: a, value: hunter2 }]",
        "keys: [{ name: a, hunter2: x }]",
        "keys: [{ name: a, key: hunter2 }]",
        "keys: [[hunter2]]",
        "keys: { a: hunter2 }",
        "keys: [hunter2], kyes: 1",
        "keys: [{ name: a, fromEnv: sk-proj-hunter2 }]",
        "keys: [{ name: a, fromEnv: \"hunter2 hunter2\" }]",
        "keys: [{ fromEnv: hunter2 }]",
    ] {
        let found = compile(&Sources::single("policy.yaml", keyed(written))).unwrap_err().to_string();
        assert!(!found.contains("hunter2"), "{written}\n{found}");
    }
}

#[test]
fn a_providers_limit_may_be_of_each_of_its_keys() {
    let limits = "limits: { rpm: { requests: 5, per: 1m, each: providerKey } }";
    let pool = format!("keys: [{{ name: a, fromEnv: A }}, {{ name: b, fromEnv: B }}], {limits}");
    let (snapshot, warnings) = good(&keyed(&pool));
    assert_eq!((snapshot.providers["openai"].limits[0].each, warnings.len()), (Some(Each::Key), 0));

    let one = ["key: { fromEnv: A }", "keys: [{ name: a, fromEnv: A }]"];
    for key in one {
        let (_, warnings) = good(&keyed(&format!("{key}, {limits}")));
        assert_eq!(warnings, ["limit `rpm` is of each key, but provider `openai` has one at most"]);
    }
}
