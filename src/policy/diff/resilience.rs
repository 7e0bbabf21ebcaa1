//! When a provider that keeps failing is left alone, and how often it is tried again.

use super::Found;
use super::words::{or_none, span};
use crate::resilience::breaker::{BreakerSettings, FailureRatio};
use crate::resilience::retry::RetryBudgetSettings;

/// What changes of a provider's breakers.
pub(super) fn breaker(old: &BreakerSettings, new: &BreakerSettings, found: &mut Found) {
    let BreakerSettings {
        consecutive_failures,
        failure_ratio,
        open_for,
        half_open_probes,
        successes_to_close,
    } = old;
    let count = |count: &Option<std::num::NonZeroU32>| or_none(*count, |count| count.to_string());
    found.neutral("breaker.consecutiveFailures", (consecutive_failures, &new.consecutive_failures), count);
    found.neutral("breaker.failureRatio", (failure_ratio, &new.failure_ratio), |ratio| {
        or_none(*ratio, self::ratio)
    });
    found.neutral("breaker.openFor", (open_for, &new.open_for), |open| span(*open));
    found.neutral("breaker.halfOpenProbes", (half_open_probes, &new.half_open_probes), ToString::to_string);
    found.neutral(
        "breaker.successesToClose",
        (successes_to_close, &new.successes_to_close),
        ToString::to_string,
    );
}

fn ratio(FailureRatio { permille, window, min_requests }: FailureRatio) -> String {
    format!("{} over {}, of {min_requests} tries at least", percent(permille.into()), span(window))
}

/// Thousandths as a policy writes them.
pub(super) fn percent(permille: u32) -> String {
    if permille.is_multiple_of(10) {
        format!("{}%", permille / 10)
    } else {
        format!("{}.{}%", permille / 10, permille % 10)
    }
}

/// What changes of how often calls may be tried there again.
pub(super) fn retry_budget(old: &RetryBudgetSettings, new: &RetryBudgetSettings, found: &mut Found) {
    let RetryBudgetSettings { permille, min_per_second } = old;
    found.neutral("retryBudget.ratio", (permille, &new.permille), |permille| percent(*permille));
    found.neutral("retryBudget.minPerSecond", (min_per_second, &new.min_per_second), u32::to_string);
}
