//! Neutral values that Anthropic's form can express.

use proptest::prelude::*;
use serde_json::json;

use super::{literal, turn};
use crate::dialect::neutral::{
    Answer, Cache, Choice, Content, Effort, Finish, Format, Literal, Part, Raw, Reasoning, Request,
    Signature, Source, Speaker, Tool, ToolCall, ToolChoice, ToolResult, Turn,
};
use crate::dialect::{Dialect, samples};
use crate::units::Tokens;
use crate::usage::Usage;

/// Any text with something in it.
pub(crate) fn any_words() -> impl Strategy<Value = Literal<'static>> {
    samples::any_text().prop_map(|text| literal(&format!("x{text}")))
}

fn any_object() -> impl Strategy<Value = Raw<'static>> {
    samples::any_json().prop_map(|value| Raw::written(json!({ "type": value }).to_string().into_bytes()))
}

fn any_cache() -> impl Strategy<Value = Option<Cache>> {
    prop_oneof![9 => Just(None), 1 => Just(Some(Cache::Short)), 1 => Just(Some(Cache::Long))]
}

/// A signature of one of these.
fn any_signature(by: &'static [Dialect]) -> impl Strategy<Value = Signature<'static>> {
    (prop::sample::select(by), any_words()).prop_map(|(by, text)| Signature { by, text })
}

fn any_source(kinds: [&'static str; 2]) -> impl Strategy<Value = Source<'static>> {
    let inline = (prop::sample::select(kinds.to_vec()), any_words())
        .prop_map(|(kind, data)| Source::Inline { media_type: literal(kind), data });
    prop_oneof![inline, any_words().prop_map(|_| Source::Url(literal("https://x.example/a?b=\"c\"")))]
}

fn any_shown() -> impl Strategy<Value = Part<'static>> {
    let image =
        any_source(["image/png", "image/webp"]).prop_map(|source| Content::Image { source, detail: None });
    let source = prop_oneof![any_source(["application/pdf"; 2]), any_words().prop_map(Source::Text)];
    let document =
        (source, prop::option::of(any_words())).prop_map(|(source, name)| Content::Document { source, name });
    let content = prop_oneof![4 => any_words().prop_map(Content::Text), 1 => image, 1 => document];
    (content, any_cache()).prop_map(|(content, cache)| Part { content, cache })
}

/// What the model says, with signatures of these.
fn any_said(by: &'static [Dialect]) -> impl Strategy<Value = Content<'static>> {
    let call = (any_words(), any_object()).prop_map(|(id, arguments)| {
        Content::ToolCall(ToolCall { id, name: literal("tool"), arguments, signature: None })
    });
    prop_oneof![
        3 => any_words().prop_map(Content::Text),
        1 => (any_words(), any_signature(by))
            .prop_map(|(text, signature)| Content::Reasoning { text, signature: Some(signature) }),
        1 => any_signature(by).prop_map(Content::Redacted),
        2 => call,
    ]
}

/// Any conversation that Anthropic's form expresses as it is.
fn any_turns() -> impl Strategy<Value = Vec<Turn<'static>>> {
    let system = prop::collection::vec((any_words(), any_cache()), 0..3);
    let shown = prop::collection::vec(any_shown(), 1..4);
    let said = prop::collection::vec((any_said(&[Dialect::Anthropic]), any_cache()), 1..4);
    let results = prop::collection::vec((prop::collection::vec(any_shown(), 0..3), any::<bool>()), 4);
    let exchange = (shown, said, results);
    (system, prop::collection::vec(exchange, 1..4)).prop_map(|(system, exchanges)| {
        let mut turns = Vec::new();
        if !system.is_empty() {
            let parts = system.into_iter().map(|(text, cache)| Part { content: Content::Text(text), cache });
            turns.push(turn(Speaker::System, parts.collect()));
        }
        let mut open: Vec<Part<'static>> = Vec::new();
        for (n, (shown, said, results)) in exchanges.into_iter().enumerate() {
            open.extend(shown);
            turns.push(turn(Speaker::User, std::mem::take(&mut open)));
            let mut results = results.into_iter();
            let mut parts = Vec::new();
            for (i, (mut content, mut cache)) in said.into_iter().enumerate() {
                if let Content::ToolCall(call) = &mut content {
                    call.id = literal(&format!("call_{n}-{i}"));
                    let (parts, is_error) = results.next().unwrap();
                    let (id, name) = (call.id.clone(), call.name.clone());
                    open.push(Part::of(Content::ToolResult(ToolResult { id, name, parts, is_error })));
                }
                if matches!(content, Content::Reasoning { .. } | Content::Redacted(_)) {
                    cache = None;
                }
                parts.push(Part { content, cache });
            }
            turns.push(turn(Speaker::Model, parts));
        }
        if !open.is_empty() {
            turns.push(turn(Speaker::User, open));
        }
        turns
    })
}

fn any_tools() -> impl Strategy<Value = Vec<Tool<'static>>> {
    let tool = (prop::option::of(any_words()), any_object(), any::<Option<bool>>(), any_cache());
    prop::collection::vec(tool, 0..3).prop_map(|tools| {
        let tools = tools.into_iter().enumerate();
        let named = tools.map(|(i, (description, parameters, strict, cache))| Tool {
            name: literal(&format!("tool-{i}")),
            description,
            parameters: Some(parameters),
            strict,
            cache,
        });
        named.collect()
    })
}

fn any_choice() -> impl Strategy<Value = Option<ToolChoice<'static>>> {
    prop::sample::select(vec![
        None,
        Some(ToolChoice::Auto),
        Some(ToolChoice::None),
        Some(ToolChoice::Required),
        Some(ToolChoice::OneOf(vec![Literal::word("tool-0")])),
    ])
}

/// Any request that comes back from Anthropic's form as it was.
pub(crate) fn any_request() -> impl Strategy<Value = Request<'static>> {
    let number = |numbers: &'static [&'static str]| {
        prop::option::of(prop::sample::select(numbers).prop_map(Raw::word))
    };
    let schema = any_object().prop_map(|schema| Format::Schema {
        name: None,
        description: None,
        schema,
        strict: None,
    });
    let reasoning = prop::sample::select(vec![
        Reasoning::Off,
        Reasoning::Effort(Effort::Low),
        Reasoning::Effort(Effort::Medium),
        Reasoning::Effort(Effort::Max),
    ]);
    let asked = (
        (any_turns(), any_tools(), any_choice(), any::<bool>(), any::<bool>()),
        (number(&["0", "0.7", "1", "1.0"]), number(&["0.25", "1e-1"]), number(&["1", "40"])),
        (prop::option::of(schema), prop::option::of(reasoning), prop::option::of(any_words())),
        (1..u64::MAX, prop::collection::vec(any_words(), 0..4)),
    );
    asked.prop_map(|(talk, sampling, output, (max_output, stop))| {
        let (turns, tools, tool_choice, one_at_a_time, stream) = talk;
        let (temperature, top_p, top_k) = sampling;
        let (format, reasoning, user) = output;
        let tool_choice = tool_choice.filter(|_| !tools.is_empty());
        let may_be_one = !matches!(tool_choice, None | Some(ToolChoice::None));
        let mut request = Request {
            parallel_tool_calls: (one_at_a_time && may_be_one).then_some(false),
            max_output: Some(max_output),
            ..Request { turns, tools, tool_choice, temperature, top_p, top_k, ..Request::default() }
        };
        request = Request { stop, format, reasoning, user, stream, ..request };
        keep_four_marks(&mut request);
        request
    })
}

fn keep_four_marks(request: &mut Request<'_>) {
    let mut left = 4_usize;
    let mut keep = |cache: &mut Option<Cache>| match left.checked_sub(usize::from(cache.is_some())) {
        Some(now) => left = now,
        None => *cache = None,
    };
    request.tools.iter_mut().for_each(|tool| keep(&mut tool.cache));
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Content::ToolResult(result) = &mut part.content {
            result.parts.iter_mut().for_each(|part| keep(&mut part.cache));
        }
        keep(&mut part.cache);
    }
}

/// Any answer that comes back from Anthropic's form as it was, streamed or not.
pub(crate) fn any_answer() -> impl Strategy<Value = Answer<'static>> {
    const ALL: &[Dialect] = &[Dialect::Anthropic, Dialect::Gemini, Dialect::OpenAi];
    let said = prop::collection::vec((any_said(ALL), prop::option::of(any_signature(&ALL[1..]))), 0..6);
    let finish = prop::sample::select(vec![
        Finish::Stop,
        Finish::StopSequence,
        Finish::Length,
        Finish::Window,
        Finish::ToolCalls,
        Finish::Refused,
        Finish::Paused,
    ]);
    let count = 0..1_000_000_u64;
    let usage = [count.clone(), count.clone(), count.clone(), count.clone(), count];
    (said, finish, prop::option::of(any_words()), usage).prop_map(|(said, finish, stop, usage)| {
        let [input, cache_read, cache_write, output, reasoning] = usage.map(Tokens);
        let usage = Usage { input, cache_read, cache_write, output, reasoning, ..Usage::default() };
        let mut parts: Vec<Part<'static>> = Vec::new();
        for (mut content, signature) in said {
            match (&mut content, parts.last_mut().map(|part| &mut part.content)) {
                // One text goes on.
                (Content::Text(more), Some(Content::Text(text))) => {
                    text.push(more);
                    continue;
                }
                (Content::ToolCall(call), _) => call.signature = signature,
                _ => {}
            }
            parts.push(Part::of(content));
        }
        let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
        let finish = if calls && finish == Finish::Stop { Finish::ToolCalls } else { finish };
        let choices = vec![Choice { parts, finish, stop }];
        Answer { id: literal("msg_1"), model: literal("claude"), choices, usage: Some(usage) }
    })
}
