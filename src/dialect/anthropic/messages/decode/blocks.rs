//! The blocks of which a turn is made.

use super::super::signature;
use super::conversation::Reading;
use super::fields::{Fault, Fields};
use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{
    Cache, Content, Literal, Losses, Part, Raw, Source, Speaker, ToolCall, ToolResult,
};

/// The blocks that others have too.
const KNOWN: [&str; 7] =
    ["text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking"];

/// A block; none where it is of a kind that is lost.
pub(super) fn part<'a>(
    block: &Value<'a>,
    speaker: Speaker,
    reading: &mut Reading<'_, 'a>,
) -> Result<Option<Part<'a>>, Fault> {
    let mut fields = Fields::of(block)?;
    let kind = fields.word("type", &KNOWN)?;
    let cache = cache(&mut fields)?;
    if let Some(kind) = kind
        && !may_say(speaker, kind)
    {
        return Err(Fault::at("type", "that of a block which its role may say"));
    }
    let content = match kind {
        Some("text") => Some(text(&mut fields, reading.losses)?),
        Some("image") => image(&mut fields, reading.losses)?,
        Some("document") => document(&mut fields, reading.losses)?,
        Some("tool_use") => Some(call(&mut fields, reading)?),
        Some("tool_result") => Some(result(&mut fields, reading)?),
        Some("thinking") => Some(thinking(&mut fields)?),
        Some(_) => signature::read(fields.needed_text("data")?).map(Content::Redacted),
        None => {
            // Tools that the provider runs itself, and what nobody knows yet.
            reading.losses.meaning("messages.content");
            return Ok(None);
        }
    };
    fields.lose("messages.", reading.losses);
    Ok(content.map(|content| Part { content, cache }))
}

/// What others could not make sense of: a call by the user, a result from the model.
fn may_say(speaker: Speaker, kind: &str) -> bool {
    match speaker {
        Speaker::System | Speaker::Developer => kind == "text",
        Speaker::User => !matches!(kind, "tool_use" | "thinking" | "redacted_thinking"),
        Speaker::Model => kind != "tool_result",
    }
}

/// The `cache_control` of an object.
pub(super) fn cache(fields: &mut Fields<'_>) -> Result<Option<Cache>, Fault> {
    let Some(mut control) = fields.of_member("cache_control")? else { return Ok(None) };
    let long = control.take("ttl").is_some_and(|ttl| ttl.one_of(&["1h"]).is_some());
    Ok(Some(if long { Cache::Long } else { Cache::Short }))
}

fn text<'a>(fields: &mut Fields<'a>, losses: &mut Losses) -> Result<Content<'a>, Fault> {
    if fields.take("citations").is_some_and(|citations| !citations.is_blank()) {
        losses.hint("messages.citations");
    }
    Ok(Content::Text(fields.needed_text("text")?))
}

fn image<'a>(fields: &mut Fields<'a>, losses: &mut Losses) -> Result<Option<Content<'a>>, Fault> {
    let source = source(fields)?;
    if source.is_none() {
        losses.meaning("messages.image");
    }
    Ok(source.map(|source| Content::Image { source, detail: None }))
}

fn document<'a>(fields: &mut Fields<'a>, losses: &mut Losses) -> Result<Option<Content<'a>>, Fault> {
    let citations = fields.take("citations").and_then(|citations| citations.member("enabled"));
    if citations.is_some_and(|enabled| enabled.kind == Kind::True) {
        losses.hint("messages.citations");
    }
    // It is read by the model like the document itself.
    if fields.take("context").is_some_and(|context| !context.is_blank()) {
        losses.meaning("messages.context");
    }
    let name = fields.text("title")?;
    let source = source(fields)?;
    if source.is_none() {
        losses.meaning("messages.document");
    }
    Ok(source.map(|source| Content::Document { source, name }))
}

/// Where a picture or document is; none where it is in a way that others have not got.
fn source<'a>(fields: &mut Fields<'a>) -> Result<Option<Source<'a>>, Fault> {
    let mut source = fields.of_member("source")?.ok_or_else(|| Fault::at("source", "an object"))?;
    let mut read = || {
        Ok(match source.word("type", &["base64", "text", "url", "file", "content"])? {
            Some("base64") => Some(Source::Inline {
                media_type: source.needed_text("media_type")?,
                data: source.needed_text("data")?,
            }),
            Some("text") => Some(Source::Text(source.needed_text("data")?)),
            Some("url") => Some(Source::Url(source.needed_text("url")?)),
            Some("file") => Some(Source::File(source.needed_text("file_id")?)),
            // A text, or blocks of which it is made.
            Some(_) => source.take("content").and_then(|content| Literal::of(&content)).map(Source::Text),
            None => None,
        })
    };
    read().map_err(|fault: Fault| fault.within("source"))
}

fn call<'a>(fields: &mut Fields<'a>, reading: &mut Reading<'_, 'a>) -> Result<Content<'a>, Fault> {
    // By whom a tool is called matters only where the provider runs code.
    fields.take("caller");
    let id = fields.needed_text("id")?;
    let name = fields.needed_text("name")?;
    let arguments = fields.object("input")?.unwrap_or(Raw::word("{}"));
    reading.calls.insert(id.text().into_owned(), name.clone());
    Ok(Content::ToolCall(ToolCall { id, name, arguments, signature: None }))
}

fn result<'a>(fields: &mut Fields<'a>, reading: &mut Reading<'_, 'a>) -> Result<Content<'a>, Fault> {
    let id = fields.needed_text("tool_use_id")?;
    let name = reading.calls.get(&*id.text()).cloned();
    let name = name.ok_or_else(|| Fault::at("tool_use_id", "the id of a call in a turn before"))?;
    let is_error = fields.flag("is_error")?.unwrap_or(false);
    let parts = match fields.take("content") {
        Some(content) => result_parts(&content, reading)?,
        None => Vec::new(),
    };
    Ok(Content::ToolResult(ToolResult { id, name, parts, is_error }))
}

fn result_parts<'a>(content: &Value<'a>, reading: &mut Reading<'_, 'a>) -> Result<Vec<Part<'a>>, Fault> {
    let parts = reading.parts(content, "content", Speaker::User)?;
    match parts.iter().position(|part| matches!(part.content, Content::ToolResult(_))) {
        Some(i) => Err(Fault::at(format!("content[{i}].type"), "that of a block which a result may have")),
        None => Ok(parts),
    }
}

fn thinking<'a>(fields: &mut Fields<'a>) -> Result<Content<'a>, Fault> {
    let text = fields.needed_text("thinking")?;
    let signature = fields.text("signature")?.and_then(signature::read);
    Ok(Content::Reasoning { text, signature })
}
