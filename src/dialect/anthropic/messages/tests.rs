use proptest::prelude::*;
use serde_json::{Value, json};

use super::samples::{STAMP, any_answer, any_request, decoded, folded};
use super::*;
use crate::dialect::neutral::{Answer, Content, Finish, Literal, Losses, Part, Request, Signature};
use crate::dialect::provider::MaxTokensField;
use crate::dialect::translate::{Accepts, Recipient, Stamp};
use crate::dialect::{Dialect, samples as files};
use crate::units::Tokens;
use crate::usage::Usage;

const SONNET: Recipient<'static> = Recipient {
    model: "claude-sonnet-4-5",
    accepts: Accepts {
        sampling: true,
        forced_tool_choice: true,
        prefill: true,
        json_schema: true,
        call_ids: false,
        reasoning: crate::dialect::translate::ReasoningForm::Effort,
    },
    max_tokens_field: MaxTokensField::MaxTokens,
    max_output: None,
    ask_usage: false,
    wants_reasoning: false,
};

/// The body, and what was lost.
fn encoded(request: &Request<'_>) -> (Vec<u8>, Losses) {
    let mut lost = Losses::default();
    let body = encode_request(request, &SONNET, &mut lost).body(None).to_vec();
    (body, lost)
}

fn streamed(events: &[crate::dialect::neutral::Event<'_>], stamp: &Stamp<'_>) -> Vec<u8> {
    let mut encoder = Encoder::new(stamp);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.write(event, &mut out));
    out
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[test]
fn the_sample_request_comes_back_as_it_was() {
    let sample = files::anthropic("messages.request.json");
    let (request, lost) = decode_request(&sample).unwrap();
    assert!(lost.is_empty(), "{lost:?}");
    let (body, lost) = encoded(&request);
    assert!(lost.is_empty(), "{lost:?}");
    let mut expected = parsed(&sample);
    // A text alone needs no list, but is as good in one.
    assert_eq!(expected["messages"][2]["content"][0]["content"], json!("{\"metres\":2.4}"));
    expected["model"] = json!(SONNET.model);
    assert_eq!(parsed(&body), expected);
}

#[test]
fn the_sample_answer_comes_back_as_it_was() {
    let sample = files::anthropic("messages.response.json");
    let answer = decode_answer(&sample, &STAMP).unwrap();
    let mut expected = parsed(&sample);
    expected["usage"].as_object_mut().unwrap().retain(|name, _| name.ends_with("tokens"));
    assert_eq!(parsed(&encode_answer(&answer, &STAMP)), expected);
}

#[test]
fn the_sample_stream_says_what_the_sample_answer_says() {
    let streamed = folded(&files::anthropic("messages.stream.sse"), &STAMP);
    let body = files::anthropic("messages.response.json");
    let mut answer = decode_answer(&body, &STAMP).unwrap();
    // It ends with one more call, which has no arguments.
    answer.choices[0].parts.push(Part::of(samples::call("toolu_3", "now", "{}")));
    assert_eq!(streamed, answer);
    let tokens = Tokens;
    let usage = Usage { input: tokens(56), cache_read: tokens(64), output: tokens(31), ..Usage::default() };
    assert_eq!(streamed.usage, Some(usage));
}

#[test]
fn the_sample_stream_comes_back_as_it_was_but_for_noise_and_what_is_known_later() {
    let sample = String::from_utf8(files::anthropic("messages.stream.sse")).unwrap();
    let ours = streamed(&decoded(sample.as_bytes(), &STAMP), &STAMP);
    let lines = |text: &str| -> Vec<Value> {
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    };
    let mut expected = lines(&sample);
    expected.retain(|event| event["type"] != "ping" && event["delta"]["partial_json"] != "");
    expected[0]["message"]["usage"] = json!({
        "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0,
    });
    let no_arguments = json!({ "type": "input_json_delta", "partial_json": "{}" });
    let at = expected.iter().position(|event| event["content_block"]["id"] == "toolu_3").unwrap();
    let delta = json!({ "type": "content_block_delta", "index": 3, "delta": no_arguments });
    expected.insert(at + 1, delta);
    assert_eq!(lines(&String::from_utf8(ours).unwrap()), expected);
}

#[test]
fn a_signed_call_of_another_dialect_comes_back_signed() {
    let body = br#"{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[
        {"type":"thinking","thinking":"","signature":"gemini.c2ln"},
        {"type":"tool_use","id":"a","name":"t","input":{}},
        {"type":"thinking","thinking":"","signature":"c2ln"},
        {"type":"tool_use","id":"b","name":"t","input":{}}]}]}"#;
    let (request, _) = decode_request(body).unwrap();
    let [
        Part { content: Content::ToolCall(first), .. },
        thinking,
        Part { content: Content::ToolCall(second), .. },
    ] = request.turns[1].parts.as_slice()
    else {
        panic!("{request:?}");
    };
    let signature = |by| Signature { by, text: Literal::word("c2ln") };
    assert_eq!(first.signature, Some(signature(Dialect::Gemini)));
    // Anthropic's own thinking may be empty, and stays where it is.
    let own = Some(signature(Dialect::Anthropic));
    assert_eq!(thinking.content, Content::Reasoning { text: Literal::word(""), signature: own });
    assert_eq!(second.signature, None);
}

#[test]
fn an_answer_without_names_is_named_after_its_call() {
    let body = br#"{"content":[{"type":"tool_use","name":"t","input":{}}],"stop_reason":"tool_use"}"#;
    let answer = decode_answer(body, &STAMP).unwrap();
    assert_eq!(answer.id.text(), "msg_0123456789abcdef0123456789abcdef");
    assert_eq!(answer.model.text(), "m");
    assert_eq!(answer.choices[0].parts, [Part::of(samples::call("call_0123456789abcdef_0", "t", "{}"))]);
    assert_eq!(answer.usage, None);
}

#[test]
fn what_is_no_message_is_no_answer() {
    for body in [
        &b"oops"[..],
        b"{}",
        b"[]",
        br#"{"content":"x"}"#,
        br#"{"type":"error","error":{"type":"api_error","message":"x"}}"#,
        br#"{"content":[{"type":"tool_use","id":"a","name":"t","input":"{}"}]}"#,
        br#"{"content":[{"type":"tool_use","id":"a","input":{}}]}"#,
    ] {
        assert!(decode_answer(body, &STAMP).is_err(), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_refusal_says_why_streamed_or_not() {
    let details = r#"{"type":"refusal","category":null,"explanation":"No."}"#;
    let body = format!(
        r#"{{"id":"a","model":"m","content":[],"stop_reason":"refusal","stop_details":{details},"usage":{{"output_tokens":1}}}}"#
    );
    let plain = decode_answer(body.as_bytes(), &STAMP).unwrap();
    assert_eq!(plain.choices[0].parts, [Part::of(Content::Refusal(Literal::word("No.")))]);
    assert_eq!(plain.choices[0].finish, Finish::Refused);
    let stream = format!(
        "data: {{\"type\":\"message_start\",\"message\":{{\"id\":\"a\",\"model\":\"m\"}}}}\n\n\
         data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"refusal\",\"stop_details\":{details}}},\"usage\":{{\"output_tokens\":1}}}}\n\n\
         data: {{\"type\":\"message_stop\"}}\n\n"
    );
    assert_eq!(folded(stream.as_bytes(), &STAMP), plain);
}

#[test]
fn every_end_has_its_word_and_back() {
    use Finish::*;
    for finish in [Stop, StopSequence, Length, Window, ToolCalls, Refused, Paused] {
        let word = format!("\"{}\"", words::stop_reason(finish, false));
        let value = crate::dialect::json::document(word.as_bytes()).unwrap();
        assert_eq!(words::finish(Some(&value)), finish);
    }
    assert_eq!(words::stop_reason(Filtered, false), "refusal");
    assert_eq!(words::stop_reason(Stop, true), "tool_use");
    assert_eq!(words::finish(None), Stop);
}

#[test]
fn texts_in_a_row_are_one_as_in_a_stream() {
    let body =
        br#"{"content":[{"type":"text","text":"a"},{"type":"server_tool_use"},{"type":"text","text":"b"}]}"#;
    let answer = decode_answer(body, &STAMP).unwrap();
    assert_eq!(answer.choices[0].parts, [Part::of(Content::Text(Literal::from_text("ab")))]);
}

#[test]
fn only_the_first_choice_is_written() {
    let body = files::anthropic("messages.response.json");
    let one = decode_answer(&body, &STAMP).unwrap();
    let two = Answer { choices: [one.choices.clone(), one.choices.clone()].concat(), ..one.clone() };
    assert_eq!(encode_answer(&two, &STAMP), encode_answer(&one, &STAMP));
    let none = Answer { choices: Vec::new(), ..one };
    assert_eq!(parsed(&encode_answer(&none, &STAMP))["content"], json!([]));
}

proptest! {
    #[test]
    fn a_request_comes_back_as_it_was(request in any_request()) {
        let (body, lost) = encoded(&request);
        prop_assert!(lost.is_empty(), "{:?}", lost);
        serde_json::from_slice::<Value>(&body).unwrap();
        let (again, lost) = decode_request(&body).unwrap();
        prop_assert!(lost.is_empty(), "{:?}", lost);
        prop_assert_eq!(again, request);
    }

    #[test]
    fn an_answer_comes_back_as_it_was(answer in any_answer()) {
        let body = encode_answer(&answer, &STAMP);
        serde_json::from_slice::<Value>(&body).unwrap();
        prop_assert_eq!(decode_answer(&body, &STAMP).unwrap(), answer);
    }

    #[test]
    fn nothing_that_is_read_as_a_request_panics(
        names in prop::collection::vec(prop::sample::select(vec![
            "messages", "system", "tools", "tool_choice", "thinking", "output_config", "metadata", "max_tokens",
            "cache_control", "stop_sequences", "stream", "temperature", "x",
        ]), 0..4),
        values in prop::collection::vec(files::any_json(), 4),
    ) {
        let members = names.into_iter().map(String::from).zip(values);
        let body = Value::Object(members.collect()).to_string();
        // Whatever it is called, it is within the body.
        if let Err(fault) = decode_request(body.as_bytes()) {
            prop_assert!(fault.field.is_some(), "{}", fault.message);
        }
    }

    #[test]
    fn a_request_cut_anywhere_is_no_request(at in 0..1600_usize) {
        let sample = files::anthropic("messages.request.json");
        let at = at.min(sample.len() - 3);
        prop_assert!(decode_request(&sample[..at]).is_err());
        prop_assert!(decode_answer(&sample[..at], &STAMP).is_err());
    }
}
