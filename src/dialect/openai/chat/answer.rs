//! Plain answers.

use super::messages::object_in;
use super::spoken::{self, Calling, Spoken, Text};
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::neutral::{Answer, Choice, Content, Finish, Literal, Part, Raw, ToolCall};
use crate::dialect::openai::usage;
use crate::dialect::translate::{NoAnswer, Stamp};
use crate::dialect::write::{self, Object};
use crate::dialect::{Api, Dialect};
use crate::usage::Usage;

/// Reads a plain answer.
pub(crate) fn decode_answer<'a>(body: &'a [u8], stamp: &Stamp<'_>) -> Result<Answer<'a>, NoAnswer> {
    std::str::from_utf8(body).map_err(|_| NoAnswer)?;
    let answer = json::document(body).map_err(|_| NoAnswer)?;
    let choices = answer.member("choices").filter(|choices| choices.kind == Kind::Array).ok_or(NoAnswer)?;
    let name =
        |member: &str| answer.member(member).as_ref().and_then(Literal::of).filter(|name| !name.is_empty());
    let mut made_up = MadeUp { stamp: stamp.id, count: 0 };
    let mut read = Vec::new();
    for (place, choice) in choices.elements().enumerate() {
        let index = choice.member("index").and_then(|index| index.number()).unwrap_or(place);
        read.push((index, decode_choice(&choice, &mut made_up)?));
    }
    read.sort_by_key(|(index, _)| *index);
    Ok(Answer {
        id: name("id").unwrap_or_else(|| spoken::answer_id(stamp)),
        model: name("model").unwrap_or_else(|| Literal::from_text(stamp.model)),
        choices: read.into_iter().map(|(_, choice)| choice).collect(),
        usage: answer.member("usage").and_then(|usage| usage::of(Api::Chat, &usage)),
    })
}

/// Ids of the calls that have none; all calls count.
struct MadeUp<'s> {
    stamp: &'s str,
    count: usize,
}

impl MadeUp<'_> {
    fn id<'a>(&mut self, given: Option<Literal<'a>>) -> Literal<'a> {
        self.count += 1;
        given.unwrap_or_else(|| spoken::made_up_id(self.stamp, self.count - 1))
    }
}

fn decode_choice<'a>(choice: &Value<'a>, made_up: &mut MadeUp<'_>) -> Result<Choice<'a>, NoAnswer> {
    let message = choice.member("message").ok_or(NoAnswer)?;
    let spoken = Spoken::of(&message);
    let mut parts = Vec::new();
    spoken.texts(&mut |text| add(&mut parts, text));
    let refuses = parts.iter().any(|part: &Part<'_>| matches!(part.content, Content::Refusal(_)));
    let reason = choice.member("finish_reason").filter(|reason| !reason.is_blank());
    let calls: Vec<_> = spoken.calls().collect();
    let finish = spoken::finish(reason.as_ref(), !calls.is_empty(), refuses);
    for call in calls {
        match decode_call(call, made_up) {
            Some(call) => parts.push(Part::of(Content::ToolCall(call))),
            // It was cut off with the answer.
            None if finish == Finish::Length => {}
            None => return Err(NoAnswer),
        }
    }
    Ok(Choice { parts, finish, stop: None })
}

/// Goes on with the last part where it is of the same kind: the texts of a content in parts are one.
fn add<'a>(parts: &mut Vec<Part<'a>>, text: Text<'a>) {
    match (text, parts.last_mut().map(|part| &mut part.content)) {
        (Text::Said(more), Some(Content::Text(text)))
        | (Text::Reasoning(more), Some(Content::Reasoning { text, .. }))
        | (Text::Refusal(more), Some(Content::Refusal(text))) => text.push(&more),
        (Text::Said(text), _) => parts.push(Part::of(Content::Text(text))),
        (Text::Reasoning(text), _) => parts.push(Part::of(Content::Reasoning { text, signature: None })),
        (Text::Refusal(text), _) => parts.push(Part::of(Content::Refusal(text))),
    }
}

/// None where the arguments are no object.
fn decode_call<'a>(call: Calling<'a>, made_up: &mut MadeUp<'_>) -> Option<ToolCall<'a>> {
    let arguments = match call.arguments {
        None => Raw::word("{}"),
        Some(value) if value.kind == Kind::Null => Raw::word("{}"),
        Some(value) if value.kind == Kind::Object => Raw::of(&value),
        Some(value) => object_in(&Literal::of(&value)?)?,
    };
    let id = made_up.id(call.id);
    Some(ToolCall { id, name: call.name.unwrap_or_default(), arguments, signature: call.signature })
}

/// Writes a plain answer.
pub(crate) fn encode_answer(answer: &Answer<'_>, stamp: &Stamp<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write::object(&mut out, |object| {
        object.literal("id", &answer.id);
        object.word("object", "chat.completion");
        object.signed("created", stamp.created);
        object.literal("model", &answer.model);
        object.array("choices", |choices| {
            for (index, choice) in (0..).zip(&answer.choices) {
                choices.object(|object| encode_choice(object, index, choice));
            }
        });
        if let Some(usage) = &answer.usage {
            object.object("usage", |object| encode_usage(object, usage));
        }
    });
    out
}

fn encode_choice(object: &mut Object<'_>, index: u64, choice: &Choice<'_>) {
    let refusal =
        joined(choice, |content| if let Content::Refusal(text) = content { Some(text) } else { None });
    object.number("index", index);
    object.object("message", |message| encode_message(message, choice, refusal.as_ref()));
    object.null("logprobs");
    object.word("finish_reason", spoken::reason(choice.finish, refusal.is_some()));
}

fn encode_message(message: &mut Object<'_>, choice: &Choice<'_>, refusal: Option<&Literal<'_>>) {
    let text = joined(choice, |content| if let Content::Text(text) = content { Some(text) } else { None });
    let reasoning =
        joined(
            choice,
            |content| {
                if let Content::Reasoning { text, .. } = content { Some(text) } else { None }
            },
        );
    let calls: Vec<_> = choice.parts.iter().filter_map(call_of).collect();
    message.word("role", "assistant");
    match text {
        Some(text) => message.literal("content", &text),
        // Only what is said otherwise takes the place of a text.
        None if refusal.is_none() && calls.is_empty() => message.word("content", ""),
        None => message.null("content"),
    }
    match refusal {
        Some(refusal) => message.literal("refusal", refusal),
        None => message.null("refusal"),
    }
    if let Some(reasoning) = reasoning {
        message.literal("reasoning_content", &reasoning);
    }
    if !calls.is_empty() {
        message.array("tool_calls", |array| {
            calls.iter().for_each(|call| array.object(|object| encode_call(object, call)));
        });
    }
}

fn call_of<'p, 'a>(part: &'p Part<'a>) -> Option<&'p ToolCall<'a>> {
    if let Content::ToolCall(call) = &part.content { Some(call) } else { None }
}

/// All texts of a kind as one, as the pieces of a stream would be; none where they say nothing.
fn joined<'c>(
    choice: &'c Choice<'_>,
    text: impl Fn(&'c Content<'c>) -> Option<&'c Literal<'c>>,
) -> Option<Literal<'c>> {
    let mut texts =
        choice.parts.iter().filter_map(|part| text(&part.content)).filter(|text| !text.is_empty());
    let mut joined = texts.next()?.reborrow();
    texts.for_each(|text| joined.push(text));
    Some(joined)
}

fn encode_call(object: &mut Object<'_>, call: &ToolCall<'_>) {
    write_call(object, call);
    if let Some(signature) = call.signature.as_ref().filter(|signature| signature.by == Dialect::Gemini) {
        write_signature(object, &signature.text);
    }
}

/// A call as both requests and answers write it.
pub(super) fn write_call(object: &mut Object<'_>, call: &ToolCall<'_>) {
    object.literal("id", &call.id);
    object.word("type", "function");
    object.object("function", |function| {
        function.literal("name", &call.name);
        function.text("arguments", &String::from_utf8_lossy(call.arguments.raw()));
    });
}

/// What Gemini wants back, where Google's own endpoint of this shape puts it.
pub(super) fn write_signature(call: &mut Object<'_>, signature: &Literal<'_>) {
    call.object("extra_content", |extra| {
        extra.object("google", |google| google.literal("thought_signature", signature));
    });
}

/// Usage as sums that include their parts, as OpenAI counts.
pub(super) fn encode_usage(object: &mut Object<'_>, usage: &Usage) {
    object.number("prompt_tokens", usage.total_input().0);
    object.number("completion_tokens", usage.total_output().0);
    object.number("total_tokens", usage.total().0);
    object.object("prompt_tokens_details", |details| {
        details.number("cached_tokens", usage.cache_read.0);
        details.number("cache_write_tokens", usage.cache_write.0);
        details.number("audio_tokens", usage.input_audio.0);
    });
    object.object("completion_tokens_details", |details| {
        details.number("reasoning_tokens", usage.reasoning.0);
        details.number("audio_tokens", usage.output_audio.0);
    });
}
