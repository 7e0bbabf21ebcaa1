use proptest::prelude::*;

use super::*;

fn rendered(text: &str, find: impl FnOnce(&mut Findings<'_>)) -> String {
    let sources = Sources::single("policy.yaml", text);
    let mut found = Findings::new(&sources);
    find(&mut found);
    found.finish(None::<()>).unwrap_err().to_string()
}

fn span(line: u32, column: u32, length: u32) -> Span {
    Span { file: 0, line, column, length }
}

#[test]
fn a_finding_shows_its_line_a_caret_a_hint_and_the_other_place() {
    let text = rendered("a: 1\nb: two\n", |found| {
        let first = found.place(span(1, 1, 1));
        found.error(span(2, 4, 3), "no number").hint("write 2").other("the first is here", first);
    });
    let expected = "error: no number
 --> policy.yaml:2:4
  |
2 | b: two
  |    ^^^
  = help: write 2
note: the first is here
 --> policy.yaml:1:1
  |
1 | a: 1
  | ^";
    assert_eq!(text, expected);
}

#[test]
fn errors_are_told_first_then_by_place_and_those_without_one_last() {
    let text = rendered("a\nb\n", |found| {
        found.error_overall("three");
        found.warning(Code::NoLimits, span(2, 1, 1), "two");
        found.error(span(1, 1, 1), "one");
    });
    let order: Vec<_> = text.lines().filter(|l| l.contains(": ")).collect();
    assert_eq!(order, ["error: one", "error: three", "warning[no-limits]: two"]);
}

#[test]
fn a_concealed_line_is_shown_up_to_the_secret() {
    let text = rendered("key: |\n  hunter2\n", |found| {
        found.error_at_secret(span(2, 3, 7), "no secrets here");
    });
    assert!(text.contains("2 |   ***\n"), "{text}");
}

#[test]
fn findings_beyond_the_cap_are_counted() {
    let text = rendered("a\n", |found| {
        for _ in 0..MAX_FINDINGS + 7 {
            found.error(span(1, 1, 1), "again");
        }
    });
    assert!(text.ends_with("... and 7 more"));
}

#[test]
fn no_error_is_left_out_for_warnings_that_came_before() {
    let text = rendered("a\n", |found| {
        for _ in 0..=MAX_FINDINGS {
            found.warning(Code::NoLimits, span(1, 1, 1), "again");
        }
        found.error(span(1, 1, 1), "the cause");
    });
    assert!(text.starts_with("error: the cause\n"), "{text}");
    assert!(text.ends_with("... and 2 more"), "{text}");
}

#[test]
fn warnings_that_are_allowed_are_neither_told_nor_counted() {
    let sources = Sources::single("policy.yaml", "a\n");
    let mut found = Findings::new(&sources);
    found.allow(&[Code::NoLimits]);
    found.warning(Code::NoLimits, span(1, 1, 1), "one").hint("none");
    found.warning(Code::NoKey, span(1, 1, 1), "two");
    let told = found.told();
    assert_eq!((told.counts(), told.left_out()), ((0, 1), 0));
}

#[test]
fn a_place_ends_behind_its_last_character_on_its_line() {
    let sources = Sources::single("policy.yaml", "key: |\n  é words  \n");
    let mut found = Findings::new(&sources);
    assert_eq!(found.place(span(1, 1, 3)).end_column, 4);
    assert_eq!(found.place(span(2, 3, 90)).end_column, 10);
    assert_eq!(found.place(span(2, 3, 0)).end_column, 4);
}

#[test]
fn colours_stand_around_the_same_text() {
    let sources = Sources::single("policy.yaml", "a: b\n");
    let mut found = Findings::new(&sources);
    found.error(span(1, 4, 1), "no").hint("write c");
    let told = found.told();
    let error = told.iter().next().unwrap();
    let coloured = error.painted(Paint::COLOURED).to_string();
    assert!(coloured.starts_with("\u{1b}[1;31merror\u{1b}[0m"), "{coloured}");
    let plain: String = coloured
        .split('\u{1b}')
        .map(|part| part.split_once('m').filter(|_| part.starts_with('[')).map_or(part, |(_, rest)| rest))
        .collect();
    assert_eq!(plain, error.to_string());
}

#[test]
fn a_long_line_is_cut_around_its_caret() {
    let text = rendered(&format!("{}X{}", "a".repeat(500), "b".repeat(500)), |found| {
        found.error(span(1, 501, 1), "here");
    });
    let lines: Vec<&str> = text.lines().collect();
    let caret = lines[4].find('^').unwrap();
    assert_eq!(lines[3].as_bytes()[caret], b'X');
    assert!(lines[3].len() < 160);
}

#[test]
fn a_near_name_is_suggested_and_a_far_one_is_not() {
    let names = ["requests", "concurrent", "per"];
    assert_eq!(did_you_mean("reqests", names).as_deref(), Some("did you mean `requests`?"));
    assert_eq!(did_you_mean("Concurrent", names).as_deref(), Some("did you mean `concurrent`?"));
    assert_eq!(did_you_mean("tokens", names), None);
}

proptest! {
    #[test]
    fn any_text_at_any_place_renders(text in "\\PC{0,40}(\n\\PC{0,40})?", line in 0u32..4, column in 0u32..60, length in 0u32..60) {
        rendered(&text, |found| { found.error_at_secret(span(line, column, length), "x"); });
        rendered(&text, |found| { found.error(span(line, column, length), "x"); });
    }
}
