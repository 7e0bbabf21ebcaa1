//! Wakes the task that drives a connection, but not for what the task itself does.
//!
//! The two halves of a hyper connection wake each other at every chunk. One task drives both and
//! looks at both in every poll, so these wake-ups would only make it run twice.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

thread_local! {
    /// Whether this thread is inside [`poll_muted`].
    static MUTED: Cell<bool> = const { Cell::new(false) };
}

/// The waker that a connection sees all its life, and the task that it stands for now.
pub(super) struct Gate {
    lane: Arc<Lane>,
    waker: Waker,
}

struct Lane {
    task: Mutex<Waker>,
}

impl Gate {
    /// A gate that wakes nobody yet.
    pub(super) fn new() -> Self {
        let lane = Arc::new(Lane { task: Mutex::new(Waker::noop().clone()) });
        let waker = Waker::from(Arc::clone(&lane));
        Self { lane, waker }
    }

    /// From now on, wakes this task.
    pub(super) fn lead_to(&self, task: &Waker) {
        self.lane.task.lock().clone_from(task);
    }

    /// The waker to poll the connection with.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }
}

impl Wake for Lane {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // By thread, not by gate: a wake from elsewhere must never be lost.
        if !MUTED.get() {
            self.task.lock().wake_by_ref();
        }
    }
}

/// Runs a poll of the half that the caller holds; the wake-ups that it sends to the connection are
/// dropped. The caller must drive the connection, or be polled again, before it returns pending.
pub(super) fn poll_muted<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    muted(|| poll(&mut Context::from_waker(Waker::noop())))
}

/// Runs a step under the same rule as [`poll_muted`].
pub(super) fn muted<T>(step: impl FnOnce() -> T) -> T {
    let _unmute = Unmute(MUTED.replace(true));
    step()
}

struct Unmute(bool);

impl Drop for Unmute {
    fn drop(&mut self) {
        MUTED.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_gate_wakes_the_task_it_leads_to_unless_muted_on_this_thread() {
        let woken = Arc::new(Woken::default());
        let gate = Gate::new();
        gate.waker().wake_by_ref();
        gate.lead_to(&Waker::from(Arc::clone(&woken)));

        gate.waker().wake_by_ref();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);

        muted(|| {
            gate.waker().wake_by_ref();
            let elsewhere = gate.waker().clone();
            std::thread::spawn(move || elsewhere.wake()).join().unwrap();
        });
        assert_eq!(woken.0.load(Ordering::Relaxed), 2, "the other thread's");

        gate.waker().wake_by_ref();
        assert_eq!(woken.0.load(Ordering::Relaxed), 3);
    }
}
