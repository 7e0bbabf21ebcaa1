//! Neutral values that Gemini can express, in the form in which it gives them back.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use crate::dialect::neutral::{
    Answer, Choice, Content, Effort, Finish, Format, Literal, Part, Raw, Reasoning, Request, Signature,
    Source, Speaker, Tool, ToolCall, ToolChoice, ToolResult, Turn,
};
use crate::dialect::{Dialect, base64, samples};
use crate::units::Tokens;
use crate::usage::Usage;

type Owned<T> = BoxedStrategy<T>;

/// A text that says something.
pub(super) fn words() -> Owned<Literal<'static>> {
    samples::any_text().prop_map(|text| Literal::from_text(&format!("{text}."))).boxed()
}

fn name() -> Owned<Literal<'static>> {
    "[a-z_]{1,8}".prop_map(|name| Literal::from_text(&name)).boxed()
}

fn data() -> Owned<Literal<'static>> {
    vec(any::<u8>(), 1..9).prop_map(|bytes| Literal::from_text(&base64::encode(&bytes))).boxed()
}

fn an_object() -> Owned<Raw<'static>> {
    let members = prop::collection::btree_map(samples::any_text(), samples::any_json(), 0..4);
    members.prop_map(|members| Raw::written(serde_json::to_vec(&members).unwrap())).boxed()
}

/// A schema, or arguments with something in them.
fn some_object() -> Owned<Raw<'static>> {
    samples::any_json()
        .prop_map(|value| Raw::written(json!({ "type": value }).to_string().into_bytes()))
        .boxed()
}

fn signature(by: &'static [Dialect]) -> Owned<Signature<'static>> {
    let signature = (prop::sample::select(by.to_vec()), data());
    signature.prop_map(|(by, text)| Signature { by, text }).boxed()
}

const OWN: &[Dialect] = &[Dialect::Gemini];
const ALL: &[Dialect] = &[Dialect::Gemini, Dialect::Anthropic, Dialect::OpenAi];

fn call(by: &'static [Dialect]) -> Owned<ToolCall<'static>> {
    (name(), an_object(), option::of(signature(by)))
        .prop_map(|(name, arguments, signature)| ToolCall {
            id: Literal::default(),
            name,
            arguments,
            signature,
        })
        .boxed()
}

/// What the model says, before its calls have their ids.
fn said(by: &'static [Dialect]) -> Owned<Content<'static>> {
    prop_oneof![
        3 => words().prop_map(Content::Text),
        1 => (words(), signature(by)).prop_map(|(text, signature)| Content::Reasoning { text, signature: Some(signature) }),
        1 => signature(by).prop_map(Content::Redacted),
        2 => call(by).prop_map(Content::ToolCall),
    ]
    .boxed()
}

/// What the user says beside results.
fn asked() -> Owned<Content<'static>> {
    let inline = |media: &'static [&'static str]| {
        (prop::sample::select(media.to_vec()), data())
            .prop_map(|(media, data)| Source::Inline { media_type: Literal::word(media), data })
    };
    let image = inline(&["image/png", "image/jpeg"]);
    let document = prop_oneof![inline(&["application/pdf"]), words().prop_map(Source::Text)];
    prop_oneof![
        3 => words().prop_map(Content::Text),
        1 => image.prop_map(|source| Content::Image { source, detail: None }),
        1 => document.prop_map(|source| Content::Document { source, name: None }),
        1 => (data(), prop::sample::select(vec!["wav", "mp3", "flac"]))
            .prop_map(|(data, format)| Content::Audio { data, format: Literal::word(format) }),
    ]
    .boxed()
}

/// The text of a result that Gemini gives back as it was: not one that has its own names in it.
fn result() -> Owned<(Literal<'static>, bool)> {
    let object =
        samples::any_json().prop_map(|value| Literal::from_text(&json!({ "value": value }).to_string()));
    (prop_oneof![words(), object], any::<bool>()).boxed()
}

/// Turns by turns, one side after the other; each call is answered at once, or never.
fn turns() -> Owned<Vec<Turn<'static>>> {
    let turn = (vec(asked(), 1..4), vec(said(OWN), 1..5), vec(option::of(result()), 5));
    vec(turn, 1..4).prop_map(conversation).boxed()
}

type Exchange = (Vec<Content<'static>>, Vec<Content<'static>>, Vec<Option<(Literal<'static>, bool)>>);

fn conversation(exchanges: Vec<Exchange>) -> Vec<Turn<'static>> {
    let mut turns = Vec::new();
    let (mut results, mut calls) = (Vec::new(), 0);
    for (asked, said, outcomes) in exchanges {
        let user = results.drain(..).chain(asked).map(Part::of).collect();
        turns.push(Turn { speaker: Speaker::User, name: None, parts: user });
        let mut said = normal(said);
        let mut outcomes = outcomes.into_iter();
        // Of two calls of one name the first one is answered first.
        let mut open = true;
        for content in &mut said {
            if let Content::ToolCall(call) = content {
                call.id = Literal::from_text(&format!("call_{calls}"));
                calls += 1;
                let outcome = outcomes.next().flatten();
                open &= outcome.is_some();
                if let Some((text, is_error)) = outcome.filter(|_| open) {
                    let parts = vec![Part::of(Content::Text(text))];
                    let (id, name) = (call.id.clone(), call.name.clone());
                    results.push(Content::ToolResult(ToolResult { id, name, parts, is_error }));
                }
            }
        }
        turns.push(Turn {
            speaker: Speaker::Model,
            name: None,
            parts: said.into_iter().map(Part::of).collect(),
        });
    }
    turns
}

/// Without what the encoder joins: a signature goes into the call behind it.
fn normal(said: Vec<Content<'static>>) -> Vec<Content<'static>> {
    let mut normal: Vec<Content<'static>> = Vec::new();
    for content in said {
        while matches!((normal.last(), &content), (Some(Content::Redacted(_)), Content::ToolCall(_))) {
            normal.pop();
        }
        normal.push(content);
    }
    normal
}

fn tools() -> Owned<(Vec<Tool<'static>>, Option<ToolChoice<'static>>)> {
    let tool = (name(), option::of(words()), option::of(some_object())).prop_map(
        |(name, description, parameters)| Tool { name, description, parameters, strict: None, cache: None },
    );
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        vec(name(), 1..3).prop_map(ToolChoice::OneOf),
    ];
    (vec(tool, 0..3), option::of(choice))
        .prop_map(|(tools, choice)| {
            let choice = choice.filter(|_| !tools.is_empty());
            (tools, choice)
        })
        .boxed()
}

fn number() -> Owned<Option<Raw<'static>>> {
    let number = prop_oneof![Just("0"), Just("1"), Just("0.25"), Just("-1.5"), Just("1e-1")];
    option::of(number.prop_map(Raw::word)).boxed()
}

fn format() -> Owned<Format<'static>> {
    let of_schema = |schema| Format::Schema { name: None, description: None, schema, strict: None };
    prop_oneof![Just(Format::Json), some_object().prop_map(of_schema)].boxed()
}

/// A request; how much it is to think comes from outside, as it depends on the model's form.
pub(super) fn request(reasoning: Owned<Option<Reasoning>>) -> Owned<Request<'static>> {
    let system = option::of(vec(words(), 1..3));
    let numbers = (number(), number(), option::of(1..99_u64), number(), number(), option::of(any::<i32>()));
    let limits = (option::of(1..9999_u64), option::of(2..9_u64), vec(words(), 0..5));
    (system, turns(), tools(), numbers, limits, option::of(format()), reasoning)
        .prop_map(|(system, turns, (tools, tool_choice), numbers, limits, format, reasoning)| {
            let whole = |number: String| Raw::written(number.into_bytes());
            let system = system.map(|texts| Turn {
                speaker: Speaker::System,
                name: None,
                parts: texts.into_iter().map(|text| Part::of(Content::Text(text))).collect(),
            });
            Request {
                turns: system.into_iter().chain(turns).collect(),
                tools,
                tool_choice,
                max_output: limits.0,
                temperature: numbers.0,
                top_p: numbers.1,
                top_k: numbers.2.map(|number| whole(number.to_string())),
                frequency_penalty: numbers.3,
                presence_penalty: numbers.4,
                seed: numbers.5.map(|number| whole(number.to_string())),
                stop: limits.2,
                format,
                reasoning,
                choices: limits.1,
                ..Request::default()
            }
        })
        .boxed()
}

/// Reasoning that models of levels take.
pub(super) fn levels() -> Owned<Option<Reasoning>> {
    use Effort::{High, Low, Medium, Minimal, XHigh};
    option::of(prop::sample::select(vec![Minimal, Low, Medium, High, XHigh]).prop_map(Reasoning::Effort))
        .boxed()
}

/// Reasoning that models of budgets take.
pub(super) fn budgets() -> Owned<Option<Reasoning>> {
    let budget = (1..24_577_u64).prop_map(Reasoning::Budget);
    option::of(prop_oneof![Just(Reasoning::Off), Just(Reasoning::Auto), budget]).boxed()
}

/// An answer; calls have an id, or none.
pub(super) fn answer() -> Owned<Answer<'static>> {
    let choice =
        (vec(said(ALL), 0..6), prop::sample::select(vec![Finish::Stop, Finish::Length, Finish::Filtered]));
    let usage = prop::array::uniform4(0..1000_u64);
    (words(), words(), vec(choice, 1..4), option::of(usage))
        .prop_map(|(id, model, choices, usage)| Answer {
            id,
            model,
            choices: choices
                .into_iter()
                .zip(0..)
                .map(|((said, finish), index)| choice_of(said, finish, index))
                .collect(),
            usage: usage.map(|[input, cache_read, output, reasoning]| Usage {
                input: Tokens(input),
                cache_read: Tokens(cache_read),
                output: Tokens(output),
                reasoning: Tokens(reasoning),
                ..Usage::default()
            }),
        })
        .boxed()
}

fn choice_of(said: Vec<Content<'static>>, finish: Finish, index: u32) -> Choice<'static> {
    let mut parts: Vec<Part<'static>> = Vec::new();
    let mut calls = 0;
    for mut content in said {
        // Texts that follow each other are one.
        if matches!(
            (parts.last().map(|part| &part.content), &content),
            (Some(Content::Text(_)), Content::Text(_))
        ) {
            continue;
        }
        if let Content::ToolCall(call) = &mut content {
            call.id = Literal::from_text(&format!("id_{index}_{calls}"));
            calls += 1;
        }
        parts.push(Part::of(content));
    }
    let finish = if finish == Finish::Stop && calls > 0 { Finish::ToolCalls } else { finish };
    Choice { parts, finish, stop: None }
}
