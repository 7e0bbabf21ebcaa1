//! How serving ends: readiness, the calls and connections still open, the phases of a shutdown.
//!
//! A gateway leaves first and finishes what it has; a sidecar stays until its application needs it no more.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::Context;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{sleep, sleep_until, timeout};

use crate::clock::Instant;

/// How far the end of serving has come. Phases only go forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Ready.
    Serving,
    /// A sidecar that is not ready any more, and serves as before.
    Staying,
    /// A gateway that is not ready any more; it serves, and every HTTP/1 answer closes its connection.
    Leaving,
    /// Nothing is accepted; connections close when their calls end.
    Closing,
    /// Whatever still runs is dropped.
    Cut,
}

/// Which form of shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The application beside us may still need us: serve until it is silent.
    Sidecar,
    /// Callers come through a load balancer: let it take us out, then finish.
    Gateway,
}

/// How long a shutdown takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Gateway: how long it accepts after it is not ready, until load balancers have seen that.
    pub grace: Duration,
    /// Sidecar: it ends when no call was in flight for this long (noticed within twice that).
    pub idle: Duration,
    /// Counted from the start of the shutdown; whatever runs then is dropped.
    pub deadline: Duration,
}

impl Default for Timing {
    /// Fits into Kubernetes' default grace of 30 s, with 5 s left to flush.
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(5),
            idle: Duration::from_secs(1),
            deadline: Duration::from_secs(25),
        }
    }
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Calls that were in flight at the deadline, or when [`Drain::cut`] was called, and were dropped.
    pub calls_cut: usize,
}

/// Ends serving and resolves when every listener and connection under `drain` is closed, the deadline has
/// passed, or [`Drain::cut`] was called. `now` is when the shutdown was asked for.
///
/// Dropped before it ends, it leaves the phase as it is.
pub async fn drain(drain: &Drain, mode: Mode, timing: Timing, now: Instant) -> Drained {
    let end = async {
        match mode {
            Mode::Gateway => {
                drain.enter(Phase::Leaving);
                sleep(timing.grace).await;
            }
            Mode::Sidecar => {
                drain.enter(Phase::Staying);
                drain.silent_for(timing.idle).await;
            }
        }
        drain.enter(Phase::Closing);
        drain.closed().await;
    };
    tokio::select! {
        // When the last call ends in the turn of the deadline, nothing was cut.
        biased;
        () = end => {}
        () = drain.reached(Phase::Cut) => {}
        () = sleep_until(now + timing.deadline) => {}
    }
    let calls_cut = drain.0.cut_calls.load(Ordering::SeqCst).max(drain.calls());
    drain.cut();
    // Each connection needs one more poll to be dropped; a worker that hangs must not hold up the process.
    let _ = timeout(Duration::from_secs(1), drain.closed()).await;
    Drained { calls_cut }
}

/// What listeners, connections and calls have in common until the end. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<State>);

#[derive(Debug, Default)]
struct State {
    phase: AtomicU8,
    /// Wakes who waits for a phase.
    entered: Arc<Notify>,
    calls: AtomicUsize,
    calls_begun: AtomicU64,
    /// Calls in flight when the cut was asked for.
    cut_calls: AtomicUsize,
    /// Listeners and connections.
    open: AtomicUsize,
    /// Wakes who waits for the last call or connection; silent while serving.
    ended: Notify,
}

impl Drain {
    /// Ready, with nothing open.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no shutdown has begun.
    pub fn ready(&self) -> bool {
        self.phase() == Phase::Serving
    }

    /// How far the end of serving has come.
    pub fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::SeqCst) {
            0 => Phase::Serving,
            1 => Phase::Staying,
            2 => Phase::Leaving,
            3 => Phase::Closing,
            _ => Phase::Cut,
        }
    }

    /// Calls in flight: from their head to the end or drop of their answer's body.
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Drops whatever runs, at once: a second signal.
    pub fn cut(&self) {
        self.0.cut_calls.fetch_max(self.calls(), Ordering::SeqCst);
        self.enter(Phase::Cut);
    }

    /// Resolves when `phase` or a later one is entered.
    pub async fn reached(&self, phase: Phase) {
        while self.phase() < phase {
            let mut entered = std::pin::pin!(self.0.entered.notified());
            // In the list before the second look: a phase entered in between is not missed.
            entered.as_mut().enable();
            if self.phase() < phase {
                entered.await;
            }
        }
    }

    /// Counts a call until the guard is dropped.
    pub(super) fn call(&self) -> Call {
        self.0.calls_begun.fetch_add(1, Ordering::Relaxed);
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        Call(Arc::clone(&self.0))
    }

    /// Counts a listener or connection until the guard is dropped.
    pub(super) fn open(&self) -> Open {
        self.0.open.fetch_add(1, Ordering::SeqCst);
        Open(Arc::clone(&self.0))
    }

    /// Lets one task see phases as it is polled.
    pub(super) fn watch(&self) -> Watch {
        Watch { drain: self.clone(), seen: None, entered: Box::pin(self.next_phase()) }
    }

    fn next_phase(&self) -> OwnedNotified {
        Arc::clone(&self.0.entered).notified_owned()
    }

    fn enter(&self, phase: Phase) {
        self.0.phase.fetch_max(phase as u8, Ordering::SeqCst);
        self.0.entered.notify_waiters();
    }

    /// Resolves when nothing is open.
    async fn closed(&self) {
        let nothing_open = || self.0.open.load(Ordering::SeqCst) == 0 && self.calls() == 0;
        self.until(nothing_open).await;
    }

    /// Resolves when no call was in flight during one whole `span`.
    async fn silent_for(&self, span: Duration) {
        loop {
            self.until(|| self.calls() == 0).await;
            let begun = self.0.calls_begun.load(Ordering::Relaxed);
            sleep(span).await;
            if self.calls() == 0 && self.0.calls_begun.load(Ordering::Relaxed) == begun {
                return;
            }
        }
    }

    /// Resolves when `is_so`, which the end of a call or connection may make true.
    async fn until(&self, is_so: impl Fn() -> bool) {
        while !is_so() {
            let mut ended = std::pin::pin!(self.0.ended.notified());
            ended.as_mut().enable();
            if !is_so() {
                ended.await;
            }
        }
    }
}

impl State {
    /// One call or connection less. While serving nobody waits for that, and the hot path pays no lock.
    fn less(&self, count: &AtomicUsize) {
        if count.fetch_sub(1, Ordering::SeqCst) == 1 && self.phase.load(Ordering::SeqCst) != 0 {
            self.ended.notify_waiters();
        }
    }
}

/// One call in flight.
#[derive(Debug)]
pub(super) struct Call(Arc<State>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.less(&self.0.calls);
    }
}

/// One listener or connection.
#[derive(Debug)]
pub(super) struct Open(Arc<State>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.less(&self.0.open);
    }
}

/// The phase as one task sees it. While serving, a look costs one atomic load: the task is put on the list of those
/// to wake at its first look only, so it must not move to another task after that.
pub(super) struct Watch {
    drain: Drain,
    seen: Option<Phase>,
    entered: Pin<Box<OwnedNotified>>,
}

impl Watch {
    /// The phase; the task is woken when a later one is entered.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Phase {
        if self.seen == Some(Phase::Serving) && self.drain.ready() {
            return Phase::Serving;
        }
        while self.entered.as_mut().poll(cx).is_ready() {
            self.entered.set(self.drain.next_phase());
        }
        // Read after the task is on the list: a phase entered in between is seen here or wakes it.
        let phase = self.drain.phase();
        self.seen = Some(phase);
        phase
    }
}
