//! Plain answers: whether one is an answer at all, and what it reports of its use.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::json::{self, Fault, Kind, Scanner};
use super::{Api, anthropic, gemini, openai};
use crate::usage::Usage;

/// Why a plain answer with status 200 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// Nothing but space.
    #[error("the answer is empty")]
    Empty,
    /// HTML, plain text, or JSON cut off.
    #[error("the answer is no JSON object")]
    NotJson,
    /// An error object in place of an answer.
    #[error("the answer is an error with status 200")]
    Error,
}

static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));

/// What a plain answer of a provider's operation reports, if it does.
pub fn usage(api: Api, body: &[u8]) -> Option<Usage> {
    match api {
        Api::Chat | Api::Completions | Api::Embeddings | Api::Responses => {
            openai::usage::in_answer(api, body)
        }
        Api::Messages => anthropic::usage::in_answer(body),
        Api::Generate | Api::EmbedContent | Api::BatchEmbedContents => gemini::usage::in_answer(body),
        // Counting is free.
        Api::CountTokens | Api::CountContentTokens => Some(Usage::default()),
    }
}

/// Whether the body of a 200 is an answer, judged cheaply: by its ends, and by a top-level `error` only where the word
/// occurs. A Responses answer with `status: failed` has an error and an output, and is an answer.
pub fn judge(api: Api, body: &[u8]) -> Result<(), AnswerFault> {
    let trimmed = body.trim_ascii();
    match (trimmed.first(), trimmed.last()) {
        (None, _) | (_, None) => return Err(AnswerFault::Empty),
        (Some(b'{'), Some(b'}')) if trimmed.len() > 1 => {}
        (Some(_), Some(_)) => return Err(AnswerFault::NotJson),
    }
    if ERROR.find(trimmed).is_none() {
        return Ok(());
    }
    let mut failed = false;
    let mut scanner = Scanner::at_member(trimmed, 1);
    while let Ok(Some(member)) = scanner.next_member() {
        if says(api).iter().any(|name| member.is(name)) {
            return Ok(());
        }
        failed |= member.is("error") && member.value.kind != Kind::Null;
    }
    if failed { Err(AnswerFault::Error) } else { Ok(()) }
}

/// Whether the end of a body is missing, be it that what is there ends like a whole one: where an object within it does.
/// It has to be scanned for that; usage that [`in_answer`] gives is from a whole one.
pub fn is_cut(body: &[u8]) -> bool {
    let trimmed = body.trim_ascii();
    json::document(trimmed).err() == Some(Fault::Syntax(trimmed.len()))
}

/// Members that only an answer has, whatever `error` stands beside them.
fn says(api: Api) -> &'static [&'static str] {
    match api {
        Api::Chat | Api::Completions | Api::Embeddings | Api::Responses => &["choices", "data", "output"],
        Api::Messages | Api::CountTokens => &["content", "input_tokens"],
        Api::Generate | Api::EmbedContent | Api::BatchEmbedContents | Api::CountContentTokens => {
            &["candidates", "promptFeedback", "embedding", "embeddings", "totalTokens"]
        }
    }
}

#[cfg(test)]
mod tests;
