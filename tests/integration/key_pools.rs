//! Several keys of one provider: they take turns, and one that does not work is left alone for a while.

use std::time::Duration;

use egret::admin::Sight;
use egret::clock::Instant;
use serde_json::{Value, json};

use crate::canary::Traced;
use crate::metrics::Page;
use crate::support::*;

/// `p1` with three keys and these faults, and `p2` that is fine.
fn pool(faults: &str) -> Proxy {
    Start::keyed().proxy(&pooled(&[faults, "ok"]))
}

/// A chain whose first provider has three keys.
fn pooled(faults: &[&str]) -> String {
    saying(&routing(&chain(faults), "retry: { maxAttempts: 6 }"), "p1", POOL)
}

/// A fault for whoever calls with this key.
fn for_key(key: &str, code: u16) -> String {
    format!("{{ forKey: {{ endsWith: \"{key}\", code: {code} }} }}")
}

/// With which keys the first provider was called, a letter for each call.
fn keys(proxy: &Proxy) -> String {
    proxy.seen("p1").iter().map(|seen| &seen.key_ends().unwrap()[..1]).collect()
}

/// Of so many calls, with which keys the first provider was called, and who answered.
async fn calls(proxy: &Proxy, count: usize) -> (String, String) {
    let before = proxy.seen("p1").len();
    let mut served = String::new();
    for _ in 0..count {
        let answer = proxy.chat("chat").await;
        assert_eq!(answer.status, 200, "{}", answer.raw());
        served.push_str(&answer.header("x-egret-provider").unwrap()[1..]);
    }
    (keys(proxy).split_off(before), served)
}

/// What operators see of a key of the first provider.
fn key(proxy: &Proxy, name: &str) -> (Value, Value) {
    let page = proxy.state.sight().providers();
    let keys = page["providers"][0]["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["key"] == name).unwrap_or_else(|| panic!("no {name} in {page}"));
    (key["out"].clone(), key["triedAgainInMs"].clone())
}

#[tokio::test(start_paused = true)]
async fn they_take_turns() {
    let proxy = pool("ok");
    assert_eq!(calls(&proxy, 7).await.0, "abcabca");
    for _ in 0..2 {
        assert!(proxy.stream("chat").await.is_done());
    }
    assert_eq!(keys(&proxy), "abcabcabc");
}

#[tokio::test(start_paused = true)]
async fn they_take_turns_whatever_the_strategy_of_the_route() {
    for strategy in ["weighted", "fastest", "cheapest"] {
        let policy = pooled(&["ok", "ok"]).replace("chat: {", &format!("chat: {{ strategy: {strategy},"));
        let proxy = Start::keyed().proxy(&policy);
        for _ in 0..30 {
            assert_eq!(proxy.chat("chat").await.status, 200);
        }
        let keys = keys(&proxy);
        let turns: String = "abc".chars().cycle().take(keys.len()).collect();
        assert_eq!(keys, turns, "{strategy}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_gives_way_to_the_next_at_once_and_is_not_used_for_a_minute() {
    for stream in [false, true] {
        let proxy = pool(&for_key("aaaa", 401));
        let begun = Instant::now();
        let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
        took(begun, Duration::ZERO);
        assert_eq!((answer.status, answer.header("x-egret-provider")), (200, Some("p1")));
        assert_eq!(answer.header("x-egret-attempts"), Some("2"), "another key is another try");
        let record = proxy.record();
        assert_eq!(record["attempts"][0]["outcome"], "key_refused");
        assert_eq!(record["attempts"][0]["status"], 401);
        assert_eq!(keys(&proxy), "ab");
        assert_eq!(key(&proxy, "a"), (json!("refused"), json!(60_000)));
        assert_eq!(key(&proxy, "b"), (Value::Null, Value::Null));

        let (used, served) = calls(&proxy, 9).await;
        assert!(!used.contains('a') && served == "1".repeat(9), "{used}");
        tokio::time::sleep(secs(59)).await;
        assert!(!calls(&proxy, 3).await.0.contains('a'));
        tokio::time::sleep(secs(1)).await;
        assert_eq!(key(&proxy, "a"), (Value::Null, Value::Null));
        let (used, _) = calls(&proxy, 3).await;
        assert_eq!(used.matches('a').count(), 1, "{used}: it is tried once more");
    }
}

#[tokio::test(start_paused = true)]
async fn another_key_needs_a_try_that_is_left() {
    let policy = pooled(&[&for_key("aaaa", 401), "ok"]).replace("maxAttempts: 6", "maxAttempts: 1");
    let proxy = Start::keyed().proxy(&policy);
    let answer = proxy.chat("chat").await;
    assert_eq!(answer.refused(), (502, "upstream_auth_failed".into()));
    assert_eq!((answer.header("x-egret-attempts"), keys(&proxy).as_str()), (Some("1"), "a"));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_does_not_work_is_an_alarm() {
    for (code, words) in [
        (401, "a provider does not accept our key"),
        (403, "a provider does not accept our key"),
        (402, "our account at a provider is used up"),
    ] {
        let (log, _guard) = Traced::begin();
        let proxy = pool(&for_key("aaaa", code));
        calls(&proxy, 1).await;
        let said = log.text();
        let alarm = said.lines().find(|line| line.contains("ERROR")).unwrap_or_else(|| panic!("{said}"));
        assert!(alarm.contains(words) && alarm.contains("p1") && alarm.contains("m1"), "{alarm}");
        assert!(!said.contains("aaaa"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_of_one_key_is_its_own_and_only_for_as_long_as_was_asked() {
    let fault = "{ forKey: { endsWith: aaaa, code: 429, retryAfter: 7s } }";
    let policy = pooled(&[fault, "ok"])
        .replace("m2: { provider: p2 }", "m2: { provider: p2 }\n  m3: { provider: p1 }");
    let proxy = Start::keyed().proxy(&policy);
    let begun = Instant::now();
    assert_eq!(calls(&proxy, 1).await, ("ab".into(), "1".into()));
    took(begun, Duration::ZERO);
    assert_eq!(proxy.record()["attempts"][0]["outcome"], "rate_limited");
    assert_eq!(key(&proxy, "a"), (Value::Null, Value::Null), "nothing is wrong with it");
    assert!(!calls(&proxy, 6).await.0.contains('a'));

    // For another model it is as good as ever.
    let before = proxy.seen("p1").len();
    for _ in 0..3 {
        proxy.chat("m3").await;
    }
    assert!(keys(&proxy)[before..].contains('a'));

    tokio::time::sleep(secs(7) - begun.elapsed() - Duration::from_millis(100)).await;
    assert!(!calls(&proxy, 3).await.0.contains('a'));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(calls(&proxy, 3).await.0.contains('a'));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_may_not_use_a_model_is_good_for_the_others() {
    let policy = pooled(&[&for_key("aaaa", 403), "ok"])
        .replace("m2: { provider: p2 }", "m2: { provider: p2 }\n  m3: { provider: p1 }");
    let proxy = Start::keyed().proxy(&policy);
    assert_eq!(calls(&proxy, 1).await, ("ab".into(), "1".into()));
    assert_eq!(proxy.record()["attempts"][0]["outcome"], "key_refused");
    assert_eq!(key(&proxy, "a"), (Value::Null, Value::Null));
    assert!(!calls(&proxy, 6).await.0.contains('a'));
    let before = proxy.seen("p1").len();
    proxy.chat("m3").await;
    proxy.chat("m3").await;
    proxy.chat("m3").await;
    assert_eq!(keys(&proxy)[before..].matches('a').count(), 1);
    tokio::time::sleep(secs(61)).await;
    assert!(calls(&proxy, 3).await.0.contains('a'), "somebody may have mended it");
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_money_is_spent_is_out_for_ten_minutes() {
    for fault in [
        for_key("aaaa", 402),
        "{ error: insufficient_quota }, ok".into(),
        "{ error: credit_balance_exhausted }, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok".into(),
    ] {
        let proxy = pool(&fault);
        assert_eq!(calls(&proxy, 1).await, ("ab".into(), "1".into()), "{fault}");
        assert_eq!(proxy.record()["attempts"][0]["outcome"], "out_of_credit");
        assert_eq!(key(&proxy, "a"), (json!("out_of_credit"), json!(600_000)), "{fault}");
        let labels = [r#"egret_key="a""#, r#"egret_provider="p1""#, r#"egret_reason="out_of_credit""#];
        assert_eq!(Page::of(&proxy).sum("egret_key_out", &labels), 1.0);
        assert_eq!(Page::of(&proxy).sum("egret_key_out", &[]), 1.0, "the others are fine");
        tokio::time::sleep(secs(599)).await;
        assert_ne!(key(&proxy, "a").0, Value::Null);
        tokio::time::sleep(secs(1)).await;
        assert_eq!(key(&proxy, "a").0, Value::Null);
        assert_eq!(Page::of(&proxy).sum("egret_key_out", &[]), 0.0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_a_good_answer_says_the_same_of_a_key() {
    for (code, outcome, out) in [
        ("invalid_api_key", "key_refused", json!("refused")),
        ("insufficient_quota", "out_of_credit", json!("out_of_credit")),
        ("rate_limit_exceeded", "rate_limited", Value::Null),
    ] {
        for stream in [false, true] {
            let oks = ", ok".repeat(20);
            let proxy = pool(&format!("{{ errorEvent: {{ afterChunks: 0, code: {code} }} }}{oks}"));
            let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
            assert_eq!((answer.status, answer.header("x-egret-provider")), (200, Some("p1")), "{code}");
            assert_eq!(proxy.record()["attempts"][0]["outcome"], outcome, "{code} stream: {stream}");
            assert_eq!(keys(&proxy), "ab", "{code} stream: {stream}");
            assert_eq!(key(&proxy, "a").0, out, "{code} stream: {stream}");
            assert!(out.is_null() || !calls(&proxy, 6).await.0.contains('a'), "{code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_provider_itself_is_nothing_another_key_would_mend() {
    for code in [500, 503, 529] {
        let proxy = pool(&format!("{{ status: {{ code: {code} }} }}"));
        assert_eq!(calls(&proxy, 1).await, ("a".into(), "2".into()), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_keys_are_out_the_next_target_serves() {
    for (code, reason, alone, out) in [
        (401, "key_refused", 0.0, 3.0),
        (403, "key_refused", 1.0, 0.0),
        (402, "out_of_credit", 0.0, 3.0),
        (429, "cooling_down", 1.0, 0.0),
    ] {
        let proxy = pool(&format!("{{ status: {{ code: {code} }} }}"));
        assert_eq!(calls(&proxy, 1).await, ("abc".into(), "2".into()), "{code}");
        proxy.log_text();
        assert_eq!(calls(&proxy, 1).await, (String::new(), "2".into()), "{code}");
        let passed = json!([{ "provider": "p1", "model": "m1", "reason": reason }]);
        assert_eq!(proxy.record()["passed_over"], passed, "{code}");
        let told = Page::of(&proxy);
        assert_eq!(told.sum("egret_target_cooling_down", &[r#"egret_model="m1""#]), alone, "{code}");
        assert_eq!(told.sum("egret_key_out", &[]), out, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn its_caller_never_hears_that_a_key_was_refused() {
    for (code, status) in [(401, 502), (403, 502)] {
        for providers in [1, 2] {
            let fault = format!("{{ status: {{ code: {code} }} }}");
            let proxy = Start::keyed().proxy(&pooled(&vec![fault.as_str(); providers]));
            for call in 0..3 {
                for stream in [false, true] {
                    let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
                    let context = format!("{code}, {providers} providers, call {call}, stream: {stream}");
                    if code == 401 || call == 0 && !stream {
                        assert_eq!(answer.refused(), (status, "upstream_auth_failed".into()), "{context}");
                    } else {
                        assert!(answer.status >= 502, "{context}: {}", answer.raw());
                    }
                    assert_eq!(answer.header("www-authenticate"), None);
                    assert!(
                        !answer.raw().contains("API key") && !answer.raw().contains("region"),
                        "{}",
                        answer.raw()
                    );
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_refused_inside_a_good_answer_is_never_heard_either() {
    for stream in [false, true] {
        let fault = "{ errorEvent: { afterChunks: 0, code: invalid_api_key } }";
        let proxy = Start::keyed().proxy(&pooled(&[fault]));
        let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
        assert_eq!(answer.refused(), (502, "upstream_auth_failed".into()));
        assert!(!answer.raw().contains("API key"), "{}", answer.raw());
        assert_eq!(keys(&proxy), "abc");
    }
}

#[tokio::test(start_paused = true)]
async fn one_key_is_missing_and_the_others_serve() {
    let proxy = pool("ok");
    let policy = pooled(&["ok", "ok"]).replace("fromEnv: B", "fromEnv: NOT_SET");
    proxy.reload(&policy);
    let (used, served) = calls(&proxy, 6).await;
    assert!(!used.contains('b') && used.len() == 6 && served == "111111", "{used} {served}");
    assert!(proxy.records().iter().any(|record| record["attempts"][0]["outcome"] == "key_missing"));
}

#[tokio::test(start_paused = true)]
async fn where_one_key_has_no_room_the_next_is_used() {
    let limits = format!("{POOL}, limits: {{ rpm: {{ requests: 2, per: 1m, each: providerKey }} }}");
    let policy = pooled(&["ok", "ok"]).replace(POOL, &limits);
    let proxy = Start::keyed().proxy(&policy);
    assert_eq!(calls(&proxy, 6).await, ("abcabc".into(), "1".repeat(6)));
    proxy.log_text();
    assert_eq!(calls(&proxy, 1).await, (String::new(), "2".into()), "none has room");
    assert_eq!(proxy.record()["passed_over"][0]["reason"], "provider_limit");

    // One key that is out makes the others carry more, and no one more than it may.
    let proxy =
        Start::keyed().proxy(&policy.replace("faults: [ok]", &format!("faults: [{}]", for_key("aaaa", 401))));
    let (used, served) = calls(&proxy, 6).await;
    let of = |key| used.matches(key).count();
    assert_eq!((of('a'), of('b'), of('c'), served.as_str()), (1, 2, 2, "111122"), "{used}");
}

#[tokio::test(start_paused = true)]
async fn a_changed_secret_brings_a_key_back_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "secret-aaaa").unwrap();
    let fault = for_key("aaaa", 401);
    let policy = saying(&chain(&[&fault, "ok"]), "p1", &format!("key: {{ fromFile: {} }}", file.display()));
    let proxy = proxy(&policy);
    assert_eq!(calls(&proxy, 3).await, ("a".into(), "222".into()), "refused once, then left alone");
    assert_eq!(key(&proxy, "p1").0, "refused");

    std::fs::write(&file, "another-secret-dddd").unwrap();
    proxy.state.shared.secrets.refresh();
    assert_eq!(key(&proxy, "p1"), (Value::Null, Value::Null));
    assert_eq!(calls(&proxy, 2).await, ("dd".into(), "11".into()));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_former_secret_says_nothing_of_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "secret-aaaa").unwrap();
    let fault = for_key("aaaa", 401);
    let policy = saying(&chain(&[&fault, "ok"]), "p1", &format!("key: {{ fromFile: {} }}", file.display()));
    let proxy = proxy(&policy.replace("hello from p1\"", "hello from p1\", latency: 5s"));
    let changes = async {
        tokio::time::sleep(secs(1)).await;
        std::fs::write(&file, "another-secret-dddd").unwrap();
        proxy.state.shared.secrets.refresh();
    };
    let (answer, ()) = tokio::join!(proxy.chat("chat").into_future(), changes);
    assert_eq!((answer.header("x-egret-provider"), keys(&proxy).as_str()), (Some("p2"), "a"));
    assert_eq!(key(&proxy, "p1"), (Value::Null, Value::Null));
    assert_eq!(calls(&proxy, 1).await, ("d".into(), "1".into()));
}

#[tokio::test(start_paused = true)]
async fn where_no_key_has_room_the_wait_is_told_of_the_one_that_has_it_first() {
    let limits = format!("{POOL}, limits: {{ rpm: {{ requests: 1, per: 1m, each: providerKey }} }}");
    let proxy = Start::keyed().proxy(&saying(&chain(&["ok"]), "p1", &limits));
    for _ in 0..3 {
        assert_eq!(calls(&proxy, 1).await.1, "1");
        tokio::time::sleep(secs(10)).await;
    }
    // Whichever key's turn it is.
    for turn in 0..3 {
        let refused = proxy.chat("chat").await;
        assert_eq!(refused.refused(), (503, "no_provider_available".into()));
        assert_eq!(refused.header("retry-after"), Some("30"), "turn {turn}");
    }
    assert_eq!(keys(&proxy), "abc");
}
