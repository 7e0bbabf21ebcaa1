//! `$patch`: how an overlay says that something goes, or is replaced as a whole.

use crate::policy::diagnostic::{Code, Findings, Span, did_you_mean, quoted};
use crate::policy::node::{Node, Value};

/// The key of an overlay's instruction; kustomize's, as are its words.
pub(super) const PATCH: &str = "$patch";

/// What an overlay says of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patch {
    /// Maps merge, all else is replaced: what holds where nothing is said.
    Merge,
    /// It goes.
    Delete,
    /// It takes the place of what is there, whole.
    Replace,
}

/// Takes the instruction out of a node. None where it makes no sense, which then is told.
pub(super) fn take(node: &mut Node, found: &mut Findings<'_>) -> Option<Patch> {
    let Value::Map(entries) = &mut node.value else {
        return Some(Patch::Merge);
    };
    let Some(at) = entries.iter().position(|(key, _)| key.text == PATCH) else {
        return Some(Patch::Merge);
    };
    let (_, word) = entries.remove(at);
    let patch = match &word.value {
        Value::Text(word) if word == "delete" => Patch::Delete,
        Value::Text(word) if word == "replace" => return Some(Patch::Replace),
        Value::Null
        | Value::Bool(_)
        | Value::Whole(_)
        | Value::Fraction(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Map(_) => return unknown(&word, found),
    };
    if let Some((beside, _)) = entries.first() {
        found
            .error(beside.span, "nothing stands beside `$patch: delete`")
            .hint("to put something else in its place, write `$patch: replace`");
        return None;
    }
    Some(patch)
}

fn unknown<T>(word: &Node, found: &mut Findings<'_>) -> Option<T> {
    let (shown, meant) = match &word.value {
        Value::Text(text) if text == "merge" => {
            (quoted(text), Some("maps merge where no `$patch` stands".to_owned()))
        }
        Value::Text(text) => (quoted(text), did_you_mean(text, ["delete", "replace"])),
        Value::Null
        | Value::Bool(_)
        | Value::Whole(_)
        | Value::Fraction(_)
        | Value::List(_)
        | Value::Map(_) => (word.kind().to_owned(), None),
    };
    let hint = meant.unwrap_or_else(|| "one of delete, replace".to_owned());
    found.error(word.span, format!("{shown} is no `$patch`")).hint(hint);
    None
}

/// Whether an overlay's entry deletes.
pub(super) fn deletes(node: &Node) -> bool {
    node.field(PATCH).is_some_and(|word| word.value == Value::Text("delete".to_owned()))
}

/// Takes out what a new value has of instructions: there is nothing below it to delete, and it is whole already.
pub(super) fn settle(node: &mut Node, found: &mut Findings<'_>) {
    match &mut node.value {
        Value::Map(entries) => entries.retain_mut(|(key, value)| match take(value, found) {
            Some(Patch::Merge | Patch::Replace) => {
                settle(value, found);
                true
            }
            Some(Patch::Delete) => {
                found
                    .error(key.span, format!("there is no {} to delete", quoted(&key.text)))
                    .code(Code::UnknownName)
                    .hint("what stands here is new, or replaced as a whole: leave it out");
                false
            }
            None => false,
        }),
        Value::List(items) => items.iter_mut().for_each(|item| in_list(item, found)),
        Value::Null | Value::Bool(_) | Value::Whole(_) | Value::Fraction(_) | Value::Text(_) => {}
    }
}

fn in_list(item: &mut Node, found: &mut Findings<'_>) {
    strip(item, &mut |at| {
        found
            .error(at, "`$patch` has no meaning in a list")
            .hint("an overlay's list takes the place of the one below it, whole: write it out");
    });
}

/// Tells instructions in what is no overlay.
pub(super) fn refuse(document: &mut Node, found: &mut Findings<'_>) {
    strip(document, &mut |at| {
        found
            .error(at, "`$patch` stands in overlays only")
            .hint("an overlay is a file of its own, outside of the policy's folder: `--overlay prod.yaml`");
    });
}

/// Takes every instruction out, and with it what is nothing else, so that no more is said of it.
fn strip(node: &mut Node, tell: &mut dyn FnMut(Span)) {
    match &mut node.value {
        Value::Map(entries) => entries.retain_mut(|(key, value)| {
            if key.text == PATCH {
                tell(key.span);
                return false;
            }
            let is_patch = value.field(PATCH).is_some();
            strip(value, tell);
            !is_patch || value.entries().is_some_and(|left| !left.is_empty())
        }),
        Value::List(items) => items.iter_mut().for_each(|item| strip(item, tell)),
        Value::Null | Value::Bool(_) | Value::Whole(_) | Value::Fraction(_) | Value::Text(_) => {}
    }
}
