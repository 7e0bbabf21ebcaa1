//! Documents that say everything, each with one fault: what the decoder refuses the schema refuses, and what the schema
//! refuses `egret check` refuses.

use super::*;
use crate::policy::compile::{compile, suite};
use crate::policy::spec::{Policy, test::PolicyTest};

/// What stands in the place of each value in turn.
fn others() -> [Value; 7] {
    [json!(null), json!(true), json!(-7), json!(1.5), json!("x y"), json!([]), json!({})]
}

struct Mutant {
    /// The pointer to what is changed.
    place: String,
    what: String,
    document: Value,
}

impl Mutant {
    /// What of it the decoder has to judge: the named thing in which the change is, alone.
    fn part(&self) -> Value {
        let mut names = self.place.split('/').skip(1);
        let (Some(section), Some(name)) = (names.next(), names.next()) else { return self.document.clone() };
        let mut part = self.document.clone();
        let Some(fields) = part.as_object_mut() else { return part };
        fields.retain(|field, _| field == section);
        if let Some(Value::Object(entries)) = fields.get_mut(section) {
            entries.retain(|entry, _| entry == name);
        }
        part
    }
}

/// Each with one value replaced, left out or with an unknown name beside it.
fn mutants(of: &Value) -> Vec<Mutant> {
    let mut places = Vec::new();
    note_places(of, String::new(), &mut places);
    let mut mutants = Vec::new();
    for place in places {
        let mut with = |what: String, change: &dyn Fn(&mut Value)| {
            let mut document = of.clone();
            change(document.pointer_mut(&place).unwrap());
            mutants.push(Mutant { place: place.clone(), what, document });
        };
        for other in others() {
            with(other.to_string(), &|at| *at = other.clone());
        }
        let Some(fields) = of.pointer(&place).and_then(Value::as_object) else { continue };
        with("an unknown field".to_owned(), &|at| {
            at.as_object_mut().unwrap().insert("nobodyKnows".to_owned(), json!(1));
        });
        for name in fields.keys() {
            with(format!("no {name}"), &|at| {
                at.as_object_mut().unwrap().remove(name);
            });
        }
    }
    mutants
}

fn note_places(of: &Value, at: String, places: &mut Vec<String>) {
    match of {
        Value::Object(fields) => {
            for (name, value) in fields {
                note_places(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                note_places(item, format!("{at}/{n}"), places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    places.push(at);
}

fn judge<T: DeserializeOwned>(document: &Value, schema: &Validator, check: impl Fn(&Value) -> bool) {
    let faults: Vec<String> = schema.iter_errors(document).map(|fault| fault.to_string()).collect();
    assert_eq!(faults, [""; 0]);
    assert!(reads::<T>(document) && check(document), "the document is good");
    let mut wrong = Vec::new();
    let mutants = mutants(document);
    for mutant in &mutants {
        let Mutant { place, what, document } = mutant;
        match (schema.is_valid(document), reads::<T>(&mutant.part())) {
            (true, false) => wrong.push(format!("the decoder alone refuses at {place}: {what}")),
            (false, true) if check(document) => {
                wrong.push(format!("the schema alone refuses at {place}: {what}"));
            }
            // What the decoder refuses, no later stage sees.
            (true, true) | (false, _) => {}
        }
    }
    assert!(mutants.len() > 300);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), mutants.len(), wrong.join("\n"));
}

/// What the reference has that is not built yet.
const NOT_BUILT: [&str; 7] = [
    "/auth",
    "/tenants/checkout/match/2",
    "/tenants/checkout/match/1",
    "/tenants/checkout/attributes/user",
    "/tenants/checkout/attributes/app",
    "/tenants/checkout/limits/day/onLedgerDown",
    "/tenants/inhouse/access/mode",
];

#[test]
fn schema_and_decoder_agree_on_every_fault_of_a_policy_that_says_everything() {
    const REFERENCE: &str = include_str!("../../../../policies/reference.yaml");
    let told = compile(&Sources::single("t.yaml", REFERENCE)).map_or_else(|found| found.counts().0, |_| 0);
    assert_eq!(told, NOT_BUILT.len(), "all that is not built yet is left out here");
    let mut reference: Value = serde_yaml::from_str(REFERENCE).unwrap();
    for place in NOT_BUILT {
        let (of, name) = place.rsplit_once('/').unwrap();
        let around = reference.pointer_mut(of).unwrap();
        if let Value::Array(items) = around {
            items.remove(name.parse().unwrap());
        } else {
            assert!(around.as_object_mut().unwrap().remove(name).is_some(), "{place}");
        }
    }
    let check = |policy: &Value| compile(&Sources::single("t.yaml", policy.to_string())).is_ok();
    judge::<Policy>(&reference, policies(), check);
}

/// Tests that say everything, of a small policy.
const TESTS: &str = include_str!("everything.yaml");

#[test]
fn schema_and_decoder_agree_on_every_fault_of_tests_that_say_everything() {
    let [policy, tests]: [Value; 2] = serde_yaml::from_multiple(TESTS).unwrap().try_into().unwrap();
    let (snapshot, _) = compile(&Sources::single("t.yaml", policy.to_string())).unwrap();
    let check = |tests: &Value| {
        let sources = Sources::single("t.yaml", tests.to_string());
        suite::read(&sources)
            .is_ok_and(|all| !all.is_empty() && all.iter().all(|of| of.compile(&sources, &snapshot).is_ok()))
    };
    let schema = jsonschema::validator_for(&policy_test()).unwrap();
    judge::<PolicyTest>(&tests, &schema, check);
}
