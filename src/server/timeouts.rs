//! How long a connection is waited for: one whose head is slow to come, that lies idle, or whose caller takes
//! nothing of what is written, is closed.
//!
//! hyper's own header timer counts from the end of the last answer: it would close every kept-alive connection
//! after the few seconds that a head may take, under the hands of callers whose pools keep it for minutes; and it
//! allocates a timer per request. Here each connection has one timer, which is moved only when it would fire too
//! late, or has fired too early: calls that follow one another do not touch it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use crate::clock::{Instant, poll_until};

/// What a connection does, as its calls tell it.
#[derive(Debug, Default)]
pub(super) struct Activity {
    calls: AtomicU32,
    calls_begun: AtomicU32,
    /// The last head began after this many calls; stale when more have begun. At first zero: who connects and says
    /// nothing is slow, not idle.
    head_after_call: AtomicU32,
    multiplexed: AtomicBool,
    /// The last write found no room; no body is polled until one does.
    blocked: AtomicBool,
    /// Writes that found room after one that did not; tells one wait for room from the next.
    unblocked: AtomicU32,
}

impl Activity {
    /// A call has begun: its head is complete. It lasts until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>, version: http::Version) -> Busy {
        if version == http::Version::HTTP_2 {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
        self.calls_begun.fetch_add(1, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    fn head_begins(&self) {
        self.head_after_call.store(self.calls_begun.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// A write found room, or did not. While callers keep up, this costs a look at a flag.
    fn write(&self, found_room: bool) {
        let was_blocked = self.blocked.load(Ordering::Relaxed);
        if was_blocked && found_room {
            self.unblocked.fetch_add(1, Ordering::Relaxed);
        }
        if was_blocked == found_room {
            self.blocked.store(!found_room, Ordering::Relaxed);
        }
    }

    /// What is waited for; none during a call whose caller keeps up.
    fn waits_for(&self) -> Option<Wait> {
        if self.blocked.load(Ordering::Relaxed) {
            return Some(Wait::Room { unblocked: self.unblocked.load(Ordering::Relaxed) });
        }
        if self.untimed() {
            return None;
        }
        let after_call = self.calls_begun.load(Ordering::Relaxed);
        if self.head_after_call.load(Ordering::Relaxed) == after_call {
            Some(Wait::Head { after_call })
        } else {
            Some(Wait::Idle { after_call })
        }
    }

    /// Nothing is waited to come during a call, nor after HTTP/2's first: bytes between its calls are no head, and
    /// its pings find dead peers.
    fn untimed(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0 || self.multiplexed.load(Ordering::Relaxed)
    }
}

/// One call on a connection.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a connection is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From a head's first byte to its last; for the first head, from the connection's start.
    pub(super) head: Duration,
    /// Between two calls.
    pub(super) idle: Duration,
    /// Between two writes of which the peer takes something.
    pub(super) write: Duration,
}

/// What a connection waits for. The counts tell one wait from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Head { after_call: u32 },
    Idle { after_call: u32 },
    Room { unblocked: u32 },
}

/// Watches over one connection, polled by its task whenever that has nothing else to do.
pub(super) struct Patience {
    limits: Limits,
    activity: Arc<Activity>,
    armed: Option<Wait>,
    /// When what is waited for has taken too long; the timer may stand before it, never behind.
    until: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) fn new(limits: Limits, activity: Arc<Activity>) -> Self {
        Self { limits, activity, armed: None, until: Instant::now(), timer: None }
    }

    /// Ready when what the connection waits for has taken too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(wait) = self.activity.waits_for() else {
            self.armed = None;
            return Poll::Pending;
        };
        if self.armed != Some(wait) {
            let limit = match wait {
                Wait::Head { .. } => self.limits.head,
                Wait::Idle { .. } => self.limits.idle,
                Wait::Room { .. } => self.limits.write,
            };
            self.until = Instant::now() + limit;
            self.armed = Some(wait);
        }
        self.poll_timer(cx)
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        poll_until(timer.as_mut(), until, cx)
    }
}

/// A connection's bytes; tells its activity when some come outside of a call, since then a head has begun, and
/// whether written ones find room.
pub(super) struct Observed<I> {
    io: I,
    activity: Arc<Activity>,
}

impl<I> Observed<I> {
    pub(super) fn new(io: I, activity: Arc<Activity>) -> Self {
        Self { io, activity }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Observed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        if buf.filled().len() > before && !self.activity.untimed() {
            self.activity.head_begins();
        }
        Poll::Ready(outcome)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Observed<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.activity.write(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.activity.write(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
