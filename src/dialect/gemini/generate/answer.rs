//! Plain answers.

use super::candidate::{Candidate, Said, candidates, is_blocked, made_id};
use super::finish::{self, Reason};
use super::part::think;
use super::{piece, signature};
use crate::dialect::gemini::usage;
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::neutral::{Answer, Choice, Content, Finish, Literal, Part, ToolCall};
use crate::dialect::translate::{NoAnswer, Stamp};
use crate::dialect::write::{Array, Object, object};
use crate::usage::Usage;

/// Reads an answer. One in which the model or the provider failed before it said anything is none.
pub(crate) fn decode_answer<'a>(body: &'a [u8], stamp: &Stamp<'_>) -> Result<Answer<'a>, NoAnswer> {
    let whole = json::document(body).ok().filter(|whole| whole.kind == Kind::Object).ok_or(NoAnswer)?;
    let mut found: Vec<_> = candidates(&whole).collect();
    found.sort_by_key(|candidate| candidate.index);
    let failed = |it: &Candidate<'_>| it.said.is_empty() && it.reason == Some(Reason::Failed);
    if found.iter().all(failed) && !(found.is_empty() && is_blocked(&whole)) {
        return Err(NoAnswer);
    }
    let mut choices: Vec<_> = found.into_iter().map(|candidate| choice(candidate, stamp.id)).collect();
    if choices.is_empty() {
        choices.push(Choice { parts: Vec::new(), finish: Finish::Filtered, stop: None });
    }
    let (id, model) = names(&whole, stamp);
    let usage = whole.member("usageMetadata").and_then(|reported| usage::of(&reported));
    Ok(Answer { id, model, choices, usage })
}

/// Writes an answer.
pub(crate) fn encode_answer(answer: &Answer<'_>, _stamp: &Stamp<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    envelope(&mut out, &answer.id, &answer.model, answer.usage.as_ref(), |candidates| {
        for (choice, index) in answer.choices.iter().zip(0..) {
            write_candidate(candidates, index, Some(finish::written(choice.finish)), |parts| {
                choice.parts.iter().for_each(|part| write_part(parts, &part.content));
            });
        }
    });
    out
}

/// The id of an answer and its model, or what the stamp has in their place.
pub(super) fn names<'a>(answer: &Value<'a>, stamp: &Stamp<'_>) -> (Literal<'a>, Literal<'a>) {
    let text = |name: &str| Literal::of(&answer.member(name)?).filter(|text| !text.is_empty());
    let id = text("responseId").unwrap_or_else(|| Literal::from_text(stamp.id));
    let model = text("modelVersion").unwrap_or_else(|| Literal::from_text(stamp.model));
    (id, model)
}

/// Writes an answer or an event, as an object of its own.
pub(super) fn envelope(
    out: &mut Vec<u8>,
    id: &Literal<'_>,
    model: &Literal<'_>,
    usage: Option<&Usage>,
    candidates: impl FnOnce(&mut Array<'_>),
) {
    object(out, |answer| {
        answer.array("candidates", candidates);
        if let Some(usage) = usage {
            answer.object("usageMetadata", |object| usage::write(object, usage));
        }
        answer.literal("modelVersion", model);
        answer.literal("responseId", id);
    });
}

pub(super) fn write_candidate(
    candidates: &mut Array<'_>,
    index: u32,
    finish: Option<&str>,
    parts: impl FnOnce(&mut Array<'_>),
) {
    candidates.object(|candidate: &mut Object<'_>| {
        candidate.object("content", |content| {
            content.array("parts", parts);
            content.word("role", "model");
        });
        if let Some(finish) = finish {
            candidate.word("finishReason", finish);
        }
        candidate.number("index", index.into());
    });
}

fn choice<'a>(candidate: Candidate<'a>, stamp: &str) -> Choice<'a> {
    let Candidate { index, said, reason } = candidate;
    let (mut parts, mut calls) = (Vec::new(), 0);
    for said in said {
        match said {
            Said::Text(text) => speak(&mut parts, text),
            Said::Thought(text, signature) => think(&mut parts, text, signature),
            Said::Signature(signature) => parts.push(Part::of(Content::Redacted(signature))),
            Said::Call(call) => {
                let id = call.id.unwrap_or_else(|| made_id(stamp, index, calls));
                calls += 1;
                parts.push(Part::of(Content::ToolCall(ToolCall {
                    id,
                    name: call.name,
                    arguments: call.arguments,
                    signature: call.signature,
                })));
            }
        }
    }
    let finish = reason.unwrap_or(Reason::Ended(Finish::Stop)).finish(calls > 0);
    Choice { parts, finish, stop: None }
}

/// A text; it goes on where the part before is one.
fn speak<'a>(parts: &mut Vec<Part<'a>>, more: Literal<'a>) {
    match parts.last_mut().map(|part| &mut part.content) {
        Some(Content::Text(text)) => text.push(&more),
        _ => parts.push(Part::of(Content::Text(more))),
    }
}

fn write_part(parts: &mut Array<'_>, content: &Content<'_>) {
    match content {
        Content::Text(text) | Content::Refusal(text) => piece::text(parts, text, false, None),
        Content::Reasoning { text, signature } => {
            let signature = signature.as_ref().map(signature::written);
            piece::text(parts, text, true, signature.as_ref());
        }
        Content::Redacted(redacted) => piece::signature(parts, &signature::written(redacted)),
        Content::ToolCall(call) => {
            let signature = call.signature.as_ref().map(signature::written);
            piece::call(parts, Some(&call.id), &call.name, &call.arguments, signature.as_ref());
        }
        // No answer says these.
        Content::Image { .. } | Content::Document { .. } | Content::Audio { .. } | Content::ToolResult(_) => {
        }
    }
}
