use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::dialect::samples;
use crate::units::Tokens;

mod content;
mod errors;

/// All that a stream gave, read in these pieces.
#[derive(Debug, PartialEq)]
struct Passed {
    text: String,
    usage: Option<Usage>,
    seen: Seen,
    end: StreamEnd,
}

fn pass<'a>(api: Api, hide: bool, pieces: impl IntoIterator<Item = &'a [u8]>) -> Passed {
    let mut reader = StreamReader::new(api, hide);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&reader.push(Bytes::copy_from_slice(piece)).unwrap());
    }
    let (last, end) = reader.finish();
    out.extend_from_slice(&last);
    Passed { text: String::from_utf8(out).unwrap(), usage: reader.usage(), seen: reader.seen(), end }
}

/// What an observed stream said, and how many events it had.
fn observe<'a>(api: Api, pieces: impl IntoIterator<Item = &'a [u8]>) -> (AnswerFacts, u64) {
    let mut reader = StreamReader::new(api, true).observing();
    for piece in pieces {
        reader.push(Bytes::copy_from_slice(piece)).unwrap();
    }
    reader.finish();
    (reader.facts().unwrap().clone(), reader.events())
}

fn said(id: &str, model: &str, finish_reasons: &[&'static str]) -> AnswerFacts {
    AnswerFacts {
        id: Some(id.into()),
        model: Some(model.into()),
        finish_reasons: SmallVec::from_slice(finish_reasons),
        ..AnswerFacts::default()
    }
}

fn usage(input: u64, cache_read: u64, output: u64, reasoning: u64) -> Option<Usage> {
    Some(Usage {
        input: Tokens(input),
        cache_read: Tokens(cache_read),
        output: Tokens(output),
        reasoning: Tokens(reasoning),
        ..Usage::default()
    })
}

const SAMPLES: [(Api, &str); 9] = [
    (Api::Chat, "chat.stream.sse"),
    (Api::Chat, "chat.stream.tools.sse"),
    (Api::Chat, "chat.stream.deepseek.sse"),
    (Api::Chat, "chat.stream.keepalive.sse"),
    (Api::Chat, "chat.stream.no-usage.sse"),
    (Api::Chat, "chat.stream.error.sse"),
    (Api::Responses, "responses.stream.sse"),
    (Api::Responses, "responses.stream.tool.sse"),
    (Api::Responses, "responses.stream.error.sse"),
];

#[test]
fn the_samples_end_as_they_say_and_report_what_they_used() {
    use StreamEnd::*;
    let expected = [
        (usage(56, 64, 18, 0), Complete),
        (usage(56, 64, 18, 0), Complete),
        (usage(56, 64, 5, 9), Complete),
        (None, Complete),
        (None, Cut),
        (None, Error),
        (usage(30, 0, 6, 0), Complete),
        (usage(30, 0, 6, 0), Complete),
        (None, Error),
    ];
    for ((api, name), (usage, end)) in SAMPLES.into_iter().zip(expected) {
        let stream = samples::openai(name);
        let passed = pass(api, false, [&stream[..]]);
        assert_eq!((passed.usage, passed.end), (usage, end), "{name}");
        assert!(passed.seen.content && passed.seen.any_event, "{name}");
        assert_eq!(passed.text.as_bytes(), stream, "{name}");
    }
}

#[test]
fn no_split_changes_a_sample() {
    for (api, name) in SAMPLES {
        let stream = samples::openai(name);
        let whole = pass(api, true, [&stream[..]]);
        for at in 0..stream.len() {
            let split = pass(api, true, [&stream[..at], &stream[at..]]);
            assert_eq!(split, whole, "{name} at {at}");
        }
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_change_nothing_that_is_read() {
    for (api, name) in SAMPLES {
        let lf = String::from_utf8(samples::openai(name)).unwrap();
        let read = pass(api, true, [lf.as_bytes()]);
        for stream in [lf.replace('\n', "\r\n"), lf.replace('\n', "\r"), format!("\u{feff}{lf}")] {
            let whole = pass(api, true, [stream.as_bytes()]);
            assert_eq!((whole.usage, whole.seen, whole.end), (read.usage, read.seen, read.end), "{name}");
            for size in [1, 2, 3, 7, 64] {
                assert_eq!(pass(api, true, stream.as_bytes().chunks(size)), whole, "{name} by {size}");
            }
            for (at, _) in stream.match_indices(['\r', '\n']) {
                let (before, after) = stream.as_bytes().split_at(at + 1);
                assert_eq!(pass(api, true, [before, after]), whole, "{name} at {at}");
            }
        }
    }
}

#[test]
fn only_the_usage_event_is_hidden() {
    let stream = String::from_utf8(samples::openai("chat.stream.sse")).unwrap();
    let passed = pass(Api::Chat, true, [stream.as_bytes()]);
    let expected: Vec<_> =
        stream.split_inclusive("\n\n").filter(|event| !event.contains("\"choices\":[],")).collect();
    assert_eq!(passed.text, expected.concat());
    assert_eq!(expected.len(), 5);
    // Where usage comes with the finish, and in Responses, nothing is taken away.
    for name in ["chat.stream.deepseek.sse", "chat.stream.keepalive.sse"] {
        let stream = samples::openai(name);
        assert_eq!(pass(Api::Chat, true, [&stream[..]]).text.as_bytes(), stream);
    }
    let stream = samples::openai("responses.stream.sse");
    assert_eq!(pass(Api::Responses, true, [&stream[..]]).text.as_bytes(), stream);
}

#[test]
fn what_is_not_hidden_is_not_copied() {
    let mut reader = StreamReader::new(Api::Chat, true);
    let chunk = Bytes::from(event(&json!({ "choices": [{ "delta": { "content": "a" } }], "usage": null })));
    assert_eq!(reader.push(chunk.clone()).unwrap().as_ptr(), chunk.as_ptr());
    let used = event(&json!({ "choices": [], "usage": { "prompt_tokens": 1 } }));
    let chunk = Bytes::from([&used, "data: [DONE]\n\n"].concat());
    let passed = reader.push(chunk.clone()).unwrap();
    assert_eq!(passed, "data: [DONE]\n\n");
    assert_eq!(passed.as_ptr(), chunk[used.len()..].as_ptr());
}

#[test]
fn empty_choices_without_usage_pass_at_any_place() {
    let stream = [
        event(&json!({ "choices": [], "prompt_filter_results": [{ "prompt_index": 0 }] })),
        event(&json!({ "choices": [], "usage": null })),
        event(&json!({ "choices": [{ "delta": { "content": "a" }, "finish_reason": null }] })),
        event(&json!({ "choices": [], "moderation": {} })),
    ]
    .concat();
    let passed = pass(Api::Chat, true, [stream.as_bytes()]);
    assert_eq!((&passed.text, passed.end), (&stream, StreamEnd::Cut));
}

#[test]
fn the_last_usage_counts() {
    let chunk = |output: u64| {
        event(&json!({ "choices": [{ "delta": { "content": "a" } }],
            "usage": { "prompt_tokens": 3, "completion_tokens": output } }))
    };
    let nothing = event(&json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }], "usage": null }));
    let stream = [chunk(1), chunk(2), nothing].concat();
    let passed = pass(Api::Chat, true, [stream.as_bytes()]);
    assert_eq!((passed.usage, &passed.text), (usage(3, 0, 2, 0), &stream));
}

#[test]
fn groqs_usage_is_read() {
    let stream = event(&json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }],
        "x_groq": { "id": "r", "usage": { "prompt_tokens": 3, "completion_tokens": 2, "queue_time": 0.1 } } }));
    assert_eq!(pass(Api::Chat, true, [stream.as_bytes()]).usage, usage(3, 0, 2, 0));
}

#[test]
fn errors_are_seen_in_every_form() {
    let forms = [
        (Api::Chat, "data: {\"error\":{\"message\":\"x\"}}\n\n"),
        (
            Api::Chat,
            "data: {\"id\":1,\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}],\"error\" : {\"code\":502}}\n\n",
        ),
        (Api::Chat, "event: error\ndata: {\"code\":\"x\",\"message\":\"y\"}\n\n"),
        (Api::Responses, "data: {\"error\":{\"message\":\"x\"}}\n\n"),
        (Api::Responses, "data: {\"type\":\"error\",\"code\":\"x\"}\n\n"),
        (Api::Responses, "data: { \"code\":\"x\", \"type\":\"error\"}\n\n"),
        (
            Api::Responses,
            "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{}}}\n\n",
        ),
    ];
    let before = event(&json!({ "choices": [{ "delta": { "content": "a" } }], "type": "x" }));
    for (api, form) in forms {
        for stream in [form.to_owned(), format!("{before}{form}data: [DONE]\n\n")] {
            let passed = pass(api, true, [stream.as_bytes()]);
            assert_eq!((passed.end, &passed.text), (StreamEnd::Error, &stream));
        }
    }
}

#[test]
fn a_stream_without_events_is_empty() {
    for stream in [
        "",
        "\n\n",
        ": keep-alive\n\n: x\n\n",
        "retry: 3\n\n",
        "data:\n\n",
        "data: [DONE]\n\n",
        "data: {\"id\":",
    ] {
        assert_eq!(pass(Api::Chat, false, [stream.as_bytes()]).end, StreamEnd::Empty, "{stream:?}");
    }
}

#[test]
fn content_is_what_says_something() {
    let says = |delta: serde_json::Value| {
        let stream = event(&json!({ "choices": [{ "index": 0, "delta": delta }] }));
        pass(Api::Chat, false, [stream.as_bytes()]).seen.content
    };
    assert!(!says(json!({ "role": "assistant", "content": "", "refusal": null, "tool_calls": [] })));
    assert!(says(json!({ "content": "a" })));
    assert!(says(json!({ "reasoning": "a" })));
    assert!(says(json!({ "tool_calls": [{ "index": 0 }] })));
    let text = event(&json!({ "choices": [{ "text": "a", "finish_reason": null }] }));
    assert!(pass(Api::Completions, false, [text.as_bytes()]).seen.content);
}

#[test]
fn a_last_event_without_its_blank_line_goes_on_complete() {
    for (rest, last) in [
        ("data: [DONE]", "data: [DONE]\n\n"),
        ("data: [DONE]\n", "data: [DONE]\n\n"),
        ("data: [DONE]\r", "data: [DONE]\r\n\n"),
        ("data: [DONE]\r\n", "data: [DONE]\r\n\n"),
        ("data: {\"choices\":[]}", "data: {\"choices\":[]}\n\n"),
        ("data: {\"choices\":[", ""),
        ("data: [DO", ""),
        (": comment", ""),
        ("event: response.completed\n", ""),
    ] {
        assert_eq!(pass(Api::Chat, true, [rest.as_bytes()]).text, last, "{rest:?}");
    }
    let used = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}";
    let passed = pass(Api::Chat, true, [used.as_bytes()]);
    assert_eq!((passed.text.as_str(), passed.usage), ("", usage(1, 0, 0, 0)));
}

#[test]
fn json_over_several_data_lines_is_read() {
    let stream = "data: {\"choices\":[],\ndata: \"usage\":\ndata: {\"prompt_tokens\":1}}\n\n";
    let passed = pass(Api::Chat, true, [stream.as_bytes()]);
    assert_eq!((passed.text.as_str(), passed.usage), ("", usage(1, 0, 0, 0)));
}

#[test]
fn an_event_beyond_the_cap_is_an_error_however_it_comes() {
    let long = Bytes::from(format!("data: {}\n\n", "x".repeat(MAX_EVENT)));
    assert_eq!(StreamReader::new(Api::Chat, true).push(long.clone()), Err(EventTooLong));
    let mut reader = StreamReader::new(Api::Chat, true);
    assert!(reader.push(long.slice(..1000)).is_ok());
    assert_eq!(reader.push(long.slice(1000..)), Err(EventTooLong));
}

#[test]
fn the_samples_say_who_answered_how_it_ended_and_have_so_many_events() {
    let (chat, response) =
        (|reasons| said("chatcmpl-S3", "gpt-4.1-2025-04-14", reasons), "gpt-4.1-2025-04-14");
    let expected = [
        (chat(&["stop"]), 5),
        (chat(&["tool_calls"]), 7),
        (said("ds-1", "deepseek-v4-flash", &["stop"]), 4),
        (chat(&["stop"]), 3),
        (chat(&[]), 2),
        (chat(&[]), 3),
        (said("resp_S1", response, &["stop"]), 10),
        (said("resp_S1", response, &["stop"]), 8),
        (said("resp_S1", response, &[]), 6),
    ];
    for ((api, name), expected) in SAMPLES.into_iter().zip(expected) {
        let stream = samples::openai(name);
        assert_eq!(observe(api, [&stream[..]]), expected, "{name}");
        for size in [1, 2, 3, 7, 64, 1000] {
            assert_eq!(observe(api, stream.chunks(size)), expected, "{name} by {size}");
        }
    }
}

#[test]
fn a_stream_that_is_not_observed_has_no_facts_but_counts_its_events() {
    let mut reader = StreamReader::new(Api::Chat, true);
    reader.push(Bytes::from(samples::openai("chat.stream.sse"))).unwrap();
    assert_eq!((reader.facts(), reader.events()), (None, 5));
}

#[test]
fn observing_changes_nothing_that_passes() {
    for (api, name) in SAMPLES {
        let stream = Bytes::from(samples::openai(name));
        let (mut plain, mut observed) =
            (StreamReader::new(api, true), StreamReader::new(api, true).observing());
        assert_eq!(observed.push(stream.clone()), plain.push(stream), "{name}");
        assert_eq!((observed.seen(), observed.usage()), (plain.seen(), plain.usage()), "{name}");
        assert_eq!(observed.finish(), plain.finish(), "{name}");
    }
}

#[test]
fn every_choice_of_a_stream_has_its_reason_in_whatever_order_they_end() {
    let chunk = |index: u64, reason: serde_json::Value| {
        event(&json!({ "id": "a", "model": "m", "choices": [
            { "index": index, "delta": { "content": "x" }, "finish_reason": reason }] }))
    };
    let stream = [
        chunk(0, json!(null)),
        chunk(2, json!("length")),
        chunk(0, json!("stop")),
        // A server that repeats itself ends no further choice.
        chunk(0, json!("stop")),
        chunk(8, json!("stop")),
        chunk(u64::MAX, json!("stop")),
    ];
    let facts = said("a", "m", &["stop", "error", "length"]);
    assert_eq!(observe(Api::Chat, [stream.concat().as_bytes()]), (facts, 6));
    let blank = [chunk(0, json!("")), chunk(0, json!("brief"))].concat();
    assert_eq!(observe(Api::Chat, [blank.as_bytes()]).0.finish_reasons.as_slice(), ["other"]);
    let unnumbered = event(&json!({ "choices": [{ "text": "x", "finish_reason": "length" }] }));
    assert_eq!(observe(Api::Completions, [unnumbered.as_bytes()]).0.finish_reasons.as_slice(), ["length"]);
}

#[test]
fn names_that_come_late_are_found_before_the_first_content() {
    let stream = [
        event(&json!({ "id": "", "model": "", "choices": [], "prompt_filter_results": [] })),
        event(&json!({ "id": "a", "model": "m", "service_tier": "flex", "system_fingerprint": "fp",
            "choices": [{ "delta": { "content": "x" } }] })),
    ];
    let expected = AnswerFacts {
        service_tier: Some("flex".into()),
        system_fingerprint: Some("fp".into()),
        ..said("a", "m", &[])
    };
    assert_eq!(observe(Api::Chat, [stream.concat().as_bytes()]).0, expected);
}

#[test]
fn the_last_event_of_a_response_tells_how_it_ended() {
    let response = |status: &str, tier: &str, reason: Option<&str>| {
        let details = reason.map(|reason| json!({ "reason": reason }));
        json!({ "id": "r", "model": "m", "status": status, "service_tier": tier,
            "incomplete_details": details, "output": [{ "id": "x" }] })
    };
    let begun =
        event(&json!({ "type": "response.created", "response": response("in_progress", "auto", None) }));
    for (kind, status, reason, expected) in [
        ("response.completed", "completed", None, "stop"),
        ("response.incomplete", "incomplete", Some("max_output_tokens"), "length"),
        ("response.failed", "failed", None, "error"),
    ] {
        let last = event(&json!({ "type": kind, "response": response(status, "default", reason) }));
        let expected = AnswerFacts { service_tier: Some("default".into()), ..said("r", "m", &[expected]) };
        assert_eq!(observe(Api::Responses, [begun.as_bytes(), last.as_bytes()]), (expected, 2), "{kind}");
    }
}

proptest! {
    #[test]
    fn text_cannot_fake_anything(texts in prop::collection::vec(samples::any_text(), 1..6), key in samples::any_text()) {
        let stream: String = texts
            .iter()
            .map(|text| event(&json!({ "choices": [{ "delta": { "content": text, "x": { key.as_str(): text } } }] })))
            .collect();
        let passed = pass(Api::Chat, true, [stream.as_bytes()]);
        prop_assert_eq!((passed.usage, passed.end, &passed.text), (None, StreamEnd::Cut, &stream));
        prop_assert!(!passed.seen.error && !passed.seen.finished);
        let observed = observe(Api::Chat, [stream.as_bytes()]);
        prop_assert_eq!(observed, (AnswerFacts::default(), texts.len() as u64));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in r#"(data: |event: |[{}":\[\],\n\r]|"usage"|"error"|\[DONE\]|x){0,40}"#) {
        for api in Api::ALL {
            for mut reader in [StreamReader::new(api, true), StreamReader::new(api, true).observing()] {
                let _ = reader.push(Bytes::from(bytes.clone()));
                let _ = reader.finish();
            }
        }
    }
}

fn event(data: &serde_json::Value) -> String {
    format!("data: {data}\n\n")
}
