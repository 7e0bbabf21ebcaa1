//! When a target that keeps failing is left alone, and how it comes back.

use std::num::NonZeroU32;
use std::time::Duration;

/// When a breaker opens, and when it closes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// It opens after so many failures in a row; none: not for that.
    pub consecutive_failures: Option<NonZeroU32>,
    /// It opens when so much of what was tried failed; none: not for that.
    pub failure_ratio: Option<FailureRatio>,
    /// How long it stays open the first time.
    pub open_for: Duration,
    /// How many calls may probe at once when it is half open.
    pub half_open_probes: NonZeroU32,
    /// How many of them have to succeed before it closes.
    pub successes_to_close: NonZeroU32,
}

/// A part of what was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureRatio {
    /// Of a thousand: 1 to 1000.
    pub permille: u16,
    /// Over the last so long.
    pub window: Duration,
    /// Of no fewer tries than these.
    pub min_requests: NonZeroU32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        let few = |n: u32| NonZeroU32::MIN.saturating_add(n - 1);
        Self {
            consecutive_failures: Some(few(5)),
            failure_ratio: None,
            open_for: Duration::from_secs(60),
            half_open_probes: few(3),
            successes_to_close: few(2),
        }
    }
}
