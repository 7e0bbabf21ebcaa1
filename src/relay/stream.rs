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
use super::outcome::{Failure, Timer, Verdict, judge_in_answer};
use crate::clock::{Instant, poll_until};
use crate::dialect::Api;
use crate::dialect::error::{Cause, Problem, Said, stream_event};
use crate::dialect::stream::{StreamEnd, StreamReader};
use crate::net::upstream::UpstreamBody;
use crate::units::Tokens;

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

    impl PinnedDrop for RelayedBody {
        /// Left by its caller, the call has cost what its provider reported so far.
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.call.learns(this.kind);
        }
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
        body.call.goes_on();
        let length = body.first.as_ref().map_or(0, Bytes::len);
        body.call.sends(length, last_bytes);
        if body.kind.is_over() {
            body.call.settle_answer(&body.kind, last_bytes);
        }
        body
    }

    /// The next bytes for the caller; none when the answer is over.
    pub(super) fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        let this = self.as_mut().project();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(upstream) = this.upstream.as_mut() else {
            return Poll::Ready(None);
        };
        let pulled = this.kind.pull(upstream, cx);
        if pulled.came {
            // Also what is held back or hidden: the provider is not silent.
            *this.last_bytes = this.call.relay.clock.now();
        }
        match pulled.end {
            Some(end) => Poll::Ready(self.end(pulled.bytes, end)),
            // A caller that reads slowly finds bytes whenever it looks, and never asks the timer.
            None if pulled.came && *this.last_bytes >= *this.deadline => {
                Poll::Ready(self.end(pulled.bytes, Err(Failure::TimedOut(Timer::Total))))
            }
            None if pulled.bytes.is_empty() => {
                let rung = poll_timer(this.timer, *this.last_bytes + *this.idle, *this.deadline, cx);
                rung.map(|timer| self.end(pulled.bytes, Err(Failure::TimedOut(timer))))
            }
            None => {
                let bytes = pulled.bytes.freeze();
                this.call.sends(bytes.len(), *this.last_bytes);
                if this.kind.is_over() {
                    this.call.settle_answer(this.kind, *this.last_bytes);
                }
                Poll::Ready(Some(Ok(bytes)))
            }
        }
    }

    /// Settles the call and gives the last bytes: what came at the end, and where it broke the event that tells so.
    fn end(
        self: Pin<&mut Self>,
        mut last: Merged,
        end: Result<(), Failure>,
    ) -> Option<Result<Bytes, BrokenOff>> {
        let this = self.project();
        let now = this.call.relay.clock.now();
        // Dropped first: a broken connection is closed and a good one back in its pool before the end shows.
        *this.upstream = None;
        // After its last event an answer is whole, however its provider then closes.
        let failure = end.err().filter(|_| !this.kind.is_over());
        if let Some(failure) = failure {
            let Some(event) = this.kind.broken(failure) else {
                this.call.settle(End::Interrupted(failure), now);
                return Some(Err(BrokenOff));
            };
            last.push(event);
        }
        let bytes = last.freeze();
        this.call.sends(bytes.len(), now);
        match failure {
            None => this.call.settle_answer(this.kind, now),
            Some(failure) => {
                this.call.learns(this.kind);
                this.call.settle(End::Interrupted(failure), now);
            }
        }
        (!bytes.is_empty()).then_some(Ok(bytes))
    }
}

/// What one look at the provider gave.
struct Pulled {
    /// What may go on.
    bytes: Merged,
    /// Whether anything came at all.
    came: bool,
    /// How the answer ended, if it has.
    end: Option<Result<(), Failure>>,
}

impl Call {
    /// Notes what a stream has said so far.
    fn learns(&mut self, kind: &Kind) {
        if let Kind::Events { reader, .. } = kind {
            self.used(reader.usage());
            // An event is a token, more or less; some servers send several in one.
            self.counts(Tokens(reader.events()));
            self.observes(|| reader.facts().cloned().unwrap_or_default());
        }
    }

    /// Settles an answer that came to its own end.
    fn settle_answer(&mut self, kind: &Kind, now: Instant) {
        self.learns(kind);
        let end = match kind {
            // Nothing but a refusal of the call: as good as an error status.
            Kind::Events { reader, .. } if is_refusal(reader) => End::Returned,
            Kind::Events { .. } | Kind::Bytes => kind.error_said().map_or(End::Answered, End::ErrorEvent),
        };
        self.settle(end, now);
    }
}

impl Kind {
    /// Takes whatever is there already, up to about [`MERGED`] bytes.
    fn pull(&mut self, upstream: &mut UpstreamBody, cx: &mut Context<'_>) -> Pulled {
        let mut pulled = Pulled { bytes: Merged::default(), came: false, end: None };
        while pulled.end.is_none() && pulled.bytes.len() < MERGED {
            match Pin::new(&mut *upstream).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    pulled.came = true;
                    match self.pass(bytes) {
                        Ok(bytes) => pulled.bytes.push(bytes),
                        Err(failure) => pulled.end = Some(Err(failure)),
                    }
                }
                Poll::Ready(Some(Err(_))) => pulled.end = Some(Err(Failure::Cut)),
                Poll::Ready(None) => {
                    let (bytes, end) = self.finish();
                    pulled.bytes.push(bytes);
                    pulled.end = Some(end);
                }
            }
        }
        pulled
    }

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

    /// What the provider's own error said, if there was one.
    fn error_said(&self) -> Option<Said> {
        match self {
            Self::Events { reader, .. } => {
                reader.seen().error.then(|| reader.error_said().unwrap_or(Said::Nothing))
            }
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
            | Failure::Unsent(_)
            | Failure::TooSlow
            | Failure::Error(..)
            | Failure::StrangeStatus(_)
            | Failure::WrongType
            | Failure::NoAnswer
            | Failure::Cut => "The provider's answer broke off.",
        };
        match self {
            Self::Bytes => None,
            Self::Events { api, .. } => {
                let problem = Problem { cause: Cause::StreamInterrupted, message, param: None, wait: None };
                Some(stream_event(*api, &problem))
            }
        }
    }
}

/// Whether a stream says nothing but what its caller did wrong, or what its provider will not answer.
fn is_refusal(reader: &StreamReader) -> bool {
    let said = reader.error_said().filter(|_| reader.error_before_content());
    said.is_some_and(|said| judge_in_answer(said) == Verdict::Return)
}

/// One timer for both limits: which of them it was.
fn poll_timer(
    timer: Pin<&mut Sleep>,
    silent_at: Instant,
    deadline: Instant,
    cx: &mut Context<'_>,
) -> Poll<Timer> {
    let (at, which) =
        if silent_at < deadline { (silent_at, Timer::StreamIdle) } else { (deadline, Timer::Total) };
    poll_until(timer, at, cx).map(|()| which)
}

/// Pieces of an answer as one: a single piece is not copied.
#[derive(Default)]
pub(super) struct Merged {
    one: Bytes,
    many: BytesMut,
}

impl Merged {
    pub(super) fn push(&mut self, bytes: Bytes) {
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

    pub(super) fn len(&self) -> usize {
        if self.many.is_empty() { self.one.len() } else { self.many.len() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn freeze(self) -> Bytes {
        if self.many.is_empty() { self.one } else { self.many.freeze() }
    }
}
