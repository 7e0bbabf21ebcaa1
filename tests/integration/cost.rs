//! What calls cost: the tokens reported, at the price of the model that served, as it was when the call began.

use egret::clock::Timestamp;
use serde_json::json;

use crate::support::*;

/// 1,000 dollars a million for input, 2,000 for output: a token of either is a tenth, or a fifth, of a cent.
const PRICE: &str = "price: [{ inputPerMTok: \"1000\", outputPerMTok: \"2000.000001\" }]";

/// `dear` and `free` answer two words to one; `flaky` never answers, so that its route goes on to `dear`.
fn policy() -> String {
    format!(
        "providers: {{ p: {{ mock: {{ says: \"fine words\" }} }}, q: {{ mock: {{ faults: [empty] }} }} }}\n\
         models:\n  dear: {{ provider: p, {PRICE} }}\n  free: {{ provider: p }}\n  \
         flaky: {{ provider: q, price: [{{ inputPerMTok: \"7\", outputPerMTok: \"7\" }}] }}\n\
         routes: {{ chat: {{ targets: [{{ model: flaky }}, {{ model: dear }}] }} }}\n{ANYONE}"
    )
}

/// What the only line of the access log says a call cost, digit for digit.
fn logged(proxy: &Proxy) -> Option<String> {
    let text = proxy.log_text();
    assert_eq!(text.lines().count(), 1, "{text}");
    let (_, rest) = text.split_once("\"cost_usd\":")?;
    Some(rest.split([',', '}']).next().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_plain_call_tells_its_caller_and_the_log_the_same_cost() {
    let proxy = proxy(&policy());
    let answer = proxy.chat("dear").await;
    // One token at 0.001 and two at 0.002000000001 dollars, rounded up to the next billionth.
    assert_eq!(answer.header("x-egret-cost-usd"), Some("0.005000001"));
    assert_eq!(logged(&proxy).as_deref(), Some("0.005000001"));
}

#[tokio::test(start_paused = true)]
async fn a_streamed_call_costs_as_much_as_a_plain_one() {
    let proxy = proxy(&policy());
    let answer = proxy.stream("dear").await;
    assert!(answer.is_done());
    assert_eq!(answer.header("x-egret-cost-usd"), None, "its head goes out before anybody knows");
    assert_eq!(logged(&proxy).as_deref(), Some("0.005000001"));
}

#[tokio::test(start_paused = true)]
async fn every_operation_has_its_cost() {
    let proxy = proxy(&policy());
    for (path, body, cost) in [
        ("completions", r#"{"model":"dear","prompt":"hi"}"#, "0.005000001"),
        ("completions", r#"{"model":"dear","prompt":"hi","stream":true}"#, "0.005000001"),
        ("embeddings", r#"{"model":"dear","input":"one two"}"#, "0.002"),
        ("responses", r#"{"model":"dear","input":"hi"}"#, "0.005000001"),
        ("responses", r#"{"model":"dear","input":"hi","stream":true}"#, "0.005000001"),
    ] {
        assert_eq!(proxy.post(&format!("/v1/{path}"), body).await.status, 200, "{path}");
        assert_eq!(logged(&proxy).as_deref(), Some(cost), "{path} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_price_is_that_of_the_model_that_served() {
    let proxy = proxy(&policy());
    let answer = proxy.chat("chat").await;
    assert_eq!(answer.header("x-egret-model"), Some("dear"));
    assert_eq!(answer.header("x-egret-cost-usd"), Some("0.005000001"));
    assert_eq!(logged(&proxy).as_deref(), Some("0.005000001"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_cost_is_none_and_not_zero() {
    let proxy = proxy(&policy());
    for (ask, what) in [
        (proxy.chat("free"), "no price"),
        (proxy.stream("free"), "no price, streamed"),
        (proxy.chat("flaky"), "no answer"),
        (proxy.chat("dear").fault("status=400"), "the provider's error"),
        (proxy.chat("nobody"), "no model"),
        (proxy.get("/v1/models"), "an answer of our own"),
    ] {
        let answer = ask.await;
        assert_eq!((answer.header("x-egret-cost-usd"), logged(&proxy)), (None, None), "{what}");
    }
}

/// In real time, as all tests with a provider on a socket.
#[tokio::test]
async fn a_call_without_reported_usage_has_no_cost() {
    let raw = Raw::answers(canned("content-type: application/json\r\n", "{\"choices\":[]}")).await;
    let proxy = proxy(&priced(&raw, "{ inputPerMTok: \"1\", outputPerMTok: \"1\" }"));
    let answer = proxy.chat("m").await;
    assert_eq!((answer.status, answer.header("x-egret-cost-usd"), logged(&proxy)), (200, None, None));
}

#[tokio::test]
async fn peer_bug_10_each_part_of_a_usage_has_its_own_price() {
    let usage = json!({
        "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
        "prompt_tokens_details": { "cached_tokens": 60, "cache_write_tokens": 20, "audio_tokens": 5 },
        "completion_tokens_details": { "reasoning_tokens": 30, "audio_tokens": 10 },
    });
    let body = json!({ "choices": [], "usage": usage }).to_string();
    let raw = Raw::answers(canned("content-type: application/json\r\n", &body)).await;
    let first = "inputPerMTok: \"1000000\", outputPerMTok: \"10\"";
    let costs_at = |more: &str| {
        let proxy = proxy(&priced(&raw, &format!("{{ {first}{more} }}")));
        async move {
            let answer = proxy.chat("m").await;
            let cost = logged(&proxy).unwrap();
            assert_eq!(answer.header("x-egret-cost-usd"), Some(&*cost));
            cost
        }
    };
    assert_eq!(costs_at("").await, "100.0005", "all input as input, all output as output");
    let own = ", cacheReadPerMTok: \"100000\", cacheWritePerMTok: \"1250000\", reasoningPerMTok: \"1\", \
               audioInputPerMTok: \"0\", audioOutputPerMTok: \"1000\"";
    // 15 + 6 + 25 + 0 in, 10 at ten millionths + 30 at one + 10 at a thousand out.
    assert_eq!(costs_at(own).await, "46.01013");
}

#[tokio::test]
async fn a_stream_that_breaks_costs_what_was_reported_by_then() {
    let event = json!({
        "choices": [{ "index": 0, "delta": { "content": "a" } }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4 },
    });
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let raw = Raw::answers(format!("{head}data: {event}\n\n")).await;
    let proxy = proxy(&priced(&raw, "{ inputPerMTok: \"1000000\", outputPerMTok: \"2000000\" }"));
    assert!(!proxy.stream("m").await.is_done());
    assert_eq!(logged(&proxy).as_deref(), Some("5"));
}

#[tokio::test(start_paused = true)]
async fn a_call_costs_what_held_when_it_began() {
    let new = "inputPerMTok: \"9000\", outputPerMTok: \"9000\", effectiveFrom: \"2026-11-21\"";
    let price = PRICE.replace(" }]", &format!(" }}, {{ {new} }}]"));
    let slow = "providers: { p: { mock: { says: \"fine words\", latency: 10s } } }\n";
    let proxy = proxy(&format!("{slow}models: {{ dear: {{ provider: p, {price} }} }}\n{ANYONE}"));
    let set = |time: &str| proxy.state.clock.set_wall(time.parse::<Timestamp>().unwrap());
    for stream in [false, true] {
        let ask = || if stream { proxy.stream("dear") } else { proxy.chat("dear") };
        set("2026-11-20T23:59:59Z");
        let midnight = async {
            quiet().await;
            set("2026-11-21T00:00:00Z");
        };
        let (answer, ()) = tokio::join!(ask().into_future(), midnight);
        assert_eq!(answer.status, 200);
        assert_eq!(logged(&proxy).as_deref(), Some("0.005000001"), "it began on the day before");
        assert_eq!(ask().await.status, 200);
        assert_eq!(logged(&proxy).as_deref(), Some("0.027"), "the new price holds from midnight");
    }
    let listed = |price: serde_json::Value| price["data"][0]["price"]["input_per_mtok"].clone();
    assert_eq!(listed(proxy.get("/v1/models").await.json()), "9000");
    set("2026-11-20T23:59:59Z");
    assert_eq!(listed(proxy.get("/v1/models").await.json()), "1000");
}

/// A model `m` at this provider and price.
fn priced(raw: &Raw, price: &str) -> String {
    raw.policy("").replace("m: { provider: raw }", &format!("m: {{ provider: raw, price: [{price}] }}"))
}
