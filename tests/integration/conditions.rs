//! Which calls a route and its targets take (`when`), where calls say what they are about, and how long they may take.

use std::time::Duration;

use egret::clock::Instant;
use serde_json::{Value, json};

use crate::support::*;

/// Where calls say what they are about.
const ATTRIBUTES: &str = "attributes: { task: { header: x-egret-task }, priority: { metadata: priority }, \
     skills: { header: x-egret-skills }, latencyBudget: { header: x-egret-latency-budget } }";

/// A route `chat` to `a` where this holds and else to `b`, a route `gated` to `b` where it holds, and a tenant that says
/// this.
fn policy(when: &str, tenant: &str) -> String {
    format!(
        "providers: {{ p: {{ mock: {{ says: \"one two\" }} }} }}\n\
         models:\n  a: {{ provider: p, maxOutputTokens: 10, skills: [code, vision], price: [{{ inputPerMTok: \"0.00\", outputPerMTok: \"50.00\" }}] }}\n\
         \x20 b: {{ provider: p, maxOutputTokens: 10, skills: [code], price: [{{ inputPerMTok: \"0.00\", outputPerMTok: \"50.00\" }}] }}\n\
         routes:\n  chat: {{ targets: [{{ model: a, when: {{ {when} }} }}, {{ model: b }}] }}\n\
         \x20 gated: {{ when: {{ {when} }}, targets: [{{ model: b }}] }}\n\
         \x20 nowhere: {{ targets: [{{ model: a, when: {{ {when} }} }}, {{ model: b, when: {{ {when} }} }}] }}\n\
         plans: {{ pro: {{ limits: {{}} }}, free: {{ limits: {{}} }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, {tenant} }} }}\n"
    )
}

/// A call that says something: a header, or what stands in its body's metadata.
fn call<'p>(proxy: &'p Proxy, model: &str, headers: &[(&str, &str)], body: &Value) -> Ask<'p> {
    let mut all = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
    all.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let ask = proxy.post("/v1/chat/completions", all.to_string());
    headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value))
}

/// That a condition holds of a call, or that it does not: for a target, for a route, and where nothing else is left.
async fn holds(proxy: &Proxy, headers: &[(&str, &str)], body: Value, expected: bool, what: &str) {
    let chat = call(proxy, "chat", headers, &body).await;
    assert_eq!(
        chat.header("x-egret-model"),
        Some(if expected { "a" } else { "b" }),
        "{what}: {}",
        chat.raw()
    );
    for route in ["gated", "nowhere"] {
        let answer = call(proxy, route, headers, &body).await;
        if expected {
            assert_eq!(answer.status, 200, "{route} {what}");
        } else {
            assert_eq!(answer.refused(), (403, "model_not_allowed".into()), "{route} {what}");
            assert_eq!(answer.json()["error"]["type"], "permission_error", "{route} {what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_call_says_in_its_header_or_metadata_decides_where_it_goes() {
    let metadata = |value: Value| json!({ "metadata": { "priority": value, "task": "extraction" } });
    let none = json!({});
    for (when, headers, body, expected) in [
        ("task: [summarization, extraction]", &[("x-egret-task", "extraction")][..], none.clone(), true),
        ("task: [summarization, extraction]", &[("X-Egret-Task", " summarization ")], none.clone(), true),
        ("task: [summarization]", &[("x-egret-task", "Summarization")], none.clone(), false),
        ("task: [summarization]", &[("x-egret-task", "summarization,other")], none.clone(), false),
        ("task: [summarization]", &[("x-egret-task", "")], none.clone(), false),
        ("task: [summarization]", &[], none.clone(), false),
        // Not where the policy says that it stands.
        ("task: [extraction]", &[], metadata(json!("low")), false),
        ("priority: [high]", &[("x-egret-priority", "high")], none.clone(), false),
        ("priority: [high, \"3\"]", &[], metadata(json!("high")), true),
        ("priority: [high, \"3\"]", &[], metadata(json!(3)), true),
        ("priority: [high]", &[], metadata(json!("h\u{69}gh")), true),
        ("priority: [high]", &[], metadata(json!("low")), false),
        ("priority: [high]", &[], metadata(json!(["high"])), false),
        ("priority: [high]", &[], none.clone(), false),
        ("skills: [code]", &[("x-egret-skills", "code")], none.clone(), true),
        ("skills: [code, audio]", &[("x-egret-skills", " code ")], none.clone(), true),
        ("skills: [vision]", &[("x-egret-skills", "code")], none.clone(), false),
        ("skills: [code]", &[], none.clone(), false),
        ("header: { x-env: [staging, production] }", &[("x-env", "staging")], none.clone(), true),
        ("header: { x-env: [staging] }", &[("x-env", "other"), ("x-env", "staging")], none.clone(), true),
        ("header: { x-env: [staging] }", &[("x-env", "production")], none.clone(), false),
        ("header: { x-env: [staging] }", &[], none.clone(), false),
        ("header: { x-env: [] }", &[("x-env", "whatever")], none.clone(), true),
        ("header: { x-env: [] }", &[], none.clone(), false),
        ("header: { x-env: [a], x-zone: [b] }", &[("x-env", "a"), ("x-zone", "b")], none.clone(), true),
        ("header: { x-env: [a], x-zone: [b] }", &[("x-env", "a")], none.clone(), false),
        // All of them must hold.
        ("task: [t], header: { x-env: [a] }", &[("x-egret-task", "t"), ("x-env", "a")], none.clone(), true),
        ("task: [t], header: { x-env: [a] }", &[("x-egret-task", "t"), ("x-env", "b")], none.clone(), false),
        ("task: [t], inputTokensAbove: 1000", &[("x-egret-task", "t")], none.clone(), false),
        ("plan: [pro], task: [t]", &[("x-egret-task", "t")], none.clone(), false),
    ] {
        let proxy = proxy(&policy(when, ATTRIBUTES));
        holds(&proxy, headers, body, expected, &format!("{when} {headers:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_does_not_say_where_has_no_call_that_says_anything() {
    for (when, header) in
        [("task: [t]", "x-egret-task"), ("priority: [t]", "priority"), ("skills: [t]", "x-egret-skills")]
    {
        let proxy = proxy(&policy(when, ""));
        holds(&proxy, &[(header, "t")], json!({ "metadata": { "priority": "t", "task": "t" } }), false, when)
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_length_of_a_call_is_told_from_its_body() {
    for (when, words, expected) in [
        ("inputTokensBelow: 100", 1, true),
        ("inputTokensBelow: 100", 100, false),
        ("inputTokensAbove: 100", 100, true),
        ("inputTokensAbove: 100", 1, false),
        ("inputTokensAbove: 100, inputTokensBelow: 300", 100, true),
        ("inputTokensAbove: 100, inputTokensBelow: 300", 300, false),
    ] {
        let proxy = proxy(&policy(when, ""));
        let body = json!({ "messages": [{ "role": "user", "content": "word ".repeat(words) }] });
        holds(&proxy, &[], body, expected, &format!("{when} {words}")).await;
    }
    // A token for three bytes before anything is known; neither bound is within.
    let exact = json!({ "model": "chat", "messages": [{ "role": "user", "content": "hi" }] })
        .to_string()
        .len()
        .div_ceil(3);
    for (when, model) in [
        (format!("inputTokensBelow: {exact}"), "b"),
        (format!("inputTokensBelow: {}", exact + 1), "a"),
        (format!("inputTokensAbove: {exact}"), "b"),
        (format!("inputTokensAbove: {}", exact - 1), "a"),
    ] {
        let proxy = proxy(&policy(&when, ""));
        assert_eq!(proxy.chat("chat").await.header("x-egret-model"), Some(model), "{when}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_plan_is_that_of_the_tenant() {
    for (plan, expected) in [("plan: pro", true), ("plan: free", false), ("", false)] {
        let proxy =
            proxy(&policy("plan: [pro, gold]", plan).replace("plans: {", "plans: { gold: { limits: {} },"));
        holds(&proxy, &[], json!({}), expected, plan).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_go_elsewhere_when_little_of_a_budget_is_left() {
    for (limit, when) in [
        // Each call costs a ten-thousandth of a dollar, or two tokens of output.
        ("x: { usd: \"0.001\", per: day }", "budgetBelow: { x: 40% }"),
        ("x: { outputTokens: 20, per: month }", "budgetBelow: { x: 40% }"),
        ("x: { requests: 10, per: week }", "budgetBelow: { x: 40% }"),
        ("x: { requests: 10, per: day, mode: shadow }", "budgetBelow: { x: 40% }"),
        ("x: { requests: 10, per: day }, y: { requests: 99, per: day }", "budgetBelow: { x: 40%, y: 99% }"),
    ] {
        let text = policy(when, &format!("limits: {{ {limit} }}"))
            .replace("maxOutputTokens: 10", "maxOutputTokens: 2");
        let proxy = proxy(&text);
        let mut models = String::new();
        for _ in 0..10 {
            models += proxy.chat("chat").await.header("x-egret-model").unwrap();
        }
        // With seven made, three of ten are left: less than four.
        assert_eq!(models, "bbbbbbbaaa", "{limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_window_is_a_new_budget_and_of_no_such_limit_nothing_is_left() {
    let proxy = proxy(&policy("budgetBelow: { x: 50% }", "limits: { x: { requests: 4, per: day } }"));
    let model = |answer: Answer| answer.header("x-egret-model").unwrap().to_owned();
    let mut models = String::new();
    for _ in 0..4 {
        models += &model(proxy.chat("chat").await);
    }
    assert_eq!(models, "bbba");
    proxy.state.clock.set_wall("2026-11-21T00:00:00Z".parse().unwrap());
    assert_eq!(model(proxy.chat("chat").await), "b");

    let other = format!(
        "tenants: {{ other: {{ match: [{{ apiKeySha256: \"{}\" }}], access: {{ allow: [\"*\"] }}, limits: {{ x: {{ requests: 4, per: day }} }} }},",
        hash("key-other")
    );
    let text = policy("budgetBelow: { x: 100% }", "limits: { y: { requests: 4, per: day } }");
    let without = self::proxy(&text.replace("tenants: {", &other));
    assert_eq!(without.chat("gated").await.refused(), (403, "model_not_allowed".into()));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_budget_of_each_user_is_what_is_left_of_the_callers() {
    let text = policy("budgetBelow: { x: 60% }", "limits: { x: { requests: 2, per: day, each: user } }")
        .replace(
            "local: true",
            &format!(
                "match: [{{ apiKeySha256: \"{}\", user: ann }}, {{ apiKeySha256: \"{}\", user: bob }}]",
                hash("key-ann"),
                hash("key-bob")
            ),
        );
    let proxy = proxy(&text);
    for (key, model) in [("key-ann", "b"), ("key-ann", "a"), ("key-bob", "b"), ("key-bob", "a")] {
        assert_eq!(proxy.chat("chat").key(key).await.header("x-egret-model"), Some(model), "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_day_is_that_of_the_clock_on_the_wall() {
    let night = "timeOfDay: { from: \"22:00\", to: \"06:00\", timeZone: Europe/Berlin, days: [fri] }";
    let proxy = proxy(&policy(night, ""));
    for (at, expected) in [
        // Berlin is an hour ahead; the 20th is a Friday.
        ("2026-11-20T20:59:59Z", false),
        ("2026-11-20T21:00:00Z", true),
        ("2026-11-21T04:59:59Z", true),
        ("2026-11-21T05:00:00Z", false),
        ("2026-11-21T21:30:00Z", false),
        ("2026-11-20T01:00:00Z", false),
    ] {
        proxy.state.clock.set_wall(at.parse().unwrap());
        holds(&proxy, &[], json!({}), expected, at).await;
    }
    let rest = self::proxy(&policy("timeOfDay: { from: \"12:30\", to: \"00:00\" }", ""));
    for (at, expected) in
        [("2026-11-20T12:29:59Z", false), ("2026-11-20T12:30:00Z", true), ("2026-11-20T23:59:59Z", true)]
    {
        rest.state.clock.set_wall(at.parse().unwrap());
        holds(&rest, &[], json!({}), expected, at).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_target_whose_conditions_hold_is_tried_first_and_the_next_of_those_next() {
    let text = policy("task: [no]", "attributes: { task: { header: x-egret-task } }").replace(
        "targets: [{ model: a, when: { task: [no] } }, { model: b }] }",
        "targets: [{ model: c, when: { task: [t] } }, { model: a, when: { inputTokensAbove: 1000 } }, { model: b, when: { task: [t, u] } }, { model: d }] }",
    );
    let text = text
        .replace("models:\n", "models:\n  c: { provider: down }\n  d: { provider: p }\n")
        .replace("providers: {", "providers: { down: { mock: { faults: [{ status: { code: 500 } }] } },");
    let (proxy, traces) = traced(&text);
    for (task, expected) in [
        ("t", &["c: tried", "b: tried", "d: not needed", "a: when"][..]),
        ("u", &["b: tried", "d: not needed", "c: when", "a: when"]),
        ("v", &["d: tried", "c: when", "a: when", "b: when"]),
    ] {
        let answer = proxy.chat("chat").header("x-egret-task", task).await;
        assert_eq!(answer.status, 200, "{task}");
        assert_eq!(traces.candidates(), [expected], "{task}");
        let record = proxy.record();
        let passed: Vec<_> = record["passed_over"].as_array().into_iter().flatten().collect();
        let told: Vec<_> =
            passed.iter().map(|passed| format!("{}: when", passed["model"].as_str().unwrap())).collect();
        assert_eq!(
            told,
            expected.iter().filter(|text| text.ends_with(": when")).copied().collect::<Vec<_>>()
        );
        assert!(passed.iter().all(|passed| passed["reason"] == "when"), "{record}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_model_with_every_skill_that_is_asked_for_takes_a_call() {
    let text = policy("header: { x-no: [] }", ATTRIBUTES).replace(
        "[{ model: a, when: { header: { x-no: [] } } }, { model: b }]",
        "[{ model: b }, { model: a }]",
    );
    let (proxy, traces) = traced(&text);
    for (skills, model) in [("code", "b"), ("vision", "a"), (" vision , code ", "a"), (",", "b"), ("", "b")] {
        let answer = proxy.chat("chat").header("x-egret-skills", skills).await;
        assert_eq!(answer.header("x-egret-model"), Some(model), "{skills}");
    }
    assert_eq!(traces.candidates()[1], ["a: tried", "b: skills"]);
    assert_eq!(
        proxy.records()[1]["passed_over"],
        json!([{ "provider": "p", "model": "b", "reason": "skills" }])
    );
    for skills in ["audio", "code,audio", "Code"] {
        let refused = proxy.chat("chat").header("x-egret-skills", skills).await;
        assert_eq!(refused.refused(), (400, "invalid_request".into()), "{skills}");
        assert!(refused.message().contains("skills"), "{}", refused.message());
        assert_eq!(proxy.record()["attempts"], json!([]));
    }
    // A tenant that does not say where, asks for none.
    let silent = self::proxy(&text.replace(ATTRIBUTES, ""));
    assert_eq!(
        silent.chat("chat").header("x-egret-skills", "audio").await.header("x-egret-model"),
        Some("b")
    );
}

#[tokio::test(start_paused = true)]
async fn a_condition_does_not_open_what_is_denied() {
    let text = policy("task: [t]", ATTRIBUTES).replace("allow: [\"*\"]", "allow: [\"*\"], deny: [a]");
    let (proxy, traces) = traced(&text);
    let answer = proxy.chat("chat").header("x-egret-task", "t").await;
    assert_eq!(answer.header("x-egret-model"), Some("b"));
    assert_eq!(traces.candidates(), [["b: tried", "a: denied"]]);
}

/// A chain of silent providers whose callers may say how long a call may take.
fn patient(faults: &[&str], attributes: &str) -> String {
    let text = chain(faults).replace("local: true, ", &format!("local: true, {attributes}, "));
    text.replace("chat: { targets", "chat: { timeouts: { total: 60s, firstToken: 20s, answer: 20s }, targets")
}

const SILENT: &str = "{ stall: { afterChunks: 0 } }";
const BUDGET: &str = "x-egret-latency-budget";

#[tokio::test(start_paused = true)]
async fn a_callers_own_time_bounds_the_whole_call() {
    for (budget, millis, attempts) in
        [("2500ms", 2_500, 1), ("30s", 30_000, 2), (" 45s ", 45_000, 3), ("1m", 60_000, 3), ("2h", 60_000, 3)]
    {
        for stream in [false, true] {
            let proxy = proxy(&patient(&[SILENT, SILENT, SILENT, SILENT], ATTRIBUTES));
            let ask = if stream { proxy.stream("chat") } else { proxy.chat("chat") };
            let begun = Instant::now();
            let answer = ask.header(BUDGET, budget).await;
            let taken = begun.elapsed();
            let expected = Duration::from_millis(millis);
            assert!(taken >= expected && taken < expected + Duration::from_millis(50), "{budget}: {taken:?}");
            assert_eq!(answer.refused(), (504, "upstream_timeout".into()), "{budget}");
            let record = proxy.record();
            let tried = record["attempts"].as_array().unwrap();
            assert_eq!(
                (tried.len(), &tried[attempts - 1]["outcome"]),
                (attempts, &json!("total_timeout")),
                "{budget}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_takes_longer_than_its_caller_wants_ends_in_time_and_an_answer_within_it_is_whole() {
    let words = ["word"; 30].join(" ");
    let text = patient(&["{ slowStream: 1 }"], ATTRIBUTES).replace("hello from p1", &words);
    let proxy = proxy(&text);
    let begun = Instant::now();
    let answer = proxy.stream("chat").header(BUDGET, "10500ms").await;
    assert_eq!(begun.elapsed(), Duration::from_millis(10_500));
    assert_eq!(answer.error_event()["code"], "upstream_stream_interrupted");
    assert_eq!(proxy.record()["attempts"][0]["outcome"], "total_timeout");
    let whole = proxy.stream("chat").header(BUDGET, "31s").await;
    assert_eq!((whole.text(), whole.is_done()), (words, true));
}

#[tokio::test(start_paused = true)]
async fn no_backoff_goes_beyond_a_callers_own_time() {
    let text = patient(&["{ status: { code: 503 } }"], ATTRIBUTES)
        .replace("maxAttempts: 1", "maxAttempts: 20, backoff: { base: 1m, max: 1m }");
    let proxy = proxy(&text);
    let begun = Instant::now();
    let answer = proxy.chat("chat").header(BUDGET, "5s").await;
    assert_eq!(answer.status, 503);
    assert!(begun.elapsed() < secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_time_that_the_policy_does_not_ask_for_is_nobodys_business() {
    let text = patient(&["{ slowHead: 9s }"], "attributes: { task: { header: x-egret-task } }");
    let proxy = proxy(&text);
    for budget in ["2s", "soon"] {
        let answer = proxy.chat("chat").header(BUDGET, budget).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello from p1"), "{budget}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_that_is_none_is_refused_and_nobody_is_asked() {
    let proxy = proxy(&patient(&["ok"], ATTRIBUTES));
    for budget in ["soon", "5", "0s", "-1s", "2.5s", "1s1s", "99999999999999999999s"] {
        let refused = proxy.chat("chat").header(BUDGET, budget).await;
        assert_eq!(refused.refused(), (400, "invalid_request".into()), "{budget}");
        assert!(refused.message().contains("latency budget"), "{}", refused.message());
    }
    assert_eq!(proxy.seen("p1").len(), 0);
    assert_eq!(proxy.chat("chat").header(BUDGET, "").await.status, 200, "nothing said is nothing asked for");
    let body = patient(&["{ slowHead: 9s }"], "attributes: { latencyBudget: { metadata: budget } }");
    let proxy = self::proxy(&body);
    let answer = call(&proxy, "chat", &[], &json!({ "metadata": { "budget": "3s" } })).await;
    assert_eq!(answer.status, 504);
}
