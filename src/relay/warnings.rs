//! Which failed attempts are said on standard error: an outage would flood it. Metrics and the access log have all.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Instant;
use crate::ids::ProviderId;

/// How long the same is not said again.
const EVERY: Duration = Duration::from_secs(10);
/// More than a policy has providers times outcomes: what is beyond belonged to former policies.
const KINDS_MAX: usize = 4_096;

/// What was said of each provider, by outcome.
#[derive(Debug, Default)]
pub struct Warnings(Mutex<HashMap<(ProviderId, &'static str), Said>>);

#[derive(Debug)]
struct Said {
    at: Instant,
    /// How many were kept back since.
    unsaid: u64,
}

impl Warnings {
    /// Whether to say now that an attempt at a provider ended so, and of how many it was not said since the last time.
    pub(super) fn due(&self, provider: &ProviderId, outcome: &'static str, now: Instant) -> Option<u64> {
        let mut said = self.0.lock();
        if said.len() >= KINDS_MAX {
            said.clear();
        }
        let kind = (provider.clone(), outcome);
        let Some(last) = said.get_mut(&kind) else {
            said.insert(kind, Said { at: now, unsaid: 0 });
            return Some(0);
        };
        if now.duration_since(last.at) < EVERY {
            last.unsaid += 1;
            return None;
        }
        let unsaid = last.unsaid;
        *last = Said { at: now, unsaid: 0 };
        Some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_failure_is_said_once_in_ten_seconds_with_how_often_it_was() {
        let (warnings, now) = (Warnings::default(), Instant::now());
        let due = |provider: &str, outcome, seconds| {
            warnings.due(&provider.into(), outcome, now + Duration::from_secs(seconds))
        };
        assert_eq!(due("p", "connect", 0), Some(0));
        for second in 1..10 {
            assert_eq!(due("p", "connect", second), None);
        }
        assert_eq!(due("p", "connect", 10), Some(9));
        assert_eq!(due("p", "connect", 25), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn another_provider_or_outcome_is_news() {
        let (warnings, now) = (Warnings::default(), Instant::now());
        for (provider, outcome) in [("p", "connect"), ("p", "error_status"), ("q", "connect")] {
            assert_eq!(warnings.due(&provider.into(), outcome, now), Some(0), "{provider} {outcome}");
        }
    }
}
