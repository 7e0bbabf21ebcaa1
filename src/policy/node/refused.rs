//! What the YAML parser refuses, in the words of a policy's author.

use serde_yaml::budget::BudgetBreach;
use serde_yaml::{DefaultMessageFormatter, Error, MessageFormatter};

use super::{MAX_DEPTH, span};
use crate::policy::diagnostic::{Code, Findings, Span, quoted, shown};

/// Says in the words of a policy's author what the parser stumbled over.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's enum, and open: what has no words of ours gets the parser's"
)]
pub(super) fn report(error: &Error, file: u32, found: &mut Findings<'_>) {
    let at = error
        .location()
        .map_or(Span { file, line: 1, column: 1, length: 1 }, |location| Span { file, ..span(location) });
    let mut cause = error;
    while let Error::AliasError { error, .. } = cause {
        cause = error;
    }
    let (code, message, hint) = match cause {
        Error::DuplicateMappingKey { key, .. } => (
            Code::DefinedTwice,
            key.as_deref().map_or_else(
                || "this key is written twice in one map".to_owned(),
                |key| format!("{} is written twice in one map", quoted(key)),
            ),
            Some("keep one of them"),
        ),
        Error::MergeKeyNotAllowed { .. } => (
            Code::NotYaml,
            "merge keys (`<<`) are not part of the policy language".to_owned(),
            Some("write the fields out, or use an alias for a whole value"),
        ),
        Error::Budget { breach, .. } => {
            (Code::TooMuch, over_budget(breach).to_owned(), Some("split the policy into several files"))
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => (
            Code::TooMuch,
            "aliases make too much of this file".to_owned(),
            Some("write some of the values out"),
        ),
        Error::UnknownAnchor { .. } => {
            (Code::NotYaml, "this alias has no anchor".to_owned(), Some("quote a text that begins with `*`"))
        }
        Error::UnsupportedTag { .. } => (
            Code::NotYaml,
            "tags are not part of the policy language".to_owned(),
            Some("remove it, or quote a text that begins with `!`"),
        ),
        other => {
            let message = syntax(other);
            let code = if message.starts_with("nested") { Code::TooMuch } else { Code::NotYaml };
            if let Some(at) = without_colon(at, &message, found) {
                let message = "this is not YAML: no `: ` in this line, and the next is none of its text";
                found.error(at, message).code(code).hint(COLON);
                return;
            }
            let hint = HINTS.iter().find(|(part, _)| message.contains(part)).map(|(_, hint)| *hint);
            (code, message, hint)
        }
    };
    let at = behind(at, &message, found);
    found.error(at, message).code(code).maybe_hint(hint.map(str::to_owned));
}

const COLON: &str = "write `NAME: VALUE`, with a colon and a space; or is one of the lines indented too far?";

/// What to do about what the parser says, by a part of its words.
const HINTS: &[(&str, &str)] = &[
    (" tab", "indent with spaces"),
    ("anchor or alias", "quote a text that begins with `*` or `&`"),
    ("unexpected character", "quote a text that begins with it"),
    ("escape", "in single quotes, `\\` stands for itself"),
    (
        "mapping values are not allowed",
        "is this line indented as those around it? A text with `: ` in it is quoted",
    ),
    ("did not find expected key", "is this line indented as those around it?"),
    ("expected '-' indicator", "is this line indented as those around it?"),
    ("unclosed bracket", "add what closes it"),
    ("unclosed quote", "add what closes it"),
    ("misplaced bracket", "nothing is open here: remove it"),
    ("keys of maps", "write `NAME: VALUE`; a name that is a number or a word such as null is quoted"),
];

/// Where the cause stands, where the parser names what comes behind it.
fn behind(at: Span, message: &str, found: &mut Findings<'_>) -> Span {
    let Some(line) = found.text(at.file, at.line) else { return at };
    let before = || line.chars().take((at.column as usize).saturating_sub(1));
    let column = if message.contains(" tabs ") {
        line.chars().position(|c| c == '\t')
    } else if message.starts_with("tags ") {
        before().collect::<Vec<_>>().iter().rposition(|c| *c == '!')
    } else if line.trim_start().starts_with("- ") {
        // Where a list ends, the parser names what its last line holds.
        let dash = line.chars().position(|c| c == '-');
        dash.filter(|dash| dash + 3 == at.column as usize)
    } else {
        None
    };
    column.map_or(at, |column| Span { column: super::narrow(column + 1), length: 1, ..at })
}

/// A line shortly before, whose colon is missing: the parser takes it and the next for one text.
fn without_colon(at: Span, message: &str, found: &mut Findings<'_>) -> Option<Span> {
    let is_of_maps =
        ["mapping values are not allowed", "did not find expected key", "could not find expected ':'"];
    if !is_of_maps.iter().any(|part| message.contains(part)) {
        return None;
    }
    let mut lines = (at.line.saturating_sub(2)..at.line).rev();
    lines.find_map(|line| {
        let text = found.text(at.file, line)?;
        let word = text.trim();
        let is_text = word.starts_with(|c: char| c.is_ascii_alphanumeric());
        let ends = word.ends_with([':', ',', '[', '{', ']', '}', '"', '\'', '|', '>']);
        let column = super::narrow(text.chars().take_while(|c| *c == ' ').count() + 1);
        let length = super::narrow(word.chars().count());
        (is_text && !ends && !word.contains(": ")).then_some(Span { file: at.file, line, column, length })
    })
}

/// The parser's own words; they name characters and tokens, not values.
fn syntax(error: &Error) -> String {
    let message = DefaultMessageFormatter.format_message(error);
    let message = message.split('\n').next().unwrap_or_default();
    if message.contains("nest") || message.contains("recursion") {
        return format!("nested deeper than {MAX_DEPTH} levels");
    }
    if message.contains("into string") || message.contains("string scalar") {
        return "the keys of maps are texts".to_owned();
    }
    format!("this is not YAML: {}", shown(message, 200))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's enum, and open: what is left counts values in one way or another"
)]
fn over_budget(breach: &BudgetBreach) -> &'static str {
    match breach {
        BudgetBreach::Depth { .. } => "nested deeper than 64 levels",
        BudgetBreach::Documents { .. } => "more than 1000 documents in one file",
        BudgetBreach::Aliases { .. }
        | BudgetBreach::Anchors { .. }
        | BudgetBreach::RecordedAnchorEvents { .. }
        | BudgetBreach::RecordedAnchorBytes { .. }
        | BudgetBreach::AliasAnchorRatio { .. } => "too many anchors or aliases",
        _ => "more than 700000 values in one file",
    }
}
