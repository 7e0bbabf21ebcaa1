use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::policy::diagnostic::Diagnostics;
use crate::policy::load::Sources;

/// The documents and, if any, the one finding.
fn read(bytes: impl Into<Vec<u8>>) -> (Vec<Node>, Option<String>) {
    let sources = Sources::single("p.yaml", bytes);
    let mut found = Findings::new(&sources);
    let nodes = parse(0, &sources.files()[0].bytes, &mut found);
    let told: Diagnostics = found.finish(None::<()>).unwrap_err();
    assert!(told.iter().count() <= 1);
    let shown = told.iter().next().map(|d| {
        let place = d.place.as_ref().unwrap();
        format!("{}:{} {}", place.line, place.column, d.message)
    });
    (nodes, shown)
}

/// What is wrong with a text, which must be said soon.
fn fault(bytes: impl Into<Vec<u8>>) -> String {
    let bytes = bytes.into();
    let clock = Clock::system();
    let begun = clock.now();
    let fault = read(bytes).1.expect("a fault");
    let took = clock.now() - begun;
    assert!(took < bound(), "{took:?}");
    fault
}

/// What is promised of the built binary is a second; without optimisation, on a machine that has other things to do, it may take long.
fn bound() -> Duration {
    Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 1 })
}

#[test]
fn scalars_keep_their_kinds_and_places() {
    let (nodes, fault) = read("a: 1\nb: [yes, true, 1.5, '1', ~, -2]\n");
    assert_eq!(fault, None);
    let Value::List(items) = &nodes[0].field("b").unwrap().value else { panic!() };
    let text = |text: &str| Value::Text(text.to_owned());
    let kinds: Vec<_> = items.iter().map(|item| item.value.clone()).collect();
    assert_eq!(
        kinds,
        [text("yes"), Value::Bool(true), Value::Fraction(1.5), text("1"), Value::Null, Value::Whole(-2)]
    );
    assert_eq!((items[1].span.line, items[1].span.column, items[1].span.length), (2, 10, 4));
}

#[test]
fn keys_are_text_and_none_comes_twice() {
    assert!(read("404: a\n").0[0].field("404").is_some());
    assert_eq!(fault("a: 1\nb: 2\na: 3\n"), "3:1 `a` is written twice in one map");
    assert_eq!(fault("x: { key: 1, \"key\": 2 }"), "1:14 `key` is written twice in one map");
}

#[test]
fn empty_files_comments_a_byte_order_mark_and_several_documents_are_fine() {
    assert_eq!(read("").0.len(), 0);
    assert_eq!(read("# only a comment\n").0.len(), 0);
    assert_eq!(read("\u{feff}a: 1\n").0[0].field("a").unwrap().value, Value::Whole(1));
    assert_eq!(read("a: 1\n---\n---\nb: 2\n").0.len(), 2);
}

#[test]
fn what_is_no_text_or_no_yaml_is_said_where_it_is() {
    assert_eq!(fault(b"a: 1\nb: \xff\n".to_vec()), "2:4 the file is not UTF-8 from here on");
    assert_eq!(fault("a: 1\nb: \0\n"), "2:4 the file holds a NUL byte, so it is no text");
    for (text, line) in [
        ("a:\n\tb: 1\n", "2:"),
        ("a: [1, 2\n", ""),
        ("a: \"x\n", ""),
        ("a: b: c\n", "1:"),
        ("- a\nb: 1\n", "2:"),
    ] {
        let fault = fault(text);
        assert!(fault.starts_with(line) && fault.contains("this is not YAML"), "{text:?}: {fault}");
    }
}

#[test]
fn what_yaml_has_beyond_plain_trees_is_refused() {
    assert_eq!(
        fault("a: &x { b: 1 }\nc:\n  <<: *x\n"),
        "3:3 merge keys (`<<`) are not part of the policy language"
    );
    assert_eq!(fault("a: !include x.yaml\n"), "1:4 tags are not part of the policy language");
    assert_eq!(fault("a: *x\n"), "1:4 this alias has no anchor");
}

#[test]
fn an_alias_bomb_is_refused_within_a_second() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..30 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb += &format!("a{i}: &a{i} [{aliases}]\n");
    }
    assert!(fault(bomb).ends_with("aliases make too much of this file"));
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(5000), "*a, ".repeat(5000));
    assert!(fault(wide).ends_with("aliases make too much of this file"));
    assert_eq!(fault("a: &a [*a]\n"), "1:8 aliases make too much of this file");
}

#[test]
fn deep_nesting_is_refused_within_a_second_and_64_levels_are_fine() {
    let lists = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let maps = |depth: usize| (0..depth).map(|i| format!("{}a:\n", " ".repeat(i))).collect::<String>();
    assert_eq!(read(lists(60)).1, None);
    for text in [
        lists(70),
        lists(10_000),
        "[".repeat(1_000_000),
        maps(70),
        maps(3_000),
        "{a: ".repeat(10_000),
        "- ".repeat(10_000),
    ] {
        let fault = fault(text);
        assert!(fault.ends_with("nested deeper than 64 levels"), "{fault}");
    }
}

#[test]
fn ten_megabytes_are_judged_within_a_second() {
    const MB: usize = 1024 * 1024;
    let lines = "- {a: 1, b: [x, y]}\n".repeat(10 * MB / 20);
    assert_eq!(fault(lines).split_once(' ').unwrap().1, "more than 700000 values in one file");
    let scalars = format!("[{}]", "x,".repeat(5 * MB));
    assert!(fault(scalars).contains("700000"));
    assert!(fault("- ".repeat(5 * MB)).contains("64 levels"));
    assert!(fault("\"".to_owned() + &"a".repeat(10 * MB)).contains("this is not YAML"));
    assert!(fault("&a ".repeat(10 * MB / 3)).contains("not YAML"));
}
