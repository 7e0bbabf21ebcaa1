//! What counts as content, and in how many events it came.

use serde_json::Value as Json;

use super::*;

fn read(api: Api, stream: &str) -> StreamReader {
    let mut reader = StreamReader::new(api, true).counting();
    reader.push(Bytes::from(stream.to_owned())).unwrap();
    reader
}

/// How many events of these had content.
fn counted(api: Api, events: &[Json]) -> u64 {
    let stream: String = events.iter().map(event).collect();
    let reader = read(api, &stream);
    assert_eq!(reader.seen().content, reader.content_events() > 0, "{stream}");
    reader.content_events()
}

#[test]
fn so_many_events_of_the_samples_have_content() {
    for ((api, name), expected) in SAMPLES.into_iter().zip([2, 5, 2, 1, 1, 1, 3, 4, 1]) {
        let stream = samples::openai(name);
        for size in [1, 7, 64, stream.len()] {
            let mut reader = StreamReader::new(api, true).counting();
            for piece in stream.chunks(size) {
                reader.push(Bytes::copy_from_slice(piece)).unwrap();
            }
            assert_eq!(reader.content_events(), expected, "{name} by {size}");
        }
    }
}

/// A chunk with this delta alone, and behind one that had content.
fn says(delta: &Json) -> bool {
    let chunk = |delta: &Json| json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] });
    let alone = counted(Api::Chat, &[chunk(delta)]);
    let behind = counted(Api::Chat, &[chunk(&json!({ "content": "x" })), chunk(delta)]) - 1;
    assert_eq!(alone, behind, "{delta}");
    alone == 1
}

#[test]
fn whatever_a_delta_says_is_content() {
    for delta in [
        json!({ "content": "a" }),
        json!({ "role": "assistant", "content": " " }),
        json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "a" }] }] }),
        json!({ "content": null, "reasoning": "a" }),
        json!({ "content": "", "reasoning_content": "a" }),
        json!({ "refusal": "a" }),
        json!({ "tool_calls": [{ "index": 0, "id": "c", "function": { "name": "f", "arguments": "" } }] }),
        json!({ "function_call": { "name": "f" } }),
        json!({ "audio": { "id": "a", "data": "AAA=" } }),
        json!({ "audio": { "transcript": "a" } }),
        json!({ "images": [{ "type": "image_url" }] }),
    ] {
        assert!(says(&delta), "{delta}");
    }
    for delta in [
        json!({}),
        json!(null),
        json!({ "role": "assistant" }),
        json!({ "role": "assistant", "content": "", "refusal": null, "tool_calls": [], "audio": {} }),
        json!({ "content": null, "reasoning_content": "" }),
        json!({ "content": "", "token_count": 0, "final": false }),
    ] {
        assert!(!says(&delta), "{delta}");
    }
}

#[test]
fn what_stands_around_the_choices_is_no_content() {
    for chunk in [
        json!({ "choices": [], "prompt_filter_results": [{ "prompt_index": 0, "content_filter_results": {} }] }),
        json!({ "choices": [], "usage": { "prompt_tokens": 1, "completion_tokens": 2 } }),
        json!({ "choices": [{ "delta": {}, "finish_reason": "stop", "content_filter_results": { "hate": {} } }] }),
        json!({ "choices": [], "moderation": { "text": "a" } }),
        json!({ "error": { "message": "a" } }),
    ] {
        assert_eq!(counted(Api::Chat, std::slice::from_ref(&chunk)), 0, "{chunk}");
    }
}

#[test]
fn of_completions_the_text_is_the_content() {
    let chunk = |text: &str| json!({ "choices": [{ "text": text, "index": 0, "finish_reason": null }] });
    assert_eq!(counted(Api::Completions, &[chunk(""), chunk("a"), chunk(""), chunk("b")]), 2);
    let last = json!({ "choices": [{ "text": "", "finish_reason": "length" }] });
    assert_eq!(counted(Api::Completions, &[chunk("a"), last]), 1);
}

#[test]
fn an_empty_finish_reason_ends_nothing() {
    let chunk = |reason: &str| {
        event(&json!({ "choices": [{ "delta": { "content": "a" }, "finish_reason": reason }] }))
    };
    assert!(!read(Api::Chat, &chunk("")).seen().finished);
    assert!(read(Api::Chat, &[chunk(""), chunk("stop")].concat()).seen().finished);
    let bare = event(&json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] }));
    let seen = read(Api::Chat, &bare).seen();
    assert!(seen.finished && !seen.content, "it has finished, though without content");
}

#[test]
fn a_response_speaks_by_its_deltas_and_items() {
    let delta =
        |kind: &str, delta: Json| json!({ "type": kind, "item_id": "i", "delta": delta, "logprobs": [] });
    let item =
        |step: &str, item: Json| json!({ "type": format!("response.output_item.{step}"), "item": item });
    for content in [
        delta("response.output_text.delta", json!("a")),
        delta("response.refusal.delta", json!("a")),
        delta("response.function_call_arguments.delta", json!("{")),
        delta("response.custom_tool_call_input.delta", json!("a")),
        delta("response.reasoning_text.delta", json!("a")),
        delta("response.reasoning_summary_text.delta", json!("a")),
        delta("response.reasoning.delta", json!({ "text": "a" })),
        delta("response.audio.delta", json!("AAA=")),
        json!({ "type": "response.image_generation_call.partial_image", "partial_image_b64": "AAA=" }),
        item("added", json!({ "type": "function_call", "name": "f", "arguments": "" })),
        item("added", json!({ "type": "web_search_call", "status": "in_progress" })),
        item("done", json!({ "type": "message", "content": [{ "type": "output_text", "text": "a" }] })),
        item("done", json!({ "type": "reasoning", "summary": [], "encrypted_content": "x" })),
        json!({ "type": "response.completed", "response": { "status": "completed", "output": [{ "type": "message" }] } }),
    ] {
        let kind = content["type"].as_str().unwrap().to_owned();
        assert_eq!(counted(Api::Responses, std::slice::from_ref(&content)), 1, "{content}");
        let named = format!("event: {kind}\n{}", event(&content));
        assert_eq!(read(Api::Responses, &named).content_events(), 1, "{content}");
    }
    for nothing in [
        delta("response.output_text.delta", json!("")),
        delta("response.output_text.delta", json!(null)),
        json!({ "type": "response.created", "response": { "output": [], "error": null } }),
        json!({ "type": "response.content_part.added", "part": { "type": "output_text", "text": "" } }),
        item("added", json!({ "type": "message", "content": [] })),
        item("added", json!({ "type": "reasoning", "summary": [] })),
        item("done", json!({ "type": "message", "content": [] })),
        item("done", json!(null)),
        json!({ "type": "response.completed", "response": { "status": "completed", "output": [] } }),
        json!({ "type": "response.failed", "response": { "status": "failed", "output": [{ "type": "message" }] } }),
    ] {
        assert_eq!(counted(Api::Responses, std::slice::from_ref(&nothing)), 0, "{nothing}");
    }
}

#[test]
fn the_last_event_of_a_response_repeats_what_was_said() {
    let said = json!({ "type": "response.output_text.delta", "delta": "a" });
    let last = json!({ "type": "response.completed", "response": { "output": [{ "type": "message" }] } });
    assert_eq!(counted(Api::Responses, &[said, last]), 1);
}

/// The same, of a chunk that was parsed.
fn reference(chunk: &Json) -> bool {
    let says = |value: &Json| match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(members) => !members.is_empty(),
    };
    chunk["choices"].as_array().unwrap().iter().any(|choice| {
        let mut members = choice["delta"].as_object().into_iter().flatten();
        members.any(|(name, value)| name != "role" && says(value))
    })
}

fn any_chunk() -> impl Strategy<Value = Json> {
    let names = ["role", "content", "refusal", "tool_calls", "reasoning", "reasoning_content", "audio"];
    let name = prop_oneof![
        3 => prop::sample::select(names.to_vec()).prop_map(String::from),
        1 => samples::any_text(),
    ];
    let delta = prop::collection::btree_map(name, samples::any_json(), 0..4);
    let reason = prop::sample::select(vec![json!(null), json!(null), json!(""), json!("stop")]);
    let choice = (delta, reason).prop_map(|(delta, reason)| {
        json!({ "index": 0, "delta": Json::Object(delta.into_iter().collect()), "finish_reason": reason })
    });
    let usage = prop::sample::select(vec![json!(null), json!({ "prompt_tokens": 1 })]);
    (prop::collection::vec(choice, 0..3), usage, samples::any_text())
        .prop_map(|(choices, usage, id)| json!({ "id": id, "choices": choices, "usage": usage }))
}

proptest! {
    #[test]
    fn as_many_events_have_content_as_a_full_parse_finds(
        chunks in prop::collection::vec(any_chunk(), 1..8), pretty: bool, size in 1..80_usize,
    ) {
        let expected = chunks.iter().filter(|chunk| reference(chunk)).count() as u64;
        // Spaces stand between the tokens then, and every line of an event has its own `data:`.
        let spaced = |chunk: &Json| {
            let text = serde_json::to_string_pretty(chunk).unwrap();
            text.lines().map(|line| format!("data: {line}\n")).collect::<String>() + "\n"
        };
        let stream: String = chunks.iter().map(|chunk| if pretty { spaced(chunk) } else { event(chunk) }).collect();
        let mut reader = StreamReader::new(Api::Chat, false).counting();
        for piece in stream.as_bytes().chunks(size) {
            reader.push(Bytes::copy_from_slice(piece)).unwrap();
        }
        prop_assert_eq!(reader.content_events(), expected, "{}", stream);
        prop_assert_eq!(reader.seen().content, expected > 0);
    }
}
