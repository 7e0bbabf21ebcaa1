//! The APIs beside chat, and how the provider complains.

use super::*;

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

#[tokio::test(start_paused = true)]
async fn completions_answer_each_prompt() {
    let provider = provider(says("x y"));
    let ask = json!({ "model": "m", "prompt": ["a b", "c"], "max_tokens": 1 });
    let body = provider.post("/v1/completions", &ask).await.json();
    assert_eq!(body["object"], "text_completion");
    let choice = json!({ "index": 1, "text": "x", "logprobs": null, "finish_reason": "length" });
    assert_eq!(body["choices"][1], choice);
    assert_eq!(
        (&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]),
        (&json!(3), &json!(2))
    );

    let ask =
        json!({ "model": "m", "prompt": "a", "stream": true, "stream_options": { "include_usage": true } });
    let answer = provider.post("/v1/completions", &ask).await;
    let chunks = answer.chunks();
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
    assert_eq!((text.as_str(), answer.is_done()), ("x y", true));
    assert_eq!((chunks.len(), &chunks[3]["usage"]["total_tokens"]), (4, &json!(3)));
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
    let bits = digits.iter().flat_map(|digit| (0..6).rev().map(move |bit| (digit >> bit) & 1));
    let bits: Vec<u8> = bits.collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| (byte << 1) | bit)).collect()
}

#[tokio::test(start_paused = true)]
async fn token_lists_and_the_usual_length_are_taken() {
    let ask = json!({ "model": "e", "input": [[1, 2, 3], [4]] });
    let body = provider(Script::default()).post("/v1/embeddings", &ask).await.json();
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
    let names: Vec<_> = answer.events().into_iter().map(|(name, _)| name.unwrap()).collect();
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
        assert_eq!((&event["sequence_number"], &event["type"]), (&json!(number), &json!(expected[number])));
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
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
}

#[tokio::test(start_paused = true)]
async fn a_response_calls_a_tool_and_answers_its_output() {
    let provider = provider(says("done"));
    let tool = json!([{ "type": "function", "name": "tide", "parameters": { "properties": { "at": {} } } }]);
    let mut ask = json!({ "model": "m", "input": "the tide", "tools": tool, "stream": true });
    let events = provider.post(RESPONSES, &ask).await.chunks();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[2..4], ["response.output_item.added", "response.function_call_arguments.delta"]);
    let deltas: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    let done = &events[events.len() - 3];
    assert_eq!((&done["arguments"], &done["name"]), (&json!(deltas), &json!("tide")));
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
async fn each_call_of_a_response_is_an_item() {
    let provider = provider(says("done"));
    let tools = json!([{ "type": "function", "name": "ebb" }, { "type": "function", "name": "flow" }]);
    let mut ask = json!({ "model": "m", "input": "ebb and flow", "tools": tools });
    let whole = provider.post(RESPONSES, &ask).await.json();
    let output = whole["output"].as_array().unwrap();
    assert_eq!(output.iter().map(|item| &item["name"]).collect::<Vec<_>>(), ["ebb", "flow"]);
    assert_ne!(output[0]["call_id"], output[1]["call_id"]);

    ask["stream"] = json!(true);
    let events = provider.post(RESPONSES, &ask).await.chunks();
    let done: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| (event["output_index"].as_u64().unwrap(), event["item"]["name"].as_str().unwrap()))
        .collect();
    assert_eq!(done, [(0, "ebb"), (1, "flow")]);
    ask["parallel_tool_calls"] = json!(false);
    ask["stream"] = json!(false);
    assert_eq!(provider.post(RESPONSES, &ask).await.json()["output"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn models_are_listed_and_told() {
    let provider = provider(Script::default());
    let get = |path: &str| Request::get(path).header("host", "mock").body(Full::default()).unwrap();
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
        (raw(CHAT, r#"{"model":"m","messages":[]}"#), 400, json!("messages")),
        (raw(CHAT, r#"{"model":"m","messages":[{}],"n":0}"#), 400, json!("n")),
        (raw(CHAT, r#"{"model":"m","messages":[{}],"stream_options":{}}"#), 400, json!("stream_options")),
        (raw("/v1/embeddings", r#"{"model":"m","input":[]}"#), 400, json!("input")),
        (raw("/v1/embeddings", r#"{"model":"m","input":"a","dimensions":0}"#), 400, json!("dimensions")),
        (raw("/v1/completions", r#"{"model":"m","prompt":{}}"#), 400, json!("prompt")),
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
