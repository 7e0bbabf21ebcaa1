//! Streams.

use serde_json::json;

use super::*;
use crate::dialect::Dialect;
use crate::dialect::neutral::samples::fold;
use crate::dialect::neutral::{Answer, Content, Finish, Literal, Part, Signature};
use crate::units::Tokens;
use crate::usage::Usage;

fn text(text: &str) -> Literal<'static> {
    Literal::from_text(text)
}

fn folded(stream: &str) -> Answer<'static> {
    fold(&events(stream.as_bytes()))
}

/// One chunk of the first choice.
fn chunk(delta: &Value) -> String {
    format!("data: {}\n\n", json!({ "id": "x", "model": "m", "choices": [{ "index": 0, "delta": delta }] }))
}

#[test]
fn the_samples_say_what_the_plain_ones_say() {
    for (stream, plain) in
        [("chat.stream.sse", "chat.response.json"), ("chat.stream.tools.sse", "chat.response.tools.json")]
    {
        let body = sample(plain);
        let expected = decode_answer(&body, &STAMP).unwrap();
        let told = fold(&events(&sample(stream)));
        assert_eq!((&told.choices, told.usage), (&expected.choices, expected.usage), "{stream}");
    }
}

#[test]
fn deepseeks_sample_has_its_reasoning_and_its_usage() {
    let told = fold(&events(&sample("chat.stream.deepseek.sse")));
    let parts = vec![
        Part::of(Content::Reasoning { text: text("The level is 2.4."), signature: None }),
        Part::of(Content::Text(text("Yes."))),
    ];
    assert_eq!(told.choices[0].parts, parts);
    let usage = Usage {
        input: Tokens(56),
        cache_read: Tokens(64),
        output: Tokens(5),
        reasoning: Tokens(9),
        ..Usage::default()
    };
    assert_eq!(told.usage, Some(usage));
}

#[test]
fn calls_that_are_all_counted_as_the_first_are_told_apart_by_their_ids() {
    let call = |id: Value, arguments: &str| {
        chunk(
            &json!({ "tool_calls": [{ "index": 0, "id": id, "function": { "name": "f", "arguments": arguments } }] }),
        )
    };
    let stream = [
        call(json!("a"), "{\"x\":"),
        call(json!("a"), "1"),
        call(json!(""), ","),
        call(Value::Null, "\"y\":2}"),
        call(json!("b"), "{\"z\":3}"),
    ]
    .concat();
    let told = folded(&stream);
    let calls: Vec<_> = told.choices[0]
        .parts
        .iter()
        .map(|part| part.call().unwrap())
        .map(|call| (call.id.text().into_owned(), String::from_utf8(call.arguments.raw().to_vec()).unwrap()))
        .collect();
    assert_eq!(
        calls,
        [("a".to_owned(), r#"{"x":1,"y":2}"#.to_owned()), ("b".to_owned(), r#"{"z":3}"#.to_owned())]
    );
    assert_eq!(told.choices[0].finish, Finish::ToolCalls);
}

#[test]
fn whole_calls_without_a_count_are_calls_of_their_own() {
    let call = json!({ "function": { "name": "f", "arguments": { "x": 1 } } });
    let told = folded(&chunk(&json!({ "tool_calls": [call, call] })));
    assert_eq!(told.choices[0].parts.len(), 2);
}

#[test]
fn the_older_form_of_a_call_is_read() {
    let stream = [
        chunk(&json!({ "function_call": { "name": "f", "arguments": "{\"x\"" } })),
        chunk(&json!({ "function_call": { "arguments": ":1}" } })),
    ];
    let told = folded(&stream.concat());
    let [Part { content: Content::ToolCall(call), .. }] = &told.choices[0].parts[..] else {
        panic!("{told:?}")
    };
    assert_eq!((&*call.name.text(), call.arguments.raw()), ("f", &b"{\"x\":1}"[..]));
}

#[test]
fn choices_mix_and_each_ends_once() {
    let chunk = |index: u32, content: &str, reason: Value| {
        let choice = json!({ "index": index, "delta": { "content": content }, "finish_reason": reason });
        format!("data: {}\n\n", json!({ "id": "x", "model": "m", "choices": [choice] }))
    };
    let stream = [
        chunk(1, "b", Value::Null),
        chunk(0, "a", json!("")),
        chunk(1, "b", json!("length")),
        chunk(1, "ignored", json!("stop")),
        chunk(4_000_000_000, "ignored", json!("stop")),
        chunk(0, "a", json!("stop")),
    ];
    let told = folded(&stream.concat());
    let finishes: Vec<_> = told.choices.iter().map(|choice| choice.finish).collect();
    assert_eq!(finishes, [Finish::Stop, Finish::Length]);
    let texts: Vec<_> = told.choices.iter().map(|choice| choice.parts[0].content.clone()).collect();
    assert_eq!(texts, [Content::Text(text("aa")), Content::Text(text("bb"))]);
}

#[test]
fn a_chunk_without_choices_begins_nothing() {
    let azure = "data: {\"id\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\n\n";
    let told = folded(&[azure, &chunk(&json!({ "content": "x" }))].concat());
    assert_eq!((told.id, told.model), (text("x"), text("m")));
}

#[test]
fn usage_is_read_wherever_it_stands_and_the_last_counts() {
    let usage = |field: &str, tokens: u64| {
        let usage = json!({ "prompt_tokens": tokens, "completion_tokens": 0 });
        let mut chunk = json!({ "id": "x", "choices": [] });
        *chunk.pointer_mut("").unwrap().as_object_mut().unwrap().entry(field).or_insert(Value::Null) =
            if field == "x_groq" { json!({ "usage": usage }) } else { usage };
        format!("data: {chunk}\n\n")
    };
    for (stream, expected) in [
        ([usage("usage", 3), usage("usage", 7)].concat(), 7),
        ([chunk(&json!({})), usage("x_groq", 9)].concat(), 9),
    ] {
        assert_eq!(folded(&stream).usage.unwrap().input, Tokens(expected));
    }
}

#[test]
fn what_cannot_be_read_says_nothing_and_the_end_is_always_told() {
    let noise = b"data: {\"choices\":[\n\ndata: 7\n\ndata: \xff\n\ndata: {\"choices\":[7,null,{}]}\n\n";
    let told = fold(&events(noise));
    assert!(told.choices.iter().all(|choice| choice.parts.is_empty()));
    let nothing = events(b"");
    assert_eq!(
        nothing,
        [
            Event::Start { id: text("chatcmpl-0123456789abcdef0123456789abcdef"), model: text("alias") },
            Event::Finish { choice: 0, finish: Finish::Stop, stop: None },
            Event::End,
        ]
    );
}

/// The events of the shared samples of Anthropic and Gemini.
fn tide(google: bool) -> Vec<Event<'static>> {
    let signature = |text: &'static str| Signature { by: Dialect::Gemini, text: Literal::word(text) };
    let id = |named: &'static str, made_up: &'static str| Literal::word(if google { made_up } else { named });
    let call = |index, id, name: &'static str, signed: bool| Event::ToolCall {
        choice: 0,
        index,
        id,
        name: Literal::word(name),
        signature: signed.then(|| signature("c2ln")),
    };
    let arguments = |index, json: &str| Event::Arguments { choice: 0, index, json: text(json) };
    let mut events = vec![
        Event::Start {
            id: id("msg_S1", "g-S1"),
            model: id("claude-sonnet-4-5-20250929", "gemini-3.8-flash"),
        },
        Event::Reasoning { choice: 0, text: text("The level is 2.4.") },
        Event::Text { choice: 0, text: text("Yes, ") },
        Event::Text { choice: 0, text: text("2.4 metres.") },
        call(0, id("toolu_2", "call_gen0"), "tide_level", google),
    ];
    if google {
        events.push(arguments(0, r#"{"harbour":"Oste"}"#));
    } else {
        events.extend([arguments(0, r#"{"harbour": "#), arguments(0, r#""Oste"}"#)]);
    }
    events.push(call(1, id("toolu_3", "call_gen1"), "now", false));
    events.extend(google.then(|| arguments(1, "{}")));
    let (input, output, reasoning) = if google { (56, 9, 22) } else { (56, 31, 0) };
    let usage = Usage {
        input: Tokens(input),
        cache_read: Tokens(64),
        output: Tokens(output),
        reasoning: Tokens(reasoning),
        ..Usage::default()
    };
    let finish = Event::Finish { choice: 0, finish: Finish::ToolCalls, stop: None };
    events.extend([finish, Event::Usage(usage), Event::End]);
    events
}

/// Without the parts of usage that are nothing, and without the word that usage is still to come.
fn bare(mut chunk: Value) -> Value {
    let chunk_object = chunk.as_object_mut().unwrap();
    if chunk_object.get("usage") == Some(&Value::Null) {
        chunk_object.remove("usage");
    }
    if let Some(usage) = chunk_object.get_mut("usage").and_then(Value::as_object_mut) {
        for details in ["prompt_tokens_details", "completion_tokens_details"] {
            let empty = usage.get_mut(details).and_then(Value::as_object_mut).is_none_or(|details| {
                details.retain(|_, count| *count != 0);
                details.is_empty()
            });
            if empty {
                usage.remove(details);
            }
        }
    }
    chunk
}

#[test]
fn anthropics_sample_is_written_as_the_mapping_has_it() {
    let expected = include_str!("../../../../../tests/samples/map/stream.anthropic-to-openai.sse");
    let ours = stream(&tide(false), &STAMP);
    assert!(ours.ends_with("data: [DONE]\n\n"));
    let bare = |stream: &str| chunks(stream).into_iter().map(bare).collect::<Vec<_>>();
    assert_eq!(bare(&ours), bare(expected));
}

/// A call that comes whole is two chunks of ours.
#[test]
fn geminis_sample_tells_what_the_mapping_has() {
    let expected = include_str!("../../../../../tests/samples/map/stream.gemini-to-openai.sse");
    let ours = stream(&tide(true), &STAMP);
    assert_eq!(folded(&ours), folded(expected));
    assert_eq!(bare(chunks(&ours).pop().unwrap()), bare(chunks(expected).pop().unwrap()));
}

#[test]
fn usage_is_told_only_where_it_was_asked_for() {
    let asked = chunks(&stream(&tide(false), &STAMP));
    let (last, before) = asked.split_last().unwrap();
    assert!(before.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(151)));
    let other = chunks(&stream(&tide(false), &Stamp { include_usage: false, ..STAMP }));
    assert_eq!(other.len(), before.len());
    assert!(other.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[test]
fn a_call_without_arguments_gets_an_empty_object_before_the_next_one() {
    let call =
        |index| Event::ToolCall { choice: 0, index, id: text("x"), name: text("now"), signature: None };
    let finish = Event::Finish { choice: 0, finish: Finish::ToolCalls, stop: None };
    let start = Event::Start { id: text("x"), model: text("m") };
    let chunks = chunks(&stream(&[start, call(0), call(1), finish, Event::End], &STAMP));
    let pieces: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0"))
        .map(|call| {
            (call["index"].as_u64().unwrap(), call["function"]["arguments"].as_str().unwrap().to_owned())
        })
        .collect();
    let piece = |index, text: &str| (index, text.to_owned());
    assert_eq!(pieces, [piece(0, ""), piece(0, "{}"), piece(1, ""), piece(1, "{}")]);
}

#[test]
fn a_refusal_is_told_by_its_text_and_ends_with_stop() {
    let events = [
        Event::Start { id: text("x"), model: text("m") },
        Event::Refusal { choice: 0, text: text("No.") },
        Event::Finish { choice: 0, finish: Finish::Refused, stop: None },
        Event::End,
    ];
    let chunks = chunks(&stream(&events, &STAMP));
    assert_eq!(chunks[1]["choices"][0]["delta"], json!({ "refusal": "No." }));
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], "stop");
}

#[test]
fn a_stream_without_a_start_has_the_names_of_the_call() {
    let events = [Event::Text { choice: 1, text: text("x") }, Event::End];
    let chunks = chunks(&stream(&events, &STAMP));
    assert_eq!(
        chunks[0]["choices"][0],
        json!({ "index": 1, "delta": { "role": "assistant", "content": "" }, "finish_reason": null })
    );
    assert_eq!((&chunks[0]["model"], &chunks[0]["created"]), (&json!("alias"), &json!(1_795_000_000)));
}
