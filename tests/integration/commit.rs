//! The commit point of a stream: what goes wrong before its first content goes on to the next target, and nothing after.

use std::time::Duration;

use egret::clock::Instant;
use serde_json::json;

use crate::support::*;

/// The operations that stream, and how many chunks of the scripted provider come before the first content.
const STREAMS: [(&str, usize); 3] = [("chat", 1), ("completions", 0), ("responses", 4)];

/// Asks the route `chat` for a stream of an operation.
fn stream<'p>(proxy: &'p Proxy, api: &str) -> Ask<'p> {
    match api {
        "chat" => proxy.stream("chat"),
        "completions" => {
            let body = json!({ "model": "chat", "prompt": "hi", "stream": true });
            proxy.post("/v1/completions", body.to_string())
        }
        _ => {
            let body = json!({ "model": "chat", "input": "hi", "stream": true });
            proxy.post("/v1/responses", body.to_string())
        }
    }
}

/// What a stream said, whatever its operation.
fn said(answer: &Answer) -> String {
    let pieces = answer.events().into_iter().map(|event| {
        let choice = &event["choices"][0];
        let piece = [&choice["delta"]["content"], &choice["text"], &event["delta"]];
        piece.iter().find_map(|piece| piece.as_str()).unwrap_or_default().to_owned()
    });
    pieces.collect()
}

/// Whether a stream came to the usual end of its operation, once.
fn is_whole(answer: &Answer, api: &str) -> bool {
    match api {
        "responses" => answer.raw().matches("event: response.completed").count() == 1,
        _ => answer.is_done() && answer.raw().matches("[DONE]").count() == 1,
    }
}

/// A policy of [`chain`] under these timeouts of its route.
fn timed(faults: &[&str], timeouts: &str) -> String {
    chain(faults).replace("chat: { targets", &format!("chat: {{ timeouts: {{ {timeouts} }}, targets"))
}

#[track_caller]
fn took(since: Instant, expected: Duration) {
    let taken = Instant::now() - since;
    assert!(taken >= expected && taken < expected + Duration::from_millis(50), "{taken:?}, not {expected:?}");
}

/// Faults before the first content of a stream, how the log calls them, and after how many seconds the provider is left.
/// `N` is the number of chunks before the first content.
const BEFORE: [(&str, &str, u64); 15] = [
    ("{ errorEvent: { afterChunks: 0 } }", "error_in_answer", 0),
    ("{ errorEvent: { afterChunks: N } }", "error_in_answer", 0),
    ("{ errorEvent: { afterChunks: N, code: rate_limit_exceeded } }", "rate_limited", 0),
    ("{ errorEvent: { afterChunks: N, code: insufficient_quota } }", "out_of_credit", 0),
    ("{ errorEvent: { afterChunks: N, code: server_is_overloaded } }", "error_in_answer", 0),
    ("resetAfterHead", "cut", 0),
    ("{ truncate: { afterChunks: 0 } }", "empty", 0),
    ("empty", "empty", 0),
    ("onlyPings", "empty", 0),
    ("onlyDone", "empty", 0),
    ("wrongType", "wrong_content_type", 0),
    ("stallAfterHead", "stream_idle_timeout", 4),
    ("{ slowHead: 30s }", "first_token_timeout", 9),
    ("{ slowFirstToken: { delay: 30s } }", "stream_idle_timeout", 4),
    // A sign of life is no word: it resets the one timer and not the other.
    ("{ slowFirstToken: { delay: 30s, pings: 1s } }", "first_token_timeout", 9),
];

#[tokio::test(start_paused = true)]
async fn peer_bug_13_whatever_goes_wrong_before_the_first_content_goes_on_to_the_next_target() {
    for (api, before) in STREAMS {
        for (fault, outcome, seconds) in BEFORE {
            let fault = fault.replace('N', &before.to_string());
            let proxy = proxy(&timed(&[&fault, "ok"], "firstToken: 9s, streamIdle: 4s"));
            let begun = Instant::now();
            let answer = stream(&proxy, api).await;
            took(begun, secs(seconds));
            assert_eq!((answer.status, said(&answer).as_str()), (200, "hello from p2"), "{api} {fault}");
            assert!(is_whole(&answer, api), "{api} {fault}: {}", answer.raw());
            assert_eq!(answer.header("x-egret-attempts"), Some("2"), "{api} {fault}");
            assert_eq!(proxy.record()["attempts"][0]["outcome"], outcome, "{api} {fault}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_or_falls_silent_just_before_its_first_content_goes_on_to_the_next_target() {
    for (api, before) in STREAMS {
        for (fault, outcome, seconds) in
            [("reset", "cut", 0), ("truncate", "cut", 0), ("stall", "stream_idle_timeout", 4)]
        {
            for after in 1..=before {
                let fault = format!("{{ {fault}: {{ afterChunks: {after} }} }}");
                let proxy = proxy(&timed(&[&fault, "ok"], "firstToken: 9s, streamIdle: 4s"));
                let begun = Instant::now();
                let answer = stream(&proxy, api).await;
                took(begun, secs(seconds));
                assert_eq!(said(&answer), "hello from p2", "{api} {fault}");
                assert!(is_whole(&answer, api), "{api} {fault}");
                assert_eq!(proxy.record()["attempts"][0]["outcome"], outcome, "{api} {fault}");
                quiet().await;
                assert_eq!(proxy.seen("p1")[0].left(), seconds > 0, "{api} {fault}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_first_content_a_stream_breaks_in_its_own_dialect_and_nobody_else_is_asked() {
    for (api, before) in STREAMS {
        for (fault, code) in [
            ("reset", "upstream_stream_interrupted"),
            ("truncate", "upstream_stream_interrupted"),
            ("stall", "upstream_stream_interrupted"),
            ("errorEvent", "server_error"),
        ] {
            let fault = format!("{{ {fault}: {{ afterChunks: {} }} }}", before + 1);
            let proxy = proxy(&timed(&[&fault, "ok"], "streamIdle: 4s"));
            let answer = stream(&proxy, api).await;
            assert_eq!((answer.status, answer.broken), (200, false), "{api} {fault}");
            assert_eq!(said(&answer), "hello", "{api} {fault}: only what came");
            assert!(answer.raw().contains(code), "{api} {fault}: {}", answer.raw());
            let last = answer.raw().trim_end().rsplit("\n\n").next().unwrap();
            let begins = if api == "responses" { "event: error\ndata: {" } else { "data: {\"error\"" };
            assert!(last.starts_with(begins), "{api} {fault}: {last}");
            assert!(!is_whole(&answer, api), "{api} {fault}");
            assert_eq!(proxy.seen("p2").len(), 0, "{api} {fault}");
            let record = proxy.record();
            assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{api} {fault}");
            assert_eq!(record["outcome"], "stream_interrupted", "{api} {fault}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_says_everything_twice_is_passed_on_as_it_is() {
    let proxy = proxy(&chain(&["duplicate", "ok"]));
    let answer = proxy.stream("chat").await;
    assert_eq!(answer.text(), "hellohello from from p1 p1");
    assert!(answer.is_done());
    assert_eq!(answer.header("x-egret-attempts"), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn the_first_content_goes_out_in_the_instant_in_which_it_comes() {
    for (api, before) in STREAMS {
        let policy = chain(&["{ slowFirstToken: { delay: 5s } }"])
            .replace("mock: {", "mock: { tokensPerSecond: 1,")
            .replace("hello from p1", "one two");
        let proxy = proxy(&policy);
        let begun = Instant::now();
        let mut opened = stream(&proxy, api).open().await;
        assert_eq!(Instant::now() - begun, secs(5), "{api}: no head before there is an answer");
        let mut first = Vec::new();
        while !String::from_utf8_lossy(&first).contains("one") {
            first.extend_from_slice(&opened.next().await.unwrap());
        }
        assert_eq!(Instant::now() - begun, secs(5), "{api}");
        let events = String::from_utf8(first).unwrap().matches("data: ").count();
        assert_eq!(events, before + 1, "{api}: all that was held, and the first content");
        let rest = opened.rest().await;
        assert!(rest.raw().contains(" two"), "{api}");
        assert_eq!(Instant::now() - begun, secs(6), "{api}");
    }
}

/// An event of a chat without a word.
fn silent_event(id: usize) -> String {
    format!(
        "data: {{\"id\":\"{id}\",\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\"}}}}]}}\n\n"
    )
}

const STREAM: &str = "content-type: text/event-stream\r\n";

#[tokio::test]
async fn what_was_held_goes_out_whole_and_in_order() {
    let silent: String = (0..200).map(silent_event).collect();
    let body = format!(
        ": a comment\n\nevent: odd\n{silent}: another\n\n\
         data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"hello\"}}}}]}}\n\n\
         data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\ndata: [DONE]\n\n"
    );
    let raw = Raw::answers(canned(STREAM, &body)).await;
    let proxy = proxy(&raw.policy(""));
    assert_eq!(proxy.stream("m").await.raw(), body);
}

#[tokio::test]
async fn no_more_than_256_kib_are_held_back_for_a_first_word() {
    let begins = |bytes: usize| {
        let events: String = (0..).map(silent_event).take(bytes / silent_event(0).len()).collect();
        format!("HTTP/1.1 200 OK\r\n{STREAM}\r\n{events}")
    };
    for (bytes, goes_on) in [(200 << 10, false), (300 << 10, true)] {
        let raw = Raw::stalls(begins(bytes)).await;
        let proxy =
            proxy(&raw.policy("").replace("retry:", "timeouts: { firstToken: 1s, streamIdle: 2s }, retry:"));
        let answer = proxy.stream("m").await;
        if goes_on {
            assert_eq!((answer.status, answer.broken), (200, false));
            assert!(answer.raw().len() > 256 << 10, "{}", answer.raw().len());
            assert_eq!(answer.error_event()["code"], "upstream_stream_interrupted");
        } else {
            assert_eq!(answer.refused(), (504, "upstream_timeout".into()));
        }
    }
}

/// Ten tokens in the two seconds after the first.
const RATE: &str = "minRate: { tokensPerSecond: 5, over: 2s }";

#[tokio::test(start_paused = true)]
async fn a_stream_that_begins_too_slowly_is_left_before_anything_of_it_is_sent() {
    for api in ["chat", "completions", "responses"] {
        let words = ["word"; 60].join(" ");
        let policy = timed(&["{ slowStream: 4 }", "ok"], RATE).replace("hello from p1", &words);
        let proxy = proxy(&policy);
        let begun = Instant::now();
        let answer = stream(&proxy, api).await;
        // The first of four a second comes after 250 ms.
        took(begun, Duration::from_millis(2_250));
        assert_eq!(said(&answer), "hello from p2", "{api}: one that is short ends, and is no slow one");
        assert_eq!(proxy.record()["attempts"][0]["outcome"], "too_slow", "{api}");
        quiet().await;
        assert!(proxy.seen("p1")[0].left(), "{api}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_fast_enough_goes_out_as_soon_as_that_is_known() {
    let words = ["word"; 60].join(" ");
    for (rate, after) in [(50, 200), (5, 2_000)] {
        let fault = format!("{{ slowStream: {rate} }}");
        let proxy = proxy(&timed(&[&fault, "ok"], RATE).replace("hello from p1", &words));
        let begun = Instant::now();
        let opened = proxy.stream("chat").open().await;
        took(begun, Duration::from_millis(after));
        let answer = opened.rest().await;
        assert_eq!((answer.text(), answer.is_done()), (words.clone(), true), "{rate}");
        assert_eq!(answer.header("x-egret-attempts"), Some("1"), "{rate}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_everybody_is_too_slow_the_caller_hears_of_a_timeout() {
    let words = ["word"; 60].join(" ");
    let policy = timed(&["{ slowStream: 1 }", "{ slowStream: 2 }"], RATE);
    let proxy = proxy(&policy.replace("hello from p1", &words).replace("hello from p2", &words));
    let begun = Instant::now();
    let answer = proxy.stream("chat").await;
    took(begun, Duration::from_millis(3_000 + 2_500));
    assert_eq!(answer.refused(), (504, "upstream_timeout".into()));
}

#[tokio::test(start_paused = true)]
async fn peer_bug_18_the_time_of_a_first_token_is_the_routes_the_models_the_providers_or_the_default() {
    let policy = |levels: [&str; 4], fault: &str| {
        let [route, model, provider, defaults] = levels;
        format!(
            "defaults: {{ timeouts: {{ {defaults} }} }}\n\
             providers:\n  p1: {{ timeouts: {{ {provider} }}, mock: {{ faults: [{fault}] }} }}\n\
             \x20 p2: {{ mock: {{ says: fine }} }}\n\
             models: {{ m1: {{ provider: p1, timeouts: {{ {model} }} }}, m2: {{ provider: p2 }} }}\n\
             routes: {{ chat: {{ timeouts: {{ {route} }}, targets: [{{ model: m1 }}, {{ model: m2 }}] }} }}\n{ANYONE}"
        )
    };
    let silent = "{ stall: { afterChunks: 0 } }";
    for (field, fault, is_stream) in [
        ("firstToken", silent, true),
        ("streamIdle", "{ stall: { afterChunks: 1 } }", true),
        ("answer", silent, false),
    ] {
        for said_at in 0..4 {
            // From this level on it is said: 3 s, 4 s, 5 s, 6 s.
            let levels: Vec<_> = (0..4)
                .map(|level| if level < said_at { String::new() } else { format!("{field}: {}s", level + 3) })
                .collect();
            let [route, model, provider, defaults] = &levels[..] else { panic!("four levels") };
            let proxy = proxy(&policy([route, model, provider, defaults], fault));
            let begun = Instant::now();
            let answer = if is_stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
            took(begun, secs(said_at + 3));
            assert_eq!(answer.text(), "fine", "{field} {said_at}");
        }
    }
    // Each field by itself.
    let apart = proxy(&policy(["streamIdle: 3s", "", "firstToken: 2s", "firstToken: 9s"], silent));
    let begun = Instant::now();
    assert_eq!(apart.stream("chat").await.text(), "fine");
    took(begun, secs(2));
}
