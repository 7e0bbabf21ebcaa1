//! What the YAML parser refuses, in the words of a policy's author.

use serde_yaml::budget::BudgetBreach;
use serde_yaml::{DefaultMessageFormatter, Error, MessageFormatter};

use super::{MAX_DEPTH, span};
use crate::policy::diagnostic::{Findings, Span, quoted, shown};

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
    let (message, hint) = match cause {
        Error::DuplicateMappingKey { key, .. } => (
            key.as_deref().map_or_else(
                || "this key is written twice in one map".to_owned(),
                |key| format!("{} is written twice in one map", quoted(key)),
            ),
            Some("keep one of them"),
        ),
        Error::MergeKeyNotAllowed { .. } => (
            "merge keys (`<<`) are not part of the policy language".to_owned(),
            Some("write the fields out, or use an alias for a whole value"),
        ),
        Error::Budget { breach, .. } => {
            (over_budget(breach).to_owned(), Some("split the policy into several files"))
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => {
            ("aliases make too much of this file".to_owned(), Some("write some of the values out"))
        }
        Error::UnknownAnchor { .. } => {
            ("this alias has no anchor".to_owned(), Some("quote a text that begins with `*`"))
        }
        Error::UnsupportedTag { .. } => ("tags are not part of the policy language".to_owned(), None),
        other => {
            let message = syntax(other);
            let hint = message.contains("tab").then_some("indent with spaces");
            (message, hint)
        }
    };
    found.error(at, message).maybe_hint(hint.map(str::to_owned));
}

/// The parser's own words; they name characters and tokens, not values.
fn syntax(error: &Error) -> String {
    let message = DefaultMessageFormatter.format_message(error);
    let message = message.split('\n').next().unwrap_or_default();
    if message.contains("nest") || message.contains("recursion") {
        return format!("nested deeper than {MAX_DEPTH} levels");
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
        _ => "more than 250000 values in one file",
    }
}
