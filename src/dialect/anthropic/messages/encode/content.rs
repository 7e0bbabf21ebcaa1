//! The blocks of which a turn is made: which are carried, and how they are written.

use super::super::signature::is_foreign;
use super::cache::Marks;
use super::ids::Ids;
use crate::dialect::neutral::{
    Cache, Content, Literal, Losses, Part, Source, Speaker, ToolCall, ToolResult, Weight,
};
use crate::dialect::write::{Array, Object};

const IMAGE_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Whether a part is carried. Notes what is lost with it, or of it.
pub(super) fn is_carried(part: &Part<'_>, speaker: Speaker, lost: &mut Losses) -> bool {
    if let Content::Image { detail: Some(detail), .. } = &part.content
        && !detail.is("auto")
    {
        lost.hint("image.detail");
    }
    if let Content::ToolCall(ToolCall { signature: Some(_), .. }) = &part.content {
        lost.hint("messages.reasoning");
    }
    if let Content::ToolResult(result) = &part.content {
        for part in &result.parts {
            is_carried(part, Speaker::User, lost);
        }
    }
    let missing = missing(&part.content, speaker);
    match missing {
        None if part.cache.is_some() && !takes_cache(&part.content) => lost.hint("messages.cache_hint"),
        None | Some(Missing::Empty) => {}
        Some(Missing::Lost(what, Weight::Hint)) => lost.hint(what),
        Some(Missing::Lost(what, Weight::Meaning)) => lost.meaning(what),
    }
    missing.is_none()
}

/// Why a part is not carried.
enum Missing {
    /// It says nothing.
    Empty,
    Lost(&'static str, Weight),
}

fn missing(content: &Content<'_>, speaker: Speaker) -> Option<Missing> {
    let meaning = |what| Missing::Lost(what, Weight::Meaning);
    let reasoning = Missing::Lost("messages.reasoning", Weight::Hint);
    let instructs = matches!(speaker, Speaker::System | Speaker::Developer);
    match content {
        // Text without a word is refused.
        Content::Text(text) | Content::Refusal(text) => text.is_blank().then_some(Missing::Empty),
        Content::Image { source, .. } => {
            (speaker != Speaker::User || !takes_image(source)).then(|| meaning("messages.image"))
        }
        Content::Document { source, .. } => {
            (instructs || !takes_document(source)).then(|| meaning("messages.document"))
        }
        Content::Audio { .. } => Some(meaning("messages.audio")),
        Content::Reasoning { text, signature: None } if text.is_empty() => Some(Missing::Empty),
        Content::Reasoning { signature: None, .. } => Some(reasoning),
        Content::Reasoning { signature: Some(signature), .. } | Content::Redacted(signature) => {
            is_foreign(signature).then_some(reasoning)
        }
        Content::ToolCall(_) | Content::ToolResult(_) => instructs.then(|| meaning("messages")),
    }
}

/// A file of another provider is nowhere else.
fn takes_image(source: &Source<'_>) -> bool {
    match source {
        Source::Inline { media_type, .. } => image_type(media_type).is_some(),
        Source::Url(url) => is_web(url),
        Source::Text(_) | Source::File(_) => false,
    }
}

fn takes_document(source: &Source<'_>) -> bool {
    match source {
        Source::Inline { media_type, .. } => media_type.is("application/pdf"),
        Source::Text(text) => !text.is_blank(),
        Source::Url(url) => is_web(url),
        Source::File(_) => false,
    }
}

fn is_web(url: &Literal<'_>) -> bool {
    let text = url.text();
    ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme))
}

/// By its right name, which not every caller uses.
fn image_type(media_type: &Literal<'_>) -> Option<&'static str> {
    if media_type.is("image/jpg") {
        return Some("image/jpeg");
    }
    IMAGE_TYPES.into_iter().find(|known| media_type.is(known))
}

/// Thinking is never the end of what is cached.
fn takes_cache(content: &Content<'_>) -> bool {
    !matches!(content, Content::Reasoning { .. } | Content::Redacted(_))
}

/// The marks of a part in the order in which they are written.
pub(super) fn caches<'p>(part: &'p Part<'_>) -> impl Iterator<Item = Option<Cache>> + 'p {
    let inner = if let Content::ToolResult(result) = &part.content { result.parts.as_slice() } else { &[] };
    let carried = |part: &&Part<'_>| missing(&part.content, Speaker::User).is_none();
    let own = takes_cache(&part.content).then_some(part.cache);
    inner.iter().filter(carried).map(|part| part.cache).chain(own)
}

/// Writes a part that is carried.
pub(super) fn write(blocks: &mut Array<'_>, part: &Part<'_>, ids: &Ids, marks: &mut Marks) {
    blocks.object(|block| {
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => {
                block.word("type", "text");
                block.literal("text", text);
            }
            Content::Image { source, .. } => {
                block.word("type", "image");
                write_source(block, source);
            }
            Content::Document { source, name } => {
                block.word("type", "document");
                write_source(block, source);
                if let Some(name) = name {
                    block.literal("title", name);
                }
            }
            Content::Reasoning { text, signature } => {
                write_thinking(block, text, signature.as_ref().map(|signature| &signature.text));
            }
            Content::Redacted(data) => {
                block.word("type", "redacted_thinking");
                block.literal("data", &data.text);
            }
            Content::ToolCall(call) => write_call(block, call, ids),
            Content::ToolResult(result) => write_result(block, result, ids, marks),
            // Never carried.
            Content::Audio { .. } => {}
        }
        if takes_cache(&part.content) {
            marks.write(block, part.cache);
        }
    });
}

fn write_thinking(block: &mut Object<'_>, text: &Literal<'_>, signature: Option<&Literal<'_>>) {
    block.word("type", "thinking");
    block.literal("thinking", text);
    if let Some(signature) = signature {
        block.literal("signature", signature);
    }
}

fn write_source(block: &mut Object<'_>, source: &Source<'_>) {
    block.object("source", |object| match source {
        Source::Inline { media_type, data } => {
            object.word("type", "base64");
            match image_type(media_type) {
                Some(image) => object.word("media_type", image),
                None => object.literal("media_type", media_type),
            }
            object.literal("data", data);
        }
        Source::Text(text) => {
            object.word("type", "text");
            object.word("media_type", "text/plain");
            object.literal("data", text);
        }
        Source::Url(url) => {
            object.word("type", "url");
            object.literal("url", url);
        }
        Source::File(id) => {
            object.word("type", "file");
            object.literal("file_id", id);
        }
    });
}

fn write_call(block: &mut Object<'_>, call: &ToolCall<'_>, ids: &Ids) {
    block.word("type", "tool_use");
    ids.write(block, "id", &call.id);
    block.literal("name", &call.name);
    block.raw("input", &call.arguments);
}

fn write_result(block: &mut Object<'_>, result: &ToolResult<'_>, ids: &Ids, marks: &mut Marks) {
    block.word("type", "tool_result");
    ids.write(block, "tool_use_id", &result.id);
    let carried = |part: &&Part<'_>| missing(&part.content, Speaker::User).is_none();
    let parts: Vec<_> = result.parts.iter().filter(carried).collect();
    match parts.as_slice() {
        [] => {}
        [Part { content: Content::Text(text), cache: None }] => block.literal("content", text),
        parts => block.array("content", |blocks| {
            parts.iter().for_each(|part| write(blocks, part, ids, marks));
        }),
    }
    if result.is_error {
        block.flag("is_error", true);
    }
}
