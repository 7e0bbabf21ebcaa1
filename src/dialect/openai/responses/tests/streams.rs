//! Streams, event by event.

use super::*;
use crate::dialect::Dialect;
use crate::dialect::neutral::{Finish, Signature};
use crate::dialect::samples;
use crate::units::Tokens;
use crate::usage::Usage;

fn start() -> Event<'static> {
    Event::Start { id: text("x"), model: text("gpt-4.1-2025-04-14") }
}

fn says(what: &str) -> Event<'static> {
    Event::Text { choice: 0, text: text(what) }
}

fn thinks(what: &str) -> Event<'static> {
    Event::Reasoning { choice: 0, text: text(what) }
}

fn refuses(what: &str) -> Event<'static> {
    Event::Refusal { choice: 0, text: text(what) }
}

fn calls(index: u32) -> Event<'static> {
    let (id, name) = (text(&format!("call_{index}")), text(&format!("f{index}")));
    Event::ToolCall { choice: 0, index, id, name, signature: None }
}

fn with(index: u32, json: &str) -> Event<'static> {
    Event::Arguments { choice: 0, index, json: text(json) }
}

fn ends(finish: Finish) -> [Event<'static>; 2] {
    [Event::Finish { choice: 0, finish, stop: None }, Event::End]
}

fn by(by: Dialect, sealed: &str) -> Signature<'static> {
    Signature { by, text: text(sealed) }
}

fn used() -> Event<'static> {
    Event::Usage(Usage { input: Tokens(30), output: Tokens(6), ..Usage::default() })
}

fn all(begin: &[Event<'static>], finish: Finish) -> Vec<(String, Json)> {
    streamed(&[&[start()], begin, &ends(finish)].concat())
}

/// The items of the last event, each by its type and what it says.
fn items(events: &[(String, Json)]) -> Vec<(String, String)> {
    let said = |item: &Json| match item["type"].as_str().unwrap() {
        "message" => item["content"].as_array().unwrap().iter().map(part).collect(),
        "reasoning" => item["summary"].as_array().unwrap().iter().map(part).collect(),
        _ => format!("{}{}", item["name"].as_str().unwrap(), item["arguments"].as_str().unwrap()),
    };
    let output = whole(events)["output"].as_array().unwrap().iter();
    output.map(|item| (item["type"].as_str().unwrap().to_owned(), said(item))).collect()
}

fn part(part: &Json) -> String {
    part["text"].as_str().or_else(|| part["refusal"].as_str()).unwrap().to_owned()
}

/// The sample's events are ours but for the ids of its items.
fn is_the_sample(sample: &str, ours: &[(String, Json)], its_id: &str, our_id: &str) {
    let sample = String::from_utf8(samples::openai(sample)).unwrap().replace(its_id, our_id);
    assert_eq!(ours, told(sample.as_bytes()));
}

#[test]
fn a_text_is_told_as_openai_tells_it() {
    let ours = all(&[says("Yes, "), says("2.4 metres."), used()], Finish::Stop);
    is_the_sample("responses.stream.sse", &ours, "\"msg_S1\"", "\"msg_S1_0\"");
}

#[test]
fn a_call_is_told_as_openai_tells_it() {
    let (id, name) = (text("call_a"), text("tide_level"));
    let call = Event::ToolCall { choice: 0, index: 0, id, name, signature: None };
    let ours = all(&[call, with(0, "{\"harbour\":"), with(0, "\"Brael\"}"), used()], Finish::ToolCalls);
    is_the_sample("responses.stream.tool.sse", &ours, "\"fc_1\"", "\"fc_S1_0\"");
}

#[test]
fn reasoning_is_a_summary_and_its_signature_ends_it() {
    let signed = Event::Signature { choice: 0, signature: by(Dialect::Anthropic, "s==") };
    let events = all(&[thinks("a"), thinks("b"), signed, says("c")], Finish::Stop);
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&events), expected);
    let item = json!({
        "id": "rs_S1_0", "type": "reasoning", "summary": [{ "type": "summary_text", "text": "ab" }],
        "encrypted_content": "anthropic.s==",
    });
    assert_eq!(events[8].1["item"], item);
    assert_eq!(events[4].1["item_id"], "rs_S1_0");
    assert_eq!((&events[6].1["text"], &events[6].1["summary_index"]), (&json!("ab"), &json!(0)));
    assert_eq!(whole(&events)["output"][0], item);
}

#[test]
fn what_only_its_provider_reads_is_an_item_of_its_own() {
    let redacted = Event::Redacted { choice: 0, data: by(Dialect::Anthropic, "d") };
    let alone = Event::Signature { choice: 0, signature: by(Dialect::Anthropic, "s") };
    let (id, name) = (text("call_a"), text("f"));
    let signed = Event::ToolCall { choice: 0, index: 0, id, name, signature: Some(by(Dialect::Gemini, "g")) };
    let events = all(&[redacted, alone, says("a"), signed, with(0, "{}")], Finish::ToolCalls);
    let output = whole(&events)["output"].as_array().unwrap();
    let sealed: Vec<_> = output.iter().map(|item| item["encrypted_content"].as_str()).collect();
    assert_eq!(sealed, [Some("anthropic-redacted.d"), Some("anthropic.s"), None, Some("gemini.g"), None]);
    let types: Vec<_> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["reasoning", "reasoning", "message", "reasoning", "function_call"]);
    assert_eq!((&output[3]["summary"], &output[4]["id"]), (&json!([]), &json!("fc_S1_4")));
}

#[test]
fn a_refusal_is_a_part_of_its_own() {
    let events = all(&[says("a"), refuses("b"), refuses("c")], Finish::Refused);
    let expected = [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&events)[2..], expected);
    assert_eq!((&events[10].1["refusal"], &events[10].1["content_index"]), (&json!("bc"), &json!(1)));
    let item = &whole(&events)["output"][0];
    assert_eq!(item["content"][1], json!({ "type": "refusal", "refusal": "bc" }));
    assert_eq!(item["status"], "completed");
}

#[test]
fn the_status_tells_how_it_ended() {
    for (finish, status, reason) in [
        (Finish::Stop, "completed", None),
        (Finish::StopSequence, "completed", None),
        (Finish::ToolCalls, "completed", None),
        (Finish::Paused, "completed", None),
        (Finish::Length, "incomplete", Some("max_output_tokens")),
        (Finish::Window, "incomplete", Some("max_output_tokens")),
        (Finish::Filtered, "incomplete", Some("content_filter")),
        (Finish::Refused, "incomplete", Some("content_filter")),
    ] {
        let events = all(&[says("a")], finish);
        let response = whole(&events);
        assert_eq!(events.last().unwrap().0, format!("response.{status}"));
        assert_eq!(
            (response["status"].as_str(), response["incomplete_details"]["reason"].as_str()),
            (Some(status), reason)
        );
        assert_eq!(response["output"][0]["status"], status);
    }
}

#[test]
fn calls_one_after_another_are_told_as_they_come() {
    let first = streamed(&[start(), calls(0), with(0, "{\"a\":\"}\\\\\"}"), calls(1), with(1, "{")]);
    let expected = [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
    ];
    assert_eq!(kinds(&first)[2..], expected, "nothing waits");
}

#[test]
fn pieces_of_several_calls_do_not_interleave() {
    let mixed = [
        calls(0),
        calls(1),
        with(1, "{\"b\""),
        with(0, "{\"a\""),
        says("after"),
        with(0, ":[{}]}"),
        with(1, ":1}"),
        calls(2),
    ];
    let events = all(&mixed, Finish::ToolCalls);
    let call = |name: &str, json: &str| ("function_call".to_owned(), format!("{name}{json}"));
    let expected = [
        call("f0", "{\"a\":[{}]}"),
        call("f1", "{\"b\":1}"),
        ("message".to_owned(), "after".to_owned()),
        call("f2", "{}"),
    ];
    assert_eq!(items(&events), expected);
    let opened: Vec<_> = kinds(&events).into_iter().filter(|kind| kind.starts_with("output_item")).collect();
    assert_eq!(opened, ["output_item.added", "output_item.done"].repeat(4));
}

#[test]
fn a_call_that_is_cut_off_is_told_as_far_as_it_came() {
    let events = all(&[calls(0), calls(1), with(0, "{\"a"), with(1, "{")], Finish::Length);
    let output = &whole(&events)["output"];
    assert_eq!((&output[0]["arguments"], &output[1]["arguments"]), (&json!("{\"a"), &json!("{")));
    assert_eq!((&output[0]["status"], &output[1]["status"]), (&json!("completed"), &json!("incomplete")));
}

#[test]
fn a_stream_without_a_start_or_a_finish_is_whole_all_the_same() {
    let events = streamed(&[says("a"), Event::End]);
    assert_eq!(kinds(&events)[..3], ["created", "in_progress", "output_item.added"]);
    assert_eq!((&whole(&events)["model"], &whole(&events)["usage"]), (&json!(stamp().model), &json!(null)));
    let nothing = streamed(&[Event::End, Event::End, says("late")]);
    assert_eq!(kinds(&nothing), ["created", "in_progress", "completed"]);
    assert_eq!(whole(&nothing)["output"], json!([]));
}

#[test]
fn empty_pieces_and_other_choices_say_nothing() {
    let other = Event::Text { choice: 1, text: text("b") };
    let ended = Event::Finish { choice: 1, finish: Finish::Length, stop: None };
    let events = all(&[says(""), thinks(""), refuses(""), other, with(7, "{}"), ended], Finish::Stop);
    assert_eq!(kinds(&events), ["created", "in_progress", "completed"]);
}

#[test]
fn of_usage_the_last_counts() {
    let first = Event::Usage(Usage { input: Tokens(1), ..Usage::default() });
    let usage = Usage {
        input: Tokens(10),
        cache_read: Tokens(5),
        cache_write: Tokens(3),
        output: Tokens(7),
        reasoning: Tokens(2),
        ..Usage::default()
    };
    let events = streamed(&[start(), first, says("a"), Event::Usage(usage), Event::End]);
    let expected = json!({
        "input_tokens": 18,
        "input_tokens_details": { "cached_tokens": 5, "cache_write_tokens": 3 },
        "output_tokens": 9,
        "output_tokens_details": { "reasoning_tokens": 2 },
        "total_tokens": 27,
    });
    assert_eq!(whole(&events)["usage"], expected);
}

#[test]
fn a_response_too_large_to_be_kept_ends_with_an_error() {
    let mut encoder = Encoder::new(&stamp());
    let piece = says(&"x".repeat(1024 * 1024));
    let mut written = 0;
    let mut last = Vec::new();
    for _ in 0..10 {
        last.clear();
        encoder.write(&piece, &mut last);
        written += last.len();
        if last.windows(14).any(|part| part == b"event: error\nd") {
            break;
        }
    }
    let events = told(&last);
    assert_eq!(events.last().unwrap().0, "error");
    assert_eq!(events.last().unwrap().1["error"]["code"], "upstream_stream_interrupted");
    assert!((8..10 * 1024 * 1024).contains(&written));
    last.clear();
    encoder.write(&piece, &mut last);
    encoder.write(&Event::End, &mut last);
    assert_eq!(last, b"", "nothing follows");
}

#[test]
fn what_waits_is_counted_too() {
    let mut encoder = Encoder::new(&stamp());
    let mut out = Vec::new();
    encoder.write(&calls(0), &mut out);
    let piece = says(&"x".repeat(1024 * 1024));
    (0..9).for_each(|_| encoder.write(&piece, &mut out));
    assert_eq!(told(&out).last().unwrap().0, "error");
}
