//! Signatures of other dialects, which travel through Anthropic's form with their dialect's name before them.

use crate::dialect::Dialect;
use crate::dialect::neutral::{Content, Literal, Part, Signature};

/// Whose signatures may come back in Anthropic's form, under what prefix.
const FOREIGN: [(Dialect, &str); 2] = [(Dialect::Gemini, "gemini."), (Dialect::OpenAi, "openai.")];

/// A signature as it stands in a block; none where it is empty.
pub(super) fn read(text: Literal<'_>) -> Option<Signature<'_>> {
    if text.is_empty() {
        return None;
    }
    let foreign = FOREIGN.iter().find_map(|(by, prefix)| {
        let rest = text.text().strip_prefix(prefix)?.to_owned();
        Some(Signature { by: *by, text: Literal::from_text(&rest) })
    });
    Some(foreign.unwrap_or(Signature { by: Dialect::Anthropic, text }))
}

/// A signature as it is written for a caller, who gives it back with the next turn.
pub(super) fn written<'s>(signature: &'s Signature<'_>) -> Literal<'s> {
    let prefix = FOREIGN.iter().find(|(by, _)| *by == signature.by).map(|(_, prefix)| *prefix);
    let Some(prefix) = prefix else { return signature.text.reborrow() };
    let mut text = Literal::word(prefix);
    text.push(&signature.text);
    text
}

/// Whether it is another dialect's.
pub(super) fn is_foreign(signature: &Signature<'_>) -> bool {
    signature.by != Dialect::Anthropic
}

/// Adds a part. A call gets the signature that stands before it as a block of empty thinking: ours, for a dialect that
/// signs calls.
pub(super) fn push<'a>(parts: &mut Vec<Part<'a>>, mut part: Part<'a>) {
    if let Content::ToolCall(call) = &mut part.content
        && call.signature.is_none()
        && parts.last().is_some_and(|last| signs_a_call(&last.content))
        && let Some(Part { content: Content::Reasoning { signature, .. }, .. }) = parts.pop()
    {
        call.signature = signature;
    }
    parts.push(part);
}

fn signs_a_call(content: &Content<'_>) -> bool {
    match content {
        Content::Reasoning { text, signature: Some(signature) } => text.is_empty() && is_foreign(signature),
        Content::Reasoning { signature: None, .. }
        | Content::Text(_)
        | Content::Refusal(_)
        | Content::Image { .. }
        | Content::Document { .. }
        | Content::Audio { .. }
        | Content::Redacted(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_) => false,
    }
}
