//! HTTP/2 connections: shared by calls, driven by a task each.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;

use super::answer::UpstreamBody;
use super::error::{SendError, Stage};
use super::io::Stream;
use super::meters::Open;
use super::pool::Place;
use super::{Outgoing, Settings, Unanswered};
use crate::clock::Instant;
use crate::tasks::Tasks;

/// Streams on one connection, whatever more the peer allows; also what hyper assumes until the
/// peer's SETTINGS came.
const STREAMS_MAX: usize = 100;
/// What a stream may have under way unread: 5 MB/s at a round trip of 50 ms.
const STREAM_WINDOW: u32 = 256 * 1024;
/// As much as all streams together: one caller who does not read never stops the others.
const CONNECTION_WINDOW: u32 = STREAMS_MAX as u32 * STREAM_WINDOW;
/// The largest head that is read.
const HEAD_BYTES_MAX: u32 = 64 * 1024;

type Driver = Connection<TokioIo<Stream>, Full<Bytes>, Spawner>;

/// A shared connection. It ends when every clone and every stream is gone, or with its peer.
#[derive(Clone)]
pub(super) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    /// Held for the peer's limit of streams, which hyper tells nowhere else; none when it is over.
    driver: Arc<Mutex<Option<Driver>>>,
    load: Arc<Load>,
}

struct Load {
    open: AtomicUsize,
    retired: AtomicBool,
    idle_since: Mutex<Instant>,
    _open: Open,
}

/// A place among the streams of a connection, until it is dropped.
pub(super) struct OpenStream {
    load: Arc<Load>,
}

impl Http2 {
    /// Speaks HTTP/2 over a stream and starts the connection's task.
    pub(super) async fn over(stream: Stream, tasks: &Tasks, settings: &Settings) -> hyper::Result<Self> {
        let (sender, driver) = Builder::new(Spawner(tasks.clone()))
            .timer(TokioTimer::new())
            .initial_max_send_streams(STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEAD_BYTES_MAX)
            .keep_alive_interval(settings.ping_interval)
            .keep_alive_timeout(settings.ping_timeout)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await?;
        let driver = Arc::new(Mutex::new(Some(driver)));
        let driven = Arc::clone(&driver);
        let run = poll_fn(move |cx| drive(&mut driven.lock(), cx));
        // Ends with hyper's own task, also when the process stops.
        tasks.spawn("upstream http2", run);
        let load = Arc::new(Load {
            open: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
            idle_since: Mutex::new(Instant::now()),
            _open: Open::count(&settings.meters),
        });
        Ok(Self { sender, driver, load })
    }

    /// Whether it takes new streams at all, now or later.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed() && !self.load.retired.load(Ordering::Relaxed)
    }

    /// Whether one more stream would start at once. Beyond the peer's limit hyper takes requests
    /// all the same, and they wait unseen.
    pub(super) fn has_room(&self) -> bool {
        let Some(limit) = self.driver.lock().as_ref().map(Driver::current_max_send_streams) else {
            return false;
        };
        self.is_open() && self.load.open.load(Ordering::Relaxed) < limit.min(STREAMS_MAX)
    }

    pub(super) fn open_stream(&self) -> OpenStream {
        self.load.open.fetch_add(1, Ordering::Relaxed);
        OpenStream { load: Arc::clone(&self.load) }
    }

    /// Since when it has no stream; none while it has one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.load.open.load(Ordering::Relaxed) == 0).then(|| *self.load.idle_since.lock())
    }

    fn retire(&self) {
        self.load.retired.store(true, Ordering::Relaxed);
    }
}

/// Drives a connection; drops it when it is over, or hyper would go on taking requests for it.
fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) -> Poll<()> {
    if let Some(running) = driver {
        // Its error reaches the streams by itself.
        ready!(Pin::new(running).poll(cx)).ok();
        *driver = None;
    }
    Poll::Ready(())
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if self.load.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            *self.load.idle_since.lock() = Instant::now();
        }
    }
}

/// Starts the tasks that hyper asks for; they end when the process stops.
#[derive(Clone)]
struct Spawner(Tasks);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawner {
    fn execute(&self, task: F) {
        let stopping = self.0.stopping();
        self.0.spawn("upstream http2 frames", async move {
            tokio::select! {
                () = task => {}
                () = stopping => {}
            }
        });
    }
}

/// Sends a request on a stream of its own; resolves with the head of the answer.
///
/// The request is handed over before the first poll, so the future does not carry it about.
pub(super) fn exchange(
    mut http2: Http2,
    stream: OpenStream,
    place: &Arc<Place>,
    request: Outgoing,
) -> impl Future<Output = Result<Response<UpstreamBody>, Unanswered>> {
    // hyper does not give a request back whose stream was refused.
    let again = Box::new(request.clone());
    let head = http2.sender.try_send_request(place.absolute(request));
    async move {
        match head.await {
            Ok(answer) => Ok(answer.map(|incoming| UpstreamBody::http2(incoming, stream))),
            Err(failed) => Err(unanswered(failed, again, &http2, place)),
        }
    }
}

fn unanswered(
    failed: TrySendError<Outgoing>,
    again: Box<Outgoing>,
    http2: &Http2,
    place: &Place,
) -> Unanswered {
    let unsent = failed.message().is_some();
    let error = failed.into_error();
    let unprocessed = unsent || is_unprocessed(&error);
    let stage = if unprocessed {
        http2.retire();
        Stage::Connect
    } else if cause(&error).is_some_and(h2::Error::is_reset) {
        Stage::Head
    } else {
        Stage::Write
    };
    Unanswered {
        error: SendError::because(stage, place.endpoint(), error),
        again: unprocessed.then_some(again),
    }
}

/// RFC 9113 8.7: a stream above the last one of a GOAWAY, or reset with REFUSED_STREAM, was not
/// processed. h2 gives a stream the GOAWAY as its error only if it is above.
fn is_unprocessed(error: &hyper::Error) -> bool {
    cause(error).is_some_and(|error| {
        error.is_remote()
            && (error.is_go_away()
                || (error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)))
    })
}

fn cause(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref()
}
