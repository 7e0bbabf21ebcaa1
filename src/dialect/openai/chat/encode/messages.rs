//! Writes the messages of a request.

use crate::dialect::neutral::{
    Content, Literal, Losses, Part, Request, Source, Speaker, ToolCall, ToolResult, Turn,
};
use crate::dialect::openai::chat::answer::write_call;
use crate::dialect::openai::chat::tells_error;
use crate::dialect::translate::Recipient;
use crate::dialect::write::{Array, Object};

/// What stands before a result that is an error and does not say so itself: its message has no field for that.
const ERROR: &str = "Error: ";

/// What a result says whose pictures stand in the message behind it.
const SHOWN: &str = "See the next message.";

/// A file has to have a name.
const UNNAMED: &str = "document.pdf";

/// The conversation. The results of tools come right behind their calls, each as a message of its own.
pub(super) fn write(body: &mut Object<'_>, request: &Request<'_>, to: &Recipient<'_>, lost: &mut Losses) {
    if request.turns.last().is_some_and(|turn| turn.speaker == Speaker::Model) && !to.accepts.prefill {
        lost.meaning("messages");
    }
    body.array("messages", |array| {
        for turns in
            request.turns.chunk_by(|one, next| one.speaker == Speaker::User && next.speaker == Speaker::User)
        {
            results(array, turns, lost);
            turns.iter().for_each(|turn| said(array, turn, to.wants_reasoning, lost));
        }
        // No server answers to nothing.
        if array.is_empty() {
            lost.meaning("messages");
        }
    });
}

/// The results of neighbouring turns, and behind them the pictures that they show.
fn results(array: &mut Array<'_>, turns: &[Turn<'_>], lost: &mut Losses) {
    let parts = turns.iter().flat_map(|turn| &turn.parts);
    let results = parts
        .filter_map(|part| if let Content::ToolResult(result) = &part.content { Some(result) } else { None });
    let results: Vec<_> = results.collect();
    for result in &results {
        array.object(|message| tool_message(message, result));
    }
    let shown: Vec<_> =
        results.iter().flat_map(|result| &result.parts).filter(|part| text_of(part).is_none()).collect();
    if !shown.is_empty() {
        array.object(|message| {
            message.word("role", "user");
            content(message, &shown, lost);
        });
    }
}

fn tool_message(message: &mut Object<'_>, result: &ToolResult<'_>) {
    let texts: Vec<_> = result.parts.iter().filter_map(text_of).filter(|text| !text.is_empty()).collect();
    message.word("role", "tool");
    message.literal("tool_call_id", &result.id);
    let first = texts.first().map(|text| text.reborrow());
    let mut first = match first {
        None if result.parts.iter().any(|part| text_of(part).is_none()) => Literal::word(SHOWN),
        first => first.unwrap_or_default(),
    };
    if result.is_error && !tells_error(&result.parts) {
        let text = std::mem::replace(&mut first, Literal::word(ERROR));
        first.push(&text);
    }
    if texts.len() < 2 {
        return message.literal("content", &first);
    }
    message.array("content", |array| {
        let rest = texts.iter().skip(1).map(|text| text.reborrow());
        std::iter::once(first).chain(rest).for_each(|text| array.object(|part| write_text(part, &text)));
    });
}

/// A text, wherever it stands: a document that is plain text is one.
fn text_of<'p>(part: &'p Part<'_>) -> Option<&'p Literal<'p>> {
    match &part.content {
        Content::Text(text) | Content::Document { source: Source::Text(text), .. } => Some(text),
        Content::Refusal(_)
        | Content::Image { .. }
        | Content::Document { .. }
        | Content::Audio { .. }
        | Content::Reasoning { .. }
        | Content::Redacted(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_) => None,
    }
}

/// A turn without its results of tools; none where nothing else is said.
fn said(array: &mut Array<'_>, turn: &Turn<'_>, wants_reasoning: bool, lost: &mut Losses) {
    let role = match turn.speaker {
        // Most servers do not know OpenAI's newer name, and OpenAI takes this one.
        Speaker::System | Speaker::Developer => "system",
        Speaker::User => "user",
        Speaker::Model => return model(array, turn, wants_reasoning, lost),
    };
    let mut parts: Vec<_> = turn.parts.iter().filter(|part| is_content(part)).collect();
    if role == "system" {
        // Instructions are texts.
        parts.iter().filter(|part| text_of(part).is_none()).for_each(|part| lose(&part.content, lost));
        parts.retain(|part| text_of(part).is_some());
    }
    if parts.is_empty() {
        return;
    }
    array.object(|message| {
        message.word("role", role);
        if let Some(name) = &turn.name {
            message.literal("name", name);
        }
        content(message, &parts, lost);
    });
}

/// Names what the speaker of a turn cannot say here.
fn lose(content: &Content<'_>, lost: &mut Losses) {
    match content {
        Content::Image { .. } => lost.meaning("messages.image"),
        Content::Document { .. } => lost.meaning("messages.document"),
        Content::Audio { .. } => lost.meaning("messages.audio"),
        Content::Reasoning { .. } | Content::Redacted(_) => lost.hint("messages.reasoning"),
        Content::Text(_) | Content::Refusal(_) | Content::ToolCall(_) | Content::ToolResult(_) => {}
    }
}

/// Whether it stands in a content, and not beside it. Empty texts are refused by some servers.
fn is_content(part: &Part<'_>) -> bool {
    match &part.content {
        Content::Text(text) => !text.is_empty(),
        Content::Image { .. } | Content::Document { .. } | Content::Audio { .. } => true,
        Content::Refusal(_)
        | Content::Reasoning { .. }
        | Content::Redacted(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_) => false,
    }
}

fn content(message: &mut Object<'_>, parts: &[&Part<'_>], lost: &mut Losses) {
    // The form that every server takes.
    if let [part] = parts
        && let Some(text) = text_of(part)
    {
        return message.literal("content", text);
    }
    message.array("content", |array| parts.iter().for_each(|part| write_part(array, part, lost)));
}

fn write_part(array: &mut Array<'_>, part: &Part<'_>, lost: &mut Losses) {
    match &part.content {
        Content::Text(text) => array.object(|part| write_text(part, text)),
        Content::Image { source, detail } => image(array, source, detail.as_ref(), lost),
        Content::Document { source, name } => document(array, source, name.as_ref(), lost),
        Content::Audio { data, format } if format.is("wav") || format.is("mp3") => array.object(|part| {
            part.word("type", "input_audio");
            part.object("input_audio", |audio| {
                audio.literal("data", data);
                audio.literal("format", format);
            });
        }),
        Content::Audio { .. } => lost.meaning("messages.audio"),
        Content::Refusal(_)
        | Content::Reasoning { .. }
        | Content::Redacted(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_) => {}
    }
}

fn write_text(part: &mut Object<'_>, text: &Literal<'_>) {
    part.word("type", "text");
    part.literal("text", text);
}

fn image(array: &mut Array<'_>, source: &Source<'_>, detail: Option<&Literal<'_>>, lost: &mut Losses) {
    let url = match source {
        Source::Inline { media_type, data } => data_url(media_type, data),
        Source::Url(url) => url.reborrow(),
        Source::Text(_) | Source::File(_) => return lost.meaning("messages.image"),
    };
    array.object(|part| {
        part.word("type", "image_url");
        part.object("image_url", |image| {
            image.literal("url", &url);
            if let Some(detail) = detail {
                image.literal("detail", detail);
            }
        });
    });
}

fn document(array: &mut Array<'_>, source: &Source<'_>, name: Option<&Literal<'_>>, lost: &mut Losses) {
    let (media_type, data) = match source {
        Source::Inline { media_type, data } => (media_type, data),
        Source::Text(text) => return array.object(|part| write_text(part, text)),
        // Only a file's own bytes, or one that the server keeps.
        Source::Url(_) | Source::File(_) => return lost.meaning("messages.document"),
    };
    array.object(|part| {
        part.word("type", "file");
        part.object("file", |file| {
            file.literal("filename", name.unwrap_or(&Literal::word(UNNAMED)));
            file.literal("file_data", &data_url(media_type, data));
        });
    });
}

fn data_url(media_type: &Literal<'_>, data: &Literal<'_>) -> Literal<'static> {
    let mut url = Literal::word("data:");
    url.push(media_type);
    url.push(&Literal::word(";base64,"));
    url.push(data);
    url
}

/// What the model has said: text, refusal, calls. Its reasoning is lost but at a server that wants it: others refuse the
/// field for it.
fn model(array: &mut Array<'_>, turn: &Turn<'_>, wants_reasoning: bool, lost: &mut Losses) {
    let mut said = Said::default();
    for part in &turn.parts {
        match &part.content {
            Content::Text(text) if text.is_empty() => {}
            Content::Text(_) => said.texts.push(part),
            Content::Refusal(text) => said.refusal.push(text),
            Content::Reasoning { text, .. } if wants_reasoning => said.reasoning.push(text),
            Content::ToolCall(call) => {
                if call.signature.is_some() {
                    lost.hint("messages.reasoning");
                }
                said.calls.push(call);
            }
            // Results stand in the user's turns.
            Content::Reasoning { .. }
            | Content::Redacted(_)
            | Content::Image { .. }
            | Content::Document { .. }
            | Content::Audio { .. }
            | Content::ToolResult(_) => lose(&part.content, lost),
        }
    }
    if said.texts.is_empty() && said.refusal.is_empty() && said.calls.is_empty() {
        return;
    }
    array.object(|message| {
        message.word("role", "assistant");
        if let Some(name) = &turn.name {
            message.literal("name", name);
        }
        said.write(message, lost);
    });
}

/// What of a model's turn is written.
#[derive(Default)]
struct Said<'t> {
    texts: Vec<&'t Part<'t>>,
    refusal: Literal<'static>,
    reasoning: Literal<'static>,
    calls: Vec<&'t ToolCall<'t>>,
}

impl Said<'_> {
    fn write(&self, message: &mut Object<'_>, lost: &mut Losses) {
        if self.texts.is_empty() {
            message.null("content");
        } else {
            content(message, &self.texts, lost);
        }
        if !self.reasoning.is_empty() {
            message.literal("reasoning_content", &self.reasoning);
        }
        if !self.refusal.is_empty() {
            message.literal("refusal", &self.refusal);
        }
        if !self.calls.is_empty() {
            message.array("tool_calls", |array| {
                self.calls.iter().for_each(|call| array.object(|object| write_call(object, call)));
            });
        }
    }
}
