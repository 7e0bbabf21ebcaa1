//! Writes a request, for whatever server has this shape: only what most of them know.

mod messages;
mod tools;

use crate::dialect::neutral::{Content, Effort, Format, Literal, Losses, Raw, Reasoning, Request, Source};
use crate::dialect::translate::{Prepared, ReasoningForm, Recipient};
use crate::dialect::write::{self, Object};

/// More stop sequences are refused.
const MOST_STOPS: usize = 4;

/// Writes a request and names what is lost.
pub(crate) fn encode_request(request: &Request<'_>, to: &Recipient<'_>, lost: &mut Losses) -> Prepared {
    let mut rest = Vec::new();
    write::rest_of_object(&mut rest, |body| {
        body.text("model", to.model);
        messages::write(body, request, to, lost);
        tools::write(body, request, to, lost);
        sampling(body, request, to, lost);
        output(body, request, to, lost);
        caller(body, request);
        stream(body, request, to);
    });
    note_parts(request, lost);
    let most = to.max_output.map_or(u64::MAX, |most| most.0);
    Prepared {
        open: "{",
        field: to.max_tokens_field.name(),
        // A server refuses more than its model can give.
        bound: request.max_output.map(|bound| bound.min(most)),
        needed: None,
        thought: None,
        rest,
    }
}

fn sampling(body: &mut Object<'_>, request: &Request<'_>, to: &Recipient<'_>, lost: &mut Losses) {
    for (name, value) in [("temperature", &request.temperature), ("top_p", &request.top_p)] {
        match value {
            Some(value) if to.accepts.sampling => body.raw(name, value),
            Some(value) if !is_one(value) => lost.meaning(name),
            Some(_) | None => {}
        }
    }
    match (&request.top_k, to.accepts.sampling) {
        (Some(_), true) => lost.hint("top_k"),
        (Some(_), false) => lost.meaning("top_k"),
        (None, _) => {}
    }
    let others = [
        ("frequency_penalty", &request.frequency_penalty),
        ("presence_penalty", &request.presence_penalty),
        ("seed", &request.seed),
    ];
    for (name, value) in others {
        if let Some(value) = value {
            body.raw(name, value);
        }
    }
}

/// The default of temperature and of `top_p`.
fn is_one(value: &Raw<'_>) -> bool {
    std::str::from_utf8(value.raw()).is_ok_and(|number| number.parse() == Ok(1.0_f64))
}

fn output(body: &mut Object<'_>, request: &Request<'_>, to: &Recipient<'_>, lost: &mut Losses) {
    let stops: Vec<_> = request.stop.iter().filter(|stop| !stop.is_empty()).collect();
    if stops.len() > MOST_STOPS {
        lost.meaning("stop");
    } else if !stops.is_empty() {
        body.array("stop", |array| stops.iter().for_each(|stop| array.literal(stop)));
    }
    match &request.format {
        Some(Format::Json) => body.object("response_format", |format| format.word("type", "json_object")),
        Some(Format::Schema { .. }) if !to.accepts.json_schema => lost.meaning("response_format"),
        Some(Format::Schema { name, description, schema, strict }) => {
            let (name, description) = (name.as_ref(), description.as_ref());
            body.object("response_format", |format| {
                format.word("type", "json_schema");
                format.object("json_schema", |object| {
                    json_schema(object, (name, description), schema, *strict);
                });
            });
        }
        None => {}
    }
    if let Some(effort) = request.reasoning.and_then(|reasoning| effort(reasoning, to, lost)) {
        body.word("reasoning_effort", effort);
    }
    if request.logprobs.is_some() {
        // No answer could carry them back.
        lost.meaning("logprobs");
    }
    if let Some(choices) = request.choices.filter(|choices| *choices > 1) {
        body.number("n", choices);
    }
}

fn json_schema(
    object: &mut Object<'_>,
    (name, description): (Option<&Literal<'_>>, Option<&Literal<'_>>),
    schema: &Raw<'_>,
    strict: Option<bool>,
) {
    match name {
        Some(name) => object.literal("name", name),
        // A schema has to have one.
        None => object.word("name", "answer"),
    }
    if let Some(description) = description {
        object.literal("description", description);
    }
    object.raw("schema", schema);
    if let Some(strict) = strict {
        object.flag("strict", strict);
    }
}

/// The word for how much is thought, where one is needed.
fn effort(reasoning: Reasoning, to: &Recipient<'_>, lost: &mut Losses) -> Option<&'static str> {
    match (reasoning, to.accepts.reasoning) {
        (Reasoning::Auto, _) | (Reasoning::Off, ReasoningForm::Nothing) => None,
        (_, ReasoningForm::Nothing | ReasoningForm::Budget) => {
            // Chats know no budget.
            lost.hint("reasoning_effort");
            None
        }
        (Reasoning::Off, ReasoningForm::Effort) => Some("none"),
        (Reasoning::Effort(effort), ReasoningForm::Effort) => Some(effort.word()),
        (Reasoning::Budget(tokens), ReasoningForm::Effort) => Some(effort_of(tokens).word()),
    }
}

/// The effort that thinks about so much.
fn effort_of(budget: u64) -> Effort {
    match budget {
        0..2_048 => Effort::Low,
        2_048..8_192 => Effort::Medium,
        _ => Effort::High,
    }
}

fn caller(body: &mut Object<'_>, request: &Request<'_>) {
    if let Some(user) = &request.user {
        body.literal("user", user);
    }
    if let Some(metadata) = &request.metadata {
        body.raw("metadata", metadata);
    }
}

fn stream(body: &mut Object<'_>, request: &Request<'_>, to: &Recipient<'_>) {
    if !request.stream {
        return;
    }
    body.flag("stream", true);
    if to.ask_usage {
        body.object("stream_options", |options| options.flag("include_usage", true));
    }
}

/// What is lost wherever it stands.
fn note_parts(request: &Request<'_>, lost: &mut Losses) {
    let said = request.turns.iter().flat_map(|turn| &turn.parts);
    let within = said.clone().filter_map(|part| match &part.content {
        Content::ToolResult(result) => Some(&result.parts),
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Image { .. }
        | Content::Document { .. }
        | Content::Audio { .. }
        | Content::Reasoning { .. }
        | Content::Redacted(_)
        | Content::ToolCall(_) => None,
    });
    let mut cached = request.tools.iter().any(|tool| tool.cache.is_some());
    for part in said.chain(within.flatten()) {
        cached |= part.cache.is_some();
        if matches!(&part.content, Content::Document { source: Source::Text(_), name: Some(_) }) {
            // Its text is a text like any other.
            lost.hint("messages.document.name");
        }
    }
    if cached {
        // Most servers keep what they like in their cache, and refuse a word about it.
        lost.hint("messages.cache_hint");
    }
}
