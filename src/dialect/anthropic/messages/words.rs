//! The words of answers, plain or streamed.

use crate::dialect::json::Value;
use crate::dialect::neutral::{Finish, Literal};
use crate::dialect::translate::Stamp;
use crate::dialect::write::Object;
use crate::usage::Usage;

/// Why an answer ended; by itself, where it says nothing that we know.
pub(super) fn finish(stop_reason: Option<&Value<'_>>) -> Finish {
    const KNOWN: [(&str, Finish); 6] = [
        ("stop_sequence", Finish::StopSequence),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Window),
        ("tool_use", Finish::ToolCalls),
        ("refusal", Finish::Refused),
        ("pause_turn", Finish::Paused),
    ];
    let known = stop_reason.and_then(|reason| reason.one_of(&KNOWN.map(|(word, _)| word)));
    KNOWN.iter().find(|(word, _)| Some(*word) == known).map_or(Finish::Stop, |(_, finish)| *finish)
}

/// Its `stop_reason`. Callers run tools for `tool_use` alone, while some servers end calls like any answer.
pub(super) fn stop_reason(finish: Finish, calls: bool) -> &'static str {
    match finish {
        Finish::Stop if calls => "tool_use",
        Finish::Stop => "end_turn",
        Finish::StopSequence => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::Window => "model_context_window_exceeded",
        Finish::ToolCalls => "tool_use",
        Finish::Filtered | Finish::Refused => "refusal",
        Finish::Paused => "pause_turn",
    }
}

/// The members of a `usage`.
pub(super) fn usage(object: &mut Object<'_>, usage: &Usage) {
    object.number("input_tokens", (usage.input + usage.input_audio).0);
    object.number("cache_creation_input_tokens", usage.cache_write.0);
    object.number("cache_read_input_tokens", usage.cache_read.0);
    object.number("output_tokens", usage.total_output().0);
    if usage.reasoning.0 > 0 {
        object.object("output_tokens_details", |details| {
            details.number("thinking_tokens", usage.reasoning.0);
        });
    }
}

/// How an answer ended: the reason, and the stop sequence at which it did.
pub(super) fn ending(object: &mut Object<'_>, reason: &str, stop: Option<&Literal<'_>>) {
    object.word("stop_reason", reason);
    match stop {
        Some(stop) => object.literal("stop_sequence", stop),
        None => object.null("stop_sequence"),
    }
}

/// What a refusal says of itself, where it says something: `stop_details.explanation`.
pub(super) fn explanation<'a>(stop_details: Option<&Value<'a>>) -> Option<Literal<'a>> {
    Literal::of(&stop_details?.member("explanation")?).filter(|text| !text.is_empty())
}

/// The id of an answer that has none.
pub(super) fn answer_id(stamp: &Stamp<'_>) -> Literal<'static> {
    Literal::from_text(&format!("msg_{}", stamp.id))
}

/// The id of a call that has none, by its place.
pub(super) fn call_id(stamp_id: &str, place: usize) -> Literal<'static> {
    Literal::from_text(&format!("call_{}_{place}", stamp_id.get(..16).unwrap_or(stamp_id)))
}
