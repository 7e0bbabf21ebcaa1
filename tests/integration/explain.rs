//! `/explain` of a running egret: as things stand there, and without a trace.

use egret::admin::{self, Face, Sight};
use egret::resilience::breaker::BreakerState;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::support::*;

const POLICY: &str = "providers:
  a: { mock: { faults: [{ status: { code: 500 } }] } }
  b: { mock: {} }
models:
  m1: { provider: a, maxOutputTokens: 100, price: [{ inputPerMTok: \"1.00\", outputPerMTok: \"1.00\" }] }
  m2: { provider: b, maxOutputTokens: 100, price: [{ inputPerMTok: \"1.00\", outputPerMTok: \"1.00\" }] }
routes:
  chat: { targets: [{ model: m1 }, { model: m2 }] }
  split: { strategy: weighted, targets: [{ model: m1, weight: 1 }, { model: m2, weight: 1 }] }
tenants:
  app:
    local: true
    access: { allow: [chat, split] }
    limits: { rpm: { requests: 50, per: 1m, each: user }, day: { usd: \"1.00\", per: day }, at: { concurrent: 3 } }
";

fn explained(proxy: &Proxy, inquiry: &Value) -> Value {
    proxy.state.explain(inquiry.to_string().as_bytes()).unwrap()
}

fn limit<'v>(explained: &'v Value, name: &str) -> &'v Value {
    let limits = explained["routes"][0]["targets"][1]["limits"].as_array().unwrap();
    limits.iter().find(|limit| limit["limit"] == name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_has_been_counted_and_is_known_is_seen() {
    let proxy = proxy(POLICY);
    let before = explained(&proxy, &json!({ "model": "chat" }));
    assert_eq!(before["routes"][0]["targets"][0]["verdict"], "tried");
    assert_eq!((&limit(&before, "rpm")["left"], &limit(&before, "day")["left"]), (&json!(50), &json!("1")));
    // Five failures in a row open the breaker of `m1`.
    for _ in 0..5 {
        assert_eq!(proxy.chat("chat").await.status, 200);
    }
    let after = explained(&proxy, &json!({ "model": "chat" }));
    assert_eq!(after["routes"][0]["targets"][0]["reason"], "breaker_open");
    assert_eq!(after["routes"][0]["targets"][1]["verdict"], "tried");
    assert_eq!(limit(&after, "rpm")["left"], 45);
    let used = proxy.cells().into_iter().find(|(key, ..)| key == "day").unwrap().2;
    let left = egret::units::NanoUsd(1_000_000_000 - used).to_string();
    assert_eq!(limit(&after, "day")["left"], left);
    assert_eq!(limit(&after, "at")["left"], 3);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_changed_by_it() {
    let proxy = proxy(POLICY);
    assert_eq!(proxy.chat("chat").await.status, 200);
    let breakers = || {
        proxy
            .state
            .shared
            .health
            .targets()
            .into_iter()
            .map(|(id, known)| (id, known.breaker.state(moment().instant)))
    };
    let (cells, health): (_, Vec<(_, BreakerState)>) = (proxy.cells(), breakers().collect());
    let _ = proxy.log_text();
    let metrics = proxy.state.sight().metrics();
    let first = explained(&proxy, &json!({ "model": "split", "down": ["b"] }));
    for _ in 0..9 {
        // The turn of `split` stays where it is.
        assert_eq!(explained(&proxy, &json!({ "model": "split", "down": ["b"] })), first);
    }
    assert_eq!(proxy.cells(), cells);
    assert_eq!(breakers().collect::<Vec<_>>(), health);
    assert_eq!(proxy.log_text(), "");
    let calls = |metrics: &str| {
        metrics.lines().filter(|line| line.starts_with("egret_")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(calls(&proxy.state.sight().metrics()), calls(&metrics));
    assert_eq!(proxy.seen("b").len(), 1);
}

async fn posted(proxy: &Proxy, method: &str, body: impl Into<bytes::Bytes>, face: Face) -> (u16, String) {
    let request = Request::builder().method(method).uri("/explain").body(Full::new(body.into())).unwrap();
    let answer = admin::respond(request, face, &proxy.state.sight()).await;
    let status = answer.status().as_u16();
    let body = answer.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn it_is_asked_by_post_at_the_admin_port_alone() {
    let proxy = proxy(POLICY);
    let inquiry = json!({ "model": "chat" }).to_string();
    let (status, body) = posted(&proxy, "POST", inquiry.clone(), Face::Full).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["caller"]["tenant"], "app");
    assert_eq!(posted(&proxy, "GET", "", Face::Full).await.0, 405);
    assert_eq!(posted(&proxy, "POST", inquiry, Face::Probes).await.0, 404);
    assert_eq!(posted(&proxy, "POST", vec![b' '; 2 << 20], Face::Full).await.0, 413);
}

#[tokio::test(start_paused = true)]
async fn a_faulty_inquiry_is_told_in_a_sentence() {
    let proxy = proxy(POLICY);
    for (inquiry, sentence) in [
        ("", "the request is no inquiry: no JSON at line 1 column 0"),
        (
            "{\"modle\":1}",
            "the request is no inquiry: an unknown field, or a value of another type at line 1 column 8",
        ),
        (
            "{\"model\":\"chat\",\"at\":\"2026-03-02T09:00:00Z\"}",
            "a running egret has its own time: leave `at` out",
        ),
        (
            "{\"model\":\"chat\",\"usage\":[{\"tenant\":\"app\",\"limit\":\"at\",\"amount\":18446744073709551615}]}",
            "at most 10000 calls can be under way",
        ),
        ("{\"model\":\"chat\",\"tenant\":\"ap\"}", "the policy has no tenant `ap`; did you mean `app`?"),
        (
            "{\"model\":\"chat\",\"usage\":[{\"tenant\":\"app\",\"limit\":\"rpm\",\"amount\":1}]}",
            "counts each user apart",
        ),
    ] {
        let (status, body) = posted(&proxy, "POST", inquiry, Face::Full).await;
        assert_eq!(status, 400);
        assert!(body.contains(sentence), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_there_is_told() {
    let keyed = POLICY.replace(
        "  b: { mock: {} }",
        "  b: { keys: [{ name: a, fromEnv: A }, { name: z, fromEnv: Z }], mock: {} }",
    );
    assert_ne!(keyed, POLICY);
    let proxy = Start::keyed().proxy(&keyed);
    let tries: Vec<_> = (0..2)
        .map(|_| {
            explained(&proxy, &json!({ "model": "chat", "down": ["a"] }))["routes"][0]["targets"][1]["try"]
                .clone()
        })
        .collect();
    // Their turn does not go on by being asked.
    assert_eq!(tries[0], tries[1]);
    assert_eq!((&tries[0]["key"], &tries[0]["keyIsThere"]), (&json!("a"), &json!(true)));
    assert_eq!(proxy.chat("chat").await.status, 200);
    let next =
        explained(&proxy, &json!({ "model": "chat", "down": ["a"] }))["routes"][0]["targets"][1]["try"]
            .clone();
    assert_eq!((&next["key"], &next["keyIsThere"]), (&json!("z"), &json!(false)));
}
