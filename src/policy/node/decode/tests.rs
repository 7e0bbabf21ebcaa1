use serde::Deserialize;

use super::*;
use crate::policy::load::Sources;
use crate::policy::node::parse;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Thing {
    name: Option<At<String>>,
    count: Option<At<u32>>,
    list: Option<At<Vec<At<u32>>>>,
    kind: Option<At<Kind>>,
    more: Option<At<Entries<Self>>>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Kind {
    Plain,
    With { many: At<u32> },
    Of(At<String>),
}

fn read(text: &str) -> (Option<Thing>, Vec<String>) {
    let sources = Sources::single("t.yaml", text);
    let mut found = Findings::new(&sources);
    let nodes = parse(0, text.as_bytes(), &mut found);
    let thing = decode(&nodes[0], &mut found);
    let told = found.finish(None::<()>).unwrap_err();
    let place =
        |d: &crate::policy::diagnostic::Diagnostic| d.place.clone().map_or((0, 0), |p| (p.line, p.column));
    (thing, told.iter().map(|d| format!("{:?} {}", place(d), d.message)).collect())
}

#[test]
fn values_know_their_places() {
    let (thing, told) = read("name: a\nlist: [1, 2]\nmore:\n  b: { count: 3 }\n");
    assert!(told.is_empty(), "{told:?}");
    let thing = thing.unwrap();
    let at = |span: Span| (span.line, span.column, span.length);
    assert_eq!(at(thing.name.unwrap().span), (1, 7, 1));
    assert_eq!(at(thing.list.unwrap().value.unwrap()[1].span), (2, 11, 1));
    let more = thing.more.unwrap().value.unwrap();
    assert_eq!((more.0[0].name.as_str(), at(more.0[0].span)), ("b", (4, 3, 1)));
    assert_eq!(more.0[0].value.as_ref().unwrap().count.unwrap().value, Some(3));
}

#[test]
fn one_fault_does_not_hide_the_next() {
    let (thing, told) = read(
        "name: 1\ncount: x\nlist: [1, two, 3]\nnmae: b\nmore: { a: 1, b: { count: [] }, c: { count: 4 } }\n",
    );
    assert_eq!(
        told,
        [
            "(1, 7) expected text, found the number 1",
            "(2, 8) expected a whole number up to 4294967295, found text",
            "(3, 11) expected a whole number up to 4294967295, found text",
            "(4, 1) unknown field `nmae`",
            "(5, 12) expected a map, found a number",
            "(5, 27) expected a whole number up to 4294967295, found a list",
        ]
    );
    let more = thing.unwrap().more.unwrap().value.unwrap();
    assert!(more.0[0].value.is_none());
    assert_eq!(more.0[2].value.as_ref().unwrap().count.unwrap().value, Some(4));
}

#[test]
fn choices_are_words_or_maps_of_one_key() {
    let kind = |text: &str| read(&format!("kind: {text}")).0.unwrap().kind.unwrap().value;
    assert_eq!(kind("plain"), Some(Kind::Plain));
    assert!(matches!(kind("{ with: { many: 2 } }"), Some(Kind::With { many: At { value: Some(2), .. } })));
    assert!(matches!(kind("{ of: x }"), Some(Kind::Of(At { value: Some(_), .. }))));
    let told = |text: &str| read(&format!("kind: {text}")).1;
    assert_eq!(told("plan"), ["(1, 7) unknown choice `plan`"]);
    assert_eq!(told("with"), ["(1, 7) expected a choice with arguments, found a choice without arguments"]);
    assert_eq!(told("{ plain: {} }"), ["(1, 16) this choice has no arguments"]);
    assert_eq!(told("{ with: { manny: 2 } }"), ["(1, 17) unknown field `manny`"]);
    assert_eq!(told("{ plain: 1, of: 2 }"), ["(1, 7) expected one of plain, with, of, found several"]);
    assert_eq!(told("3"), ["(1, 7) expected one of plain, with, of, found a number"]);
}

#[test]
fn nothing_is_no_value() {
    assert_eq!(
        read("name:\ncount: ~\n").1,
        [
            "(1, 5) expected text, found nothing",
            "(2, 8) expected a whole number up to 4294967295, found nothing"
        ]
    );
}
