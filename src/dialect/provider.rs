//! What is known of the providers that have a name: address, credential header, operations, quirks.

use super::{Api, ApiSet, Dialect};

/// The header that carries a provider's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthHeader {
    /// `Authorization: Bearer KEY`
    Bearer,
    /// `api-key: KEY` (Azure)
    ApiKey,
}

/// How a provider is brought to report usage at the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamUsage {
    /// Asked for with `stream_options.include_usage`; the event is removed again where the caller did not ask.
    Ask,
    /// Reported without being asked.
    Always,
    /// Never reported, and asking may be refused.
    Never,
}

/// The field of a chat call by which a provider bounds the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxTokensField {
    /// `max_completion_tokens`: OpenAI's reasoning models refuse the older one.
    MaxCompletionTokens,
    /// `max_tokens`: the only one that many compatible servers know.
    #[default]
    MaxTokens,
}

impl MaxTokensField {
    /// The field's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxTokens => "max_tokens",
        }
    }
}

/// What is known of a provider by its name.
#[derive(Debug)]
pub struct Preset {
    /// The name in policies.
    pub name: &'static str,
    /// The name in spans and metrics: `gen_ai.provider.name` of the OpenTelemetry GenAI conventions.
    pub convention: &'static str,
    /// The dialect it speaks.
    pub dialect: Dialect,
    /// Where it is, up to and including `/v1` or what stands for it; none where every customer has an own address.
    pub base_url: Option<&'static str>,
    /// How it takes its key.
    pub auth: AuthHeader,
    /// What it offers.
    pub apis: ApiSet,
    /// How it reports the usage of streams.
    pub stream_usage: StreamUsage,
    /// Which field bounds the answer of a chat call.
    pub max_tokens_field: MaxTokensField,
}

/// The preset of that name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// Presets that a policy may name one day: their dialect is not built yet.
pub const PLANNED: [&str; 2] = ["anthropic", "gemini"];

/// The presets that work, from WIRE facts of the providers' own documentation.
pub const PRESETS: [Preset; 6] = [
    Preset {
        name: "openai",
        convention: "openai",
        dialect: Dialect::OpenAi,
        base_url: Some("https://api.openai.com/v1"),
        auth: AuthHeader::Bearer,
        apis: ApiSet::of(&Api::ALL),
        stream_usage: StreamUsage::Ask,
        max_tokens_field: MaxTokensField::MaxCompletionTokens,
    },
    // The v1 API: `https://NAME.openai.azure.com/openai/v1`, the model is the deployment's name.
    Preset {
        name: "azure",
        convention: "azure.ai.openai",
        dialect: Dialect::OpenAi,
        base_url: None,
        auth: AuthHeader::ApiKey,
        apis: ApiSet::of(&Api::ALL),
        stream_usage: StreamUsage::Ask,
        max_tokens_field: MaxTokensField::MaxCompletionTokens,
    },
    Preset {
        name: "deepseek",
        convention: "deepseek",
        dialect: Dialect::OpenAi,
        base_url: Some("https://api.deepseek.com/v1"),
        auth: AuthHeader::Bearer,
        apis: ApiSet::of(&[Api::Chat]),
        stream_usage: StreamUsage::Ask,
        max_tokens_field: MaxTokensField::MaxTokens,
    },
    Preset {
        name: "groq",
        convention: "groq",
        dialect: Dialect::OpenAi,
        base_url: Some("https://api.groq.com/openai/v1"),
        auth: AuthHeader::Bearer,
        apis: ApiSet::of(&[Api::Chat, Api::Responses]),
        stream_usage: StreamUsage::Ask,
        max_tokens_field: MaxTokensField::MaxCompletionTokens,
    },
    Preset {
        name: "mistral",
        convention: "mistral_ai",
        dialect: Dialect::OpenAi,
        base_url: Some("https://api.mistral.ai/v1"),
        auth: AuthHeader::Bearer,
        apis: ApiSet::of(&[Api::Chat, Api::Embeddings]),
        stream_usage: StreamUsage::Always,
        max_tokens_field: MaxTokensField::MaxTokens,
    },
    Preset {
        name: "openrouter",
        convention: "openrouter",
        dialect: Dialect::OpenAi,
        base_url: Some("https://openrouter.ai/api/v1"),
        auth: AuthHeader::Bearer,
        apis: ApiSet::of(&[Api::Chat, Api::Completions]),
        stream_usage: StreamUsage::Ask,
        max_tokens_field: MaxTokensField::MaxTokens,
    },
];
