//! Calls that are too long for a model's window: refused, sent to a larger one, or cut; and answers that would be.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::*;

/// Three models, of 1,000 tokens, of 500 and of 100,000, and a route through them that does this with what is too long.
fn windows(how: &str, mocks: [&str; 3], limits: &str) -> String {
    let [p, q, r] = mocks;
    format!(
        "providers: {{ p: {{ mock: {{ {p} }} }}, q: {{ mock: {{ {q} }} }}, r: {{ mock: {{ {r} }} }} }}\n\
         models:\n  small: {{ provider: p, contextTokens: 1000, maxOutputTokens: 300 }}\n\
         \x20 tiny: {{ provider: q, contextTokens: 500, maxOutputTokens: 300 }}\n\
         \x20 large: {{ provider: r, contextTokens: 100000, maxOutputTokens: 300 }}\n\
         routes:\n  chat: {{ {how} targets: [{{ model: small }}, {{ model: tiny }}, {{ model: large }}] }}\n\
         \x20 one: {{ {how} targets: [{{ model: small }}] }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, limits: {{ {limits} }} }} }}\n"
    )
}

const REJECT: &str = "onContextOverflow: reject,";
const NEXT: &str = "onContextOverflow: nextTarget,";
const CUT: &str = "onContextOverflow: truncateOldest,";
const OK: [&str; 3] = ["", "", ""];

/// A conversation of so many turns of about 160 bytes, behind what the system says.
fn conversation(turns: usize) -> Vec<Value> {
    let mut messages = vec![json!({ "role": "system", "content": "Be brief." })];
    for turn in 0..turns {
        messages.push(json!({ "role": "user", "content": format!("question {turn} {}", "word ".repeat(8)) }));
        messages.push(json!({ "role": "assistant", "content": format!("answer {turn}") }));
    }
    messages.push(json!({ "role": "user", "content": "the last question" }));
    messages
}

fn chat_of(model: &str, messages: &[Value], more: &Value) -> String {
    let mut body = json!({ "model": model, "messages": messages });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

async fn chat(proxy: &Proxy, model: &str, messages: &[Value], more: Value) -> Answer {
    proxy.post("/v1/chat/completions", chat_of(model, messages, &more)).await
}

/// The bodies that a provider was asked.
fn asked(proxy: &Proxy, provider: &str) -> Vec<Value> {
    proxy.seen(provider).iter().map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect()
}

/// Model and reason of those that were passed over.
fn passed_over(record: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let passed = record["passed_over"].as_array().into_iter().flatten();
    passed.map(|passed| (text(&passed["model"]), text(&passed["reason"]))).collect()
}

fn reasons<const N: usize>(reasons: [(&str, &str); N]) -> Vec<(String, String)> {
    reasons.map(|(model, reason)| (model.to_owned(), reason.to_owned())).into()
}

/// What so many bytes are estimated at before anything was learned.
fn estimate(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(3)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_too_long_is_refused_as_its_provider_would_and_nobody_is_asked() {
    let proxy = proxy(&windows(REJECT, OK, ""));
    let answer = chat(&proxy, "chat", &conversation(30), json!({})).await;
    assert_eq!(answer.refused(), (400, "context_length_exceeded".into()));
    assert_eq!(answer.json()["error"]["param"], "messages");
    assert!(answer.message().contains("1000 tokens"), "{}", answer.message());
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let record = proxy.record();
    assert_eq!(passed_over(&record), reasons([("small", "window")]), "nor is a larger one");
    assert_eq!((&record["attempts"], &record["outcome"]), (&json!([]), &json!("refused")));
    assert_eq!(chat(&proxy, "chat", &conversation(3), json!({})).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_too_long_goes_to_the_next_target_whose_window_is_large_enough() {
    let proxy = proxy(&windows(NEXT, OK, ""));
    let answer = chat(&proxy, "chat", &conversation(30), json!({})).await;
    assert_eq!((answer.status, answer.header("x-egret-model")), (200, Some("large")));
    assert_eq!(answer.header("x-egret-truncated"), None);
    assert_eq!(asked(&proxy, "r")[0]["messages"].as_array().unwrap().len(), 62, "whole");
    assert_eq!(passed_over(&proxy.record()), reasons([("small", "window"), ("tiny", "window")]));
    assert_eq!(
        chat(&proxy, "one", &conversation(30), json!({})).await.refused(),
        (400, "context_length_exceeded".into())
    );
    assert_eq!((proxy.seen("p").len(), proxy.seen("q").len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn where_the_policy_says_nothing_calls_go_as_they_are() {
    let proxy = proxy(&windows("", OK, ""));
    let answer = chat(&proxy, "chat", &conversation(30), json!({ "max_tokens": 5000 })).await;
    assert_eq!((answer.header("x-egret-model"), answer.header("x-egret-clamped")), (Some("small"), None));
    let asked = &asked(&proxy, "p")[0];
    assert_eq!((asked["messages"].as_array().unwrap().len(), &asked["max_tokens"]), (62, &json!(5000)));
}

#[tokio::test(start_paused = true)]
async fn the_oldest_turns_are_cut_and_what_the_system_says_and_the_newest_stay() {
    for stream in [false, true] {
        let proxy = proxy(&windows(CUT, OK, ""));
        let messages = conversation(30);
        let answer = chat(&proxy, "one", &messages, json!({ "stream": stream })).await;
        assert_eq!(answer.status, 200, "{}", answer.raw());
        let asked = &asked(&proxy, "p")[0];
        let left = asked["messages"].as_array().unwrap();
        let cut = messages.len() - left.len();
        assert!((10..50).contains(&cut), "{cut}");
        assert_eq!(answer.header("x-egret-truncated"), Some(cut.to_string().as_str()));
        assert_eq!(left[0], messages[0]);
        assert_eq!(left[1..], messages[cut + 1..], "the newest, unchanged and in order");
        assert_eq!(left[1]["role"], "user");
        // A quarter of the window is free for the answer, and one turn more would not be.
        let bytes = proxy.seen("p")[0].body.len();
        assert!(estimate(bytes) + 250 <= 1_000, "{bytes}");
        assert!(stream || estimate(bytes + 160) + 250 > 1_000, "{bytes}: no more is cut than has to be");
        assert!(proxy.record()["cut_bytes"].as_u64().unwrap() > 1_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_and_its_results_go_or_stay_together() {
    let call = json!({ "role": "assistant", "tool_calls": [
        { "id": "call_1", "type": "function", "function": { "name": "look", "arguments": "{}" } }
    ] });
    let result = json!({ "role": "tool", "tool_call_id": "call_1", "content": "seen" });
    for at in 0..30 {
        let mut messages = conversation(30);
        // Behind the question of that turn; its result, one question later.
        messages.insert(2 + 2 * at, call.clone());
        messages.insert(2 + 2 * at + 3, result.clone());
        let proxy = proxy(&windows(CUT, OK, ""));
        let answer = chat(&proxy, "one", &messages, json!({})).await;
        assert_eq!(answer.status, 200, "{at}: {}", answer.raw());
        let left = asked(&proxy, "p")[0]["messages"].clone();
        let left = left.as_array().unwrap();
        assert_eq!(left.contains(&call), left.contains(&result), "{at}");
        assert_eq!(left.contains(&call), at > 20 || left.contains(&messages[1 + 2 * at]), "{at}");
        assert_eq!((&left[0], left.last()), (&messages[0], messages.last()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_input_of_a_response_is_cut_in_the_same_way() {
    let proxy = proxy(&windows(CUT, OK, ""));
    let mut items = conversation(30);
    items[0] = json!({ "role": "developer", "content": "Be brief." });
    items.insert(60, json!({ "type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}" }));
    items.insert(61, json!({ "type": "function_call_output", "call_id": "c1", "output": "seen" }));
    let body = json!({ "model": "one", "instructions": "Be kind.", "input": items, "store": false });
    let answer = proxy.post("/v1/responses", body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.raw());
    let asked = &asked(&proxy, "p")[0];
    let left = asked["input"].as_array().unwrap();
    let cut = items.len() - left.len();
    assert!(cut > 10, "{cut}");
    assert_eq!(answer.header("x-egret-truncated"), Some(cut.to_string().as_str()));
    assert_eq!((&left[0], &left[1..]), (&items[0], &items[cut + 1..]));
    assert_eq!(asked["instructions"], "Be kind.");
}

#[tokio::test(start_paused = true)]
async fn where_not_enough_can_be_cut_the_next_target_takes_the_call_or_nobody() {
    let proxy = proxy(&windows(CUT, OK, ""));
    let long = [json!({ "role": "user", "content": "word ".repeat(1_000) })];
    let answer = chat(&proxy, "chat", &long, json!({})).await;
    assert_eq!((answer.header("x-egret-model"), answer.header("x-egret-truncated")), (Some("large"), None));
    assert_eq!(
        chat(&proxy, "one", &long, json!({})).await.refused(),
        (400, "context_length_exceeded".into())
    );
    assert_eq!((proxy.seen("p").len(), proxy.seen("q").len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_be_as_long_as_there_is_room_for_and_no_longer_than_the_models() {
    for how in [REJECT, NEXT, CUT] {
        let proxy = proxy(&windows(how, OK, ""));
        let answer = chat(&proxy, "one", &conversation(1), json!({ "max_tokens": 5_000 })).await;
        assert_eq!(
            (answer.status, answer.header("x-egret-clamped")),
            (200, Some("300")),
            "{how}: the model's own"
        );
        assert_eq!(asked(&proxy, "p")[0]["max_tokens"], 300, "{how}");

        let (mut messages, more) = (conversation(16), json!({ "max_tokens": 300 }));
        messages.push(json!({ "role": "user", "content": "and one more question" }));
        let room = 1_000 - estimate(chat_of("one", &messages, &more).len());
        assert!((256..300).contains(&room), "{room}");
        let answer = chat(&proxy, "one", &messages, more).await;
        assert_eq!(answer.header("x-egret-clamped"), Some(room.to_string().as_str()), "{how}");
        assert_eq!(answer.header("x-egret-truncated"), None, "{how}");
        assert_eq!(asked(&proxy, "p")[1]["max_tokens"], room, "{how}");

        let short = chat(&proxy, "one", &messages, json!({ "max_completion_tokens": 200 })).await;
        assert_eq!(
            (short.status, short.header("x-egret-clamped")),
            (200, None),
            "{how}: what fits is untouched"
        );
        assert_eq!(asked(&proxy, "p")[2]["max_completion_tokens"], 200, "{how}");
        let unbound = chat(&proxy, "one", &messages, json!({})).await;
        assert_eq!((unbound.status, unbound.header("x-egret-clamped")), (200, None), "{how}");
        assert_eq!(asked(&proxy, "p")[3].get("max_tokens"), None, "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_makes_room_for_the_answer() {
    let proxy = proxy(&windows(CUT, OK, ""));
    for (named, least) in [(300, 250), (260, 250), (100, 100)] {
        let answer = chat(&proxy, "one", &conversation(40), json!({ "max_tokens": named })).await;
        assert!(answer.header("x-egret-truncated").is_some(), "{named}");
        let sent = &proxy.seen("p").pop().unwrap().body;
        let room = 1_000 - estimate(sent.len() - "small".len() + "one".len());
        let bound = serde_json::from_slice::<Value>(sent).unwrap()["max_tokens"].as_u64().unwrap();
        assert_eq!(bound, room.min(named), "{named}");
        assert!(bound >= least, "{named}: {bound}");
        let clamped = answer.header("x-egret-clamped").map(|tokens| tokens.parse::<u64>().unwrap());
        assert_eq!(clamped, (bound < named).then_some(bound), "{named}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_answer_needs_little_room() {
    let proxy = proxy(&windows(REJECT, OK, ""));
    let messages = conversation(18);
    let room = |more: &Value| 1_000_i64 - estimate(chat_of("one", &messages, more).len()) as i64;
    let (short, long) = (json!({ "max_tokens": 20 }), json!({ "max_tokens": 300 }));
    assert!((20..256).contains(&room(&short)) && room(&long) < 256, "{}", room(&short));
    assert_eq!(chat(&proxy, "one", &messages, short).await.status, 200);
    assert_eq!(chat(&proxy, "one", &messages, long).await.status, 400);
}

const TOO_LONG: &str = "faults: [{ error: context_length_exceeded }]";

#[tokio::test(start_paused = true)]
async fn a_providers_own_word_that_a_call_is_too_long_leads_to_a_larger_window_only() {
    // What is as large as the one that was too small, is too small.
    for (how, other) in [(NEXT, 500), (CUT, 500), ("", 500), (NEXT, 1_000), (CUT, 1_000), ("", 1_000)] {
        let text = windows(how, [TOO_LONG, "", ""], "");
        let proxy = proxy(&text.replace("contextTokens: 500", &format!("contextTokens: {other}")));
        let answer = chat(&proxy, "chat", &conversation(1), json!({})).await;
        assert_eq!((answer.status, answer.header("x-egret-model")), (200, Some("large")), "{how}");
        assert_eq!(proxy.seen("q").len(), 0, "{how}");
        let record = proxy.record();
        assert_eq!(record["attempts"][0]["outcome"], "context_too_long");
        assert_eq!(passed_over(&record), reasons([("tiny", "window")]), "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_providers_own_word_that_a_call_is_too_long_is_returned_where_nobody_has_a_larger_window() {
    for (how, model, mocks) in [
        (REJECT, "chat", [TOO_LONG, "", ""]),
        (NEXT, "one", [TOO_LONG, "", ""]),
        (CUT, "one", [TOO_LONG, "", ""]),
        (NEXT, "chat", [TOO_LONG, "", TOO_LONG]),
    ] {
        let proxy = proxy(&windows(how, mocks, ""));
        let own = proxy.asked_directly("p", "error=context_length_exceeded").await;
        let answer = chat(&proxy, model, &conversation(1), json!({})).await;
        assert_eq!((answer.status, &answer.body), (400, &own.body), "{how} {model}");
        assert_eq!(proxy.seen("q").len(), 0, "{how} {model}");
        assert_eq!(proxy.record()["outcome"], "upstream_error", "{how} {model}");
        let stream = chat(&proxy, model, &conversation(1), json!({ "stream": true })).await;
        assert_eq!((stream.status, &stream.body), (400, &own.body), "{how} {model}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_word_inside_a_good_status_leads_to_a_larger_window_too() {
    let inside = "faults: [{ errorEvent: { afterChunks: 0, code: context_length_exceeded } }]";
    for stream in [false, true] {
        let proxy = proxy(&windows(NEXT, [inside, "", ""], ""));
        let answer = chat(&proxy, "chat", &conversation(1), json!({ "stream": stream })).await;
        assert_eq!((answer.status, answer.header("x-egret-model")), (200, Some("large")), "stream: {stream}");
        assert_eq!(proxy.seen("q").len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn limits_hold_what_the_cut_call_needs() {
    let limits = "a: { inputTokens: 900, per: day }, b: { outputTokens: 1000, per: day }";
    let proxy = proxy(&windows(CUT, ["latency: 1s", "", ""], limits));
    let messages = conversation(60);
    assert!(estimate(chat_of("one", &messages, &json!({})).len()) > 900, "whole it would not fit");
    let looks = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        proxy.cells().into_iter().map(|cell| cell.3).collect::<Vec<_>>()
    };
    let (answer, held) = tokio::join!(chat(&proxy, "one", &messages, json!({})), looks);
    assert_eq!(answer.status, 200, "{}", answer.raw());
    let sent = estimate(proxy.seen("p")[0].body.len() - "small".len() + "one".len());
    assert_eq!(held, [sent, 300]);
    let read = answer.json()["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(read < sent);
    assert_eq!(proxy.cells()[0], ("a".into(), None, read, 0), "charged is what the provider read");
}

#[tokio::test(start_paused = true)]
async fn a_bound_of_egrets_own_is_lowered_to_what_is_left_of_the_window() {
    for (turns, is_long) in [(14, true), (1, false)] {
        let text = windows(NEXT, OK, "tpd: { tokens: 100000, per: day }")
            .replace("contextTokens: 1000, maxOutputTokens: 300", "contextTokens: 1000, maxOutputTokens: 900")
            .replace("local: true,", "local: true, reserveOutput: { cap: 800 },");
        let proxy = proxy(&text);
        let messages = conversation(turns);
        let room = 1_000 - estimate(chat_of("one", &messages, &json!({})).len());
        assert_eq!((350..400).contains(&room), is_long, "{room}");
        let answer = chat(&proxy, "one", &messages, json!({})).await;
        let bound = room.min(800);
        assert_eq!(asked(&proxy, "p")[0]["max_tokens"], bound, "{room}");
        let told = bound.to_string();
        assert_eq!((answer.status, answer.header("x-egret-clamped")), (200, Some(told.as_str())), "{room}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_of_the_cut_of_whoever_answered_and_not_of_one_that_was_asked_beside() {
    for (r, p, cut) in [("latency: 3s", "latency: 9s", false), ("latency: 9s", "latency: 1s", true)] {
        let text = windows(CUT, [p, "", r], "").replace(
            "targets: [{ model: small }, { model: tiny }, { model: large }]",
            "hedge: { after: 2s, maxShare: 1 }, targets: [{ model: large }, { model: small }]",
        );
        let proxy = proxy(&text);
        let answer = chat(&proxy, "chat", &conversation(30), json!({})).await;
        assert_eq!(answer.header("x-egret-model"), Some(if cut { "small" } else { "large" }));
        assert_eq!(answer.header("x-egret-truncated").is_some(), cut);
        let (whole, part) = (proxy.seen("r")[0].body.len(), proxy.seen("p")[0].body.len());
        assert!(part + 1_000 < whole, "the second was sent less: {part} of {whole}");
        let told = proxy.record()["cut_bytes"].as_u64().unwrap_or(0);
        assert_eq!(told > 0, cut, "{told}");
    }
}
