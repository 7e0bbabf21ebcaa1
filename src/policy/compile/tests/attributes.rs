//! `attributes` of tenants: where calls say what they are about.

use super::*;
use crate::policy::snapshot::{Attributes, Source};

fn attributed(attributes: &str) -> String {
    with("local: true,", &format!("local: true, attributes: {{ {attributes} }},"))
}

/// The one error that they bring.
fn fault(attributes: &str) -> String {
    fault_of("local: true,", &format!("local: true, attributes: {{ {attributes} }},"))
}

#[test]
fn a_tenant_says_where_its_calls_say_what_they_are_about() {
    assert_eq!(good(GOOD).0.tenants["app"].attributes, Attributes::default());
    let (snapshot, warnings) = good(&attributed(
        "task: { header: X-Egret-Task }, priority: { metadata: priority }, skills: { header: x-skills }, \
         latencyBudget: { metadata: \"latency budget\" }",
    ));
    assert_eq!(warnings, [""; 0]);
    let header = |name: &str| Some(Source::Header(name.parse().unwrap()));
    let metadata = |name: &str| Some(Source::Metadata(name.into()));
    let expected = Attributes {
        task: header("x-egret-task"),
        priority: metadata("priority"),
        skills: header("x-skills"),
        latency_budget: metadata("latency budget"),
    };
    assert_eq!(snapshot.tenants["app"].attributes, expected);
}

#[test]
fn an_attribute_has_one_source() {
    let both = "expected one of header, metadata, found several";
    assert_eq!(fault("task: { header: x-task, metadata: task }"), both);
    assert_eq!(fault("task: {}"), "expected one of header, metadata, found an empty map");
    assert_eq!(fault("task: { headr: x-task }"), "unknown choice `headr`");
    assert_eq!(fault("task: x-task"), "unknown choice `x-task`");
    assert_eq!(fault("task: { header: \"x task\" }"), "`x task` cannot be the name of a header");
    assert_eq!(fault("task: { header: 5 }"), "expected text, found the number 5");
    assert_eq!(
        fault("task: { header: cookie }"),
        "header `cookie` carries a credential, into which no policy looks"
    );
    let long = "a".repeat(65);
    for wrong in ["", "a\\nb", &long] {
        assert_eq!(
            fault(&format!("task: {{ metadata: \"{wrong}\" }}")),
            "a member of `metadata` has a name of 1 to 64 characters"
        );
    }
}

#[test]
fn who_a_caller_is_does_not_come_from_its_calls_yet() {
    for who in ["user", "app"] {
        assert_eq!(
            fault(&format!("{who}: {{ header: x-{who}, trust: true }}")),
            format!("`{who}` is not built yet")
        );
    }
    assert_eq!(fault("tsk: { header: x-task }"), "unknown field `tsk`");
}
