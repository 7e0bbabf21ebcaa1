//! What an answer of this dialect says of itself.

use smallvec::SmallVec;

use crate::dialect::Api;
use crate::dialect::facts::{AnswerFacts, MOST_CHOICES, keep};
use crate::dialect::json::{Fault, Key, Kind, Scanner, Value};

/// Reads a plain answer. A body that is no JSON object says nothing.
pub(crate) fn in_answer(api: Api, body: &[u8]) -> AnswerFacts {
    let mut facts = AnswerFacts::default();
    let mut scanner = Scanner::at(body, 0);
    let read = scanner.members(|key, scanner| {
        if api != Api::Responses && key.is("choices") {
            return facts.read_choices(scanner);
        }
        facts.read(api, key, &scanner.value()?);
        Ok(())
    });
    match read.and_then(|()| scanner.end()) {
        Ok(()) => facts,
        Err(_) => AnswerFacts::default(),
    }
}

impl AnswerFacts {
    /// Reads a member of an answer, of a chunk of it, or of a response within an event, but for the choices.
    fn read(&mut self, api: Api, key: &Key<'_>, value: &Value<'_>) {
        if key.is("id") {
            keep(&mut self.id, value);
        } else if key.is("model") {
            keep(&mut self.model, value);
        } else if key.is("service_tier") {
            keep(&mut self.service_tier, value);
        } else if key.is("system_fingerprint") {
            keep(&mut self.system_fingerprint, value);
        } else if api == Api::Responses {
            self.read_ending(key, value);
        }
    }

    /// Reads a chunk of a chat.
    pub(super) fn read_chunk(&mut self, api: Api, chunk: &Value<'_>) {
        for member in chunk.members() {
            if member.is("choices") {
                member.value.elements().for_each(|choice| self.read_chunk_choice(&choice));
            } else {
                self.read(api, &member.key, &member.value);
            }
        }
    }

    /// Reads the response that an event of the Responses API holds.
    pub(super) fn read_event(&mut self, event: &Value<'_>) {
        for response in event.members().filter(|member| member.is("response")) {
            for member in response.value.members() {
                self.read(Api::Responses, &member.key, &member.value);
            }
        }
    }

    /// The place of a chunk's choice is its index: choices end in any order.
    fn read_chunk_choice(&mut self, choice: &Value<'_>) {
        let Some(reason) = choice.member("finish_reason").and_then(|reason| chat_reason(&reason)) else {
            return;
        };
        let index = choice.member("index").map_or(Some(0), |index| index.number::<usize>());
        let Some(index) = index.filter(|index| *index < MOST_CHOICES) else {
            return;
        };
        if self.finish_reasons.len() <= index {
            self.finish_reasons.resize(index + 1, "error");
        }
        if let Some(place) = self.finish_reasons.get_mut(index) {
            *place = reason;
        }
    }

    /// In one pass: most of an answer is within its choices.
    fn read_choices(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let mut reasons = SmallVec::new();
        scanner.elements(|scanner| {
            let mut reason = None;
            scanner.members(|key, scanner| {
                let value = scanner.value()?;
                if key.is("finish_reason") {
                    reason = chat_reason(&value);
                }
                Ok(())
            })?;
            if reasons.len() < MOST_CHOICES {
                reasons.push(reason.unwrap_or("error"));
            }
            Ok(())
        })?;
        self.finish_reasons = reasons;
        Ok(())
    }

    /// A response has one ending, told by its status; the details say more, before or after it.
    fn read_ending(&mut self, key: &Key<'_>, value: &Value<'_>) {
        if key.is("incomplete_details") {
            if let Some(reason) = value.member("reason").filter(|reason| !reason.is_blank()) {
                self.finish_reasons = SmallVec::from([detailed_reason(&reason)]);
            }
        } else if key.is("status")
            && let Some(reason) = status_reason(value)
            && (self.finish_reasons.is_empty() || reason != INCOMPLETE)
        {
            self.finish_reasons = SmallVec::from([reason]);
        }
    }
}

/// Why a choice ended; none where it has not, which some servers write as an empty string.
fn chat_reason(reason: &Value<'_>) -> Option<&'static str> {
    const KNOWN: [&str; 6] = ["stop", "length", "tool_calls", "content_filter", "function_call", "error"];
    (!reason.is_blank()).then(|| reason.one_of(&KNOWN).unwrap_or("other"))
}

/// A response that is incomplete for a reason that is not given, or not known.
const INCOMPLETE: &str = "other";

/// Why a response with this status ended; none where it goes on.
fn status_reason(status: &Value<'_>) -> Option<&'static str> {
    match status.one_of(&["completed", "failed", "in_progress", "queued"]) {
        Some("completed") => Some("stop"),
        Some("failed") => Some("error"),
        Some(_) => None,
        None => (status.kind == Kind::String).then_some(INCOMPLETE),
    }
}

fn detailed_reason(reason: &Value<'_>) -> &'static str {
    match reason.one_of(&["max_output_tokens", "content_filter"]) {
        Some("max_output_tokens") => "length",
        Some(known) => known,
        None => INCOMPLETE,
    }
}

#[cfg(test)]
mod tests;
