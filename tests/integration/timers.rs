//! How long is waited for what, and what breaks a stream in the middle; by virtual time.

use std::time::Duration;

use egret::clock::Instant;

use crate::support::*;

/// One provider `p1`, and a second that is fine, under these timeouts of the route.
fn timed(faults: &[&str], timeouts: &str) -> String {
    chain(faults).replace("chat: { targets", &format!("chat: {{ timeouts: {{ {timeouts} }}, targets"))
}

#[tokio::test(start_paused = true)]
async fn peer_bug_18_a_silent_provider_is_left_when_its_time_is_up() {
    for (timeouts, stream, outcome) in
        [("answer: 20s", false, "answer_timeout"), ("firstToken: 20s", true, "first_token_timeout")]
    {
        for fault in ["{ stall: { afterChunks: 0 } }", "{ slowHead: 21s }"] {
            let proxy = proxy(&timed(&[fault, "ok"], timeouts));
            let begun = Instant::now();
            let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
            took(begun, secs(20));
            assert_eq!(answer.text(), "hello from p2", "{fault} stream: {stream}");
            assert_eq!(proxy.record()["attempts"][0]["outcome"], outcome);
            quiet().await;
            assert!(
                proxy.seen("p1")[0].left() || fault.contains("slow"),
                "{fault}: it may stop working on it"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_just_in_time_is_an_answer() {
    for (timeouts, stream) in [("answer: 20s", false), ("firstToken: 20s", true)] {
        let proxy = proxy(&timed(&["{ slowHead: 19s }", "ok"], timeouts));
        let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
        assert_eq!(answer.text(), "hello from p1", "stream: {stream}");
        assert_eq!(answer.header("x-egret-attempts"), Some("1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_answer_that_stalls_half_way_is_left_when_its_time_is_up() {
    let proxy = proxy(&timed(&["{ stall: { afterChunks: 1 } }", "ok"], "answer: 20s"));
    let begun = Instant::now();
    assert_eq!(proxy.chat("chat").await.text(), "hello from p2");
    took(begun, secs(20));
}

#[tokio::test(start_paused = true)]
async fn all_attempts_together_have_the_calls_time() {
    let silent = "{ stall: { afterChunks: 0 } }";
    for stream in [false, true] {
        let timeouts = "answer: 20s, firstToken: 20s, total: 50s";
        let proxy = proxy(&timed(&[silent, silent, silent, "ok"], timeouts));
        let begun = Instant::now();
        let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
        took(begun, secs(50));
        assert_eq!(answer.refused(), (504, "upstream_timeout".into()));
        assert_eq!(answer.header("x-egret-attempts"), Some("3"));
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(proxy.record()["attempts"][2]["outcome"], "total_timeout");
        assert_eq!(proxy.seen("p4").len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_19_a_stream_that_stalls_ends_with_a_native_error_after_its_idle_time() {
    let proxy = proxy(&timed(&["{ stall: { afterChunks: 3 } }", "ok"], "streamIdle: 20s"));
    let begun = Instant::now();
    let answer = proxy.stream("chat").await;
    took(begun, secs(20));
    assert_eq!((answer.status, answer.broken), (200, false));
    assert_eq!(answer.error_event()["code"], "upstream_stream_interrupted");
    assert!(!answer.raw().contains("[DONE]"), "a broken stream must not look complete");
    let record = proxy.record();
    assert_eq!((&record["outcome"], &record["status"]), (&"stream_interrupted".into(), &200.into()));
    assert_eq!(record["attempts"][0]["outcome"], "stream_idle_timeout");
    assert_eq!(proxy.seen("p2").len(), 0, "what was said cannot be unsaid");
    quiet().await;
    assert!(proxy.seen("p1")[0].left());
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_last_as_long_as_it_speaks_but_not_beyond_total() {
    let words = ["word"; 100].join(" ");
    let policy = |total| {
        format!(
            "defaults: {{ timeouts: {{ streamIdle: 2s, total: {total} }} }}\n\
             providers: {{ p: {{ mock: {{ says: \"{words}\", tokensPerSecond: 1 }} }} }}\n\
             models: {{ m: {{ provider: p }} }}\n{ANYONE}"
        )
    };
    let patient = proxy(&policy("200s"));
    let begun = Instant::now();
    let answer = patient.stream("m").await;
    took(begun, secs(100));
    assert_eq!((answer.text(), answer.is_done()), (words.clone(), true));

    let hasty = proxy(&policy("50s"));
    let begun = Instant::now();
    let answer = hasty.stream("m").await;
    took(begun, secs(50));
    assert_eq!(answer.error_event()["code"], "upstream_stream_interrupted");
    assert!(!answer.raw().contains("[DONE]"));
    assert_eq!(hasty.record()["attempts"][0]["outcome"], "total_timeout");
}

#[tokio::test(start_paused = true)]
async fn peer_bug_30_a_stream_that_is_cut_ends_with_a_native_error_and_not_with_done() {
    for chunks in 2..4 {
        let proxy = proxy(&chain(&[&format!("{{ reset: {{ afterChunks: {chunks} }} }}"), "ok"]));
        let answer = proxy.stream("chat").await;
        assert_eq!((answer.status, answer.broken), (200, false), "{chunks}");
        assert_eq!(answer.events().len(), chunks + 1, "{chunks}: what came is passed on");
        assert_eq!(answer.error_event()["code"], "upstream_stream_interrupted", "{chunks}");
        assert!(!answer.raw().contains("[DONE]"));
        let record = proxy.record();
        assert_eq!(record["outcome"], "stream_interrupted");
        assert_eq!(record["attempts"][0]["outcome"], "cut");
        assert_eq!(proxy.seen("p2").len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_providers_own_error_event_is_passed_on_and_the_stream_is_not_done() {
    for chunks in 2..4 {
        let proxy = proxy(&chain(&[&format!("{{ errorEvent: {{ afterChunks: {chunks} }} }}"), "ok"]));
        let answer = proxy.stream("chat").await;
        assert_eq!(answer.events().len(), chunks + 1);
        assert_eq!(answer.error_event()["code"], "server_error", "the provider's own words");
        assert!(!answer.raw().contains("[DONE]"));
        assert_eq!(proxy.record()["outcome"], "stream_interrupted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_responses_breaks_off_in_its_own_dialect() {
    let proxy = proxy(&chain(&["{ reset: { afterChunks: 6 } }"]));
    let answer = proxy.post("/v1/responses", r#"{"model":"chat","input":"hi","stream":true}"#).await;
    let last = answer.raw().trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.starts_with("event: error\ndata: {\"type\":\"error\""), "{last}");
    assert!(last.contains("upstream_stream_interrupted"), "{last}");
}

#[tokio::test(start_paused = true)]
async fn the_record_tells_how_long_the_caller_waited() {
    let proxy = proxy(&timed(&["{ stall: { afterChunks: 0 } }", "{ slowHead: 3s }"], "answer: 20s"));
    proxy.chat("chat").await;
    let record = proxy.record();
    let ms = |field: &serde_json::Value| field.as_f64().unwrap().round() as u64;
    assert_eq!(ms(&record["attempts"][0]["ms"]) / 10, 2_000);
    assert_eq!(ms(&record["attempts"][1]["ms"]) / 10, 300);
    assert_eq!(ms(&record["duration_ms"]) / 10, 2_300);
}

/// In real time: sockets do not know of a paused clock.
#[tokio::test]
async fn a_try_that_no_connection_has_taken_costs_nothing_whichever_timer_rings() {
    // Who waits for the first lines of a request never answers to the first words of TLS.
    let raw = Raw::stalls("").await;
    let counted =
        |own: &str| format!("{own}t: {{ tokens: 9000, per: day }}, {own}r: {{ requests: 9, per: day }}");
    let policy = |timeouts: &str| {
        let (port, there, own) = (raw.port, counted("there-"), counted("own-"));
        format!(
            "defaults: {{ timeouts: {{ connect: 3s, {timeouts} }}, retry: {{ maxAttempts: 1 }} }}\n\
             providers: {{ raw: {{ dialect: openai, baseUrl: \"https://127.0.0.1:{port}/v1\", limits: {{ {there} }} }} }}\n\
             models: {{ m: {{ provider: raw, maxOutputTokens: 100 }} }}\n\
             tenants: {{ app: {{ local: true, attributes: {{ latencyBudget: {{ header: x-budget }} }}, \
             access: {{ allow: [\"*\"] }}, limits: {{ {own} }} }} }}\n"
        )
    };
    let tried = async |timeouts: &str, budget: &str, stream: bool, outcome: &str| {
        let proxy = proxy(&policy(timeouts));
        let ask = if stream { proxy.stream("m") } else { proxy.chat("m") };
        let answer = ask.header("x-budget", budget).await;
        assert_eq!(answer.refused(), (504, "upstream_timeout".into()), "{outcome} stream: {stream}");
        assert_eq!(proxy.record()["attempts"][0]["outcome"], outcome, "stream: {stream}");
        let used: Vec<_> = proxy.cells().into_iter().map(|cell| (cell.0, cell.2, cell.3)).collect();
        let none = ["own-r", "own-t", "there-r", "there-t"].map(|limit| (limit.to_owned(), 0, 0));
        assert_eq!(used, none, "{outcome} stream: {stream}");
    };
    tokio::join!(
        tried("answer: 300ms", "", false, "answer_timeout"),
        tried("firstToken: 300ms", "", true, "first_token_timeout"),
        tried("total: 300ms", "", false, "total_timeout"),
        tried("total: 300ms", "", true, "total_timeout"),
        tried("", "300ms", false, "total_timeout"),
        tried("", "300ms", true, "total_timeout"),
    );
    assert!(raw.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn peer_bug_16_many_calls_at_once_wait_for_their_provider_and_for_nothing_else() {
    let policy = format!(
        "providers: {{ p: {{ mock: {{ says: hello, latency: 500ms }} }} }}\nmodels: {{ m: {{ provider: p }} }}\n{ANYONE}"
    );
    let proxy = proxy(&policy);
    let begun = Instant::now();
    let answers =
        all((0..200).map(|call| if call % 2 == 0 { proxy.chat("m") } else { proxy.stream("m") })).await;
    took(begun, Duration::from_millis(500));
    assert!(answers.iter().all(|answer| answer.text() == "hello"));
}

#[tokio::test(start_paused = true)]
async fn peer_bug_17_of_calls_that_are_over_nothing_is_held_however_they_ended() {
    let faults =
        ["ok", "{ errorEvent: { afterChunks: 0 } }", "{ reset: { afterChunks: 3 } }", "html", "gzip"];
    let policy = format!(
        "providers:\n  p1: {{ breaker: {{ consecutiveFailures: 1000 }}, mock: {{ latency: 20ms, says: \"a b c\", faults: [{}] }} }}\n  \
         p2: {{ mock: {{ says: hello }} }}\nmodels: {{ m1: {{ provider: p1, maxOutputTokens: 50 }}, m2: {{ provider: p2, maxOutputTokens: 50 }} }}\n\
         routes: {{ chat: {{ targets: [{{ model: m1 }}, {{ model: m2 }}], hedge: {{ after: 10ms, maxShare: 1 }} }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, \
         limits: {{ t: {{ tokens: 900000, per: day }} }} }} }}\n",
        faults.join(", ")
    );
    let proxy = proxy(&policy);
    for _ in 0..20 {
        all((0..20).map(|call| if call % 2 == 0 { proxy.chat("chat") } else { proxy.stream("chat") })).await;
    }
    quiet().await;
    assert_eq!(proxy.state.shared.budget.used(), 0);
    assert!(proxy.idle() <= 2 * 64, "idle connections are bounded: {}", proxy.idle());
    assert_eq!(proxy.cells().len(), 1);
    assert!(proxy.cells()[0].2 > 0 && proxy.cells()[0].3 == 0, "{:?}", proxy.cells());
}
