//! What is known of the providers that have a name: address, credential header, operations, quirks.

use super::{Api, ApiSet, Dialect};

/// The header that carries a provider's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthHeader {
    /// `Authorization: Bearer KEY`
    Bearer,
    /// `api-key: KEY` (Azure)
    ApiKey,
    /// Anthropic's: `x-api-key: KEY` under API version 2023-06-01, `Authorization: Bearer KEY` under later ones.
    Anthropic,
    /// `x-goog-api-key: KEY` (Gemini)
    Goog,
}

impl AuthHeader {
    /// What a provider of this dialect takes that is no preset.
    pub fn usual(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAi => Self::Bearer,
            Dialect::Anthropic => Self::Anthropic,
            Dialect::Gemini => Self::Goog,
        }
    }
}

/// The version of Anthropic's API in which translated calls are written: later ones refuse `temperature`.
pub const ANTHROPIC_VERSION: &str = "2023-06-01";

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
    /// Whether it wants what it has thought back in `reasoning_content` of its earlier turns. Others refuse the field.
    pub wants_reasoning: bool,
    /// What else it does otherwise than OpenAI, as the policy manual tells it; empty where it does nothing.
    pub quirks: &'static str,
}

/// The preset of that name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// Every operation of OpenAI's dialect.
const OPENAI_APIS: ApiSet = ApiSet::of(&[Api::Chat, Api::Completions, Api::Embeddings, Api::Responses]);

/// The operations that a provider of this dialect offers where nothing else is said.
pub fn apis(dialect: Dialect) -> ApiSet {
    Api::ALL.into_iter().filter(|api| api.dialect() == dialect).collect()
}

/// A provider of OpenAI's dialect, as OpenAI itself is.
const OPENAI: Preset = Preset {
    name: "openai",
    convention: "openai",
    dialect: Dialect::OpenAi,
    base_url: Some("https://api.openai.com/v1"),
    auth: AuthHeader::Bearer,
    apis: OPENAI_APIS,
    stream_usage: StreamUsage::Ask,
    max_tokens_field: MaxTokensField::MaxCompletionTokens,
    wants_reasoning: false,
    quirks: "",
};

/// The presets that work, from WIRE facts of the providers' own documentation.
pub const PRESETS: [Preset; 11] = [
    OPENAI,
    // The v1 API: `https://NAME.openai.azure.com/openai/v1`, the model is the deployment's name.
    Preset {
        name: "azure",
        convention: "azure.ai.openai",
        base_url: None,
        auth: AuthHeader::ApiKey,
        quirks: "The key goes into `api-key`. The model is the deployment's name. With `apiVersion` the dated API is \
                 spoken, `/openai/deployments/NAME/...?api-version=...`. A first chunk without choices passes.",
        ..OPENAI
    },
    Preset {
        name: "anthropic",
        convention: "anthropic",
        dialect: Dialect::Anthropic,
        base_url: Some("https://api.anthropic.com/v1"),
        auth: AuthHeader::Anthropic,
        apis: ApiSet::of(&[Api::Messages, Api::CountTokens]),
        stream_usage: StreamUsage::Always,
        max_tokens_field: MaxTokensField::MaxTokens,
        wants_reasoning: false,
        quirks: "The key goes into `x-api-key` under API version 2023-06-01, the one of translated calls, and into \
                 `Authorization` under later ones. `max_tokens` is always written: the caller's, else the model's \
                 `maxOutputTokens`, else 4096.",
    },
    Preset {
        name: "gemini",
        convention: "gcp.gemini",
        dialect: Dialect::Gemini,
        base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
        auth: AuthHeader::Goog,
        apis: ApiSet::of(&[
            Api::Generate,
            Api::EmbedContent,
            Api::BatchEmbedContents,
            Api::CountContentTokens,
        ]),
        stream_usage: StreamUsage::Always,
        max_tokens_field: MaxTokensField::MaxTokens,
        wants_reasoning: false,
        quirks: "The key goes into `x-goog-api-key`, the model into the path. Gemini 3 wants ids and signatures at \
                 function calls (`accepts: { callIds: true }`), earlier models refuse the ids.",
    },
    Preset {
        name: "deepseek",
        convention: "deepseek",
        base_url: Some("https://api.deepseek.com/v1"),
        apis: ApiSet::of(&[Api::Chat]),
        max_tokens_field: MaxTokensField::MaxTokens,
        wants_reasoning: true,
        quirks: "402 is an empty balance. Cached input comes as `prompt_cache_hit_tokens`. `reasoning_content` is read \
                 and sent back. `insufficient_system_resource` is an end like any other.",
        ..OPENAI
    },
    Preset {
        name: "groq",
        convention: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        apis: ApiSet::of(&[Api::Chat, Api::Responses]),
        quirks: "Reasoning comes as `reasoning`; usage and errors of a stream in `x_groq`.",
        ..OPENAI
    },
    Preset {
        name: "mistral",
        convention: "mistral_ai",
        base_url: Some("https://api.mistral.ai/v1"),
        apis: ApiSet::of(&[Api::Chat, Api::Embeddings]),
        stream_usage: StreamUsage::Always,
        max_tokens_field: MaxTokensField::MaxTokens,
        quirks: "Content may be a list with thinking in it. Errors of 422 have a list of details.",
        ..OPENAI
    },
    Preset {
        name: "openrouter",
        convention: "openrouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        apis: ApiSet::of(&[Api::Chat, Api::Completions]),
        max_tokens_field: MaxTokensField::MaxTokens,
        quirks: "Comments while it waits. Error codes are numbers; 402 is an empty balance, 403 moderation.",
        ..OPENAI
    },
    Preset {
        name: "holysheep",
        convention: "holysheep",
        base_url: Some("https://api.holysheep.ai/v1"),
        apis: ApiSet::of(&[Api::Chat, Api::Embeddings]),
        max_tokens_field: MaxTokensField::MaxTokens,
        quirks: "None are known: a relay shaped like OpenAI.",
        ..OPENAI
    },
    Preset {
        name: "vllm",
        convention: "vllm",
        base_url: None,
        max_tokens_field: MaxTokensField::MaxTokens,
        quirks: "It is where you run it: say `baseUrl`. Reasoning comes as `reasoning` or `reasoning_content`; usage may \
                 come in every chunk; parallel calls may all have index 0.",
        ..OPENAI
    },
    Preset {
        name: "ollama",
        convention: "ollama",
        base_url: None,
        max_tokens_field: MaxTokensField::MaxTokens,
        quirks: "It is where you run it: say `baseUrl`. It takes no key, and cuts a prompt beyond its `num_ctx` in \
                 silence: say `contextTokens`.",
        ..OPENAI
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_offers_operations_of_its_dialect_alone() {
        for preset in &PRESETS {
            assert!(!preset.apis.is_empty(), "{}", preset.name);
            for api in Api::ALL.into_iter().filter(|api| preset.apis.contains(*api)) {
                assert_eq!(api.dialect(), preset.dialect, "{}", preset.name);
            }
        }
    }

    #[test]
    fn every_preset_has_a_name_of_its_own() {
        let mut names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PRESETS.len());
    }
}
