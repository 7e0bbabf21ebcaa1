//! What holds for any policy and any overlay.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::policy::compile::compile;
use crate::policy::origin::Origins;

/// Policies of the project.
const EXAMPLES: [&str; 4] = [
    BASE,
    include_str!("../../../../policies/quickstart.yaml"),
    include_str!("../../../../policies/budget.yaml"),
    include_str!("../../../../policies/dialects.yaml"),
];

/// Some of these entries, each once, as a map in one line.
fn map(entries: Vec<BoxedStrategy<String>>) -> BoxedStrategy<String> {
    let most = entries.len();
    entries
        .prop_flat_map(move |entries| subsequence(entries, 1..=most))
        .prop_map(|some| format!("{{ {} }}", some.join(", ")))
        .boxed()
}

fn field(name: &'static str, value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    value.prop_map(move |value| format!("{name}: {value}")).boxed()
}

fn one_of(values: &'static [&'static str]) -> BoxedStrategy<String> {
    select(values).prop_map(str::to_owned).boxed()
}

fn limit() -> BoxedStrategy<String> {
    let unit = one_of(&["requests: 5", "tokens: 700", "usd: \"5.00\"", "concurrent: 3"]);
    let exceed = one_of(&[
        "reject",
        "{ clamp: { atLeast: 5 } }",
        "{ queue: { maxWait: 1s } }",
        "{ downgrade: { to: m } }",
    ]);
    map(vec![unit, field("per", one_of(&["1m", "day"])), field("onExceed", exceed)])
}

fn limits() -> BoxedStrategy<String> {
    map(vec![field("rpm", limit()), field("month", limit())])
}

/// A policy's fields, small and not always good: what merges, what is replaced, and what takes another's place.
fn fields() -> impl Strategy<Value = String> {
    let tenant = || {
        let access = map(vec![
            field("allow", one_of(&["[a]", "[\"*\"]", "[]"])),
            field("deny", one_of(&["[b, c]", "[\"404\"]"])),
        ]);
        map(vec![
            field("local", one_of(&["true", "false"])),
            field("access", access),
            field("limits", limits()),
        ])
    };
    let provider = || {
        map(vec![
            one_of(&["baseUrl: \"http://a/v1\"", "mock: { says: \"yes\" }", "mock: { tokens: 5 }"]),
            one_of(&["key: { fromEnv: A }", "key: { fromFile: /b }", "keys: [{ name: a, fromEnv: A }]"]),
            field("limits", limits()),
        ])
    };
    let sections = [
        ("revision", one_of(&["a", "\"12\""])),
        ("tenants", map(vec![field("app", tenant()), field("web", tenant())])),
        ("providers", map(vec![field("openai", provider()), field("local", provider())])),
        (
            "defaults",
            map(vec![field("onUnpriced", one_of(&["reject", "{ assume: { inputPerMTok: \"1\" } }"]))]),
        ),
    ];
    let written = sections.map(|(name, value)| field(name, value)).to_vec();
    let most = written.len();
    written
        .prop_flat_map(move |written| subsequence(written, 0..=most))
        .prop_map(|some| overlay(&some.join("\n")))
}

#[test]
fn an_overlay_that_says_nothing_changes_nothing() {
    for example in EXAMPLES {
        let (plain, overlaid) = (sources(example, &[]), sources(example, &[&overlay("")]));
        assert_eq!(tree(&plain), tree(&overlaid));
    }
}

#[test]
fn a_policy_laid_over_itself_is_itself_and_compiles_to_the_same() {
    for example in EXAMPLES {
        let (plain, overlaid) = (sources(example, &[]), sources(example, &[example]));
        assert_eq!(tree(&plain), tree(&overlaid));
        let counts = [&plain, &overlaid].map(|sources| {
            let (snapshot, warnings) = compile(sources).unwrap();
            (snapshot.tenants.len(), snapshot.routes.len(), snapshot.models.len(), warnings.len())
        });
        assert_eq!(counts[0], counts[1]);
    }
}

#[test]
fn a_policy_as_it_is_printed_is_the_policy() {
    for example in EXAMPLES {
        let plain = sources(example, &[]);
        let printed = Origins::of(&plain).print();
        assert_eq!(tree(&sources(&printed, &[])), tree(&plain), "{printed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn an_overlay_twice_is_as_once(base in fields(), over in fields()) {
        let once = tree(&sources(&base, &[&over]));
        prop_assert_eq!(tree(&sources(&base, &[&over, &over])), once);
    }

    #[test]
    fn nothing_over_a_policy_and_a_policy_over_nothing_are_the_policy(policy in fields()) {
        let plain = tree(&sources(&policy, &[]));
        prop_assert_eq!(&tree(&sources(&policy, &[&overlay("")])), &plain);
        prop_assert_eq!(&tree(&sources(&overlay(""), &[&policy])), &plain);
    }

    #[test]
    fn all_that_an_overlay_says_holds(base in fields(), over in fields()) {
        let merged = tree(&sources(&base, &[&over]));
        prop_assert!(holds(&tree(&sources(&over, &[])), &merged), "{merged}");
    }

    #[test]
    fn overlays_one_by_one_are_as_the_first_two_merged(base in fields(), one in fields(), two in fields()) {
        // What takes the place of a map and gives it back, gives it back empty: two overlays in turn show that.
        prop_assume!(!base.contains("mock"));
        let merged = Origins::of(&sources(&one, &[&two])).print();
        let (in_turn, at_once) = (tree(&sources(&base, &[&one, &two])), tree(&sources(&base, &[&merged])));
        prop_assert_eq!(in_turn, at_once);
    }

    #[test]
    fn every_value_stands_where_its_origin_says(base in fields(), over in fields()) {
        let sources = sources(&base, &[&over]);
        let origins = Origins::of(&sources);
        let texts = [("policy.yaml", &base), ("over/0.yaml", &over)];
        for (path, value) in scalars(&tree(&sources), &[]) {
            let steps: Vec<&str> = path.iter().map(String::as_str).collect();
            let origin = origins.at(&steps).unwrap();
            let (_, text) = texts.iter().find(|(name, _)| **name == *origin.place.file).unwrap();
            let line = text.lines().nth(origin.place.line as usize - 1).unwrap();
            let there: String = line.chars().skip(origin.place.column as usize - 1).collect();
            let value = value.trim_start_matches("whole ");
            prop_assert!(there.trim_start_matches('"').starts_with(value), "{steps:?}: {there} is not {value}");
            let named = origins.named(&path.join("."));
            prop_assert_eq!(named, Some(origin));
        }
    }
}

/// Whether all of a tree stands in another one.
fn holds(part: &serde_json::Value, whole: &serde_json::Value) -> bool {
    match (part, whole) {
        (serde_json::Value::Object(part), serde_json::Value::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|there| holds(value, there)))
        }
        (part, whole) => part == whole,
    }
}

/// Every value that holds no others, with its path.
fn scalars(tree: &serde_json::Value, path: &[String]) -> Vec<(Vec<String>, String)> {
    let below = |step: String, value: &serde_json::Value| scalars(value, &[path, &[step]].concat());
    match tree {
        serde_json::Value::Object(fields) => {
            fields.iter().flat_map(|(key, value)| below(key.clone(), value)).collect()
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().flat_map(|(n, item)| below(n.to_string(), item)).collect()
        }
        serde_json::Value::String(text) => vec![(path.to_vec(), text.clone())],
        value @ (serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_)) => {
            vec![(path.to_vec(), value.to_string())]
        }
    }
}
