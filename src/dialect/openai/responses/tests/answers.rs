//! Plain answers.

use super::*;
use crate::dialect::neutral::{Answer, Choice, Content, Finish, Part, Raw, ToolCall};
use crate::dialect::samples;
use crate::units::Tokens;
use crate::usage::Usage;

pub(super) fn answer(parts: Vec<Content<'static>>, finish: Finish) -> Answer<'static> {
    let parts = parts.into_iter().map(Part::of).collect();
    let choices = vec![Choice { parts, finish, stop: None }];
    Answer { id: text("x"), model: text("gpt-4.1-2025-04-14"), choices, usage: None }
}

pub(super) fn encoded(answer: &Answer<'_>) -> Json {
    serde_json::from_slice(&encode_answer(answer, &stamp())).unwrap()
}

#[test]
fn a_text_is_the_sample() {
    let sample = samples::openai("responses.response.json");
    let sample = String::from_utf8(sample).unwrap().replace("\"msg_S1\"", "\"msg_S1_0\"");
    let usage = Usage { input: Tokens(30), output: Tokens(6), ..Usage::default() };
    let says = answer(vec![Content::Text(text("Yes, 2.4 metres."))], Finish::Stop);
    let ours = encoded(&Answer { usage: Some(usage), ..says });
    assert_eq!(ours, serde_json::from_str::<Json>(&sample).unwrap());
}

#[test]
fn texts_in_a_row_are_one_and_others_stay_apart() {
    let call = ToolCall {
        id: text("call_a"),
        name: text("f"),
        arguments: Raw::word(r#"{ "a": "\"\\" }"#),
        signature: None,
    };
    let says = |what: &str| Content::Text(text(what));
    let thinks = |what: &str| Content::Reasoning { text: text(what), signature: None };
    let parts =
        vec![thinks("a"), thinks("b"), says("c"), says(""), says("d"), Content::ToolCall(call), says("e")];
    let ours = encoded(&answer(parts, Finish::ToolCalls));
    let output = ours["output"].as_array().unwrap();
    assert_eq!(output.len(), 4);
    assert_eq!(output[0]["summary"], json!([{ "type": "summary_text", "text": "ab" }]));
    assert_eq!(output[1]["content"][0]["text"], "cd");
    let call = json!({
        "id": "fc_S1_2", "type": "function_call", "status": "completed", "call_id": "call_a", "name": "f",
        "arguments": r#"{ "a": "\"\\" }"#,
    });
    assert_eq!(output[2], call);
    assert_eq!(output[3]["content"][0]["text"], "e");
}

#[test]
fn an_answer_without_choices_or_words_is_a_response_without_items() {
    for choices in [vec![], answer(vec![], Finish::Filtered).choices] {
        let ours = encoded(&Answer { choices, ..answer(vec![], Finish::Stop) });
        assert_eq!(ours["output"], json!([]));
    }
    let filtered = encoded(&answer(vec![], Finish::Filtered));
    assert_eq!(filtered["incomplete_details"]["reason"], "content_filter");
}

#[test]
fn an_answer_is_as_long_as_it_is() {
    let long = "x".repeat(stream::MOST_KEPT + 1);
    let ours = encoded(&answer(vec![Content::Text(text(&long))], Finish::Stop));
    assert_eq!(ours["output"][0]["content"][0]["text"], long);
}
