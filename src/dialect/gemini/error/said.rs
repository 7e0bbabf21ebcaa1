//! What Gemini's error says: by its details, its sentence, its status; the clearest counts.

use super::error_in;
use crate::dialect::error::Said;
use crate::dialect::json::{Kind, Value};

/// So many entries of a list are looked at.
const MOST: usize = 8;

/// So much of a sentence is searched.
const LONGEST_TEXT: usize = 4096;

/// Reasons of Google's `ErrorInfo`, and of ours; in any case.
const REASONS: [(&str, Said); 22] = [
    ("API_KEY_INVALID", Said::KeyRefused),
    ("API_KEY_EXPIRED", Said::KeyRefused),
    ("API_KEY_SERVICE_BLOCKED", Said::KeyRefused),
    ("ACCESS_TOKEN_EXPIRED", Said::KeyRefused),
    ("ACCESS_TOKEN_TYPE_UNSUPPORTED", Said::KeyRefused),
    ("CREDENTIALS_MISSING", Said::KeyRefused),
    ("SERVICE_DISABLED", Said::KeyRefused),
    ("CONSUMER_SUSPENDED", Said::KeyRefused),
    ("INVALID_API_KEY", Said::KeyRefused),
    ("KEY_REFUSED", Said::KeyRefused),
    ("BILLING_DISABLED", Said::OutOfCredit),
    ("INSUFFICIENT_QUOTA", Said::OutOfCredit),
    ("OUT_OF_CREDIT", Said::OutOfCredit),
    ("RATE_LIMITED", Said::RateLimited),
    ("CONTEXT_LENGTH_EXCEEDED", Said::ContextTooLong),
    ("CONTEXT_TOO_LONG", Said::ContextTooLong),
    ("CONTENT_FILTERED", Said::ContentFiltered),
    ("MODEL_NOT_FOUND", Said::ModelUnknown),
    ("MODEL_NOT_ALLOWED", Said::ModelUnknown),
    ("MODEL_UNKNOWN", Said::ModelUnknown),
    ("OVERLOADED", Said::Overloaded),
    ("BAD_REQUEST", Said::BadRequest),
];

/// Parts of a sentence, in lower case.
const PHRASES: [(&str, Said); 11] = [
    ("exceeds the maximum number of tokens allowed", Said::ContextTooLong),
    ("exceeds the maximum number of tokens supported", Said::ContextTooLong),
    ("api key not valid", Said::KeyRefused),
    ("api key expired", Said::KeyRefused),
    ("api key not found", Said::KeyRefused),
    ("user location is not supported", Said::KeyRefused),
    ("enable billing", Said::OutOfCredit),
    ("credits are depleted", Said::OutOfCredit),
    ("spending cap", Said::OutOfCredit),
    ("blocked by safety", Said::ContentFiltered),
    ("model is overloaded", Said::Overloaded),
];

/// What an error says: the body of an answer, or the data of an event.
pub(crate) fn said(body: &[u8]) -> Said {
    let Some(error) = error_in(body) else {
        return Said::Nothing;
    };
    let text = if error.kind == Kind::String { Some(error.clone()) } else { error.member("message") };
    by_reason(&error)
        .or_else(|| by_quota(&error))
        .or_else(|| by_phrase(&text?))
        .or_else(|| by_code(&error))
        .or_else(|| by_status(&error))
        .unwrap_or(Said::Nothing)
}

fn by_reason(error: &Value<'_>) -> Option<Said> {
    details(error).find_map(|detail| {
        let reason = detail.member("reason")?.short_text(64)?;
        REASONS.iter().find(|(word, _)| word.eq_ignore_ascii_case(&reason)).map(|(_, said)| *said)
    })
}

/// A quota of a day does not come back soon, whatever wait is named beside it.
fn by_quota(error: &Value<'_>) -> Option<Said> {
    let violations = details(error).filter_map(|detail| detail.member("violations"));
    let per_day = violations.flat_map(|violations| violations.elements().take(MOST).collect::<Vec<_>>()).any(
        |violation| {
            let quota = violation.member("quotaId").and_then(|quota| quota.short_text(256));
            quota.is_some_and(|quota| quota.contains("PerDay"))
        },
    );
    per_day.then_some(Said::OutOfCredit)
}

fn by_phrase(text: &Value<'_>) -> Option<Said> {
    let text = text.raw();
    let text = text.get(..LONGEST_TEXT).unwrap_or(text);
    let has = |phrase: &str| text.windows(phrase.len()).any(|it| it.eq_ignore_ascii_case(phrase.as_bytes()));
    PHRASES.iter().find(|(phrase, _)| has(phrase)).map(|(_, said)| *said)
}

/// The prepaid balance is used up: under the same status as a rate, and a code of its own.
fn by_code(error: &Value<'_>) -> Option<Said> {
    (error.member("code")?.number() == Some(402)).then_some(Said::OutOfCredit)
}

fn by_status(error: &Value<'_>) -> Option<Said> {
    const WORDS: [(&str, Said); 8] = [
        ("RESOURCE_EXHAUSTED", Said::RateLimited),
        ("UNAUTHENTICATED", Said::KeyRefused),
        ("PERMISSION_DENIED", Said::KeyRefused),
        ("NOT_FOUND", Said::ModelUnknown),
        ("UNAVAILABLE", Said::Overloaded),
        ("INVALID_ARGUMENT", Said::BadRequest),
        ("FAILED_PRECONDITION", Said::BadRequest),
        ("OUT_OF_RANGE", Said::BadRequest),
    ];
    let status = error.member("status")?.short_text(64)?;
    WORDS.iter().find(|(word, _)| *word == status).map(|(_, said)| *said)
}

fn details<'a>(error: &Value<'a>) -> impl Iterator<Item = Value<'a>> {
    let details = error.member("details");
    details.into_iter().flat_map(|details| details.elements().take(MOST).collect::<Vec<_>>())
}
