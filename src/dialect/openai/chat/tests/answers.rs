//! Plain answers.

use serde_json::json;

use super::*;
use crate::dialect::Dialect;
use crate::dialect::neutral::{Answer, Choice, Content, Finish, Literal, Part, Raw, Signature, ToolCall};
use crate::dialect::translate::NoAnswer;
use crate::units::Tokens;
use crate::usage::Usage;

fn text(text: &str) -> Literal<'static> {
    Literal::from_text(text)
}

fn answering(message: &Value, finish_reason: &Value) -> Vec<u8> {
    let choice = json!({ "index": 0, "message": message, "finish_reason": finish_reason });
    json!({ "id": "x", "model": "m", "choices": [choice] }).to_string().into_bytes()
}

fn choice(message: &Value, finish_reason: &str) -> (Vec<Content<'static>>, Finish) {
    let body = answering(message, &json!(finish_reason));
    let answer = decode_answer(&body, &STAMP).unwrap();
    let events = crate::dialect::neutral::samples::fold(&whole(&answer));
    let choice = events.choices.into_iter().next().unwrap();
    (choice.parts.into_iter().map(|part| part.content).collect(), choice.finish)
}

/// The events that tell an answer of one choice: a way to own it.
fn whole(answer: &Answer<'_>) -> Vec<Event<'static>> {
    events(stream_of(answer).as_bytes())
}

/// The stream of chunks that says what a plain answer says.
fn stream_of(answer: &Answer<'_>) -> String {
    let body: Value = serde_json::from_slice(&encode_answer(answer, &STAMP)).unwrap();
    let choices = body["choices"].as_array().unwrap().iter().map(|choice| {
        json!({ "index": choice["index"], "delta": choice["message"], "finish_reason": choice["finish_reason"] })
    });
    let chunk = json!({ "id": body["id"], "model": body["model"], "choices": choices.collect::<Vec<_>>() });
    format!("data: {chunk}\n\n")
}

#[test]
fn the_samples_are_read() {
    let body = sample("chat.response.json");
    let answer = decode_answer(&body, &STAMP).unwrap();
    assert_eq!((&answer.id, &answer.model), (&text("chatcmpl-S1"), &text("gpt-4.1-2025-04-14")));
    let parts = vec![Part::of(Content::Text(text("Yes, 2.4 metres.")))];
    assert_eq!(answer.choices, [Choice { parts, finish: Finish::Stop, stop: None }]);
    let usage = Usage { input: Tokens(56), cache_read: Tokens(64), output: Tokens(18), ..Usage::default() };
    assert_eq!(answer.usage, Some(usage));
    let tools = sample("chat.response.tools.json");
    let answer = decode_answer(&tools, &STAMP).unwrap();
    let ids = answer.choices[0].parts.iter().map(|part| part.call().unwrap().id.text().into_owned());
    assert_eq!(ids.collect::<Vec<_>>(), ["call_a", "call_b"]);
    assert_eq!(answer.choices[0].finish, Finish::ToolCalls);
}

#[test]
fn servers_have_their_own_words_for_reasoning() {
    let hm = Content::Reasoning { text: text("Hm."), signature: None };
    let yes = Content::Text(text("Yes."));
    for message in [
        json!({ "content": "Yes.", "reasoning_content": "Hm." }),
        json!({ "reasoning": "Hm.", "content": "Yes." }),
        json!({ "reasoning": "Hm.", "reasoning_content": "Hm.", "content": "Yes." }),
        json!({ "content": [
            { "type": "thinking", "thinking": [{ "type": "text", "text": "Hm." }] },
            { "type": "text", "text": "Ye" }, { "type": "text", "text": "s." },
        ] }),
    ] {
        assert_eq!(choice(&message, "stop").0, [hm.clone(), yes.clone()], "{message}");
    }
}

#[test]
fn every_finish_reason_has_its_meaning() {
    let calls = json!({ "content": null, "tool_calls": [{ "id": "a", "function": { "name": "f", "arguments": "{}" } }] });
    let plain = json!({ "content": "x" });
    let refusal = json!({ "content": null, "refusal": "No." });
    for (message, reason, expected) in [
        (&plain, "stop", Finish::Stop),
        (&plain, "length", Finish::Length),
        (&plain, "model_length", Finish::Window),
        (&plain, "content_filter", Finish::Filtered),
        (&plain, "insufficient_system_resource", Finish::Length),
        (&plain, "eos", Finish::Stop),
        (&plain, "", Finish::Stop),
        (&calls, "tool_calls", Finish::ToolCalls),
        (&calls, "function_call", Finish::ToolCalls),
        (&calls, "stop", Finish::ToolCalls),
        (&calls, "length", Finish::Length),
        (&refusal, "stop", Finish::Refused),
    ] {
        let body = answering(message, &json!(reason));
        assert_eq!(decode_answer(&body, &STAMP).unwrap().choices[0].finish, expected, "{message} {reason}");
    }
}

#[test]
fn calls_without_ids_get_them_by_their_place() {
    let call = json!({ "type": "function", "function": { "name": "f", "arguments": "" } });
    let body = answering(&json!({ "tool_calls": [call, call] }), &json!("tool_calls"));
    let answer = decode_answer(&body, &STAMP).unwrap();
    let ids: Vec<_> =
        answer.choices[0].parts.iter().map(|part| part.call().unwrap().id.text().into_owned()).collect();
    assert_eq!(ids, ["call_0123456789abcdef_0", "call_0123456789abcdef_1"]);
}

#[test]
fn a_call_that_was_cut_off_is_left_out_and_a_broken_one_makes_no_answer() {
    let message = json!({ "content": "x", "tool_calls": [
        { "id": "a", "function": { "name": "f", "arguments": "{\"a\":" } }] });
    let cut = answering(&message, &json!("length"));
    assert_eq!(decode_answer(&cut, &STAMP).unwrap().choices[0].parts.len(), 1);
    let broken = answering(&message, &json!("tool_calls"));
    assert_eq!(decode_answer(&broken, &STAMP), Err(NoAnswer));
}

#[test]
fn what_is_no_answer_is_none() {
    for body in [
        &b""[..],
        b"{",
        b"[]",
        b"{}",
        br#"{"error":{"message":"x"}}"#,
        br#"{"choices":7}"#,
        br#"{"choices":[{"index":0}]}"#,
        b"{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}",
    ] {
        assert_eq!(decode_answer(body, &STAMP), Err(NoAnswer), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn an_answer_without_names_gets_those_of_the_call() {
    let body = br#"{"choices":[{"message":{"content":"x"}}]}"#;
    let answer = decode_answer(body, &STAMP).unwrap();
    assert_eq!(answer.id, text("chatcmpl-0123456789abcdef0123456789abcdef"));
    assert_eq!(answer.model, text("alias"));
}

#[test]
fn an_answer_is_written_as_openai_writes_it() {
    let call = ToolCall {
        id: text("call_a"),
        name: text("tide"),
        arguments: Raw::word("{ \"at\": \"Brael\" }"),
        signature: Some(Signature { by: Dialect::Gemini, text: text("c2ln") }),
    };
    let foreign = Signature { by: Dialect::Anthropic, text: text("c2ln") };
    let contents = [
        Content::Reasoning { text: text("Hm."), signature: Some(foreign.clone()) },
        Content::Redacted(foreign),
        Content::Text(text("Yes, ")),
        Content::Text(text("2.4.")),
        Content::ToolCall(call),
    ];
    let usage = Usage {
        input: Tokens(50),
        cache_read: Tokens(60),
        cache_write: Tokens(10),
        output: Tokens(9),
        reasoning: Tokens(22),
        ..Usage::default()
    };
    let parts = contents.into_iter().map(Part::of).collect();
    let choices = vec![Choice { parts, finish: Finish::ToolCalls, stop: None }];
    let answer = Answer { id: text("msg_1"), model: text("claude"), choices, usage: Some(usage) };
    let body: Value = serde_json::from_slice(&encode_answer(&answer, &STAMP)).unwrap();
    let function = json!({ "name": "tide", "arguments": "{ \"at\": \"Brael\" }" });
    let google = json!({ "google": { "thought_signature": "c2ln" } });
    let calls =
        json!([{ "id": "call_a", "type": "function", "function": function, "extra_content": google }]);
    assert_eq!(
        body,
        json!({
            "id": "msg_1", "object": "chat.completion", "created": 1_795_000_000, "model": "claude",
            "choices": [{
                "index": 0,
                "message": {
                    "role": "assistant", "content": "Yes, 2.4.", "refusal": null, "reasoning_content": "Hm.",
                    "tool_calls": calls,
                },
                "logprobs": null, "finish_reason": "tool_calls",
            }],
            "usage": {
                "prompt_tokens": 120, "completion_tokens": 31, "total_tokens": 151,
                "prompt_tokens_details": { "cached_tokens": 60, "cache_write_tokens": 10, "audio_tokens": 0 },
                "completion_tokens_details": { "reasoning_tokens": 22, "audio_tokens": 0 },
            },
        })
    );
}

#[test]
fn every_finish_has_its_reason() {
    let reason = |finish, contents: Vec<Content<'static>>| {
        let choice = Choice { parts: contents.into_iter().map(Part::of).collect(), finish, stop: None };
        let answer = Answer { id: text("x"), model: text("m"), choices: vec![choice], usage: None };
        let body: Value = serde_json::from_slice(&encode_answer(&answer, &STAMP)).unwrap();
        assert!(body.get("usage").is_none());
        body["choices"][0]["finish_reason"].as_str().unwrap().to_owned()
    };
    for (finish, expected) in [
        (Finish::Stop, "stop"),
        (Finish::StopSequence, "stop"),
        (Finish::Paused, "stop"),
        (Finish::Length, "length"),
        (Finish::Window, "length"),
        (Finish::ToolCalls, "tool_calls"),
        (Finish::Filtered, "content_filter"),
        (Finish::Refused, "content_filter"),
    ] {
        assert_eq!(reason(finish, vec![]), expected);
    }
    assert_eq!(reason(Finish::Refused, vec![Content::Refusal(text("No."))]), "stop");
}
