//! From one dialect to another: requests towards a provider, answers and streams back to the caller.
//!
//! Everything goes through [`neutral`](super::neutral). What the other side cannot carry is named, never dropped in
//! silence.

pub mod embeddings;
pub mod foreign;
mod stream;
mod words;

use bytes::Bytes;

use super::neutral::{Answer, Losses, Request};
use super::provider::MaxTokensField;
use super::{Api, ApiSet, Dialect, anthropic, gemini, openai};
use crate::units::Tokens;

pub use self::stream::Translator;

/// A conversation's operation, of whatever dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// OpenAI's `chat/completions`.
    Chat,
    /// OpenAI's `responses`.
    Responses,
    /// Anthropic's `messages`.
    Messages,
    /// Gemini's `generateContent` and `streamGenerateContent`.
    Generate,
}

/// What a model takes of what is translated for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepts {
    /// `temperature`, `top_p`, `top_k` other than their defaults.
    pub sampling: bool,
    /// That some tool, or a certain one, has to be called.
    pub forced_tool_choice: bool,
    /// A conversation that ends with the model's own words.
    pub prefill: bool,
    /// An answer by a JSON Schema.
    pub json_schema: bool,
    /// Ids of function calls, and with them the signature that Gemini 3 wants at the first of each step.
    pub call_ids: bool,
    /// How it is told how much to think.
    pub reasoning: ReasoningForm,
}

/// How a model is told how much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningForm {
    /// By a word: `reasoning_effort`, `output_config.effort`, `thinkingLevel`.
    Effort,
    /// By a number of tokens: `thinking.budget_tokens`, `thinkingBudget`.
    Budget,
    /// Not at all: what the caller says of it is lost.
    Nothing,
}

impl Default for Accepts {
    fn default() -> Self {
        Self {
            sampling: true,
            forced_tool_choice: true,
            prefill: true,
            json_schema: true,
            call_ids: false,
            reasoning: ReasoningForm::Effort,
        }
    }
}

/// Whom a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    /// The provider's name of the model.
    pub model: &'a str,
    /// What the model takes.
    pub accepts: Accepts,
    /// The field by which a chat call bounds its answer there.
    pub max_tokens_field: MaxTokensField,
    /// The longest answer that the model gives.
    pub max_output: Option<Tokens>,
    /// Whether a chat stream has to be asked for its usage.
    pub ask_usage: bool,
    /// Whether a chat server wants back what its model has thought.
    pub wants_reasoning: bool,
}

/// A request in another dialect, complete but for the bound on its output.
#[derive(Clone)]
pub struct Prepared {
    /// What stands before the bound.
    pub(crate) open: &'static str,
    /// The field of the bound.
    pub(crate) field: &'static str,
    /// The bound that the caller named.
    pub(crate) bound: Option<u64>,
    /// What is written where neither the caller nor the policy names one, in a dialect that needs it.
    pub(crate) needed: Option<u64>,
    /// So many tokens may be thought, in a dialect that wants them to be fewer than the bound.
    pub(crate) thought: Option<u64>,
    /// All that follows, without a comma before it.
    pub(crate) rest: Vec<u8>,
}

/// Why a request is not translated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Untranslatable {
    /// A sentence for the caller that holds nothing of the body.
    pub message: String,
    /// The field at fault.
    pub field: Option<String>,
}

/// What the pieces of an answer are told apart by.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// The call's own id, in hex: what has no id is named after it.
    pub id: &'a str,
    /// When the call began, in seconds of Unix time.
    pub created: i64,
    /// The caller's name of the model, where the provider names none.
    pub model: &'a str,
    /// Whether the caller asked for usage at the end of a chat stream.
    pub include_usage: bool,
}

/// A provider's plain answer that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer cannot be read")]
pub struct NoAnswer;

impl Form {
    /// The one of an operation; none where it is no conversation.
    pub(crate) fn of(api: Api) -> Option<Self> {
        match api {
            Api::Chat => Some(Self::Chat),
            Api::Responses => Some(Self::Responses),
            Api::Messages => Some(Self::Messages),
            Api::Generate => Some(Self::Generate),
            Api::Completions
            | Api::Embeddings
            | Api::CountTokens
            | Api::EmbedContent
            | Api::BatchEmbedContents
            | Api::CountContentTokens => None,
        }
    }
}

/// A body read into the neutral form, with what no other dialect could carry.
pub(crate) fn decode_request(from: Form, body: &[u8]) -> Result<(Request<'_>, Losses), Untranslatable> {
    match from {
        Form::Chat => openai::chat::decode_request(body),
        Form::Responses => openai::responses::decode_request(body),
        Form::Messages => anthropic::messages::decode_request(body),
        Form::Generate => gemini::generate::decode_request(body),
    }
}

/// A request written in another dialect, and what is lost on the way. Nothing is sent in the form of Responses.
pub(crate) fn encode_request(
    to: Form,
    request: &Request<'_>,
    recipient: &Recipient<'_>,
    lost: &mut Losses,
) -> Option<Prepared> {
    match to {
        Form::Chat => Some(openai::chat::encode_request(request, recipient, lost)),
        Form::Messages => Some(anthropic::messages::encode_request(request, recipient, lost)),
        Form::Generate => Some(gemini::generate::encode_request(request, recipient, lost)),
        Form::Responses => None,
    }
}

pub(crate) fn decode_answer<'a>(
    from: Form,
    body: &'a [u8],
    stamp: &Stamp<'_>,
) -> Result<Answer<'a>, NoAnswer> {
    match from {
        Form::Chat => openai::chat::decode_answer(body, stamp),
        Form::Messages => anthropic::messages::decode_answer(body, stamp),
        Form::Generate => gemini::generate::decode_answer(body, stamp),
        Form::Responses => Err(NoAnswer),
    }
}

pub(crate) fn encode_answer(to: Form, answer: &Answer<'_>, stamp: &Stamp<'_>) -> Vec<u8> {
    match to {
        Form::Chat => openai::chat::encode_answer(answer, stamp),
        Form::Responses => openai::responses::encode_answer(answer, stamp),
        Form::Messages => anthropic::messages::encode_answer(answer, stamp),
        Form::Generate => gemini::generate::encode_answer(answer, stamp),
    }
}

/// The operation by which a call is held at a provider of this dialect that offers these: its own, as far as it is one
/// of them, else the one that it is translated into. None where there is none.
pub fn operation_at(api: Api, dialect: Dialect, offered: ApiSet) -> Option<Api> {
    if api.dialect() == dialect && offered.contains(api) {
        return Some(api);
    }
    let other = match api {
        Api::Chat | Api::Responses | Api::Messages | Api::Generate => dialect.conversation(),
        Api::Embeddings | Api::EmbedContent | Api::BatchEmbedContents => dialect.embeddings()?,
        Api::Completions | Api::CountTokens | Api::CountContentTokens => return None,
    };
    (other != api && offered.contains(other)).then_some(other)
}

/// A request in another dialect, and what is lost on the way, in the caller's words.
///
/// # Errors
/// It cannot be understood, or there is no way between these operations.
pub fn request(
    from: Api,
    to: Api,
    body: &[u8],
    stream: bool,
    recipient: &Recipient<'_>,
) -> Result<(Prepared, Losses), Untranslatable> {
    let none = || Untranslatable { message: format!("There is no way from {from} to {to}."), field: None };
    let (from, to) = (Form::of(from).ok_or_else(none)?, Form::of(to).ok_or_else(none)?);
    let (mut request, mut lost) = decode_request(from, body)?;
    request.stream = stream;
    let mut on_the_way = Losses::default();
    let prepared = encode_request(to, &request, recipient, &mut on_the_way).ok_or_else(none)?;
    lost.extend(&on_the_way.in_words(|word| words::of(from, word)));
    Ok((prepared, lost))
}

/// A plain answer in the caller's dialect.
///
/// # Errors
/// It cannot be read.
pub fn answer(from: Api, to: Api, body: &[u8], stamp: &Stamp<'_>) -> Result<Bytes, NoAnswer> {
    let (Some(from), Some(to)) = (Form::of(from), Form::of(to)) else { return Err(NoAnswer) };
    // What is passed on as it stands has to be text.
    if !body.is_ascii() && std::str::from_utf8(body).is_err() {
        return Err(NoAnswer);
    }
    Ok(encode_answer(to, &decode_answer(from, body, stamp)?, stamp).into())
}

impl Prepared {
    /// How many bytes the body has, but for its bound.
    pub fn bytes(&self) -> usize {
        self.open.len() + self.rest.len()
    }

    /// The body, with the bound that holds: `cap`, unless the caller names a lower one. A cap that does not lower is written
    /// where no bound was found in the caller's body; one that is found here must not undo it.
    pub fn body(&self, cap: Option<Tokens>) -> Bytes {
        let bound = match (self.bound, cap) {
            (None, cap) => cap.map(|tokens| tokens.0).or(self.needed),
            (Some(named), Some(tokens)) => Some(named.min(tokens.0)),
            (Some(named), None) => Some(named),
        };
        let mut body = Vec::with_capacity(self.open.len() + self.field.len() + 84 + self.rest.len());
        body.extend_from_slice(self.open.as_bytes());
        if let Some(bound) = bound {
            body.push(b'"');
            body.extend_from_slice(self.field.as_bytes());
            body.extend_from_slice(b"\":");
            body.extend_from_slice(itoa::Buffer::new().format(bound).as_bytes());
            if let Some(thought) = self.thought {
                anthropic::messages::write_thought(&mut body, thought, bound);
            }
            if self.rest.first() != Some(&b'}') {
                body.push(b',');
            }
        }
        body.extend_from_slice(&self.rest);
        body.into()
    }
}

impl Untranslatable {
    /// A field that cannot be understood.
    pub(crate) fn at(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: message.into(), field: Some(field.into()) }
    }
}

impl Dialect {
    /// The operation by which a conversation is held there.
    pub fn conversation(self) -> Api {
        match self {
            Self::OpenAi => Api::Chat,
            Self::Anthropic => Api::Messages,
            Self::Gemini => Api::Generate,
        }
    }

    /// The operation by which texts are embedded there.
    fn embeddings(self) -> Option<Api> {
        match self {
            Self::OpenAi => Some(Api::Embeddings),
            Self::Anthropic => None,
            Self::Gemini => Some(Api::BatchEmbedContents),
        }
    }
}

#[cfg(test)]
mod tests;
