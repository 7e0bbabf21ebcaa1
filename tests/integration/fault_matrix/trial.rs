//! One call whose first provider has a fault and whose second has none, and what came of it.

use std::collections::BTreeSet;
use std::str::FromStr;

use egret::environment::Environment;
use egret::mock::Fault;
use egret::mock::fault::FaultSyntax;
use serde_json::Value;

use super::Came;
use crate::support::*;

/// The strategies, each written so that it begins with the first provider.
pub(super) const STRATEGIES: [&str; 4] = ["ordered", "weighted", "fastest", "cheapest"];

/// What the first provider says, and the second.
const FIRST: &str = "hello from p1";
const SECOND: &str = "hello from p2";

/// The longest answer of either, which is held for a try.
const LONGEST: u64 = 100;

/// A fault of a scripted provider, as a row of the table names it.
#[derive(Debug)]
pub(super) struct Struck {
    pub(super) fault: Fault,
    /// Whether the policy asks for a least rate.
    min_rate: bool,
}

impl FromStr for Struck {
    type Err = FaultSyntax;

    fn from_str(text: &str) -> Result<Self, FaultSyntax> {
        let (fault, min_rate) =
            text.strip_suffix(" under minRate").map_or((text, false), |fault| (fault, true));
        Ok(Self { fault: fault.parse()?, min_rate })
    }
}

/// Asks by way of a route whose first provider has this fault.
pub(super) async fn tried(struck: &Struck, strategy: &str, stream: bool, input: u64) -> Came {
    // Struck by its key, so that the other provider is not.
    let keyed = matches!(struck.fault, Fault::ForKey { .. });
    let (keys, fault) = if keyed {
        ("{ name: a, fromEnv: FIRST }, { name: b, fromEnv: SECOND }", struck.fault.to_string())
    } else {
        ("{ name: a, fromEnv: FIRST }", format!("for-key=aaa;{}", struck.fault))
    };
    let provider = format!("keys: [{keys}], mock: {{ says: \"{FIRST}\" }}");
    let rate = if struck.min_rate { ", minRate: { tokensPerSecond: 5, over: 1s }" } else { "" };
    let timeouts = format!("answer: 20s, firstToken: 20s, streamIdle: 20s{rate}");
    let proxy = start(&policy(strategy, &provider, &timeouts));
    let mut answer = asked(&proxy, "chat", stream).fault(&fault).await;
    let mut before = 0;
    if keyed && proxy.seen("p1")[0].key_ends() == Some("-bbb") {
        // It was the turn of the key that is fine.
        proxy.records();
        before = cell(&proxy, "tenantt", "m1").0;
        answer = asked(&proxy, "chat", stream).fault(&fault).await;
    }
    let mut came = came(&proxy, &answer, input, before).await;
    let passed_on = answer.header("x-egret-provider") == Some("p1");
    if passed_on && came.attempts == 1 && !answer.raw().contains("upstream_stream_interrupted") {
        let ask = asked(&proxy, "m", stream).fault(&struck.fault.to_string());
        let own = proxy.directly("p1", ask).await;
        kept(&answer, &own, &came);
        if own.header("content-encoding").is_some() {
            came.caller += ", decoded";
        }
    }
    came
}

/// A plain call, or a stream.
pub(super) fn asked<'p>(proxy: &'p Proxy, model: &str, stream: bool) -> Ask<'p> {
    if stream { proxy.stream(model) } else { proxy.chat(model) }
}

/// A proxy with the keys of both providers.
pub(super) fn start(policy: &str) -> Proxy {
    let keys = [("FIRST", "first-key-aaa"), ("SECOND", "first-key-bbb"), ("THIRD", "other-key-ccc")];
    let environment = Environment::given(keys);
    Start { environment, ..Start::default() }.proxy(policy)
}

/// A route `chat` from provider `p1`, of which this is said, to the good provider `p2`, under limits of every kind.
pub(super) fn policy(strategy: &str, provider: &str, timeouts: &str) -> String {
    let weight = |weight| if strategy == "weighted" { format!(", weight: {weight}") } else { String::new() };
    let (first, second) = (weight(1_000), weight(1));
    let limits = |key: &str| {
        format!(
            "{key}t: {{ tokens: 100000, per: day, each: model }}, {key}c: {{ concurrent: 2 }}, {key}u: {{ usd: \"1.00\", per: day }}"
        )
    };
    let (tenant, p1, p2) = (limits("tenant"), limits("p"), limits("q"));
    let price = |input| {
        format!(
            "maxOutputTokens: {LONGEST}, price: [{{ inputPerMTok: \"{input}\", outputPerMTok: \"9.00\" }}]"
        )
    };
    let (cheap, dear) = (price("1.00"), price("2.00"));
    format!(
        "defaults: {{ timeouts: {{ connect: 200ms, {timeouts} }} }}\n\
         providers:\n\
         \x20 p1: {{ {provider}, limits: {{ {p1} }} }}\n\
         \x20 p2: {{ keys: [{{ name: c, fromEnv: THIRD }}], mock: {{ says: \"{SECOND}\" }}, limits: {{ {p2} }} }}\n\
         models: {{ m1: {{ provider: p1, {cheap} }}, m2: {{ provider: p2, {dear} }} }}\n\
         routes: {{ chat: {{ strategy: {strategy}, targets: [{{ model: m1{first} }}, {{ model: m2{second} }}] }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, limits: {{ {tenant} }} }} }}\n"
    )
}

/// What is estimated as the input of a call: what is held while it waits, without its output.
pub(super) async fn input(stream: bool) -> u64 {
    let proxy = start(&policy("ordered", "mock: { latency: 1s }", "answer: 20s"));
    let looks = async {
        quiet().await;
        cell(&proxy, "tenantt", "m1").1
    };
    let (_, held) = tokio::join!(asked(&proxy, "chat", stream).into_future(), looks);
    held.checked_sub(LONGEST).filter(|input| *input > 0).expect("input is held")
}

/// Used and held under a limit of a model.
fn cell(proxy: &Proxy, limit: &str, model: &str) -> (u64, u64) {
    let cells = proxy.cells();
    let of = |cell: &&(String, Option<String>, u64, u64)| cell.0 == limit && cell.1.as_deref() == Some(model);
    cells.iter().find(of).map_or((0, 0), |cell| (cell.2, cell.3))
}

/// What came of a call, before which so much was charged.
pub(super) async fn came(proxy: &Proxy, answer: &Answer, input: u64, before: u64) -> Came {
    quiet().await;
    let cells = proxy.cells();
    assert!(cells.iter().all(|cell| cell.3 == 0), "something stays reserved: {cells:?}");
    let record = proxy.record();
    let attempts = record["attempts"].as_array().unwrap();
    assert_eq!(attempts[0]["provider"], "p1", "{record}");
    spliced(answer);
    let caller = heard(answer, attempts.len());
    let charged = cell(proxy, "tenantt", "m1").0;
    assert_eq!(cell(proxy, "pt", "m1").0, charged, "tenant and provider are charged the same");
    let reported = record["usage"]["total"].as_u64();
    if record["model"] == "m2" {
        assert_eq!(Some(cell(proxy, "tenantt", "m2").0), reported, "{record}");
    }
    // With another key the same model answered.
    let answered = if caller == "next key answers" { reported.unwrap() } else { 0 };
    Came {
        outcome: attempts[0]["outcome"].as_str().unwrap().into(),
        caller: caller.into(),
        attempts: attempts.len(),
        charged: charge(charged - before - answered, input, answer, reported).into(),
    }
}

/// What the caller got, in words.
fn heard(answer: &Answer, attempts: usize) -> &'static str {
    if answer.header("x-egret-provider") == Some("p2") {
        assert_eq!((answer.status, answer.text().as_str(), answer.broken), (200, SECOND, false));
        return "next target answers";
    }
    if answer.header("x-egret-provider").is_none() {
        let expected = (400, "context_length_exceeded".to_owned());
        assert_eq!(answer.refused(), expected, "no other refusal of ours is in the table");
        return "it is too long (400)";
    }
    assert_eq!(answer.header("x-egret-provider"), Some("p1"), "{answer:?}");
    if answer.broken {
        assert_eq!(answer.status, 200);
        return "breaks off";
    }
    if is_stream(answer) && is_error(&last_event(answer)) {
        assert!(!answer.raw().contains("[DONE]"), "a broken stream must not look complete: {}", answer.raw());
        assert!(FIRST.starts_with(&answer.text()), "{}", answer.raw());
        return if answer.text().is_empty() { "its own error" } else { "error event, no `[DONE]`" };
    }
    if attempts > 1 {
        assert_eq!((answer.status, answer.text().as_str()), (200, FIRST));
        return "next key answers";
    }
    if answer.status != 200 || !is_stream(answer) && is_error(&answer.json()) {
        "its own error"
    } else {
        "as it came"
    }
}

/// What is passed on is what its provider says by itself.
fn kept(answer: &Answer, own: &Answer, came: &Came) {
    assert_eq!(answer.status, own.status);
    if own.header("content-encoding").is_some() {
        // Decoded, since nobody asked for it so.
        assert_eq!((answer.text().as_str(), answer.header("content-encoding")), (FIRST, None));
    } else if came.caller == "as it came" {
        assert_eq!(substance(answer), substance(own));
    } else if is_stream(answer) {
        assert_eq!(last_event(answer), last_event(own));
    } else {
        assert_eq!(answer.body, own.body);
    }
}

/// What a try was charged, in words.
fn charge(charged: u64, input: u64, answer: &Answer, reported: Option<u64>) -> &'static str {
    match charged {
        0 => "nothing",
        _ if Some(charged) == reported => "its usage",
        _ if charged == input => "input",
        _ if charged == input + events(answer) => "input and what came",
        _ if charged == input + LONGEST => "what was held",
        _ => panic!("charged {charged}: input is {input}, and there came {answer:?}"),
    }
}

/// No stream has bytes of two answers.
fn spliced(answer: &Answer) {
    if is_stream(answer) {
        let ids = answer.raw().split("data: {\"id\":\"").skip(1).filter_map(|event| event.split('"').next());
        assert!(ids.collect::<BTreeSet<_>>().len() <= 1, "events of several answers: {}", answer.raw());
    }
}

fn is_stream(answer: &Answer) -> bool {
    answer.header("content-type").is_some_and(|of| of.starts_with("text/event-stream"))
}

fn is_error(json: &Value) -> bool {
    json["error"].is_object()
}

/// The last event of a stream; null where that is `[DONE]`.
fn last_event(answer: &Answer) -> Value {
    let last = answer.raw().trim_end().rsplit("\n\n").next().and_then(|last| last.strip_prefix("data: "));
    last.and_then(|last| serde_json::from_str(last).ok()).unwrap_or_default()
}

/// How many events of a stream came from its provider; each is counted as a token.
fn events(answer: &Answer) -> u64 {
    let events = if is_stream(answer) { answer.events() } else { Vec::new() };
    let ours = |event: &Value| event["error"]["code"] == "upstream_stream_interrupted";
    events.iter().filter(|event| !ours(event)).count() as u64
}

/// An answer without what is another in each: what stands before its choices, and the usage that egret asked for.
fn substance(answer: &Answer) -> Vec<&str> {
    let choices = |event| str::split_once(event, r#""choices":"#).map_or(event, |(_, choices)| choices);
    let events = answer.raw().split("\n\n").map(choices);
    if !is_stream(answer) {
        return events.collect();
    }
    events.map(|event| event.trim_end_matches('}').trim_end_matches(r#","usage":null"#)).collect()
}
