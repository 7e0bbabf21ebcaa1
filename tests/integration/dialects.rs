//! Calls of every dialect at providers of every dialect: what is kept, what is translated, what is lost and said to be.

mod faces;

use serde_json::{Value, json};

use self::faces::{FACES, Face, PROVIDERS};
use crate::support::*;

/// A provider of each dialect, with a model of the same name and limits of its own: `openai`, `anthropic`, `gemini`.
fn everywhere(more: &str) -> String {
    let (mut providers, mut models) = (String::new(), String::new());
    for dialect in PROVIDERS {
        providers += &format!(
            "  {dialect}: {{ preset: {dialect}, mock: {{ says: \"hello from {dialect}\" }}, key: {{ fromEnv: A }} }}\n"
        );
        models += &format!(
            "  {dialect}: {{ provider: {dialect}, name: {dialect}-large, maxOutputTokens: 1000, contextTokens: 100000 }}\n"
        );
    }
    format!("providers:\n{providers}models:\n{models}{more}\n{ANYONE}")
}

fn started(more: &str) -> Proxy {
    Start::keyed().proxy(&everywhere(more))
}

#[tokio::test(start_paused = true)]
async fn every_face_reaches_every_provider_plain_and_streamed() {
    let proxy = started("");
    for face in FACES {
        for provider in PROVIDERS {
            for stream in [false, true] {
                let answer = face.ask(&proxy, provider, stream).await;
                let case = format!("{face:?} at {provider}, stream {stream}: {}", answer.raw());
                assert_eq!(answer.status, 200, "{case}");
                assert_eq!(face.text(&answer), format!("hello from {provider}"), "{case}");
                assert!(!stream || face.is_done(&answer), "{case}");
                assert_eq!(answer.header("x-egret-provider"), Some(provider), "{case}");
                assert_eq!(answer.header("x-egret-lost"), None, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn usage_is_the_same_in_every_dialect_and_is_charged() {
    let proxy = started("");
    for face in FACES {
        for provider in PROVIDERS {
            let plain = face.usage(&face.ask(&proxy, provider, false).await);
            let streamed = face.usage(&face.ask(&proxy, provider, true).await);
            assert_eq!(plain, streamed, "{face:?} at {provider}");
            assert!(plain.0 > 0 && plain.1 == 3, "{face:?} at {provider}: {plain:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_and_versions_go_where_each_provider_reads_them() {
    let proxy = started("");
    for face in FACES {
        for provider in PROVIDERS {
            face.ask(&proxy, provider, false).await;
            let seen = proxy.seen(provider).pop().unwrap();
            let expected = match provider {
                "openai" => ("authorization", "Bearer secret-aaaa"),
                "anthropic" => ("x-api-key", "secret-aaaa"),
                _ => ("x-goog-api-key", "secret-aaaa"),
            };
            assert_eq!(seen.header(expected.0), Some(expected.1), "{face:?} at {provider}");
            let keys = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
            assert_eq!(keys.iter().filter(|name| seen.header(name).is_some()).count(), 1, "{face:?}");
            let version = (provider == "anthropic").then_some("2023-06-01");
            assert_eq!(seen.header("anthropic-version"), version, "{face:?} at {provider}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_a_provider_asks_for_and_its_id_of_the_call_are_told_in_every_dialect() {
    for face in FACES {
        for provider in PROVIDERS {
            let proxy = started("");
            let fault = [("x-mock-fault", "status=429;retry-after=7")];
            let answer = face.ask_with(&proxy, provider, false, &fault).await;
            assert_eq!(answer.status, 429, "{face:?} at {provider}");
            // Gemini says it in the error, which goes through as it is.
            let passed = face == Face::Generate && provider == "gemini";
            assert_eq!(answer.header("retry-after"), (!passed).then_some("7"), "{face:?} at {provider}");
            let has_id = answer.header("x-egret-upstream-request-id").is_some();
            assert_eq!(has_id, provider != "gemini", "{face:?} at {provider}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_anthropic_caller_s_own_version_and_betas_are_passed_on() {
    let proxy = started("");
    let ask = |version: &str| {
        Face::Messages.ask_with(
            &proxy,
            "anthropic",
            false,
            &[("anthropic-version", version), ("anthropic-beta", "a-1,b-2")],
        )
    };
    ask("2026-10-21").await;
    let seen = proxy.seen("anthropic").pop().unwrap();
    assert_eq!(seen.header("anthropic-version"), Some("2026-10-21"));
    assert_eq!(seen.header("anthropic-beta"), Some("a-1,b-2"));
    // Its SDKs put the key elsewhere together with the version.
    assert_eq!((seen.header("authorization"), seen.header("x-api-key")), (Some("Bearer secret-aaaa"), None));
    ask("2023-01-01").await;
    let seen = proxy.seen("anthropic").pop().unwrap();
    assert_eq!((seen.header("authorization"), seen.header("x-api-key")), (None, Some("secret-aaaa")));
    // To a provider of another dialect they mean nothing.
    Face::Messages
        .ask_with(&proxy, "openai", false, &[("anthropic-version", "2026-10-21"), ("anthropic-beta", "a-1")])
        .await;
    let seen = proxy.seen("openai").pop().unwrap();
    assert_eq!((seen.header("anthropic-version"), seen.header("anthropic-beta")), (None, None));
}

#[tokio::test(start_paused = true)]
async fn peer_bug_29_bodies_of_every_dialect_reach_its_own_provider_byte_for_byte() {
    let proxy = started("");
    let messages = r#"{ "model":"anthropic-large","max_tokens" : 5 ,"messages":[{"role":"user","content":"hé\u00e9"}] }"#;
    let body = messages.replace("anthropic-large", "anthropic");
    let ask = proxy.post("/v1/messages", body).header("anthropic-version", "2023-06-01");
    assert_eq!(ask.await.status, 200);
    assert_eq!(proxy.seen("anthropic")[0].body, messages, "only the model's name is edited");
    let contents =
        r#"{ "contents" : [{"role":"user","parts":[{"text":"h\u00e9"}]}], "generation_config":{"top_k":3} }"#;
    for path in ["/v1beta/models/gemini:generateContent", "/v1/models/gemini:generateContent?alt=json"] {
        assert_eq!(proxy.post(path, contents).await.status, 200, "{path}");
    }
    for seen in proxy.seen("gemini") {
        assert_eq!(
            (seen.path.as_str(), &seen.body[..]),
            ("/models/gemini-large:generateContent", contents.as_bytes())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_of_a_tool_is_kept_and_that_of_another_dialect_does_not_reach_a_provider() {
    let proxy = started("");
    let ask = |answer: &str, result: &str| {
        let body = format!(
            r#"{{"model":"anthropic","max_tokens":5,"messages":[{{"role":"user","content":"hi"}},{{"role":"assistant","content":[{answer}]}},{{"role":"user","content":[{result}]}}]}}"#
        );
        (proxy.post("/v1/messages", body.clone()).header("anthropic-version", "2023-06-01"), body)
    };
    let (own, body) = ask(
        r#"{"type":"tool_use","id":"a", "name":"sign","input":{ "signature" : "" }}"#,
        r#"{"type":"tool_result","tool_use_id":"a","content":"x"}"#,
    );
    assert_eq!(own.await.status, 200);
    assert_eq!(proxy.seen("anthropic")[0].body, body.replace(r#""anthropic""#, r#""anthropic-large""#));
    for thinking in [
        r#"{"type":"thinking","thinking":"hm","signature":"gemini.Cg=="}"#,
        r#"{"type":"redacted_thinking","data":"gemini.Cg=="}"#,
    ] {
        let answer = format!(r#"{thinking},{{"type":"text","text":"hello"}}"#);
        let (foreign, _) = ask(&answer, r#"{"type":"text","text":"and?"}"#);
        let answer = foreign.await;
        assert_eq!((answer.status, answer.header("x-egret-lost")), (200, Some("messages.thinking")));
        let sent = String::from_utf8(proxy.seen("anthropic").pop().unwrap().body.to_vec()).unwrap();
        assert!(!sent.contains("gemini."), "{sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_25_no_field_of_another_dialect_names_a_model_past_the_policy() {
    let proxy = started("");
    let named = r#"{"requests":[{"model":"models/secret-1","content":{"parts":[{"text":"a"}]}},{"model":"models/secret-2","content":{"parts":[{"text":"b"}]}}]}"#;
    assert_eq!(proxy.post("/v1beta/models/gemini:batchEmbedContents", named).await.status, 200);
    let counted = r#"{"generateContentRequest":{"model":"models/secret","contents":[{"role":"user","parts":[{"text":"a"}]}]}}"#;
    assert_eq!(proxy.post("/v1beta/models/gemini:countTokens", counted).await.status, 200);
    for seen in proxy.seen("gemini") {
        let body = String::from_utf8(seen.body.to_vec()).unwrap();
        assert!(!body.contains("secret") && body.contains(r#""model":"models/gemini-large""#), "{body}");
        assert!(seen.path.starts_with("/models/gemini-large:"), "{}", seen.path);
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_25_what_is_not_allowed_is_reached_by_no_face() {
    let policy = everywhere("routes: { alias: { targets: [{ model: gemini }] } }")
        .replace("allow: [\"*\"]", "allow: [openai, alias], deny: [gemini]");
    let proxy = Start::keyed().proxy(&policy);
    for face in FACES {
        for name in ["anthropic", "gemini", "alias"] {
            let refused = face.ask(&proxy, name, false).await;
            assert_eq!(refused.status, 403, "{face:?} {name}: {}", refused.raw());
        }
        assert_eq!(face.ask(&proxy, "no-such-model", false).await.status, 404, "{face:?}");
        assert_eq!(face.ask(&proxy, "openai", false).await.status, 200, "{face:?}");
    }
    // Nor by a path or a query that looks like it.
    for path in [
        "/v1beta/models/openai/../gemini:generateContent",
        "/v1beta/models/gemini%3AgenerateContent:generateContent",
        "/v1beta/models/openai:generateContent/../../gemini:generateContent",
        "/v1beta//models/gemini:generateContent",
        "/v1beta/models/gemini:generateContent:generateContent",
    ] {
        let answer = proxy.post(path, Face::Generate.body("x", false)).await;
        assert!(matches!(answer.status, 403 | 404), "{path}: {}", answer.raw());
    }
    let query =
        proxy.post("/v1beta/models/openai:generateContent?model=gemini", Face::Generate.body("x", false));
    assert_eq!(query.await.header("x-egret-model"), Some("openai"));
    assert_eq!(proxy.seen("gemini").len() + proxy.seen("anthropic").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn calls_fall_over_between_any_two_dialects_before_the_first_token() {
    let pairs = PROVIDERS.iter().flat_map(|from| PROVIDERS.iter().map(move |to| (*from, *to)));
    for (from, to) in pairs.filter(|(from, to)| from != to) {
        for fault in ["{ status: { code: 503 } }", "{ errorEvent: { afterChunks: 0 } }", "empty", "html"] {
            let route =
                format!("routes: {{ both: {{ targets: [{{ model: {from} }}, {{ model: {to} }}] }} }}");
            let failing = format!("says: \"hello from {from}\"");
            let policy = everywhere(&route).replace(&failing, &format!("{failing}, faults: [{fault}]"));
            for face in FACES {
                // A proxy each: health is not what this is about.
                let proxy = Start::keyed().proxy(&policy);
                for stream in [false, true] {
                    let answer = face.ask(&proxy, "both", stream).await;
                    let case =
                        format!("{face:?}, {from} to {to} for {fault}, stream {stream}: {}", answer.raw());
                    assert_eq!(answer.status, 200, "{case}");
                    assert_eq!(face.text(&answer), format!("hello from {to}"), "{case}");
                    assert_eq!(answer.header("x-egret-attempts"), Some("2"), "{case}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_keeps_is_asked_of_nobody_else() {
    let policy = everywhere(
        "routes: { chat: { targets: [{ model: anthropic }, { model: other }] }, gen: { targets: [{ model: gemini }, { model: also }] } }",
    )
    .replace("models:\n", "  second: { dialect: anthropic, mock: {} }\n  third: { dialect: gemini, mock: {} }\nmodels:\n  other: { provider: second, maxOutputTokens: 1000 }\n  also: { provider: third, maxOutputTokens: 1000 }\n")
    .replace("hello from anthropic\"", "hello\", faults: [{ status: { code: 503 } }]")
    .replace("hello from gemini\"", "hello\", faults: [{ status: { code: 503 } }]");
    for field in ["container", "cachedContent", "cached_content", "continuationToken", "continuation_token"] {
        let proxy = Start::keyed().proxy(&policy);
        let kept = |face: Face, model: &str| {
            let mut body: Value = serde_json::from_str(&face.body(model, false)).unwrap();
            body[field] = json!("kept-1");
            body.to_string()
        };
        let answer = match field {
            "container" => proxy.post("/v1/messages", kept(Face::Messages, "chat")),
            _ => proxy.post("/v1beta/models/gen:generateContent", kept(Face::Generate, "gen")),
        };
        assert!(answer.await.status >= 400, "{field}");
        assert_eq!(proxy.seen("second").len() + proxy.seen("third").len(), 0, "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_midst_of_a_stream_is_the_callers_own_error_event() {
    for provider in PROVIDERS {
        let said = format!("says: \"hello from {provider}\"");
        let fault =
            "says: \"one two three four five six seven eight\", faults: [{ errorEvent: { afterChunks: 6 } }]";
        let proxy = Start::keyed().proxy(&everywhere("").replace(&said, fault));
        for face in FACES {
            let answer = face.ask(&proxy, provider, true).await;
            let case = format!("{face:?} at {provider}: {}", answer.raw());
            assert_eq!(answer.status, 200, "{case}");
            assert!(face.text(&answer).starts_with("one two"), "{case}");
            assert!(face.breaks(&answer), "{case}");
            assert!(!face.is_done(&answer), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_s_refusal_of_a_call_is_the_callers_own_error_with_its_words() {
    for provider in PROVIDERS {
        let said = format!("says: \"hello from {provider}\"");
        let fault = format!("{said}, faults: [{{ error: context_length_exceeded }}]");
        let proxy = Start::keyed().proxy(&everywhere("").replace(&said, &fault));
        for face in FACES {
            for stream in [false, true] {
                let answer = face.ask(&proxy, provider, stream).await;
                let case = format!("{face:?} at {provider}: {}", answer.raw());
                assert_eq!(answer.status, 400, "{case}");
                let (kind, message) = face.error(&answer);
                assert_eq!(kind, face.invalid(), "{case}");
                assert!(message.len() > 10, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_s_wait_and_id_are_told_in_every_face_and_its_own_headers_in_its_own_alone() {
    for provider in PROVIDERS {
        let said = format!("says: \"hello from {provider}\"");
        let fault = format!("{said}, faults: [{{ status: {{ code: 429, retryAfter: 7s }} }}]");
        let tries = "defaults: { retry: { maxAttempts: 1 } }";
        let (limited, fine) = (everywhere(tries).replace(&said, &fault), everywhere(tries));
        for face in FACES {
            let own = match face {
                Face::Chat | Face::Responses => "openai",
                Face::Messages => "anthropic",
                Face::Generate => "gemini",
            };
            for (policy, stream) in [(&limited, false), (&limited, true), (&fine, false), (&fine, true)] {
                let answer = face.ask(&Start::keyed().proxy(policy), provider, stream).await;
                let case = format!("{face:?} at {provider}, stream {stream}: {answer:?}");
                if answer.status == 429 && (own, provider) != ("gemini", "gemini") {
                    assert_eq!(answer.header("retry-after"), Some("7"), "{case}");
                }
                let id = answer.header("x-egret-upstream-request-id");
                assert_eq!(id.is_some(), provider != "gemini", "{case}");
                let theirs = |name: &&str| name.starts_with("openai-");
                let leaks = answer.headers.keys().map(|name| name.as_str()).any(|name| theirs(&name));
                assert!(!leaks || own == provider, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_a_200_has_the_status_of_what_it_means_in_another_dialect() {
    for provider in PROVIDERS {
        let said = format!("says: \"hello from {provider}\"");
        let fault = format!(
            "{said}, faults: [{{ errorEvent: {{ afterChunks: 0, code: content_policy_violation }} }}]"
        );
        let policy = everywhere("").replace(&said, &fault);
        for face in FACES {
            let own = matches!(
                (face, provider),
                (Face::Chat | Face::Responses, "openai")
                    | (Face::Messages, "anthropic")
                    | (Face::Generate, "gemini")
            );
            let answer = face.ask(&Start::keyed().proxy(&policy), provider, false).await;
            let expected = if own { 200 } else { 400 };
            assert_eq!(answer.status, expected, "{face:?} at {provider}: {}", answer.raw());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_28_tools_survive_every_crossing() {
    let proxy = started("");
    for face in FACES {
        for provider in PROVIDERS {
            for stream in [false, true] {
                let answer = face.tools(&proxy, provider, stream).await;
                let case = format!("{face:?} at {provider}, stream {stream}: {}", answer.raw());
                assert_eq!(answer.status, 200, "{case}");
                let calls = face.calls(&answer);
                assert_eq!(calls.len(), 1, "{case}");
                let (name, arguments) = &calls[0];
                assert_eq!(name, "tide_level", "{case}");
                assert!(arguments.is_object(), "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_28_what_is_lost_is_named_in_the_answer() {
    let proxy = started("");
    let body = json!({
        "model": "anthropic", "messages": [{ "role": "user", "content": "hi", "name": "kim" }], "seed": 7,
        "user": "u-1", "x_new_field": true,
    });
    let answer = proxy.post("/v1/chat/completions", body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.raw());
    let lost: Vec<_> = answer.header("x-egret-lost").unwrap().split(", ").collect();
    assert!(lost.contains(&"seed") && lost.contains(&"x_new_field"), "{lost:?}");
    assert!(!lost.contains(&"user"), "it is `metadata.user_id`: {lost:?}");
    let log = proxy.log_text();
    assert!(log.contains(r#""lost":["#) && log.contains(r#""seed""#), "{log}");
    // In its own dialect nothing is.
    let own = body.to_string().replace("\"anthropic\"", "\"openai\"");
    assert_eq!(proxy.post("/v1/chat/completions", own).await.header("x-egret-lost"), None);
}

#[tokio::test(start_paused = true)]
async fn peer_bug_28_what_would_change_the_meaning_passes_a_target_over_or_is_refused() {
    let proxy = started("routes: { both: { targets: [{ model: anthropic }, { model: openai }] } }");
    let body = |model: &str| {
        json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }], "logprobs": true, "top_logprobs": 2 })
            .to_string()
    };
    let answer = proxy.post("/v1/chat/completions", body("both")).await;
    assert_eq!((answer.status, answer.header("x-egret-provider")), (200, Some("openai")));
    assert!(proxy.seen("anthropic").is_empty());
    assert!(proxy.log_text().contains(r#""reason":"loss""#));
    let refused = proxy.post("/v1/chat/completions", body("anthropic")).await;
    assert_eq!(refused.refused(), (400, "unsupported_parameter".into()));
    assert_eq!(refused.json()["error"]["param"], "logprobs");
    assert!(
        refused.message().contains("`logprobs`") && refused.message().contains("anthropic"),
        "{}",
        refused.raw()
    );
}

#[tokio::test(start_paused = true)]
async fn with_on_loss_reject_nothing_at_all_is_lost() {
    let proxy =
        started("routes: { strict: { onLoss: reject, targets: [{ model: anthropic }, { model: gemini }] } }");
    // Gemini has seeds, Anthropic has none.
    let body = json!({ "model": "strict", "messages": [{ "role": "user", "content": "hi" }], "seed": 7 });
    let answer = proxy.post("/v1/chat/completions", body.to_string()).await;
    assert_eq!((answer.status, answer.header("x-egret-provider")), (200, Some("gemini")), "{}", answer.raw());
}

#[tokio::test(start_paused = true)]
async fn accepts_says_what_a_model_takes_of_what_is_translated() {
    let policy = everywhere("").replace(
        "name: anthropic-large",
        "name: anthropic-large, accepts: { sampling: false, forcedToolChoice: false, prefill: false }",
    );
    let proxy = Start::keyed().proxy(&policy);
    let ask = |more: Value| {
        let mut body = json!({ "model": "anthropic", "messages": [{ "role": "user", "content": "hi" }] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        proxy.post("/v1/chat/completions", body.to_string())
    };
    let tools = json!([{ "type": "function", "function": { "name": "now" } }]);
    for (more, param) in [
        (json!({ "temperature": 0.2 }), "temperature"),
        (json!({ "top_p": 0.9 }), "top_p"),
        (json!({ "tools": tools, "tool_choice": "required" }), "tool_choice"),
        (
            json!({ "messages": [{ "role": "user", "content": "a" }, { "role": "assistant", "content": "b" }] }),
            "messages",
        ),
    ] {
        let refused = ask(more).await;
        assert_eq!(refused.refused(), (400, "unsupported_parameter".into()), "{param}: {}", refused.raw());
        assert_eq!(refused.json()["error"]["param"], param);
    }
    // What says nothing but the default is no loss.
    let fine = ask(json!({ "temperature": 1, "top_p": 1.0, "tools": tools, "tool_choice": "auto" })).await;
    assert_eq!((fine.status, fine.header("x-egret-lost")), (200, None), "{}", fine.raw());
}

#[tokio::test(start_paused = true)]
async fn a_bound_that_policy_writes_reaches_every_dialect() {
    let policy = everywhere("").replace(
        "access: { allow: [\"*\"] }",
        "access: { allow: [\"*\"] }, limits: { tpm: { tokens: 100000, per: 1m } }, reserveOutput: { cap: 300 }",
    );
    let proxy = Start::keyed().proxy(&policy);
    for face in [Face::Chat, Face::Responses, Face::Generate] {
        for provider in PROVIDERS {
            let answer = face.ask(&proxy, provider, false).await;
            assert_eq!(answer.status, 200, "{face:?} at {provider}: {}", answer.raw());
            let seen = proxy.seen(provider).pop().unwrap().json().unwrap();
            let bound = match provider {
                "gemini" => &seen["generationConfig"]["maxOutputTokens"],
                _ => ["max_tokens", "max_completion_tokens", "max_output_tokens"]
                    .into_iter()
                    .map(|field| &seen[field])
                    .find(|value| !value.is_null())
                    .unwrap(),
            };
            assert_eq!(*bound, 300, "{face:?} at {provider}: {seen}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_gemini_caller_s_bound_is_read_alike_by_what_is_held_and_by_what_is_sent() {
    let policy = everywhere("").replace(
        "access: { allow: [\"*\"] }",
        "access: { allow: [\"*\"] }, limits: { tpm: { tokens: 100000, per: 1m } }, reserveOutput: { cap: 300 }",
    );
    let proxy = Start::keyed().proxy(&policy);
    for config in [
        r#""generationConfig":{"maxOutputTokens":0}"#,
        r#""generationConfig":{"max_output_tokens":0}"#,
        r#""generationConfig":{"maxOutputTokens":900.0}"#,
        r#""generationConfig":{"max_outputTokens":900}"#,
        r#""generationConfig":{"max__output_tokens":900}"#,
        r#""generation__config":{"maxOutputTokens":900}"#,
    ] {
        for provider in PROVIDERS {
            let body = format!(r#"{{"contents":[{{"parts":[{{"text":"hi"}}]}}],{config}}}"#);
            let answer = proxy.post(&format!("/v1beta/models/{provider}:generateContent"), body).await;
            if (provider, answer.status) == ("gemini", 400) {
                // To Google itself these are no fields.
                continue;
            }
            assert_eq!(answer.status, 200, "{config} at {provider}: {}", answer.raw());
            let sent = proxy.seen(provider).pop().unwrap().json().unwrap();
            let bounds = ["/max_tokens", "/max_completion_tokens", "/generationConfig/maxOutputTokens"];
            let mut bounds = bounds.into_iter().chain(["/generationConfig/max_output_tokens"]);
            let bound = bounds.find_map(|at| sent.pointer(at).filter(|bound| !bound.is_null()));
            assert_eq!(bound, Some(&json!(300)), "{config} at {provider}: {sent}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_thinking_stays_below_the_bound_that_policy_writes() {
    for (limit, cap) in [
        ("limits: { tpm: { tokens: 100000, per: 1m } }, reserveOutput: { cap: 4000 }", 4000),
        ("limits: { tpm: { tokens: 3000, per: 1m, onExceed: { clamp: { atLeast: 64 } } } }", 3000),
        ("limits: { tpm: { tokens: 1000, per: 1m, onExceed: { clamp: { atLeast: 64 } } } }", 1000),
    ] {
        let policy = everywhere("")
            .replace("access: { allow: [\"*\"] }", &format!("access: {{ allow: [\"*\"] }}, {limit}"))
            .replace("maxOutputTokens: 1000", "maxOutputTokens: 64000, accepts: { reasoning: budget }");
        let proxy = Start::keyed().proxy(&policy);
        let body = json!({ "model": "anthropic", "messages": [{ "role": "user", "content": "hi" }], "reasoning_effort": "medium" });
        let answer = proxy.post("/v1/chat/completions", body.to_string()).await;
        assert_eq!(answer.status, 200, "{limit}: {}", answer.raw());
        let sent = proxy.seen("anthropic").pop().unwrap().json().unwrap();
        let (bound, budget) =
            (sent["max_tokens"].as_u64().unwrap(), sent["thinking"]["budget_tokens"].as_u64());
        assert!(bound <= cap && budget.is_none_or(|budget| budget < bound), "{limit}: {sent}");
        assert_eq!(budget.is_some(), bound > 1024, "{limit}: {sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_native_in_every_face() {
    let policy = everywhere("").replace(
        "access: { allow: [\"*\"] }",
        "access: { allow: [openai] }, limits: { rpm: { requests: 1, per: 1h } }",
    );
    let proxy = Start::keyed().proxy(&policy);
    for face in FACES {
        let wrong_key =
            face.ask_with(&proxy, "openai", false, &[("authorization", "Bearer egret_wrong")]).await;
        assert_eq!((wrong_key.status, face.error(&wrong_key).0), (401, face.unauthenticated()), "{face:?}");
        let denied = face.ask(&proxy, "gemini", false).await;
        assert_eq!((denied.status, face.error(&denied).0), (403, face.forbidden()), "{face:?}");
    }
    assert_eq!(Face::Chat.ask(&proxy, "openai", false).await.status, 200);
    for face in FACES {
        let beyond = face.ask(&proxy, "openai", true).await;
        assert_eq!((beyond.status, face.error(&beyond).0), (429, face.rate_limited()), "{face:?}");
        assert_eq!(beyond.header("x-should-retry"), Some("false"), "{face:?}: an hour is too long to wait");
        let id = beyond.header("x-request-id");
        assert!(id.is_some(), "{face:?}");
        let native = (face == Face::Messages).then_some(id).flatten();
        assert_eq!(beyond.header("request-id"), native, "{face:?}");
        let (openai, anthropic) = ("x-ratelimit-limit-requests", "anthropic-ratelimit-requests-limit");
        assert_eq!(beyond.header(openai).is_some(), matches!(face, Face::Chat | Face::Responses), "{face:?}");
        assert_eq!(beyond.header(anthropic).is_some(), face == Face::Messages, "{face:?}");
        assert!(beyond.header("ratelimit").is_some(), "{face:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_sdk_finds_its_own_list_of_models() {
    let proxy = started("");
    let openai = proxy.get("/v1/models").await.json();
    assert_eq!(openai["data"][0]["object"], "model");
    let anthropic = proxy.get("/v1/models").header("anthropic-version", "2023-06-01").await.json();
    assert_eq!((&anthropic["data"][0]["type"], &anthropic["has_more"]), (&json!("model"), &json!(false)));
    assert_eq!(anthropic["first_id"], "anthropic");
    for gemini in
        [proxy.get("/v1beta/models"), proxy.get("/v1/models").header("x-goog-api-key", "egret-local")]
    {
        let gemini = gemini.await.json();
        assert_eq!(gemini["models"][0]["name"], "models/anthropic");
    }
    let one = proxy.get("/v1beta/models/gemini").await.json();
    assert_eq!((&one["name"], &one["inputTokenLimit"]), (&json!("models/gemini"), &json!(100_000)));
    let missing = proxy.get("/v1/models/none").header("anthropic-version", "2023-06-01").await;
    assert_eq!((missing.status, &missing.json()["error"]["type"]), (404, &json!("not_found_error")));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_counted_by_the_provider_or_estimated_and_said_to_be() {
    let proxy = started("");
    let body =
        |model: &str| json!({ "model": model, "messages": [{ "role": "user", "content": "how many?" }] });
    let ask = |model: &str| {
        proxy
            .post("/v1/messages/count_tokens", body(model).to_string())
            .header("anthropic-version", "2023-06-01")
    };
    let counted = ask("anthropic").await;
    assert_eq!((counted.status, counted.header("x-egret-estimated")), (200, None));
    assert!(counted.json()["input_tokens"].as_u64().unwrap() > 0);
    let estimated = ask("openai").await;
    assert_eq!((estimated.status, estimated.header("x-egret-estimated")), (200, Some("true")));
    assert!(estimated.json()["input_tokens"].as_u64().unwrap() > 0);
    assert!(proxy.seen("openai").is_empty());
    let contents = json!({ "contents": [{ "role": "user", "parts": [{ "text": "how many?" }] }] });
    let estimated = proxy.post("/v1beta/models/anthropic:countTokens", contents.to_string()).await;
    assert!(estimated.json()["totalTokens"].as_u64().unwrap() > 0);
    assert_eq!(ask("none").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_count_of_tokens_says_nothing_of_how_long_answers_are() {
    let limits = "limits: { tpd: { tokens: 1000000, per: day } }, reserveOutput: { expect: learned }";
    let policy = everywhere("")
        .replace("access: { allow: [\"*\"] }", &format!("access: {{ allow: [\"*\"] }}, {limits}"))
        .replace("says: \"hello from anthropic\"", "says: \"one two three four five six\", latency: 1s");
    let proxy = Start::keyed().proxy(&policy);
    let held = async || {
        let asked = async { Face::Messages.ask(&proxy, "anthropic", false).await.status };
        let looks = async {
            quiet().await;
            proxy.cells()[0].3
        };
        tokio::join!(asked, looks).1
    };
    for _ in 0..12 {
        held().await;
    }
    let learned = held().await;
    let body = json!({ "model": "anthropic", "messages": [{ "role": "user", "content": "how many?" }] });
    for _ in 0..200 {
        let count = proxy.post("/v1/messages/count_tokens", body.to_string());
        assert_eq!(count.header("anthropic-version", "2023-06-01").await.status, 200);
    }
    assert_eq!(held().await, learned);
}

#[tokio::test(start_paused = true)]
async fn texts_are_embedded_by_providers_of_another_dialect() {
    let proxy = started("");
    let body = json!({ "model": "gemini", "input": ["a", "b"] }).to_string();
    let answer = proxy.post("/v1/embeddings", body).await;
    assert_eq!(
        (answer.status, answer.json()["data"].as_array().unwrap().len()),
        (200, 2),
        "{}",
        answer.raw()
    );
    let body = json!({ "requests": [
        { "model": "models/openai", "content": { "parts": [{ "text": "a" }] } },
        { "model": "models/openai", "content": { "parts": [{ "text": "b" }] } },
    ] });
    let answer = proxy.post("/v1beta/models/openai:batchEmbedContents", body.to_string()).await;
    assert_eq!(
        (answer.status, answer.json()["embeddings"].as_array().unwrap().len()),
        (200, 2),
        "{}",
        answer.raw()
    );
    let refused =
        proxy.post("/v1/embeddings", json!({ "model": "anthropic", "input": "a" }).to_string()).await;
    assert_eq!(refused.refused(), (400, "invalid_request".into()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_geminis_is_one_of_events_or_refused() {
    let proxy = started("");
    let array =
        proxy.post("/v1beta/models/gemini:streamGenerateContent", Face::Generate.body("x", true)).await;
    assert_eq!(array.status, 400);
    assert!(array.message().contains("alt=sse"), "{}", array.raw());
}

#[tokio::test(start_paused = true)]
async fn a_policys_own_answer_is_told_in_every_face() {
    let route =
        "routes: { sorry: { onExhausted: { respond: \"Back soon.\" }, targets: [{ model: openai }] } }";
    let policy = everywhere(route).replace(
        "says: \"hello from openai\"",
        "says: \"hello from openai\", faults: [{ status: { code: 503 } }]",
    );
    let proxy = Start::keyed().proxy(&policy);
    for face in FACES {
        for stream in [false, true] {
            let answer = face.ask(&proxy, "sorry", stream).await;
            let case = format!("{face:?}, stream {stream}: {}", answer.raw());
            assert_eq!((answer.status, face.text(&answer).as_str()), (200, "Back soon."), "{case}");
            assert!(answer.header("x-egret-exhausted").is_some(), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_kept_alive_as_its_face_bears_it() {
    let policy = everywhere("defaults: { keepAlive: { after: 1s, every: 1s } }")
        .replace("says: \"hello from openai\"", "says: \"hello from openai\", latency: 5s");
    let proxy = Start::keyed().proxy(&policy);
    for face in FACES {
        let answer = face.ask(&proxy, "openai", true).await;
        let (comments, pings) =
            (answer.raw().matches(": keep-alive\n\n").count(), answer.raw().matches("event: ping\n").count());
        match face {
            Face::Chat | Face::Responses => {
                assert!(comments >= 3 && pings == 0, "{face:?}: {}", answer.raw());
            }
            Face::Messages => assert!(pings >= 3 && comments == 0, "{}", answer.raw()),
            Face::Generate => assert_eq!((comments, pings), (0, 0), "{}", answer.raw()),
        }
        assert_eq!(face.text(&answer), "hello from openai", "{face:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_translated_call_holds_is_counted_and_given_back() {
    let start = Start { max_buffered: 100_000, ..Start::keyed() };
    let proxy = start.proxy(&everywhere(""));
    let body = |model: &str| {
        json!({ "model": model, "messages": [{ "role": "user", "content": "x".repeat(40_000) }] }).to_string()
    };
    // Once as it came, once as it is written anew, once as it is sent.
    let refused = proxy.post("/v1/chat/completions", body("anthropic")).await;
    assert_eq!(refused.refused(), (503, "overloaded".into()));
    assert_eq!(proxy.post("/v1/chat/completions", body("openai")).await.status, 200);
    assert_eq!(proxy.state.shared.budget.used(), 0);
}
