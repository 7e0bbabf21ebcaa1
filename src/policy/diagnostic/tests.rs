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
        found.warning(span(2, 1, 1), "two");
        found.error(span(1, 1, 1), "one");
    });
    let order: Vec<_> = text.lines().filter(|l| l.contains(": ")).collect();
    assert_eq!(order, ["error: one", "error: three", "warning: two"]);
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
