//! What is said on standard error of tries that failed.

use std::error::Error;

use super::Relay;
use super::attempt::Lost;
use super::outcome::{ErrorClass, Failure};
use crate::clock::Instant;
use crate::policy::snapshot::Model;

/// Says that a try failed, unless the same was said a moment ago. What an operator has to mend is an error.
pub(super) fn lost(relay: &Relay, target: &Model, lost: &Lost, now: Instant) {
    let (provider, model, outcome) = (&target.provider.id, &target.id, lost.failure.name());
    let Some(unsaid) = relay.shared.warnings.due(provider, outcome, now) else { return };
    let status = lost.failure.status().map(|status| status.as_u16());
    match lost.failure {
        Failure::KeyMissing => {
            tracing::error!(%provider, %model, outcome, unsaid, "a provider's key is missing");
        }
        Failure::Error(ErrorClass::KeyRefused | ErrorClass::KeyForbidden, _) => {
            tracing::error!(%provider, %model, outcome, status, unsaid, "a provider does not accept our key");
        }
        Failure::Error(ErrorClass::OutOfCredit, _) => {
            tracing::error!(%provider, %model, outcome, status, unsaid, "our account at a provider is used up");
        }
        Failure::Error(ErrorClass::ModelUnknown, _) => {
            tracing::warn!(%provider, %model, outcome, status, unsaid, "a provider has no model of this name");
        }
        Failure::Connection(_)
        | Failure::TimedOut(_)
        | Failure::Unsent(_)
        | Failure::TooSlow
        | Failure::Error(
            ErrorClass::RateLimited | ErrorClass::ContextTooLong | ErrorClass::Conflict | ErrorClass::Broken,
            _,
        )
        | Failure::StrangeStatus(_)
        | Failure::WrongType
        | Failure::Empty
        | Failure::NoAnswer
        | Failure::Cut => match &lost.cause {
            Some(cause) => {
                let error = cause as &dyn Error;
                tracing::warn!(%provider, %model, outcome, error, unsaid, "an attempt got no answer");
            }
            None => {
                let retry_after_ms = lost.retry_after.map(|wait| wait.as_millis() as u64);
                tracing::warn!(%provider, %model, outcome, status, retry_after_ms, unsaid, "an attempt failed");
            }
        },
    }
}
