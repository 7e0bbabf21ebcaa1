//! What an error of Anthropic's says.
//!
//! Its types and codes are among the words that servers of OpenAI's shape use as well, so these are read there; here is
//! what Anthropic says in sentences of its own, mostly under `invalid_request_error`.

use crate::dialect::error::Said;
use crate::dialect::openai;

/// So much of a sentence is searched.
const LONGEST_TEXT: usize = 4096;

/// Parts of a sentence, in lower case.
const PHRASES: [(Said, &str); 4] = [
    (Said::ContextTooLong, "exceed context limit"),
    (Said::OutOfCredit, "api usage limits"),
    (Said::OutOfCredit, "spend limit"),
    (Said::ContentFiltered, "blocked by content filtering policy"),
];

/// What an error says: the body of an answer, or the data of an event.
pub(crate) fn said(body: &[u8]) -> Said {
    in_sentence(body).unwrap_or_else(|| openai::error::said(body))
}

fn in_sentence(body: &[u8]) -> Option<Said> {
    let message = super::message(body)?;
    let has = |phrase: &str| {
        let text = message.as_bytes();
        let text = text.get(..LONGEST_TEXT).unwrap_or(text);
        text.windows(phrase.len()).any(|part| part.eq_ignore_ascii_case(phrase.as_bytes()))
    };
    PHRASES.iter().find(|(_, phrase)| has(phrase)).map(|(said, _)| *said)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::samples;

    fn of(body: &Value) -> Said {
        said(body.to_string().as_bytes())
    }

    fn error(kind: &str, message: &str) -> Value {
        json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_1" })
    }

    #[test]
    fn the_samples_say_what_they_mean() {
        use Said::*;
        let expected = [
            BadRequest,
            KeyRefused,
            OutOfCredit,
            KeyRefused,
            ModelUnknown,
            BadRequest,
            RateLimited,
            OutOfCredit,
            Nothing,
            Overloaded,
        ];
        let samples = String::from_utf8(samples::anthropic("errors.jsonl")).unwrap();
        assert_eq!(samples.lines().count(), expected.len());
        for (line, expected) in samples.lines().zip(expected) {
            let sample: Value = serde_json::from_str(line).unwrap();
            assert_eq!(of(&sample["body"]), expected, "{line}");
        }
    }

    #[test]
    fn one_type_means_many_things_that_only_its_sentence_tells() {
        let kind = "invalid_request_error";
        let cases = [
            ("prompt is too long: 210000 tokens > 200000 maximum", Said::ContextTooLong),
            (
                "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000, decrease input \
                 length or `max_tokens` and try again",
                Said::ContextTooLong,
            ),
            ("Your credit balance is too low to access the Anthropic API.", Said::OutOfCredit),
            ("You have reached your specified API usage limits.", Said::OutOfCredit),
            ("Output blocked by content filtering policy", Said::ContentFiltered),
            ("max_tokens: Field required", Said::BadRequest),
        ];
        for (message, expected) in cases {
            assert_eq!(of(&error(kind, message)), expected, "{message}");
        }
    }

    #[test]
    fn types_that_tell_of_time_or_of_the_provider_say_nothing() {
        for kind in ["api_error", "timeout_error", "conflict_error", "newer_error"] {
            assert_eq!(of(&error(kind, "x")), Said::Nothing, "{kind}");
        }
    }

    #[test]
    fn spending_limits_are_told_from_rates_by_their_code() {
        let with = |code: &str| {
            let details = json!({ "error_code": code });
            json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "x", "details": details } })
        };
        assert_eq!(of(&with("ramp_limit_exceeded")), Said::RateLimited);
        assert_eq!(of(&with("contract_spend_limit_reached")), Said::OutOfCredit);
        assert_eq!(of(&with("newer")), Said::RateLimited);
    }

    #[test]
    fn servers_of_this_shape_may_speak_in_openais() {
        assert_eq!(
            of(&json!({ "error": { "message": "x", "code": "insufficient_quota" } })),
            Said::OutOfCredit
        );
        assert_eq!(said(b"<html>"), Said::Nothing);
    }
}
