//! The faults in the words of Anthropic and of Gemini; what they have in common with OpenAI's is tested there.

use std::io::Read;

use super::*;

fn anthropic() -> Request<Full<Bytes>> {
    message(&json!({ "stream": true }))
}

fn gemini() -> Request<Full<Bytes>> {
    generate("gemini-x:streamGenerateContent?alt=sse", &json!({}))
}

fn array() -> Request<Full<Bytes>> {
    generate("gemini-x:streamGenerateContent", &json!({}))
}

/// Plain, of both faces.
fn plain() -> [Request<Full<Bytes>>; 2] {
    [message(&json!({})), generate("gemini-x:generateContent", &json!({}))]
}

#[tokio::test(start_paused = true)]
async fn an_error_status_has_anthropics_body_for_it() {
    let provider = provider(Script::default());
    for (fault, status, kind, detail) in [
        ("status=400", 400, "invalid_request_error", Value::Null),
        ("status=401", 401, "authentication_error", Value::Null),
        ("status=402", 402, "billing_error", Value::Null),
        ("status=403", 403, "permission_error", Value::Null),
        ("status=404", 404, "not_found_error", Value::Null),
        ("status=413", 413, "request_too_large", Value::Null),
        ("status=429;retry-after=7", 429, "rate_limit_error", Value::Null),
        ("status=500", 500, "api_error", Value::Null),
        ("status=504", 504, "timeout_error", Value::Null),
        ("status=529", 529, "overloaded_error", Value::Null),
        ("error=context_length_exceeded", 400, "invalid_request_error", Value::Null),
        ("error=content_policy_violation", 400, "invalid_request_error", Value::Null),
        ("error=content_filter", 400, "invalid_request_error", Value::Null),
        ("error=invalid_api_key", 401, "authentication_error", Value::Null),
        ("error=model_not_found", 404, "not_found_error", Value::Null),
        ("error=rate_limit_exceeded", 429, "rate_limit_error", Value::Null),
        ("error=insufficient_quota", 429, "rate_limit_error", json!("enforced_spend_limit_reached")),
        ("error=credit_balance_exhausted", 402, "billing_error", Value::Null),
        ("error=slow_down", 429, "rate_limit_error", json!("ramp_limit_exceeded")),
        ("error=server_is_overloaded", 529, "overloaded_error", Value::Null),
    ] {
        let answer = provider.send(with_fault(anthropic(), fault)).await;
        let body = answer.json();
        let error = &body["error"];
        assert_eq!((answer.status.as_u16(), &error["type"]), (status, &json!(kind)), "{fault}");
        assert_eq!(error["details"]["error_code"], detail, "{fault}");
        assert_eq!(
            (&body["type"], &body["request_id"]),
            (&json!("error"), &json!(answer.header("request-id")))
        );
        let asked_to_wait = answer.header("retry-after");
        assert_eq!(asked_to_wait, if fault.contains("after") { "7" } else { "" }, "{fault}");
    }
    let answer = provider.send(with_fault(anthropic(), "error=context_length_exceeded")).await;
    assert!(answer.text().contains("prompt is too long: 9000 tokens > 8192 maximum"));
    let answer = provider.send(with_fault(anthropic(), "status=429;retry-after=7")).await;
    assert_eq!(answer.header("anthropic-ratelimit-requests-remaining"), "0");
    assert_eq!(answer.header("anthropic-ratelimit-requests-reset"), "2026-11-18T11:06:47Z");
}

#[tokio::test(start_paused = true)]
async fn an_error_status_has_geminis_body_for_it() {
    let provider = provider(Script::default());
    for (fault, status, word, detail) in [
        ("status=400", 400, "INVALID_ARGUMENT", ""),
        ("status=401", 401, "UNAUTHENTICATED", ""),
        ("status=403", 403, "PERMISSION_DENIED", ""),
        ("status=404", 404, "NOT_FOUND", ""),
        ("status=429;retry-after=7", 429, "RESOURCE_EXHAUSTED", "\"retryDelay\":\"7s\""),
        ("status=503;retry-after=7", 503, "UNAVAILABLE", "\"retryDelay\":\"7s\""),
        ("status=499", 499, "CANCELLED", ""),
        ("status=500", 500, "INTERNAL", ""),
        ("status=504", 504, "DEADLINE_EXCEEDED", ""),
        (
            "error=context_length_exceeded",
            400,
            "INVALID_ARGUMENT",
            "exceeds the maximum number of tokens allowed",
        ),
        ("error=content_policy_violation", 400, "INVALID_ARGUMENT", "PROHIBITED_CONTENT"),
        ("error=content_filter", 400, "INVALID_ARGUMENT", "PROHIBITED_CONTENT"),
        ("error=invalid_api_key", 400, "INVALID_ARGUMENT", "\"reason\":\"API_KEY_INVALID\""),
        ("error=model_not_found", 404, "NOT_FOUND", ""),
        ("error=rate_limit_exceeded", 429, "RESOURCE_EXHAUSTED", "PerMinute"),
        ("error=insufficient_quota", 429, "RESOURCE_EXHAUSTED", "PerDay"),
        ("error=credit_balance_exhausted", 402, "RESOURCE_EXHAUSTED", ""),
        ("error=slow_down", 429, "RESOURCE_EXHAUSTED", ""),
        ("error=server_is_overloaded", 503, "UNAVAILABLE", ""),
    ] {
        let answer = provider.send(with_fault(gemini(), fault)).await;
        let body = answer.json();
        assert_eq!((answer.status.as_u16(), &body["error"]["status"]), (status, &json!(word)), "{fault}");
        assert_eq!(body["error"]["code"], status, "{fault}");
        assert!(answer.text().contains(detail), "{fault}: {body}");
        assert_eq!(answer.header("retry-after"), "", "it is asked in the body");
        let listed = provider.send(with_fault(array(), fault)).await.json();
        assert_eq!(listed, json!([body]), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_a_200_is_of_its_face_and_carries_any_code() {
    let provider = provider(says("one two three"));
    for code in ErrorCode::ALL.map(Some).into_iter().chain([None]) {
        let code = code.map_or(String::new(), |code| format!(";code={}", code.as_str()));
        for after in [0, 2] {
            let fault = format!("error-event={after}{code}");
            let answer = provider.send(with_fault(anthropic(), &fault)).await;
            let (name, _) = answer.events().pop().unwrap();
            let last = answer.chunks().pop().unwrap();
            assert_eq!((answer.status.as_u16(), answer.events().len()), (200, after + 1));
            assert_eq!((name.as_deref(), &last["type"]), (Some("error"), &json!("error")));
            let [own, _] = plain();
            let own = provider.send(with_fault(own, &fault)).await;
            assert_eq!((own.status.as_u16(), &own.json()["error"]), (200, &last["error"]));

            let answer = provider.send(with_fault(gemini(), &fault)).await;
            let chunks = answer.gemini_chunks();
            assert_eq!((answer.status.as_u16(), chunks.len()), (200, after + 1));
            let [_, own] = plain();
            let own = provider.send(with_fault(own, &fault)).await;
            assert_eq!((own.status.as_u16(), &own.json()), (200, &chunks[after]));
            let answer = provider.send(with_fault(array(), &fault)).await;
            let items: Vec<Value> = serde_json::from_str(&answer.text()).unwrap();
            assert_eq!((items.len(), &items[after]), (after + 1, &chunks[after]));
        }
    }
    let answer = provider.send(with_fault(anthropic(), "error-event=2")).await;
    assert_eq!(answer.chunks()[2]["error"]["type"], "api_error");
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_and_terminators_are_those_of_the_face() {
    let provider = provider(says("one"));
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    for (request, fault, text) in [
        (anthropic as fn() -> _, "only-pings", ping.repeat(3)),
        (anthropic, "only-done", stop.to_owned()),
        (anthropic, "empty", String::new()),
        (gemini, "only-pings", "\r\n".repeat(3)),
        (gemini, "only-done", String::new()),
        (gemini, "empty", String::new()),
        (array, "only-pings", "\r\n".repeat(3)),
        (array, "only-done", String::new()),
    ] {
        let answer = provider.send(with_fault(request(), fault)).await;
        assert_eq!((answer.status.as_u16(), answer.text(), answer.clean), (200, text, true), "{fault}");
    }
    for (request, ping) in [(anthropic as fn() -> _, ping), (gemini, "\r\n"), (array, "\r\n")] {
        let answer = provider.send(with_fault(request(), "slow-first-token=3500ms;pings=1s")).await;
        assert_eq!(
            answer.frames.iter().filter(|frame| *frame == ping).count(),
            if ping.len() > 2 { 4 } else { 3 }
        );
    }
    assert!(provider.send(anthropic()).await.text().ends_with(stop));
}

#[tokio::test(start_paused = true)]
async fn a_stream_breaks_after_just_so_many_chunks() {
    let provider = provider(says("one two three"));
    for after in 0..=3 {
        for kind in ["reset", "truncate"] {
            if (kind, after) == ("reset", 0) {
                continue;
            }
            let fault = format!("{kind}={after}");
            let clean = kind == "truncate";
            let answer = provider.send(with_fault(anthropic(), &fault)).await;
            assert_eq!((answer.events().len(), answer.clean), (after, clean), "{fault}");
            let answer = provider.send(with_fault(gemini(), &fault)).await;
            assert_eq!((answer.gemini_chunks().len(), answer.clean), (after, clean), "{fault}");
            let answer = provider.send(with_fault(array(), &fault)).await;
            assert_eq!(
                (answer.text().matches("responseId").count(), answer.clean),
                (after, clean),
                "{fault}"
            );
            assert!(serde_json::from_str::<Value>(&answer.text()).is_err(), "{fault}");
        }
    }
    for request in [anthropic, gemini, array] {
        assert!(provider.try_send(with_fault(request(), "reset=0")).await.is_err());
        let waiting = provider.try_send(with_fault(request(), "stall=0"));
        assert!(tokio::time::timeout(Duration::from_secs(3_600), waiting).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_comes_twice_or_shuffled_is_well_formed() {
    let provider = provider(says("one two three"));
    let answer = provider.send(with_fault(anthropic(), "duplicate")).await;
    assert!(answer.events().as_chunks::<2>().0.iter().all(|[first, second]| first == second));
    let answer = provider.send(with_fault(gemini(), "duplicate")).await;
    assert!(answer.gemini_chunks().as_chunks::<2>().0.iter().all(|[first, second]| first == second));
    let items = provider.send(with_fault(array(), "duplicate")).await.json();
    assert_eq!(items.as_array().unwrap().len(), 8);

    let said = |chunks: &[Value], at: &str| -> String {
        chunks.iter().filter_map(|chunk| chunk.pointer(at)?.as_str()).collect()
    };
    let events = provider.send(with_fault(anthropic(), "shuffle")).await.chunks();
    assert_eq!(said(&events, "/delta/text"), " twoone three");
    let chunks = provider.send(with_fault(gemini(), "shuffle")).await.gemini_chunks();
    assert_eq!(said(&chunks, "/candidates/0/content/parts/0/text"), " twoone three");
    let items = provider.send(with_fault(array(), "shuffle")).await.json();
    assert_eq!(said(items.as_array().unwrap(), "/candidates/0/content/parts/0/text"), " twoone three");
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_has_just_so_many_bytes_in_every_form() {
    let provider = provider(Script::default());
    let bound = json!({ "max_tokens": 5 });
    let answer = provider.send(with_fault(message(&bound), "large=100000")).await.json();
    assert_eq!(answer["content"][0]["text"].as_str().unwrap().len(), 100_000);
    assert_eq!(
        (&answer["usage"]["output_tokens"], &answer["stop_reason"]),
        (&json!(12_500), &json!("end_turn"))
    );
    let events = provider.send(with_fault(anthropic(), "large=100000")).await.chunks();
    let pieces = events.iter().filter_map(|event| event["delta"]["text"].as_str());
    assert_eq!(pieces.map(str::len).sum::<usize>(), 100_000);

    let [_, request] = plain();
    let answer = provider.send(with_fault(request, "large=100000")).await.json();
    assert_eq!(answer["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap().len(), 100_000);
    let chunks = provider.send(with_fault(gemini(), "large=100000")).await.gemini_chunks();
    let counts: Vec<_> =
        chunks.iter().map(|chunk| chunk["usageMetadata"]["candidatesTokenCount"].as_u64().unwrap()).collect();
    assert!(counts.is_sorted() && counts.last() == Some(&12_500));
    for request in [anthropic, gemini, array] {
        let mut body = provider.try_send(with_fault(request(), "large=1024Gi")).await.unwrap().into_body();
        let mut read = 0;
        while read < 1 << 20 {
            read += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn how_an_answer_comes_is_a_matter_of_no_face() {
    let provider = provider(says("one two three"));
    let [message, generation] = plain();
    for request in [message, generation, anthropic(), gemini(), array()] {
        let send = |fault| {
            let mut again = post(&request.uri().to_string(), &json!({}));
            (*again.headers_mut(), *again.body_mut()) = (request.headers().clone(), request.body().clone());
            provider.try_send(with_fault(again, fault))
        };
        let whole = Answer::read(send("none").await.unwrap()).await.text();
        let trickled = Answer::read(send("trickle=20ms").await.unwrap()).await;
        assert!(trickled.frames.iter().all(|frame| frame.len() == 1));
        // The ids differ, not their lengths.
        assert_eq!(trickled.frames.len(), whole.len());
        let zipped = send("gzip").await.unwrap();
        assert_eq!(zipped.headers()["content-encoding"], "gzip");
        let (mut coded, mut body, mut text) = (Vec::new(), zipped.into_body(), String::new());
        while let Some(frame) = body.frame().await {
            coded.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        flate2::read::GzDecoder::new(&*coded).read_to_string(&mut text).unwrap();
        assert_eq!(text.len(), whole.len());
        for (fault, kind) in [
            ("html", "text/html; charset=utf-8"),
            ("wrong-type", "text/plain"),
            ("not-json", "application/json"),
        ] {
            let answer = Answer::read(send(fault).await.unwrap()).await;
            assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, kind));
        }
        let answer = Answer::read(send("teapot").await.unwrap()).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("status=429;retry-after=7"));
    }
}

#[tokio::test(start_paused = true)]
async fn words_come_at_the_scripts_pace() {
    let provider = provider(Script { tokens_per_second: 100.try_into().ok(), ..says("a b c d e") });
    for request in [anthropic, gemini, array] {
        let begun = provider.mock.0.clock.now();
        provider.send(request()).await;
        assert_eq!(begun.elapsed().as_millis(), 50);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_for_a_key_finds_it_wherever_it_stands() {
    let provider = provider(says("ok"));
    let fault = "for-key=aaa;status=429";
    for (name, key) in
        [("x-api-key", "sk-aaa"), ("authorization", "Bearer sk-aaa"), ("x-goog-api-key", "sk-aaa")]
    {
        for mut request in [anthropic(), gemini()] {
            request.headers_mut().remove("authorization");
            request.headers_mut().insert(name, key.parse().unwrap());
            assert_eq!(provider.send(with_fault(request, fault)).await.status, 429, "{name}");
        }
    }
    let mut request = generate("gemini-x:generateContent?key=sk-aaa", &json!({}));
    request.headers_mut().remove("authorization");
    assert_eq!(provider.send(with_fault(request, fault)).await.status, 429);
    assert_eq!(provider.mock.seen().last().unwrap().key_ends(), Some("-aaa"));
    assert_eq!(provider.send(with_fault(anthropic(), fault)).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_api_is_refused_in_the_words_of_whom_it_was_sent_to() {
    let provider = provider(Script::default());
    let get = |path: &str| Request::get(path).body(Full::default()).unwrap();
    let body = provider.send(get("/v1/messages")).await;
    assert_eq!((body.status.as_u16(), &body.json()["type"]), (405, &json!("error")));
    let body = provider.send(get("/v1beta/files")).await;
    assert_eq!((body.status.as_u16(), &body.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
    for body in ["{", "[]"] {
        let raw = |mut request: Request<Full<Bytes>>| {
            *request.body_mut() = Full::from(body);
            request
        };
        let answer = provider.send(raw(message(&json!({})))).await;
        assert_eq!(answer.json()["error"]["message"], "The request body is not valid JSON");
        let answer = provider.send(raw(gemini())).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]["status"]),
            (400, &json!("INVALID_ARGUMENT"))
        );
    }
    let large = |path: &str| Request::post(path).body(Full::from(vec![b' '; BODY + 1])).unwrap();
    let body = provider.send(large("/v1/messages")).await;
    assert_eq!((body.status.as_u16(), &body.json()["error"]["type"]), (413, &json!("request_too_large")));
    let body = provider.send(large("/v1beta/models/m:generateContent")).await;
    assert_eq!((body.status.as_u16(), &body.json()["error"]["status"]), (413, &json!("INVALID_ARGUMENT")));
}
