//! Wire formats: what callers and providers speak. Knows no policy and no call.

pub mod answer;
pub mod edit;
pub mod error;
mod json;
pub mod openai;
pub mod provider;
#[cfg(test)]
mod samples;
pub mod sse;

use std::fmt;

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's API and those shaped like it.
    OpenAi,
}

impl Dialect {
    /// The name that policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
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
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/responses`
    Responses,
}

impl Api {
    /// Every operation, in the order in which policies list them.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Completions, Self::Embeddings, Self::Responses];

    /// The name that policies, logs and errors use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
        }
    }

    /// The path below a base URL that ends in `/v1`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Responses => "/responses",
        }
    }

    /// Whether the model writes something.
    pub fn has_output(self) -> bool {
        match self {
            Self::Chat | Self::Completions | Self::Responses => true,
            Self::Embeddings => false,
        }
    }

    /// Whether a call may ask for a stream.
    pub fn streams(self) -> bool {
        match self {
            Self::Chat | Self::Completions | Self::Responses => true,
            Self::Embeddings => false,
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiSet(u8);

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
