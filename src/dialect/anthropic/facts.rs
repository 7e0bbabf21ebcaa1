//! What an answer of this dialect says of itself.

use crate::dialect::facts::AnswerFacts;

/// Reads a plain answer.
pub(crate) fn in_answer(_body: &[u8]) -> AnswerFacts {
    AnswerFacts::default()
}
