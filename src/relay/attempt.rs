//! One try at one target, up to the point where its answer may go to the caller.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use pin_project_lite::pin_project;

use super::crossing::Crossing;
use super::outcome::{Failure, Timer, Verdict, judge, judge_in_answer};
use super::receive::Asked;
use super::refusal::retry_hint;
use super::shape::Outgoing;
use super::timers::{Late, Until};
use super::{Relay, commit, shape};
use crate::clock::Instant;
use crate::dialect::edit::Cap;
use crate::dialect::edit::truncate::Truncation;
use crate::dialect::error::{self, Cause, Problem, Said};
use crate::dialect::plain::{self, AnswerFault};
use crate::dialect::stream::StreamReader;
use crate::dialect::translate::{self, NoAnswer, Stamp, embeddings};
use crate::dialect::{Api, Dialect};
use crate::ids::RequestId;
use crate::net::body::{Prefix, read_prefix};
use crate::net::decode::decoding;
use crate::net::headers;
use crate::net::upstream::{SendError, UpstreamBody};
use crate::policy::snapshot::{ProviderKey, Target};
use crate::usage::Usage;

/// A plain answer up to this size is held until it is complete; over that it is passed on.
const HELD_ANSWER: usize = 8 * 1024 * 1024;
/// The longest error of a provider that is passed on.
const HELD_ERROR: usize = 256 * 1024;
/// How long the words of an error are waited for; its status tells enough.
const ERROR_WITHIN: Duration = Duration::from_secs(5);

/// What a try takes.
pub(super) struct Attempt<'a> {
    pub(super) relay: &'a Relay,
    pub(super) asked: &'a Asked,
    pub(super) from_caller: &'a HeaderMap,
    /// What the provider is told of the trace.
    pub(super) traceparent: Option<HeaderValue>,
    pub(super) target: &'a Target,
    /// Which of the provider's keys it carries.
    pub(super) key: &'a ProviderKey,
    /// Which version of that key's secret: what is said of it is not said of the next.
    pub(super) key_version: AtomicU64,
    /// When the try began.
    pub(super) begun: Instant,
    /// When the whole call is over.
    pub(super) deadline: Instant,
    /// The bound on output to write into the request.
    pub(super) cap: Option<Cap>,
    /// What of the request's messages is left out.
    pub(super) cut: Option<Box<Truncation>>,
    /// What is sent in its place where another dialect is spoken.
    pub(super) crossing: Option<Box<Crossing>>,
    /// The call's own id, and when it began: what a translated answer is told apart by.
    pub(super) id: RequestId,
    pub(super) created: i64,
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
    /// When the first token came, or the whole of a plain answer.
    first: AtomicU64,
    /// Whether a connection has taken the request.
    handed_over: AtomicBool,
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

    /// Whether a connection has taken the request, so that the provider may have it.
    pub(super) fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Relaxed)
    }

    /// How long it took from the request handed over to the first token, or to the whole of a plain answer.
    pub(super) fn first(&self) -> Option<Duration> {
        let first = self.first.load(Ordering::Relaxed);
        (first > 0).then(|| Duration::from_nanos(first.saturating_sub(self.from.load(Ordering::Relaxed))))
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

    /// Whether some of it has not come yet.
    pub(super) fn goes_on(&self) -> bool {
        match self.body {
            AnswerBody::Stream { .. } | AnswerBody::Large { .. } => true,
            AnswerBody::Whole { .. } => false,
        }
    }

    /// Whether it is an error, by its status or by its words.
    pub(super) fn is_error(&self) -> bool {
        !self.status.is_success() || matches!(self.body, AnswerBody::Whole { error: true, .. })
    }
}

/// The body of an answer.
pub(super) enum AnswerBody {
    /// Complete; it may be an error inside a 200.
    Whole { bytes: Bytes, usage: Option<Usage>, error: bool },
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
    /// The provider's own error, where it sent one.
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
        let timeouts = &self.target.timeouts;
        if self.asked.facts.stream {
            let sent = pin!(self.send());
            let response = self.within(self.begun + timeouts.first_token, Timer::FirstToken, sent).await??;
            self.stream(response).await
        } else {
            // Pinned where it is made: to hand it on would copy all of it.
            let answer = pin!(async { self.plain(self.send().await?).await });
            self.within(self.begun + timeouts.answer, Timer::Answer, answer).await?
        }
    }

    async fn send(&self) -> Result<Response<UpstreamBody>, Lost> {
        let shared = &self.relay.shared;
        let told = self.traceparent.as_ref();
        let Self { asked, cap, key, .. } = *self;
        let (cut, crossing) = (self.cut.as_deref(), self.crossing.as_deref());
        let outgoing = Outgoing { asked, model: &self.target.model, key, cap, cut, crossing };
        let (request, version) = shape::request(&outgoing, self.from_caller, told, &shared.secrets)?;
        self.key_version.store(version, Ordering::Relaxed);
        let endpoint = &self.target.model.provider.endpoint;
        self.now_in(&self.waited.from);
        let handed_over = || self.waited.handed_over.store(true, Ordering::Relaxed);
        let connect = self.target.timeouts.connect;
        let sent = self.relay.upstream.send_telling(endpoint, request, connect, handed_over).await;
        sent.map_err(|error| {
            let lost = Lost::from(Failure::Connection(error.stage));
            Lost { cause: Some(error), ..lost }
        })
    }

    async fn plain(&self, response: Response<UpstreamBody>) -> Result<Answer, Lost> {
        let (status, headers, body) = match self.judged(response).await? {
            Judged::Returned(answer) => return Ok(*answer),
            Judged::Answer(status, headers, body) => (status, headers, body),
        };
        expect_type(&headers, b"application/json")?;
        let read = read_prefix(body, HELD_ANSWER, &self.relay.shared.budget).await;
        self.now_in(&self.waited.to);
        match read.map_err(|_| Failure::Cut)? {
            Prefix::Whole(bytes) => self.whole(status, headers, bytes),
            // What is too large to be held cannot be read as a whole either.
            Prefix::Part { .. } if self.crossing.is_some() => Err(Failure::NoAnswer.into()),
            Prefix::Part { first, rest } => {
                self.now_in(&self.waited.first);
                Ok(Answer { status, headers, body: AnswerBody::Large { first, rest } })
            }
        }
    }

    /// A complete plain answer of status 200, in the caller's dialect.
    fn whole(&self, status: StatusCode, headers: HeaderMap, bytes: Bytes) -> Result<Answer, Lost> {
        let (api, dialect) = (self.api(), self.dialect());
        let headers = if self.crossing.is_some() { across(&headers, JSON) } else { headers };
        match plain::judge(api, &bytes) {
            Ok(()) => {
                let usage = plain::usage(api, &bytes);
                if usage.is_none() && plain::is_cut(&bytes) {
                    return Err(Failure::NoAnswer.into());
                }
                let bytes = self.said_to_caller(bytes)?;
                self.now_in(&self.waited.first);
                Ok(Answer { status, headers, body: AnswerBody::Whole { bytes, usage, error: false } })
            }
            Err(AnswerFault::Error) => {
                self.error_in_answer(error::said(dialect, &bytes), error::retry_after(dialect, &bytes))?;
                let (status, bytes) = match &self.crossing {
                    None => (status, bytes),
                    Some(_) => error::revoiced(dialect, None, &bytes, self.asked.api.dialect()),
                };
                self.now_in(&self.waited.first);
                Ok(Answer { status, headers, body: AnswerBody::Whole { bytes, usage: None, error: true } })
            }
            Err(AnswerFault::Empty) => Err(Failure::Empty.into()),
            Err(AnswerFault::NotJson) => Err(Failure::NoAnswer.into()),
        }
    }

    fn said_to_caller(&self, bytes: Bytes) -> Result<Bytes, Failure> {
        let (api, asked) = (self.api(), self.asked);
        if self.crossing.is_none() {
            return Ok(bytes);
        }
        let model = asked.model();
        let id = self.id.hex();
        let stamp = self.stamp(&id, &model);
        let answer = if api.has_output() {
            translate::answer(api, asked.api, &bytes, &stamp)
        } else {
            embeddings::answer(api, asked.api, &bytes, asked.body(), &stamp)
        };
        answer.map_err(|NoAnswer| Failure::NoAnswer)
    }

    /// The operation by which the provider is asked.
    pub(super) fn api(&self) -> Api {
        self.crossing.as_ref().map_or(self.asked.api, |crossing| crossing.api)
    }

    /// What the provider speaks.
    fn dialect(&self) -> Dialect {
        self.target.model.provider.dialect
    }

    /// What a translated answer is told apart by.
    pub(super) fn stamp<'s>(&self, id: &'s [u8; 32], model: &'s str) -> Stamp<'s> {
        Stamp {
            id: str::from_utf8(id).unwrap_or_default(),
            created: self.created,
            model,
            include_usage: self.asked.facts.asks_usage,
        }
    }

    async fn stream(&self, response: Response<UpstreamBody>) -> Result<Answer, Lost> {
        let until = self.begun + self.target.timeouts.first_token;
        let judged = self.within(until, Timer::FirstToken, pin!(self.judged(response))).await??;
        let (status, headers, rest) = match judged {
            Judged::Returned(answer) => return Ok(*answer),
            Judged::Answer(status, headers, body) => (status, headers, body),
        };
        expect_type(&headers, b"text/event-stream")?;
        let headers = if self.crossing.is_some() { across(&headers, EVENTS) } else { headers };
        let body = commit::first_words(self, rest).await?;
        Ok(Answer { status, headers, body })
    }

    /// What an error inside a 200 comes to: fine, if it is the caller's own fault.
    pub(super) fn error_in_answer(&self, said: Said, retry_after: Option<Duration>) -> Result<(), Lost> {
        match judge_in_answer(said) {
            Verdict::Answer | Verdict::Return => Ok(()),
            Verdict::Failed(failure) => Err(Lost { retry_after, ..Lost::from(failure) }),
        }
    }

    /// Sorts a response by its status and, of an error, by its words.
    async fn judged(&self, response: Response<UpstreamBody>) -> Result<Judged, Lost> {
        let (mut head, body) = response.into_parts();
        // Compressed though we asked for it plain: what cannot be read cannot be judged either.
        let body = decoding(&mut head.headers, body).map_err(|_| Failure::WrongType);
        if head.status.is_success() {
            return Ok(Judged::Answer(head.status, head.headers, body?));
        }
        let retry_after = headers::retry_after(&head.headers, self.relay.clock.wall());
        let words = match body {
            // Boxed: an error is rare, and every try would carry its room.
            Ok(body) => Box::pin(self.words(body)).await,
            Err(_) => None,
        };
        let said = words.as_deref().map_or(Said::Nothing, |words| error::said(self.dialect(), words));
        match judge(head.status, said) {
            Verdict::Answer | Verdict::Return => {
                // The status alone says whose fault it is.
                Ok(Judged::Returned(Box::new(self.error_of(
                    head.status,
                    head.headers,
                    words.unwrap_or_default(),
                ))))
            }
            Verdict::Failed(failure) => {
                let in_body = || error::retry_after(self.dialect(), words.as_deref()?);
                let retry_after = retry_after.or_else(in_body);
                let error = self.error_of(head.status, head.headers, words.unwrap_or_default());
                Err(Lost { retry_after, error: Some(Box::new(error)), ..Lost::from(failure) })
            }
        }
    }

    /// A provider's error as an answer: its own status, and its own words where they are an error of its dialect. An HTML
    /// page of something in between would reach the caller's SDK as nonsense. In another dialect it is said anew.
    fn error_of(&self, status: StatusCode, headers: HeaderMap, words: Bytes) -> Answer {
        let (api, face) = (self.api(), self.asked.api.dialect());
        let is_error = is_error(api, &headers, &words);
        let (status, headers, bytes) = if is_error && self.crossing.is_none() {
            (status, headers, words)
        } else if is_error {
            let (status, bytes) = error::revoiced(self.dialect(), Some(status), &words, face);
            let mut headers = across(&headers, JSON);
            // Where callers of this dialect look for it.
            if let Some(wait) = error::retry_after(self.dialect(), &words)
                && !headers.contains_key(RETRY_AFTER)
                && let Some(hint) = retry_hint(wait)
            {
                headers.insert(RETRY_AFTER, hint);
            }
            (status, headers, bytes)
        } else {
            let message = format!(
                "The provider answered with status {} and without an error of its own.",
                status.as_u16()
            );
            let problem =
                Problem { cause: Cause::UpstreamFailed, message: &message, param: None, wait: None };
            (status, across(&headers, JSON), error::body(face, &problem))
        };
        Answer { status, headers, body: AnswerBody::Whole { bytes, usage: None, error: true } }
    }

    /// The body of an error, if it comes soon and is not too long.
    async fn words(&self, body: UpstreamBody) -> Option<Bytes> {
        let reading = pin!(read_prefix(body, HELD_ERROR, &self.relay.shared.budget));
        let soon = self.relay.clock.now() + ERROR_WITHIN;
        match self.relay.timers.until(soon, reading).await {
            Ok(Ok(Prefix::Whole(bytes))) => Some(bytes),
            Ok(Ok(Prefix::Part { .. }) | Err(_)) | Err(Late) => None,
        }
    }

    pub(super) fn now_in(&self, moment: &AtomicU64) {
        moment.store(nanos(self.relay.clock.now() - self.begun).max(1), Ordering::Relaxed);
    }

    /// Gives `what` its time: until `own`, but not beyond the call's own deadline.
    pub(super) fn within<F: Future>(&self, own: Instant, timer: Timer, what: F) -> Within<'_, F> {
        let (until, timer) = if own < self.deadline { (own, timer) } else { (self.deadline, Timer::Total) };
        Within { what: self.relay.timers.until(until, what), timer }
    }
}

impl Waited {
    /// What came last of the stream decides nothing: it waits further, be it until its timer rings.
    pub(super) fn waits_on(&self) {
        self.to.store(0, Ordering::Relaxed);
    }

    /// Something came.
    pub(super) fn came(&self) -> &AtomicU64 {
        &self.to
    }

    /// The first token came.
    pub(super) fn spoke(&self) -> &AtomicU64 {
        &self.first
    }
}

pin_project! {
    /// A step and its timer. Written out because an `async fn` would hold the step twice, as argument and as awaited.
    pub(super) struct Within<'a, F> {
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

enum Judged {
    Answer(StatusCode, HeaderMap, UpstreamBody),
    Returned(Box<Answer>),
}

fn is_error(api: Api, headers: &HeaderMap, body: &[u8]) -> bool {
    expect_type(headers, b"application/json").is_ok()
        && match plain::judge(api, body) {
            Ok(()) | Err(AnswerFault::Error) => true,
            // Google sends one in a list now and then, which its SDKs take off.
            Err(AnswerFault::NotJson) => {
                api.dialect() == Dialect::Gemini && body.trim_ascii_start().starts_with(b"[")
            }
            Err(AnswerFault::Empty) => false,
        }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// The head of a body that we have written, of this type, in place of the provider's.
fn across(from_provider: &HeaderMap, kind: HeaderValue) -> HeaderMap {
    let mut headers = headers::across(from_provider);
    headers.insert(CONTENT_TYPE, kind);
    headers
}

/// A missing content type is let pass: some servers of this dialect send none, and the body is judged anyway.
fn expect_type(headers: &HeaderMap, expected: &[u8]) -> Result<(), Failure> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let media_type = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if media_type.eq_ignore_ascii_case(expected) { Ok(()) } else { Err(Failure::WrongType) }
}
