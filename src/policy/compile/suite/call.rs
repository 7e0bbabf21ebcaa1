//! A call as a test writes it.

use http::HeaderValue;

use crate::dialect::Api;
use crate::policy::compile::names;
use crate::policy::diagnostic::{Findings, quoted};
use crate::policy::spec::test::{self as spec, CallApi};
use crate::policy::spec::{At, Entries};
use crate::policy::suite::{Call, Prompt};

/// The longest prompt that is made up, in tokens: a body of it is as long as one may be.
const TOKENS: u32 = 10_000_000;

/// None where a fault was told.
pub(super) fn compile(at: &At<spec::Call>, found: &mut Findings<'_>) -> Option<Call> {
    let spec::Call { model, api, input_tokens, input, max_tokens, stream, headers, metadata, fields } =
        at.value.as_ref()?;
    let api = match api {
        None => Some(Api::Chat),
        Some(api) => api.value.map(operation),
    };
    let prompt = match (input_tokens, input) {
        (Some(tokens), None) if tokens.value.is_some_and(|tokens| tokens > TOKENS) => {
            found.error(tokens.span, format!("a prompt has at most {TOKENS} tokens"));
            None
        }
        (Some(tokens), None) => tokens.value.map(Prompt::Tokens),
        (None, Some(text)) => text.value.as_deref().map(|text| Prompt::Text(text.into())),
        (None, None) => Some(Prompt::Text("Say hello.".into())),
        (Some(tokens), Some(_)) => {
            found.error(tokens.span, "`input` says what the prompt is: leave `inputTokens` out");
            None
        }
    };
    let headers = headers.as_ref().map_or(Some(Vec::new()), |headers| self::headers(headers, found));
    let fields =
        fields.as_ref().map_or_else(|| Some(serde_json::Map::new()), |fields| members(fields, found));
    let Some(model) = model else {
        found
            .error(at.span, "`model` is missing")
            .hint("write the name that the caller asks for: `model: chat`");
        return None;
    };
    Some(Call {
        model: model.value.as_deref()?.into(),
        api: api?,
        prompt: prompt?,
        max_tokens: max_tokens.as_ref().and_then(|bound| bound.value),
        stream: stream.as_ref().is_some_and(|stream| stream.value == Some(true)),
        headers: headers?,
        metadata: metadata.as_ref().map(pairs).unwrap_or_default(),
        fields: fields?,
    })
}

fn operation(api: CallApi) -> Api {
    match api {
        CallApi::Chat => Api::Chat,
        CallApi::Responses => Api::Responses,
        CallApi::Messages => Api::Messages,
        CallApi::GenerateContent => Api::Generate,
        CallApi::Completions => Api::Completions,
        CallApi::Embeddings => Api::Embeddings,
    }
}

fn headers(
    written: &At<Entries<String>>,
    found: &mut Findings<'_>,
) -> Option<Vec<(http::HeaderName, HeaderValue)>> {
    let mut headers = Vec::new();
    for entry in &written.value.as_ref()?.0 {
        let (name, value) = (names::header(&entry.name, entry.span, found)?, entry.value.as_deref()?);
        let Ok(value) = HeaderValue::from_str(value) else {
            found.error(entry.span, format!("header {} cannot have this value", quoted(&entry.name)));
            return None;
        };
        headers.push((name, value));
    }
    Some(headers)
}

fn pairs(written: &At<Entries<String>>) -> Vec<(Box<str>, Box<str>)> {
    let entries = written.value.iter().flat_map(|entries| &entries.0);
    entries.filter_map(|entry| Some((entry.name.as_str().into(), entry.value.as_deref()?.into()))).collect()
}

fn members(
    written: &At<String>,
    found: &mut Findings<'_>,
) -> Option<serde_json::Map<String, serde_json::Value>> {
    let text = written.value.as_deref()?;
    match serde_json::from_str(text) {
        Ok(members) => Some(members),
        Err(error) => {
            found
                .error(written.span, format!("this is no JSON object: {error}"))
                .hint("write `fields: '{ \"temperature\": 0.2 }'`");
            None
        }
    }
}
