//! Each API, plain and streamed.

use std::num::NonZeroU32;

use super::*;

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

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
    mine.filter_map(|choice| choice["delta"]["content"].as_str())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_completion_has_the_keys_of_the_providers() {
    let answer = provider(says("Yes, 2.4 metres."))
        .post(CHAT, &chat(&json!({})))
        .await;
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
    assert_eq!(
        (&usage["prompt_tokens"], &usage["completion_tokens"]),
        (&json!(4), &json!(3))
    );
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
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["id"] == chunks[0]["id"] && chunk["created"] == AT)
    );

    let plain = provider.post(CHAT, &chat(&json!({}))).await.json();
    assert_eq!(
        plain["usage"], chunks[5]["usage"],
        "a call costs the same in both forms"
    );
}

#[tokio::test(start_paused = true)]
async fn without_being_asked_no_chunk_speaks_of_usage() {
    let answer = provider(says("a b"))
        .post(CHAT, &chat(&json!({ "stream": true })))
        .await;
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
    assert_eq!(
        [0, 1, 2].map(|index| spoken(&chunks, index)),
        ["a b", "a b", "a b"]
    );
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
    let body = provider
        .post(CHAT, &chat(&tools(&json!("required"))))
        .await
        .json();
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(
        keys(call),
        keys(&json!({ "id": 1, "type": 1, "function": { "name": 1, "arguments": 1 } }))
    );
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
    let calls: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0"))
        .collect();
    assert!(calls.len() > 2);
    assert_eq!(
        calls[0]["function"],
        json!({ "name": "tide_level", "arguments": "" })
    );
    assert!(calls[0]["id"].is_string() && calls[1].get("id").is_none());
    let arguments: String = calls
        .iter()
        .filter_map(|call| call["function"]["arguments"].as_str())
        .collect();
    let plain = provider.post(CHAT, &chat(&tools(&named))).await.json();
    assert_eq!(
        plain["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"],
        arguments
    );
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
    assert_eq!(
        finish(provider.post(CHAT, &ask(json!("auto"), named)).await),
        "tool_calls"
    );
    assert_eq!(
        finish(provider.post(CHAT, &ask(json!("auto"), "hello")).await),
        "stop"
    );
    assert_eq!(
        finish(provider.post(CHAT, &ask(json!("none"), named)).await),
        "stop"
    );
}

#[tokio::test(start_paused = true)]
async fn completions_answer_each_prompt() {
    let provider = provider(says("x y"));
    let ask = json!({ "model": "m", "prompt": ["a b", "c"], "max_tokens": 1 });
    let body = provider.post("/v1/completions", &ask).await.json();
    assert_eq!(body["object"], "text_completion");
    let choice = json!({ "index": 1, "text": "x", "logprobs": null, "finish_reason": "length" });
    assert_eq!(body["choices"][1], choice);
    assert_eq!(
        (
            &body["usage"]["prompt_tokens"],
            &body["usage"]["completion_tokens"]
        ),
        (&json!(3), &json!(2))
    );

    let ask =
        json!({ "model": "m", "prompt": "a", "stream": true, "stream_options": { "include_usage": true } });
    let answer = provider.post("/v1/completions", &ask).await;
    let chunks = answer.chunks();
    let text: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["text"].as_str())
        .collect();
    assert_eq!((text.as_str(), answer.is_done()), ("x y", true));
    assert_eq!(
        (chunks.len(), &chunks[3]["usage"]["total_tokens"]),
        (4, &json!(3))
    );
    assert_eq!(chunks[0]["usage"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn embeddings_come_as_floats_or_as_base64_of_the_same_numbers() {
    let provider = provider(Script::default());
    let mut ask = json!({ "model": "e", "input": ["tide", "ebb and flow"], "dimensions": 4 });
    let floats = provider.post("/v1/embeddings", &ask).await.json();
    let expected = json!({
        "object": null, "model": null, "usage": { "prompt_tokens": null, "total_tokens": null },
        "data": [{ "object": null, "index": null, "embedding": [null] }],
    });
    assert_eq!(keys(&floats), expected);
    assert_eq!(floats["data"][1]["embedding"].as_array().unwrap().len(), 4);
    assert_eq!(floats["usage"]["prompt_tokens"], 4);

    ask["encoding_format"] = json!("base64");
    let base64 = provider.post("/v1/embeddings", &ask).await.json();
    let text = base64["data"][0]["embedding"].as_str().unwrap();
    assert_eq!(text.len(), 24);
    let numbers = floats["data"][0]["embedding"].as_array().unwrap();
    let first = f32::from_le_bytes(decode(text)[..4].try_into().unwrap());
    assert_eq!(numbers[0].as_f64().unwrap() as f32, first);
}

fn decode(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').map(digit).collect();
    let bits = digits
        .iter()
        .flat_map(|digit| (0..6).rev().map(move |bit| (digit >> bit) & 1));
    let bits: Vec<u8> = bits.collect();
    bits.chunks_exact(8)
        .map(|byte| byte.iter().fold(0, |byte, bit| (byte << 1) | bit))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn token_lists_and_the_usual_length_are_taken() {
    let ask = json!({ "model": "e", "input": [[1, 2, 3], [4]] });
    let body = provider(Script::default())
        .post("/v1/embeddings", &ask)
        .await
        .json();
    assert_eq!(body["data"][1]["embedding"].as_array().unwrap().len(), 1_536);
    assert_eq!(body["usage"]["total_tokens"], 4);
}

fn response_keys() -> Value {
    json!({
        "id": null, "object": null, "created_at": null, "status": null, "error": null,
        "incomplete_details": null, "instructions": null, "model": null,
        "output": [{
            "id": null, "type": null, "role": null, "status": null,
            "content": [{ "type": null, "text": null, "annotations": [], "logprobs": [] }],
        }],
        "parallel_tool_calls": null, "tool_choice": null, "tools": [], "metadata": {},
        "temperature": null, "top_p": null,
        "usage": {
            "input_tokens": null, "input_tokens_details": { "cached_tokens": null, "cache_write_tokens": null },
            "output_tokens": null, "output_tokens_details": { "reasoning_tokens": null }, "total_tokens": null,
        },
    })
}

#[tokio::test(start_paused = true)]
async fn a_response_streams_its_events_in_order_and_ends_with_the_plain_response() {
    let provider = provider(says("Yes, 2.4"));
    let mut ask = json!({ "model": "m", "input": "how high", "instructions": "be short" });
    let mut plain = provider.post(RESPONSES, &ask).await.json();
    assert_eq!(keys(&plain), response_keys());
    ask["stream"] = json!(true);
    let answer = provider.post(RESPONSES, &ask).await;
    let events = answer.chunks();
    let names: Vec<_> = answer
        .events()
        .into_iter()
        .map(|(name, _)| name.unwrap())
        .collect();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(names, expected);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(
            (&event["sequence_number"], &event["type"]),
            (&json!(number), &json!(expected[number]))
        );
    }
    assert_eq!(events[0]["response"]["usage"], Value::Null);
    assert_eq!(events[2]["item"]["content"], json!([]));
    assert_eq!(events[6]["text"], "Yes, 2.4");
    let delta = json!({
        "type": null, "sequence_number": null, "item_id": null, "output_index": null,
        "content_index": null, "delta": null, "logprobs": [],
    });
    assert_eq!(keys(&events[4]), delta);
    let mut last = events[9]["response"].clone();
    assert_eq!(last["usage"]["total_tokens"], 6);
    for response in [&mut plain, &mut last] {
        response["id"] = Value::Null;
        response["output"][0]["id"] = Value::Null;
    }
    assert_eq!(plain, last);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_was_cut_is_incomplete() {
    let ask = json!({ "model": "m", "input": "hi", "stream": true, "max_output_tokens": 1 });
    let answer = provider(says("Yes, 2.4")).post(RESPONSES, &ask).await;
    let last = answer.chunks().pop().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["status"], "incomplete");
    assert_eq!(
        last["response"]["incomplete_details"]["reason"],
        "max_output_tokens"
    );
}

#[tokio::test(start_paused = true)]
async fn a_response_calls_a_tool_and_answers_its_output() {
    let provider = provider(says("done"));
    let tool = json!([{ "type": "function", "name": "tide", "parameters": { "properties": { "at": {} } } }]);
    let mut ask = json!({ "model": "m", "input": "the tide", "tools": tool, "stream": true });
    let events = provider.post(RESPONSES, &ask).await.chunks();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds[2..4],
        [
            "response.output_item.added",
            "response.function_call_arguments.delta"
        ]
    );
    let deltas: String = events
        .iter()
        .filter_map(|event| event["delta"].as_str())
        .collect();
    let done = &events[events.len() - 3];
    assert_eq!(
        (&done["arguments"], &done["name"]),
        (&json!(deltas), &json!("tide"))
    );
    ask["stream"] = json!(false);
    ask["input"] = json!([
        { "role": "user", "content": "the tide" },
        { "type": "function_call_output", "call_id": "c", "output": "2.4" },
    ]);
    let body = provider.post(RESPONSES, &ask).await.json();
    assert_eq!(body["output"][0]["content"][0]["text"], "done");
    assert_eq!(body["usage"]["input_tokens"], 3);
}

#[tokio::test(start_paused = true)]
async fn models_are_listed_and_told() {
    let provider = provider(Script::default());
    let get = |path: &str| {
        Request::get(path)
            .header("host", "mock")
            .body(Full::default())
            .unwrap()
    };
    let list = provider.send(get("/v1/models")).await.json();
    let model = json!({ "id": null, "object": null, "created": null, "owned_by": null });
    assert_eq!(keys(&list), json!({ "object": null, "data": [model] }));
    assert_eq!(provider.send(get("/v1/models/gpt-9")).await.json()["id"], "gpt-9");
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_request_is_said_natively() {
    let provider = provider(Script::default());
    let raw = |path: &str, body: &'static str| Request::post(path).body(Full::from(body)).unwrap();
    let cases = [
        (raw("/v1/nothing", "{}"), 404, Value::Null),
        (raw(CHAT, "{"), 400, Value::Null),
        (raw(CHAT, "[]"), 400, Value::Null),
        (raw(CHAT, "{}"), 400, Value::Null),
        (raw(CHAT, r#"{"model":7}"#), 400, Value::Null),
        (raw(CHAT, r#"{"model":"m"}"#), 400, json!("messages")),
        (
            raw(CHAT, r#"{"model":"m","messages":[]}"#),
            400,
            json!("messages"),
        ),
        (
            raw(CHAT, r#"{"model":"m","messages":[{}],"n":0}"#),
            400,
            json!("n"),
        ),
        (
            raw(CHAT, r#"{"model":"m","messages":[{}],"stream_options":{}}"#),
            400,
            json!("stream_options"),
        ),
        (
            raw("/v1/embeddings", r#"{"model":"m","input":[]}"#),
            400,
            json!("input"),
        ),
        (
            raw("/v1/embeddings", r#"{"model":"m","input":"a","dimensions":0}"#),
            400,
            json!("dimensions"),
        ),
        (
            raw("/v1/completions", r#"{"model":"m","prompt":{}}"#),
            400,
            json!("prompt"),
        ),
        (raw("/v1/models", "{}"), 405, Value::Null),
    ];
    for (request, status, param) in cases {
        let path = request.uri().path().to_owned();
        let answer = provider.send(request).await;
        let error = answer.json();
        assert_eq!(answer.status, status, "{path}: {error}");
        let expected = json!({ "error": { "message": null, "type": null, "param": null, "code": null } });
        assert_eq!(keys(&error), expected);
        assert_eq!(
            (&error["error"]["type"], &error["error"]["param"]),
            (&json!("invalid_request_error"), &param)
        );
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
    let response = provider
        .try_send(post(CHAT, &streamed(&json!({}))))
        .await
        .unwrap();
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
        let answer = Answer::read(
            sender
                .send_request(post(CHAT, &streamed(&json!({}))))
                .await
                .unwrap(),
        )
        .await;
        assert!(answer.is_done());
    }
}
