use proptest::prelude::*;

use super::*;
use crate::dialect::facts::{AnswerFacts, in_answer as facts_in_answer};
use crate::dialect::openai::usage::in_answer;
use crate::dialect::plain::judge;
use crate::dialect::stream::{StreamEnd, StreamReader};
use crate::dialect::{answer, samples, sse};
use crate::usage::Usage;

const APIS: [Api; 3] = [Api::Chat, Api::Completions, Api::Responses];

fn says(text: &str) -> Fixed<'_> {
    Fixed { text, model: "m", id: "x-1", created: 1_795_000_000, include_usage: false }
}

fn plain(api: Api, says: &Fixed<'_>) -> Value {
    serde_json::from_slice(&answer::fixed(api, false, says).unwrap()).unwrap()
}

/// The events, each with its name; `[DONE]` as a string.
fn streamed(api: Api, says: &Fixed<'_>) -> Vec<(Option<String>, Value)> {
    let stream = answer::fixed(api, true, says).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    sse::events(&stream)
        .map(|event| {
            let data = text(&sse::data(event).unwrap());
            let data = if data == "[DONE]" { json!(data) } else { serde_json::from_str(&data).unwrap() };
            (sse::name(event).map(text), data)
        })
        .collect()
}

/// The shape of a value: its members' names, and the kinds of what they hold.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("flag"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), shape(value))).collect())
        }
    }
}

#[test]
fn a_plain_chat_is_the_samples_but_for_what_is_told_of_its_making() {
    let mut sample: Value = serde_json::from_slice(&samples::openai("chat.response.json")).unwrap();
    for name in ["service_tier", "system_fingerprint"] {
        sample.as_object_mut().unwrap().remove(name);
    }
    for name in ["prompt_tokens_details", "completion_tokens_details"] {
        sample["usage"].as_object_mut().unwrap().remove(name);
    }
    let ours = plain(Api::Chat, &says("Hi."));
    assert_eq!(shape(&ours), shape(&sample));
    assert_eq!(ours["choices"][0]["message"]["content"], "Hi.");
    assert_eq!(
        (&ours["id"], &ours["model"], &ours["created"]),
        (&json!("x-1"), &json!("m"), &json!(1_795_000_000))
    );
}

#[test]
fn a_response_and_its_events_are_the_samples() {
    let sample: Value = serde_json::from_slice(&samples::openai("responses.response.json")).unwrap();
    assert_eq!(shape(&plain(Api::Responses, &says("Hi."))), shape(&sample));
    let stream = samples::openai("responses.stream.sse");
    let mut expected: Vec<_> = sse::events(&stream)
        .map(|event| {
            let name = String::from_utf8(sse::name(event).unwrap().to_vec()).unwrap();
            (Some(name), serde_json::from_slice::<Value>(&sse::data(event).unwrap()).unwrap())
        })
        .collect();
    // The sample says its text in two pieces.
    expected.remove(5);
    let ours = streamed(Api::Responses, &says("Hi."));
    assert_eq!(ours.len(), expected.len());
    for (number, ((name, ours), (sample_name, sample))) in ours.iter().zip(&expected).enumerate() {
        assert_eq!((name, shape(ours)), (sample_name, shape(sample)));
        assert_eq!((&ours["sequence_number"], ours["type"].as_str()), (&json!(number), name.as_deref()));
    }
}

#[test]
fn a_chat_stream_has_role_text_and_finish_and_usage_only_where_it_was_asked_for() {
    let bare = streamed(Api::Chat, &says("Hi."));
    let deltas: Vec<_> = bare.iter().map(|(_, chunk)| chunk["choices"][0]["delta"].clone()).collect();
    let role = json!({ "role": "assistant", "content": "", "refusal": null });
    assert_eq!(deltas, [role, json!({ "content": "Hi." }), json!({}), json!(null)]);
    assert!(bare.iter().all(|(name, chunk)| name.is_none() && chunk.get("usage").is_none()));
    let asked = streamed(Api::Chat, &Fixed { include_usage: true, ..says("Hi.") });
    let used: Vec<_> = asked.iter().filter_map(|(_, chunk)| chunk.get("usage").cloned()).collect();
    assert_eq!(used, [Value::Null, Value::Null, Value::Null, usage()]);
    assert_eq!(asked[3].1["choices"], json!([]));
    assert_eq!(asked[4].1, "[DONE]");
}

#[test]
fn embeddings_have_no_words() {
    for stream in [false, true] {
        assert!(answer::fixed(Api::Embeddings, stream, &says("Hi.")).is_none());
    }
}

/// The text that an answer says, of a body or put together of events.
fn text_of(api: Api, answer: &Value) -> String {
    let text = if api == Api::Responses {
        &answer["output"][0]["content"][0]["text"]
    } else if api == Api::Chat {
        &answer["choices"][0]["message"]["content"]
    } else {
        &answer["choices"][0]["text"]
    };
    text.as_str().unwrap().to_owned()
}

fn text_of_event(api: Api, event: &Value) -> String {
    let text = if api == Api::Responses {
        &event["delta"]
    } else if api == Api::Chat {
        &event["choices"][0]["delta"]["content"]
    } else {
        &event["choices"][0]["text"]
    };
    text.as_str().unwrap_or_default().to_owned()
}

proptest! {
    #[test]
    fn any_text_survives_in_every_form(
        text in prop_oneof![samples::any_text(), any::<String>()], model in samples::any_text(),
        id in "[a-z]{1,8}-[0-9]{1,8}", include_usage: bool, created: i64,
    ) {
        let says = Fixed { text: &text, model: &model, id: &id, created, include_usage };
        for api in APIS {
            let plain = answer::fixed(api, false, &says).unwrap();
            prop_assert_eq!(judge(api, &plain), Ok(()));
            prop_assert_eq!(in_answer(api, &plain), Some(Usage::default()));
            let facts = facts_in_answer(api, &plain);
            prop_assert_eq!((facts.id.as_deref(), facts.finish_reasons.as_slice()), (Some(&*id), &["stop"][..]));
            prop_assert_eq!(text_of(api, &serde_json::from_slice(&plain).unwrap()), text.clone());

            let spoken: String = streamed(api, &says).iter().map(|(_, event)| text_of_event(api, event)).collect();
            prop_assert_eq!(&spoken, &text);
            let stream = answer::fixed(api, true, &says).unwrap();
            let mut reader = StreamReader::new(api, false).observing();
            prop_assert_eq!(&reader.push(stream.clone()).unwrap(), &stream);
            prop_assert_eq!(reader.finish().1, StreamEnd::Complete);
            let seen = reader.seen();
            prop_assert!(seen.ended && !seen.error);
            // A message that is there says something, be its text empty.
            prop_assert_eq!(seen.content, !text.is_empty() || api == Api::Responses);
            let reports = include_usage || api == Api::Responses;
            prop_assert_eq!(reader.usage(), reports.then(Usage::default));
            let AnswerFacts { id: named, finish_reasons, .. } = reader.facts().unwrap();
            prop_assert_eq!((named.as_deref(), finish_reasons.as_slice()), (Some(&*id), &["stop"][..]));
        }
    }
}
