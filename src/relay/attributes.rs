//! What a call says of itself, where its tenant's policy says that it may.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;

use super::receive::Asked;
use super::refusal::Refusal;
use crate::dialect::error::Cause;
use crate::policy::snapshot::{Attributes, Source};
use crate::policy::spec::TimeSpan;

/// A longer word is none that a policy would ask for.
const LONGEST: usize = 256;

/// What one call says, read when it is asked for.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) attributes: &'a Attributes,
    pub(super) headers: &'a HeaderMap,
    pub(super) asked: &'a Asked,
}

impl<'a> Said<'a> {
    /// What it is for.
    pub(super) fn task(&self) -> Option<Cow<'a, str>> {
        self.text(self.attributes.task.as_ref())
    }

    /// How urgent it is.
    pub(super) fn priority(&self) -> Option<Cow<'a, str>> {
        self.text(self.attributes.priority.as_ref())
    }

    /// What the model must be good at, with commas between.
    pub(super) fn skills(&self) -> Option<Cow<'a, str>> {
        self.text(self.attributes.skills.as_ref())
    }

    /// How long it may take.
    pub(super) fn latency_budget(&self) -> Result<Option<Duration>, Refusal> {
        let Some(text) = self.text(self.attributes.latency_budget.as_ref()) else { return Ok(None) };
        match text.parse::<TimeSpan>() {
            Ok(TimeSpan(span)) if !span.is_zero() => Ok(Some(span)),
            Ok(_) | Err(_) => {
                let message = "The latency budget is no time span: write a whole number and a unit, such as 2500ms or 30s.";
                Err(Refusal::new(Cause::InvalidRequest, message))
            }
        }
    }

    fn text(&self, source: Option<&'a Source>) -> Option<Cow<'a, str>> {
        let text = match source? {
            Source::Header(name) => Cow::Borrowed(self.headers.get(name)?.to_str().ok()?.trim()),
            Source::Metadata(name) => self.asked.facts.metadata(self.asked.body(), name)?,
        };
        (!text.is_empty() && text.len() <= LONGEST).then_some(text)
    }
}

/// The words of a list with commas between them.
pub(super) fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}
