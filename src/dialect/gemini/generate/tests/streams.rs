//! Streams, event by event.

use serde_json::{Value, json};

use super::*;
use crate::dialect::gemini::generate::{Decoder, Encoder, decode_answer};
use crate::dialect::neutral::{Finish, Raw, Signature};
use crate::dialect::{Dialect, samples, sse};
use crate::units::Tokens;

fn read(events: &[Value]) -> Answer<'static> {
    let (mut decoder, mut fold) = (Decoder::new(&STAMP), Fold::default());
    for event in events {
        decoder.read(event.to_string().as_bytes(), &mut |event| fold.take(event));
    }
    decoder.end(&mut |event| fold.take(event));
    fold.answer()
}

fn write(events: &[Event<'_>]) -> Vec<Value> {
    let (mut encoder, mut out) = (Encoder::new(&STAMP), Vec::new());
    events.iter().for_each(|event| encoder.write(event, &mut out));
    sse::events(&out).map(|event| json(&sse::data(event).unwrap())).collect()
}

fn arguments(json: &str) -> Event<'static> {
    Event::Arguments { choice: 0, index: 0, json: text(json) }
}

fn a_call() -> Event<'static> {
    Event::ToolCall { choice: 0, index: 0, id: text("c"), name: text("f"), signature: None }
}

fn finish(finish: Finish) -> Event<'static> {
    Event::Finish { choice: 0, finish, stop: None }
}

#[test]
fn the_sample_says_what_its_golden_translation_does() {
    let stream = samples::gemini("generate.stream.sse");
    let (mut decoder, mut fold) = (Decoder::new(&STAMP), Fold::default());
    for event in sse::events(&stream) {
        decoder.read(&sse::data(event).unwrap(), &mut |event| fold.take(event));
    }
    decoder.end(&mut |event| fold.take(event));
    let call = |place: u32, name: &str, arguments, signature| {
        let id = text(&format!("call_0123456789abcdef_{place}"));
        Content::ToolCall(ToolCall { id, name: text(name), arguments: Raw::word(arguments), signature })
    };
    let signature = Some(Signature { by: Dialect::Gemini, text: text("c2ln") });
    let parts = [
        Content::Reasoning { text: text("The level is 2.4."), signature: None },
        Content::Text(text("Yes, 2.4 metres.")),
        call(0, "tide_level", r#"{"harbour":"Oste"}"#, signature),
        call(1, "now", "{}", None),
    ];
    let expected = Answer {
        id: text("g-S1"),
        model: text("gemini-3.8-flash"),
        choices: vec![Choice {
            parts: parts.into_iter().map(Part::of).collect(),
            finish: Finish::ToolCalls,
            stop: None,
        }],
        usage: Some(Usage {
            input: Tokens(56),
            cache_read: Tokens(64),
            output: Tokens(9),
            reasoning: Tokens(22),
            ..Usage::default()
        }),
    };
    assert_eq!(fold.answer(), expected);
}

#[test]
fn pieces_may_follow_the_reason_and_calls_of_earlier_events_count() {
    let answer = read(&[
        json!({ "responseId": "r", "modelVersion": "m", "candidates": [{ "content": { "parts": [{ "functionCall": { "name": "a" } }] }, "finishReason": "STOP" }] }),
        json!(7),
        json!({ "candidates": [{ "content": { "parts": [{ "text": "late" }] } }], "usageMetadata": { "promptTokenCount": 1, "totalTokenCount": 1 } }),
    ]);
    assert_eq!((&answer.id, &answer.model), (&text("r"), &text("m")));
    assert_eq!(answer.choices[0].finish, Finish::ToolCalls);
    assert_eq!(answer.choices[0].parts.len(), 2);
    assert_eq!(answer.usage.unwrap().input, Tokens(1));
}

#[test]
fn a_blocked_prompt_is_one_choice_that_was_filtered_and_nothing_is_one_that_stopped() {
    let blocked = read(&[json(&samples::gemini("generate.blocked.json"))]);
    let body = samples::gemini("generate.blocked.json");
    assert_eq!(blocked, decode_answer(&body, &STAMP).unwrap());
    let nothing = read(&[]);
    assert_eq!(nothing.choices, [Choice { parts: vec![], finish: Finish::Stop, stop: None }]);
    assert_eq!(nothing.id, text(STAMP.id));
}

#[test]
fn a_call_is_written_whole_when_it_ends() {
    let events = write(&[
        Event::Start { id: text("i"), model: text("m") },
        a_call(),
        arguments("{\"a\":\n"),
        arguments(""),
        arguments(" \"\\"),
        arguments("n\"}"),
        Event::Text { choice: 0, text: text("x") },
        finish(Finish::ToolCalls),
        Event::Usage(Usage { input: Tokens(3), output: Tokens(4), ..Usage::default() }),
        Event::End,
        Event::Text { choice: 0, text: text("too late") },
        Event::End,
    ]);
    let part = |part: Value| {
        json!({
            "candidates": [{ "content": { "role": "model", "parts": [part] }, "index": 0 }],
            "modelVersion": "m", "responseId": "i",
        })
    };
    let mut last = part(json!({ "text": "" }));
    last["candidates"][0]["finishReason"] = json!("STOP");
    last["usageMetadata"] = json!({ "promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7 });
    let call = json!({ "functionCall": { "id": "c", "name": "f", "args": { "a": "\n" } } });
    assert_eq!(events, [part(call), part(json!({ "text": "x" })), last]);
}

#[test]
fn a_call_without_arguments_has_none_and_one_with_half_of_them_is_not_written() {
    let whole = write(&[a_call(), finish(Finish::ToolCalls), Event::End]);
    assert_eq!(whole[0]["candidates"][0]["content"]["parts"][0]["functionCall"]["args"], json!({}));
    assert_eq!(whole[0]["responseId"], STAMP.id, "no start came");
    for broken in ["{\"a\":", "[1]", "7"] {
        let events = write(&[a_call(), arguments(broken), finish(Finish::ToolCalls), Event::End]);
        assert_eq!(events.len(), 1, "{broken}");
        assert_eq!(events[0]["candidates"][0]["finishReason"], "MALFORMED_FUNCTION_CALL");
    }
    let piece = "x".repeat(1024);
    let mut long = vec![a_call(), arguments("{\"a\":\"")];
    long.extend((0..1024).map(|_| arguments(&piece)));
    long.extend([arguments("\"}"), finish(Finish::ToolCalls), Event::End]);
    let events = write(&long);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["candidates"][0]["finishReason"], "MALFORMED_FUNCTION_CALL");
}

#[test]
fn choices_that_mix_are_told_apart_and_end_together() {
    let text_of = |choice, words: &str| Event::Text { choice, text: text(words) };
    let finish = |choice, finish| Event::Finish { choice, finish, stop: None };
    let call = |choice| Event::ToolCall { choice, index: 0, id: text("c"), name: text("f"), signature: None };
    let events = write(&[
        text_of(1, "b"),
        call(0),
        text_of(1, "b"),
        Event::Arguments { choice: 0, index: 0, json: text("{}") },
        Event::Arguments { choice: 0, index: 7, json: text("of no call") },
        finish(1, Finish::Length),
        finish(0, Finish::ToolCalls),
        Event::End,
    ]);
    let places: Vec<_> = events.iter().map(|event| event["candidates"][0]["index"].clone()).collect();
    assert_eq!(places, [1, 1, 0, 0]);
    let reasons: Vec<_> =
        events[3]["candidates"].as_array().unwrap().iter().map(|it| it["finishReason"].clone()).collect();
    assert_eq!(reasons, ["STOP", "MAX_TOKENS"]);
}

#[test]
fn thoughts_and_signatures_are_marked_as_such() {
    let signature = Signature { by: Dialect::Anthropic, text: text("abc") };
    let events = write(&[
        Event::Reasoning { choice: 0, text: text("hm") },
        Event::Signature { choice: 0, signature: signature.clone() },
        Event::Redacted { choice: 0, data: signature },
        Event::Refusal { choice: 0, text: text("no") },
        Event::End,
    ]);
    let parts: Vec<_> =
        events.iter().map(|event| event["candidates"][0]["content"]["parts"][0].clone()).collect();
    let expected = [
        json!({ "text": "hm", "thought": true }),
        json!({ "text": "", "thought": true, "thoughtSignature": "YW50aHJvcGljLmFiYw==" }),
        json!({ "text": "", "thoughtSignature": "YW50aHJvcGljLmFiYw==" }),
        json!({ "text": "no" }),
        json!({ "text": "" }),
    ];
    assert_eq!(parts, expected);
}
