//! The schema says what the decoder reads, no less and hardly more.

mod mutants;

use std::sync::OnceLock;

use jsonschema::Validator;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;
use crate::policy::compile::names;
use crate::policy::diagnostic::{Findings, Span};
use crate::policy::load::Sources;
use crate::policy::node::{decode, parse};
use crate::policy::spec::{
    Amount, Buffer, Date, Decimal, Dollars, Expected, HedgeAfter, KeyHash, Left, Moment, Per, Percent, Ratio,
    Size, Time, TimeSpan, Zone,
};

fn policies() -> &'static Validator {
    static POLICIES: OnceLock<Validator> = OnceLock::new();
    POLICIES.get_or_init(|| jsonschema::validator_for(&policy()).unwrap())
}

/// Fails where a policy in that text is not as the schema says.
pub(in crate::policy) fn accepts_all_of(text: &str) {
    let documents: Vec<Value> = serde_yaml::from_multiple(text).unwrap();
    for document in documents.iter().filter(|document| document["kind"] == "Policy") {
        let faults: Vec<String> = policies()
            .iter_errors(document)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{}\n{text}", faults.join("\n"));
    }
}

/// Whether the decoder reads it.
fn reads<T: DeserializeOwned>(value: &Value) -> bool {
    let sources = Sources::single("t.yaml", value.to_string());
    let mut found = Findings::new(&sources);
    let nodes = parse(0, &sources.files()[0].bytes, &mut found);
    nodes.first().is_some_and(|node| decode::decode::<T>(node, &mut found).is_some()) && found.errors() == 0
}

/// Both accept the good ones and refuse the others.
#[track_caller]
fn agree<T: DeserializeOwned + JsonSchema>(good: &[Value], bad: &[Value]) {
    let schema = jsonschema::validator_for(&of::<T>()).unwrap();
    let of_no_value = [json!(null), json!(true), json!([]), json!({}), json!("x y"), json!(-1), json!("")];
    for (values, are_good) in [(good, true), (bad, false), (&of_no_value[..], false)] {
        for value in values {
            assert_eq!((reads::<T>(value), schema.is_valid(value)), (are_good, are_good), "{value}");
        }
    }
}

fn texts(all: &[&str]) -> Vec<Value> {
    all.iter().map(|text| json!(text)).collect()
}

#[test]
fn time_spans_have_a_unit() {
    let faults = texts(&["30", "30 s", "s", "1.5s", "-1s", "30S", "1w", "30s ", "1m30s", "²s", "day"]);
    agree::<TimeSpan>(&texts(&["500ms", "30s", "1m", "2h", "1d", "0s", "007s"]), &faults);
    agree::<TimeSpan>(&[], &[json!(30), json!(1.5)]);
    agree::<Per>(&texts(&["1m", "31d", "day", "week", "month"]), &texts(&["Day", "year", "60", "days"]));
    agree::<Per>(&[], &[json!(60)]);
    agree::<HedgeAfter>(&texts(&["p95", "2s"]), &texts(&["p99", "P95", "95", "day"]));
}

#[test]
fn money_is_a_decimal_number_in_quotes() {
    let good = texts(&["500.00", "0", "0.123456789", "007", "18446744073"]);
    let bad = texts(&["1.", ".5", "1,000", "$5", "5 ", "+5", "-5", "1e3", "0.1234567891", "1_000"]);
    agree::<Dollars>(&good, &bad);
    agree::<Dollars>(&[], &[json!(500), json!(500.0)]);
    agree::<Decimal>(&texts(&["2.00", "0", "0.123456789"]), &bad);
    agree::<Decimal>(&[], &[json!(2), json!(2.5)]);
    agree::<Amount>(&[json!(0), json!(900_000), json!("499.00")], &[json!(1.5), json!("12a")]);
}

#[test]
fn parts_say_what_they_are_of() {
    agree::<Buffer>(&texts(&["1%", "10%", "50%", "010%"]), &texts(&["0%", "51%", "10", "1.5%", "%", "10 %"]));
    agree::<Left>(&texts(&["1%", "20%", "100%", "020%"]), &texts(&["0%", "101%", "20", "1.5%", "%"]));
    agree::<Percent>(&texts(&["50%", "12.5%", "100%", "0.1%"]), &texts(&["50", "12.55%", "%", ".5%", "5.%"]));
    agree::<Ratio>(
        &[json!(0), json!(0.2), json!(1), json!(10), json!(2.125)],
        &[json!(10.5), json!(11), json!("0.2")],
    );
}

#[test]
fn other_values_have_their_forms() {
    agree::<Size>(
        &[json!(4096), json!("4096"), json!("64Ki"), json!("100Mi"), json!("1Gi")],
        &[json!("1KB"), json!("1 Ki"), json!("Ki"), json!(1.5), json!("64ki"), json!("1Ti")],
    );
    agree::<Expected>(
        &[json!(0), json!(1000), json!("learned")],
        &[json!(1.5), json!("1000"), json!("Learned")],
    );
    agree::<Date>(
        &texts(&["2026-01-01", "2026-12-31"]),
        &texts(&["2026-1-1", "20260101", "2026-01-01T00:00:00Z"]),
    );
    agree::<Time>(
        &texts(&["00:00", "22:00", "23:59"]),
        &texts(&["24:00", "9:00", "22:60", "22:00:00", "22h"]),
    );
    agree::<Moment>(
        &texts(&[
            "2026-03-02T09:00:00Z",
            "2026-03-02T09:00:00.5+01:00",
            "2026-03-02T09:00:00-08:00",
            "2026-03-02 09:00Z",
        ]),
        &texts(&["2026-03-02", "2026-03-02T09:00:00", "09:00", "now"]),
    );
    agree::<Zone>(
        &texts(&["UTC", "Europe/Berlin", "America/Port-au-Prince", "Etc/GMT+1"]),
        &texts(&["Europe Berlin", "Zürich"]),
    );
    let hash = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    agree::<KeyHash>(
        &texts(&[hash, &hash.to_uppercase()]),
        &texts(&[&hash[1..], &format!("{hash}0"), &"g".repeat(64)]),
    );
}

#[test]
fn names_are_as_the_compiler_wants_them() {
    let schema = jsonschema::validator_for(&json!({ "pattern": names::PATTERN })).unwrap();
    let long = "x".repeat(128);
    let good = ["a", "gpt-4.1", "org/model:free", "a_b@c", "0", &long];
    let too_long = "x".repeat(129);
    let bad = ["", "-a", ".a", "a b", "a*", "ä", "a\n", "a$", &too_long];
    for (names, are_good) in [(&good[..], true), (&bad[..], false)] {
        for name in names {
            let sources = Sources::single("t.yaml", "");
            let mut found = Findings::new(&sources);
            let passes = names::check("model", name, Span::default(), &mut found);
            assert_eq!((passes, schema.is_valid(&json!(name))), (are_good, are_good), "{name:?}");
        }
    }
}
