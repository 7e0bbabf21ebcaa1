//! Connections that wait for the next call, by where they lead.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::uri::{Scheme, Uri};
use http::{HeaderValue, header};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::http1::Http1;
use super::http2::{Http2, OpenStream};
use super::{Link, Outgoing, Settings};
use crate::clock::Instant;
use crate::net::endpoint::Endpoint;
use crate::tasks::Tasks;

/// The places of one worker.
pub(super) struct Pool {
    tasks: Tasks,
    settings: Settings,
    places: Mutex<Places>,
}

struct Places {
    /// A handful: a scan that compares pointers beats a hash of the whole address.
    known: Vec<Arc<Place>>,
    swept: bool,
}

impl Pool {
    pub(super) fn new(tasks: Tasks, settings: Settings) -> Self {
        let places = Places { known: Vec::new(), swept: false };
        Self { tasks, settings, places: Mutex::new(places) }
    }

    /// The place of an endpoint; the same for equal endpoints.
    pub(super) fn place(self: &Arc<Self>, endpoint: &Endpoint) -> Arc<Place> {
        let mut places = self.places.lock();
        if let Some(place) = find(&places.known, endpoint) {
            return Arc::clone(place);
        }
        let place = Arc::new(Place::new(endpoint.clone(), self.settings.clone()));
        places.known.push(Arc::clone(&place));
        if !places.swept {
            places.swept = true;
            self.tasks.spawn("upstream sweep", self.sweeps());
        }
        place
    }

    pub(super) fn idle(&self) -> usize {
        self.places.lock().known.iter().map(|place| place.idle()).sum()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.places.lock().known.is_empty()
    }

    /// Sweeps until nothing is left, the pool is gone, or the process stops.
    fn sweeps(self: &Arc<Self>) -> impl Future<Output = ()> + Send + 'static {
        let pool = Arc::downgrade(self);
        let stopping = self.tasks.stopping();
        // Half: what expires stays open at most half as long again.
        let period = (self.settings.idle_timeout / 2).max(Duration::from_secs(1));
        async move {
            tokio::select! {
                () = sweep_every(period, pool) => {}
                () = stopping => {}
            }
        }
    }

    /// Closes what expired or died, and forgets places without a connection. Says whether any are left.
    fn sweep(&self, now: Instant) -> bool {
        let mut places = self.places.lock();
        places.known.retain(|place| {
            place.sweep(now);
            // A second owner is a call under way.
            place.idle() > 0 || Arc::strong_count(place) > 1 || place.is_shared()
        });
        places.swept = !places.known.is_empty();
        places.swept
    }
}

async fn sweep_every(period: Duration, pool: Weak<Pool>) {
    loop {
        sleep(period).await;
        let left = pool.upgrade().is_some_and(|pool| pool.sweep(Instant::now()));
        if !left {
            return;
        }
    }
}

fn find<'a>(known: &'a [Arc<Place>], endpoint: &Endpoint) -> Option<&'a Arc<Place>> {
    known
        .iter()
        .find(|place| is_same(&place.endpoint, endpoint))
        .or_else(|| known.iter().find(|place| place.endpoint == *endpoint))
}

/// Whether two endpoints are one value; a reload brings equal ones that are not.
fn is_same(a: &Endpoint, b: &Endpoint) -> bool {
    match (a, b) {
        (Endpoint::Http(a), Endpoint::Http(b)) => Arc::ptr_eq(a, b),
        (Endpoint::Memory(a), Endpoint::Memory(b)) => Arc::ptr_eq(a, b),
        (Endpoint::Http(_), Endpoint::Memory(_)) | (Endpoint::Memory(_), Endpoint::Http(_)) => false,
    }
}

/// Where connections lead, and those that wait there.
pub(super) struct Place {
    endpoint: Endpoint,
    host: HeaderValue,
    settings: Settings,
    /// Learned from the first connection: HTTP/1 is not worth waiting for another call's.
    http1_only: AtomicBool,
    /// Held by the call that opens a connection which others may share.
    turn: tokio::sync::Mutex<()>,
    idle: Mutex<VecDeque<Idle>>,
    shared: Mutex<Vec<Http2>>,
}

struct Idle {
    http1: Box<Http1>,
    since: Instant,
}

impl Place {
    fn new(endpoint: Endpoint, settings: Settings) -> Self {
        let (host, tls) = match &endpoint {
            Endpoint::Http(http) => (http.authority.as_str(), http.tls),
            Endpoint::Memory(name) => (&**name, false),
        };
        // An authority is always a valid value; a service's name may be anything.
        let host = HeaderValue::from_str(host).unwrap_or(HeaderValue::from_static("localhost"));
        Self {
            host,
            settings,
            http1_only: AtomicBool::new(!tls),
            turn: tokio::sync::Mutex::new(()),
            idle: Mutex::default(),
            shared: Mutex::default(),
            endpoint,
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What `Host` says.
    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The request with scheme and authority in its URI, as HTTP/2 has them.
    pub(super) fn absolute(&self, mut request: Outgoing) -> Outgoing {
        request.headers_mut().remove(header::HOST);
        if let Endpoint::Http(http) = &self.endpoint {
            let mut parts = std::mem::take(request.uri_mut()).into_parts();
            parts.scheme = Some(if http.tls { Scheme::HTTPS } else { Scheme::HTTP });
            parts.authority = Some(http.authority.clone());
            // All three parts are there, and each was parsed before.
            *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        }
        request
    }

    /// A connection that is free and alive; the one used last, so that the others can expire.
    pub(super) fn checkout(&self, now: Instant) -> Option<Link> {
        let mut idle = self.idle.lock();
        while let Some(Idle { mut http1, since }) = idle.pop_back() {
            if now.duration_since(since) >= self.settings.idle_timeout {
                // The others wait even longer.
                idle.clear();
            } else if http1.is_alive() {
                return Some(Link::Http1 { http1, reused: true });
            }
        }
        drop(idle);
        self.stream().map(|(http2, stream)| Link::Http2(http2, stream))
    }

    /// A stream on a shared connection that has room.
    pub(super) fn stream(&self) -> Option<(Http2, OpenStream)> {
        let shared = self.shared.lock();
        let http2 = shared.iter().find(|http2| http2.has_room())?;
        Some((http2.clone(), http2.open_stream()))
    }

    /// Takes a free HTTP/1 connection; over the cap, the oldest goes.
    pub(super) fn park(&self, http1: Box<Http1>) {
        http1.rest();
        let since = Instant::now();
        let mut idle = self.idle.lock();
        idle.push_back(Idle { http1, since });
        if idle.len() > self.settings.max_idle_per_endpoint {
            idle.pop_front();
        }
    }

    /// Lets other calls use an HTTP/2 connection.
    pub(super) fn share(&self, http2: Http2) {
        let mut shared = self.shared.lock();
        // Streams under way on a closed one keep themselves alive.
        shared.retain(Http2::is_open);
        shared.push(http2);
    }

    /// Notes that the endpoint agreed on HTTP/1.
    pub(super) fn answers_http1(&self) {
        self.http1_only.store(true, Ordering::Relaxed);
    }

    /// Whether the next connection may turn out to be HTTP/2.
    pub(super) fn may_be_shared(&self) -> bool {
        !self.http1_only.load(Ordering::Relaxed)
    }

    /// Waits until no other call opens a connection that could be shared.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    fn is_shared(&self) -> bool {
        !self.shared.lock().is_empty()
    }

    fn idle(&self) -> usize {
        let shared = self.shared.lock();
        let without_stream = shared.iter().filter(|http2| http2.idle_since().is_some());
        self.idle.lock().len() + without_stream.count()
    }

    fn sweep(&self, now: Instant) {
        let expired = |since: Instant| now.duration_since(since) >= self.settings.idle_timeout;
        self.idle.lock().retain_mut(|idle| !expired(idle.since) && idle.http1.is_alive());
        self.shared.lock().retain(|http2| http2.is_open() && !http2.idle_since().is_some_and(expired));
    }
}
