//! What providers speak, where they are asked, what their models take, and what may be lost.

use super::*;
use crate::dialect::Dialect;
use crate::dialect::translate::{Accepts, ReasoningForm};
use crate::policy::snapshot::OnLoss;

const KEY: &str = "openai: { key: { fromEnv: OPENAI_API_KEY } }";

/// The good policy with this provider, under the name that its models know.
fn of(provider: &str) -> String {
    with(KEY, &format!("openai: {provider}"))
}

fn target(policy: &str, api: Api, stream: bool) -> String {
    good(policy).0.models["small"].targets.of(api, stream).map(ToString::to_string).unwrap_or_default()
}

fn faults(policy: &str) -> Vec<String> {
    let found = compile(&Sources::single("policy.yaml", policy)).unwrap_err();
    found.iter().map(|fault| fault.message.clone()).collect()
}

#[test]
fn a_known_provider_needs_its_key_alone() {
    for (preset, dialect, auth, path) in [
        ("anthropic", Dialect::Anthropic, AuthHeader::Anthropic, "/v1/messages"),
        ("gemini", Dialect::Gemini, AuthHeader::Goog, "/v1beta/models/gpt-small:generateContent"),
    ] {
        let (snapshot, warnings) = good(&of(&format!("{{ preset: {preset}, key: {{ fromEnv: K }} }}")));
        let provider = &snapshot.providers["openai"];
        assert_eq!((provider.dialect, provider.auth), (dialect, auth));
        assert_eq!(warnings, [""; 0]);
        let api = dialect.conversation();
        assert_eq!(snapshot.models["small"].targets.of(api, false).unwrap(), path);
        assert!(provider.apis.contains(api));
    }
}

#[test]
fn an_address_of_ones_own_has_the_paths_of_its_dialect() {
    let gemini = of("{ dialect: gemini, baseUrl: https://g.example.com/x/v1, key: { fromEnv: K } }");
    let stream = "/x/v1/models/gpt-small:streamGenerateContent?alt=sse";
    assert_eq!(target(&gemini, Api::Generate, true), stream);
    let anthropic = of("{ dialect: anthropic, baseUrl: https://a.example.com/v1, key: { fromEnv: K } }");
    assert_eq!(target(&anthropic, Api::CountTokens, false), "/v1/messages/count_tokens");
    // It has no operation of another dialect.
    assert_eq!(target(&anthropic, Api::Chat, false), "");
}

#[test]
fn a_version_is_azures_or_anthropics() {
    let azure = "{ preset: azure, baseUrl: https://eu.openai.azure.com, apiVersion: \"2026-05-01-preview\", key: { fromEnv: K } }";
    let path = "/openai/deployments/gpt-small/chat/completions?api-version=2026-05-01-preview";
    assert_eq!(target(&of(azure), Api::Chat, true), path);
    let version = |provider: &str| good(&of(provider)).0.providers["openai"].version.clone();
    assert_eq!(version("{ preset: anthropic, key: { fromEnv: K } }").unwrap(), "2023-06-01");
    let newer = "{ preset: anthropic, apiVersion: \"2026-10-21\", key: { fromEnv: K } }";
    assert_eq!(version(newer).unwrap(), "2026-10-21");
    let of_nobody = "{ apiVersion: \"2026-05-01\", key: { fromEnv: K } }";
    assert_eq!(faults(&of(of_nobody)), ["this provider has no `apiVersion`"]);
    let no_date = "{ preset: anthropic, apiVersion: \"new one\", key: { fromEnv: K } }";
    assert_eq!(faults(&of(no_date)), ["this is no version of an API"]);
}

#[test]
fn a_provider_offers_operations_of_its_own_dialect() {
    let fault = "a provider of the dialect anthropic has no such operation";
    let mixed = "{ preset: anthropic, apis: [messages, chat], key: { fromEnv: K } }";
    assert_eq!(faults(&of(mixed)), [fault]);
    // One word, in whose dialect it stands.
    for (preset, api) in [("anthropic", Api::CountTokens), ("gemini", Api::CountContentTokens)] {
        let counts = format!("{{ preset: {preset}, apis: [countTokens], key: {{ fromEnv: K }} }}");
        assert_eq!(good(&of(&counts)).0.providers["openai"].apis, ApiSet::of(&[api]));
    }
}

#[test]
fn a_model_takes_everything_but_what_it_says() {
    let (snapshot, _) = good(&with(
        "large: { provider: openai }",
        "large: { provider: openai, accepts: { sampling: false, callIds: true, reasoning: budget } }",
    ));
    assert_eq!(snapshot.models["small"].accepts, Accepts::default());
    let expected =
        Accepts { sampling: false, call_ids: true, reasoning: ReasoningForm::Budget, ..Accepts::default() };
    assert_eq!(snapshot.models["large"].accepts, expected);
}

#[test]
fn what_may_be_lost_is_said_by_the_route_else_by_the_defaults() {
    let on_loss = |text: &str, route: &str| good(text).0.routes[route].on_loss;
    assert_eq!(on_loss(GOOD, "chat"), OnLoss::Warn);
    let defaults = with("models:\n", "defaults: { onLoss: reject }\nmodels:\n");
    assert_eq!([on_loss(&defaults, "chat"), on_loss(&defaults, "small")], [OnLoss::Reject; 2]);
    let both = defaults.replace("chat: {", "chat: { onLoss: warn,");
    assert_eq!([on_loss(&both, "chat"), on_loss(&both, "small")], [OnLoss::Warn, OnLoss::Reject]);
}
