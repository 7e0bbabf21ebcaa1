//! Timers that stay armed from call to call.
//!
//! To put a timer into the runtime's wheel and to take it out again is most of what a timer costs, and almost none
//! ever rings. A kept one stands where an earlier call left it. It is moved only when it would ring too late, or has
//! rung too early; whoever it wakes by that looks once, for nothing.

use std::pin::Pin;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};

use crate::clock::{Instant, poll_until};

/// As many as a busy worker needs at once; more are not kept.
const KEPT_MAX: usize = 256;

/// The timers of one worker that no call uses. They belong to its runtime.
#[derive(Debug, Default)]
pub struct Timers(Mutex<Vec<Pin<Box<Sleep>>>>);

impl Timers {
    /// Gives `what` its time, until `at`. A timer is taken only when it is not ready at once.
    pub(super) fn until<F: Future>(&self, at: Instant, what: F) -> Until<'_, F> {
        Until { what, timers: self, at, timer: None }
    }

    fn take(&self, at: Instant) -> Pin<Box<Sleep>> {
        let kept = self.0.lock().pop();
        kept.unwrap_or_else(|| Box::pin(sleep_until(at)))
    }

    fn keep(&self, timer: Pin<Box<Sleep>>) {
        let mut kept = self.0.lock();
        if kept.len() < KEPT_MAX {
            kept.push(timer);
        }
    }
}

/// The time was over first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Late;

pin_project! {
    /// A future and its time. Dropped, it gives its timer back.
    pub(super) struct Until<'a, F> {
        #[pin]
        what: F,
        timers: &'a Timers,
        at: Instant,
        timer: Option<Pin<Box<Sleep>>>,
    }

    impl<F> PinnedDrop for Until<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(timer) = this.timer.take() {
                this.timers.keep(timer);
            }
        }
    }
}

impl<F: Future> Future for Until<'_, F> {
    type Output = Result<F::Output, Late>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.what.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let at = *this.at;
        let timer = this.timer.get_or_insert_with(|| this.timers.take(at));
        poll_until(timer.as_mut(), at, cx).map(|()| Err(Late))
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn waits_for(timers: &Timers, time: Duration) -> Duration {
        let begun = Instant::now();
        assert_eq!(timers.until(begun + time, pending::<()>()).await, Err(Late));
        begun.elapsed()
    }

    /// Leaves a timer that stands so far ahead.
    async fn leave(timers: &Timers, ahead: Duration) {
        assert_eq!(timers.until(Instant::now() + ahead, sleep(SECOND / 10)).await, Ok(()));
        assert_eq!(timers.0.lock().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_at_once_takes_no_timer() {
        let timers = Timers::default();
        assert_eq!(timers.until(Instant::now(), ready(7)).await, Ok(7));
        assert!(timers.0.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_timer_that_stands_later_rings_in_time() {
        let timers = Timers::default();
        leave(&timers, 60 * SECOND).await;
        assert_eq!(waits_for(&timers, 2 * SECOND).await, 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_timer_that_stands_earlier_or_has_rung_does_not_ring_early() {
        let timers = Timers::default();
        leave(&timers, 2 * SECOND).await;
        assert_eq!(waits_for(&timers, 10 * SECOND).await, 10 * SECOND);
        sleep(SECOND).await;
        assert_eq!(waits_for(&timers, 3 * SECOND).await, 3 * SECOND);
        assert_eq!(timers.0.lock().len(), 1, "one timer served them all");
    }
}
