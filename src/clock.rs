//! Time, as it comes in from outside.
//!
//! `now` is tokio's clock, which a test can pause; `wall` is civil time, which a test can set.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::time::Sleep;

pub use jiff::Timestamp;
pub use jiff::civil::{Date, Time};
pub use jiff::tz::TimeZone;
pub use tokio::time::Instant;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time: for rolling windows.
    pub instant: Instant,
    /// Civil time: for calendar windows. It may step backwards.
    pub wall: Timestamp,
}

/// Tells monotonic and civil time. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Wall);

#[derive(Clone, Debug)]
enum Wall {
    System,
    Since(Timestamp, Instant),
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

    /// A clock whose civil time is `at` now and goes on as monotonic time does, be that paused or made up.
    pub fn beginning(at: Timestamp) -> Self {
        Self(Wall::Since(at, Instant::now()))
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
            Wall::Since(at, began) => at.saturating_add(Instant::now() - *began).unwrap_or(Timestamp::MAX),
            Wall::Set(at) => {
                Timestamp::from_millisecond(at.load(Ordering::Relaxed)).unwrap_or(Timestamp::UNIX_EPOCH)
            }
        }
    }

    /// Monotonic and civil time: for limits, which may have windows of either.
    pub fn moment(&self) -> Now {
        Now { instant: self.now(), wall: self.wall() }
    }

    /// Moves the civil time of a standing clock; the machine's clock stays as it is.
    pub fn set_wall(&self, at: Timestamp) {
        if let Wall::Set(wall) = &self.0 {
            wall.store(at.as_millisecond(), Ordering::Relaxed);
        }
    }
}

/// Ready at `at`, wherever the timer stands. It is moved only when it would ring too late, or has rung too early: to
/// put a timer elsewhere costs more than to let it ring once for nothing, and most never ring.
pub fn poll_until(mut timer: Pin<&mut Sleep>, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
    if timer.deadline() > at {
        timer.as_mut().reset(at);
    }
    ready!(timer.as_mut().poll(cx));
    if timer.deadline() < at {
        timer.as_mut().reset(at);
        return timer.poll(cx);
    }
    Poll::Ready(())
}
