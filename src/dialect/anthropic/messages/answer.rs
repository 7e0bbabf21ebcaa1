//! Whole answers.

use super::{signature, words};
use crate::dialect::anthropic::usage;
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::neutral::{Answer, Choice, Content, Finish, Literal, Part, Raw, ToolCall};
use crate::dialect::translate::{NoAnswer, Stamp};
use crate::dialect::write::{self, Array, Object};

pub(crate) fn decode_answer<'a>(body: &'a [u8], stamp: &Stamp<'_>) -> Result<Answer<'a>, NoAnswer> {
    let document = json::document(body).map_err(|_| NoAnswer)?;
    let content = document.member("content").filter(|content| content.kind == Kind::Array);
    let parts = parts(&content.ok_or(NoAnswer)?, stamp)?;
    let text = |name: &str| document.member(name).and_then(|value| Literal::of(&value));
    let named = |name: &str| text(name).filter(|text| !text.is_empty());
    let mut choice = Choice {
        parts,
        finish: words::finish(document.member("stop_reason").as_ref()),
        stop: text("stop_sequence"),
    };
    if let Some(explanation) = words::explanation(document.member("stop_details").as_ref()) {
        choice.parts.push(Part::of(Content::Refusal(explanation)));
    }
    Ok(Answer {
        id: named("id").unwrap_or_else(|| words::answer_id(stamp)),
        model: named("model").unwrap_or_else(|| Literal::from_text(stamp.model)),
        choices: vec![choice],
        usage: document.member("usage").and_then(|reported| usage::of(&reported, None)),
    })
}

/// The blocks that others have too; what the provider did on its own stays with it.
fn parts<'a>(content: &Value<'a>, stamp: &Stamp<'_>) -> Result<Vec<Part<'a>>, NoAnswer> {
    let mut parts = Vec::new();
    let mut calls = 0;
    for block in content.elements() {
        let text = |name: &str| block.member(name).and_then(|value| Literal::of(&value));
        let kind = block.member("type");
        let kind = kind.and_then(|kind| kind.one_of(&["text", "thinking", "redacted_thinking", "tool_use"]));
        let content = match kind {
            Some("text") => text("text").and_then(|more| speak(&mut parts, more)),
            Some("thinking") => Some(Content::Reasoning {
                text: text("thinking").unwrap_or_default(),
                signature: text("signature").and_then(signature::read),
            }),
            Some("redacted_thinking") => text("data").and_then(signature::read).map(Content::Redacted),
            Some(_) => {
                calls += 1;
                Some(Content::ToolCall(call(&block, calls - 1, stamp)?))
            }
            None => None,
        };
        if let Some(content) = content {
            signature::push(&mut parts, Part::of(content));
        }
    }
    Ok(parts)
}

/// A text, as a part of its own where it does not go on with the one before: a stream would not tell them apart.
fn speak<'a>(parts: &mut [Part<'a>], more: Literal<'a>) -> Option<Content<'a>> {
    match parts.last_mut().map(|part| &mut part.content) {
        Some(Content::Text(text)) => {
            text.push(&more);
            None
        }
        _ => Some(Content::Text(more)),
    }
}

/// A call has to have a name, and arguments that are an object.
fn call<'a>(block: &Value<'a>, place: usize, stamp: &Stamp<'_>) -> Result<ToolCall<'a>, NoAnswer> {
    let text = |name: &str| block.member(name).and_then(|value| Literal::of(&value));
    let arguments = match block.member("input") {
        Some(input) if input.kind == Kind::Object => Raw::of(&input),
        None => Raw::word("{}"),
        Some(_) => return Err(NoAnswer),
    };
    let id = text("id").filter(|id| !id.is_empty()).unwrap_or_else(|| words::call_id(stamp.id, place));
    Ok(ToolCall { id, name: text("name").ok_or(NoAnswer)?, arguments, signature: None })
}

/// The first choice: Anthropic has no others.
pub(crate) fn encode_answer(answer: &Answer<'_>, stamp: &Stamp<'_>) -> Vec<u8> {
    let choice = answer.choices.first();
    let parts = choice.map(|choice| joined(&choice.parts)).unwrap_or_default();
    let calls = parts.iter().any(|part| matches!(part, Content::ToolCall(_)));
    let finish = choice.map_or(Finish::Stop, |choice| choice.finish);
    let mut out = Vec::new();
    write::object(&mut out, |message| {
        if answer.id.is_empty() {
            message.literal("id", &words::answer_id(stamp));
        } else {
            message.literal("id", &answer.id);
        }
        message.word("type", "message");
        message.word("role", "assistant");
        if answer.model.is_empty() {
            message.text("model", stamp.model);
        } else {
            message.literal("model", &answer.model);
        }
        message.array("content", |blocks| parts.iter().for_each(|part| write_part(blocks, part)));
        let stop = choice.and_then(|choice| choice.stop.as_ref());
        words::ending(message, words::stop_reason(finish, calls), stop);
        message.object("usage", |object| words::usage(object, &answer.usage.unwrap_or_default()));
    });
    out
}

/// The parts as a stream would bring them: without empty ones, and in one block what goes on.
pub(super) fn joined<'a>(parts: &'a [Part<'_>]) -> Vec<Content<'a>> {
    let mut joined: Vec<Content<'a>> = Vec::new();
    for part in parts {
        match (&part.content, joined.last_mut()) {
            (Content::Text(text) | Content::Refusal(text), _) if text.is_empty() => {}
            (Content::Reasoning { text, signature: None }, _) if text.is_empty() => {}
            (Content::Text(more) | Content::Refusal(more), Some(Content::Text(text))) => text.push(more),
            (Content::Text(text) | Content::Refusal(text), _) => joined.push(Content::Text(text.reborrow())),
            (
                Content::Reasoning { text: more, signature: now },
                Some(Content::Reasoning { text, signature: signature @ None }),
            ) => {
                text.push(more);
                signature.clone_from(now);
            }
            (content, _) => joined.push(content.clone()),
        }
    }
    joined
}

fn write_part(blocks: &mut Array<'_>, content: &Content<'_>) {
    match content {
        Content::Text(text) | Content::Refusal(text) => blocks.object(|block| {
            block.word("type", "text");
            block.literal("text", text);
        }),
        Content::Reasoning { text, signature } => {
            let signature = signature.as_ref().map(signature::written).unwrap_or_default();
            blocks.object(|block| write_thinking(block, text, &signature));
        }
        Content::Redacted(data) => blocks.object(|block| {
            block.word("type", "redacted_thinking");
            block.literal("data", &signature::written(data));
        }),
        Content::ToolCall(call) => {
            if let Some(signature) = &call.signature {
                let signature = signature::written(signature);
                blocks.object(|block| write_thinking(block, &Literal::word(""), &signature));
            }
            blocks.object(|block| {
                block.word("type", "tool_use");
                block.literal("id", &call.id);
                block.literal("name", &call.name);
                block.raw("input", &call.arguments);
            });
        }
        // No model answers with these.
        Content::Image { .. } | Content::Document { .. } | Content::Audio { .. } | Content::ToolResult(_) => {
        }
    }
}

fn write_thinking(block: &mut Object<'_>, text: &Literal<'_>, signature: &Literal<'_>) {
    block.word("type", "thinking");
    block.literal("thinking", text);
    block.literal("signature", signature);
}
