//! The words by which OpenAI, and servers like it, say what went wrong.

use crate::dialect::error::Said;

/// What one meaning is said by.
pub(super) struct Entry {
    pub(super) said: Said,
    /// Codes, types and reasons that mean this and nothing else. In any case.
    pub(super) codes: &'static [&'static str],
    /// The same, but said of other things too, for which there is a clearer word then.
    pub(super) vague: &'static [&'static str],
    /// Parts of a sentence, in lower case.
    pub(super) phrases: &'static [&'static str],
    /// Statuses that servers write as the code.
    pub(super) statuses: &'static [u16],
}

/// Everything known. Of two phrases in one sentence, the one that stands first here counts.
pub(super) static VOCABULARY: [Entry; 8] = [
    Entry {
        said: Said::ContextTooLong,
        codes: &["context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded"],
        vague: &[],
        phrases: &[
            "maximum context length",
            "prompt is too long",
            "input tokens exceed the configured limit",
            "exceeds the maximum number of tokens allowed",
            "exceeds the available context size",
            "exceeds the context window",
            "input is too long for requested model",
            "context_length_exceeded",
        ],
        statuses: &[],
    },
    Entry {
        said: Said::ContentFiltered,
        codes: &[
            "content_filter",
            "content_filtered",
            "content_policy_violation",
            "responsibleaipolicyviolation",
            "image_content_policy_violation",
            "bio_policy",
            "misalignment_policy_violation",
            "moderation_blocked",
            "data_inspection_failed",
            "safety",
            "prohibited_content",
        ],
        vague: &[],
        phrases: &[
            "responsibleaipolicyviolation",
            "content_policy_violation",
            "content management policy",
            "violating our usage policy",
            "violated our usage policy",
            "our safety system",
            "your input was flagged",
            "content exists risk",
        ],
        statuses: &[],
    },
    Entry {
        said: Said::OutOfCredit,
        codes: &[
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "enforced_spend_limit_reached",
            "contract_spend_limit_reached",
            "billing_error",
            "billing_not_active",
            "billing_hard_limit_reached",
            "insufficient_balance",
            "insufficient_credits",
            "payment_required",
        ],
        vague: &[],
        // Google says "exceeded your current quota" of requests per minute too, so that is none of these.
        phrases: &[
            "insufficient balance",
            "insufficient credits",
            "insufficient_quota",
            "requires more credits",
            "credit balance is too low",
            "perday",
        ],
        statuses: &[402],
    },
    Entry {
        said: Said::KeyRefused,
        codes: &[
            "invalid_api_key",
            "api_key_invalid",
            "api_key_expired",
            "api_key_service_blocked",
            "invalid_organization",
            "authentication_error",
            "invalid_authentication",
            "unauthenticated",
            "unauthorized",
            "token_expired",
            "account_deactivated",
            "ip_not_authorized",
            "unsupported_country_region_territory",
        ],
        vague: &["permission_error", "permission_denied", "permissiondenied", "forbidden", "access_denied"],
        phrases: &[
            "incorrect api key",
            "invalid api key",
            "api key not valid",
            "api key expired",
            "invalid subscription key",
            "authentication fails",
            "no auth credentials found",
        ],
        statuses: &[401, 403],
    },
    Entry {
        said: Said::ModelUnknown,
        codes: &[
            "model_not_found",
            "model_not_allowed",
            "deploymentnotfound",
            "invalid_model",
            "unknown_model",
            "model_not_available",
            "model_decommissioned",
        ],
        vague: &["not_found", "not_found_error", "notfounderror"],
        phrases: &[
            "model not exist",
            "does not exist or you do not have access",
            "is not a valid model id",
            "no endpoints found",
            "try pulling it first",
        ],
        statuses: &[404],
    },
    Entry {
        said: Said::RateLimited,
        codes: &[
            "rate_limit_exceeded",
            "rate_limited",
            "ratelimitreached",
            "ratelimitexceeded",
            "ramp_limit_exceeded",
            "slow_down",
            "too_many_requests",
            "toomanyrequests",
            // The types of OpenAI's two kinds of rate.
            "requests",
            "tokens",
        ],
        // Said of money too, by Anthropic and by Google.
        vague: &["rate_limit_error", "resource_exhausted"],
        phrases: &[
            "rate limit reached",
            "rate limit exceeded",
            "rate limit is exceeded",
            "exceeded call rate limit",
            "exceeded token rate limit",
            "too many requests",
        ],
        statuses: &[429],
    },
    Entry {
        said: Said::Overloaded,
        codes: &[
            "server_is_overloaded",
            "overloaded",
            "overloaded_error",
            "engine_overloaded",
            "engine_overloaded_error",
            "service_tier_capacity_exceeded",
            "capacity_exceeded",
            "no_provider_available",
        ],
        vague: &["service_unavailable_error", "service_unavailable", "serviceunavailable", "unavailable"],
        phrases: &["is overloaded", "currently overloaded", "over capacity", "at capacity"],
        statuses: &[503, 529],
    },
    Entry {
        said: Said::BadRequest,
        codes: &[
            "unknown_parameter",
            "unsupported_parameter",
            "unsupported_value",
            "missing_required_parameter",
            "previous_response_not_found",
            "invalid_json",
            "invalid_image",
            "invalid_image_format",
            "invalid_image_mode",
            "invalid_image_url",
            "invalid_base64_image",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "image_file_too_large",
            "image_file_not_found",
            "empty_image_file",
            "failed_to_download_image",
            "unsupported_image_media_type",
        ],
        vague: &[
            "invalid_request_error",
            "invalid_request",
            "invalid_value",
            "invalid_type",
            "invalid_prompt",
            "invalid_argument",
            "failed_precondition",
            "badrequest",
            "badrequesterror",
            "bad_request",
            "request_too_large",
            "unprocessableentityerror",
            "validation_error",
        ],
        phrases: &[],
        statuses: &[400, 413, 415, 422],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everything_but_nothing_has_its_words() {
        let known: Vec<_> = VOCABULARY.iter().map(|entry| entry.said).collect();
        for said in Said::ALL {
            assert_eq!(
                known.iter().filter(|known| **known == said).count(),
                usize::from(said != Said::Nothing)
            );
        }
    }

    #[test]
    fn every_word_stands_there_once_and_in_lower_case() {
        let words: Vec<_> = VOCABULARY.iter().flat_map(|e| e.codes.iter().chain(e.vague)).collect();
        let phrases: Vec<_> = VOCABULARY.iter().flat_map(|entry| entry.phrases).collect();
        let statuses: Vec<_> = VOCABULARY.iter().flat_map(|entry| entry.statuses).collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
        assert_eq!(phrases.iter().collect::<BTreeSet<_>>().len(), phrases.len());
        assert_eq!(statuses.iter().collect::<BTreeSet<_>>().len(), statuses.len());
        for word in words.iter().chain(&phrases) {
            assert_eq!(word.to_ascii_lowercase(), ***word);
        }
    }

    #[test]
    fn no_phrase_is_written_with_escapes_in_json() {
        for phrase in VOCABULARY.iter().flat_map(|entry| entry.phrases) {
            assert_eq!(serde_json::Value::from(*phrase).to_string(), format!("\"{phrase}\""));
        }
    }
}
