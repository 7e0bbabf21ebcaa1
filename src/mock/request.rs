//! What a request to OpenAI's APIs asks for: the fields that all of them share, and how the provider complains.

use serde_json::Value;

use super::error::ApiError;
use super::face::Face;

/// A parsed body with its model.
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    /// How many answers.
    pub(super) n: usize,
    pub(super) fields: Value,
}

/// Answers a call may ask for; the provider's own bound.
const MOST_ANSWERS: u64 = 128;

impl Ask {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let fields: Value = serde_json::from_slice(body).map_err(|_| not_json())?;
        let Some(model) = fields.get("model").and_then(Value::as_str) else {
            return Err(if fields.is_object() {
                refused("you must provide a model parameter")
            } else {
                not_json()
            });
        };
        let stream = fields.get("stream").and_then(Value::as_bool).unwrap_or(false);
        let options = fields.get("stream_options").filter(|options| !options.is_null());
        if options.is_some() && !stream {
            let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(refused(message).about("stream_options"));
        }
        let n = fields.get("n").and_then(Value::as_u64).unwrap_or(1);
        if !(1..=MOST_ANSWERS).contains(&n) {
            return Err(refused("'n' must be between 1 and 128.").about("n"));
        }
        Ok(Self {
            model: model.to_owned(),
            stream,
            include_usage: options
                .and_then(|options| options.get("include_usage"))
                .and_then(Value::as_bool)
                .unwrap_or(false),
            n: usize::try_from(n).unwrap_or(1),
            fields,
        })
    }

    /// A field that must be there.
    pub(super) fn required(&self, name: &'static str) -> Result<&Value, ApiError> {
        self.fields.get(name).filter(|value| !value.is_null()).ok_or_else(|| {
            refused(format!("Missing required parameter: '{name}'."))
                .about(name)
                .with_code("missing_required_parameter")
        })
    }

    /// The first of these fields that is a whole number.
    pub(super) fn bound(&self, names: &[&'static str]) -> Option<usize> {
        let bound = names.iter().find_map(|name| self.fields.get(*name)?.as_u64())?;
        Some(usize::try_from(bound).unwrap_or(usize::MAX))
    }

    /// A field as it stands, to be echoed.
    pub(super) fn echo(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }
}

/// 400: the request itself is wrong.
pub(super) fn refused(message: impl Into<String>) -> ApiError {
    ApiError::bad_request(Face::OpenAi, message)
}

fn not_json() -> ApiError {
    refused("We could not parse the JSON body of your request.")
}

/// The words in a text: what this provider counts as tokens.
pub(super) fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

/// The text of a message's content: a string, or its parts of text.
pub(super) fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text],
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// The inputs of `embeddings` and `completions`: a text, a list of tokens, or a list of either.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input<'a> {
    Text(&'a str),
    Tokens(&'a [Value]),
}

impl Input<'_> {
    pub(super) fn tokens(&self) -> u64 {
        match self {
            Self::Text(text) => words(text),
            Self::Tokens(tokens) => tokens.len() as u64,
        }
    }
}

/// None where the value is neither, or is empty.
pub(super) fn inputs(value: &Value) -> Option<Vec<Input<'_>>> {
    match value {
        Value::String(text) => Some(vec![Input::Text(text)]),
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) if items.iter().all(Value::is_number) => Some(vec![Input::Tokens(items)]),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Some(Input::Text(text)),
                Value::Array(tokens) if tokens.iter().all(Value::is_number) => Some(Input::Tokens(tokens)),
                Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
