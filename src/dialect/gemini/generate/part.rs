//! One part of a content: what of its members counts.

use super::read::{camel, flag, present, text};
use super::signature;
use crate::dialect::json::Value;
use crate::dialect::neutral::{Content, Literal, Losses, Part as Neutral, Signature};
use crate::dialect::translate::Untranslatable;

/// A part, read as far as its kind.
pub(super) struct Part<'a> {
    pub(super) data: Data<'a>,
    pub(super) thought: bool,
    pub(super) signature: Option<Signature<'a>>,
}

/// The one member that holds what a part says.
pub(super) enum Data<'a> {
    Text(Literal<'a>),
    Inline(Value<'a>),
    File(Value<'a>),
    Call(Value<'a>),
    Response(Value<'a>),
    /// What only Gemini's own tools make, under the name of its loss.
    Foreign(&'static str),
    /// Nothing; a signature may stand alone.
    Nothing,
}

/// Reads a part. Members that only describe it are noted as lost.
pub(super) fn part<'a>(value: &Value<'a>, lost: &mut Losses) -> Result<Part<'a>, Untranslatable> {
    let mut part = Part { data: Data::Nothing, thought: false, signature: None };
    for member in present(value) {
        let (written, value) = (member.name(), member.value);
        match &*camel(&written) {
            "text" => part.data = Data::Text(text(&value, "text")?),
            "inlineData" => part.data = Data::Inline(value),
            "fileData" => part.data = Data::File(value),
            "functionCall" => part.data = Data::Call(value),
            "functionResponse" => part.data = Data::Response(value),
            "executableCode" => part.data = Data::Foreign("contents.executableCode"),
            "codeExecutionResult" => part.data = Data::Foreign("contents.codeExecutionResult"),
            "toolCall" => part.data = Data::Foreign("contents.toolCall"),
            "toolResponse" => part.data = Data::Foreign("contents.toolResponse"),
            "thought" => part.thought = flag(&value, "thought")?,
            "thoughtSignature" => {
                let field = text(&value, "thoughtSignature")?;
                part.signature = (!field.is_empty()).then(|| signature::read(field));
            }
            // It cuts a video, which is lost as a whole.
            "videoMetadata" => {}
            "mediaResolution" => lost.hint("contents.mediaResolution"),
            _ => lost.unknown(&format!("contents.{written}")),
        }
    }
    Ok(part)
}

/// Adds a thought; it goes on where the part before is one that has no signature yet.
pub(super) fn think<'a>(parts: &mut Vec<Neutral<'a>>, more: Literal<'a>, signed: Option<Signature<'a>>) {
    if let Some(Content::Reasoning { text, signature }) = parts.last_mut().map(|part| &mut part.content)
        && signature.is_none()
    {
        text.push(&more);
        *signature = signed;
    } else if !more.is_empty() || signed.is_some() {
        parts.push(Neutral::of(Content::Reasoning { text: more, signature: signed }));
    }
}
