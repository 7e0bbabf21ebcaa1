//! Streams that take long to begin are kept alive, and what becomes of them follows in the stream.

use std::time::Duration;

use egret::clock::Instant;
use serde_json::{Value, json};

use crate::support::*;

const PING: &str = ": keep-alive\n\n";

/// A policy of [`chain`] whose route gives its targets this long, and keeps streams alive after 5 s, every 3 s.
fn kept(faults: &[&str], timeouts: &str) -> String {
    let more = format!("keepAlive: {{ after: 5s, every: 3s }}, timeouts: {{ {timeouts} }}, targets");
    chain(faults).replace("chat: { targets", &format!("chat: {{ {more}"))
}

const SILENT: &str = "{ stall: { afterChunks: 0 } }";

fn responses(proxy: &Proxy) -> Ask<'_> {
    proxy.post("/v1/responses", json!({ "model": "chat", "input": "hi", "stream": true }).to_string())
}

/// What came, and after how long each piece.
async fn pieces(mut opened: Opened, begun: Instant) -> Vec<(Duration, String)> {
    let mut pieces = Vec::new();
    while let Some(bytes) = opened.next().await {
        pieces.push((begun.elapsed(), String::from_utf8(bytes.into()).unwrap()));
    }
    pieces
}

fn joined(pieces: &[(Duration, String)]) -> String {
    pieces.iter().map(|(_, text)| text.as_str()).collect()
}

/// What a chat said behind its comments.
fn said(text: &str) -> String {
    let events = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let words = events.map(|data| serde_json::from_str::<Value>(data).unwrap());
    words
        .map(|event| event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn peer_bug_19_a_stream_that_does_not_begin_is_kept_alive_while_the_next_target_is_tried() {
    let proxy = proxy(&kept(&[SILENT, "ok"], "firstToken: 19s"));
    let begun = Instant::now();
    let opened = proxy.stream("chat").open().await;
    assert_eq!(begun.elapsed(), secs(5), "the head does not wait for an answer");
    assert_eq!(opened.status, 200);
    let header = |name: &str| opened.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("content-type"), Some("text/event-stream"));
    assert_eq!(header("cache-control"), Some("no-cache"));
    assert!(header("x-request-id").is_some());
    assert_eq!((header("x-egret-model"), header("x-egret-attempts")), (None, None), "nobody knows yet");

    let pieces = pieces(opened, begun).await;
    let text = joined(&pieces);
    let pings: Vec<_> = pieces.iter().filter(|(_, text)| text == PING).map(|(at, _)| at.as_secs()).collect();
    assert_eq!(pings, [5, 8, 11, 14, 17]);
    let (at, _) = pieces.iter().find(|(_, text)| text.contains("data: ")).unwrap();
    assert_eq!(at.as_secs(), 19, "the answer is not held up");
    assert_eq!(said(&text), "hello from p2");
    assert!(text.ends_with("data: [DONE]\n\n") && text.matches("[DONE]").count() == 1, "{text}");
    let record = proxy.record();
    assert_eq!((&record["status"], &record["outcome"]), (&json!(200), &json!("answered")));
    assert_eq!(
        (&record["model"], &record["attempts"][0]["outcome"]),
        (&json!("m2"), &json!("first_token_timeout"))
    );
    assert_eq!(record["bytes_out"], text.replace(PING, "").len());
}

#[tokio::test(start_paused = true)]
async fn the_answer_behind_the_comments_is_the_providers_to_its_end() {
    let fault = "{ slowFirstToken: { delay: 12s, pings: 1s } }";
    let policy = kept(&[fault], "firstToken: 20s").replace("mock: {", "mock: { tokensPerSecond: 1,");
    let proxy = proxy(&policy);
    let begun = Instant::now();
    let pieces = pieces(proxy.stream("chat").open().await, begun).await;
    assert_eq!(said(&joined(&pieces)), "hello from p1");
    assert_eq!(pieces.last().unwrap().0, secs(14), "a word a second");
    let words: Vec<_> = pieces.iter().filter(|(_, text)| text.contains("data: ")).collect();
    assert_eq!(words[0].0, secs(12));
    // What was held of the answer comes first, and the rest without comments of ours.
    assert!(pieces.iter().filter(|(at, _)| *at > secs(12)).all(|(_, text)| !text.contains(PING)));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_answers_an_error_event_in_the_callers_dialect_ends_the_stream() {
    for (faults, code) in [
        (&[SILENT, SILENT][..], "upstream_timeout"),
        (&[SILENT, "empty"][..], "no_provider_available"),
        (&[SILENT, "{ status: { code: 401 } }"][..], "no_provider_available"),
    ] {
        let chats = proxy(&kept(faults, "firstToken: 10s"));
        let answer = chats.stream("chat").await;
        assert_eq!((answer.status, answer.broken), (200, false), "{faults:?}");
        assert!(answer.raw().starts_with(PING));
        assert_eq!(answer.error_event()["code"], code, "{faults:?}");
        assert!(!answer.raw().contains("[DONE]"));
        let record = chats.record();
        assert_eq!((&record["status"], &record["outcome"]), (&json!(200), &json!("upstream_failed")));
        assert_eq!(record["refusal"], code, "{faults:?}");

        let others = proxy(&kept(faults, "firstToken: 10s"));
        let answer = responses(&others).await;
        assert_eq!(answer.status, 200);
        let last = answer.raw().trim_end().rsplit("\n\n").next().unwrap();
        assert!(last.starts_with("event: error\ndata: {\"type\":\"error\""), "{last}");
        assert!(last.contains(code), "{last}");
        assert_eq!(others.record()["status"], 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_providers_refusal_becomes_an_event_in_its_own_words() {
    for fault in ["status=400", "status=422", "error=content_policy_violation"] {
        // The header strikes both; the first is slow, so that the head is out.
        let text = kept(&["ok"], "firstToken: 20s").replace("mock: {", "mock: { latency: 8s,");
        let proxy = proxy(&text);
        let own = proxy.asked_directly("p1", fault).await.json();
        let begun = Instant::now();
        let answer = proxy.stream("chat").fault(fault).await;
        assert_eq!(begun.elapsed(), secs(8));
        assert_eq!(answer.status, 200, "{fault}");
        assert_eq!(answer.error_event(), own["error"], "{fault}");
        assert!(!answer.raw().contains("[DONE]"));
        let record = proxy.record();
        assert_eq!((&record["status"], &record["outcome"]), (&json!(200), &json!("upstream_error")));

        let answer = responses(&proxy).fault(fault).await;
        let last = answer.raw().trim_end().rsplit("\n\n").next().unwrap().to_owned();
        let data = last.strip_prefix("event: error\ndata: ").unwrap_or_else(|| panic!("{last}"));
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"], "error");
        assert!(data.to_string().contains(own["error"]["message"].as_str().unwrap()), "{data}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_policys_own_answer_follows_the_comments_as_any_other() {
    let text = kept(&[SILENT], "firstToken: 10s")
        .replace("chat: {", "chat: { onExhausted: { respond: \"Please try again.\" },");
    let proxy = proxy(&text);
    let answer = proxy.stream("chat").await;
    assert!(answer.raw().starts_with(PING));
    assert_eq!(said(answer.raw()), "Please try again.");
    assert!(answer.is_done());
    let record = proxy.record();
    assert_eq!((&record["status"], &record["outcome"]), (&json!(200), &json!("fixed_answer")));

    let answer = responses(&proxy).await;
    assert!(answer.raw().contains("event: response.completed") && answer.raw().contains("Please try again."));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_begins_in_time_is_untouched() {
    let proxy = proxy(&kept(&["{ status: { code: 500 } }", "{ slowHead: 4s }"], "firstToken: 20s"));
    let begun = Instant::now();
    let answer = proxy.stream("chat").await;
    assert_eq!(begun.elapsed(), secs(4));
    assert!(!answer.raw().contains(PING));
    assert_eq!(answer.text(), "hello from p2");
    assert_eq!((answer.header("x-egret-attempts"), answer.header("x-egret-model")), (Some("2"), Some("m2")));
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_time_keeps_its_status() {
    let proxy = proxy(&kept(&["{ status: { code: 500 } }", "empty"], "firstToken: 20s"));
    assert_eq!(proxy.stream("chat").await.refused(), (503, "no_provider_available".into()));
    let alone = self::proxy(&kept(&["{ error: content_policy_violation }"], "firstToken: 20s"));
    assert_eq!(alone.stream("chat").await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_plain_call_waits_for_its_answer_and_status() {
    let proxy = proxy(&kept(&["{ slowHead: 30s }", "ok"], "answer: 60s"));
    let begun = Instant::now();
    let answer = proxy.chat("chat").await;
    assert_eq!(begun.elapsed(), secs(30));
    assert_eq!((answer.text().as_str(), answer.header("x-egret-attempts")), ("hello from p1", Some("1")));
    let down = self::proxy(&kept(&[SILENT], "answer: 20s"));
    assert_eq!(down.chat("chat").await.refused(), (504, "upstream_timeout".into()));
}

#[tokio::test(start_paused = true)]
async fn without_it_a_stream_has_no_head_before_its_answer() {
    let proxy = proxy(&chain(&["{ slowHead: 50s }"]));
    let begun = Instant::now();
    let opened = proxy.stream("chat").open().await;
    assert_eq!(begun.elapsed(), secs(50));
    assert!(!opened.rest().await.raw().contains(PING));
}

#[tokio::test(start_paused = true)]
async fn what_defaults_say_holds_for_routes_that_say_nothing() {
    let policy = format!("defaults: {{ keepAlive: {{}} }}\n{}", chain(&["{ slowHead: 50s }"]));
    let proxy = proxy(&policy);
    let begun = Instant::now();
    let pieces = pieces(proxy.stream("chat").open().await, begun).await;
    let pings: Vec<_> = pieces.iter().filter(|(_, text)| text == PING).map(|(at, _)| at.as_secs()).collect();
    assert_eq!(pings, [15, 30, 45]);
    assert_eq!(said(&joined(&pieces)), "hello from p1");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_meanwhile_leaves_nothing() {
    let limits = "limits: { a: { requests: 9, per: day }, b: { concurrent: 1 }, c: { tokens: 9000, per: day } }, \
                  reserveOutput: { cap: 100 }, ";
    let text =
        kept(&[SILENT, "ok"], "firstToken: 60s").replace("local: true, ", &format!("local: true, {limits}"));
    let proxy = proxy(&text);
    let mut opened = proxy.stream("chat").open().await;
    opened.next().await.unwrap();
    opened.next().await.unwrap();
    assert_eq!(proxy.cells()[1].3, 1, "it has its place");
    assert!(!proxy.seen("p1")[0].left());
    drop(opened);
    quiet().await;

    assert!(proxy.seen("p1")[0].left());
    assert_eq!(proxy.seen("p2").len(), 0, "nobody is there to be answered by another");
    let record = proxy.record();
    assert_eq!(
        (&record["outcome"], &record["attempts"][0]["outcome"]),
        (&json!("client_gone"), &json!("abandoned"))
    );
    let input = record["bytes_in"].as_u64().unwrap().div_ceil(3);
    let cells: Vec<_> = proxy.cells().into_iter().map(|(_, _, used, held)| (used, held)).collect();
    assert_eq!(cells, [(1, 0), (0, 0), (input, 0)]);
    assert_eq!((proxy.callers.running(), proxy.state.drain.calls(), proxy.idle()), (0, 0, 0));
    assert_eq!(proxy.state.shared.budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_sequential_caller_finds_its_place_free_at_the_end_of_each_stream() {
    let text = kept(&["{ slowHead: 9s }"], "firstToken: 20s")
        .replace("local: true, ", "local: true, limits: { one: { concurrent: 1 } }, ");
    let proxy = proxy(&text);
    for _ in 0..3 {
        let answer = proxy.stream("chat").await;
        assert_eq!((answer.status, said(answer.raw()).as_str()), (200, "hello from p1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_after_its_head_is_logged_with_it() {
    let proxy = proxy(&kept(&[SILENT], "firstToken: 60s"));
    // The head is out after five seconds.
    for (after, status) in [(4, 499), (6, 200)] {
        let left = tokio::time::timeout(secs(after), proxy.stream("chat").into_future()).await;
        assert!(left.is_err());
        quiet().await;
        let record = proxy.record();
        assert_eq!((&record["status"], &record["outcome"]), (&json!(status), &json!("client_gone")));
    }
}
