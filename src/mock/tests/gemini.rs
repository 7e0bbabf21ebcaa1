//! Gemini's answers, plain, in events and as an array, and what is refused of a request.

use super::*;

const NEW: &str = "gemini-3.8-flash";
const OLD: &str = "gemini-2.5-flash";

/// The parts of one candidate of a stream, pieces of a text put together.
fn rebuilt(chunks: &[Value], candidate: u64) -> Vec<Value> {
    let mut parts: Vec<Value> = Vec::new();
    let candidates = chunks.iter().map(|chunk| &chunk["candidates"][0]);
    let mine = candidates.filter(|chunk| chunk["index"] == candidate);
    for part in mine.filter_map(|chunk| chunk["content"]["parts"].as_array()).flatten() {
        let goes_on = parts.last().is_some_and(|last| {
            last["text"].is_string() && part["text"].is_string() && last["thought"] == part["thought"]
        });
        if goes_on {
            let last = parts.last_mut().unwrap();
            last["text"] =
                json!(format!("{}{}", last["text"].as_str().unwrap(), part["text"].as_str().unwrap()));
        } else if part["text"] != "" {
            parts.push(part.clone());
        }
    }
    parts
}

fn without_ids(parts: &[Value]) -> Vec<Value> {
    let mut parts = parts.to_vec();
    for part in parts.iter_mut().filter(|part| part["functionCall"]["id"].is_string()) {
        part["functionCall"]["id"] = Value::Null;
    }
    parts
}

/// The same request in its three forms: the answer, and the chunks. They say and cost the same.
async fn all(provider: &Provider, model: &str, more: &Value) -> (Value, Vec<Value>) {
    let plain = provider.send(generate(&format!("{model}:generateContent"), more)).await.json();
    let events = provider.send(generate(&format!("{model}:streamGenerateContent?alt=sse"), more)).await;
    let chunks = events.gemini_chunks();
    let array = provider.send(generate(&format!("{model}:streamGenerateContent"), more)).await;
    let items: Vec<Value> = serde_json::from_str(&array.text()).unwrap();
    assert!(events.clean && array.clean);
    for chunks in [&chunks, &items] {
        for candidate in plain["candidates"].as_array().unwrap() {
            let parts = rebuilt(chunks, candidate["index"].as_u64().unwrap());
            let told = candidate["content"]["parts"].as_array().map_or(&[][..], Vec::as_slice);
            assert_eq!(without_ids(&parts), without_ids(told));
        }
        let last = chunks.last().unwrap();
        assert_eq!(last["usageMetadata"], plain["usageMetadata"]);
        assert_eq!(last["candidates"][0]["finishReason"], plain["candidates"][0]["finishReason"]);
        assert!(chunks.iter().all(|chunk| chunk["responseId"] == chunks[0]["responseId"]));
    }
    (plain, chunks)
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_the_keys_of_the_providers_and_no_header_of_others() {
    let answer =
        provider(says("Yes, 2.4 metres.")).send(generate("gemini-x:generateContent", &json!({}))).await;
    let expected = json!({
        "candidates": [{ "content": { "role": null, "parts": [{ "text": null }] }, "finishReason": null, "index": null }],
        "usageMetadata": {
            "promptTokenCount": null, "candidatesTokenCount": null, "totalTokenCount": null,
            "promptTokensDetails": [{ "modality": null, "tokenCount": null }],
        },
        "modelVersion": null, "responseId": null,
    });
    let body = answer.json();
    assert_eq!(keys(&body), expected);
    assert_eq!(body["candidates"][0]["content"]["parts"][0]["text"], "Yes, 2.4 metres.");
    assert_eq!(
        (&body["modelVersion"], &body["candidates"][0]["finishReason"]),
        (&json!("gemini-x"), &json!("STOP"))
    );
    assert_eq!(body["usageMetadata"]["totalTokenCount"], 7);
    assert_eq!(answer.header("content-type"), "application/json; charset=UTF-8");
    let mut names: Vec<_> = answer.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "date"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_a_chunk_per_word_and_a_finish_with_usage_in_each() {
    let provider = provider(says("one two three"));
    let (_, chunks) = all(&provider, OLD, &json!({})).await;
    let said: Vec<_> = chunks.iter().map(|chunk| &chunk["usageMetadata"]["candidatesTokenCount"]).collect();
    assert_eq!(said, [1, 2, 3, 3]);
    let finishes: Vec<_> = chunks.iter().map(|chunk| chunk["candidates"][0].get("finishReason")).collect();
    assert_eq!(finishes, [None, None, None, Some(&json!("STOP"))]);

    let events = provider.send(generate(&format!("{OLD}:streamGenerateContent?alt=sse"), &json!({}))).await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    assert!(!events.text().contains("event:") && !events.text().contains("[DONE]"));
    let array = provider.send(generate(&format!("{OLD}:streamGenerateContent"), &json!({}))).await;
    assert_eq!(array.header("content-type"), "application/json; charset=UTF-8");
    assert!(array.text().starts_with("[{") && array.text().contains("},\n{"));
}

#[tokio::test(start_paused = true)]
async fn candidates_are_told_side_by_side_and_all_cost() {
    let more =
        json!({ "generationConfig": { "candidateCount": 3, "thinkingConfig": { "includeThoughts": true } } });
    let (plain, chunks) = all(&provider(says("a b")), OLD, &more).await;
    assert_eq!(plain["candidates"].as_array().unwrap().len(), 3);
    assert_eq!(plain["usageMetadata"]["candidatesTokenCount"], 6);
    let totals: Vec<_> =
        chunks.iter().map(|chunk| chunk["usageMetadata"]["totalTokenCount"].as_u64().unwrap()).collect();
    assert!(totals.is_sorted(), "{totals:?}");
}

#[tokio::test(start_paused = true)]
async fn thoughts_are_told_where_they_are_asked_for_and_always_counted_apart() {
    let provider = provider(says("Yes."));
    for (config, parts) in [
        (json!({ "includeThoughts": true }), 2),
        (json!({ "thinkingLevel": "low" }), 1),
        (json!({ "thinkingBudget": -1, "includeThoughts": true }), 2),
    ] {
        let more = json!({ "generationConfig": { "thinkingConfig": config } });
        let (plain, _) = all(&provider, NEW, &more).await;
        let told = plain["candidates"][0]["content"]["parts"].as_array().unwrap();
        assert_eq!((told.len(), told[0]["thought"] == true), (parts, parts == 2), "{config}");
        let usage = &plain["usageMetadata"];
        let thoughts = usage["thoughtsTokenCount"].as_u64().unwrap();
        assert_eq!(usage["candidatesTokenCount"], 1);
        assert_eq!(usage["totalTokenCount"], 4 + thoughts + 1);
    }
    let off =
        json!({ "generationConfig": { "thinkingConfig": { "thinkingBudget": 0, "includeThoughts": true } } });
    let (plain, _) = all(&provider, OLD, &off).await;
    assert_eq!(plain["usageMetadata"].get("thoughtsTokenCount"), None);
}

fn tools(config: &Value) -> Value {
    let schema = json!({ "type": "object", "properties": { "harbour": { "type": "string" } }, "additionalProperties": false });
    json!({
        "tools": [{ "functionDeclarations": [
            { "name": "tide_level", "parametersJsonSchema": schema },
            { "name": "now", "description": "the time" },
        ] }],
        "toolConfig": { "functionCallingConfig": config },
        "contents": [{ "parts": [{ "text": "tide_level now" }] }],
    })
}

#[tokio::test(start_paused = true)]
async fn calls_come_whole_in_one_chunk_with_stop_and_of_new_models_with_ids_and_a_signature() {
    let provider = provider(says("done"));
    for model in [OLD, NEW] {
        let (plain, chunks) = all(&provider, model, &tools(&json!({ "mode": "AUTO" }))).await;
        assert_eq!((chunks.len(), &plain["candidates"][0]["finishReason"]), (1, &json!("STOP")));
        let parts = plain["candidates"][0]["content"]["parts"].as_array().unwrap();
        assert_eq!(parts[0]["functionCall"]["args"], json!({ "harbour": "some harbour" }));
        assert_eq!((&parts[1]["functionCall"]["name"], parts.len()), (&json!("now"), 2));
        let ids: Vec<_> = parts.iter().filter_map(|part| part["functionCall"].get("id")).collect();
        let signed: Vec<_> = parts.iter().map(|part| part.get("thoughtSignature").is_some()).collect();
        if model == NEW {
            assert_eq!((ids.len(), signed), (2, vec![true, false]));
            assert_ne!(ids[0], ids[1]);
        } else {
            assert_eq!((ids.len(), signed), (0, vec![false, false]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_choice_of_tools_is_the_callers() {
    let provider = provider(says("done"));
    for (config, names) in [
        (json!({ "mode": "ANY" }), vec!["tide_level", "now"]),
        (json!({ "mode": "ANY", "allowedFunctionNames": ["now"] }), vec!["now"]),
        (json!({ "mode": "NONE" }), vec![]),
    ] {
        let (plain, _) = all(&provider, OLD, &tools(&config)).await;
        let parts = plain["candidates"][0]["content"]["parts"].as_array().unwrap();
        let called: Vec<_> = parts.iter().filter_map(|part| part["functionCall"]["name"].as_str()).collect();
        assert_eq!(called, names, "{config}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_response_of_a_function_is_answered_with_text() {
    let provider = provider(says("done"));
    for model in [OLD, NEW] {
        let mut after = tools(&json!({ "mode": "AUTO" }));
        let (called, _) = all(&provider, model, &after).await;
        let content = &called["candidates"][0]["content"];
        let responses: Vec<_> = content["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| {
                let mut response =
                    json!({ "name": part["functionCall"]["name"], "response": { "output": 2.4 } });
                if let Some(id) = part["functionCall"].get("id") {
                    response["id"] = id.clone();
                }
                json!({ "functionResponse": response })
            })
            .collect();
        let contents = after["contents"].as_array_mut().unwrap();
        contents.push(content.clone());
        contents.push(json!({ "role": "user", "parts": responses }));
        let (plain, _) = all(&provider, model, &after).await;
        assert_eq!(plain["candidates"][0]["content"]["parts"], json!([{ "text": "done" }]));
        assert_eq!(plain["usageMetadata"]["promptTokenCount"], 4);
    }
}

#[tokio::test(start_paused = true)]
async fn the_callers_bound_cuts_the_answer_to_no_part_at_all() {
    let provider = provider(says("one two three"));
    let (plain, _) = all(&provider, OLD, &json!({ "generationConfig": { "maxOutputTokens": 2 } })).await;
    let candidate = &plain["candidates"][0];
    assert_eq!(
        (&candidate["content"]["parts"][0]["text"], &candidate["finishReason"]),
        (&json!("one two"), &json!("MAX_TOKENS"))
    );
    let config = json!({ "maxOutputTokens": 1, "thinkingConfig": { "thinkingBudget": 100 } });
    let (plain, _) = all(&provider, OLD, &json!({ "generationConfig": config })).await;
    assert_eq!(plain["candidates"][0]["content"], json!({ "role": "model" }));
    let more =
        with(tools(&json!({ "mode": "ANY" })), &json!({ "generationConfig": { "maxOutputTokens": 1 } }));
    let (plain, _) = all(&provider, OLD, &more).await;
    assert_eq!(plain["candidates"][0]["content"], json!({ "role": "model" }), "half a call is none");
}

#[tokio::test(start_paused = true)]
async fn a_stop_sequence_ends_the_answer_and_is_not_named() {
    let more = json!({ "generationConfig": { "stopSequences": ["END"] } });
    let (plain, _) = all(&provider(says("one END two")), OLD, &more).await;
    let candidate = &plain["candidates"][0];
    assert_eq!(
        (&candidate["content"]["parts"][0]["text"], &candidate["finishReason"]),
        (&json!("one "), &json!("STOP"))
    );
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_last_turn_was_cached_and_counts_in_the_prompt() {
    let more = json!({ "systemInstruction": { "parts": [{ "text": "be brief" }] }, "contents": [
        { "role": "user", "parts": [{ "text": "three words here" }] },
        { "role": "model", "parts": [{ "text": "one" }] },
        { "role": "user", "parts": [{ "text": "four words are here" }] },
    ] });
    let (plain, _) = all(&provider(says("ok")), OLD, &more).await;
    let usage = &plain["usageMetadata"];
    assert_eq!((&usage["promptTokenCount"], &usage["cachedContentTokenCount"]), (&json!(10), &json!(6)));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_counted_and_models_told() {
    let provider = provider(Script::default());
    let count = provider.send(generate("m:countTokens", &json!({}))).await.json();
    assert_eq!(count["totalTokens"], 4);
    let request = json!({ "model": "models/m", "contents": [{ "parts": [{ "text": "a b" }] }] });
    let more = json!({ "contents": null, "generateContentRequest": request });
    assert_eq!(provider.send(generate("m:countTokens", &more)).await.json()["totalTokens"], 2);

    let get = |path: &str| Request::get(path).header("x-goog-api-key", "k").body(Full::default()).unwrap();
    let list = provider.send(get("/v1/models")).await.json();
    let model = json!({
        "name": null, "version": null, "displayName": null, "inputTokenLimit": null, "outputTokenLimit": null,
        "supportedGenerationMethods": [null],
    });
    assert_eq!(keys(&list), json!({ "models": [model] }));
    assert_eq!(provider.send(get("/v1/models/a/b")).await.json()["name"], "models/a/b");
}

#[tokio::test(start_paused = true)]
async fn contents_are_embedded_one_or_many_in_the_length_that_is_wanted() {
    let provider = provider(Script::default());
    let ask = |text: &str| json!({ "model": "models/e", "content": { "parts": [{ "text": text }] }, "outputDimensionality": 3 });
    let one = provider.post("/v1beta/models/e:embedContent", &ask("tide")).await.json();
    assert_eq!(one["embedding"]["values"].as_array().unwrap().len(), 3);
    let many = json!({ "requests": [ask("ebb"), ask("tide")] });
    let many = provider.post("/v1beta/models/e:batchEmbedContents", &many).await.json();
    assert_eq!(many["embeddings"][1], one["embedding"]);
    let plain = provider
        .post("/v1/models/e:embedContent", &json!({ "content": { "parts": [{ "text": "a" }] } }))
        .await;
    assert_eq!(plain.json()["embedding"]["values"].as_array().unwrap().len(), 3_072);
    let wrong = with(ask("a"), &json!({ "outputDimensionality": 0 }));
    assert_eq!(provider.post("/v1/models/e:embedContent", &wrong).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn names_are_taken_in_both_spellings() {
    let more = json!({
        "system_instruction": { "parts": [{ "text": "a" }] },
        "generation_config": { "max_output_tokens": 1, "thinking_config": { "include_thoughts": false } },
        "tools": [{ "function_declarations": [{ "name": "f", "parameters": { "type": "OBJECT" } }] }],
        "tool_config": { "function_calling_config": { "mode": "NONE" } },
    });
    let (plain, _) = all(&provider(says("one two")), OLD, &more).await;
    assert_eq!(plain["candidates"][0]["finishReason"], "MAX_TOKENS");
    assert_eq!(plain["usageMetadata"]["promptTokenCount"], 5);
}

/// A conversation of a call and its response, with these fields of the call, of its part and of the response.
fn called(call: &Value, part: &Value, response: &Value) -> Value {
    let call = with(json!({ "name": "f", "args": {} }), call);
    let response = with(json!({ "name": "f", "response": {} }), response);
    json!({ "contents": [
        { "role": "user", "parts": [{ "text": "a" }] },
        { "role": "model", "parts": [with(json!({ "functionCall": call }), part)] },
        { "role": "user", "parts": [{ "functionResponse": response }] },
    ] })
}

#[tokio::test(start_paused = true)]
async fn ids_and_signatures_of_calls_are_refused_or_wanted_by_the_models_age() {
    let provider = provider(says("ok"));
    let (id, none) = (json!({ "id": "x" }), json!({}));
    let signed = json!({ "thoughtSignature": "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=" });
    for (model, ask, status) in [
        (OLD, called(&none, &none, &none), 200),
        (OLD, called(&id, &none, &none), 400),
        (OLD, called(&none, &none, &id), 400),
        ("mock-large", called(&id, &none, &id), 400),
        (NEW, called(&id, &signed, &id), 200),
        (NEW, called(&none, &signed, &none), 200),
        (NEW, called(&id, &json!({ "thoughtSignature": "skip_thought_signature_validator" }), &id), 200),
        (NEW, called(&id, &json!({ "thoughtSignature": "?" }), &id), 400),
        (NEW, called(&id, &none, &id), 400),
        (NEW, called(&id, &signed, &json!({ "id": "y" })), 400),
        (OLD, called(&none, &none, &json!({ "name": "g" })), 400),
        (OLD, called(&none, &none, &json!({ "response": "2.4" })), 400),
        (OLD, called(&none, &none, &json!({ "response": null })), 400),
        (OLD, called(&json!({ "args": "{}" }), &none, &none), 400),
    ] {
        let answer = provider.send(generate(&format!("{model}:generateContent"), &ask)).await;
        assert_eq!(answer.status, status, "{model} {ask}: {}", answer.text());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_request_is_said_in_googles_words() {
    let provider = provider(says("ok"));
    let unknown = |name: &str, at: &str| {
        format!("Invalid JSON payload received. Unknown name \"{name}\"{at}: Cannot find field.")
    };
    let config = |config: Value| json!({ "generationConfig": config });
    let parts = |parts: Value| json!({ "contents": [{ "role": "user", "parts": parts }] });
    let turns = |roles: &[&str]| {
        let turns = roles.iter().map(|role| json!({ "role": role, "parts": [{ "text": "a" }] }));
        json!({ "contents": turns.collect::<Vec<_>>() })
    };
    let function =
        |more: &Value| json!({ "tools": [{ "functionDeclarations": [with(json!({ "name": "f" }), more)] }] });
    let calls =
        |content: Value| json!({ "contents": [{ "role": "user", "parts": [{ "text": "a" }] }, content] });
    let call = json!({ "functionCall": { "name": "f" } });
    let response = json!({ "functionResponse": { "name": "f", "response": {} } });
    let cases = [
        (json!({ "model": "m" }), unknown("model", "")),
        (json!({ "max_tokens": 5 }), unknown("max_tokens", "")),
        (config(json!({ "maxTokens": 5 })), unknown("maxTokens", " at 'generation_config'")),
        (config(json!({ "maxOutputTokens": 0 })), "generation_config.max_output_tokens".into()),
        (config(json!({ "temperature": "1" })), "'generation_config.temperature' (TYPE_FLOAT), \"1\"".into()),
        (config(json!({ "temperature": 3 })), "generation_config.temperature".into()),
        (config(json!({ "stopSequences": ["a", "b", "c", "d", "e", "f"] })), "at most 5".into()),
        (config(json!({ "candidateCount": 9 })), "candidate_count".into()),
        (config(json!({ "logprobs": 3 })), "response_logprobs is not enabled".into()),
        (config(json!({ "responseJsonSchema": {} })), "needs a response mime type".into()),
        (
            config(json!({ "thinkingConfig": { "thinkingLevel": "LOW" } })),
            "Thinking level is not supported".into(),
        ),
        (
            config(json!({ "thinkingConfig": { "effort": "LOW" } })),
            unknown("effort", " at 'generation_config.thinking_config'"),
        ),
        (json!({ "contents": [] }), "contents is not specified".into()),
        (json!({ "contents": null }), "contents is not specified".into()),
        (turns(&["assistant"]), "Please use a valid role: user, model.".into()),
        (turns(&["user", "user"]), "alternate between user and model".into()),
        (turns(&["user", "model", "user", "user"]), "alternate between user and model".into()),
        (parts(json!([])), "contents.parts must not be empty".into()),
        (parts(json!([{}])), "required oneof field 'data'".into()),
        (parts(json!([{ "thought": true }])), "required oneof field 'data'".into()),
        (
            parts(json!([{ "text": "a", "inlineData": {} }])),
            "'contents[0].parts[0]': oneof field 'data' is already set".into(),
        ),
        (parts(json!([{ "type": "text", "text": "a" }])), unknown("type", " at 'contents[0].parts[0]'")),
        (
            parts(json!([{ "inlineData": { "mimeType": "image/png", "data": "data:image/png" } }])),
            "Base64 decoding failed".into(),
        ),
        (parts(json!([call])), "'functionCall' is not allowed".into()),
        (parts(json!([response])), "immediately after a function call turn".into()),
        (calls(json!({ "role": "model", "parts": [call] })), "number of function response parts".into()),
        (
            json!({ "contents": [{ "role": "model", "parts": [call] }] }),
            "immediately after a user turn".into(),
        ),
        (json!({ "systemInstruction": "be brief" }), "system_instruction".into()),
        (function(&json!({ "name": "1f" })), "Invalid function name".into()),
        (
            function(&json!({ "parameters": { "type": "object", "additionalProperties": false } })),
            unknown("additionalProperties", " at 'tools[0].function_declarations[0].parameters'"),
        ),
        (
            function(&json!({ "parameters": { "properties": { "a": { "$ref": "b" } } } })),
            unknown("$ref", " at 'tools[0].function_declarations[0].parameters.properties.a'"),
        ),
        (
            function(&json!({ "parameters": {}, "parametersJsonSchema": {} })),
            "'parameters' is set already".into(),
        ),
        (
            with(function(&json!({})), &config(json!({ "responseMimeType": "application/json" }))),
            "Function calling with a response mime type".into(),
        ),
        (json!({ "tools": [{ "function": {} }] }), unknown("function", " at 'tools[0]'")),
        (
            json!({ "toolConfig": { "functionCallingConfig": { "mode": "ANY" } } }),
            "set without function_declarations".into(),
        ),
        (with(tools(&json!({ "mode": "auto" })), &json!({})), "function_calling_config.mode".into()),
        (
            tools(&json!({ "mode": "AUTO", "allowedFunctionNames": ["now"] })),
            "can only be set when the mode is ANY".into(),
        ),
    ];
    for (more, said) in cases {
        let answer = provider.send(generate(&format!("{OLD}:generateContent"), &more)).await;
        let error = answer.json();
        assert_eq!(answer.status, 400, "{more}: {error}");
        assert_eq!(keys(&error), json!({ "error": { "code": null, "message": null, "status": null } }));
        assert_eq!(
            (&error["error"]["code"], &error["error"]["status"]),
            (&json!(400), &json!("INVALID_ARGUMENT"))
        );
        assert!(error["error"]["message"].as_str().unwrap().contains(said.as_str()), "{error}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_model_is_told_by_the_path_whatever_it_holds() {
    let provider = provider(says("ok"));
    for (path, model) in [
        ("/v1/models/a/b:generateContent", "a/b"),
        ("/v1beta/models/tunedModels/x:generateContent", "tunedModels/x"),
        ("/v1beta/tunedModels/x:generateContent", "tunedModels/x"),
        ("/v1/publishers/google/models/m:latest:generateContent", "m:latest"),
    ] {
        let ask = json!({ "contents": [{ "parts": [{ "text": "a" }] }] });
        assert_eq!(provider.post(path, &ask).await.json()["modelVersion"], model, "{path}");
        assert_eq!(provider.mock.seen().last().unwrap().model().as_deref(), Some(model), "{path}");
    }
    let nothing = provider.post("/v1beta/models/m:teleport", &json!({})).await;
    assert_eq!(nothing.status, 404);
    assert_eq!(nothing.json()["error"]["status"], "NOT_FOUND");
}
