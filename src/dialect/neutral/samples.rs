//! Neutral values of any content, within what a dialect can express, and answers put together from their events.

mod answer;
mod fold;
mod request;

use proptest::prelude::*;

pub(crate) use self::answer::{answer, answer_and_events};
pub(crate) use self::fold::{fold, owned};
pub(crate) use self::request::{merged, request};
use super::{Content, Finish, Literal, Part, Raw, Reasoning, Signature, ToolCall};
use crate::dialect::{Dialect, samples};

/// What a dialect can express. Write `Within { images: true, ..Within::PLAIN }`.
#[derive(Clone, Copy)]
pub(crate) struct Within {
    /// Instructions between the turns of the others, not only before them.
    pub(crate) late_system: bool,
    pub(crate) developer: bool,
    /// Names of speakers.
    pub(crate) names: bool,
    /// Pictures in base64.
    pub(crate) images: bool,
    /// Pictures by URL.
    pub(crate) image_urls: bool,
    pub(crate) image_detail: bool,
    /// PDFs in base64.
    pub(crate) documents: bool,
    pub(crate) document_names: bool,
    /// Documents that are plain text.
    pub(crate) text_documents: bool,
    /// Pictures and documents that the provider keeps.
    pub(crate) files: bool,
    pub(crate) audio: bool,
    /// Reasoning in what the model says.
    pub(crate) reasoning: bool,
    /// Whose signatures reasoning has.
    pub(crate) signatures: Option<Dialect>,
    /// Whose signatures calls have.
    pub(crate) call_signatures: Option<Dialect>,
    /// Whose unreadable reasoning there is.
    pub(crate) redacted: Option<Dialect>,
    pub(crate) refusals: bool,
    /// The model calls tools before or between texts, not only after them.
    pub(crate) any_order: bool,
    /// Marks of what is cached.
    pub(crate) cache: bool,
    /// Pictures in the results of tools.
    pub(crate) result_images: bool,
    pub(crate) result_errors: bool,
    pub(crate) strict_tools: bool,
    pub(crate) parallel_tool_calls: bool,
    /// A choice of several tools, and one that may also take none.
    pub(crate) tool_choice_of_many: bool,
    pub(crate) top_k: bool,
    pub(crate) penalties: bool,
    pub(crate) seed: bool,
    /// An answer that is some JSON object.
    pub(crate) json: bool,
    /// Name, description and strictness of an answer's schema.
    pub(crate) schema_names: bool,
    /// What may be said of reasoning.
    pub(crate) thinking: &'static [Reasoning],
    pub(crate) logprobs: bool,
    /// More than one answer.
    pub(crate) choices: bool,
    pub(crate) user: bool,
    pub(crate) metadata: bool,
    /// The reasons for which an answer without calls ends; one with calls ends with them.
    pub(crate) finishes: &'static [Finish],
    /// Answers tell the stop sequence at which they ended.
    pub(crate) stop_told: bool,
    pub(crate) usage_cache_write: bool,
    pub(crate) usage_reasoning: bool,
    pub(crate) usage_audio: bool,
}

impl Within {
    /// What every dialect expresses.
    pub(crate) const PLAIN: Self = Self {
        late_system: false,
        developer: false,
        names: false,
        images: false,
        image_urls: false,
        image_detail: false,
        documents: false,
        document_names: false,
        text_documents: false,
        files: false,
        audio: false,
        reasoning: false,
        signatures: None,
        call_signatures: None,
        redacted: None,
        refusals: false,
        any_order: false,
        cache: false,
        result_images: false,
        result_errors: false,
        strict_tools: false,
        parallel_tool_calls: false,
        tool_choice_of_many: false,
        top_k: false,
        penalties: false,
        seed: false,
        json: false,
        schema_names: false,
        thinking: &[],
        logprobs: false,
        choices: false,
        user: false,
        metadata: false,
        finishes: &[Finish::Stop, Finish::Length],
        stop_told: false,
        usage_cache_write: false,
        usage_reasoning: false,
        usage_audio: false,
    };
}

impl<'a> Part<'a> {
    /// The call that it is.
    pub(crate) fn call(&self) -> Option<&ToolCall<'a>> {
        if let Content::ToolCall(call) = &self.content { Some(call) } else { None }
    }

    fn call_mut(&mut self) -> Option<&mut ToolCall<'a>> {
        if let Content::ToolCall(call) = &mut self.content { Some(call) } else { None }
    }
}

/// A text that is neither empty nor blank.
pub(super) fn text() -> impl Strategy<Value = Literal<'static>> {
    samples::any_text()
        .prop_filter("a text says something", |text| !text.trim().is_empty())
        .prop_map(|text| Literal::from_text(&text))
}

/// A name or id.
pub(super) fn name() -> impl Strategy<Value = Literal<'static>> {
    "[a-z][a-z0-9_]{0,8}".prop_map(|name| Literal::from_text(&name))
}

pub(super) fn base64() -> impl Strategy<Value = Literal<'static>> {
    "([A-Za-z0-9+/]{4}){1,6}".prop_map(|data| Literal::from_text(&data))
}

/// An object of any content, as a compact text.
pub(super) fn object() -> impl Strategy<Value = Raw<'static>> {
    prop::collection::btree_map("[a-z]{1,6}", samples::any_json(), 0..4).prop_map(|members| {
        let object = serde_json::Value::Object(members.into_iter().collect());
        Raw::written(object.to_string().into_bytes())
    })
}

pub(super) fn signature(by: Option<Dialect>) -> impl Strategy<Value = Option<Signature<'static>>> {
    prop::option::of(base64()).prop_map(move |text| Some(Signature { by: by?, text: text? }))
}

/// Something where it is allowed, else nothing.
pub(super) fn maybe<T: Clone + std::fmt::Debug + 'static>(
    allowed: bool,
    some: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    if allowed { prop::option::of(some).boxed() } else { Just(None).boxed() }
}

/// One of these words.
pub(super) fn word(words: &'static [&'static str]) -> impl Strategy<Value = Literal<'static>> {
    prop::sample::select(words).prop_map(Literal::word)
}
