//! Wire formats: what callers and providers speak. Knows no policy and no call.

pub mod answer;
pub(crate) mod anthropic;
mod base64;
pub mod edit;
pub mod error;
pub mod facts;
#[doc(hidden)]
pub mod fuzzing;
pub(crate) mod gemini;
mod json;
pub mod models;
pub mod neutral;
pub(crate) mod openai;
pub mod params;
pub mod paths;
pub mod plain;
pub mod provider;
#[cfg(test)]
mod samples;
pub mod sse;
pub mod stream;
pub mod translate;
mod write;

use std::fmt;

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's API and those shaped like it.
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
}

impl Dialect {
    /// The name that policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An operation of a dialect that is relayed to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// OpenAI's `POST /v1/chat/completions`
    Chat,
    /// OpenAI's `POST /v1/completions`
    Completions,
    /// OpenAI's `POST /v1/embeddings`
    Embeddings,
    /// OpenAI's `POST /v1/responses`
    Responses,
    /// Anthropic's `POST /v1/messages`
    Messages,
    /// Anthropic's `POST /v1/messages/count_tokens`
    CountTokens,
    /// Gemini's `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`
    Generate,
    /// Gemini's `POST /v1beta/models/{model}:embedContent`
    EmbedContent,
    /// Gemini's `POST /v1beta/models/{model}:batchEmbedContents`
    BatchEmbedContents,
    /// Gemini's `POST /v1beta/models/{model}:countTokens`
    CountContentTokens,
}

impl Api {
    /// Every operation, in the order in which policies list them.
    pub const ALL: [Self; 10] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
        Self::CountTokens,
        Self::Generate,
        Self::EmbedContent,
        Self::BatchEmbedContents,
        Self::CountContentTokens,
    ];

    /// The name that policies, logs and errors use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::CountTokens | Self::CountContentTokens => "countTokens",
            Self::Generate => "generateContent",
            Self::EmbedContent => "embedContent",
            Self::BatchEmbedContents => "batchEmbedContents",
        }
    }

    /// Whose operation it is.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Completions | Self::Embeddings | Self::Responses => Dialect::OpenAi,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::Generate | Self::EmbedContent | Self::BatchEmbedContents | Self::CountContentTokens => {
                Dialect::Gemini
            }
        }
    }

    /// Whether the model writes something.
    pub fn has_output(self) -> bool {
        match self {
            Self::Chat | Self::Completions | Self::Responses | Self::Messages | Self::Generate => true,
            Self::Embeddings
            | Self::CountTokens
            | Self::EmbedContent
            | Self::BatchEmbedContents
            | Self::CountContentTokens => false,
        }
    }

    /// Whether a call may ask for a stream.
    pub fn streams(self) -> bool {
        self.has_output()
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiSet(u16);

impl ApiSet {
    /// No operation.
    pub const NONE: Self = Self(0);

    /// These operations.
    pub const fn of(apis: &[Api]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < apis.len() {
            bits |= 1 << apis[i] as u8;
            i += 1;
        }
        Self(bits)
    }

    /// Whether the operation is in the set.
    pub fn contains(self, api: Api) -> bool {
        self.0 & (1 << api as u8) != 0
    }

    /// The set with one more operation.
    #[must_use]
    pub fn with(self, api: Api) -> Self {
        Self(self.0 | (1 << api as u8))
    }

    /// Whether no operation is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Api> for ApiSet {
    fn from_iter<I: IntoIterator<Item = Api>>(apis: I) -> Self {
        apis.into_iter().fold(Self::NONE, Self::with)
    }
}
