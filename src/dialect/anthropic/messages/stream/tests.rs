use serde_json::Value;

use super::super::samples::{STAMP, folded, literal, signature};
use super::*;
use crate::dialect::neutral::{Content, Event, Finish};
use crate::dialect::{Dialect, sse};

mod properties;

fn written(events: &[Event<'_>]) -> Vec<u8> {
    let mut encoder = Encoder::new(&STAMP);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.write(event, &mut out));
    out
}

/// The events' types, with what tells them apart.
fn outline(stream: &[u8]) -> Vec<String> {
    let outlined = |event| {
        let data: Value = serde_json::from_slice(&sse::data(event).unwrap()).unwrap();
        assert_eq!(sse::name(event).unwrap(), data["type"].as_str().unwrap().as_bytes());
        let text = |value: &Value| value.as_str().map(|text| format!(" {text}")).unwrap_or_default();
        let index = data["index"].as_u64().map(|index| format!(" {index}")).unwrap_or_default();
        let block = &data["content_block"];
        let delta = &data["delta"];
        let said =
            ["text", "thinking", "signature", "partial_json", "stop_reason"].map(|name| text(&delta[name]));
        let kind = text(&block["type"]) + &text(&block["id"]);
        format!("{}{index}{kind}{}", data["type"].as_str().unwrap(), said.concat())
    };
    sse::events(stream).map(outlined).collect()
}

fn text(text: &str) -> Event<'static> {
    Event::Text { choice: 0, text: literal(text) }
}

fn thought(text: &str) -> Event<'static> {
    Event::Reasoning { choice: 0, text: literal(text) }
}

fn call(index: u32) -> Event<'static> {
    let (id, name) = (literal(&format!("call_{index}")), literal("t"));
    Event::ToolCall { choice: 0, index, id, name, signature: None }
}

fn arguments(index: u32, json: &str) -> Event<'static> {
    Event::Arguments { choice: 0, index, json: literal(json) }
}

#[test]
fn blocks_are_opened_filled_and_closed_one_after_the_other() {
    let signed = Event::Signature { choice: 0, signature: signature(Dialect::Gemini, "s") };
    let stream = written(&[
        Event::Start { id: literal("a"), model: literal("b") },
        thought("1"),
        thought("2"),
        signed,
        thought("3"),
        text("4"),
        text(""),
        text("5"),
        call(0),
        arguments(0, "{\"a\":"),
        arguments(0, "1}"),
        call(1),
        Event::Finish { choice: 0, finish: Finish::ToolCalls, stop: None },
        Event::End,
        text("late"),
    ]);
    let expected = [
        "message_start",
        "content_block_start 0 thinking",
        "content_block_delta 0 1",
        "content_block_delta 0 2",
        "content_block_delta 0 gemini.s",
        "content_block_stop 0",
        "content_block_start 1 thinking",
        "content_block_delta 1 3",
        "content_block_stop 1",
        "content_block_start 2 text",
        "content_block_delta 2 4",
        "content_block_delta 2 5",
        "content_block_stop 2",
        "content_block_start 3 tool_use call_0",
        "content_block_delta 3 {\"a\":",
        "content_block_delta 3 1}",
        "content_block_stop 3",
        "content_block_start 4 tool_use call_1",
        "content_block_stop 4",
        "message_delta tool_use",
        "message_stop",
    ];
    assert_eq!(outline(&stream), expected);
}

#[test]
fn calls_that_mix_are_written_one_after_the_other() {
    let stream = written(&[
        call(0),
        call(1),
        arguments(1, "{\"b\":"),
        arguments(0, "{\"a\":\"}"),
        arguments(1, "2}"),
        arguments(0, "\"}"),
        arguments(1, " "),
        text("x"),
        Event::End,
    ]);
    let expected = [
        "message_start",
        "content_block_start 0 tool_use call_0",
        "content_block_delta 0 {\"a\":\"}",
        "content_block_delta 0 \"}",
        "content_block_stop 0",
        "content_block_start 1 tool_use call_1",
        "content_block_delta 1 {\"b\":2}",
        "content_block_delta 1  ",
        "content_block_stop 1",
        "content_block_start 2 text",
        "content_block_delta 2 x",
        "content_block_stop 2",
        "message_delta tool_use",
        "message_stop",
    ];
    assert_eq!(outline(&stream), expected);
}

#[test]
fn a_signature_stands_before_the_call_that_it_signs() {
    let signed = |index| {
        let (id, name) = (literal(&format!("call_{index}")), literal("t"));
        let signature = Some(signature(Dialect::Gemini, "s"));
        Event::ToolCall { choice: 0, index, id, name, signature }
    };
    // The second one waits for the first, which says nothing more.
    let stream = written(&[signed(0), signed(1), call(2), Event::End]);
    let expected = [
        "message_start",
        "content_block_start 0 thinking",
        "content_block_delta 0 gemini.s",
        "content_block_stop 0",
        "content_block_start 1 tool_use call_0",
        "content_block_stop 1",
        "content_block_start 2 thinking",
        "content_block_delta 2 gemini.s",
        "content_block_stop 2",
        "content_block_start 3 tool_use call_1",
        "content_block_stop 3",
        "content_block_start 4 tool_use call_2",
        "content_block_stop 4",
        "message_delta tool_use",
        "message_stop",
    ];
    assert_eq!(outline(&stream), expected);
}

#[test]
fn no_more_waits_than_an_event_may_have() {
    let mut encoder = Encoder::new(&STAMP);
    let mut out = Vec::new();
    encoder.write(&call(0), &mut out);
    encoder.write(&call(1), &mut out);
    out.clear();
    let long = arguments(1, &"x".repeat(sse::MAX_EVENT));
    encoder.write(&long, &mut out);
    assert!(out.starts_with(b"event: content_block_stop"));
    // What comes for a call that is over is nobody's.
    out.clear();
    encoder.write(&arguments(0, "{}"), &mut out);
    assert_eq!(out, b"");
}

#[test]
fn a_stream_without_a_beginning_gets_one_and_other_choices_are_passed_over() {
    let other = Event::Text { choice: 1, text: literal("no") };
    let finish = Event::Finish { choice: 1, finish: Finish::Length, stop: None };
    let expected = [
        "message_start",
        "content_block_start 0 text",
        "content_block_delta 0 x",
        "content_block_stop 0",
        "message_delta end_turn",
        "message_stop",
    ];
    assert_eq!(outline(&written(&[other, text("x"), finish, Event::End])), expected);
    assert_eq!(outline(&written(&[Event::End])).len(), 3);
}

#[test]
fn arguments_that_come_with_the_beginning_of_a_call_count_if_none_follow() {
    let start = |input: &str| {
        format!(
            "data: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":\
             {{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"t\",\"input\":{input}}}}}\n\n"
        )
    };
    let delta = "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
                 {\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"b\\\":2}\"}}\n\n";
    let arguments = |stream: &str| {
        let answer = folded(stream.as_bytes(), &STAMP);
        let Content::ToolCall(call) = &answer.choices[0].parts[0].content else { panic!("{answer:?}") };
        String::from_utf8(call.arguments.raw().to_vec()).unwrap()
    };
    assert_eq!(arguments(&start("{\"a\":\"\\n\"}")), "{\"a\":\"\\n\"}");
    assert_eq!(arguments(&(start("{\"a\":1}") + delta)), "{\"b\":2}");
    assert_eq!(arguments(&start("{}")), "{}");
}

#[test]
fn what_cannot_be_read_says_nothing() {
    let mut decoder = Decoder::new(&STAMP);
    for data in [&b"oops"[..], b"{}", b"[]", b"{\"type\":\"newer\"}", b"{\"type\":\"content_block_start\"}"] {
        decoder.read(None, data, &mut |event| panic!("{event:?}"));
    }
    decoder.read(Some(b"message_stop"), b"{}", &mut |_| {});
    // It is over.
    decoder.read(None, b"{\"type\":\"message_stop\"}", &mut |event| panic!("{event:?}"));
    decoder.end(&mut |event| panic!("{event:?}"));
}

#[test]
fn json_is_whole_when_its_first_bracket_is_closed() {
    for (json, whole) in [
        ("", false),
        ("  ", false),
        ("{", false),
        ("{}", true),
        (r#"{"a":"}"#, false),
        (r#"{"a":"\""#, false),
        (r#"{"a":"\"}"}"#, true),
        (r#"{"a":"\\"}"#, true),
        (r#"{"a":[{}]"#, false),
        (r#"{"a":[{}]} "#, true),
    ] {
        for piece in 1..4 {
            let mut balance = balance::Balance::default();
            let chars: Vec<char> = json.chars().collect();
            for piece in chars.chunks(piece) {
                balance.push(literal(&piece.iter().collect::<String>()).raw());
            }
            assert_eq!(balance.is_whole(), whole, "{json}");
        }
    }
    let mut balance = balance::Balance::default();
    balance.push(br"\u007b\u0022\ud83d}\u0022\u007d");
    assert!(balance.is_whole());
}
