//! A value of a request and its place, and how its provider complains of it.

use std::fmt::Display;

use serde_json::{Map, Value};

use super::error::ApiError;
use super::face::Face;

/// A value of a request.
#[derive(Clone)]
pub(super) struct Node<'a> {
    face: Face,
    /// As the provider writes it: `messages.0.content`, `contents[0].parts`; empty: the body itself.
    at: String,
    value: &'a Value,
}

/// What a value may have to be.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Whole,
    Number,
    Flag,
    Object,
    List,
}

impl<'a> Node<'a> {
    /// A request's body.
    pub(super) fn body(face: Face, value: &'a Value) -> Self {
        Self { face, at: String::new(), value }
    }

    /// A field that is there and not null. Gemini takes its names in both spellings.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        let value = match self.face {
            Face::OpenAi | Face::Anthropic => self.value.get(name),
            Face::Gemini => self.value.get(name).or_else(|| self.value.get(snake(name))),
        };
        let value = value.filter(|value| !value.is_null())?;
        Some(Self { face: self.face, at: self.below(name), value })
    }

    /// A field that has to be there.
    pub(super) fn required(&self, name: &str) -> Result<Self, ApiError> {
        self.field(name).ok_or_else(|| {
            let at = self.below(name);
            self.bad_request(match self.face {
                Face::OpenAi => format!("Missing required parameter: '{at}'."),
                Face::Anthropic => format!("{at}: Field required"),
                Face::Gemini => format!("{at}: required field is not set"),
            })
        })
    }

    /// That it is an object with no other fields than these.
    pub(super) fn only(&self, names: &[&str]) -> Result<(), ApiError> {
        let unknown = self.object()?.keys().find(|key| match self.face {
            Face::OpenAi | Face::Anthropic => !names.contains(&key.as_str()),
            Face::Gemini => !names.iter().any(|name| name == key || snake(name) == **key),
        });
        unknown.map_or(Ok(()), |name| Err(self.unknown(name)))
    }

    fn unknown(&self, name: &str) -> ApiError {
        self.bad_request(match (self.face, self.at.as_str()) {
            (Face::OpenAi, _) => format!("Unknown parameter: '{}'.", self.below(name)),
            (Face::Anthropic, _) => format!("{}: Extra inputs are not permitted", self.below(name)),
            (Face::Gemini, "") => {
                format!("Invalid JSON payload received. Unknown name \"{name}\": Cannot find field.")
            }
            (Face::Gemini, at) => {
                format!(
                    "Invalid JSON payload received. Unknown name \"{name}\" at '{at}': Cannot find field."
                )
            }
        })
    }

    pub(super) fn text(&self) -> Result<&'a str, ApiError> {
        self.value.as_str().ok_or_else(|| self.not_a(Type::Text))
    }

    pub(super) fn whole(&self) -> Result<i64, ApiError> {
        self.value.as_i64().ok_or_else(|| self.not_a(Type::Whole))
    }

    pub(super) fn number(&self) -> Result<f64, ApiError> {
        self.value.as_f64().ok_or_else(|| self.not_a(Type::Number))
    }

    pub(super) fn flag(&self) -> Result<bool, ApiError> {
        self.value.as_bool().ok_or_else(|| self.not_a(Type::Flag))
    }

    pub(super) fn object(&self) -> Result<&'a Map<String, Value>, ApiError> {
        self.value.as_object().ok_or_else(|| self.not_a(Type::Object))
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Result<impl Iterator<Item = Self> + use<'a>, ApiError> {
        let items = self.value.as_array().ok_or_else(|| self.not_a(Type::List))?;
        let (face, at) = (self.face, self.at.clone());
        Ok(items.iter().enumerate().map(move |(index, value)| {
            let at = match face {
                Face::OpenAi | Face::Gemini => format!("{at}[{index}]"),
                Face::Anthropic => format!("{at}.{index}"),
            };
            Self { face, at, value }
        }))
    }

    /// The values of an object.
    pub(super) fn entries(&self) -> Result<impl Iterator<Item = Self> + use<'a>, ApiError> {
        let (face, at) = (self.face, self.at.clone());
        let entries = self.object()?.iter();
        Ok(entries.map(move |(name, value)| Self { face, at: format!("{at}.{name}"), value }))
    }

    /// One of these words.
    pub(super) fn word(&self, words: &[&str]) -> Result<&'a str, ApiError> {
        let text = self.text()?;
        if words.contains(&text) {
            Ok(text)
        } else {
            Err(self.wrong(format!("'{text}' is not one of {}", words.join(", "))))
        }
    }

    /// A number from `least` to `most`.
    pub(super) fn within(&self, least: f64, most: f64) -> Result<(), ApiError> {
        if (least..=most).contains(&self.number()?) {
            Ok(())
        } else {
            Err(self.wrong(format!("must be between {least} and {most}")))
        }
    }

    /// The value as it stands.
    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// A complaint of the value.
    pub(super) fn wrong(&self, what: impl Display) -> ApiError {
        let at = &self.at;
        self.bad_request(match self.face {
            Face::OpenAi => format!("Invalid value for '{at}': {what}."),
            Face::Anthropic => format!("{at}: {what}"),
            Face::Gemini => format!("Invalid value at '{at}': {what}"),
        })
    }

    fn not_a(&self, wanted: Type) -> ApiError {
        let (at, value) = (&self.at, self.value);
        self.bad_request(match self.face {
            Face::OpenAi => format!("Invalid type for '{at}': expected {}.", wanted.for_openai()),
            Face::Anthropic => format!("{at}: Input should be a valid {}", wanted.for_anthropic()),
            Face::Gemini => format!("Invalid value at '{at}' ({}), {value}", wanted.for_gemini()),
        })
    }

    fn bad_request(&self, message: String) -> ApiError {
        let error = ApiError::bad_request(self.face, message);
        match self.face {
            Face::OpenAi => error.about(&self.at),
            Face::Anthropic | Face::Gemini => error,
        }
    }

    /// The place of a field.
    fn below(&self, name: &str) -> String {
        let name = match self.face {
            Face::OpenAi | Face::Anthropic => name.to_owned(),
            Face::Gemini => snake(name),
        };
        if self.at.is_empty() { name } else { format!("{}.{name}", self.at) }
    }
}

impl Type {
    fn for_openai(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Whole => "an integer",
            Self::Number => "a number",
            Self::Flag => "a boolean",
            Self::Object => "an object",
            Self::List => "an array",
        }
    }

    fn for_anthropic(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Whole => "integer",
            Self::Number => "number",
            Self::Flag => "boolean",
            Self::Object => "dictionary",
            Self::List => "list",
        }
    }

    fn for_gemini(self) -> &'static str {
        match self {
            Self::Text => "TYPE_STRING",
            Self::Whole => "TYPE_INT32",
            Self::Number => "TYPE_FLOAT",
            Self::Flag => "TYPE_BOOL",
            Self::Object => "TYPE_MESSAGE",
            Self::List => "TYPE_REPEATED",
        }
    }
}

/// A name in the spelling of Google's own definitions: `topP` is `top_p`.
fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(error: &ApiError) -> String {
        error.object()["message"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_place_is_written_as_its_provider_writes_it() {
        let body = json!({ "toolConfig": { "items": [{ "deepField": 1 }] } });
        let places = [Face::OpenAi, Face::Anthropic, Face::Gemini].map(|face| {
            let list = Node::body(face, &body).field("toolConfig").unwrap().field("items").unwrap();
            list.items().unwrap().next().unwrap().field("deepField").unwrap().at
        });
        let expected = [
            "toolConfig.items[0].deepField",
            "toolConfig.items.0.deepField",
            "tool_config.items[0].deep_field",
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn gemini_alone_takes_both_spellings() {
        let body = json!({ "top_p": 1, "topK": 1 });
        let node = |face| Node::body(face, &body);
        assert!(node(Face::Gemini).only(&["topP", "topK"]).is_ok());
        assert!(node(Face::Gemini).field("topP").is_some());
        assert!(node(Face::Anthropic).field("topP").is_none());
        let error = node(Face::Anthropic).only(&["top_p"]).unwrap_err();
        assert_eq!(said(&error), "topK: Extra inputs are not permitted");
        let error = node(Face::Gemini).only(&["topK"]).unwrap_err();
        assert_eq!(said(&error), "Invalid JSON payload received. Unknown name \"top_p\": Cannot find field.");
    }

    #[test]
    fn a_value_of_another_type_is_told_with_its_place() {
        let body = json!({ "maxTokens": "many" });
        let told = [Face::OpenAi, Face::Anthropic, Face::Gemini]
            .map(|face| said(&Node::body(face, &body).field("maxTokens").unwrap().whole().unwrap_err()));
        let expected = [
            "Invalid type for 'maxTokens': expected an integer.",
            "maxTokens: Input should be a valid integer",
            "Invalid value at 'max_tokens' (TYPE_INT32), \"many\"",
        ];
        assert_eq!(told, expected);
    }
}
