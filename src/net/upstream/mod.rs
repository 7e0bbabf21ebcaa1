//! The pooled client towards providers: one per worker.
//!
//! HTTP/1 connections have no task: whoever waits for the answer drives the connection, so one
//! wake-up serves the hop. HTTP/2 connections are shared and driven by a task each.
//! Nothing here knows a call, retries an answer or follows a redirect; the one thing that is
//! repeated is a request that provably never reached the provider's application.

mod answer;
mod connect;
mod error;
mod gate;
mod http1;
mod http2;
mod io;
mod meters;
mod pool;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::timeout;

use self::connect::{Connector, Opened};
use self::http1::Http1;
use self::http2::{Http2, OpenStream};
use self::pool::{Place, Pool};
use crate::clock::Instant;
use crate::net::endpoint::Endpoint;
use crate::net::memory::MemoryNet;
use crate::net::tls::LazyTls;
use crate::tasks::Tasks;

pub use self::answer::{BodyError, UpstreamBody};
pub use self::error::{SendError, Stage};
pub use self::meters::{ConnectionMeters, IdleConnections};

/// A request as the pool takes it: its body is whole, so that it can be sent again.
pub type Outgoing = Request<Full<Bytes>>;

/// How long and how many connections are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a connection without a call stays open; keep it below the providers' own 60 to 90 s.
    pub idle_timeout: Duration,
    /// How many HTTP/1 connections without a call are kept per endpoint.
    pub max_idle_per_endpoint: usize,
    /// How often an HTTP/2 connection is asked for a sign of life, also without a call.
    pub ping_interval: Duration,
    /// How long that sign may take before the connection counts as dead.
    pub ping_timeout: Duration,
    /// Where its connections are counted; clients may share one.
    pub meters: Arc<ConnectionMeters>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(60),
            max_idle_per_endpoint: 64,
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(10),
            meters: Arc::default(),
        }
    }
}

/// The pooled client. Clones share one pool.
///
/// Dropping the last clone closes the idle connections; answers under way keep theirs.
#[derive(Clone)]
pub struct Upstream {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
}

impl Upstream {
    /// A client without connections. Use it on the runtime of one worker: a connection stays with
    /// the reactor that it was opened on.
    pub fn new(tls: LazyTls, memory: MemoryNet, tasks: Tasks, settings: Settings) -> Self {
        Self {
            connector: Arc::new(Connector::new(tls, memory, tasks.clone(), settings.clone())),
            pool: Arc::new(Pool::new(tasks, settings)),
        }
    }

    /// Sends a request; resolves with the head of the answer.
    ///
    /// `request` has its path in origin form and all headers but `Host`, `:authority` and
    /// `content-length`, which are set here. `connect_timeout` covers DNS, TCP and TLS of one
    /// connection; there is no other timer. A request that a pooled connection lost before it was
    /// written, or that an HTTP/2 peer declared unprocessed, is sent once more on another
    /// connection; that is no attempt.
    ///
    /// Dropping the future closes the HTTP/1 connection, or resets the HTTP/2 stream, at once.
    pub fn send(
        &self,
        to: &Endpoint,
        request: Outgoing,
        connect_timeout: Duration,
    ) -> impl Future<Output = Result<Response<UpstreamBody>, SendError>> {
        self.send_telling(to, request, connect_timeout, || {})
    }

    /// The same, and tells when a connection takes the request: before that nothing can be written.
    pub async fn send_telling(
        &self,
        to: &Endpoint,
        request: Outgoing,
        connect_timeout: Duration,
        taken: impl FnOnce(),
    ) -> Result<Response<UpstreamBody>, SendError> {
        let place = self.pool.place(to);
        let link = match place.checkout(Instant::now()) {
            Some(link) => link,
            None => self.connect(&place, connect_timeout).await?,
        };
        taken();
        let unanswered = match exchange(link, &place, request).await {
            Ok(answer) => return Ok(answer),
            Err(unanswered) => unanswered,
        };
        let Some(request) = unanswered.again else {
            return Err(unanswered.error);
        };
        // Not an idle HTTP/1 connection again: what killed one often killed all.
        let link = self.connect(&place, connect_timeout).await?;
        Box::pin(exchange(link, &place, *request)).await.map_err(|unanswered| unanswered.error)
    }

    /// How many connections stand idle: HTTP/1 ones, and HTTP/2 ones without a stream.
    pub fn idle(&self) -> usize {
        self.pool.idle()
    }

    /// The same for who only looks on: the connections close with the client all the same.
    pub fn watch_idle(&self) -> IdleConnections {
        IdleConnections::of(&self.pool)
    }

    /// A new connection, or a stream on an HTTP/2 connection that another call opened meanwhile.
    async fn connect(&self, place: &Arc<Place>, limit: Duration) -> Result<Link, SendError> {
        // Boxed: rare, and larger than the rest of `send`.
        timeout(limit, Box::pin(self.open(place))).await.unwrap_or_else(|_| {
            self.connector.timed_out();
            Err(SendError::new(Stage::ConnectTimeout, place.endpoint()))
        })
    }

    async fn open(&self, place: &Arc<Place>) -> Result<Link, SendError> {
        // Until the provider is known to speak HTTP/1, one connects and the others wait: most
        // likely they will share its HTTP/2 connection.
        let mut turn = None;
        if place.may_be_shared() {
            turn = Some(place.turn().await);
        }
        if let Some((http2, stream)) = place.stream() {
            return Ok(Link::Http2(http2, stream));
        }
        let _turn = turn.filter(|_| place.may_be_shared());
        match self.connector.open(place.endpoint()).await? {
            Opened::Http1(http1) => {
                place.answers_http1();
                Ok(Link::Http1 { http1, reused: false })
            }
            Opened::Http2(http2) => {
                let stream = http2.open_stream();
                place.share(http2.clone());
                Ok(Link::Http2(http2, stream))
            }
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("idle", &self.idle()).finish_non_exhaustive()
    }
}

/// A connection for one request.
enum Link {
    Http1 { http1: Box<Http1>, reused: bool },
    Http2(Http2, OpenStream),
}

/// No head came. `again` is the request, where it certainly was not processed and another
/// connection may do better.
struct Unanswered {
    error: SendError,
    again: Option<Box<Outgoing>>,
}

async fn exchange(
    link: Link,
    place: &Arc<Place>,
    request: Outgoing,
) -> Result<Response<UpstreamBody>, Unanswered> {
    match link {
        Link::Http1 { http1, reused } => http1::exchange(http1, reused, place, request).await,
        Link::Http2(http2, stream) => http2::exchange(http2, stream, place, request).await,
    }
}

#[cfg(test)]
mod tests;
