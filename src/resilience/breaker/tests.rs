mod facts;
mod model;
mod threads;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn few(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

/// Opens after three failures in a row, for a minute; two may probe, two close it.
fn settings() -> BreakerSettings {
    BreakerSettings {
        consecutive_failures: Some(few(3)),
        failure_ratio: None,
        open_for: MINUTE,
        half_open_probes: few(2),
        successes_to_close: few(2),
    }
}

/// Half of at least ten tries of ten seconds.
fn by_ratio() -> BreakerSettings {
    let ratio = FailureRatio { permille: 500, window: 10 * SECOND, min_requests: few(10) };
    BreakerSettings { consecutive_failures: None, failure_ratio: Some(ratio), ..settings() }
}

fn breaker(settings: BreakerSettings) -> Arc<Breaker> {
    Arc::new(Breaker::new(settings))
}

fn fails(breaker: &Arc<Breaker>, times: u32, now: Instant) {
    (0..times).for_each(|_| breaker.admit(now).unwrap().failed(now));
}

fn succeeds(breaker: &Arc<Breaker>, times: u32, now: Instant) {
    (0..times).for_each(|_| breaker.admit(now).unwrap().succeeded(now));
}

/// An open breaker, and when it is half open.
fn opened(settings: BreakerSettings) -> (Arc<Breaker>, Instant) {
    let (breaker, now) = (breaker(settings), Instant::now());
    fails(&breaker, 3, now);
    (breaker, now + settings.open_for)
}

fn is_closed(breaker: &Breaker, now: Instant) -> bool {
    breaker.state(now) == BreakerState::Closed
}
