//! Limits as callers feel them: how many are admitted, what is counted, what answers tell.

use crate::support::*;

/// One provider `p` with model `m`, and one tenant on loopback with these limits.
fn limited(limits: &str, mock: &str) -> String {
    format!(
        "providers: {{ p: {{ mock: {{ {mock} }} }} }}\nmodels: {{ m: {{ provider: p }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, limits: {{ {limits} }} }} }}\n"
    )
}

fn admitted(answers: &[Answer]) -> usize {
    assert!(answers.iter().all(|answer| [200, 429].contains(&answer.status)));
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[tokio::test(start_paused = true)]
async fn peer_bug_01_of_any_number_of_callers_at_once_exactly_as_many_as_the_limit_says_are_admitted() {
    for (callers, expected) in [(1, 1), (50, 50), (200, 60)] {
        for latency in ["0ms", "300ms"] {
            let proxy = proxy(&limited("rpm: { requests: 60, per: 1m }", &format!("latency: {latency}")));
            let answers = all((0..callers).map(|_| proxy.chat("m"))).await;
            assert_eq!(admitted(&answers), expected, "{callers} callers");
            assert_eq!(proxy.seen("p").len(), expected, "the provider sees no more than were admitted");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_03_the_call_that_goes_beyond_is_itself_refused() {
    let proxy = proxy(&limited("rpm: { requests: 3, per: 1m }", ""));
    for _ in 0..3 {
        assert_eq!(proxy.stream("m").await.status, 200);
    }
    assert_eq!(proxy.stream("m").await.refused(), (429, "rate_limit_exceeded".into()));
}

#[tokio::test(start_paused = true)]
async fn peer_bug_02_every_operation_counts() {
    let proxy = proxy(&limited("rpm: { requests: 5, per: 1m }", ""));
    for (path, body) in [
        ("/v1/chat/completions", r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#),
        (
            "/v1/chat/completions",
            r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#,
        ),
        ("/v1/completions", r#"{"model":"m","prompt":"hi"}"#),
        ("/v1/embeddings", r#"{"model":"m","input":"hi"}"#),
        ("/v1/responses", r#"{"model":"m","input":"hi"}"#),
    ] {
        assert_eq!(proxy.post(path, body).await.status, 200, "{path}");
    }
    assert_eq!(proxy.cells(), [("rpm".into(), None, 5, 0)]);
    for path in ["chat/completions", "completions", "embeddings", "responses"] {
        let answer = proxy.post(&format!("/v1/{path}"), r#"{"model":"m"}"#).await;
        assert_eq!(answer.refused(), (429, "rate_limit_exceeded".into()), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_a_rate_says_which_limit_and_when_there_is_room_again() {
    let proxy = proxy(&limited("rpm: { requests: 2, per: 1m }", ""));
    for remaining in ["1", "0"] {
        let answer = proxy.chat("m").await;
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("2"));
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(remaining));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"rpm\";q=2;w=60"));
    }
    let refused = proxy.chat("m").await;
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(refused.header("x-ratelimit-reset-requests"), Some("30s"));
    assert_eq!(refused.header("ratelimit"), Some("\"rpm\";r=0;t=30"));
    assert!(refused.message().contains("`rpm` of tenant `app`"), "{}", refused.message());

    tokio::time::advance(secs(29)).await;
    assert_eq!(proxy.chat("m").await.status, 429);
    tokio::time::advance(secs(1)).await;
    assert_eq!(proxy.chat("m").await.status, 200, "the hint was true");
    assert_eq!(proxy.chat("m").await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn a_wait_too_long_for_an_sdk_is_told_in_words_and_not_to_be_retried() {
    let proxy = proxy(&limited("hourly: { requests: 1, per: 1h }", ""));
    assert_eq!(proxy.chat("m").await.status, 200);
    let refused = proxy.chat("m").await;
    assert_eq!(refused.header("retry-after"), None);
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert!(refused.message().contains("Try again in 1 h."), "{}", refused.message());
}

#[tokio::test(start_paused = true)]
async fn a_stream_holds_its_place_until_its_end() {
    let proxy = proxy(&limited("open: { concurrent: 1 }", "tokensPerSecond: 1, tokens: 10"));
    let mut stream = proxy.stream("m").open().await;
    stream.next().await;
    let refused = proxy.chat("m").await;
    assert_eq!(refused.refused(), (429, "rate_limit_exceeded".into()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(stream.rest().await.is_done());
    assert_eq!(proxy.chat("m").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_when_the_caller_has_left() {
    let proxy = proxy(&limited("open: { concurrent: 1 }", "tokensPerSecond: 1, tokens: 100"));
    let mut stream = proxy.stream("m").open().await;
    stream.next().await;
    drop(stream);
    quiet().await;
    assert_eq!(proxy.chat("m").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_after_every_kind_of_failure() {
    let faults = [
        "status=400",
        "status=500",
        "reset=0",
        "reset=2",
        "error-event=2",
        "empty",
        "html",
        "stall=0",
        "stall=2",
    ];
    let proxy = proxy(&limited("open: { concurrent: 1 }", ""));
    for fault in faults {
        for stream in [false, true] {
            // By then the provider may be asked again.
            tokio::time::sleep(secs(2 * 60 * 60)).await;
            let ask = if stream { proxy.stream("m") } else { proxy.chat("m") };
            let answer = ask.fault(fault).await;
            assert_ne!(answer.status, 429, "{fault} stream: {stream}");
            assert_eq!(proxy.cells(), [("open".into(), None, 0, 0)], "{fault} stream: {stream}");
        }
    }
    tokio::time::sleep(secs(2 * 60 * 60)).await;
    assert_eq!(proxy.chat("m").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_calls_one_after_the_other_never_meets_its_limit_of_one_at_once() {
    let proxy = proxy(&limited("open: { concurrent: 1 }", "tokensPerSecond: 100"));
    for _ in 0..20 {
        assert_eq!(proxy.chat("m").await.status, 200);
        assert_eq!(proxy.stream("m").await.status, 200);
        // SDKs stop reading at the last event, before the body's end.
        let mut stream = proxy.stream("m").open().await;
        assert_eq!(stream.status, 200);
        while let Some(bytes) = stream.next().await {
            if bytes.ends_with(b"data: [DONE]\n\n") {
                break;
            }
        }
        assert_eq!(proxy.chat("m").await.status, 200);
    }
}

/// Four callers: `ann` with two keys and two apps, and `bob` with one.
fn keyed(limit: &str) -> String {
    let caller = |key: &str, user: &str, app: &str| {
        format!("{{ apiKeySha256: \"{}\", name: {key}, user: {user}, app: {app} }}", hash(key))
    };
    let callers =
        [caller("k1", "ann", "web"), caller("k2", "ann", "cli"), caller("k3", "bob", "web")].join(", ");
    format!(
        "providers: {{ p: {{ mock: {{}} }} }}\nmodels: {{ m: {{ provider: p }}, n: {{ provider: p }} }}\n\
         tenants: {{ shop: {{ match: [{callers}], access: {{ allow: [\"*\"] }}, limits: {{ each: {{ {limit} }} }} }} }}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn a_limit_for_each_counts_by_user_app_key_or_model() {
    for (each, of_k1, of_k3, shared_with_k1) in
        [("user", "ann", "bob", Some("k2")), ("app", "web", "web", Some("k3")), ("key", "k1", "k3", None)]
    {
        let proxy = proxy(&keyed(&format!("requests: 2, per: 1m, each: {each}")));
        for _ in 0..2 {
            assert_eq!(proxy.chat("m").key("k1").await.status, 200, "{each}");
        }
        assert_eq!(proxy.chat("n").key("k1").await.status, 429, "{each}: whatever the model");
        for other in ["k2", "k3"] {
            let expected = if shared_with_k1 == Some(other) { 429 } else { 200 };
            assert_eq!(proxy.chat("m").key(other).await.status, expected, "{each} {other}");
        }
        let values: Vec<_> = proxy.cells().into_iter().filter_map(|(_, value, ..)| value).collect();
        assert!(values.contains(&of_k1.into()) && values.contains(&of_k3.into()), "{each}: {values:?}");
    }
    let proxy = proxy(&keyed("requests: 2, per: 1m, each: model"));
    for key in ["k1", "k3"] {
        assert_eq!(proxy.chat("m").key(key).await.status, 200);
    }
    assert_eq!(proxy.chat("m").key("k2").await.status, 429);
    assert_eq!(proxy.chat("n").key("k2").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn of_several_limits_all_are_taken_or_none() {
    let proxy = proxy(&limited(
        "wide: { requests: 100, per: 1m }, narrow: { requests: 2, per: 1m }, open: { concurrent: 9 }",
        "",
    ));
    let answers = all((0..10).map(|_| proxy.chat("m"))).await;
    assert_eq!(admitted(&answers), 2);
    assert_eq!(
        proxy.cells(),
        [("narrow".into(), None, 2, 0), ("open".into(), None, 0, 0), ("wide".into(), None, 2, 0)],
        "a refused call is charged nowhere"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_or_never_written_is_not_charged() {
    let policy = limited("rpm: { requests: 5, per: 1m }", "")
        .replace("providers: {", "providers: { openai: { key: { fromEnv: NOT_SET } },")
        .replace("models: {", "models: { keyless: { provider: openai },");
    let proxy = proxy(&policy);
    assert_eq!(proxy.chat("nothing").await.status, 404);
    assert_eq!(proxy.chat("m").body("{").await.status, 400);
    assert_eq!(proxy.chat("m").header("content-encoding", "gzip").await.status, 415);
    assert_eq!(proxy.chat("keyless").await.status, 502);
    assert_eq!(proxy.get("/v1/models").await.status, 200);
    let used: u64 = proxy.cells().iter().map(|(_, _, used, reserved)| used + reserved).sum();
    assert_eq!(used, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_goes_on_to_another_model_counts_at_each_it_was_written_to_and_once_for_the_tenant() {
    let limits = "limits: { models: { requests: 2, per: 1m, each: model }, rpm: { requests: 10, per: 1m } }";
    let policy = chain(&["{ status: { code: 500 } }", "ok"])
        .replace("allow: [\"*\"] }", &format!("allow: [\"*\"] }}, {limits}"));
    let proxy = proxy(&policy);
    assert_eq!(proxy.chat("chat").await.status, 200);
    assert_eq!(
        proxy.cells(),
        [
            ("models".into(), Some("m1".into()), 1, 0),
            ("models".into(), Some("m2".into()), 1, 0),
            ("rpm".into(), None, 1, 0)
        ]
    );
    assert_eq!(proxy.chat("chat").await.status, 200);
    // Both models are at their limit now.
    let refused = proxy.chat("chat").await;
    assert_eq!(refused.refused(), (429, "rate_limit_exceeded".into()));
    assert_eq!((proxy.seen("p1").len(), proxy.seen("p2").len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_target_without_room_is_passed_over_for_one_with_room() {
    let limits = "limits: { models: { requests: 1, per: 1m, each: model } }";
    let policy = chain(&["ok", "ok"]).replace("allow: [\"*\"] }", &format!("allow: [\"*\"] }}, {limits}"));
    let proxy = proxy(&policy);
    assert_eq!(proxy.chat("chat").await.text(), "hello from p1");
    let second = proxy.chat("chat").await;
    assert_eq!((second.text().as_str(), second.header("x-egret-attempts")), ("hello from p2", Some("1")));
    assert_eq!(proxy.chat("chat").await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn peer_bug_04_counts_survive_a_reload_that_changes_the_amount() {
    let rpm = |amount| limited(&format!("rpm: {{ requests: {amount}, per: 1m }}"), "");
    let proxy = proxy(&rpm(60));
    let ask = async |callers| admitted(&all((0..callers).map(|_| proxy.chat("m"))).await);
    assert_eq!(ask(50).await, 50);
    proxy.reload(&rpm(40));
    assert_eq!(ask(10).await, 0, "what was used stays used under a lower limit");
    proxy.reload(&rpm(70));
    assert_eq!(ask(100).await, 20, "and under a higher one");
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_over_a_reload_keeps_its_place_and_its_policy() {
    let open = |amount, tokens| {
        limited(
            &format!("open: {{ concurrent: {amount} }}"),
            &format!("tokensPerSecond: 1, tokens: {tokens}"),
        )
    };
    let proxy = proxy(&open(1, 5));
    let before = proxy.stream("m").open().await;
    proxy.reload(&open(2, 6));
    let second = proxy.stream("m").open().await;
    assert_eq!(second.status, 200, "one more, by the new policy");
    assert_eq!(proxy.stream("m").await.status, 429, "the first still counts");
    assert_ne!(before.headers["x-egret-policy"], second.headers["x-egret-policy"]);
    assert!(before.rest().await.is_done() && second.rest().await.is_done());
    let policies: Vec<_> = proxy.records().iter().map(|record| record["policy"].clone()).collect();
    assert_eq!(policies.len(), 3);
    assert_eq!(proxy.cells(), [("open".into(), None, 0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_another_name_begins_anew() {
    let named = |key| limited(&format!("{key}: {{ requests: 2, per: 1m }}"), "");
    let proxy = proxy(&named("rpm"));
    let ask = async |callers| admitted(&all((0..callers).map(|_| proxy.chat("m"))).await);
    assert_eq!(ask(5).await, 2);
    proxy.reload(&named("fresh"));
    assert_eq!(ask(5).await, 2);
    proxy.reload(&named("rpm"));
    assert_eq!(ask(5).await, 0, "and the old one is not forgotten by that");
}

#[tokio::test(start_paused = true)]
async fn a_renamed_limit_goes_on_where_it_was_and_calls_under_way_with_it() {
    let named = |limit: &str| limited(limit, "tokensPerSecond: 1, tokens: 5");
    let proxy = proxy(&named("open: { concurrent: 2 }, rpm: { requests: 3, per: 1m }"));
    let running = proxy.stream("m").open().await;
    proxy.reload(&named("places: { concurrent: 2, was: open }, calls: { requests: 3, per: 1m, was: rpm }"));
    let second = proxy.stream("m").open().await;
    assert_eq!(second.status, 200);
    assert_eq!(proxy.chat("m").await.status, 429, "the first still has its place");
    assert!(running.rest().await.is_done() && second.rest().await.is_done());
    proxy.reload(&named("seats: { concurrent: 2, was: places }, rate: { requests: 3, per: 1m, was: calls }"));
    assert_eq!([proxy.chat("m").await.status, proxy.chat("m").await.status], [200, 429]);
    let keys: Vec<_> = proxy.cells().into_iter().map(|cell| cell.0).collect();
    assert_eq!(keys, ["rate", "seats"]);
}
