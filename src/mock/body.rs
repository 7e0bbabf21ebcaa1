//! The body of an answer: events pulled one by one, at the script's pace, until its fault strikes.

use std::convert::Infallible;
use std::future::Future;
use std::iter::Peekable;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::seen::{Ending, Visit};
use crate::clock::Instant;

/// How long a cut waits, so that what was written before it is on the wire.
const FLUSH: Duration = Duration::from_millis(1);

/// One write of an answer.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// Whether it takes the time of a word.
    pub(super) paced: bool,
}

impl Piece {
    pub(super) fn at_once(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), paced: false }
    }

    pub(super) fn word(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), paced: true }
    }
}

pub(super) type Pieces = Box<dyn Iterator<Item = Piece> + Send>;

/// What happens instead of the next piece.
pub(super) enum Strike {
    Reset,
    Stall,
    /// These bytes, if any, and then a clean end.
    Last(Bytes),
}

/// The connection was closed on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the script closed the connection")]
pub(super) struct Cut;

impl From<Infallible> for Cut {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// The body of an answer. It says to the log how it ended, also when it is dropped before.
pub(super) struct AnswerBody {
    pieces: Peekable<Pieces>,
    given: u32,
    strike: Option<(u32, Strike)>,
    pace: Option<Pace>,
    lull: Option<Lull>,
    flush: Option<Pin<Box<Sleep>>>,
    /// Bytes still to come, where the head states them.
    length: Option<u64>,
    done: bool,
    visit: Visit,
}

impl AnswerBody {
    pub(super) fn new(pieces: Pieces, visit: Visit) -> Self {
        Self {
            pieces: pieces.peekable(),
            given: 0,
            strike: None,
            pace: None,
            lull: None,
            flush: None,
            length: None,
            done: false,
            visit,
        }
    }

    /// States the length in the head.
    pub(super) fn of_length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self.note_end();
        self
    }

    /// Lets a fault strike after so many pieces; an answer with fewer ends properly.
    pub(super) fn struck(mut self, after: u32, strike: Strike) -> Self {
        self.strike = Some((after, strike));
        self.done = false;
        self
    }

    /// Lets paced pieces come one a period, the first one period after `now`.
    pub(super) fn paced(mut self, period: Duration, now: Instant) -> Self {
        self.pace = Some(Pace::new(period, now));
        self
    }

    /// Lets the first paced piece wait until then, whatever the pace.
    pub(super) fn lulled(mut self, until: Instant) -> Self {
        self.lull = Some(Lull { over: Box::pin(tokio::time::sleep_until(until)), pings: None });
        self
    }

    /// Sends signs of life during the lull, the first one period after `now`.
    pub(super) fn pinging(mut self, ping: Bytes, period: Duration, now: Instant) -> Self {
        if let Some(lull) = &mut self.lull {
            lull.pings = Some((ping, Pace::new(period, now)));
        }
        self
    }

    fn is_struck(&self) -> bool {
        self.strike.as_ref().is_some_and(|(after, _)| *after <= self.given)
    }

    /// The end is known with the last piece: hyper does not ask again after the stated length. A stream
    /// without a length is asked again, so that one without events has chunked coding all the same.
    fn note_end(&mut self) {
        if !self.is_struck() && self.pieces.peek().is_none() {
            self.done = self.length.is_some();
            self.visit.ended(Ending::Complete);
        }
    }

    /// Waits for the time of a paced piece; before it there may be signs of life.
    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(lull) = &mut self.lull {
            if let Some(ping) = ready!(lull.poll(cx)) {
                return Poll::Ready(Some(ping));
            }
            if let Some(pace) = &mut self.pace {
                // What was not said during the lull is not caught up on.
                pace.timer.as_mut().reset(lull.over.deadline());
            }
            self.lull = None;
        }
        match &mut self.pace {
            Some(pace) => pace.poll(cx).map(|()| None),
            None => Poll::Ready(None),
        }
    }

    fn strike(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.strike {
            // Nobody wakes this: the connection sees for itself that the client leaves.
            None | Some((_, Strike::Stall)) => Poll::Pending,
            Some((_, Strike::Reset)) => {
                let flush = self.flush.get_or_insert_with(|| Box::pin(tokio::time::sleep(FLUSH)));
                ready!(flush.as_mut().poll(cx));
                self.visit.ended(Ending::Cut);
                Poll::Ready(Some(Err(Cut)))
            }
            Some((_, Strike::Last(bytes))) => {
                let bytes = std::mem::take(bytes);
                self.done = true;
                self.visit.ended(Ending::Complete);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let body = self.get_mut();
        if body.done {
            return Poll::Ready(None);
        }
        if body.is_struck() {
            return body.strike(cx);
        }
        if body.pieces.peek().is_some_and(|piece| piece.paced)
            && let Some(ping) = ready!(body.poll_pace(cx))
        {
            return Poll::Ready(Some(Ok(Frame::data(ping))));
        }
        let Some(piece) = body.pieces.next() else {
            body.done = true;
            body.visit.ended(Ending::Complete);
            return Poll::Ready(None);
        };
        body.given += 1;
        body.length = body.length.map(|left| left.saturating_sub(piece.bytes.len() as u64));
        body.note_end();
        Poll::Ready(Some(Ok(Frame::data(piece.bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Silence before the first word.
struct Lull {
    over: Pin<Box<Sleep>>,
    pings: Option<(Bytes, Pace)>,
}

impl Lull {
    /// A sign of life, or none when it is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        match &mut self.pings {
            Some((ping, pace)) => pace.poll(cx).map(|()| Some(ping.clone())),
            None => Poll::Pending,
        }
    }
}

/// One tick a period, without drift. Without a period each tick still waits for what was written before it.
struct Pace {
    timer: Pin<Box<Sleep>>,
    period: Duration,
    flushed: bool,
}

impl Pace {
    fn new(period: Duration, now: Instant) -> Self {
        Self { timer: Box::pin(tokio::time::sleep_until(now + period)), period, flushed: false }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.period.is_zero() {
            self.flushed = !self.flushed;
            if self.flushed {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(());
        }
        ready!(self.timer.as_mut().poll(cx));
        let next = self.timer.deadline() + self.period;
        self.timer.as_mut().reset(next);
        Poll::Ready(())
    }
}
