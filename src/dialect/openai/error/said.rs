//! What a provider's error says, told by its words.
//!
//! The clearest word counts, wherever it stands: servers put the same code into different fields, and some say nothing
//! of it but in their sentence. Words that are also used for all the rest count only where nothing clearer is said.

use super::reported::{Reported, error_in};
use super::vocabulary::{Entry, VOCABULARY};
use crate::dialect::error::Said;
use crate::dialect::json::Value;

/// So much of a sentence is searched.
const LONGEST_TEXT: usize = 4096;

/// No code is longer.
const LONGEST_CODE: usize = 64;

/// The status for an account without money.
const PAYMENT_REQUIRED: u16 = 402;

/// What an error says: the body of an answer, or the data of an event.
pub(crate) fn said(body: &[u8]) -> Said {
    let Some(error) = error_in(body) else {
        return Said::Nothing;
    };
    let reported = Reported::by(&error);
    reported
        .by_word(|entry| entry.codes)
        .or_else(|| (reported.status == Some(PAYMENT_REQUIRED)).then_some(Said::OutOfCredit))
        .or_else(|| reported.by_phrase())
        .or_else(|| reported.by_word(|entry| entry.vague))
        .or_else(|| reported.by_status())
        .or_else(|| reported.faults.then_some(Said::BadRequest))
        .unwrap_or(Said::Nothing)
}

impl Reported<'_> {
    fn by_word(&self, words: impl Fn(&Entry) -> &[&str]) -> Option<Said> {
        self.words.iter().find_map(|value| meaning(value, &words))
    }

    fn by_phrase(&self) -> Option<Said> {
        let said = |entry: &Entry| entry.phrases.iter().any(|phrase| self.has(phrase));
        VOCABULARY.iter().find(|entry| said(entry)).map(|entry| entry.said)
    }

    fn by_status(&self) -> Option<Said> {
        let status = self.status?;
        VOCABULARY.iter().find(|entry| entry.statuses.contains(&status)).map(|entry| entry.said)
    }

    fn has(&self, phrase: &str) -> bool {
        self.texts.iter().any(|text| {
            let text = text.get(..LONGEST_TEXT).unwrap_or(text);
            text.windows(phrase.len()).any(|part| part.eq_ignore_ascii_case(phrase.as_bytes()))
        })
    }
}

/// What a code means, whatever its case: Azure writes `DeploymentNotFound`, Google `NOT_FOUND`.
fn meaning(code: &Value<'_>, words: impl Fn(&Entry) -> &[&str]) -> Option<Said> {
    let code = code.short_text(LONGEST_CODE)?;
    let means = |entry: &&Entry| words(entry).iter().any(|word| word.eq_ignore_ascii_case(&code));
    VOCABULARY.iter().find(means).map(|entry| entry.said)
}

#[cfg(test)]
mod tests;
