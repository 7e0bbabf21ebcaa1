//! Chat, plain and streamed; what a call costs is the same in both.

use std::num::NonZeroU32;

use super::*;

const CHAT: &str = "/v1/chat/completions";

fn usage_keys() -> Value {
    keys(&json!({
        "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 1,
        "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }))
}

fn streamed(more: &Value) -> Value {
    let mut body = chat(more);
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    body
}

/// The pieces of one choice of a chat stream.
fn spoken(chunks: &[Value], index: u64) -> String {
    let choices = chunks.iter().filter_map(|chunk| chunk["choices"].get(0));
    let mine = choices.filter(|choice| choice["index"] == index);
    mine.filter_map(|choice| choice["delta"]["content"].as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_completion_has_the_keys_of_the_providers() {
    let answer = provider(says("Yes, 2.4 metres.")).post(CHAT, &chat(&json!({}))).await;
    let body = answer.json();
    let expected = json!({
        "id": null, "object": null, "created": null, "model": null,
        "choices": [{
            "index": null,
            "message": { "role": null, "content": null, "refusal": null, "annotations": [] },
            "logprobs": null, "finish_reason": null,
        }],
        "usage": usage_keys(), "service_tier": null, "system_fingerprint": null,
    });
    assert_eq!(keys(&body), expected);
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["created"], AT);
    assert_eq!(body["choices"][0]["message"]["content"], "Yes, 2.4 metres.");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let usage = &body["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(4), &json!(3)));
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.header("x-request-id").starts_with("req-"));
    assert_eq!(answer.header("openai-version"), "2020-10-01");
    assert_eq!(answer.header("openai-processing-ms"), "0");
    assert_eq!(answer.header("x-ratelimit-remaining-tokens"), "1999993");
    assert_eq!(answer.header("content-length"), answer.text().len().to_string());
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_a_role_chunk_one_per_word_a_finish_a_usage_and_done() {
    let provider = provider(says("Yes, 2.4 metres."));
    let answer = provider.post(CHAT, &streamed(&json!({}))).await;
    assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8");
    assert!(answer.is_done() && answer.clean);
    let chunks = answer.chunks();
    assert_eq!(chunks.len(), 1 + 3 + 1 + 1);
    let chunk = |delta: Value| {
        json!({
            "id": null, "object": null, "created": null, "model": null, "usage": null,
            "choices": [{ "index": null, "delta": delta, "finish_reason": null }],
        })
    };
    let role = json!({ "role": null, "content": null, "refusal": null });
    assert_eq!(keys(&chunks[0]), chunk(role));
    assert_eq!(keys(&chunks[1]), chunk(json!({ "content": null })));
    assert_eq!(keys(&chunks[4]), chunk(json!({})));
    assert_eq!(chunks[4]["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunks[5]["choices"], json!([]));
    assert_eq!(keys(&chunks[5]["usage"]), usage_keys());
    assert_eq!(spoken(&chunks, 0), "Yes, 2.4 metres.");
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"] && chunk["created"] == AT));

    let plain = provider.post(CHAT, &chat(&json!({}))).await.json();
    assert_eq!(plain["usage"], chunks[5]["usage"], "a call costs the same in both forms");
}

#[tokio::test(start_paused = true)]
async fn without_being_asked_no_chunk_speaks_of_usage() {
    let answer = provider(says("a b")).post(CHAT, &chat(&json!({ "stream": true }))).await;
    assert!(answer.is_done());
    assert!(!answer.text().contains("usage"));
    assert_eq!(answer.chunks().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_callers_bound_cuts_the_answer() {
    let provider = provider(says("one two three four"));
    for name in ["max_tokens", "max_completion_tokens"] {
        let body = provider.post(CHAT, &chat(&json!({ name: 2 }))).await.json();
        assert_eq!(body["choices"][0]["message"]["content"], "one two");
        assert_eq!(body["choices"][0]["finish_reason"], "length");
        assert_eq!(body["usage"]["completion_tokens"], 2);
        let chunks = provider.post(CHAT, &streamed(&json!({ name: 2 }))).await.chunks();
        assert_eq!(spoken(&chunks, 0), "one two");
        assert_eq!(chunks[3]["choices"][0]["finish_reason"], "length");
    }
}

#[tokio::test(start_paused = true)]
async fn several_answers_interleave_and_all_cost() {
    let provider = provider(says("a b"));
    let chunks = provider.post(CHAT, &streamed(&json!({ "n": 3 }))).await.chunks();
    assert_eq!([0, 1, 2].map(|index| spoken(&chunks, index)), ["a b", "a b", "a b"]);
    assert_eq!(chunks.last().unwrap()["usage"]["completion_tokens"], 6);
    let body = provider.post(CHAT, &chat(&json!({ "n": 3 }))).await.json();
    assert_eq!(body["choices"][2]["index"], 2);
    assert_eq!(body["usage"]["completion_tokens"], 6);
}

fn tools(choice: &Value) -> Value {
    json!({
        "tools": [{ "type": "function", "function": {
            "name": "tide_level",
            "parameters": { "type": "object", "properties": { "harbour": { "type": "string" } } },
        } }],
        "tool_choice": choice,
    })
}

#[tokio::test(start_paused = true)]
async fn a_required_tool_is_called_and_its_result_answered_with_text() {
    let provider = provider(says("done"));
    let body = provider.post(CHAT, &chat(&tools(&json!("required")))).await.json();
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(keys(call), keys(&json!({ "id": 1, "type": 1, "function": { "name": 1, "arguments": 1 } })));
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({ "harbour": "some harbour" }));

    let mut after = tools(&json!("auto"));
    after["messages"] = json!([
        { "role": "user", "content": "call tide_level" },
        { "role": "assistant", "content": null, "tool_calls": [call] },
        { "role": "tool", "tool_call_id": call["id"], "content": "{\"metres\":2.4}" },
    ]);
    let body = provider.post(CHAT, &chat(&after)).await.json();
    assert_eq!(body["choices"][0]["message"]["content"], "done");
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_streams_its_arguments_in_several_pieces() {
    let provider = provider(says("done"));
    let named = json!({ "type": "function", "function": { "name": "tide_level" } });
    let chunks = provider.post(CHAT, &streamed(&tools(&named))).await.chunks();
    let calls: Vec<_> =
        chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0")).collect();
    assert!(calls.len() > 2);
    assert_eq!(calls[0]["function"], json!({ "name": "tide_level", "arguments": "" }));
    assert!(calls[0]["id"].is_string() && calls[1].get("id").is_none());
    let arguments: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    let plain = provider.post(CHAT, &chat(&tools(&named))).await.json();
    assert_eq!(plain["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], arguments);
    assert_eq!(plain["usage"], chunks.last().unwrap()["usage"]);
}

#[tokio::test(start_paused = true)]
async fn a_tool_is_called_when_the_prompt_names_it_and_may_be_forbidden() {
    let provider = provider(says("done"));
    let ask = |choice, text| {
        let mut body = chat(&tools(&choice));
        body["messages"] = json!([{ "role": "user", "content": [{ "type": "text", "text": text }] }]);
        body
    };
    let finish = |answer: Answer| answer.json()["choices"][0]["finish_reason"].clone();
    let named = "please use tide_level now";
    assert_eq!(finish(provider.post(CHAT, &ask(json!("auto"), named)).await), "tool_calls");
    assert_eq!(finish(provider.post(CHAT, &ask(json!("auto"), "hello")).await), "stop");
    assert_eq!(finish(provider.post(CHAT, &ask(json!("none"), named)).await), "stop");
}

#[tokio::test(start_paused = true)]
async fn all_tools_that_the_prompt_names_are_called_at_once_unless_only_one_may_be() {
    let provider = provider(says("done"));
    let tool = |name: &str| json!({ "type": "function", "function": { "name": name } });
    let mut body = chat(&json!({ "tools": [tool("ebb"), tool("other"), tool("flow")] }));
    body["messages"] = json!([{ "role": "user", "content": "ebb and flow" }]);
    let whole = provider.post(CHAT, &body).await.json();
    let calls = whole["choices"][0]["message"]["tool_calls"].as_array().unwrap();
    let names: Vec<_> = calls.iter().map(|call| call["function"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ebb", "flow"]);
    assert_ne!(calls[0]["id"], calls[1]["id"]);

    body["stream"] = json!(true);
    let chunks = provider.post(CHAT, &body).await.chunks();
    let deltas: Vec<_> =
        chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0")).collect();
    let begun: Vec<_> = deltas
        .iter()
        .filter(|delta| delta["id"].is_string())
        .map(|delta| (delta["index"].as_u64().unwrap(), delta["function"]["name"].as_str().unwrap()))
        .collect();
    assert_eq!(begun, [(0, "ebb"), (1, "flow")]);

    body["parallel_tool_calls"] = json!(false);
    body["stream"] = json!(false);
    let whole = provider.post(CHAT, &body).await.json();
    assert_eq!(whole["choices"][0]["message"]["tool_calls"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_text_before_it() {
    let provider = provider(says("one two three"));
    for stop in [json!("three"), json!(["four", "three"])] {
        let whole = provider.post(CHAT, &chat(&json!({ "stop": stop }))).await.json();
        assert_eq!(whole["choices"][0]["message"]["content"], "one two ");
        assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    }
}

#[tokio::test(start_paused = true)]
async fn latency_and_words_take_the_scripts_time() {
    let script = Script {
        latency: Duration::from_millis(20),
        tokens_per_second: NonZeroU32::new(100),
        ..says("a b c d e")
    };
    let provider = provider(script);
    let begun = provider.mock.0.clock.now();
    let response = provider.try_send(post(CHAT, &streamed(&json!({})))).await.unwrap();
    assert_eq!(begun.elapsed().as_millis(), 20);
    let answer = Answer::read(response).await;
    assert_eq!(begun.elapsed().as_millis(), 20 + 5 * 10);
    assert_eq!(answer.header("openai-processing-ms"), "20");
}

#[tokio::test(start_paused = true)]
async fn http2_by_prior_knowledge_is_served_too() {
    let provider = provider(says("a b"));
    let mut sender = connect_h2(&provider).await;
    let mut request = post("http://mock/v1/chat/completions", &streamed(&json!({})));
    request.headers_mut().remove("host");
    let answer = Answer::read(sender.send_request(request).await.unwrap()).await;
    assert!(answer.is_done() && answer.clean);
    assert_eq!(spoken(&answer.chunks(), 0), "a b");
}

#[tokio::test(start_paused = true)]
async fn one_connection_serves_many_calls() {
    let provider = provider(says("a b"));
    let mut sender = provider.connect().await;
    for _ in 0..3 {
        sender.ready().await.unwrap();
        let answer =
            Answer::read(sender.send_request(post(CHAT, &streamed(&json!({})))).await.unwrap()).await;
        assert!(answer.is_done());
    }
}

#[tokio::test(start_paused = true)]
async fn tools_and_their_results_are_refused_where_they_do_not_fit() {
    let provider = provider(says("done"));
    let call = |arguments: Value| {
        let function = json!({ "name": "f", "arguments": arguments });
        json!({ "role": "assistant", "tool_calls": [{ "id": "a", "type": "function", "function": function }] })
    };
    let result = |id: &str| json!({ "role": "tool", "tool_call_id": id, "content": "x" });
    let said = |messages: Value| json!({ "messages": messages });
    for (more, status, param) in [
        (said(json!([call(json!("{}")), result("a")])), 200, ""),
        (said(json!([call(json!("not JSON")), result("a")])), 200, ""),
        (said(json!([call(json!("{}")), result("b")])), 400, "messages[1].tool_call_id"),
        (said(json!([result("a"), call(json!("{}"))])), 400, "messages[0].tool_call_id"),
        (said(json!([{ "role": "tool", "content": "x" }])), 400, "messages[0]"),
        (said(json!([call(json!({}))])), 400, "messages[0].tool_calls[0].function.arguments"),
        (json!({ "parallel_tool_calls": false }), 400, "parallel_tool_calls"),
        (with(tools(&json!("auto")), &json!({ "parallel_tool_calls": false })), 200, ""),
        (json!({ "stream_options": { "include_usage": true } }), 400, "stream_options"),
    ] {
        let answer = provider.post(CHAT, &chat(&more)).await;
        assert_eq!(answer.status, status, "{more}");
        if status == 400 {
            assert_eq!(answer.json()["error"]["param"], param, "{more}");
        }
    }
}
