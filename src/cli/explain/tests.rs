//! What is said of a call, to people.

use clap::Parser as _;

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

const POLICY: &str = r#"apiVersion: egret.dev/v1alpha1
kind: Policy
providers:
  a: { preset: openai, key: { fromEnv: A }, limits: { tpm: { tokens: 90000, per: 1m } } }
  b: { preset: anthropic, key: { fromEnv: B } }
models:
  a1: { provider: a, maxOutputTokens: 4096, price: [{ inputPerMTok: "2.00", outputPerMTok: "8.00" }] }
  b1: { provider: b, maxOutputTokens: 8192, price: [{ inputPerMTok: "3.00", outputPerMTok: "15.00" }] }
routes:
  chat: { targets: [{ model: a1 }, { model: b1, when: { inputTokensBelow: 1000 } }] }
  cheap: { targets: [{ model: b1 }], onExhausted: { respond: "Try later." } }
plans:
  pro: { limits: { rpm: { requests: 2, per: 1m } } }
tenants:
  shop:
    local: true
    plan: pro
    match: [{ apiKeySha256: "SHA", name: ci }]
    access: { allow: ["ch*"], deny: [] }
    reserveOutput: { cap: 1000 }
    limits: { month: { usd: "10.00", per: month, onExceed: { downgrade: { to: cheap } } } }
"#;

const KEY: &str = "egret-sk-canary-of-explain";

fn policy(folder: &std::path::Path) -> PathBuf {
    let digest = crate::auth::api_key::KeyDigest::of(KEY).hex();
    let path = folder.join("policy.yaml");
    fs::write(&path, POLICY.replace("SHA", &digest)).unwrap();
    path
}

/// What is printed, and whether somebody would be tried.
fn said(more: &[&str], input: &str) -> (String, ExitCode) {
    let folder = tempfile::tempdir().unwrap();
    let path = policy(folder.path()).display().to_string();
    let line = Line::try_parse_from(["explain", "--policy", &path].iter().chain(more)).unwrap();
    let mut out = Vec::new();
    let code = run(&line.args, &mut input.as_bytes(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains(KEY), "{text}");
    (text.replace(&format!("{}/", folder.path().display()), ""), code)
}

#[test]
fn a_call_is_told_from_its_caller_to_its_cost() {
    let (text, code) = said(&["--model", "chat", "--input-tokens", "500", "--max-tokens", "100"], "");
    assert_eq!(
        text,
        "caller   tenant `shop`, plan `pro`, without a key
call     `chat` by chat, 1500 bytes, at most 100 tokens of output
allowed  by `ch*`, policy.yaml:19

`chat`: ordered, at most 3 tries within 10m, policy.yaml:10
  1. a1 at a with key `a`
     reserves  500 tokens in, 100 out, $0.0018
     at most   500 tokens in, 100 out, $0.0018
     sends     `a1` for the model
     month of tenant `shop`  asks $0.0018 of $10 left  policy.yaml:21
     rpm of tenant `shop`    asks 1 of 2 left  policy.yaml:13
     tpm of provider `a`     asks 600 of 90000 left  policy.yaml:4
  2. b1 at b with key `b`
     reserves  500 tokens in, 100 out, $0.003
     at most   500 tokens in, 100 out, $0.003
     sends     `b1` for the model; translated to messages
     month of tenant `shop`  asks $0.003 of $10 left  policy.yaml:21
     rpm of tenant `shop`    asks 1 of 2 left  policy.yaml:13

costs    at most: $0.003
"
    );
    assert_eq!(code, ExitCode::SUCCESS);
}

#[test]
fn what_is_used_and_who_is_down_changes_the_plan() {
    let used = ["--usage", "shop/month=9.9999"];
    let (text, code) = said(&["--model", "chat", "--down", "b", used[0], used[1]], "");
    assert!(text.contains("  -  a1 at a: passed over, limit"), "{text}");
    assert!(text.contains("`cheap`, to which a limit downgrades it"), "{text}");
    assert!(text.contains("  -  b1 at b: passed over, breaker_open"), "{text}");
    assert!(text.contains("refused  503 no_provider_available"), "{text}");
    // What `cheap` says of that is for those who ask for it.
    assert!(!text.contains("onExhausted"), "{text}");
    assert_eq!(code, ExitCode::from(1));
    let (text, code) = said(&["--model", "chat", used[0], used[1]], "");
    assert!(text.contains("  1. b1 at b"), "{text}");
    assert_eq!(code, ExitCode::SUCCESS);
    let (text, _) =
        said(&["--model", "chat", "--usage", "provider:a/tpm=89990", "--usage", "shop/rpm=1"], "");
    assert!(text.contains("  -  a1 at a: passed over, provider_limit"), "{text}");
    assert!(text.contains("tpm of provider `a`     asks 1023 of 10 left  policy.yaml:4  NO ROOM"), "{text}");
}

#[test]
fn a_key_comes_by_standard_input_and_is_shown_to_nobody() {
    let (text, _) = said(&["--model", "chat", "--key", "-"], &format!("{KEY}\n"));
    assert!(text.starts_with("caller   tenant `shop`, plan `pro`, by its key `ci`\n"), "{text}");
    let (text, code) = said(&["--model", "chat", "--key", "-"], "another");
    assert!(text.starts_with("caller   nobody knows\n"), "{text}");
    assert!(text.contains("refused  401 invalid_api_key"), "{text}");
    assert_eq!(code, ExitCode::from(1));
    for more in [&["--key", KEY][..], &["--header", KEY], &["--metadata", KEY], &["--jwt", KEY]] {
        let (text, code) = said(more, "");
        assert!(text.starts_with("error: ") && code == ExitCode::from(2), "{text}");
    }
    for request in ["{\"headers\":\"KEY\"}", "{\"KEY\":1}", "{\"stream\":\"KEY\"}"] {
        let (text, code) = said(&["--request", "-"], &request.replace("KEY", KEY));
        assert!(text.starts_with("error: the request is no inquiry") && code == ExitCode::from(2), "{text}");
    }
}

#[test]
fn a_whole_body_or_request_is_explained_as_it_stands() {
    let body = r#"{"model":"chat","max_tokens":7,"messages":[{"role":"user","content":"hi"}],"seed":1}"#;
    let (text, _) = said(&["--body", "-"], body);
    assert!(text.contains("call     `chat` by chat, 84 bytes, at most 7 tokens of output"), "{text}");
    assert!(text.contains("translated to messages; without seed"), "{text}");
    let body = body.replace("\"seed\":1", "\"logit_bias\":{\"1\":2}");
    let (text, _) = said(&["--body", "-"], &body);
    assert!(
        text.contains("b1 at b: passed over, loss\n     `logit_bias` cannot be carried over to"),
        "{text}"
    );
    let request = r#"{"tenant":"shop","keyName":"ci","model":"chat","usage":[{"tenant":"shop","limit":"rpm","amount":2}]}"#;
    let (text, code) = said(&["--request", "-"], request);
    assert!(
        text.contains("refused  429 rate_limit_exceeded: Limit `rpm` of tenant `shop` is reached"),
        "{text}"
    );
    assert_eq!(code, ExitCode::from(1));
}

#[test]
fn json_has_all_of_it() {
    let (text, _) = said(&["--model", "chat", "--format", "json"], "");
    let all: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(all["caller"]["tenant"], "shop");
    assert_eq!(all["allowedBy"]["place"], "policy.yaml:19");
    assert_eq!(all["routes"][0]["targets"][1]["try"]["edits"]["translatedTo"], "messages");
    assert_eq!(all["routes"][0]["targets"][0]["limits"][0]["left"], "10");
    assert_eq!(all["worstCaseUsd"], "0.015069");
    assert!(all["refusal"].is_null());
}

#[test]
fn what_cannot_be_explained_is_said_in_a_sentence() {
    for (more, sentence) in [
        (
            &["--model", "chat", "--tenant", "shpo"][..],
            "the policy has no tenant `shpo`; did you mean `shop`?",
        ),
        (
            &["--model", "chat", "--tenant", "shop", "--key-name", "cj"],
            "the policy has no key of this tenant `cj`",
        ),
        (&["--model", "chat", "--usage", "shop/moth=1"], "the policy has no limit of `shop` `moth`"),
        (
            &["--model", "chat", "--usage", "shop/rpm=x"],
            "limit `rpm` counts requests, and \"x\" is no amount of that",
        ),
        (&["--model", "chat", "--usage", "shop/rpm@ann=1"], "limit `rpm` of `shop` has one count for all"),
        (&["--model", "chat", "--down", "c"], "the policy has no provider `c`"),
        (&["--model", "chat", "--at", "noon"], "`noon` is no moment; write 2026-03-02T09:00:00Z"),
        (&["--model", "chat", "--jwt", "-"], "callers by token are not built yet"),
        (&[], "say what the call asks for: `model`"),
        (&["--body", "/nowhere.json"], "/nowhere.json: No such file or directory"),
    ] {
        let (text, code) = said(more, "");
        assert!(text.starts_with("error: ") && text.contains(sentence), "{text}");
        assert_eq!((text.lines().count(), code), (1, ExitCode::from(2)), "{text}");
    }
}

#[test]
fn what_an_overlay_says_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let over = folder.path().join("over.yaml");
    let text = "apiVersion: egret.dev/v1alpha1\nkind: Policy\nplans: { pro: { limits: { rpm: { requests: 1 } } } }\n";
    fs::write(&over, text).unwrap();
    let (text, _) = said(&["--model", "chat", "--overlay", &over.display().to_string()], "");
    assert!(text.contains("asks 1 of 1 left  "), "{text}");
    assert!(text.contains("over.yaml:3 over policy.yaml:13\n"), "{text}");
}

/// The policy with this in the place of that.
fn said_under(from: &str, to: &str, more: &[&str]) -> String {
    assert!(POLICY.contains(from), "{from}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    fs::write(&path, POLICY.replace(from, to).replace("SHA", &"0a".repeat(32))).unwrap();
    let line = ["explain", "--policy", &path.display().to_string()];
    let line = Line::try_parse_from(line.iter().chain(more)).unwrap();
    let mut out = Vec::new();
    run(&line.args, &mut &b""[..], &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn who_is_down_is_probed_only_where_nobody_else_is_tried() {
    let (from, to) = ("chat: { targets", "chat: { onAllOpen: probe, targets");
    let text = said_under(from, to, &["--model", "chat", "--down", "b"]);
    assert!(text.contains("1. a1 at a") && text.contains("b1 at b: passed over, breaker_open"), "{text}");
    let text = said_under(from, to, &["--model", "chat", "--down", "a", "--down", "b"]);
    assert!(text.contains("1. a1 at a") && text.contains("b1 at b: passed over, breaker_open"), "{text}");
}

#[test]
fn a_call_waits_no_longer_than_it_may_take() {
    let (from, to) = (
        "rpm: { requests: 2, per: 1m }",
        "rpm: { requests: 2, per: 1m, onExceed: { queue: { maxWait: 50s } } }",
    );
    let used = ["--model", "chat", "--usage", "shop/rpm=2"];
    let text = said_under(from, to, &used);
    assert!(text.contains("waits    for room, at most 50s"), "{text}");
    let policy = POLICY.replace(from, to);
    assert_ne!(policy, POLICY);
    let both = |text: &str| text.replace("chat: { targets", "chat: { timeouts: { total: 35s }, targets");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    fs::write(&path, both(&policy).replace("SHA", &"0a".repeat(32))).unwrap();
    let line = ["explain", "--policy", &path.display().to_string()];
    let line = Line::try_parse_from(line.iter().chain(&used)).unwrap();
    let mut out = Vec::new();
    run(&line.args, &mut &b""[..], &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("waits    for room, at most 35s"), "{text}");
}

#[test]
fn what_is_said_beside_a_body_is_sent_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body.json");
    fs::write(&body, r#"{"messages":[{"role":"user","content":"hi"}]}"#).unwrap();
    let body = body.display().to_string();
    let (text, code) = said(&["--model", "chat", "--stream", "--body", &body], "");
    assert!(text.contains("`chat` by chat, 74 bytes, a stream"), "{text}");
    assert_eq!(code, ExitCode::SUCCESS);
}

#[test]
fn nobody_can_ask_for_more_than_a_call_can_be() {
    for (more, sentence) in [
        (vec!["--model", "chat", "--input-tokens", "4294967295"], "`inputTokens` is at most 10000000"),
        ([&["--model", "chat"][..], &["--down", "a"].repeat(101)].concat(), "at most 100 headers"),
    ] {
        let (text, code) = said(&more, "");
        assert!(text.contains(sentence), "{text}");
        assert_eq!(code, ExitCode::from(2));
    }
}
