//! Who may ask for what, and what crosses the proxy with it.

use egret::environment::Environment;

use crate::support::*;

/// Models `m1` at `p1` and `m2` at `p2`, a route `chat` over both and `alias` to `m1` alone; this access.
fn accessible(access: &str) -> String {
    format!(
        "providers: {{ p1: {{ mock: {{ says: \"hello from p1\" }} }}, p2: {{ mock: {{ says: \"hello from p2\" }} }} }}\n\
         models: {{ m1: {{ provider: p1 }}, m2: {{ provider: p2 }} }}\n\
         routes: {{ chat: {{ targets: [{{ model: m1 }}, {{ model: m2 }}] }}, alias: {{ targets: [{{ model: m1 }}] }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ {access} }} }} }}\n"
    )
}

fn nothing_seen(proxy: &Proxy) {
    for provider in ["p1", "p2"] {
        assert_eq!(proxy.seen(provider).len(), 0, "{provider} was asked");
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_brings_its_targets_through_that_route_only() {
    let proxy = proxy(&accessible("allow: [chat]"));
    assert_eq!(proxy.chat("chat").await.text(), "hello from p1");
    for name in ["m1", "m2", "alias"] {
        let refused = proxy.chat(name).await;
        assert_eq!(refused.refused(), (403, "model_not_allowed".into()), "{name}");
        assert!(refused.message().contains("It may use: chat."), "{}", refused.message());
    }
    assert_eq!(proxy.seen("p1").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn peer_bug_25_a_denied_model_is_reached_by_no_name_and_no_fallback() {
    let proxy = proxy(&accessible("allow: [\"*\"], deny: [m1]"));
    for name in ["m1", "alias"] {
        assert_eq!(proxy.chat(name).await.refused(), (403, "model_not_allowed".into()), "{name}");
    }
    let passed_over = proxy.chat("chat").await;
    assert_eq!(
        (passed_over.text().as_str(), passed_over.header("x-egret-attempts")),
        ("hello from p2", Some("1"))
    );
    // Spelled otherwise, it is no name at all.
    for name in ["M1", "m1 ", "p1/m1", "./m1", "m1\u{0}"] {
        assert_eq!(proxy.chat(name).await.refused(), (404, "model_not_found".into()), "{name:?}");
    }
    assert_eq!(proxy.chat("chat").fault("status=500").await.status, 500, "the last candidate's own error");
    assert_eq!(proxy.seen("p1").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn peer_bug_25_other_paths_and_queries_choose_no_other_model() {
    let proxy = proxy(&accessible("allow: [m2]"));
    let body = r#"{"model":"m2","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(proxy.post("/v1/chat/completions?model=m1", body).await.text(), "hello from p2");
    assert_eq!(proxy.seen("p2")[0].path, "/chat/completions", "a query of the caller stays here");
    for path in [
        "/v1/chat/completions/",
        "/v1//chat/completions",
        "/v1/engines/m1/completions",
        "/openai/v1/chat/completions",
        "/chat/completions",
    ] {
        assert_eq!(proxy.post(path, body).await.refused(), (404, "unknown_path".into()), "{path}");
    }
    assert_eq!(proxy.seen("p1").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn globs_match_the_names_of_the_policy() {
    let proxy = proxy(&accessible("allow: [\"m*\"], deny: [\"*2\"]"));
    assert_eq!(proxy.chat("m1").await.status, 200);
    assert_eq!(proxy.chat("m2").await.refused(), (403, "model_not_allowed".into()));
    assert_eq!(proxy.chat("chat").await.refused(), (403, "model_not_allowed".into()));
}

#[tokio::test(start_paused = true)]
async fn with_no_access_nothing_may_be_asked_for() {
    let proxy = proxy(&accessible(""));
    assert_eq!(proxy.chat("m1").await.refused(), (403, "model_not_allowed".into()));
    assert_eq!(proxy.get("/v1/models").await.json()["data"], serde_json::json!([]));
    nothing_seen(&proxy);
}

#[tokio::test(start_paused = true)]
async fn a_route_with_a_models_name_shadows_it() {
    let policy =
        accessible("allow: [m1]").replace("routes: {", "routes: { m1: { targets: [{ model: m2 }] },");
    assert_eq!(proxy(&policy).chat("m1").await.text(), "hello from p2");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_is_told_from_one_not_allowed_and_both_list_what_is() {
    let models: String = (10..40).map(|n| format!("name-{n}: {{ provider: p }}, ")).collect();
    let policy = format!(
        "providers: {{ p: {{ mock: {{}} }} }}\nmodels: {{ {models} secret: {{ provider: p }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"name-*\"] }} }} }}\n"
    );
    let proxy = proxy(&policy);
    let (unknown, forbidden) = (proxy.chat("nothing").await, proxy.chat("secret").await);
    assert_eq!(unknown.refused(), (404, "model_not_found".into()));
    assert_eq!(forbidden.refused(), (403, "model_not_allowed".into()));
    for answer in [unknown, forbidden] {
        assert_eq!(answer.json()["error"]["param"], "model");
        let message = answer.message();
        assert_eq!(message.matches("name-").count(), 20, "{message}");
        assert!(message.contains("name-10, ") && message.contains("and 10 more"), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_list_of_models_is_what_the_caller_may_use() {
    let proxy = proxy(&accessible("allow: [chat, m1, m2, alias], deny: [m1]"));
    let list = proxy.get("/v1/models").await.json();
    let names: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["chat", "m2"]);
    assert_eq!(proxy.get("/v1/models/m2").await.json()["id"], "m2");
    assert_eq!(proxy.get("/v1/models/alias").await.refused(), (404, "model_not_found".into()));
    assert_eq!(proxy.get("/v1/models/nothing").await.refused(), (404, "model_not_found".into()));
}

/// Tenants `red` (key `red-key`, model m1) and `blue` (key `blue-key`, model m2), and `pod` for callers without a key.
fn tenants(pod: &str) -> String {
    let tenant = |name: &str, model: &str| {
        let hash = hash(&format!("{name}-key"));
        format!(
            "  {name}: {{ match: [{{ apiKeySha256: \"{hash}\", name: {name}-1 }}], access: {{ allow: [{model}] }} }}\n"
        )
    };
    let policy = accessible("").split("tenants:").next().unwrap().to_owned();
    format!(
        "{policy}tenants:\n{}{}  pod: {{ {pod} access: {{ allow: [chat] }} }}\n",
        tenant("red", "m1"),
        tenant("blue", "m2")
    )
}

#[tokio::test(start_paused = true)]
async fn a_key_is_its_tenants_and_no_other() {
    let proxy = proxy(&tenants("local: true,"));
    assert_eq!(proxy.chat("m1").key("red-key").await.status, 200);
    assert_eq!(proxy.chat("m2").key("blue-key").await.status, 200);
    assert_eq!(proxy.chat("m2").key("red-key").await.status, 403);
    assert_eq!(proxy.chat("m1").key("blue-key").await.status, 403);
    let who: Vec<_> = proxy.records().iter().map(|record| record["tenant"].clone()).collect();
    assert_eq!(who, ["red", "blue", "red", "blue"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_counts_in_every_header_that_sdks_use() {
    let proxy = proxy(&tenants("local: true,"));
    for (name, value) in [
        ("authorization", "bearer red-key"),
        ("x-api-key", "red-key"),
        ("x-goog-api-key", "red-key"),
        ("api-key", "red-key"),
    ] {
        assert_eq!(proxy.chat("m1").header(name, value).await.status, 200, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_never_becomes_the_local_tenant() {
    let proxy = proxy(&tenants("local: true,"));
    assert_eq!(proxy.chat("chat").await.status, 200, "none");
    assert_eq!(proxy.chat("chat").key("egret-local").await.status, 200, "the placeholder");
    for key in ["wrong", "red-key2", "RED-KEY", "egret-local2", "egret-LOCAL"] {
        let refused = proxy.chat("chat").key(key).await;
        assert_eq!(refused.refused(), (401, "invalid_api_key".into()), "{key}");
        assert!(refused.message().contains("egret-local"), "{}", refused.message());
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(proxy.chat("chat").header("authorization", "Basic cmVkOmtleQ==").await.status, 401);
    assert_eq!(proxy.chat("chat").header("authorization", "Bearer ").await.status, 401);
    assert_eq!(proxy.seen("p1").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_afar_needs_a_key() {
    let proxy = proxy(&tenants("local: true,"));
    assert_eq!(proxy.chat("chat").afar().await.refused(), (401, "invalid_api_key".into()));
    assert_eq!(proxy.chat("chat").key("egret-local").afar().await.status, 401);
    // What a header says of where it comes from is nobody's proof.
    assert_eq!(proxy.chat("chat").header("x-forwarded-for", "127.0.0.1").afar().await.status, 401);
    assert_eq!(proxy.chat("m1").key("red-key").afar().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn two_credentials_are_none() {
    let proxy = proxy(&tenants("local: true,"));
    let two = proxy.chat("m1").key("red-key").header("x-api-key", "blue-key").await;
    assert_eq!(two.refused(), (401, "invalid_api_key".into()));
    assert_eq!(
        proxy.chat("m1").key("red-key").header("x-api-key", "red-key").await.status,
        200,
        "one, said twice"
    );
    assert_eq!(proxy.chat("m1").key("red-key").header("x-api-key", "egret-local").await.status, 401);
    let repeated = proxy.chat("m1").key("red-key").key("red-key").await;
    assert!([400, 401].contains(&repeated.status), "{}", repeated.status);
    assert_eq!(proxy.seen("p1").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_local_tenant_the_stamp_of_the_process_says_who_has_no_key() {
    let unstamped = proxy(&tenants(""));
    assert_eq!(unstamped.chat("chat").await.refused(), (401, "invalid_api_key".into()));

    let stamped = Start { stamp: Some("pod".into()), ..Start::default() }.proxy(&tenants(""));
    assert_eq!(stamped.chat("chat").await.status, 200);
    assert_eq!(stamped.chat("chat").afar().await.status, 401);
    assert_eq!(stamped.chat("chat").key("wrong").await.status, 401);
    assert_eq!(stamped.chat("m1").key("red-key").await.status, 200, "a key is judged all the same");

    let other = Start { stamp: Some("red".into()), ..Start::default() }.proxy(&tenants("local: true,"));
    assert_eq!(other.chat("m1").await.status, 200, "the stamp stands before the policy's own local tenant");
    let nobody = Start { stamp: Some("typo".into()), ..Start::default() }.proxy(&tenants("local: true,"));
    assert_eq!(nobody.chat("chat").await.status, 401, "a tenant that is not there is nobody");
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_sends_beside_its_body_stays_in_the_pod() {
    let proxy = proxy(&tenants("local: true,"));
    let kept = [
        ("user-agent", "app/1"),
        ("idempotency-key", "abc"),
        ("openai-beta", "assistants=v2"),
        ("x-client-request-id", "id-1"),
    ];
    let left = [
        ("x-api-key", "red-key"),
        ("cookie", "session=1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("baggage", "user=ann"),
        ("x-forwarded-for", "10.1.2.3"),
        ("forwarded", "for=10.1.2.3"),
        ("openai-organization", "org-1"),
        ("openai-project", "proj-1"),
        ("x-egret-task", "summary"),
        ("x-anything", "else"),
        ("accept-encoding", "gzip"),
        ("proxy-authorization", "Basic abc"),
        ("te", "trailers"),
    ];
    let mut ask = proxy.chat("m1").key("red-key");
    for (name, value) in kept.into_iter().chain(left) {
        ask = ask.header(name, value);
    }
    assert_eq!(ask.await.status, 200);
    let seen = &proxy.seen("p1")[0];
    for (name, value) in kept {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    for (name, value) in left {
        assert_ne!(seen.header(name), Some(value), "{name}");
    }
    assert_eq!(seen.header("authorization"), None);
    let everything = format!("{:?}", seen.headers);
    assert!(!everything.contains("red-key"), "{everything}");
}

/// In real time: sockets do not know of a paused clock.
#[tokio::test]
async fn the_providers_key_goes_to_the_provider_and_what_is_private_between_them_does_not_come_back() {
    let private = [
        "openai-organization: org-secret",
        "openai-project: proj-secret",
        "set-cookie: session=secret",
        "x-request-id: req-upstream",
        "x-ratelimit-remaining-requests: 77",
        "cf-ray: abc",
        "server: secret",
        "connection: close, x-hop",
        "x-hop: secret",
        "x-egret-model: somebody-else",
        "content-type: application/json",
        "x-should-retry: true",
        "openai-processing-ms: 12",
        "",
    ]
    .join("\r\n");
    let raw = Raw::answers(canned(&private, "{\"choices\":[]}")).await;
    let environment = Environment::given([("RAW_KEY", "sk-the-providers-key")]);
    let proxy = Start { environment, ..Start::default() }.proxy(&raw.policy(", key: { fromEnv: RAW_KEY }"));

    let answer = proxy.chat("m").key("egret-local").await;

    assert_eq!((answer.status, answer.raw()), (200, "{\"choices\":[]}"));
    assert_eq!(raw.asked().len(), 1);
    assert!(raw.asked()[0].contains("authorization: Bearer sk-the-providers-key\r\n"), "the key is sent");
    assert!(!raw.asked()[0].contains("egret-local"));
    let headers = format!("{:?}", answer.headers);
    assert!(!headers.contains("secret") && !headers.contains("sk-the"), "{headers}");
    for gone in ["x-ratelimit-remaining-requests", "cf-ray", "set-cookie", "server", "x-hop"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert_eq!(answer.header("x-egret-upstream-request-id"), Some("req-upstream"));
    assert_ne!(answer.header("x-request-id"), Some("req-upstream"), "that is ours");
    assert_eq!(answer.header("x-egret-model"), Some("m"));
    assert_eq!(answer.header("openai-processing-ms"), Some("12"), "what SDKs show stays");
}
