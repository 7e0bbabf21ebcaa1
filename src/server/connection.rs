//! One connection: hyper with every cap set, each request checked and counted, closed as the drain says.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};

use super::checks::{Malformed, check, strip_upgrade};
use super::counted::{Content, Counted, InFlight};
use super::drain::{Drain, Phase};
use super::stall::unless_stalled;
use super::timeouts::{Activity, Limits, Observed, Patience};
use crate::dialect::Dialect;
use crate::dialect::paths::face;
use crate::tasks::Tasks;

/// The largest request head, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// HTTP/2 streams of one connection at a time.
const MAX_STREAMS: u32 = 200;
/// Streams the peer opened and reset before we looked at them (CVE-2023-44487, "rapid reset"), and streams we
/// reset for the peer's faults (CVE-2025-8671, "made you reset"): beyond these the connection is closed.
const MAX_RESETS: usize = 50;
/// HTTP/2 pings find a dead peer within the sum of these.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWERED_WITHIN: Duration = Duration::from_secs(20);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The remote address; an IPv4 one that came over an IPv6 socket is in its IPv4 form.
    pub address: SocketAddr,
}

impl Peer {
    /// The peer at an address.
    pub fn new(address: SocketAddr) -> Self {
        Self { address: SocketAddr::new(address.ip().to_canonical(), address.port()) }
    }

    /// Whether the peer shares our network namespace: in a pod, its other containers.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }
}

/// How a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether a connection that starts with HTTP/2's preface is served; else it is closed.
    pub h2c: bool,
    /// How long a request's head may take, from its first byte; a connection's first, from the accept.
    pub head_timeout: Duration,
    /// How long a connection without a call stays open.
    pub idle_timeout: Duration,
    /// How long a caller may take nothing of what is written for it: its connection is closed then, or its HTTP/2
    /// stream reset, and the call dropped. What counts is what the system's buffer, or the stream's window, lets go.
    pub write_stall: Duration,
}

impl Default for Settings {
    /// HTTP/1.1 only. The idle timeout outlasts the pools of common clients (Go and reqwest keep 90 s): where the
    /// server closes first, a POST sent at that moment is lost.
    fn default() -> Self {
        Self {
            h2c: false,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(600),
            write_stall: Duration::from_secs(60),
        }
    }
}

/// What answers requests. Every `Fn(Request<Incoming>, Peer) -> impl Future<Output = Response<impl Body>>` does.
///
/// The future is dropped when the caller leaves; the body too. Both therefore undo in `Drop` what must be undone.
pub trait Service: Clone + Send + Sync + 'static {
    /// The body of an answer. An error breaks the connection off.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
    /// One call, up to its answer's head.
    type Answer: Future<Output = Response<Self::Body>> + Send + 'static;

    /// Answers one request, whose head is well-formed ([`super::check`]).
    fn answer(&self, request: Request<Incoming>, peer: Peer) -> Self::Answer;
}

impl<S, F, B> Service for S
where
    S: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
    type Answer = F;

    fn answer(&self, request: Request<Incoming>, peer: Peer) -> F {
        self(request, peer)
    }
}

/// Serves one connection until it closes. `serve` does this for each that it accepts; over an in-memory duplex it
/// serves a test under a paused clock.
///
/// Dropping the future closes the connection and drops its calls (HTTP/2's run as `tasks`, and end too).
pub async fn serve_io<I, S>(io: I, peer: Peer, service: S, settings: Settings, drain: Drain, tasks: Tasks)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service,
{
    Connection { peer, service, settings, drain, tasks, last: false }.run(io).await;
}

/// One connection to be.
pub(super) struct Connection<S> {
    pub(super) peer: Peer,
    pub(super) service: S,
    pub(super) settings: Settings,
    pub(super) drain: Drain,
    pub(super) tasks: Tasks,
    /// It was waiting when accepting ended: it gets one answer, and then closes.
    pub(super) last: bool,
}

impl<S: Service> Connection<S> {
    pub(super) async fn run<I>(self, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let _open = self.drain.open();
        let activity = Arc::new(Activity::default());
        let Settings { h2c, head_timeout, idle_timeout, write_stall } = self.settings;
        let limits = Limits { head: head_timeout, idle: idle_timeout, write: write_stall };
        let io = TokioIo::new(Observed::new(io, Arc::clone(&activity)));
        let patience = Patience::new(limits, Arc::clone(&activity));
        let (last, drain, tasks) = (self.last, self.drain.clone(), self.tasks.clone());
        let service = service_fn(move |request| self.respond(request, &activity));
        if h2c {
            let builder = either_version(StreamTasks { tasks, drain: drain.clone(), write_stall }, !last);
            let connection = builder.serve_connection(io, service).into_owned();
            follow(connection, |c| c.graceful_shutdown(), patience, &drain, last).await;
        } else {
            let connection = http1_only(!last).serve_connection(io, service);
            follow(connection, |c| c.graceful_shutdown(), patience, &drain, last).await;
        }
    }

    fn respond(
        &self,
        mut request: Request<Incoming>,
        activity: &Arc<Activity>,
    ) -> impl Future<Output = Result<Response<Counted<S::Body>>, Infallible>> + Send + use<S> {
        let version = request.version();
        let in_flight = InFlight { _call: self.drain.call(), _busy: activity.begin(version) };
        let checked = check(&request);
        strip_upgrade(request.headers_mut());
        let answer = match checked {
            Ok(()) => Answer::Service { future: self.service.answer(request, self.peer) },
            Err(malformed) => Answer::Own { malformed, face: face(request.uri().path(), request.headers()) },
        };
        Answering { answer, in_flight: Some(in_flight), drain: self.drain.clone(), version }
    }
}

pin_project! {
    /// One call, up to its answer's head.
    ///
    /// Written out because an `async` block would hold the service's future twice, as it is captured and as it is
    /// awaited, and hyper moves all of it for each call and keeps the room as long as the connection lives.
    struct Answering<F> {
        #[pin]
        answer: Answer<F>,
        in_flight: Option<InFlight>,
        drain: Drain,
        version: Version,
    }
}

pin_project! {
    #[project = AnswerProjection]
    enum Answer<F> {
        Own { malformed: Malformed, face: Dialect },
        Service { #[pin] future: F },
    }
}

impl<F, B> Future for Answering<F>
where
    F: Future<Output = Response<B>>,
{
    type Output = Result<Response<Counted<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match this.answer.project() {
            AnswerProjection::Service { future } => {
                ready!(future.poll(cx)).map(|body| Content::Service { body })
            }
            AnswerProjection::Own { malformed, face } => {
                malformed.response(*face).map(|body| Content::Own { body })
            }
        };
        let in_flight = this.in_flight.take();
        if *this.version == Version::HTTP_2 {
            // HTTP/2 says it by GOAWAY; the header would be malformed there (RFC 9113 8.2.2).
            response.headers_mut().remove(CONNECTION);
            return Poll::Ready(Ok(response.map(|content| Counted::in_pieces(content, in_flight))));
        }
        if this.drain.phase() >= Phase::Leaving {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response.map(|content| Counted::whole(content, in_flight))))
    }
}

/// No header timeout of hyper's: `timeouts` has a better one. 100 headers is hyper's own cap.
fn http1_only(keep_alive: bool) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD)
        .half_close(false)
        .keep_alive(keep_alive);
    builder
}

fn either_version(tasks: StreamTasks, keep_alive: bool) -> auto::Builder<StreamTasks> {
    let mut builder = auto::Builder::new(tasks);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        // This builder has no cap for heads alone; its buffer's is one.
        .max_buf_size(MAX_HEAD)
        .half_close(false)
        .keep_alive(keep_alive);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWERED_WITHIN);
    builder
}

/// Polls a connection to its end, which the drain or a lack of patience may bring about.
async fn follow<C, E>(
    connection: C,
    close: impl Fn(Pin<&mut C>),
    mut patience: Patience,
    drain: &Drain,
    last: bool,
) where
    C: Future<Output = Result<(), E>>,
{
    let mut connection = pin!(connection);
    let mut watch = drain.watch();
    // The last connections close by themselves after one answer: told to close, hyper would not even read it.
    let mut told = last;
    poll_fn(|cx| {
        let phase = watch.poll(cx);
        if phase == Phase::Cut {
            return Poll::Ready(());
        }
        // Polled first: a request that has arrived becomes a call, which is finished before the close.
        // How a connection ends is its caller's business; what calls came to is logged where they are settled.
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if phase == Phase::Closing && !told {
            told = true;
            close(connection.as_mut());
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        patience.poll(cx)
    })
    .await;
}

/// Starts the tasks that hyper makes of HTTP/2 streams; each ends at the cut, or when its caller takes nothing.
#[derive(Clone)]
struct StreamTasks {
    tasks: Tasks,
    drain: Drain,
    write_stall: Duration,
}

impl<F> hyper::rt::Executor<F> for StreamTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (drain, write_stall) = (self.drain.clone(), self.write_stall);
        self.tasks.spawn("h2 stream", async move {
            tokio::select! {
                () = unless_stalled(stream, write_stall) => {}
                () = drain.reached(Phase::Cut) => {}
            }
        });
    }
}
