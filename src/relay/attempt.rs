//! One try at one target, up to the point where its answer may go to the caller.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use pin_project_lite::pin_project;

use super::outcome::{Failure, Timer, Verdict, judge};
use super::receive::Asked;
use super::shape::Outgoing;
use super::timers::{Late, Until};
use super::{Relay, shape};
use crate::clock::Instant;
use crate::dialect::Dialect;
use crate::dialect::edit::Cap;
use crate::dialect::error::{self, Cause, Problem};
use crate::dialect::openai::stream::StreamReader;
use crate::dialect::openai::usage::{AnswerFault, in_answer, judge_answer};
use crate::net::body::{BufferBudget, Prefix, read_prefix};
use crate::net::headers;
use crate::net::upstream::{SendError, UpstreamBody};
use crate::policy::snapshot::{Model, Timeouts};
use crate::usage::Usage;

/// A plain answer up to this size is held until it is complete; over that it is passed on.
const HELD_ANSWER: usize = 8 * 1024 * 1024;
/// The longest error of a provider that is passed on.
const HELD_ERROR: usize = 256 * 1024;

/// What a try takes.
pub(super) struct Attempt<'a> {
    pub(super) relay: &'a Relay,
    pub(super) asked: &'a Asked,
    pub(super) from_caller: &'a HeaderMap,
    /// What the provider is told of the trace.
    pub(super) traceparent: Option<HeaderValue>,
    pub(super) target: &'a Model,
    pub(super) timeouts: Timeouts,
    /// When the try began.
    pub(super) begun: Instant,
    /// When the whole call is over.
    pub(super) deadline: Instant,
    /// Whether the provider's own error is wanted when it fails: there is no other candidate.
    pub(super) keep_error: bool,
    /// The bound on output to write into the request.
    pub(super) cap: Option<Cap>,
    /// Whether spans are to tell of the answer.
    pub(super) observed: bool,
    /// Since when, and until when, it waited for the provider.
    pub(super) waited: Waited,
}

/// The time in which a try waits for its provider: from the request handed over to the part of the answer that has to
/// be known. Written by one task; atomics, since that task may move between threads.
#[derive(Debug, Default)]
pub(super) struct Waited {
    /// Nanoseconds since the try began.
    from: AtomicU64,
    to: AtomicU64,
}

impl Waited {
    /// How long it was, of a try that lasted so long.
    pub(super) fn of(&self, lasted: Duration) -> Duration {
        let from = self.from.load(Ordering::Relaxed);
        let to = match self.to.load(Ordering::Relaxed) {
            0 => nanos(lasted),
            to => to,
        };
        if from == 0 { Duration::ZERO } else { Duration::from_nanos(to.saturating_sub(from)) }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a provider answered, with nothing of it sent yet.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: AnswerBody,
}

impl Answer {
    /// Whether it is a stream.
    pub(super) fn streams(&self) -> bool {
        match self.body {
            AnswerBody::Stream { .. } => true,
            AnswerBody::Whole { .. } | AnswerBody::Large { .. } => false,
        }
    }
}

/// The body of an answer.
pub(super) enum AnswerBody {
    /// Complete.
    Whole { bytes: Bytes, usage: Option<Usage> },
    /// A plain answer too large to be held: its beginning, and the rest as it comes.
    Large { first: Bytes, rest: UpstreamBody },
    /// The first events of a stream, and the rest as it comes.
    Stream { first: Bytes, rest: UpstreamBody, reader: StreamReader },
}

/// A try that gave nothing to send.
pub(super) struct Lost {
    pub(super) failure: Failure,
    /// How long the provider asks us to wait.
    pub(super) retry_after: Option<Duration>,
    /// The provider's own error, where it was wanted.
    pub(super) error: Option<Box<Answer>>,
    /// What the connection said, for the log.
    pub(super) cause: Option<SendError>,
}

impl From<Failure> for Lost {
    fn from(failure: Failure) -> Self {
        Self { failure, retry_after: None, error: None, cause: None }
    }
}

impl Attempt<'_> {
    /// Sends the request and reads as much of the answer as has to be known before it may be passed on.
    ///
    /// Dropped on the way, the connection to the provider is closed (HTTP/1) or the stream reset (HTTP/2).
    pub(super) async fn run(&self) -> Result<Answer, Lost> {
        if self.asked.facts.stream {
            let sent = pin!(self.send());
            let response =
                self.within(self.begun, Timer::StreamIdle, self.timeouts.stream_idle, sent).await??;
            self.stream(response).await
        } else {
            // Pinned where it is made: to hand it on would copy all of it.
            let answer = pin!(async { self.plain(self.send().await?).await });
            self.within(self.begun, Timer::Answer, self.timeouts.answer, answer).await?
        }
    }

    async fn send(&self) -> Result<Response<UpstreamBody>, Lost> {
        let shared = &self.relay.shared;
        let told = self.traceparent.as_ref();
        let asked = Outgoing { asked: self.asked, target: self.target, cap: self.cap };
        let request = shape::request(&asked, self.from_caller, told, &shared.secrets)?;
        let endpoint = &self.target.provider.endpoint;
        self.now_in(&self.waited.from);
        let sent = self.relay.upstream.send(endpoint, request, self.timeouts.connect).await;
        sent.map_err(|error| {
            let lost = Lost::from(Failure::Connection(error.stage));
            Lost { cause: Some(error), ..lost }
        })
    }

    async fn plain(&self, response: Response<UpstreamBody>) -> Result<Answer, Lost> {
        let (status, headers, body) = match self.judged(response).await? {
            Judged::Returned(answer) => return Ok(answer),
            Judged::Answer(status, headers, body) => (status, headers, body),
        };
        expect_type(&headers, b"application/json")?;
        let read = read_prefix(body, HELD_ANSWER, &self.relay.shared.budget).await;
        self.now_in(&self.waited.to);
        match read.map_err(|_| Failure::Cut)? {
            Prefix::Whole(bytes) => {
                judge_answer(&bytes).map_err(|fault| match fault {
                    AnswerFault::Empty => Failure::Empty,
                    AnswerFault::NotJson | AnswerFault::Error => Failure::NoAnswer,
                })?;
                let usage = in_answer(self.asked.api, &bytes);
                Ok(Answer { status, headers, body: AnswerBody::Whole { bytes, usage } })
            }
            Prefix::Part { first, rest } => {
                Ok(Answer { status, headers, body: AnswerBody::Large { first, rest } })
            }
        }
    }

    async fn stream(&self, response: Response<UpstreamBody>) -> Result<Answer, Lost> {
        let judged = self.idle(self.judged(response)).await??;
        let (status, headers, mut rest) = match judged {
            Judged::Returned(answer) => return Ok(answer),
            Judged::Answer(status, headers, body) => (status, headers, body),
        };
        expect_type(&headers, b"text/event-stream")?;
        let hide = shape::hides_usage(self.asked, &self.target.provider);
        let mut reader = StreamReader::new(self.asked.api, hide);
        if self.observed {
            reader = reader.observing();
        }
        loop {
            let chunk = self.idle(next_data(&mut rest)).await?;
            self.now_in(&self.waited.to);
            match chunk {
                None => return Err(Failure::Empty.into()),
                Some(Err(_)) => return Err(Failure::Cut.into()),
                Some(Ok(bytes)) => {
                    let first = reader.push(bytes).map_err(|_| Failure::NoAnswer)?;
                    let seen = reader.seen();
                    if seen.ended && !seen.any_event {
                        return Err(Failure::Empty.into());
                    }
                    if !first.is_empty() {
                        return Ok(Answer {
                            status,
                            headers,
                            body: AnswerBody::Stream { first, rest, reader },
                        });
                    }
                    // Nothing that may go on: it waits further, be it until its timer rings.
                    self.waited.to.store(0, Ordering::Relaxed);
                }
            }
        }
    }

    /// Sorts a response by its status.
    async fn judged(&self, response: Response<UpstreamBody>) -> Result<Judged, Lost> {
        let (head, body) = response.into_parts();
        let budget = &self.relay.shared.budget;
        match judge(head.status) {
            Verdict::Answer => Ok(Judged::Answer(head.status, head.headers, body)),
            Verdict::Return => Ok(Judged::Returned(error_of(head.status, head.headers, body, budget).await?)),
            Verdict::Next(failure) => {
                let retry_after = headers::retry_after(&head.headers, self.relay.clock.wall());
                let wanted = self.keep_error && matches!(failure, Failure::Status(_));
                let error =
                    if wanted { error_of(head.status, head.headers, body, budget).await.ok() } else { None };
                Err(Lost { failure, retry_after, error: error.map(Box::new), cause: None })
            }
        }
    }

    fn now_in(&self, moment: &AtomicU64) {
        moment.store(nanos(self.relay.clock.now() - self.begun).max(1), Ordering::Relaxed);
    }

    /// Gives `what` the time that a stream may be silent, from now.
    fn idle<F: Future>(&self, what: F) -> Within<'_, F> {
        self.within(self.relay.clock.now(), Timer::StreamIdle, self.timeouts.stream_idle, what)
    }

    /// Gives `what` its time: `limit` from `since`, but not beyond the call's own deadline.
    fn within<F: Future>(&self, since: Instant, timer: Timer, limit: Duration, what: F) -> Within<'_, F> {
        let own = since + limit;
        let (until, timer) = if own < self.deadline { (own, timer) } else { (self.deadline, Timer::Total) };
        Within { what: self.relay.timers.until(until, what), timer }
    }
}

pin_project! {
    /// A step and its timer. Written out because an `async fn` would hold the step twice, as argument and as awaited.
    struct Within<'a, F> {
        #[pin]
        what: Until<'a, F>,
        timer: Timer,
    }
}

impl<F: Future> Future for Within<'_, F> {
    type Output = Result<F::Output, Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.what.poll(cx).map_err(|Late| Failure::TimedOut(*this.timer))
    }
}

/// The next bytes of a body; frames without bytes are passed over.
async fn next_data(body: &mut UpstreamBody) -> Option<Result<Bytes, hyper::Error>> {
    loop {
        match body.frame().await? {
            Ok(frame) => {
                if let Ok(bytes) = frame.into_data() {
                    return Some(Ok(bytes));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

enum Judged {
    Answer(StatusCode, HeaderMap, UpstreamBody),
    Returned(Answer),
}

/// A provider's error as an answer: its own status, and its own words where they are an error of its dialect. An HTML
/// page of something in between would reach the caller's SDK as nonsense.
async fn error_of(
    status: StatusCode,
    headers: HeaderMap,
    body: UpstreamBody,
    budget: &BufferBudget,
) -> Result<Answer, Failure> {
    match read_prefix(body, HELD_ERROR, budget).await {
        Ok(Prefix::Whole(bytes)) => {
            let (headers, bytes) = if is_error(&headers, &bytes) { (headers, bytes) } else { worded(status) };
            Ok(Answer { status, headers, body: AnswerBody::Whole { bytes, usage: None } })
        }
        Ok(Prefix::Part { .. }) => Err(Failure::NoAnswer),
        Err(_) => Err(Failure::Cut),
    }
}

fn is_error(headers: &HeaderMap, body: &[u8]) -> bool {
    expect_type(headers, b"application/json").is_ok()
        && match judge_answer(body) {
            Ok(()) | Err(AnswerFault::Error) => true,
            Err(AnswerFault::Empty | AnswerFault::NotJson) => false,
        }
}

/// An error in the place of one that said nothing.
fn worded(status: StatusCode) -> (HeaderMap, Bytes) {
    let message =
        format!("The provider answered with status {} and without an error of its own.", status.as_u16());
    let problem = Problem { cause: Cause::UpstreamFailed, message: &message, param: None };
    let mut headers = HeaderMap::with_capacity(1);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (headers, error::body(Dialect::OpenAi, &problem))
}

/// A missing content type is let pass: some servers of this dialect send none, and the body is judged anyway. What is
/// compressed though we asked for `identity` cannot be judged.
fn expect_type(headers: &HeaderMap, expected: &[u8]) -> Result<(), Failure> {
    if headers::is_encoded(headers) {
        return Err(Failure::WrongType);
    }
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let media_type = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if media_type.eq_ignore_ascii_case(expected) { Ok(()) } else { Err(Failure::WrongType) }
}
