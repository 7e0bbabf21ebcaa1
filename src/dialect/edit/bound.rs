//! How much output a call asks for, and the bound that policy writes into one that names none.

use std::borrow::Cow;
use std::ops::Range;

use smallvec::SmallVec;

use super::{BodyFault, Patch, Spot};
use crate::dialect::Api;
use crate::dialect::json::{Kind, Value};
use crate::dialect::provider::MaxTokensField;
use crate::units::Tokens;

/// The bound that policy writes where the caller names none, or none so low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// The longest answer, of each choice.
    pub tokens: Tokens,
    /// Where the provider reads it in a chat call.
    pub chat_field: MaxTokensField,
    /// Whether it also takes the place of a larger bound that the caller names.
    pub lowers: bool,
}

/// The fields present that bound the output, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds(SmallVec<[Stated; 2]>);

/// One such field.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stated {
    field: &'static str,
    at: Range<usize>,
    what: What,
}

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Null: as if it were absent.
    Nothing,
    /// So many tokens.
    Tokens(u64),
    /// No whole number: -1 is "without end" to some servers, others take "100" for 100.
    Unclear,
}

impl What {
    /// Whether a reader may take it for more than so many tokens.
    fn is_beyond(self, tokens: Tokens) -> bool {
        match self {
            Self::Nothing => false,
            Self::Tokens(named) => named > tokens.0,
            Self::Unclear => true,
        }
    }
}

impl Bounds {
    /// Notes a field; of Gemini's fields zero is as good as absent (`zero_is_none`).
    pub(super) fn note(&mut self, field: &'static str, value: &Value<'_>, zero_is_none: bool) {
        let what = match value.kind {
            Kind::Null => What::Nothing,
            Kind::Number => match value.number() {
                Some(0) if zero_is_none => What::Nothing,
                tokens => tokens.map_or(What::Unclear, What::Tokens),
            },
            Kind::True | Kind::False | Kind::String | Kind::Array | Kind::Object => What::Unclear,
        };
        self.0.push(Stated { field, at: value.range.clone(), what });
    }

    /// The bound that the caller names, of two the larger; none where it names none, or not clearly.
    pub(super) fn named(&self) -> Option<Tokens> {
        let mut largest = None;
        for stated in &self.0 {
            match stated.what {
                What::Nothing => {}
                What::Tokens(tokens) => largest = largest.max(Some(Tokens(tokens))),
                What::Unclear => return None,
            }
        }
        largest
    }

    /// What writes the bound: nothing where the caller names one, unless it lowers that. What is unclear is replaced in
    /// the caller's own field, else it goes where the provider reads it, as a new member.
    pub(super) fn patches<'a>(&self, api: Api, cap: &Cap, new: NewMember<'_>) -> SmallVec<[Patch<'a>; 2]> {
        let instead = |stated: &Stated| (stated.at.clone(), Cow::Owned(cap.tokens.to_string()));
        if cap.lowers && self.0.iter().any(|stated| stated.what != What::Nothing) {
            return self.0.iter().filter(|stated| stated.what.is_beyond(cap.tokens)).map(instead).collect();
        }
        if self.named().is_some() {
            return SmallVec::new();
        }
        let unclear: SmallVec<_> =
            self.0.iter().filter(|stated| stated.what != What::Nothing).map(instead).collect();
        if !unclear.is_empty() {
            return unclear;
        }
        let field = field_of(api, cap.chat_field);
        let Some(field) = field else { return SmallVec::new() };
        // Null, or the older spelling of the only field.
        let only = new.settings.is_some();
        let null = self.0.iter().find(|stated| only || stated.field == field).map(instead);
        SmallVec::from_iter([null.unwrap_or_else(|| new.patch(field, cap.tokens))])
    }
}

/// Where a bound is written that is not there.
#[derive(Clone, Copy)]
pub(super) struct NewMember<'f> {
    /// Where the body's first member begins.
    pub(super) first: usize,
    /// The object in which Gemini reads it.
    pub(super) settings: Option<&'f Spot>,
}

impl NewMember<'_> {
    fn patch<'a>(self, field: &str, tokens: Tokens) -> Patch<'a> {
        let bound = format!("\"{field}\":{tokens}");
        let (range, text) = match self.settings {
            // A comma may follow: the body has a model at least.
            None => (self.first..self.first, format!("{bound},")),
            Some(Spot::New { at, alone }) => {
                let comma = if *alone { "" } else { "," };
                (*at..*at, format!("\"generationConfig\":{{{bound}}}{comma}"))
            }
            Some(Spot::Null(range)) => (range.clone(), format!("{{{bound}}}")),
            Some(Spot::Within { at, alone: true }) => (*at..*at, bound),
            Some(Spot::Within { at, alone: false }) => (*at..*at, format!("{bound},")),
        };
        (range, Cow::Owned(text))
    }
}

/// The field that bounds the output of an operation; none where it has no output.
fn field_of(api: Api, chat: MaxTokensField) -> Option<&'static str> {
    match api {
        Api::Chat => Some(chat.name()),
        Api::Completions => Some(MaxTokensField::MaxTokens.name()),
        Api::Messages => Some("max_tokens"),
        Api::Responses => Some("max_output_tokens"),
        Api::Generate => Some("maxOutputTokens"),
        Api::Embeddings
        | Api::CountTokens
        | Api::EmbedContent
        | Api::BatchEmbedContents
        | Api::CountContentTokens => None,
    }
}

/// How many answers a field asks for. Unlike a bound it has nothing to fall back on where it is unclear.
pub(super) fn choices(field: &'static str, value: &Value<'_>) -> Result<u64, BodyFault> {
    if value.kind == Kind::Null {
        return Ok(1);
    }
    value.number().ok_or(BodyFault::WrongType { field, expected: "a whole number or null" })
}
