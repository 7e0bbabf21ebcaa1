//! Time, as it comes in from outside.
//!
//! `now` is tokio's clock, which a test can pause; `wall` is civil time, which a test can set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub use jiff::Timestamp;
pub use tokio::time::Instant;

/// Tells monotonic and civil time. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Wall);

#[derive(Clone, Debug)]
enum Wall {
    System,
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Wall::System)
    }

    /// A clock whose civil time stands still at `at` until [`Clock::set_wall`] moves it; for tests.
    pub fn standing(at: Timestamp) -> Self {
        Self(Wall::Set(Arc::new(AtomicI64::new(at.as_millisecond()))))
    }

    /// Monotonic time: for timers, rates and durations.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Civil time: for log lines and calendar windows. It may step backwards.
    pub fn wall(&self) -> Timestamp {
        match &self.0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "the one place that reads the machine's civil time"
            )]
            Wall::System => Timestamp::now(),
            Wall::Set(at) => {
                Timestamp::from_millisecond(at.load(Ordering::Relaxed)).unwrap_or(Timestamp::UNIX_EPOCH)
            }
        }
    }

    /// Moves the civil time of a standing clock; the machine's clock stays as it is.
    pub fn set_wall(&self, at: Timestamp) {
        if let Wall::Set(wall) = &self.0 {
            wall.store(at.as_millisecond(), Ordering::Relaxed);
        }
    }
}
