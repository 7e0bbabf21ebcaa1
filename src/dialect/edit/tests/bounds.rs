//! How much output a call asks for, and what policy writes where it asks for none.

use super::*;

const APIS: [Api; 3] = [Api::Chat, Api::Completions, Api::Responses];

fn facts(api: Api, body: &str) -> RequestFacts {
    read(api, body.as_bytes()).unwrap()
}

fn max_output(api: Api, body: &str) -> Option<u64> {
    facts(api, body).max_output.map(|tokens| tokens.0)
}

fn capped(api: Api, body: &str, chat_field: MaxTokensField) -> String {
    let edits = Edits { cap: Some(cap_of(4096, chat_field)), ..Edits::default() };
    let edited = apply(api, &Bytes::from(body.to_owned()), &facts(api, body), &edits);
    String::from_utf8(edited.to_vec()).unwrap()
}

#[test]
fn the_samples_name_their_bounds() {
    let of = |api, file| read(api, &samples::openai(file)).unwrap().max_output;
    assert_eq!(of(Api::Chat, "chat.request.json"), Some(Tokens(256)));
    assert_eq!(of(Api::Responses, "responses.request.json"), Some(Tokens(64)));
    assert_eq!(of(Api::Embeddings, "embeddings.request.json"), None);
}

#[test]
fn each_operation_has_its_own_bound() {
    let body = r#"{"model":"a","max_completion_tokens":1,"max_tokens":2,"max_output_tokens":3}"#;
    assert_eq!(max_output(Api::Chat, body), Some(2), "of two the larger: a provider may read either");
    assert_eq!(max_output(Api::Completions, body), Some(2));
    assert_eq!(max_output(Api::Responses, body), Some(3));
    assert_eq!(max_output(Api::Embeddings, body), None);
    assert_eq!(
        max_output(Api::Chat, r#"{"model":"a","max_completion_tokens":7,"max_tokens":null}"#),
        Some(7)
    );
    assert_eq!(max_output(Api::Chat, r#"{"model":"a","max\u005ftokens":0}"#), Some(0));
}

#[test]
fn what_is_no_whole_number_is_no_bound() {
    for unclear in ["null", "-1", "1e3", "100.0", "\"100\"", "true", "[1]", "18446744073709551616"] {
        let body = format!(r#"{{"model":"a","max_tokens":{unclear}}}"#);
        assert_eq!(max_output(Api::Chat, &body), None, "{unclear}");
    }
    let body = r#"{"model":"a","max_completion_tokens":100,"max_tokens":-1}"#;
    assert_eq!(max_output(Api::Chat, body), None, "the provider may read the one that is unclear");
}

#[test]
fn choices_multiply_output_and_must_be_clear() {
    let choices = |api, body| facts(api, body).choices;
    let both = r#"{"model":"a","n":2,"best_of":5}"#;
    assert_eq!(choices(Api::Chat, both), 2);
    assert_eq!(choices(Api::Completions, both), 5);
    assert_eq!((choices(Api::Responses, both), choices(Api::Embeddings, both)), (1, 1));
    for one in [r#"{"model":"a"}"#, r#"{"model":"a","n":null}"#, r#"{"model":"a","n":0}"#] {
        assert_eq!(choices(Api::Chat, one), 1, "{one}");
    }
    for unclear in ["\"5\"", "5.0", "-1", "true"] {
        let body = format!(r#"{{"model":"a","n":{unclear}}}"#);
        let fault = BodyFault::WrongType { field: "n", expected: "a whole number or null" };
        assert_eq!(read(Api::Chat, body.as_bytes()), Err(fault), "{unclear}");
    }
}

#[test]
fn a_bound_that_two_readers_could_see_differently_is_refused() {
    let fault = |body: &str| read(Api::Chat, body.as_bytes()).unwrap_err();
    assert_eq!(
        fault(r#"{"model":"a","max_tokens":1,"max_tokens":9}"#),
        BodyFault::DuplicateKey("max_tokens")
    );
    assert_eq!(fault(r#"{"model":"a","Max_Tokens":9}"#), BodyFault::CaseVariant { meant: "max_tokens" });
    assert_eq!(fault(r#"{"model":"a","n":1,"n":2}"#), BodyFault::DuplicateKey("n"));
    assert_eq!(fault(r#"{"model":"a","N":2}"#), BodyFault::CaseVariant { meant: "n" });
    assert!(read(Api::Embeddings, br#"{"model":"a","N":2,"MAX_TOKENS":9}"#).is_ok());
}

#[test]
fn a_cap_goes_into_the_field_that_the_provider_reads() {
    use MaxTokensField::{MaxCompletionTokens, MaxTokens};
    let body = r#"{ "model":"a", "x":1.0}"#;
    assert_eq!(
        capped(Api::Chat, body, MaxCompletionTokens),
        r#"{"max_completion_tokens":4096, "model":"a", "x":1.0}"#
    );
    assert_eq!(capped(Api::Chat, body, MaxTokens), r#"{"max_tokens":4096, "model":"a", "x":1.0}"#);
    for chat_field in [MaxCompletionTokens, MaxTokens] {
        assert_eq!(
            capped(Api::Completions, body, chat_field),
            r#"{"max_tokens":4096, "model":"a", "x":1.0}"#
        );
        assert_eq!(
            capped(Api::Responses, body, chat_field),
            r#"{"max_output_tokens":4096, "model":"a", "x":1.0}"#
        );
        assert_eq!(capped(Api::Embeddings, body, chat_field), body);
    }
}

#[test]
fn a_cap_lowers_no_bound_and_raises_none() {
    for bound in ["max_completion_tokens", "max_tokens"] {
        for tokens in [0, 1, 4095, 4097, 1_000_000] {
            let body = format!(r#"{{"model":"a","{bound}":{tokens}}}"#);
            for chat_field in [MaxTokensField::MaxCompletionTokens, MaxTokensField::MaxTokens] {
                assert_eq!(capped(Api::Chat, &body, chat_field), body);
            }
        }
    }
}

#[test]
fn null_gives_way_to_the_cap_where_the_provider_reads_it() {
    let field = MaxTokensField::MaxTokens;
    assert_eq!(
        capped(Api::Chat, r#"{"max_tokens" : null,"model":"a"}"#, field),
        r#"{"max_tokens" : 4096,"model":"a"}"#
    );
    // Both at once would be refused by OpenAI: the null stays one.
    assert_eq!(
        capped(Api::Chat, r#"{"max_completion_tokens":null,"model":"a"}"#, field),
        r#"{"max_tokens":4096,"max_completion_tokens":null,"model":"a"}"#
    );
    assert_eq!(
        capped(Api::Chat, r#"{"max_completion_tokens":null,"max_tokens":null,"model":"a"}"#, field),
        r#"{"max_completion_tokens":null,"max_tokens":4096,"model":"a"}"#
    );
}

#[test]
fn what_is_unclear_gives_way_to_the_cap_in_its_own_field() {
    let field = MaxTokensField::MaxCompletionTokens;
    for unclear in ["-1", "\"100\"", "1e9", "{\"a\":[1]}"] {
        let body = format!(r#"{{"model":"a","max_tokens":{unclear},"x":1}}"#);
        assert_eq!(capped(Api::Chat, &body, field), r#"{"model":"a","max_tokens":4096,"x":1}"#, "{unclear}");
    }
    assert_eq!(
        capped(Api::Chat, r#"{"max_tokens":-1,"max_completion_tokens":9000,"model":"a"}"#, field),
        r#"{"max_tokens":4096,"max_completion_tokens":4096,"model":"a"}"#
    );
}

fn clamped(api: Api, body: &str, tokens: u64) -> String {
    let cap = Cap { lowers: true, ..cap_of(tokens, MaxTokensField::MaxCompletionTokens) };
    let edits = Edits { cap: Some(cap), ..Edits::default() };
    let edited = apply(api, &Bytes::from(body.to_owned()), &facts(api, body), &edits);
    String::from_utf8(edited.to_vec()).unwrap()
}

#[test]
fn a_cap_that_lowers_takes_the_place_of_what_is_larger_in_the_callers_own_field() {
    let chat = |body: &str| clamped(Api::Chat, body, 100);
    assert_eq!(chat(r#"{"model":"a","max_tokens":101}"#), r#"{"model":"a","max_tokens":100}"#);
    assert_eq!(chat(r#"{"model":"a","max_tokens":100}"#), r#"{"model":"a","max_tokens":100}"#);
    assert_eq!(chat(r#"{"model":"a","max_tokens":7}"#), r#"{"model":"a","max_tokens":7}"#, "it raises none");
    assert_eq!(chat(r#"{"model":"a"}"#), r#"{"max_completion_tokens":100,"model":"a"}"#);
    assert_eq!(
        chat(r#"{"max_completion_tokens":7,"max_tokens":9000,"model":"a"}"#),
        r#"{"max_completion_tokens":7,"max_tokens":100,"model":"a"}"#
    );
    assert_eq!(
        chat(r#"{"max_completion_tokens":null,"max_tokens":-1,"model":"a"}"#),
        r#"{"max_completion_tokens":null,"max_tokens":100,"model":"a"}"#
    );
    for (api, field) in [(Api::Responses, "max_output_tokens"), (Api::Completions, "max_tokens")] {
        let body = |bound: &str| format!(r#"{{"model":"a","{field}":{bound}}}"#);
        assert_eq!(clamped(api, &body("5000"), 64), body("64"));
        assert_eq!(clamped(api, &body("64"), 64), body("64"));
        assert_eq!(clamped(api, &body("7"), 64), body("7"));
        assert_eq!(clamped(api, &body("\"100\""), 64), body("64"), "a reader may take it for more");
        assert_eq!(clamped(api, &body("null"), 64), body("64"));
        assert_eq!(clamped(api, r#"{"model":"a"}"#, 64), format!(r#"{{"{field}":64,"model":"a"}}"#));
    }
    let embedding = r#"{"model":"a","max_tokens":5000}"#;
    assert_eq!(clamped(Api::Embeddings, embedding, 64), embedding);
}

#[test]
fn all_edits_of_a_body_stand_side_by_side() {
    let body = Bytes::from_static(br#"{"model":"a","stream":true,"messages":[]}"#);
    let facts = read(Api::Chat, &body).unwrap();
    let cap = Some(cap_of(5, MaxTokensField::MaxTokens));
    let edited =
        apply(Api::Chat, &body, &facts, &Edits { model: Some("b"), ask_usage: true, cap, cut: None });
    let expected = concat!(
        r#"{"stream_options":{"include_usage":true},"max_tokens":5,"#,
        r#""model":"b","stream":true,"messages":[]}"#
    );
    assert_eq!(edited, expected);
}

/// What may stand where a bound is read.
fn any_bound() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        2 => any::<u32>().prop_map(serde_json::Value::from),
        1 => Just(serde_json::Value::Null),
        1 => samples::any_json(),
    ]
}

proptest! {
    #[test]
    fn a_capped_body_has_the_cap_or_the_callers_own_bound_and_all_else_is_kept(
        body in any_body(), newer in prop::option::of(any_bound()), older in prop::option::of(any_bound()),
        output in prop::option::of(any_bound()), tokens in 1..u64::MAX, small in 1..10_000_u64,
        completion: bool, lowers: bool, model in prop::option::of("[a-z]{1,9}"),
    ) {
        let mut members: serde_json::Value = serde_json::from_str(&body).unwrap();
        for (name, bound) in [("max_completion_tokens", &newer), ("max_tokens", &older), ("max_output_tokens", &output)] {
            if let Some(bound) = bound {
                members[name] = bound.clone();
            }
        }
        let body = Bytes::from(members.to_string());
        let chat_field = if completion { MaxTokensField::MaxCompletionTokens } else { MaxTokensField::MaxTokens };
        for api in APIS {
            let facts = read(api, &body).unwrap();
            let tokens = if lowers { small } else { tokens };
            let cap = Cap { lowers, ..cap_of(tokens, chat_field) };
            let edits = Edits { model: model.as_deref(), ask_usage: false, cap: Some(cap), cut: None };
            let edited = apply(api, &body, &facts, &edits);
            let after = read(api, &edited).unwrap();
            let named = facts.max_output.unwrap_or(Tokens(tokens));
            let expected = if lowers { named.min(Tokens(tokens)) } else { named };
            prop_assert_eq!(after.max_output, Some(expected), "{}", String::from_utf8_lossy(&edited));
            let (mut kept, mut edited): (serde_json::Value, serde_json::Value) =
                (members.clone(), serde_json::from_slice(&edited).unwrap());
            for name in ["model", "max_completion_tokens", "max_tokens", "max_output_tokens"] {
                kept.as_object_mut().unwrap().remove(name);
                edited.as_object_mut().unwrap().remove(name);
            }
            prop_assert_eq!(kept, edited);
        }
    }
}
