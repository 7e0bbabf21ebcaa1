//! `breaker` and `retryBudget` of a provider.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{HOUR, count, span_between};
use crate::policy::diagnostic::Findings;
use crate::policy::spec::{self, At};
use crate::resilience::breaker::{BreakerSettings, FailureRatio};
use crate::resilience::retry::RetryBudgetSettings;

/// When its models are left alone; as ever where nothing is said.
pub(super) fn breaker(written: Option<&At<spec::Breaker>>, found: &mut Findings<'_>) -> BreakerSettings {
    let otherwise = BreakerSettings::default();
    let Some(spec) = written.and_then(|written| written.value.as_ref()) else {
        return otherwise;
    };
    let consecutive = match (&spec.consecutive_failures, &spec.failure_ratio) {
        (Some(failures), _) => count(failures, "it would never close; leave it out for 5", found),
        (None, Some(_)) => None,
        (None, None) => otherwise.consecutive_failures,
    };
    let mut positive = |field: &Option<At<u32>>, otherwise| {
        let read =
            |at| count(at, "without a probe it would never close; leave it out for the default", found);
        field.as_ref().and_then(read).unwrap_or(otherwise)
    };
    BreakerSettings {
        consecutive_failures: consecutive,
        half_open_probes: positive(&spec.half_open_probes, otherwise.half_open_probes),
        successes_to_close: positive(&spec.successes_to_close, otherwise.successes_to_close),
        failure_ratio: failure_ratio(spec, found),
        open_for: spec
            .open_for
            .as_ref()
            .and_then(|open| span_between(open, Duration::from_millis(100), HOUR, found))
            .unwrap_or(otherwise.open_for),
    }
}

fn failure_ratio(spec: &spec::Breaker, found: &mut Findings<'_>) -> Option<FailureRatio> {
    let window = spec.window.as_ref().map(|window| window.span);
    let min_requests = spec.min_requests.as_ref().map(|requests| requests.span);
    let Some(ratio) = &spec.failure_ratio else {
        for (field, at) in [("window", window), ("minRequests", min_requests)] {
            if let Some(at) = at {
                found
                    .error(at, format!("`{field}` belongs to a `failureRatio`, and there is none"))
                    .hint(format!("add `failureRatio: 50%`, or remove `{field}`"));
            }
        }
        return None;
    };
    let window = match &spec.window {
        None => Some(WINDOW),
        Some(window) => span_between(window, Duration::from_secs(1), HOUR, found),
    };
    let min_requests = match &spec.min_requests {
        None => Some(MIN_REQUESTS),
        Some(requests) => count(requests, "one try is the least of which a part can fail", found),
    };
    Some(FailureRatio { permille: ratio.value?.permille, window: window?, min_requests: min_requests? })
}

/// The `window` of a `failureRatio` where nothing is said.
const WINDOW: Duration = Duration::from_secs(30);
/// Its `minRequests`.
const MIN_REQUESTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// How often its calls may be tried again; as ever where nothing is said.
pub(super) fn retry_budget(written: Option<&At<spec::RetryBudget>>) -> RetryBudgetSettings {
    let otherwise = RetryBudgetSettings::default();
    let Some(spec) = written.and_then(|written| written.value.as_ref()) else {
        return otherwise;
    };
    let ratio = spec.ratio.as_ref().and_then(|ratio| ratio.value);
    let min_per_second = spec.min_per_second.as_ref().and_then(|least| least.value);
    RetryBudgetSettings {
        permille: ratio.map_or(otherwise.permille, |ratio| ratio.permille),
        min_per_second: min_per_second.unwrap_or(otherwise.min_per_second),
    }
}
