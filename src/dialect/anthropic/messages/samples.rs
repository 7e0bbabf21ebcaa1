//! What the tests read: neutral values that Anthropic's form can express, and streams put together again.

use crate::dialect::Dialect;
use crate::dialect::neutral::{Content, Literal, Part, Raw, Signature, Speaker, ToolCall, ToolResult, Turn};
use crate::dialect::translate::Stamp;

mod any;
mod fold;

pub(crate) use self::any::{any_answer, any_request};
pub(crate) use self::fold::{decoded, fold, folded};

pub(crate) const STAMP: Stamp<'static> =
    Stamp { id: "0123456789abcdef0123456789abcdef", created: 1_795_000_000, model: "m", include_usage: true };

/// A text of ours.
pub(crate) fn literal(text: &str) -> Literal<'static> {
    Literal::from_text(text)
}

/// A part that says this.
pub(crate) fn text(text: &str) -> Part<'static> {
    Part::of(Content::Text(literal(text)))
}

/// A turn of these parts.
pub(crate) fn turn(speaker: Speaker, parts: Vec<Part<'static>>) -> Turn<'static> {
    Turn { speaker, name: None, parts }
}

pub(crate) fn call(id: &str, name: &str, arguments: &'static str) -> Content<'static> {
    let (id, name) = (literal(id), literal(name));
    Content::ToolCall(ToolCall { id, name, arguments: Raw::word(arguments), signature: None })
}

pub(crate) fn result(id: &str, name: &str, says: &str) -> Part<'static> {
    let (id, name) = (literal(id), literal(name));
    Part::of(Content::ToolResult(ToolResult { id, name, parts: vec![text(says)], is_error: false }))
}

pub(crate) fn signature(by: Dialect, text: &str) -> Signature<'static> {
    Signature { by, text: literal(text) }
}
