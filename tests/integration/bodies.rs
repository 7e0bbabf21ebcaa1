//! What happens to bodies: kept byte for byte but for what policy edits, or refused with nothing forwarded.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use serde_json::json;

use crate::support::*;

/// Odd on purpose: order, spacing, escapes, unknown fields, numbers that no parser keeps.
const ODD: &str = "{ \"zeta\" : 1.00e2,\"messages\":[ {\"content\":\"h\\u0069 \\ud83d\\ude00 <b>\", \"role\":\"user\"} ],\n\t\"model\" : \"MODEL\" , \"big\":12345678901234567890123, \"x\":{\"model\":\"inner\"} }\n";

/// `m` at provider `p` under its own name, and `renamed` under another.
fn policy(more: &str) -> String {
    format!(
        "providers: {{ p: {{ mock: {{ says: \"fine words\" }} {more} }} }}\n\
         models: {{ m: {{ provider: p }}, renamed: {{ provider: p, name: vendor/m-2026 }} }}\n{ANYONE}"
    )
}

fn body_seen(proxy: &Proxy) -> String {
    let seen = proxy.seen("p").pop().expect("a call");
    String::from_utf8(seen.body.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn peer_bug_29_a_body_reaches_the_provider_byte_for_byte() {
    let proxy = proxy(&policy(""));
    let sent = ODD.replace("MODEL", "m");
    assert_eq!(proxy.chat("m").body(sent.clone()).await.status, 200);
    assert_eq!(body_seen(&proxy), sent);
}

#[tokio::test(start_paused = true)]
async fn peer_bug_29_only_the_models_name_is_edited_in_place() {
    let proxy = proxy(&policy(""));
    let answer = proxy.chat("m").body(ODD.replace("MODEL", "ren\\u0061med")).await;
    assert_eq!((answer.status, answer.header("x-egret-model")), (200, Some("renamed")));
    assert_eq!(body_seen(&proxy), ODD.replace("MODEL", "vendor/m-2026"));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_gets_the_callers_body_not_the_first_targets() {
    let policy = "providers: { p1: { mock: { faults: [empty] } }, p: { mock: {} } }\n\
         models: { m1: { provider: p1, name: vendor/one }, m2: { provider: p, name: vendor/two } }\n\
         routes: { chat: { targets: [{ model: m1 }, { model: m2 }] } }\n";
    let proxy = proxy(&format!("{policy}{ANYONE}"));
    assert_eq!(proxy.chat("chat").body(ODD.replace("MODEL", "chat")).await.status, 200);
    assert_eq!(proxy.seen("p1")[0].body, ODD.replace("MODEL", "vendor/one"));
    assert_eq!(body_seen(&proxy), ODD.replace("MODEL", "vendor/two"));
}

/// In real time, as all tests with a provider on a socket.
#[tokio::test]
async fn an_answer_reaches_the_caller_byte_for_byte() {
    let body = "{\"choices\" : [ ] ,\"odd\":1.00e2, \"id\":\"\\u0041\"}\n\n";
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}] ,\"odd\":1.0}\n\n: ping\n\nevent: x\nid: 7\ndata: {}\n\ndata: [DONE]\n\n";
    let plain = Raw::answers(canned("content-type: application/json\r\n", body)).await;
    let streamed = Raw::answers(canned("content-type: text/event-stream\r\n", stream)).await;
    assert_eq!(proxy(&plain.policy("")).chat("m").await.raw(), body);
    let answer = proxy(&streamed.policy(", streamUsage: never")).stream("m").await;
    assert_eq!(answer.raw(), stream);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert!(!streamed.asked()[0].contains("include_usage"), "`never` asks for none");
}

#[tokio::test]
async fn a_large_plain_answer_is_passed_on_beyond_what_is_held() {
    let text = "x".repeat(9 << 20);
    let body = format!("{{\"choices\":[{{\"message\":{{\"content\":\"{text}\"}}}}]}}");
    let raw = Raw::answers(canned("content-type: application/json\r\n", &body)).await;
    let proxy = proxy(&raw.policy(""));
    let answer = proxy.chat("m").await;
    assert_eq!((answer.status, answer.broken, answer.body.len()), (200, false, body.len()));
    assert!(answer.body == body);
    let record = proxy.record();
    assert_eq!((&record["outcome"], &record["bytes_out"]), (&"answered".into(), &body.len().into()));
    assert_eq!(proxy.state.shared.budget.used(), 0);
}

#[tokio::test]
async fn a_large_plain_answer_that_is_cut_has_no_clean_end() {
    let text = "x".repeat(9 << 20);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99000000\r\n\r\n";
    let raw = Raw::answers(format!("{head}{{\"choices\":\"{text}")).await;
    let proxy = proxy(&raw.policy(""));
    let answer = proxy.chat("m").await;
    assert_eq!((answer.status, answer.broken), (200, true), "it must not look complete");
    assert_eq!(proxy.record()["outcome"], "stream_interrupted");
}

#[tokio::test]
async fn what_is_no_answer_is_not_passed_on() {
    let json = "content-type: application/json\r\n";
    for (what, bytes) in [
        (
            "a redirect",
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
                .into(),
        ),
        ("a compressed answer", canned(&format!("{json}content-encoding: gzip\r\n"), "\u{1f}")),
        ("no JSON", canned(json, "hello")),
        ("cut JSON", canned(json, "{\"choices\":[")),
        ("blank", canned(json, "  \n")),
        ("another type", canned("content-type: text/plain\r\n", "{\"choices\":[]}")),
        ("an error in a 200", canned(json, "{\"error\":{\"message\":\"no\"}}")),
        ("not HTTP", "220 smtp ready\r\n".into()),
    ] {
        let raw = Raw::answers(bytes).await;
        let answer = proxy(&raw.policy("")).chat("m").await;
        assert!([502, 503].contains(&answer.status), "{what}: {}", answer.status);
        assert!(["upstream_failed", "no_provider_available"].contains(&answer.code().as_str()), "{what}");
        assert_eq!(raw.asked().len(), 1, "{what}: redirects are not followed");
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_09_the_usage_of_a_stream_is_asked_for_noted_and_hidden_from_a_caller_that_did_not_ask() {
    let proxy = proxy(&policy(""));
    let answer = proxy.stream("m").await;
    assert!(body_seen(&proxy).contains("\"stream_options\":{\"include_usage\":true}"));
    assert!(!answer.raw().contains("usage\":{"), "{}", answer.raw());
    assert!(answer.events().iter().all(|event| event["choices"][0].is_object()), "{}", answer.raw());
    assert!(answer.is_done());
    assert_eq!(answer.text(), "fine words");
    let usage = proxy.record()["usage"].clone();
    assert_eq!((&usage["total_input"], &usage["total_output"]), (&1.into(), &2.into()));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_asks_for_usage_gets_it_and_its_body_stays_as_it_was() {
    let proxy = proxy(&policy(""));
    let body = json!({ "model": "m", "stream": true, "stream_options": { "include_usage": true }, "messages": [{ "role": "user", "content": "hi" }] });
    let answer = proxy.stream("m").body(body.to_string()).await;
    assert_eq!(body_seen(&proxy), body.to_string());
    assert_eq!(answer.events().last().unwrap()["usage"]["total_tokens"], 3);
    assert_eq!(proxy.record()["usage"]["total"], 3);
}

#[tokio::test(start_paused = true)]
async fn peer_bug_10_the_usage_of_every_operation_is_noted() {
    let proxy = proxy(&policy(""));
    for (path, body, total) in [
        ("chat/completions", r#"{"model":"m","messages":[{"role":"user","content":"one two three"}]}"#, 5),
        ("completions", r#"{"model":"m","prompt":"one two"}"#, 4),
        ("completions", r#"{"model":"m","prompt":"one two","stream":true}"#, 4),
        ("embeddings", r#"{"model":"m","input":"one two"}"#, 2),
        ("responses", r#"{"model":"m","input":"one two"}"#, 4),
        ("responses", r#"{"model":"m","input":"one two","stream":true}"#, 4),
    ] {
        assert_eq!(proxy.post(&format!("/v1/{path}"), body).await.status, 200, "{path}");
        assert_eq!(proxy.record()["usage"]["total"], total, "{path} {body}");
    }
}

/// In real time, as all tests with a provider on a socket.
#[tokio::test]
async fn peer_bug_10_cached_and_reasoning_tokens_are_parts_and_not_extra() {
    let body = r#"{"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
        "prompt_tokens_details":{"cached_tokens":80},"completion_tokens_details":{"reasoning_tokens":30}}}"#;
    let raw = Raw::answers(canned("content-type: application/json\r\n", body)).await;
    let proxy = proxy(&raw.policy(""));
    proxy.chat("m").await;
    let usage = proxy.record()["usage"].clone();
    let expected = json!({ "input": 20, "cache_read": 80, "output": 20, "reasoning": 30,
        "total_input": 100, "total_output": 50, "total": 150 });
    assert_eq!(usage, expected);
}

/// Asks and expects a refusal, with nothing forwarded and nothing held.
async fn refused(proxy: &Proxy, ask: Ask<'_>, status: u16, code: &str, what: &str) -> Answer {
    let before = proxy.seen("p").len();
    let answer = ask.await;
    assert_eq!(answer.refused(), (status, code.into()), "{what}");
    assert!(answer.json()["error"]["type"].is_string(), "{what}: an SDK reads it");
    assert_eq!(proxy.seen("p").len(), before, "{what}: nothing is forwarded");
    assert_eq!(proxy.state.shared.budget.used(), 0, "{what}");
    answer
}

#[tokio::test(start_paused = true)]
async fn a_body_that_readers_understand_differently_is_refused() {
    let proxy = proxy(&policy(""));
    for (body, param) in [
        (r#"{"model":"m","model":"renamed","messages":[]}"#, "model"),
        (r#"{"model":"m","mod\u0065l":"renamed","messages":[]}"#, "model"),
        (r#"{"model":"m","Model":"renamed","messages":[]}"#, "model"),
        (r#"{"model":7,"messages":[]}"#, "model"),
        (r#"{"model":null,"messages":[]}"#, "model"),
        (r#"{"model":["m"],"messages":[]}"#, "model"),
        (r#"{"messages":[]}"#, "model"),
        (r#"{"model":"m","stream":"true","messages":[]}"#, "stream"),
        (r#"{"model":"m","stream":false,"stream":true,"messages":[]}"#, "stream"),
    ] {
        let answer = refused(&proxy, proxy.chat("m").body(body), 400, "invalid_request", body).await;
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_json_object_is_refused() {
    let proxy = proxy(&policy(""));
    let deep = format!("{{\"model\":\"m\",\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for body in [
        "",
        "{",
        "[]",
        "\"m\"",
        "{\"model\":\"m\"",
        "{\"model\":\"m\"}}",
        "{'model':'m'}",
        "{\"model\":\"m\",}",
        deep.as_str(),
    ] {
        refused(&proxy, proxy.chat("m").body(body.to_owned()), 400, "invalid_json", body).await;
    }
    refused(&proxy, proxy.chat("m").body(&b"{\"model\":\"m\xff\"}"[..]), 400, "invalid_json", "not UTF-8")
        .await;
}

#[tokio::test(start_paused = true)]
async fn another_content_type_and_compressed_bodies_are_refused() {
    let proxy = proxy(&policy(""));
    let post = || proxy.untyped("/v1/chat/completions");
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonl"]
    {
        refused(&proxy, post().header("content-type", kind).body(body), 415, "unsupported_media_type", kind)
            .await;
    }
    refused(&proxy, post().body(body), 415, "unsupported_media_type", "none").await;
    for encoding in ["gzip", "br", "zstd"] {
        let ask = proxy.chat("m").header("content-encoding", encoding);
        refused(&proxy, ask, 415, "unsupported_media_type", encoding).await;
    }
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(post().header("content-type", kind).body(body).await.status, 200, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_20_a_body_up_to_its_cap_passes_and_one_beyond_is_a_413() {
    let sized = |bytes: usize| {
        let mut body = br#"{"model":"m","messages":[{"role":"user","content":""#.to_vec();
        body.resize(bytes - 4, b'x');
        body.extend_from_slice(b"\"}]}");
        body
    };
    let proxy = Start { max_body: 1 << 20, ..Start::default() }.proxy(&policy(""));
    assert_eq!(proxy.chat("m").body(sized(1 << 20)).await.status, 200);
    let answer =
        refused(&proxy, proxy.chat("m").body(sized((1 << 20) + 1)), 413, "request_too_large", "declared")
            .await;
    assert!(answer.message().contains("--max-body"), "{}", answer.message());
    let chunked = Pieces(sized(3 << 19).into());
    let opened = proxy.chat("m").open_with(chunked).await;
    assert_eq!(opened.status, 413, "undeclared");
    drop(opened);

    // Images are this large: the default takes them.
    let roomy = Start::default().proxy(&policy(""));
    assert_eq!(roomy.chat("m").body(sized(20 << 20)).await.status, 200);
}

/// Bytes in pieces, of an undeclared length.
struct Pieces(Bytes);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let size = self.0.len().min(1 << 16);
        let piece = self.0.split_to(size);
        Poll::Ready((size > 0).then(|| Ok(Frame::data(piece))))
    }
}

#[tokio::test(start_paused = true)]
async fn beyond_what_the_process_may_hold_a_body_is_a_503_and_room_comes_back() {
    let start = Start { max_buffered: 3000, ..Start::default() };
    let proxy = start.proxy(&policy("").replace("says:", "latency: 1s, says:"));
    let long =
        json!({ "model": "m", "messages": [{ "role": "user", "content": "x".repeat(1200) }] }).to_string();
    let answers = all((0..3).map(|_| proxy.chat("m").body(long.clone()))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 503]);
    assert_eq!(answers[2].code(), "overloaded");
    assert_eq!(answers[2].header("retry-after"), Some("1"));
    assert_eq!(proxy.seen("p").len(), 2);
    assert_eq!(proxy.state.shared.budget.used(), 0);
    assert_eq!(proxy.chat("m").body(long).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn fields_that_choose_past_the_policy_are_refused_unless_forwarded() {
    let guarded = [
        r#""models":["other"]"#,
        r#""fallbacks":["other"]"#,
        r#""route":"fallback""#,
        r#""provider":{}"#,
        r#""api_base":"http://127.0.0.1:1""#,
        r#""m\u006fdels":["other"]"#,
    ];
    let with = |field: &str| {
        format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}],{field}}}")
    };
    let strict = proxy(&policy(""));
    for field in guarded {
        let answer =
            refused(&strict, strict.chat("m").body(with(field)), 400, "field_not_allowed", field).await;
        assert!(answer.json()["error"]["param"].is_string(), "{field}");
    }
    let names = "models, fallbacks, route, provider, api_base";
    let open = proxy(&policy(&format!(", forward: [{names}]")));
    for field in guarded {
        assert_eq!(open.chat("m").body(with(field)).await.status, 200, "{field}");
        assert_eq!(body_seen(&open), with(field));
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_forward_a_field_is_passed_over_for_one_that_does() {
    let policy = chain(&["ok", "ok"]).replace("p2: {", "p2: { forward: [models],");
    let proxy = proxy(&policy);
    let body = r#"{"model":"chat","models":["a"],"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(proxy.chat("chat").body(body).await.text(), "hello from p2");
    assert_eq!(proxy.seen("p1").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_builds_on_something_kept_at_a_provider_stays_at_the_first_target() {
    let stateful = [
        r#""previous_response_id":"resp_1""#,
        r#""conversation":"conv_1""#,
        r#""background":true"#,
        r#""store":true"#,
    ];
    let with = |field: &str| format!("{{\"model\":\"chat\",\"input\":\"hi\",{field}}}");
    for field in stateful {
        let proxy = proxy(&chain(&["{ status: { code: 503 } }", "ok"]));
        let answer = proxy.post("/v1/responses", with(field)).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (503, "server_is_overloaded"),
            "{field}: its own error"
        );
        assert_eq!(answer.header("x-egret-attempts"), Some("1"));
        assert_eq!(proxy.seen("p2").len(), 0, "{field}");
    }
    for field in [r#""previous_response_id":null"#, r#""store":false"#, r#""background":false"#] {
        let proxy = proxy(&chain(&["{ status: { code: 503 } }", "ok"]));
        let answer = proxy.post("/v1/responses", with(field)).await;
        assert_eq!((answer.status, answer.header("x-egret-provider")), (200, Some("p2")), "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_less_than_two_pages() {
    // It is moved once for every call; what is larger is moved by a slower way.
    let room = proxy(&chain(&["ok"])).room_of_a_call();
    assert!(room < 8192, "{room} bytes");
}
