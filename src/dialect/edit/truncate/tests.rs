use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::dialect::edit::{Cap, Edits, apply, read};
use crate::dialect::json::{Kind, document};
use crate::dialect::provider::MaxTokensField;
use crate::dialect::samples;
use crate::dialect::translate::Form;
use crate::units::Tokens;

mod conversations;
mod properties;

/// Where the conversation stands.
fn list_of(api: Api) -> &'static str {
    match Form::of(api) {
        Some(Form::Responses) => "input",
        Some(Form::Generate) => "contents",
        Some(Form::Chat | Form::Messages) | None => "messages",
    }
}

fn body(api: Api, messages: &Json) -> String {
    let list = list_of(api);
    format!(r#"{{"model":"m", "{list}" : {messages} ,"temperature":1.0}}"#)
}

fn read_facts(api: Api, body: &str) -> RequestFacts {
    let mut facts = read(api, body.as_bytes()).unwrap();
    if facts.turns.is_none() && matches!(api, Api::Messages | Api::Generate) {
        let list = document(body.as_bytes()).unwrap().member(list_of(api));
        facts.turns = list.filter(|list| list.kind == Kind::Array).map(|list| list.range);
    }
    facts
}

/// The body without what is cut of it; none where so much cannot be cut.
fn without(api: Api, body: &str, bytes: usize) -> Option<(Truncation, String)> {
    let facts = read_facts(api, body);
    let cut = oldest(api, body.as_bytes(), &facts, bytes)?;
    let body = Bytes::from(body.to_owned());
    let edited = apply(api, &body, &facts, &Edits { cut: Some(&cut), ..Edits::default() });
    assert!(cut.bytes >= bytes);
    assert_eq!(edited.len() + cut.bytes, body.len());
    Some((cut, String::from_utf8(edited.to_vec()).unwrap()))
}

/// The places of the messages that stay when so many bytes have to go.
fn kept(api: Api, messages: &[Json], bytes: usize) -> Option<Vec<usize>> {
    let numbered: Vec<_> = messages
        .iter()
        .enumerate()
        .map(|(number, message)| {
            let mut message = message.clone();
            message["n"] = json!(number);
            message
        })
        .collect();
    let (cut, left) = without(api, &body(api, &json!(numbered)), bytes)?;
    let left: Json = serde_json::from_str(&left).unwrap();
    let left = left[list_of(api)].as_array().unwrap();
    assert_eq!(left.len() + cut.messages as usize, messages.len());
    Some(left.iter().map(|message| message["n"].as_u64().unwrap() as usize).collect())
}

fn says(role: &str) -> Json {
    json!({ "role": role, "content": "x" })
}

fn calls(ids: &[&str]) -> Json {
    let calls: Vec<_> = ids.iter().map(|id| json!({ "id": id, "type": "function" })).collect();
    json!({ "role": "assistant", "content": null, "tool_calls": calls })
}

fn result(id: &str) -> Json {
    json!({ "role": "tool", "tool_call_id": id, "content": "x" })
}

fn item(kind: &str, id: &str) -> Json {
    json!({ "type": kind, "call_id": id })
}

#[test]
fn the_oldest_turns_go_and_the_bytes_around_them_stay() {
    let body = r#"{"messages": [ {"role":"system","content":"s"},
        {"role":"user","content":"1"} , {"role":"assistant","content":"2"},
        {"role":"user","content":"3"},{"role":"assistant","content":"4"},
        {"role":"user","content":"5"} ], "model":"m" }"#;
    let (cut, left) = without(Api::Chat, body, 1).unwrap();
    let expected = r#"{"messages": [ {"role":"system","content":"s"},
        {"role":"user","content":"3"},{"role":"assistant","content":"4"},
        {"role":"user","content":"5"} ], "model":"m" }"#;
    assert_eq!((left.as_str(), cut.messages, cut.ranges.len()), (expected, 2, 1));
    let (cut, left) = without(Api::Chat, body, cut.bytes + 1).unwrap();
    let expected = r#"{"messages": [ {"role":"system","content":"s"},
        {"role":"user","content":"5"} ], "model":"m" }"#;
    assert_eq!((left.as_str(), cut.messages), (expected, 4));
    assert!(without(Api::Chat, body, cut.bytes + 1).is_none(), "the last turn stays");
}

#[test]
fn where_nothing_has_to_go_nothing_does() {
    for api in [Api::Chat, Api::Responses] {
        let body = body(api, &json!([says("user"), says("user")]));
        let (cut, left) = without(api, &body, 0).unwrap();
        assert_eq!((cut.messages, cut.bytes, cut.ranges.len(), left), (0, 0, 0, body));
    }
}

#[test]
fn instructions_stay_wherever_they_stand() {
    let messages = [
        says("developer"),
        says("user"),
        says("system"),
        says("assistant"),
        says("system"),
        says("user"),
        says("system"),
    ];
    for api in [Api::Chat, Api::Responses] {
        assert_eq!(kept(api, &messages, 1).unwrap(), [0, 2, 4, 5, 6]);
        let (cut, _) = without(api, &body(api, &json!(messages)), 1).unwrap();
        assert_eq!((cut.messages, cut.ranges.len()), (2, 2));
    }
}

#[test]
fn what_stands_before_the_first_user_message_goes_first() {
    let messages = [says("system"), says("assistant"), says("user"), says("assistant"), says("user")];
    assert_eq!(kept(Api::Chat, &messages, 1).unwrap(), [0, 2, 3, 4]);
    assert_eq!(kept(Api::Chat, &messages, 60).unwrap(), [0, 4]);
}

#[test]
fn calls_and_results_go_together_within_a_turn_and_across_turns() {
    let within =
        [says("user"), calls(&["a", "b"]), result("b"), result("a"), says("assistant"), says("user")];
    assert_eq!(kept(Api::Chat, &within, 1).unwrap(), [5]);
    // The user spoke before the tool had answered.
    let across = [says("user"), calls(&["a"]), says("user"), result("a"), says("assistant"), says("user")];
    assert_eq!(kept(Api::Chat, &across, 1).unwrap(), [5]);
    let last = [says("user"), says("user"), calls(&["a"]), says("user"), result("a")];
    assert_eq!(kept(Api::Chat, &last, 1).unwrap(), [1, 2, 3, 4]);
    assert_eq!(kept(Api::Chat, &last, 100), None, "the last turn needs the call");
}

#[test]
fn an_id_that_is_used_again_is_that_of_the_last_call() {
    let again =
        [says("user"), calls(&["0"]), result("0"), says("user"), calls(&["0"]), result("0"), says("user")];
    assert_eq!(kept(Api::Chat, &again, 1).unwrap(), [3, 4, 5, 6]);
    let escaped = r#"{"model":"m","messages":[{"role":"user"},{"role":"assistant","tool_calls":[{"id":"a\u0062"}]},
        {"role":"user"},{"r\u006fle":"t\u006fol","tool_call_id":"\u0061b"},{"role":"user"}]}"#;
    let (cut, _) = without(Api::Chat, escaped, 1).unwrap();
    assert_eq!(cut.messages, 4);
}

#[test]
fn the_older_functions_have_no_ids_and_belong_to_the_last_call() {
    let called = json!({ "role": "assistant", "function_call": { "name": "f", "arguments": "{}" } });
    let answered = json!({ "role": "function", "name": "f", "content": "x" });
    let messages = [says("user"), called, says("user"), answered, says("user")];
    assert_eq!(kept(Api::Chat, &messages, 1).unwrap(), [4]);
}

#[test]
fn of_a_response_every_kind_of_call_has_its_output() {
    let local = (
        json!({ "type": "local_shell_call", "id": "l", "call_id": "a" }),
        json!({ "type": "local_shell_call_output", "id": "a" }),
    );
    let approval = (
        json!({ "type": "mcp_approval_request", "id": "a" }),
        json!({ "type": "mcp_approval_response", "approval_request_id": "a", "approve": true }),
    );
    let pairs = [
        (item("function_call", "a"), item("function_call_output", "a")),
        (item("custom_tool_call", "a"), item("custom_tool_call_output", "a")),
        (item("computer_call", "a"), item("computer_call_output", "a")),
        (item("tool_search_call", "a"), item("tool_search_output", "a")),
        local,
        approval,
    ];
    for (call, output) in pairs {
        let across = [says("user"), call.clone(), says("user"), output.clone(), says("user")];
        assert_eq!(kept(Api::Responses, &across, 1).unwrap(), [4], "{call}");
        let other = item("function_call", "z");
        let apart = [says("user"), call.clone(), says("user"), other, output.clone(), says("user")];
        assert_eq!(kept(Api::Responses, &apart, 1).unwrap(), [5], "{call}");
        let within = [says("user"), call, output, says("user"), says("user")];
        assert_eq!(kept(Api::Responses, &within, 1).unwrap(), [3, 4]);
    }
    // Its call is kept by the provider.
    let alone = [item("function_call_output", "a"), says("user"), says("user")];
    assert_eq!(kept(Api::Responses, &alone, 1).unwrap(), [1, 2]);
}

#[test]
fn reasoning_goes_with_what_follows_it() {
    let reasoning = || json!({ "type": "reasoning", "summary": [] });
    let within = [says("user"), reasoning(), reasoning(), says("assistant"), says("user")];
    assert_eq!(kept(Api::Responses, &within, 1).unwrap(), [4]);
    let between =
        [says("user"), reasoning(), says("user"), reasoning(), says("system"), reasoning(), says("user")];
    assert_eq!(kept(Api::Responses, &between, 1).unwrap(), [1, 2, 3, 4, 5, 6]);
    let (cut, _) = without(Api::Responses, &body(Api::Responses, &json!(between)), 40).unwrap();
    assert_eq!(cut.messages, 3);
}

#[test]
fn of_anthropic_the_user_brings_the_results_of_tools() {
    let calls = |ids: &[&str]| {
        let text = [json!({ "type": "text", "text": "x" })].into_iter();
        let calls = ids.iter().map(|id| json!({ "type": "tool_use", "id": id, "name": "f", "input": {} }));
        json!({ "role": "assistant", "content": text.chain(calls).collect::<Vec<_>>() })
    };
    let results = |ids: &[&str]| {
        let results =
            ids.iter().map(|id| json!({ "type": "tool_result", "tool_use_id": id, "content": "x" }));
        let text = [json!({ "type": "text", "text": "x" })].into_iter();
        json!({ "role": "user", "content": results.chain(text).collect::<Vec<_>>() })
    };
    let within = [says("user"), calls(&["a", "b"]), results(&["b", "a"]), says("assistant"), says("user")];
    assert_eq!(kept(Api::Messages, &within, 1).unwrap(), [4]);
    let open = [says("user"), says("user"), calls(&["a"]), results(&["a"])];
    assert_eq!(kept(Api::Messages, &open, 1).unwrap(), [1, 2, 3]);
    assert_eq!(kept(Api::Messages, &open, 100), None, "the last turn needs the call");
    // One message answers calls of two turns.
    let across =
        [says("user"), calls(&["a"]), says("user"), calls(&["b"]), results(&["b", "a"]), says("user")];
    assert_eq!(kept(Api::Messages, &across, 1).unwrap(), [5]);
    let text = json!({ "role": "user", "content": [{ "type": "text", "text": "tool_result" }] });
    let system = [text.clone(), says("system"), says("assistant"), text];
    assert_eq!(kept(Api::Messages, &system, 1).unwrap(), [1, 3]);
}

#[test]
fn of_gemini_calls_are_answered_with_and_without_ids() {
    let content = |role: &str, parts: Json| json!({ "role": role, "parts": parts });
    let user = || content("user", json!([{ "text": "x" }]));
    let pairs = [
        (json!({ "functionCall": { "name": "f" } }), json!({ "functionResponse": { "name": "f" } })),
        (json!({ "function_call": { "name": "f" } }), json!({ "function_response": { "name": "f" } })),
        (json!({ "functionCall": { "id": "a" } }), json!({ "functionResponse": { "id": "a" } })),
    ];
    for (call, response) in pairs {
        for role in ["user", "function"] {
            let call = content("model", json!([{ "text": "x" }, call, call]));
            let response = content(role, json!([response, response]));
            let within = [user(), call.clone(), response.clone(), content("model", json!([])), user()];
            assert_eq!(kept(Api::Generate, &within, 1).unwrap(), [4]);
            let across = [user(), call.clone(), user(), response.clone(), user()];
            assert_eq!(kept(Api::Generate, &across, 1).unwrap(), [4]);
            let last = [user(), user(), call, response];
            assert_eq!(kept(Api::Generate, &last, 1).unwrap(), [1, 2, 3]);
        }
    }
    let nameless = json!({ "parts": [{ "text": "x" }] });
    let plain = [nameless.clone(), content("model", json!([{ "text": "x" }])), nameless];
    assert_eq!(kept(Api::Generate, &plain, 1).unwrap(), [2]);
}

#[test]
fn what_has_no_turns_is_not_cut() {
    for (api, body) in [
        (Api::Chat, r#"{"model":"m"}"#),
        (Api::Chat, r#"{"model":"m","messages":null}"#),
        (Api::Chat, r#"{"model":"m","messages":[]}"#),
        (Api::Chat, r#"{"model":"m","messages":[1,"x",null,[]]}"#),
        (Api::Chat, r#"{"model":"m","messages":[{"role":"user"}]}"#),
        (Api::Chat, r#"{"model":"m","messages":[{"role":"assistant"},{"role":"assistant"}]}"#),
        (Api::Chat, r#"{"model":"m","input":[{"role":"user"},{"role":"user"}]}"#),
        (Api::Responses, r#"{"model":"m","input":"a text"}"#),
        (Api::Responses, r#"{"model":"m","messages":[{"role":"user"},{"role":"user"}]}"#),
        (Api::Messages, r#"{"model":"m","messages":[{"role":"user"},{"role":"assistant"}]}"#),
        (Api::Messages, r#"{"model":"m","messages":[7,{"role":7,"content":7}]}"#),
        (Api::Generate, r#"{"model":"m","contents":[{"parts":[]}]}"#),
        (Api::Generate, r#"{"model":"m","contents":"a text"}"#),
        (Api::Completions, r#"{"model":"m","messages":[{"role":"user"},{"role":"user"}]}"#),
        (Api::Embeddings, r#"{"model":"m","input":["a","b"]}"#),
    ] {
        assert_eq!(without(api, body, 1), None, "{body}");
    }
    let sample = samples::openai("chat.request.json");
    assert_eq!(without(Api::Chat, std::str::from_utf8(&sample).unwrap(), 1), None, "it has one turn");
}

#[test]
fn a_body_that_two_readers_could_see_differently_is_refused() {
    use crate::dialect::edit::BodyFault;
    let fault = |api, body: &str| read(api, body.as_bytes()).unwrap_err();
    let twice = r#"{"model":"m","messages":[],"messages":[]}"#;
    assert_eq!(fault(Api::Chat, twice), BodyFault::DuplicateKey("messages"));
    assert_eq!(
        fault(Api::Responses, r#"{"model":"m","INPUT":[]}"#),
        BodyFault::CaseVariant { meant: "input" }
    );
    assert!(read(Api::Embeddings, br#"{"model":"m","Input":[],"Messages":[]}"#).is_ok());
}

#[test]
fn more_messages_or_calls_than_can_be_told_apart_are_not_cut() {
    let many = |count: usize| body(Api::Chat, &json!(vec![json!({ "role": "user" }); count]));
    assert!(without(Api::Chat, &many(MOST), 1).is_some());
    assert!(without(Api::Chat, &many(MOST + 1), 1).is_none());
    let calls = |count: usize| {
        let ids: Vec<_> = (0..count).map(|id| json!({ "id": id.to_string() })).collect();
        body(Api::Chat, &json!([says("user"), { "role": "assistant", "tool_calls": ids }, says("user")]))
    };
    let blocks = |count: usize| {
        let call = |id: usize| json!({ "type": "tool_use", "id": id.to_string() });
        let blocks: Vec<_> = (0..count).map(call).collect();
        body(Api::Messages, &json!([says("user"), { "role": "assistant", "content": blocks }, says("user")]))
    };
    assert!(without(Api::Messages, &blocks(MOST), 1).is_some());
    assert!(without(Api::Messages, &blocks(MOST + 1), 1).is_none());
    assert!(without(Api::Chat, &calls(MOST), 1).is_some());
    assert!(without(Api::Chat, &calls(MOST + 1), 1).is_none());
}

#[test]
fn a_cut_of_another_body_does_no_harm() {
    let body = body(Api::Chat, &json!([says("user"), says("user")]));
    let facts = read(Api::Chat, body.as_bytes()).unwrap();
    let cut = oldest(Api::Chat, body.as_bytes(), &facts, 1).unwrap();
    for other in ["", "{}", r#"{"model":"m"}"#] {
        assert_eq!(oldest(Api::Chat, other.as_bytes(), &facts, 1), None);
        let other = Bytes::from_static(other.as_bytes());
        let edits = Edits { model: Some("b"), cut: Some(&cut), ..Edits::default() };
        assert_eq!(apply(Api::Chat, &other, &facts, &edits), other);
    }
}
