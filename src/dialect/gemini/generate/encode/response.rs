//! The result of a tool as a function's response.

use super::contents::Piece;
use crate::dialect::json::{self, Kind};
use crate::dialect::neutral::{Content, Literal, Losses, Raw, ToolResult};
use crate::dialect::write::Object;

/// What a function's response says.
pub(super) enum Outcome<'r> {
    /// An object is what it is.
    Object(Raw<'r>),
    Output(Literal<'r>),
    /// An object.
    ErrorObject(Raw<'r>),
    Error(Literal<'r>),
}

impl Outcome<'_> {
    /// By Google's names for what is no object of its own.
    pub(super) fn write(&self, function: &mut Object<'_>) {
        match self {
            Self::Object(object) => function.raw("response", object),
            Self::Output(text) => function.object("response", |response| response.literal("output", text)),
            Self::ErrorObject(error) => function.object("response", |response| response.raw("error", error)),
            Self::Error(text) => function.object("response", |response| response.literal("error", text)),
        }
    }
}

/// The outcome of a result, from all its texts.
pub(super) fn outcome<'r>(result: &'r ToolResult<'_>) -> Outcome<'r> {
    let mut texts = result.parts.iter().filter_map(|part| words(&part.content));
    let mut text = texts.next().unwrap_or_default();
    for more in texts {
        text.push(&Literal::word("\\n"));
        text.push(&more);
    }
    match object(&text) {
        None if result.is_error => Outcome::Error(text),
        None => Outcome::Output(text),
        Some((object, names_its_error)) if result.is_error && !names_its_error => {
            Outcome::ErrorObject(object)
        }
        Some((object, _)) => Outcome::Object(object),
    }
}

/// Pictures and documents stand behind the response, as parts of the same turn.
pub(super) fn others<'r>(result: &'r ToolResult<'_>, lost: &mut Losses, pieces: &mut Vec<Piece<'r>>) {
    for part in &result.parts {
        if part.cache.is_some() {
            lost.hint("messages.cache_hint");
        }
        match &part.content {
            Content::Image { .. } | Content::Document { .. } | Content::Audio { .. } => {
                pieces.extend(Piece::of_medium(&part.content, lost));
            }
            // Texts are the outcome itself; a result holds nothing else.
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Reasoning { .. }
            | Content::Redacted(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_) => {}
        }
    }
}

fn words<'r>(content: &'r Content<'_>) -> Option<Literal<'r>> {
    match content {
        Content::Text(text) | Content::Refusal(text) => Some(text.reborrow()),
        Content::Image { .. }
        | Content::Document { .. }
        | Content::Audio { .. }
        | Content::Reasoning { .. }
        | Content::Redacted(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_) => None,
    }
}

/// The JSON object that a text is, and whether it has an `error` that says something.
fn object(text: &Literal<'_>) -> Option<(Raw<'static>, bool)> {
    let text = text.text();
    let object = json::document(text.as_bytes()).ok().filter(|value| value.kind == Kind::Object)?;
    let names_its_error = object.member("error").is_some_and(|error| !error.is_blank());
    Some((Raw::written(object.raw().to_vec()), names_its_error))
}
