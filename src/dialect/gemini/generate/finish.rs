//! Why an answer ended, in Gemini's words and in the neutral ones.

use crate::dialect::json::Value;
use crate::dialect::neutral::Finish;

/// What a `finishReason` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect::gemini) enum Reason {
    /// The answer is one.
    Ended(Finish),
    /// The model or the provider failed: what is there may be kept, nothing is no answer.
    Failed,
}

/// What a `finishReason` means; none where it says nothing.
pub(in crate::dialect::gemini) fn reason(value: &Value<'_>) -> Option<Reason> {
    const HELD_BACK: [&str; 10] = [
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
        "LANGUAGE",
    ];
    const OTHERS: [&str; 4] = ["STOP", "MAX_TOKENS", "CONTINUATION", "FINISH_REASON_UNSPECIFIED"];
    if value.is_blank() {
        return None;
    }
    if value.one_of(&HELD_BACK).is_some() {
        return Some(Reason::Ended(Finish::Filtered));
    }
    match value.one_of(&OTHERS) {
        Some("STOP") => Some(Reason::Ended(Finish::Stop)),
        Some("MAX_TOKENS") => Some(Reason::Ended(Finish::Length)),
        Some("CONTINUATION") => Some(Reason::Ended(Finish::Paused)),
        Some(_) => None,
        // MALFORMED_FUNCTION_CALL, OTHER and the like, and what is newer than this list.
        None => Some(Reason::Failed),
    }
}

impl Reason {
    /// The neutral one, of an answer that is kept.
    pub(super) fn finish(self, called: bool) -> Finish {
        match self {
            // Gemini has no word of its own for it.
            Self::Ended(Finish::Stop) if called => Finish::ToolCalls,
            Self::Ended(finish) => finish,
            Self::Failed => Finish::Stop,
        }
    }
}

/// The `finishReason` of a neutral one.
pub(super) fn written(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::Paused => "STOP",
        Finish::Length | Finish::Window => "MAX_TOKENS",
        Finish::Filtered | Finish::Refused => "SAFETY",
    }
}
