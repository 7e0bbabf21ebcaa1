//! Each fault, as a stream and as a plain answer, and what the log says of it.

use super::*;

const CHAT: &str = "/v1/chat/completions";

fn plain() -> Request<Full<Bytes>> {
    post(CHAT, &chat(&json!({})))
}

fn stream() -> Request<Full<Bytes>> {
    post(CHAT, &chat(&json!({ "stream": true })))
}

fn endings(provider: &Provider) -> Vec<Ending> {
    provider.mock.seen().iter().map(|seen| seen.ending).collect()
}

#[tokio::test(start_paused = true)]
async fn faults_take_turns_and_a_header_takes_none() {
    let status = Fault::Status { status: 500, retry_after: None };
    let provider = provider(faults(&[status, Fault::None]));
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(provider.send(plain()).await.status.as_u16());
        statuses.push(provider.send(with_fault(plain(), "status=418")).await.status.as_u16());
        statuses.push(provider.send(plain()).await.status.as_u16());
    }
    assert_eq!(statuses, [500, 418, 200, 500, 418, 200]);
}

#[tokio::test(start_paused = true)]
async fn a_header_that_names_no_fault_is_a_400_that_says_what_does() {
    let answer = provider(Script::default()).send(with_fault(plain(), "teapot")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("status=429;retry-after=7"));
}

#[tokio::test(start_paused = true)]
async fn a_script_that_changes_changes_the_next_answer() {
    let script = Arc::new(parking_lot::Mutex::new(Arc::new(says("before"))));
    let asked = Arc::clone(&script);
    let provider = Provider { mock: Mock::new(move || asked.lock().clone()), tasks: Tasks::new() };
    assert!(provider.send(plain()).await.text().contains("before"));
    *script.lock() = Arc::new(says("after"));
    assert!(provider.send(plain()).await.text().contains("after"));
}

#[tokio::test(start_paused = true)]
async fn an_error_status_has_the_providers_body_for_it() {
    let provider = provider(Script::default());
    let cases = [
        ("status=400", 400, "invalid_request_error", json!("unsupported_value")),
        ("status=401", 401, "invalid_request_error", json!("invalid_api_key")),
        ("status=402", 402, "insufficient_quota", json!("credit_balance_exhausted")),
        ("status=404", 404, "invalid_request_error", json!("model_not_found")),
        ("status=429;retry-after=7", 429, "rate_limit_error", json!("rate_limit_exceeded")),
        ("status=500", 500, "server_error", Value::Null),
        ("status=503", 503, "service_unavailable_error", json!("server_is_overloaded")),
        ("status=529", 529, "server_error", Value::Null),
        ("error=context_length_exceeded", 400, "invalid_request_error", json!("context_length_exceeded")),
        ("error=content_filter", 400, "invalid_request_error", json!("content_filter")),
        ("error=insufficient_quota", 429, "insufficient_quota", json!("insufficient_quota")),
        ("error=credit_balance_exhausted", 429, "insufficient_quota", json!("credit_balance_exhausted")),
        ("error=rate_limit_exceeded", 429, "rate_limit_error", json!("rate_limit_exceeded")),
    ];
    for (fault, status, kind, code) in cases {
        let answer = provider.send(with_fault(stream(), fault)).await;
        let error = &answer.json()["error"];
        assert_eq!(answer.status, status, "{fault}");
        assert_eq!((&error["type"], &error["code"]), (&json!(kind), &code), "{fault}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let answer = provider.send(with_fault(stream(), "status=429;retry-after=7")).await;
    assert_eq!(answer.header("retry-after"), "7");
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "0");
    assert_eq!(answer.header("x-ratelimit-reset-requests"), "7s");
    assert_eq!(provider.send(with_fault(stream(), "status=429")).await.header("retry-after"), "");
}

#[tokio::test(start_paused = true)]
async fn a_reset_before_the_head_sends_no_byte() {
    let provider = provider(faults(&[Fault::Reset { after_chunks: 0 }]));
    let error = provider.try_send(stream()).await.unwrap_err();
    assert!(error.is_incomplete_message(), "{error:?}");
    assert!(provider.try_send(plain()).await.is_err());
    assert_eq!(endings(&provider), [Ending::Cut, Ending::Cut]);
}

#[tokio::test(start_paused = true)]
async fn a_reset_after_chunks_sends_just_these_and_no_end() {
    for after_chunks in 1..=6 {
        let provider = provider(faults(&[Fault::Reset { after_chunks }]));
        let answer = provider.send(stream()).await;
        assert_eq!(answer.events().len(), after_chunks as usize);
        assert!(!answer.clean);
        assert_eq!(endings(&provider), [Ending::Cut]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_shorter_than_its_fault_ends_properly() {
    for fault in ["reset=7", "stall=7", "error-event=7"] {
        let provider = provider(says("one two three"));
        let answer = provider.send(with_fault(stream(), fault)).await;
        assert!(answer.clean && answer.is_done(), "{fault}");
        assert_eq!(endings(&provider), [Ending::Complete]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_answer_is_cut_in_the_middle_of_its_body() {
    let provider = provider(faults(&[Fault::Reset { after_chunks: 1 }]));
    let answer = provider.send(plain()).await;
    let length: usize = answer.header("content-length").parse().unwrap();
    assert_eq!((answer.text().len(), answer.clean), (length / 2, false));
    assert_eq!(endings(&provider), [Ending::Cut]);
}

#[tokio::test(start_paused = true)]
async fn a_reset_after_the_head_sends_the_head_and_no_byte_of_the_body() {
    for request in [plain, stream] {
        let provider = provider(faults(&[Fault::ResetAfterHead]));
        let response = provider.try_send(request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let answer = Answer::read(response).await;
        assert_eq!((answer.frames.len(), answer.clean), (0, false));
        assert_eq!(endings(&provider), [Ending::Cut]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_after_the_head_sends_the_head_and_ends_when_the_client_leaves() {
    for request in [plain, stream] {
        let provider = provider(faults(&[Fault::StallAfterHead]));
        let mut body = provider.try_send(request()).await.unwrap().into_body();
        assert!(tokio::time::timeout(Duration::from_secs(3600), body.frame()).await.is_err());
        assert_eq!(endings(&provider), [Ending::Open]);
        drop(body);
        provider.tasks.wait().await;
        assert_eq!(endings(&provider), [Ending::Left]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_truncated_answer_ends_as_if_it_were_complete() {
    for after_chunks in 0..=5 {
        let provider = provider(faults(&[Fault::Truncate { after_chunks }]));
        let answer = provider.send(stream()).await;
        assert_eq!((answer.events().len(), answer.clean), (after_chunks as usize, true));
        assert!(!answer.is_done());
        assert_eq!(endings(&provider), [Ending::Complete]);
    }
    let provider = provider(says("one two three"));
    let whole = provider.send(plain()).await.text();
    let answer = provider.send(with_fault(plain(), "truncate=2")).await;
    assert_eq!(answer.text().len(), whole.len() / 2);
    assert_eq!(
        (answer.header("content-length"), answer.clean),
        ((whole.len() / 2).to_string().as_str(), true)
    );
    assert!(serde_json::from_str::<Value>(&answer.text()).is_err());
    assert_eq!(endings(&provider), [Ending::Complete; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_stall_before_the_head_ends_when_the_client_leaves() {
    for request in [plain, stream] {
        let provider = provider(faults(&[Fault::Stall { after_chunks: 0 }]));
        let waiting = provider.try_send(request());
        assert!(tokio::time::timeout(Duration::from_secs(3600), waiting).await.is_err());
        provider.tasks.wait().await;
        assert_eq!(endings(&provider), [Ending::Left]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_after_chunks_ends_when_the_client_leaves() {
    for (request, stall) in [(plain as fn() -> _, 1), (stream, 2)] {
        let provider = provider(faults(&[Fault::Stall { after_chunks: stall }]));
        let response = provider.try_send(request()).await.unwrap();
        let mut body = response.into_body();
        let mut text = String::new();
        let reading = async {
            while let Some(frame) = body.frame().await {
                text += std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap();
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(3600), reading).await.is_err());
        assert!(!text.is_empty() && text.matches("data:").count() <= 2);
        assert_eq!(endings(&provider), [Ending::Open]);
        drop(body);
        provider.tasks.wait().await;
        assert_eq!(endings(&provider), [Ending::Left]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_event_breaks_a_stream_from_within() {
    let provider = provider(faults(&[Fault::ErrorEvent { after_chunks: 2, code: None }]));
    let answer = provider.send(stream()).await;
    let chunks = answer.chunks();
    assert_eq!((answer.status, chunks.len(), answer.is_done()), (StatusCode::OK, 3, false));
    let expected = json!({ "error": { "message": null, "type": null, "param": null, "code": null } });
    assert_eq!(keys(&chunks[2]), expected);
    assert!(answer.clean);
    let answer = provider.send(plain()).await;
    assert_eq!((answer.status, keys(&answer.json())), (StatusCode::OK, expected));
}

#[tokio::test(start_paused = true)]
async fn an_error_event_of_responses_is_named_and_numbered() {
    let provider = provider(faults(&[Fault::ErrorEvent { after_chunks: 5, code: None }]));
    let ask = json!({ "model": "m", "input": "hi", "stream": true });
    let answer = provider.post("/v1/responses", &ask).await;
    let (name, _) = answer.events().pop().unwrap();
    let last = answer.chunks().pop().unwrap();
    assert_eq!(name.as_deref(), Some("error"));
    assert_eq!((&last["type"], &last["sequence_number"]), (&json!("error"), &json!(5)));
    assert_eq!(last["error"]["code"], "server_error");
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_a_200_carries_any_code() {
    let provider = provider(says("one two three"));
    for code in ErrorCode::ALL {
        let fault = format!("error-event=2;code={}", code.as_str());
        let answer = provider.send(with_fault(stream(), &fault)).await;
        let chunks = answer.chunks();
        assert_eq!((answer.status, chunks.len()), (StatusCode::OK, 3));
        let own = provider.send(with_fault(plain(), &format!("error={}", code.as_str()))).await;
        assert_eq!(chunks[2], own.json());
        let answer = provider.send(with_fault(plain(), &fault)).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, own.json()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_is_a_200_of_its_kind_with_nothing_in_it() {
    let provider = provider(faults(&[Fault::Empty]));
    let answer = provider.send(stream()).await;
    assert_eq!((answer.status, answer.text().as_str(), answer.clean), (StatusCode::OK, "", true));
    assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(answer.header("transfer-encoding"), "chunked");
    let answer = provider.send(plain()).await;
    assert_eq!((answer.status, answer.header("content-length")), (StatusCode::OK, "0"));
    assert_eq!(endings(&provider), [Ending::Complete; 2]);
}

#[tokio::test(start_paused = true)]
async fn html_is_a_200_with_a_page() {
    let provider = provider(faults(&[Fault::Html]));
    for request in [plain(), stream()] {
        let answer = provider.send(request).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert!(answer.text().starts_with("<!DOCTYPE html>"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_comments_or_of_its_last_event_alone_is_a_200_without_an_answer() {
    let provider = provider(says("one two three"));
    let cases = [
        ("only-pings", ": keep-alive\n\n".repeat(3), "\n\n\n"),
        ("only-done", "data: [DONE]\n\n".into(), ""),
    ];
    for (fault, events, text) in cases {
        let answer = provider.send(with_fault(stream(), fault)).await;
        assert_eq!((answer.status, answer.text(), answer.clean), (StatusCode::OK, events, true), "{fault}");
        assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8");
        let answer = provider.send(with_fault(plain(), fault)).await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, text), "{fault}");
        assert_eq!(answer.header("content-length"), text.len().to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn what_calls_itself_json_and_is_none_is_a_200() {
    let provider = provider(faults(&[Fault::NotJson]));
    for request in [plain(), stream()] {
        let answer = provider.send(request).await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "oops"));
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_under_a_wrong_type_is_good() {
    let provider = provider(faults(&[Fault::WrongType]));
    let answer = provider.send(stream()).await;
    assert_eq!((answer.header("content-type"), answer.is_done()), ("text/plain", true));
    let answer = provider.send(plain()).await;
    assert_eq!(answer.header("content-type"), "text/plain");
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "one two three");
}

#[tokio::test(start_paused = true)]
async fn a_redirect_leads_to_another_address() {
    let provider = provider(faults(&[Fault::Redirect]));
    for request in [plain(), stream()] {
        let answer = provider.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (307, ""));
        assert_eq!(answer.header("location"), "http://elsewhere.invalid/v1/chat/completions");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_for_a_key_strikes_no_other() {
    let provider = provider(Script::default());
    let ask = |name: &'static str, key: &str| {
        let mut request = with_fault(plain(), "for-key=aaa;status=429;retry-after=7");
        request.headers_mut().remove("authorization");
        request.headers_mut().insert(name, key.parse().unwrap());
        request
    };
    for (name, key, status) in [
        ("authorization", "Bearer sk-aaa", 429),
        ("authorization", "Bearer sk-bbb", 200),
        ("api-key", "sk-aaa", 429),
        ("api-key", "aaab", 200),
        ("x-other", "aaa", 200),
    ] {
        let answer = provider.send(ask(name, key)).await;
        assert_eq!(answer.status, status, "{name}: {key}");
        assert_eq!(answer.header("retry-after"), if status == 429 { "7" } else { "" });
    }
    let ends: Vec<_> = provider.mock.seen().iter().map(|seen| seen.key_ends().map(str::to_owned)).collect();
    assert_eq!(
        ends,
        [Some("-aaa"), Some("-bbb"), Some("-aaa"), None, None].map(|end| end.map(str::to_owned))
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_comes_late_on_top_of_the_latency() {
    let provider = provider(Script { latency: Duration::from_millis(10), ..says("hi") });
    let begun = provider.mock.0.clock.now();
    let answer = provider.send(with_fault(plain(), "slow-head=1500ms")).await;
    assert_eq!((answer.status.as_u16(), begun.elapsed().as_millis()), (200, 1_510));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_a_slow_stream_is_seen_leaving() {
    let script = Script { tokens_per_second: 1.try_into().ok(), ..says("one two three") };
    let provider = provider(script);
    let mut body = provider.try_send(stream()).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    settle().await;
    assert_eq!(endings(&provider), [Ending::Left]);
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_is_kept_as_it_came() {
    let provider = provider(Script::default());
    provider.send(post("/base/v1/chat/completions?api-version=1", &chat(&json!({})))).await;
    provider.send(Request::post(CHAT).body(Full::default()).unwrap()).await;
    let seen = provider.mock.seen();
    assert_eq!(seen[0].path, "/base/v1/chat/completions?api-version=1");
    assert_eq!(seen[0].header("authorization"), Some("Bearer any"));
    assert_eq!(serde_json::from_slice::<Value>(&seen[0].body).unwrap(), chat(&json!({})));
    assert_eq!(seen[1].header("authorization"), None);
    assert_eq!(endings(&provider), [Ending::Complete; 2]);
}

#[tokio::test(start_paused = true)]
async fn over_http2_a_cut_resets_the_stream_and_a_leaving_client_is_seen() {
    let provider = provider(faults(&[Fault::Reset { after_chunks: 2 }, Fault::Stall { after_chunks: 2 }]));
    let mut sender = connect_h2(&provider).await;
    let request = || {
        let mut request = stream();
        *request.uri_mut() = http::Uri::from_static("http://mock/v1/chat/completions");
        request.headers_mut().remove("host");
        request
    };
    let answer = Answer::read(sender.send_request(request()).await.unwrap()).await;
    assert_eq!((answer.events().len(), answer.clean), (2, false));
    let mut body = sender.send_request(request()).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    settle().await;
    assert_eq!(endings(&provider), [Ending::Cut, Ending::Left]);
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_cap_is_a_413() {
    let request = Request::post(CHAT).body(Full::from(vec![b' '; BODY + 1])).unwrap();
    assert_eq!(provider(Script::default()).send(request).await.status, 413);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_connection_leaves_no_task_behind() {
    let provider = provider(faults(&[Fault::Stall { after_chunks: 0 }, Fault::Stall { after_chunks: 1 }]));
    let mut sender = connect_h2(&provider).await;
    for _ in 0..2 {
        let mut request = stream();
        *request.uri_mut() = http::Uri::from_static("http://mock/v1/chat/completions");
        request.headers_mut().remove("host");
        let waiting = tokio::time::timeout(Duration::from_secs(60), sender.send_request(request));
        drop(waiting.await.map(|answer| answer.unwrap()));
    }
    drop(sender);
    provider.tasks.wait().await;
    provider.mock.0.tasks.wait().await;
    assert_eq!(endings(&provider), [Ending::Left, Ending::Left]);
}
