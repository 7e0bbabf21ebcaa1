//! Every small change of a policy: an amount doubled, an entry or item left out, targets in another order, a limit or an
//! access list that only counts, a word turned.

use serde_json::{Map, Value, json};

/// A policy with one change.
pub(super) struct Mutant {
    /// What was changed.
    pub(super) what: String,
    /// As JSON, which is YAML too.
    pub(super) policy: Value,
}

pub(super) fn parse(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// All changes of one place each.
pub(super) fn of(policy: &Value) -> Vec<Mutant> {
    let mut found = Vec::new();
    let unseen = unseen(policy);
    let is_unseen = |path: &[String]| {
        let of_model = path.first().is_some_and(|section| section == "models");
        path.iter().any(|name| UNSEEN.contains(&&**name) || (of_model && unseen.contains(&&**name)))
    };
    visit(policy, "", &mut Vec::new(), &mut |path, what, value| {
        if !is_unseen(path) {
            found.push((path.to_vec(), what, value));
        }
    });
    let mutant = |(path, what, value): (Vec<String>, String, Option<Value>)| Mutant {
        what: format!("{}: {what}", path.join(".")),
        policy: with(policy, &path, value),
    };
    found.into_iter().map(mutant).collect()
}

/// Told of a place, of what is changed there, and of the value in its place; none where it is left out.
type Change<'a> = dyn FnMut(&[String], String, Option<Value>) + 'a;

/// What no test can see: what the document is, where keys come from, how a provider that is scripted anyway behaves.
const UNSEEN: [&str; 5] = ["apiVersion", "kind", "key", "keys", "mock"];

/// Of a model also what its provider calls it, and what nothing in the policy asks for: how long a call may be, how long an
/// answer gets.
fn unseen(policy: &Value) -> Vec<&'static str> {
    let text = policy.to_string();
    let says = |what: &str| text.contains(&format!("\"{what}\":"));
    let mut unseen = vec!["name"];
    if !says("onContextOverflow") {
        unseen.push("contextTokens");
    }
    if says("reserveOutput") || !(says("usd") || says("tokens")) {
        unseen.push("maxOutputTokens");
    }
    unseen
}

fn visit(value: &Value, name: &str, path: &mut Vec<String>, change: &mut Change<'_>) {
    match value {
        Value::Object(entries) => {
            only_counting(entries, name, path, change);
            // Elsewhere the order of targets means nothing.
            if matches!(entries.get("strategy").and_then(Value::as_str), None | Some("ordered")) {
                swapped(entries, path, change);
            }
            for (key, entry) in entries {
                path.push(key.clone());
                change(path, "left out".to_owned(), None);
                visit(entry, if entry.is_object() && name == "limits" { "limit" } else { key }, path, change);
                path.pop();
            }
        }
        Value::Array(items) => list(items, path, change),
        Value::Number(number) => {
            if let Some(double) = number.as_u64().map(|number| number * 2) {
                change(path, format!("{number} -> {double}"), Some(json!(double)));
            } else if let Some(double) = number.as_f64().map(|number| number * 2.0) {
                change(path, format!("{number} -> {double}"), Some(json!(double)));
            }
        }
        Value::String(text) => {
            if let Some(other) = turned(text).or_else(|| doubled(text)) {
                change(path, format!("{text} -> {other}"), Some(other.into()));
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
}

/// A limit, or an access list, that does not say how it holds is made one that only counts.
fn only_counting(entries: &Map<String, Value>, name: &str, path: &[String], change: &mut Change<'_>) {
    if matches!(name, "limit" | "access") && !entries.contains_key("mode") {
        let mut shadow = entries.clone();
        shadow.insert("mode".to_owned(), json!("shadow"));
        change(path, "mode: enforce -> shadow".to_owned(), Some(shadow.into()));
    }
}

/// Targets that are neighbours change places.
fn swapped(route: &Map<String, Value>, path: &mut Vec<String>, change: &mut Change<'_>) {
    let targets = route.get("targets").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    path.push("targets".to_owned());
    for at in 1..targets.len() {
        let mut swapped = targets.to_vec();
        swapped.swap(at - 1, at);
        change(path, format!("{} and {at} swapped", at - 1), Some(swapped.into()));
    }
    path.pop();
}

fn list(items: &[Value], path: &mut Vec<String>, change: &mut Change<'_>) {
    for at in 0..items.len() {
        let mut fewer = items.to_vec();
        let dropped = fewer.remove(at);
        change(path, format!("without {dropped}"), Some(fewer.into()));
    }
    for (at, item) in items.iter().enumerate() {
        path.push(at.to_string());
        visit(item, "", path, change);
        path.pop();
    }
}

/// A word of two that mean the opposite.
fn turned(text: &str) -> Option<String> {
    let pairs =
        [("enforce", "shadow"), ("input", "nothing"), ("user", "key"), ("day", "month"), ("reject", "warn")];
    pairs.iter().find_map(|&(one, other)| match text {
        _ if text == one => Some(other.to_owned()),
        _ if text == other => Some(one.to_owned()),
        _ => None,
    })
}

/// Twice as much of money, of time, of a part: `500.00`, `30s`, `20%`.
fn doubled(text: &str) -> Option<String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (number, unit) = text.split_at(digits);
    if !matches!(unit, "" | "ms" | "s" | "m" | "h" | "d" | "%") {
        return None;
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let scaled: u64 = format!("{whole}{fraction}").parse().ok()?;
    let twice = format!("{:0>width$}", scaled * 2, width = fraction.len() + 1);
    let (whole, fraction) = twice.split_at(twice.len() - fraction.len());
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{whole}{point}{fraction}{unit}"))
}

/// The policy with another value at a place, or with nothing there.
fn with(policy: &Value, path: &[String], value: Option<Value>) -> Value {
    let mut policy = policy.clone();
    let (last, folders) = path.split_last().unwrap();
    let parent = folders.iter().fold(&mut policy, |value, name| step(value, name));
    match (value, parent) {
        (Some(value), parent) => *step(parent, last) = value,
        (None, Value::Object(entries)) => {
            entries.remove(last);
        }
        (None, other) => panic!("{other} has no entry {last}"),
    }
    policy
}

fn step<'v>(value: &'v mut Value, name: &str) -> &'v mut Value {
    if value.is_array() { &mut value[name.parse::<usize>().unwrap()] } else { &mut value[name] }
}

#[test]
fn amounts_are_doubled_with_their_unit() {
    for (text, double) in [
        ("500.00", "1000.00"),
        ("0.28", "0.56"),
        ("1m", "2m"),
        ("200ms", "400ms"),
        ("20%", "40%"),
        ("0.05", "0.10"),
    ] {
        assert_eq!(doubled(text).as_deref(), Some(double));
    }
    for text in ["2026-01-01", "22:00", "gpt-4.1", "chat", "", "2c26b46b"] {
        assert_eq!(doubled(text), None, "{text}");
    }
}

#[test]
fn every_change_is_of_one_place() {
    let policy = json!({ "tenants": { "app": { "limits": { "rpm": { "requests": 60, "per": "1m" } } } } });
    let told: Vec<_> = of(&policy).into_iter().map(|mutant| mutant.what).collect();
    let rpm = "tenants.app.limits.rpm";
    let wanted = [
        "tenants: left out".to_owned(),
        "tenants.app: left out".to_owned(),
        "tenants.app.limits: left out".to_owned(),
        format!("{rpm}: left out"),
        format!("{rpm}: mode: enforce -> shadow"),
        format!("{rpm}.per: left out"),
        format!("{rpm}.per: 1m -> 2m"),
        format!("{rpm}.requests: left out"),
        format!("{rpm}.requests: 60 -> 120"),
    ];
    assert_eq!(told, wanted);
}
