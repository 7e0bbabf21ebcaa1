//! What an answer says of itself, for the span of a sampled call.
//!
//! A scan of its own, made only when asked; streams are read as they pass. What a provider writes is not
//! trusted: names are short and plain, reasons are of a closed set, and nothing of the answer's content is
//! kept.

use smallvec::SmallVec;

use super::json::Value;
use super::{Api, anthropic, gemini, openai};

/// The longest name that is kept.
pub(crate) const LONGEST_NAME: usize = 128;

/// So many choices are told apart.
pub(crate) const MOST_CHOICES: usize = 8;

/// What was found so far. Of what is said twice, the last that can be kept counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerFacts {
    /// The answer's id.
    pub id: Option<Box<str>>,
    /// The model that answered, mostly a dated name.
    pub model: Option<Box<str>>,
    /// Why each of the first eight choices ended, in their order: a word that chats use, `other` where it is
    /// not known, or `error` where there is none, as the conventions want it.
    pub finish_reasons: SmallVec<[&'static str; 1]>,
    /// Which of these choices have called a tool, by bits: for the dialect whose reasons do not tell it.
    pub(crate) called: u8,
    /// The tier that served the call.
    pub service_tier: Option<Box<str>>,
    /// The provider's name for what the model ran on.
    pub system_fingerprint: Option<Box<str>>,
}

/// Reads a plain answer of a provider's operation. A body that is no JSON object says nothing.
pub fn in_answer(api: Api, body: &[u8]) -> AnswerFacts {
    match api {
        Api::Chat | Api::Completions | Api::Embeddings | Api::Responses => {
            openai::facts::in_answer(api, body)
        }
        Api::Messages => anthropic::facts::in_answer(body),
        Api::Generate => gemini::facts::in_answer(body),
        Api::CountTokens | Api::EmbedContent | Api::BatchEmbedContents | Api::CountContentTokens => {
            AnswerFacts::default()
        }
    }
}

/// Keeps a name in place of what was there, if it is short and of visible ASCII.
pub(crate) fn keep(place: &mut Option<Box<str>>, name: &Value<'_>) {
    let Some(name) = name.short_text(LONGEST_NAME) else {
        return;
    };
    // Most events repeat what the first one said.
    if place.as_deref() != Some(&*name)
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_graphic())
    {
        *place = Some(name.into());
    }
}
