//! Requests.

use proptest::prelude::*;

use super::{Within, base64, maybe, name, object, signature, text, word};
use crate::dialect::neutral::{
    Cache, Content, Format, Literal, Part, Raw, Reasoning, Request, Signature, Source, Speaker, Tool,
    ToolCall, ToolChoice, ToolResult, Turn,
};

/// Any request. Every call has its result in a turn behind it, and the calls have the ids `call_0`, `call_1` in order.
pub(crate) fn request(within: Within) -> impl Strategy<Value = Request<'static>> {
    (conversation(within), tools(within), sampling(within), output(within)).prop_map(
        |(turns, (tools, tool_choice, parallel_tool_calls), sampling, output)| Request {
            turns,
            tools,
            tool_choice,
            parallel_tool_calls,
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k: sampling.top_k,
            frequency_penalty: sampling.frequency_penalty,
            presence_penalty: sampling.presence_penalty,
            seed: sampling.seed,
            ..output
        },
    )
}

/// The same with neighbouring turns of one speaker as one: dialects differ on where a turn ends.
pub(crate) fn merged(request: Request<'_>) -> Request<'_> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for turn in request.turns {
        match turns.last_mut() {
            Some(last) if last.speaker == turn.speaker && last.name == turn.name => {
                last.parts.extend(turn.parts);
            }
            _ => turns.push(turn),
        }
    }
    Request { turns, ..request }
}

fn conversation(within: Within) -> impl Strategy<Value = Vec<Turn<'static>>> {
    let first = prop::collection::vec(instruction(within), 0..3);
    let late = maybe(within.late_system, instruction(within));
    let round = (user_parts(within), said(within), late, maybe(within.names, name()));
    (first, prop::collection::vec(round, 0..3), user_parts(within)).prop_map(|(first, rounds, last)| {
        let mut turns = first;
        let (mut waiting, mut calls) = (Vec::new(), 0);
        for (asked, (mut said, results), late, name) in rounds {
            turns.extend(results_turn(waiting));
            turns.push(Turn { speaker: Speaker::User, name, parts: asked });
            waiting = answered(&mut said, results, &mut calls);
            turns.push(Turn { speaker: Speaker::Model, name: None, parts: said });
            // Results stand right behind their calls.
            turns.extend(late.filter(|_| waiting.is_empty()));
        }
        turns.extend(results_turn(waiting));
        turns.push(Turn { speaker: Speaker::User, name: None, parts: last });
        turns
    })
}

fn results_turn(parts: Vec<Part<'static>>) -> Option<Turn<'static>> {
    (!parts.is_empty()).then_some(Turn { speaker: Speaker::User, name: None, parts })
}

/// Numbers the calls and gives their results.
fn answered(
    said: &mut [Part<'static>],
    results: Vec<(Vec<Part<'static>>, bool)>,
    calls: &mut usize,
) -> Vec<Part<'static>> {
    let calling = said.iter_mut().filter_map(|part| part.call_mut());
    let results = calling.zip(results).map(|(call, (parts, is_error))| {
        call.id = Literal::from_text(&format!("call_{calls}"));
        *calls += 1;
        let (id, name) = (call.id.clone(), call.name.clone());
        Part::of(Content::ToolResult(ToolResult { id, name, parts, is_error }))
    });
    results.collect()
}

fn instruction(within: Within) -> impl Strategy<Value = Turn<'static>> {
    let speakers: &[Speaker] =
        if within.developer { &[Speaker::System, Speaker::Developer] } else { &[Speaker::System] };
    let parts = prop::collection::vec(part(within, text().prop_map(Content::Text)), 1..3);
    (prop::sample::select(speakers), maybe(within.names, name()), parts)
        .prop_map(|(speaker, name, parts)| Turn { speaker, name, parts })
}

fn part(
    within: Within,
    content: impl Strategy<Value = Content<'static>>,
) -> impl Strategy<Value = Part<'static>> {
    let cache = maybe(within.cache, prop::sample::select(&[Cache::Short, Cache::Long][..]));
    (content, cache).prop_map(|(content, cache)| Part { content, cache })
}

fn user_parts(within: Within) -> impl Strategy<Value = Vec<Part<'static>>> {
    let mut kinds = vec![text().prop_map(Content::Text).boxed()];
    if within.images {
        kinds.push(image(within).boxed());
    }
    if within.documents {
        kinds.push(document(within).boxed());
    }
    if within.audio {
        let audio = (base64(), word(&["wav", "mp3"]));
        kinds.push(audio.prop_map(|(data, format)| Content::Audio { data, format }).boxed());
    }
    let any = proptest::strategy::Union::new(kinds);
    prop::collection::vec(part(within, any), 1..4)
}

fn image(within: Within) -> impl Strategy<Value = Content<'static>> {
    let mut sources = vec![inline(&["image/png", "image/jpeg", "image/webp"]).boxed()];
    if within.image_urls {
        sources.push(
            "https://example\\.com/[a-z]{1,8}\\.png"
                .prop_map(|url| Source::Url(Literal::from_text(&url)))
                .boxed(),
        );
    }
    let detail = maybe(within.image_detail, word(&["low", "high"]));
    (proptest::strategy::Union::new(sources), detail)
        .prop_map(|(source, detail)| Content::Image { source, detail })
}

fn document(within: Within) -> impl Strategy<Value = Content<'static>> {
    let mut sources = vec![inline(&["application/pdf"]).boxed()];
    if within.text_documents {
        sources.push(text().prop_map(Source::Text).boxed());
    }
    if within.files {
        sources.push(name().prop_map(Source::File).boxed());
    }
    let named = maybe(within.document_names, name());
    (proptest::strategy::Union::new(sources), named)
        .prop_map(|(source, name)| Content::Document { source, name })
}

fn inline(types: &'static [&'static str]) -> impl Strategy<Value = Source<'static>> {
    (word(types), base64()).prop_map(|(media_type, data)| Source::Inline { media_type, data })
}

type Results = Vec<(Vec<Part<'static>>, bool)>;

/// What the model says, and what its tools will answer.
fn said(within: Within) -> impl Strategy<Value = (Vec<Part<'static>>, Results)> {
    let reasoning = (text(), signature(within.signatures))
        .prop_map(|(text, signature)| Content::Reasoning { text, signature });
    let redacted = base64().prop_map(move |text| {
        // Only where somebody writes it.
        Content::Redacted(Signature {
            by: within.redacted.unwrap_or(crate::dialect::Dialect::Anthropic),
            text,
        })
    });
    let last = maybe(within.any_order, text().prop_map(Content::Text));
    (
        maybe(within.reasoning, reasoning),
        maybe(within.redacted.is_some(), redacted),
        prop::collection::vec(text().prop_map(Content::Text), 0..3),
        maybe(within.refusals, text().prop_map(Content::Refusal)),
        prop::collection::vec((call(within), result(within)), 0..3),
        last,
        text(),
    )
        .prop_map(|(reasoning, redacted, texts, refusal, calls, last, otherwise)| {
            let (calls, results): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
            let silent = texts.is_empty() && refusal.is_none() && calls.is_empty() && last.is_none();
            let otherwise = silent.then_some(Content::Text(otherwise));
            let first = reasoning.into_iter().chain(redacted).chain(texts).chain(refusal);
            let parts = first.chain(calls).chain(last).chain(otherwise).map(Part::of);
            (parts.collect(), results)
        })
}

fn call(within: Within) -> impl Strategy<Value = Content<'static>> {
    (name(), object(), signature(within.call_signatures)).prop_map(|(name, arguments, signature)| {
        Content::ToolCall(ToolCall { id: Literal::default(), name, arguments, signature })
    })
}

fn result(within: Within) -> impl Strategy<Value = (Vec<Part<'static>>, bool)> {
    let image =
        maybe(within.result_images, image(Within { image_urls: false, image_detail: false, ..within }));
    (text(), image, any::<bool>()).prop_map(move |(text, image, failed)| {
        let parts = std::iter::once(Content::Text(text)).chain(image).map(Part::of);
        (parts.collect(), failed && within.result_errors)
    })
}

type Tools = (Vec<Tool<'static>>, Option<ToolChoice<'static>>, Option<bool>);

/// Tools of different names, and what is said of them where there are any.
fn tools(within: Within) -> impl Strategy<Value = Tools> {
    let tool = (
        prop::option::of(text()),
        prop::option::of(object()),
        maybe(within.strict_tools, any::<bool>()),
        maybe(within.cache, Just(Cache::Short)),
    );
    let tools = prop::collection::btree_map("[a-z][a-z0-9_]{0,8}", tool, 0..4);
    (tools, 0..7_usize, maybe(within.parallel_tool_calls, any::<bool>())).prop_map(
        move |(tools, choice, parallel)| {
            let tools: Vec<_> = tools
                .into_iter()
                .map(|(name, (description, parameters, strict, cache))| Tool {
                    name: Literal::from_text(&name),
                    description,
                    parameters,
                    strict,
                    cache,
                })
                .collect();
            let Some(first) = tools.first().map(|tool| tool.name.clone()) else { return (tools, None, None) };
            let all = || tools.iter().map(|tool| tool.name.clone()).collect();
            let choice = match choice {
                0 => Some(ToolChoice::Auto),
                1 => Some(ToolChoice::None),
                2 => Some(ToolChoice::Required),
                3 => Some(ToolChoice::OneOf(vec![first])),
                4 if within.tool_choice_of_many => Some(ToolChoice::OneOf(all())),
                5 if within.tool_choice_of_many => Some(ToolChoice::Allowed(all())),
                _ => None,
            };
            (tools, choice, parallel)
        },
    )
}

/// The numbers that say how an answer is drawn.
#[derive(Clone, Debug)]
struct Sampling {
    temperature: Option<Raw<'static>>,
    top_p: Option<Raw<'static>>,
    top_k: Option<Raw<'static>>,
    frequency_penalty: Option<Raw<'static>>,
    presence_penalty: Option<Raw<'static>>,
    seed: Option<Raw<'static>>,
}

fn sampling(within: Within) -> impl Strategy<Value = Sampling> {
    let one_of = |allowed, numbers: &'static [&'static str]| {
        maybe(allowed, prop::sample::select(numbers).prop_map(Raw::word))
    };
    (
        one_of(true, &["0", "0.2", "1", "1.0"]),
        one_of(true, &["0.1", "0.95", "1"]),
        one_of(within.top_k, &["1", "40"]),
        one_of(within.penalties, &["-1.5", "0", "2"]),
        one_of(within.penalties, &["-1.5", "0", "2"]),
        one_of(within.seed, &["0", "7", "-42"]),
    )
        .prop_map(|(temperature, top_p, top_k, frequency_penalty, presence_penalty, seed)| Sampling {
            temperature,
            top_p,
            top_k,
            frequency_penalty,
            presence_penalty,
            seed,
        })
}

/// What is said of the answer; the rest of the request is empty.
fn output(within: Within) -> impl Strategy<Value = Request<'static>> {
    let thinking = within.thinking.to_vec();
    let thinks = !thinking.is_empty();
    let thinking = if thinks { thinking } else { vec![Reasoning::Auto] };
    (
        (prop::option::of(1..5000_u64), prop::collection::vec(text(), 0..4), any::<bool>()),
        format(within),
        maybe(thinks, prop::sample::select(thinking)),
        maybe(within.logprobs, 0..20_u64),
        maybe(within.choices, 2..4_u64),
        maybe(within.user, text()),
        maybe(within.metadata, "[a-z]{1,6}"),
    )
        .prop_map(
            |((max_output, stop, stream), format, reasoning, logprobs, choices, user, metadata)| Request {
                max_output,
                stop,
                stream,
                format,
                reasoning,
                logprobs,
                choices,
                user,
                metadata: metadata.map(|value| Raw::written(format!(r#"{{"job":"{value}"}}"#).into_bytes())),
                ..Request::default()
            },
        )
}

fn format(within: Within) -> BoxedStrategy<Option<Format<'static>>> {
    let named = within.schema_names;
    let schema = (name(), maybe(named, text()), object(), maybe(named, any::<bool>()));
    let schema = schema.prop_map(move |(name, description, schema, strict)| {
        let name = named.then_some(name);
        Format::Schema { name, description, schema, strict }
    });
    if within.json {
        prop::option::of(prop_oneof![Just(Format::Json), schema]).boxed()
    } else {
        prop::option::of(schema).boxed()
    }
}
