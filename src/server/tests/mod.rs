//! The server from outside: bytes in, bytes out.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Semaphore;

use super::{Drain, Peer, Service, Settings, serve_io};
use crate::tasks::Tasks;

mod draining;
mod floods;
mod http2;
mod malformed;
mod stalls;
mod tcp;
mod waiting;

const GET: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: egret\r\n\r\n";
const LAST_GET: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: egret\r\nconnection: close\r\n\r\n";

/// How many requests reached a service.
#[derive(Clone, Default)]
struct Reached(Arc<AtomicUsize>);

impl Reached {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Says `hello` to everything, at once.
fn hello(reached: &Reached) -> impl Service<Body = Full<Bytes>> {
    let reached = reached.clone();
    move |_: Request<Incoming>, _: Peer| {
        reached.0.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Response::new(Full::new(Bytes::from_static(b"hello"))))
    }
}

/// Answers the head at once, and `done` as the body when it gets a permit.
fn held(permits: &Arc<Semaphore>) -> impl Service<Body = Held> {
    let permits = Arc::clone(permits);
    move |_: Request<Incoming>, _: Peer| {
        let permits = Arc::clone(&permits);
        let wait = async move {
            permits.acquire().await.unwrap().forget();
        };
        std::future::ready(Response::new(Held(Some(Box::pin(wait)))))
    }
}

/// A streamed body that waits for its content.
struct Held(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(wait) = &mut self.0 else {
            return Poll::Ready(None);
        };
        std::task::ready!(wait.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"done")))))
    }
}

fn local() -> Peer {
    Peer::new(SocketAddr::from(([127, 0, 0, 1], 50_000)))
}

/// A connection to a service, in memory.
fn connect(service: impl Service, settings: Settings, drain: &Drain, tasks: &Tasks) -> DuplexStream {
    let (caller, server) = duplex(256 * 1024);
    let serving = serve_io(server, local(), service, settings, drain.clone(), tasks.clone());
    tasks.spawn("connection", serving);
    caller
}

/// What a fresh connection answers to these bytes, until it closes or says nothing more for five seconds.
async fn exchange(service: impl Service, bytes: &[u8]) -> String {
    let mut caller = connect(service, Settings::default(), &Drain::new(), &Tasks::new());
    caller.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let all = caller.read_to_end(&mut answer);
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), all).await;
    String::from_utf8(answer).unwrap()
}

/// Reads until the text ends with `end`.
async fn read_until(io: &mut (impl AsyncReadExt + Unpin), end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut part = [0; 4096];
        let n = io.read(&mut part).await.unwrap();
        assert_ne!(n, 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&part[..n]).unwrap());
    }
    text
}

#[tokio::test(start_paused = true)]
async fn a_kept_alive_connection_answers_one_request_after_the_other() {
    let reached = Reached::default();
    let mut caller = connect(hello(&reached), Settings::default(), &Drain::new(), &Tasks::new());
    for _ in 0..3 {
        caller.write_all(GET).await.unwrap();
        let answer = read_until(&mut caller, "hello").await;
        assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("connection: close"), "{answer}");
    }
    assert_eq!(reached.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_counts_until_its_stream_ends_or_its_caller_leaves() {
    let (permits, drain, tasks) = (Arc::new(Semaphore::new(0)), Drain::new(), Tasks::new());
    let mut stays = connect(held(&permits), Settings::default(), &drain, &tasks);
    let mut leaves = connect(held(&permits), Settings::default(), &drain, &tasks);
    for caller in [&mut stays, &mut leaves] {
        caller.write_all(GET).await.unwrap();
        read_until(caller, "\r\n\r\n").await;
    }
    assert_eq!(drain.calls(), 2);

    drop(leaves);
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(drain.calls(), 1);

    permits.add_permits(1);
    read_until(&mut stays, "done\r\n0\r\n\r\n").await;
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(drain.calls(), 0);
}

#[test]
fn a_peer_is_local_in_every_form_of_the_loopback_address() {
    for (address, local) in [
        ("127.0.0.1:1", true),
        ("127.8.8.8:1", true),
        ("[::1]:1", true),
        ("[::ffff:127.0.0.1]:1", true),
        ("10.0.0.7:1", false),
        ("[::ffff:10.0.0.7]:1", false),
        ("0.0.0.0:1", false),
    ] {
        assert_eq!(Peer::new(address.parse().unwrap()).is_loopback(), local, "{address}");
    }
}
