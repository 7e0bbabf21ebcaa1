//! The top-level fields that are read or guarded, and how a key is recognised.

use std::borrow::Cow;

use super::BodyFault;
use crate::dialect::Api;

/// The one field read inside `stream_options`.
pub(super) const INCLUDE_USAGE: &str = "include_usage";

/// A field of a request body.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) role: Role,
    /// Its place in the table; at most 64 fit into the set of those seen.
    place: u8,
}

/// What a field is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Model,
    Stream,
    StreamOptions,
    /// True: the answer is kept at the provider.
    StateFlag,
    /// Anything but null: the answer builds on something kept at the provider.
    StateName,
    /// The longest answer asked for.
    Bound,
    /// How many answers are asked for.
    Choices,
    /// What the caller says of its call.
    Metadata,
    /// The conversation so far.
    Turns,
    /// Names another model, endpoint, credential or stored prompt, past what policy decided.
    Guarded,
    /// Gemini's settings, among them how many answers, and how long.
    Settings,
    /// Gemini's calls within a call, each of which may name a model.
    Calls,
}

impl Field {
    /// The field's own bit in a set of fields.
    pub(super) fn bit(&self) -> u64 {
        1 << self.place
    }
}

/// Whether a key could be a field's name, by its length and first letter: most keys are none, and are known by this.
pub(super) fn may_be(key: &[u8]) -> bool {
    let Some(first) = key.first() else {
        return false;
    };
    let letters = NEAR.get(key.len()).copied().unwrap_or_default();
    // What folds into ASCII has another length.
    letters & letter(*first) != 0 || !key.is_ascii()
}

/// A letter's bit, whatever its case; other bytes have that of some letter.
const fn letter(byte: u8) -> u32 {
    1 << (byte & 31)
}

/// The first letters of the names of each length.
static NEAR: [u32; 32] = near();

const fn near() -> [u32; 32] {
    let near = noted([0; 32], &FIELDS);
    let near = noted(near, &CHAT_FIELDS);
    let near = noted(near, &COMPLETIONS_FIELDS);
    let near = noted(near, &MESSAGES_FIELDS);
    let near = noted(near, &GEMINI_FIELDS);
    noted(near, &RESPONSES_FIELDS)
}

const fn noted(mut near: [u32; 32], fields: &[Field]) -> [u32; 32] {
    let mut at = 0;
    while at < fields.len() {
        let name = fields[at].name.as_bytes();
        near[name.len()] |= letter(name[0]);
        at += 1;
    }
    near
}

/// The field that a key names, if it is one that we read or guard in this operation.
pub(super) fn of(api: Api, key: &str) -> Result<Option<&'static Field>, BodyFault> {
    let own = match api {
        Api::Chat => &CHAT_FIELDS[..],
        Api::Completions => &COMPLETIONS_FIELDS,
        Api::Responses => &RESPONSES_FIELDS,
        Api::Messages | Api::CountTokens => &MESSAGES_FIELDS,
        Api::Generate | Api::EmbedContent | Api::BatchEmbedContents | Api::CountContentTokens => {
            &GEMINI_FIELDS
        }
        Api::Embeddings => &[],
    };
    let key = folded(key);
    for field in FIELDS.iter().chain(own) {
        if names(&key, field.name)? {
            return Ok(Some(field));
        }
    }
    Ok(None)
}

/// The field of Gemini's settings that a key names, if it is one that we read.
pub(super) fn setting(key: &str) -> Result<Option<&'static Field>, BodyFault> {
    let key = folded(key);
    for field in &SETTINGS {
        if names(&key, field.name)? {
            return Ok(Some(field));
        }
    }
    Ok(None)
}

/// Whether a key within one of Gemini's calls is `model`, and whether it is the call within that.
pub(super) fn is_model(key: &str) -> Result<bool, BodyFault> {
    names(&folded(key), "model")
}

/// Whether a key is `include_usage`.
pub(super) fn is_include_usage(key: &str) -> Result<bool, BodyFault> {
    names(&folded(key), INCLUDE_USAGE)
}

/// Whether a folded key is exactly this name; a name in another case is a fault: Go's `encoding/json`, for one, takes
/// both, and the provider may be written in it.
fn names(key: &str, name: &'static str) -> Result<bool, BodyFault> {
    if key.len() != name.len() || !key.eq_ignore_ascii_case(name) {
        return Ok(false);
    }
    if key == name {
        return Ok(true);
    }
    Err(BodyFault::CaseVariant { meant: name })
}

/// The two letters beyond ASCII that Unicode folds into it, as capitals, so that they are no exact match.
fn folded(key: &str) -> Cow<'_, str> {
    if key.is_ascii() || !key.contains(['\u{17f}', '\u{212a}']) {
        return Cow::Borrowed(key);
    }
    Cow::Owned(key.replace('\u{17f}', "S").replace('\u{212a}', "K"))
}

/// The names of all guarded fields.
pub(super) fn guarded() -> impl Iterator<Item = &'static str> {
    let guarded = |field: &&Field| field.role == Role::Guarded;
    FIELDS.iter().chain(&RESPONSES_FIELDS).filter(guarded).map(|field| field.name)
}

const fn field(place: u8, name: &'static str, role: Role) -> Field {
    Field { name, role, place }
}

/// In every operation. The guarded ones are routing fields of LiteLLM, OpenRouter and gateways like them; no field that
/// OpenAI documents for these operations is among them.
static FIELDS: [Field; 23] = [
    field(0, "model", Role::Model),
    field(1, "stream", Role::Stream),
    field(2, "stream_options", Role::StreamOptions),
    field(3, "models", Role::Guarded),
    field(4, "fallbacks", Role::Guarded),
    field(5, "fallback_models", Role::Guarded),
    field(6, "route", Role::Guarded),
    field(7, "provider", Role::Guarded),
    field(8, "providers", Role::Guarded),
    field(9, "api_base", Role::Guarded),
    field(10, "base_url", Role::Guarded),
    field(11, "api_key", Role::Guarded),
    field(12, "api_version", Role::Guarded),
    field(13, "organization", Role::Guarded),
    field(14, "deployment_id", Role::Guarded),
    field(15, "custom_llm_provider", Role::Guarded),
    field(16, "extra_headers", Role::Guarded),
    field(17, "extra_body", Role::Guarded),
    field(18, "context_window_fallback_dict", Role::Guarded),
    field(19, "mock_response", Role::Guarded),
    field(20, "api_type", Role::Guarded),
    field(21, "extra_query", Role::Guarded),
    field(22, "model_list", Role::Guarded),
];

/// In the Responses API only: there `prompt` names a stored prompt, which may bring its own model.
static RESPONSES_FIELDS: [Field; 8] = [
    field(32, "previous_response_id", Role::StateName),
    field(33, "conversation", Role::StateName),
    field(34, "background", Role::StateFlag),
    field(35, "store", Role::StateFlag),
    field(36, "prompt", Role::Guarded),
    field(37, "max_output_tokens", Role::Bound),
    field(38, "metadata", Role::Metadata),
    field(39, "input", Role::Turns),
];

/// In chat calls only: which of the bounds a provider reads differs.
static CHAT_FIELDS: [Field; 5] = [
    field(40, "max_completion_tokens", Role::Bound),
    field(41, "max_tokens", Role::Bound),
    field(42, "n", Role::Choices),
    field(48, "metadata", Role::Metadata),
    field(47, "messages", Role::Turns),
];

/// In completions only: all of `best_of` are written and paid for, `n` of them returned.
static COMPLETIONS_FIELDS: [Field; 4] = [
    field(43, "max_tokens", Role::Bound),
    field(44, "n", Role::Choices),
    field(45, "best_of", Role::Choices),
    field(49, "metadata", Role::Metadata),
];

/// In Anthropic's calls. A container is kept at the provider.
static MESSAGES_FIELDS: [Field; 4] = [
    field(50, "max_tokens", Role::Bound),
    field(51, "metadata", Role::Metadata),
    field(52, "messages", Role::Turns),
    field(53, "container", Role::StateName),
];

/// In Gemini's calls, which take both spellings. What is cached is kept at the provider, and so is what goes on.
static GEMINI_FIELDS: [Field; 11] = [
    field(54, "contents", Role::Turns),
    field(55, "labels", Role::Metadata),
    field(56, "generationConfig", Role::Settings),
    field(56, "generation_config", Role::Settings),
    field(57, "cachedContent", Role::StateName),
    field(57, "cached_content", Role::StateName),
    field(46, "continuationToken", Role::StateName),
    field(46, "continuation_token", Role::StateName),
    field(58, "requests", Role::Calls),
    field(59, "generateContentRequest", Role::Calls),
    field(59, "generate_content_request", Role::Calls),
];

/// In Gemini's settings; each in both spellings.
static SETTINGS: [Field; 4] = [
    field(60, "maxOutputTokens", Role::Bound),
    field(60, "max_output_tokens", Role::Bound),
    field(61, "candidateCount", Role::Choices),
    field(61, "candidate_count", Role::Choices),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// WIRE's lists of what OpenAI documents; `prompt` of Responses is guarded on purpose.
    const DOCUMENTED: &str = "messages max_completion_tokens max_tokens temperature top_p n stop frequency_penalty \
        presence_penalty logit_bias logprobs top_logprobs seed tools tool_choice parallel_tool_calls functions \
        function_call response_format reasoning_effort verbosity modalities audio prediction web_search_options \
        metadata store service_tier prompt_cache_key prompt_cache_options prompt_cache_retention safety_identifier \
        user moderation input instructions max_output_tokens max_tool_calls previous_response_id conversation \
        reasoning text truncation background context_management include access_programs image dimensions \
        encoding_format best_of echo suffix";

    #[test]
    fn no_documented_field_is_guarded() {
        for name in DOCUMENTED.split_whitespace() {
            for api in Api::ALL {
                let role = of(api, name).unwrap().map(|field| field.role);
                assert_ne!(role, Some(Role::Guarded), "{name}");
            }
        }
        assert!(of(Api::Completions, "prompt").unwrap().is_none());
    }

    fn all() -> impl Iterator<Item = &'static Field> {
        FIELDS
            .iter()
            .chain(&CHAT_FIELDS)
            .chain(&COMPLETIONS_FIELDS)
            .chain(&RESPONSES_FIELDS)
            .chain(&MESSAGES_FIELDS)
            .chain(&GEMINI_FIELDS)
    }

    #[test]
    fn every_field_has_a_bit_of_its_own() {
        let bits = all().fold(0, |bits: u64, field| {
            // Two spellings of one field have one bit: of both in one body nobody knows which counts.
            let spelt_anew =
                field.name.contains('_') && GEMINI_FIELDS.iter().any(|other| other.place == field.place);
            assert!(spelt_anew || bits & field.bit() == 0, "{}", field.name);
            bits | field.bit()
        });
        assert_eq!(bits.count_ones() as usize, all().count() - 4);
    }

    #[test]
    fn a_name_in_another_case_is_refused() {
        for key in ["Model", "MODEL", "\u{17f}tream", "STREAM", "Fallback\u{17f}", "api_\u{212a}ey"] {
            assert!(matches!(of(Api::Chat, key), Err(BodyFault::CaseVariant { .. })), "{key}");
        }
        assert!(of(Api::Chat, "mödel").unwrap().is_none());
        assert!(of(Api::Chat, "Store").unwrap().is_none());
    }

    #[test]
    fn no_name_is_passed_over_by_its_length_and_first_letter() {
        for field in all() {
            let folds = field.name.replacen('s', "\u{17f}", 1).replacen('k', "\u{212a}", 1);
            for key in [field.name.to_owned(), field.name.to_uppercase(), folds] {
                assert!(may_be(key.as_bytes()), "{key}");
            }
        }
        for key in ["", "tool_choice", "temperature", "x", "tools", &"m".repeat(40)] {
            assert!(!may_be(key.as_bytes()), "{key}");
        }
    }
}
