//! `mock:`: the script of a scripted provider.

use std::time::Duration;

use super::{DAY, HOUR, not_zero, span_between};
use crate::mock::{ErrorCode, Fault, Script};
use crate::policy::diagnostic::Findings;
use crate::policy::spec::{self, At, TimeSpan};

/// None where a part of it is faulty; that was told.
pub(super) fn script(mock: &spec::Mock, found: &mut Findings<'_>) -> Option<Script> {
    let otherwise = Script::default();
    let latency = match &mock.latency {
        None => Some(otherwise.latency),
        Some(latency) => span_between(latency, Duration::ZERO, HOUR, found),
    };
    let mut positive =
        |written: &At<u32>| not_zero(written, "leave it out for the default", found)?.try_into().ok();
    let tokens = mock.tokens.as_ref().map_or(Some(otherwise.tokens), &mut positive);
    let speed = mock.tokens_per_second.as_ref().map(positive);
    let faults = mock.faults.as_ref().map_or(Some(Vec::new()), |faults| {
        let faults: Vec<_> = faults.value.as_ref()?.iter().map(|written| fault(written, found)).collect();
        faults.into_iter().collect()
    });
    let says = match &mock.says {
        None => None,
        Some(says) => Some(says.value.as_deref()?.into()),
    };
    Some(Script {
        says,
        latency: latency?,
        tokens_per_second: match speed {
            None => None,
            Some(speed) => Some(speed?),
        },
        tokens: tokens?,
        faults: faults?,
    })
}

fn fault(written: &At<spec::Fault>, found: &mut Findings<'_>) -> Option<Fault> {
    Some(match written.value.as_ref()? {
        spec::Fault::Ok => Fault::None,
        spec::Fault::Status { code, retry_after } => status(code, retry_after.as_ref(), found)?,
        spec::Fault::Error(code) => Fault::Error { code: error_code(code.value?) },
        spec::Fault::Reset { after_chunks } => Fault::Reset { after_chunks: after_chunks.value? },
        spec::Fault::ResetAfterHead => Fault::ResetAfterHead,
        spec::Fault::Stall { after_chunks } => Fault::Stall { after_chunks: after_chunks.value? },
        spec::Fault::StallAfterHead => Fault::StallAfterHead,
        spec::Fault::Truncate { after_chunks } => Fault::Truncate { after_chunks: after_chunks.value? },
        spec::Fault::ErrorEvent { after_chunks, code } => {
            let code = match code {
                None => None,
                Some(code) => Some(error_code(code.value?)),
            };
            Fault::ErrorEvent { after_chunks: after_chunks.value?, code }
        }
        spec::Fault::Empty => Fault::Empty,
        spec::Fault::OnlyPings => Fault::OnlyPings,
        spec::Fault::OnlyDone => Fault::OnlyDone,
        spec::Fault::Html => Fault::Html,
        spec::Fault::NotJson => Fault::NotJson,
        spec::Fault::WrongType => Fault::WrongType,
        spec::Fault::Gzip => Fault::Gzip,
        spec::Fault::Redirect => Fault::Redirect,
        spec::Fault::Large(size) => Fault::Large { bytes: size.value?.0 },
        spec::Fault::SlowHead(delay) => {
            Fault::SlowHead { delay: span_between(delay, Duration::ZERO, HOUR, found)? }
        }
        spec::Fault::SlowFirstToken { delay, pings } => {
            let delay = span_between(delay, Duration::ZERO, HOUR, found);
            let pings = match pings {
                None => None,
                Some(pings) => Some(span_between(pings, Duration::from_millis(1), HOUR, found)?),
            };
            Fault::SlowFirstToken { delay: delay?, pings }
        }
        spec::Fault::SlowStream(rate) => {
            let rate = not_zero(rate, "name how many tokens come in a second, such as 2", found)?;
            Fault::SlowStream { tokens_per_second: rate.try_into().ok()? }
        }
        spec::Fault::Trickle(pause) => {
            Fault::Trickle { pause: span_between(pause, Duration::ZERO, HOUR, found)? }
        }
        spec::Fault::Duplicate => Fault::Duplicate,
        spec::Fault::Shuffle => Fault::Shuffle,
        spec::Fault::ForKey { ends_with, code, retry_after } => {
            let fault = status(code, retry_after.as_ref(), found);
            let suffix = ends_with.value.as_deref()?;
            if suffix.is_empty() {
                found.error(ends_with.span, "every key ends so").hint("write the last characters of one key");
                return None;
            }
            Fault::ForKey { ends_with: suffix.into(), fault: Box::new(fault?) }
        }
    })
}

fn status(code: &At<u16>, retry_after: Option<&At<TimeSpan>>, found: &mut Findings<'_>) -> Option<Fault> {
    let retry_after = match retry_after {
        None => None,
        Some(after) => {
            let span = span_between(after, Duration::from_secs(1), DAY, found)?;
            Some(u32::try_from(span.as_secs()).ok()?)
        }
    };
    let status = code.value?;
    if !(400..=599).contains(&status) {
        found.error(code.span, "an error status is from 400 to 599");
        return None;
    }
    Some(Fault::Status { status, retry_after })
}

fn error_code(written: spec::ErrorCode) -> ErrorCode {
    match written {
        spec::ErrorCode::ContextLengthExceeded => ErrorCode::ContextLengthExceeded,
        spec::ErrorCode::ContentPolicyViolation => ErrorCode::ContentPolicyViolation,
        spec::ErrorCode::ContentFilter => ErrorCode::ContentFilter,
        spec::ErrorCode::InvalidApiKey => ErrorCode::InvalidApiKey,
        spec::ErrorCode::ModelNotFound => ErrorCode::ModelNotFound,
        spec::ErrorCode::RateLimitExceeded => ErrorCode::RateLimitExceeded,
        spec::ErrorCode::InsufficientQuota => ErrorCode::InsufficientQuota,
        spec::ErrorCode::CreditBalanceExhausted => ErrorCode::CreditBalanceExhausted,
        spec::ErrorCode::SlowDown => ErrorCode::SlowDown,
        spec::ErrorCode::ServerIsOverloaded => ErrorCode::ServerIsOverloaded,
    }
}
