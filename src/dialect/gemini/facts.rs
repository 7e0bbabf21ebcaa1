//! What an answer of this dialect says of itself.

use crate::dialect::facts::{AnswerFacts, MOST_CHOICES, keep};
use crate::dialect::gemini::generate::{Reason, is_blocked, reason};
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::neutral::Finish;

/// Reads a plain answer. A body that is no JSON object says nothing.
pub(crate) fn in_answer(body: &[u8]) -> AnswerFacts {
    let mut facts = AnswerFacts::default();
    if let Ok(answer) = json::document(body) {
        facts.read_generated(&answer);
    }
    facts
}

impl AnswerFacts {
    /// Reads an answer, or an event of a stream, which has the same form.
    pub(super) fn read_generated(&mut self, answer: &Value<'_>) {
        for member in answer.members() {
            if member.is("responseId") {
                keep(&mut self.id, &member.value);
            } else if member.is("modelVersion") {
                keep(&mut self.model, &member.value);
            } else if member.is("candidates") {
                for (candidate, place) in member.value.elements().zip(0..) {
                    self.read_candidate(&candidate, place);
                }
            }
        }
        if self.finish_reasons.is_empty() && is_blocked(answer) {
            self.finish_reasons.push("content_filter");
        }
    }

    fn read_candidate(&mut self, candidate: &Value<'_>, place: usize) {
        let index = candidate.member("index").map_or(Some(place), |index| index.number());
        let Some(index) = index.filter(|index| *index < MOST_CHOICES) else { return };
        if calls(candidate) {
            self.called |= 1 << index;
        }
        let Some(reason) = candidate.member("finishReason").and_then(|value| reason(&value)) else { return };
        if self.finish_reasons.len() <= index {
            self.finish_reasons.resize(index + 1, "error");
        }
        let word = word(reason, self.called & (1 << index) != 0);
        if let Some(known) = self.finish_reasons.get_mut(index) {
            *known = word;
        }
    }
}

/// Whether a function is called, which Gemini's reasons do not tell.
fn calls(candidate: &Value<'_>) -> bool {
    let parts = candidate.member("content").and_then(|content| content.member("parts"));
    let called = |part: Value<'_>| part.member("functionCall").is_some_and(|call| call.kind == Kind::Object);
    parts.iter().flat_map(Value::elements).any(called)
}

/// The word that chats use.
fn word(reason: Reason, called: bool) -> &'static str {
    match reason {
        Reason::Ended(Finish::Stop | Finish::StopSequence | Finish::ToolCalls) => {
            if called {
                "tool_calls"
            } else {
                "stop"
            }
        }
        Reason::Ended(Finish::Length | Finish::Window) => "length",
        Reason::Ended(Finish::Filtered | Finish::Refused) => "content_filter",
        Reason::Ended(Finish::Paused) | Reason::Failed => "other",
    }
}

#[cfg(test)]
mod tests {
    use smallvec::SmallVec;

    use super::*;
    use crate::dialect::samples;

    fn reasons(body: &str) -> SmallVec<[&'static str; 1]> {
        in_answer(body.as_bytes()).finish_reasons
    }

    #[test]
    fn a_sample_says_who_answered_and_why_it_ended() {
        let facts = in_answer(&samples::gemini("generate.response.json"));
        assert_eq!(facts.id.as_deref(), Some("g-S1"));
        assert_eq!(facts.model.as_deref(), Some("gemini-3.8-flash"));
        assert_eq!(facts.finish_reasons.as_slice(), ["stop"]);
        let blocked = in_answer(&samples::gemini("generate.blocked.json"));
        assert_eq!(blocked.finish_reasons.as_slice(), ["content_filter"]);
    }

    #[test]
    fn reasons_are_told_in_the_words_of_chats() {
        for (reason, expected) in [
            ("STOP", "stop"),
            ("MAX_TOKENS", "length"),
            ("RECITATION", "content_filter"),
            ("MALFORMED_FUNCTION_CALL", "other"),
            ("SOMETHING_NEW", "other"),
        ] {
            let body = format!(r#"{{"candidates":[{{"finishReason":"{reason}"}}]}}"#);
            assert_eq!(reasons(&body).as_slice(), [expected], "{reason}");
        }
        let call =
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"a"}}]},"finishReason":"STOP"}]}"#;
        assert_eq!(reasons(call).as_slice(), ["tool_calls"]);
    }

    #[test]
    fn choices_stand_at_their_index_and_those_without_an_end_are_errors() {
        let body = r#"{"candidates":[{"index":2,"finishReason":"STOP"},{"index":0,"finishReason":"SAFETY"},{"index":9,"finishReason":"STOP"}]}"#;
        assert_eq!(reasons(body).as_slice(), ["content_filter", "error", "stop"]);
        for body in ["", "[]", "{", r#"{"candidates":7}"#, r#"{"candidates":[7,{"index":"x"}]}"#] {
            assert_eq!(in_answer(body.as_bytes()), AnswerFacts::default(), "{body}");
        }
    }
}
