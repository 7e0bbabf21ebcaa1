//! A test's call as the request that an SDK would send.

use std::net::Ipv4Addr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderName, Method, Request};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use crate::dialect::Api;
use crate::policy::suite::{Call, Caller, Prompt};
use crate::relay;

/// A key that no policy can know: it is no key at all.
const UNKNOWN: HeaderValue = HeaderValue::from_static("Bearer egret-test-unknown-key");
/// Not this host.
const AFAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The request, and who sends it.
pub(super) fn request(call: &Call, caller: &Caller) -> (Request<Full<Bytes>>, relay::Caller) {
    let mut request = Request::new(Full::new(body(call)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path(call).parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if call.api == Api::Messages {
        headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));
    }
    for (name, value) in &call.headers {
        headers.append(name.clone(), value.clone());
    }
    let loopback = relay::Caller::At(Ipv4Addr::LOCALHOST.into());
    let caller = match caller {
        Caller::Known(principal) => relay::Caller::Known(principal.clone()),
        Caller::Local => loopback,
        Caller::UnknownKey => {
            headers.insert(AUTHORIZATION, UNKNOWN);
            loopback
        }
        Caller::Afar => relay::Caller::At(AFAR.into()),
    };
    (request, caller)
}

fn path(call: &Call) -> String {
    let Call { api, model, stream, .. } = call;
    match api {
        Api::Chat => "/v1/chat/completions".to_owned(),
        Api::Completions => "/v1/completions".to_owned(),
        Api::Embeddings => "/v1/embeddings".to_owned(),
        Api::Responses => "/v1/responses".to_owned(),
        Api::Messages => "/v1/messages".to_owned(),
        Api::CountTokens => "/v1/messages/count_tokens".to_owned(),
        Api::Generate if *stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        Api::Generate => format!("/v1beta/models/{model}:generateContent"),
        Api::EmbedContent => format!("/v1beta/models/{model}:embedContent"),
        Api::BatchEmbedContents => format!("/v1beta/models/{model}:batchEmbedContents"),
        Api::CountContentTokens => format!("/v1beta/models/{model}:countTokens"),
    }
}

fn body(call: &Call) -> Bytes {
    let with = |text: &str| serde_json::to_vec(&members(call, text)).unwrap_or_default();
    match &call.prompt {
        Prompt::Text(text) => with(text).into(),
        Prompt::Tokens(tokens) => {
            let around = with("").len();
            with(&words(*tokens, around)).into()
        }
    }
}

/// Before anything is known of a model, so many bytes of a body are taken for a token.
const BYTES_PER_TOKEN: usize = 3;

/// So many words of one or two letters that the body, with so much around them, is estimated as so many tokens; where the
/// body is longer than that anyway, as many words as it takes tokens.
fn words(tokens: u32, around: usize) -> String {
    let words = tokens as usize;
    let bytes = (words * BYTES_PER_TOKEN).saturating_sub(around);
    // One letter and a space each; what is left makes words longer.
    let least = (words * 2).saturating_sub(1);
    let longer = bytes.saturating_sub(least).min(words);
    let mut text = String::with_capacity(least + longer);
    for at in 0..words {
        text.push_str(if at == 0 { "" } else { " " });
        text.push_str(if at < longer { "aa" } else { "a" });
    }
    text
}

/// The body's members, in the order in which SDKs write them.
fn members(call: &Call, text: &str) -> Map<String, Value> {
    let Call { model, api, max_tokens, stream, metadata, fields, .. } = call;
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    let user = json!([{ "role": "user", "content": text }]);
    match api {
        Api::Chat => put("messages", user),
        Api::Messages | Api::CountTokens => {
            put("messages", user);
            // Anthropic's API wants it.
            put("max_tokens", json!(max_tokens.unwrap_or(1024)));
        }
        Api::Completions => put("prompt", json!(text)),
        Api::Embeddings | Api::Responses => put("input", json!(text)),
        Api::Generate | Api::CountContentTokens => put("contents", json!([{ "parts": [{ "text": text }] }])),
        Api::EmbedContent => put("content", json!({ "parts": [{ "text": text }] })),
        Api::BatchEmbedContents => put("requests", json!([])),
    }
    let named_in_body = api.dialect() != crate::dialect::Dialect::Gemini;
    if named_in_body {
        put("model", json!(model));
        if *stream {
            put("stream", json!(true));
        }
    }
    if let Some(bound) = max_tokens {
        match api {
            Api::Chat | Api::Completions => put("max_tokens", json!(bound)),
            Api::Responses => put("max_output_tokens", json!(bound)),
            Api::Generate => put("generationConfig", json!({ "maxOutputTokens": bound })),
            Api::Messages
            | Api::CountTokens
            | Api::Embeddings
            | Api::EmbedContent
            | Api::BatchEmbedContents
            | Api::CountContentTokens => {}
        }
    }
    if !metadata.is_empty() {
        let said = metadata.iter().map(|(name, value)| (name.to_string(), json!(value)));
        put("metadata", Value::Object(said.collect()));
    }
    body.extend(fields.clone());
    body
}
