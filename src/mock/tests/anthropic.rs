//! Anthropic's messages, plain and streamed, and what is refused of a request.

use super::*;

/// The blocks of a stream, each put together from its pieces.
fn rebuilt(events: &[Value]) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut arguments = String::new();
    for event in events {
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!(event["index"], blocks.len());
                blocks.push(event["content_block"].clone());
                arguments.clear();
            }
            "content_block_delta" => {
                let (block, delta) = (blocks.last_mut().unwrap(), &event["delta"]);
                for name in ["text", "thinking", "signature"] {
                    if let Some(piece) = delta[name].as_str() {
                        block[name] = json!(format!("{}{piece}", block[name].as_str().unwrap()));
                    }
                }
                arguments += delta["partial_json"].as_str().unwrap_or_default();
            }
            "content_block_stop" if !arguments.is_empty() => {
                // Those that were cut are none.
                let input = serde_json::from_str(&arguments).unwrap_or_else(|_| json!({}));
                blocks.last_mut().unwrap()["input"] = input;
            }
            _ => {}
        }
    }
    blocks
}

fn without_ids(mut blocks: Vec<Value>) -> Vec<Value> {
    for block in blocks.iter_mut().filter(|block| block["type"] == "tool_use") {
        assert!(block["id"].as_str().unwrap().starts_with("toolu_"));
        block["id"] = Value::Null;
    }
    blocks
}

/// The same request, plain and as a stream: the message, and the events. They say and cost the same.
async fn both(provider: &Provider, more: &Value) -> (Value, Vec<Value>) {
    let plain = provider.send(message(more)).await.json();
    let answer = provider.send(message(&with(more.clone(), &json!({ "stream": true })))).await;
    assert!(answer.clean);
    for (name, data) in answer.events() {
        assert_eq!(name.as_deref(), serde_json::from_str::<Value>(&data).unwrap()["type"].as_str());
    }
    let events = answer.chunks();
    let blocks = plain["content"].as_array().unwrap().clone();
    assert_eq!(without_ids(rebuilt(&events)), without_ids(blocks));
    let ending = &events[events.len() - 2];
    for name in ["stop_reason", "stop_sequence"] {
        assert_eq!(ending["delta"][name], plain[name]);
    }
    for (name, count) in ending["usage"].as_object().unwrap() {
        assert_eq!(*count, plain["usage"][name], "{name}");
    }
    (plain, events)
}

#[tokio::test(start_paused = true)]
async fn a_message_has_the_keys_and_headers_of_the_providers() {
    let answer = provider(says("Yes, 2.4 metres.")).send(message(&json!({}))).await;
    let body = answer.json();
    let expected = json!({
        "id": null, "type": null, "role": null, "model": null, "content": [{ "type": null, "text": null }],
        "stop_reason": null, "stop_sequence": null,
        "usage": {
            "input_tokens": null, "cache_creation_input_tokens": null, "cache_read_input_tokens": null,
            "cache_creation": { "ephemeral_5m_input_tokens": null, "ephemeral_1h_input_tokens": null },
            "output_tokens": null, "service_tier": null,
        },
    });
    assert_eq!(keys(&body), expected);
    assert_eq!(body["content"][0]["text"], "Yes, 2.4 metres.");
    assert_eq!((&body["usage"]["input_tokens"], &body["usage"]["output_tokens"]), (&json!(4), &json!(3)));
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.header("request-id").starts_with("req_"));
    assert_ne!(answer.header("anthropic-organization-id"), "");
    for unit in ["requests", "tokens", "input-tokens", "output-tokens"] {
        let of = |what: &str| answer.header(&format!("anthropic-ratelimit-{unit}-{what}")).to_owned();
        assert!(of("limit").parse::<u64>().unwrap() > of("remaining").parse::<u64>().unwrap(), "{unit}");
        assert_eq!(of("reset"), "2026-11-18T11:06:41Z", "{unit}");
    }
    let foreign = answer.headers.keys().find(|name| {
        let name = name.as_str();
        name.starts_with("openai") || name.starts_with("x-ratelimit") || name == "x-request-id"
    });
    assert_eq!(foreign, None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_its_events_in_order() {
    let (_, events) = both(&provider(says("Yes, 2.4")), &json!({})).await;
    let names: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names, expected);
    let begun = &events[0]["message"];
    assert_eq!((&begun["content"], &begun["stop_reason"]), (&json!([]), &Value::Null));
    assert_eq!((&begun["usage"]["input_tokens"], &begun["usage"]["output_tokens"]), (&json!(4), &json!(1)));
    assert_eq!(events[6]["usage"]["output_tokens"], 2, "cumulative");
    assert_eq!(events[6]["delta"], json!({ "stop_reason": "end_turn", "stop_sequence": null }));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_to_think_thinks_first_and_signs_it() {
    let provider = provider(says("Yes."));
    for thinking in [json!({ "type": "adaptive" }), json!({ "type": "enabled", "budget_tokens": 1_024 })] {
        let (plain, events) = both(&provider, &json!({ "thinking": thinking })).await;
        let [thought, text] = &plain["content"].as_array().unwrap()[..] else { panic!("{plain}") };
        assert_eq!((&thought["type"], &text["type"]), (&json!("thinking"), &json!("text")));
        assert_ne!(thought["signature"], "");
        let thoughts = plain["usage"]["output_tokens_details"]["thinking_tokens"].as_u64().unwrap();
        assert_eq!(plain["usage"]["output_tokens"], thoughts + 1);
        assert_eq!(
            events[2]["content_block"],
            json!({ "type": "thinking", "thinking": "", "signature": "" })
        );
    }
    let (plain, _) = both(&provider, &json!({ "thinking": { "type": "disabled" } })).await;
    assert_eq!(plain["content"].as_array().unwrap().len(), 1);
}

fn tools(choice: &Value) -> Value {
    let schema = json!({ "type": "object", "properties": { "harbour": { "type": "string" } } });
    json!({
        "tools": [
            { "name": "tide_level", "input_schema": schema },
            { "name": "now", "description": "the time", "input_schema": { "type": "object" } },
        ],
        "tool_choice": choice,
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": "tide_level now" }] }],
    })
}

#[tokio::test(start_paused = true)]
async fn tools_that_the_prompt_names_are_called_side_by_side() {
    let provider = provider(says("done"));
    let (plain, events) = both(&provider, &tools(&json!({ "type": "auto" }))).await;
    assert_eq!(plain["stop_reason"], "tool_use");
    let calls = plain["content"].as_array().unwrap();
    assert_eq!(
        (&calls[0]["name"], &calls[0]["input"]),
        (&json!("tide_level"), &json!({ "harbour": "some harbour" }))
    );
    assert_eq!((&calls[1]["name"], &calls[1]["input"]), (&json!("now"), &json!({})));
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    let pieces: Vec<_> = events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert!(pieces.len() > 2 && pieces[0].is_empty(), "{pieces:?}");
    let of_now = events.iter().filter(|event| event["type"] == "content_block_delta" && event["index"] == 1);
    assert_eq!(of_now.count(), 0, "without arguments there is no piece");
}

#[tokio::test(start_paused = true)]
async fn the_choice_of_tools_is_the_callers() {
    let provider = provider(says("done"));
    for (choice, names) in [
        (json!({ "type": "any" }), vec!["tide_level", "now"]),
        (json!({ "type": "any", "disable_parallel_tool_use": true }), vec!["tide_level"]),
        (json!({ "type": "tool", "name": "now" }), vec!["now"]),
        (json!({ "type": "none" }), vec![]),
    ] {
        let (plain, _) = both(&provider, &tools(&choice)).await;
        let calls = plain["content"].as_array().unwrap().iter().filter(|block| block["type"] == "tool_use");
        assert_eq!(calls.map(|call| call["name"].as_str().unwrap()).collect::<Vec<_>>(), names, "{choice}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_result_of_a_tool_is_answered_with_text() {
    let provider = provider(says("done"));
    let (called, _) = both(&provider, &tools(&json!({ "type": "tool", "name": "tide_level" }))).await;
    let mut after = tools(&json!({ "type": "auto" }));
    after["messages"] = json!([
        { "role": "user", "content": "call tide_level" },
        { "role": "assistant", "content": called["content"] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": called["content"][0]["id"], "content": "{\"metres\":2.4}" },
        ] },
    ]);
    let (plain, _) = both(&provider, &after).await;
    assert_eq!((&plain["content"][0]["text"], &plain["stop_reason"]), (&json!("done"), &json!("end_turn")));
    assert_eq!(plain["usage"]["input_tokens"], 3, "as many words as the same conversation has in chat");
}

#[tokio::test(start_paused = true)]
async fn the_callers_bound_cuts_the_message_and_zero_warms_the_cache() {
    let provider = provider(says("one two three four"));
    let (plain, _) = both(&provider, &json!({ "max_tokens": 2 })).await;
    assert_eq!(
        (&plain["content"][0]["text"], &plain["stop_reason"]),
        (&json!("one two"), &json!("max_tokens"))
    );
    let (plain, events) = both(&provider, &json!({ "max_tokens": 0 })).await;
    assert_eq!((&plain["content"], &plain["stop_reason"]), (&json!([]), &json!("max_tokens")));
    assert_eq!((events.len(), &plain["usage"]["output_tokens"]), (4, &json!(0)));
    let (plain, _) =
        both(&provider, &with(tools(&json!({ "type": "any" })), &json!({ "max_tokens": 1 }))).await;
    assert_eq!((&plain["content"][0]["input"], &plain["stop_reason"]), (&json!({}), &json!("max_tokens")));
}

#[tokio::test(start_paused = true)]
async fn a_stop_sequence_ends_the_message_and_is_named() {
    let provider = provider(says("one two END three"));
    let (plain, _) = both(&provider, &json!({ "stop_sequences": ["nine", "END"] })).await;
    assert_eq!(plain["content"][0]["text"], "one two ");
    assert_eq!((&plain["stop_reason"], &plain["stop_sequence"]), (&json!("stop_sequence"), &json!("END")));
}

#[tokio::test(start_paused = true)]
async fn cached_words_are_counted_apart_those_of_the_last_turn_as_written() {
    let provider = provider(says("ok"));
    let marked =
        |text: &str| json!([{ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } }]);
    let turns = |last: Value| {
        json!([
            { "role": "user", "content": "three words here" },
            { "role": "assistant", "content": "two words" },
            { "role": "user", "content": last },
        ])
    };
    let hour = json!([
        { "type": "text", "text": "a b", "cache_control": { "type": "ephemeral", "ttl": "1h" } },
        { "type": "text", "text": "c" },
    ]);
    for (more, uncached, read, written) in [
        (json!({ "system": "be brief", "messages": turns(json!("a b c")) }), 10, 0, 0),
        (json!({ "system": marked("be brief"), "messages": turns(json!("a b c")) }), 8, 2, 0),
        (json!({ "system": marked("be brief"), "messages": turns(hour.clone()) }), 1, 7, 2),
        (json!({ "cache_control": { "type": "ephemeral" }, "messages": turns(json!("a b c")) }), 0, 5, 3),
    ] {
        let (plain, events) = both(&provider, &more).await;
        let usage = &plain["usage"];
        let counts = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
        assert_eq!(
            counts.map(|name| usage[name].clone()),
            [uncached, read, written].map(|n| json!(n)),
            "{more}"
        );
        assert_eq!(events[0]["message"]["usage"]["cache_read_input_tokens"], read);
    }
    let (plain, _) = both(&provider, &json!({ "messages": turns(hour) })).await;
    let kept = json!({ "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2 });
    assert_eq!(plain["usage"]["cache_creation"], kept);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_counted_and_models_told() {
    let provider = provider(Script::default());
    let mut count = message(&json!({ "max_tokens": null, "system": "be brief" }));
    *count.uri_mut() = "/v1/messages/count_tokens".parse().unwrap();
    assert_eq!(provider.send(count).await.json(), json!({ "input_tokens": 6 }));
    let mut bound = message(&json!({}));
    *bound.uri_mut() = "/v1/messages/count_tokens".parse().unwrap();
    assert_eq!(provider.send(bound).await.status, 400, "a count has no bound");

    let get = |path: &str| Request::get(path).header("anthropic-version", "2023-06-01").body(Full::default());
    let list = provider.send(get("/v1/models").unwrap()).await.json();
    let model = json!({ "id": null, "type": null, "display_name": null, "created_at": null });
    let expected = json!({ "data": [model], "has_more": null, "first_id": null, "last_id": null });
    assert_eq!(keys(&list), expected);
    let one = provider.send(get("/v1/models/claude-9").unwrap()).await.json();
    assert_eq!((&one["id"], &one["created_at"]), (&json!("claude-9"), &json!("2026-11-18T11:06:40Z")));
}

#[tokio::test(start_paused = true)]
async fn the_second_version_takes_no_sampling_parameters() {
    let provider = provider(says("ok"));
    let ask = |version: Option<&str>, more: &Value| {
        let mut request = message(more);
        request.headers_mut().remove("anthropic-version");
        if let Some(version) = version {
            request.headers_mut().insert("anthropic-version", version.parse().unwrap());
        }
        request
    };
    let document =
        json!({ "type": "document", "source": { "type": "text", "data": "x", "media_type": "text/plain" } });
    let shown = json!({ "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": [document] },
        { "role": "user", "content": "b" },
    ] });
    for (version, more, status) in [
        (None, json!({}), 400),
        (Some("2024-01-01"), json!({}), 400),
        (Some("2026-10-21"), json!({}), 200),
        (Some("2023-06-01"), json!({ "temperature": 1.0, "top_p": 1, "top_k": 5 }), 200),
        (Some("2026-10-21"), json!({ "temperature": 1.0 }), 400),
        (Some("2026-10-21"), json!({ "top_p": 1.0 }), 400),
        (Some("2026-10-21"), json!({ "top_k": 5 }), 400),
        (Some("2023-06-01"), shown.clone(), 200),
        (Some("2026-10-21"), shown, 400),
    ] {
        assert_eq!(provider.send(ask(version, &more)).await.status, status, "{version:?} {more}");
    }
}

/// A conversation in which these blocks answer a call.
fn answered_with(blocks: &Value) -> Value {
    let call = |id| json!({ "type": "tool_use", "id": id, "name": "f", "input": {} });
    json!({ "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": [call("x"), call("y")] },
        { "role": "user", "content": blocks },
    ] })
}

#[tokio::test(start_paused = true)]
async fn results_come_first_in_the_turn_after_the_calls_one_for_each() {
    let provider = provider(says("ok"));
    let result = |id| json!({ "type": "tool_result", "tool_use_id": id });
    let text = json!({ "type": "text", "text": "a" });
    let mut in_two = answered_with(&json!([result("x")]));
    let second = json!({ "role": "user", "content": [result("y"), text] });
    in_two["messages"].as_array_mut().unwrap().push(second);
    assert_eq!(provider.send(message(&in_two)).await.status, 200, "messages of one role are one turn");
    for (blocks, status) in [
        (json!([result("x"), result("y")]), 200),
        (json!([result("y"), result("x"), text]), 200),
        (json!([text, result("x"), result("y")]), 400),
        (json!([result("x"), text, result("y")]), 400),
        (json!([result("x")]), 400),
        (json!([result("x"), result("x")]), 400),
        (json!([result("x"), result("z")]), 400),
        (json!([text]), 400),
    ] {
        let answer = provider.send(message(&answered_with(&blocks))).await;
        assert_eq!(answer.status, status, "{blocks}: {}", answer.text());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_request_is_said_in_anthropics_words() {
    let provider = provider(says("ok"));
    let user = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    let said_by = |role: &str| json!({ "messages": [{ "role": role, "content": "a" }] });
    let tool = |more: &Value| json!({ "tools": [with(json!({ "name": "f", "input_schema": { "type": "object" } }), more)] });
    let thinks =
        |more: Value| with(json!({ "thinking": { "type": "enabled", "budget_tokens": 1_024 } }), &more);
    let open = json!({ "type": "object", "properties": { "a": { "type": "object" } }, "additionalProperties": false });
    let image = |source: Value| user(json!([{ "type": "image", "source": source }]));
    let cases = [
        (json!({ "model": null }), "model: Field required"),
        (json!({ "max_tokens": null }), "max_tokens: Field required"),
        (json!({ "max_tokens": "9" }), "max_tokens: Input should be a valid integer"),
        (json!({ "n": 1 }), "n: Extra inputs are not permitted"),
        (json!({ "temperature": 1.5 }), "temperature: must be between 0 and 1"),
        (json!({ "messages": [] }), "messages: at least one message is required"),
        (json!({ "messages": null }), "messages: Field required"),
        (said_by("tool"), "messages.0.role: 'tool' is not one of"),
        (
            json!({ "messages": [{ "role": "user", "content": "a", "name": "b" }] }),
            "messages.0.name: Extra inputs",
        ),
        (user(json!("")), "messages.0.content: text content blocks must contain"),
        (user(json!([])), "messages.0.content: all messages must have non-empty content"),
        (user(json!([{ "type": "text", "text": "" }])), "messages.0.content.0.text: text content blocks"),
        (user(json!([{ "type": "image_url" }])), "messages.0.content.0: Input tag 'image_url' found"),
        (
            user(json!([{ "type": "tool_use", "id": "x", "name": "f", "input": {} }])),
            "not allowed in a message",
        ),
        (user(json!([{ "type": "tool_result", "tool_use_id": "x" }])), "unexpected `tool_use_id`"),
        (image(json!({ "type": "base64", "media_type": "image/bmp", "data": "AA" })), "source.media_type"),
        (image(json!({ "type": "url" })), "messages.0.content.0.source.url: Field required"),
        (json!({ "system": [{ "type": "text", "text": " " }] }), "system.0.text: text content blocks"),
        (tool(&json!({ "input_schema": { "type": "string" } })), "tools.0.input_schema.type"),
        (tool(&json!({ "input_schema": {} })), "tools.0.input_schema.type: Field required"),
        (tool(&json!({ "name": "a.b" })), "tools.0.name: String should match pattern"),
        (tool(&json!({ "parameters": {} })), "tools.0.parameters: Extra inputs are not permitted"),
        (
            json!({ "tool_choice": { "type": "auto" } }),
            "tool_choice: may only be specified while providing tools",
        ),
        (with(tool(&json!({})), &json!({ "tool_choice": "auto" })), "tool_choice.type: Field required"),
        (
            with(tool(&json!({})), &json!({ "tool_choice": { "type": "tool", "name": "g" } })),
            "Tool 'g' not found",
        ),
        (thinks(json!({ "max_tokens": 1_024 })), "`max_tokens` must be greater than"),
        (
            with(thinks(tool(&json!({}))), &json!({ "tool_choice": { "type": "any" } })),
            "Thinking may not be enabled",
        ),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 1 } }), "thinking.budget_tokens"),
        (json!({ "stop_sequences": ["\n"] }), "stop_sequences.0: each stop sequence must contain"),
        (json!({ "metadata": { "user": "a" } }), "metadata.user: Extra inputs are not permitted"),
        (json!({ "output_config": { "effort": "none" } }), "output_config.effort: 'none' is not one of"),
        (
            json!({ "output_config": { "format": { "type": "json_schema", "schema": open } } }),
            "'additionalProperties' must be explicitly set to false",
        ),
    ];
    for (more, said) in cases {
        let answer = provider.send(message(&more)).await;
        let error = answer.json();
        assert_eq!(answer.status, 400, "{more}: {error}");
        let expected =
            json!({ "type": null, "error": { "type": null, "message": null }, "request_id": null });
        assert_eq!(keys(&error), expected);
        assert_eq!(
            (&error["type"], &error["error"]["type"]),
            (&json!("error"), &json!("invalid_request_error"))
        );
        assert_eq!(error["request_id"], answer.header("request-id"));
        assert!(error["error"]["message"].as_str().unwrap().contains(said), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_api_takes_is_taken() {
    let provider = provider(says("ok"));
    let closed = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let thought = json!({ "type": "thinking", "thinking": "hm", "signature": "c2ln" });
    let image =
        json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AA==" } });
    let result = json!({ "type": "tool_result", "tool_use_id": "x", "is_error": true, "content": [
        { "type": "text", "text": "no" }, image,
    ] });
    for more in [
        json!({ "metadata": { "user_id": "u" }, "service_tier": "auto", "container": "c" }),
        json!({ "tools": [{ "type": "web_search_20250305", "name": "web_search", "max_uses": 1 }] }),
        json!({ "output_config": { "effort": "low", "format": { "type": "json_schema", "schema": closed } } }),
        json!({ "messages": [{ "role": "user", "content": "a" }, { "role": "system", "content": "b" }] }),
        json!({ "messages": [
            { "role": "user", "content": [image] },
            { "role": "assistant", "content": [
                thought, { "type": "redacted_thinking", "data": "AA" },
                { "type": "tool_use", "id": "x", "name": "f", "input": {} },
            ] },
            { "role": "user", "content": [result] },
            { "role": "assistant", "content": "prefill" },
        ] }),
    ] {
        let answer = provider.send(message(&more)).await;
        assert_eq!(answer.status, 200, "{more}: {}", answer.text());
    }
}
