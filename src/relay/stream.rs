//! An answer on its way to the caller, pulled: no task and no channel between provider and caller.
//!
//! The call settles before its last bytes are handed on. A stream that breaks ends with an error event in the
//! caller's dialect and without its usual last event.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use tokio::time::Sleep;

use super::call::{Call, End};
use super::outcome::{Failure, Timer};
use crate::clock::Instant;
use crate::dialect::error::{Cause, Problem, stream_event};
use crate::dialect::openai::stream::{StreamEnd, StreamReader};
use crate::dialect::{Api, Dialect};
use crate::net::upstream::UpstreamBody;

/// Frames that are there already are passed on as one, up to about this size.
const MERGED: usize = 64 * 1024;

pin_project_lite::pin_project! {
    /// The rest of an answer that has begun.
    pub struct RelayedBody {
        call: Call,
        first: Option<Bytes>,
        upstream: Option<UpstreamBody>,
        kind: Kind,
        #[pin]
        timer: Sleep,
        idle: Duration,
        last_bytes: Instant,
        deadline: Instant,
    }
}

/// What is being passed on.
pub(super) enum Kind {
    /// Events, read as they pass.
    Events { api: Api, reader: StreamReader },
    /// A plain answer too large to be held.
    Bytes,
}

/// The answer broke off where no error event can tell.
#[derive(Debug, thiserror::Error)]
#[error("the provider's answer broke off")]
pub struct BrokenOff;

impl RelayedBody {
    /// Passes on `first`, then what comes from `upstream`, with at most `idle` of silence and until `deadline`.
    pub(super) fn new(
        call: Call,
        kind: Kind,
        first: Bytes,
        upstream: UpstreamBody,
        idle: Duration,
        deadline: Instant,
    ) -> Self {
        let last_bytes = call.relay.clock.now();
        let timer = tokio::time::sleep_until((last_bytes + idle).min(deadline));
        let mut body = Self {
            call,
            first: Some(first),
            upstream: Some(upstream),
            kind,
            timer,
            idle,
            last_bytes,
            deadline,
        };
        let length = body.first.as_ref().map_or(0, Bytes::len);
        body.call.sends(length);
        if body.kind.is_over() {
            body.call.settle_answer(&body.kind);
        }
        body
    }

    /// The next bytes for the caller; none when the answer is over.
    pub(super) fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        let mut this = self.project();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(upstream) = this.upstream.as_mut() else {
            return Poll::Ready(None);
        };
        let mut merged = Merged::default();
        let mut came = false;
        let end = loop {
            match Pin::new(&mut *upstream).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    came = true;
                    match this.kind.pass(bytes) {
                        Ok(bytes) => merged.push(bytes),
                        Err(failure) => break Some(Err(failure)),
                    }
                    if merged.len() >= MERGED {
                        break None;
                    }
                }
                Poll::Ready(Some(Err(_))) => break Some(Err(Failure::Cut)),
                Poll::Ready(None) => {
                    let (bytes, end) = this.kind.finish();
                    merged.push(bytes);
                    break Some(end);
                }
                Poll::Pending => break None,
            }
        };
        if came {
            // Also what is held back or hidden: the provider is not silent.
            *this.last_bytes = this.call.relay.clock.now();
        }
        let end = match end {
            // A caller that reads slowly finds bytes whenever it looks, and never asks the timer.
            None if came && *this.last_bytes >= *this.deadline => Err(Failure::TimedOut(Timer::Total)),
            None if merged.is_empty() => {
                match poll_timer(this.timer.as_mut(), *this.last_bytes, *this.idle, *this.deadline, cx) {
                    Poll::Ready(timer) => Err(Failure::TimedOut(timer)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            None => {
                let bytes = merged.freeze();
                this.call.sends(bytes.len());
                if this.kind.is_over() {
                    this.call.settle_answer(this.kind);
                }
                return Poll::Ready(Some(Ok(bytes)));
            }
            Some(end) => end,
        };
        // After its last event an answer is whole, however its provider then closes.
        let end = if this.kind.is_over() { Ok(()) } else { end };
        // Dropped here, so that a broken connection is closed and a good one is back in its pool before the end shows.
        *this.upstream = None;
        if let Err(failure) = end {
            match this.kind.broken(failure) {
                Some(event) => merged.push(event),
                None => {
                    this.call.settle(End::Interrupted(failure));
                    return Poll::Ready(Some(Err(BrokenOff)));
                }
            }
        }
        let bytes = merged.freeze();
        this.call.sends(bytes.len());
        match end {
            Ok(()) => this.call.settle_answer(this.kind),
            Err(failure) => {
                this.call.used(this.kind.usage());
                this.call.settle(End::Interrupted(failure));
            }
        }
        Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
    }
}

impl Call {
    /// Settles an answer that came to its own end.
    fn settle_answer(&mut self, kind: &Kind) {
        self.used(kind.usage());
        self.settle(if kind.seen_error() { End::ErrorEvent } else { End::Answered });
    }
}

impl Kind {
    /// What may go on of bytes that came.
    fn pass(&mut self, bytes: Bytes) -> Result<Bytes, Failure> {
        match self {
            Self::Events { reader, .. } => reader.push(bytes).map_err(|_| Failure::NoAnswer),
            Self::Bytes => Ok(bytes),
        }
    }

    /// What is left when the provider has closed, and whether the answer is complete.
    fn finish(&mut self) -> (Bytes, Result<(), Failure>) {
        match self {
            Self::Bytes => (Bytes::new(), Ok(())),
            Self::Events { reader, .. } => {
                let (bytes, end) = reader.finish();
                let end = match end {
                    StreamEnd::Complete | StreamEnd::Error => Ok(()),
                    StreamEnd::Empty => Err(Failure::Empty),
                    StreamEnd::Cut => Err(Failure::Cut),
                };
                (bytes, end)
            }
        }
    }

    /// Whether the last event of an answer has passed: a caller may stop reading here and call again.
    fn is_over(&self) -> bool {
        match self {
            Self::Events { reader, .. } => reader.seen().ended && reader.seen().any_event,
            Self::Bytes => false,
        }
    }

    fn seen_error(&self) -> bool {
        match self {
            Self::Events { reader, .. } => reader.seen().error,
            Self::Bytes => false,
        }
    }

    fn usage(&self) -> Option<crate::usage::Usage> {
        match self {
            Self::Events { reader, .. } => reader.usage(),
            Self::Bytes => None,
        }
    }

    /// The event that tells the caller that its stream broke; none where there are no events.
    fn broken(&self, failure: Failure) -> Option<Bytes> {
        let message = match failure {
            Failure::TimedOut(Timer::Total) => "The call took longer than its policy allows.",
            Failure::TimedOut(_) => "The provider fell silent in the middle of its answer.",
            Failure::Empty => "The provider ended its answer without a word.",
            Failure::KeyMissing
            | Failure::Connection(_)
            | Failure::KeyRefused(_)
            | Failure::Status(_)
            | Failure::StrangeStatus(_)
            | Failure::WrongType
            | Failure::NoAnswer
            | Failure::Cut => "The provider's answer broke off.",
        };
        match self {
            Self::Bytes => None,
            Self::Events { api, .. } => {
                let problem = Problem { cause: Cause::StreamInterrupted, message, param: None };
                Some(stream_event(Dialect::OpenAi, *api, &problem))
            }
        }
    }
}

/// One timer for both limits, moved only when it rings: bytes come far more often than it does.
fn poll_timer(
    mut timer: Pin<&mut Sleep>,
    last_bytes: Instant,
    idle: Duration,
    deadline: Instant,
    cx: &mut Context<'_>,
) -> Poll<Timer> {
    loop {
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let rings = timer.deadline();
        if rings >= deadline {
            return Poll::Ready(Timer::Total);
        }
        if rings >= last_bytes + idle {
            return Poll::Ready(Timer::StreamIdle);
        }
        timer.as_mut().reset((last_bytes + idle).min(deadline));
    }
}

/// Pieces of an answer as one: a single piece is not copied.
#[derive(Default)]
struct Merged {
    one: Bytes,
    many: BytesMut,
}

impl Merged {
    fn push(&mut self, bytes: Bytes) {
        if self.is_empty() {
            self.one = bytes;
        } else if !bytes.is_empty() {
            if self.many.is_empty() {
                self.many.reserve(4 * (self.one.len() + bytes.len()));
                self.many.extend_from_slice(&self.one);
            }
            self.many.extend_from_slice(&bytes);
        }
    }

    fn len(&self) -> usize {
        if self.many.is_empty() { self.one.len() } else { self.many.len() }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn freeze(self) -> Bytes {
        if self.many.is_empty() { self.one } else { self.many.freeze() }
    }
}
