//! What of a call another dialect cannot carry.

use std::borrow::Cow;

use smallvec::SmallVec;

/// A name longer than this is the caller's own and is not repeated.
const LONGEST_NAME: usize = 64;

/// So many losses are told apart; of those that nobody knows, the rest goes under one name.
const MOST_NAMES: usize = 64;

/// One thing that is not carried over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The caller's own name for it: `response_format`, `messages.name`.
    pub field: Cow<'static, str>,
    /// How much it matters.
    pub weight: Weight,
}

/// How much a loss matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The answer means the same without it.
    Hint,
    /// Without it the answer would be another one.
    Meaning,
}

/// Everything that is not carried over, each once, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(SmallVec<[Loss; 2]>);

impl Losses {
    /// Something is lost without which the answer means the same.
    pub fn hint(&mut self, field: impl Into<Cow<'static, str>>) {
        self.push(field.into(), Weight::Hint);
    }

    /// Something is lost without which the answer would be another one.
    pub fn meaning(&mut self, field: impl Into<Cow<'static, str>>) {
        self.push(field.into(), Weight::Meaning);
    }

    /// A field that we do not know: nobody can tell what it means.
    pub fn unknown(&mut self, name: &str) {
        let plain = name.len() <= LONGEST_NAME
            && self.0.len() < MOST_NAMES
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        self.hint(if plain { Cow::Owned(name.to_owned()) } else { Cow::Borrowed("(unknown)") });
    }

    /// All that others lose too.
    pub fn extend(&mut self, others: &Self) {
        for loss in &others.0 {
            self.push(loss.field.clone(), loss.weight);
        }
    }

    /// The same, each field by another word where there is one.
    #[must_use]
    pub fn in_words(&self, word: impl Fn(&str) -> Option<&'static str>) -> Self {
        let mut renamed = Self::default();
        for Loss { field, weight } in &self.0 {
            renamed.push(word(field).map_or_else(|| field.clone(), Cow::Borrowed), *weight);
        }
        renamed
    }

    /// They themselves.
    pub fn iter(&self) -> std::slice::Iter<'_, Loss> {
        self.0.iter()
    }

    /// Whether nothing is lost.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first one that matters so much at least.
    pub fn first(&self, weight: Weight) -> Option<&Loss> {
        self.0.iter().find(|loss| loss.weight >= weight)
    }

    fn push(&mut self, field: Cow<'static, str>, weight: Weight) {
        match self.0.iter_mut().find(|loss| loss.field == field) {
            Some(known) => known.weight = known.weight.max(weight),
            None => self.0.push(Loss { field, weight }),
        }
    }
}
