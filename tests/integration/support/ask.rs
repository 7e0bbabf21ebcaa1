//! A caller: one request on a connection of its own.

use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, request};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Answer, Proxy};

/// A request about to be made. Awaited, it gives the whole answer.
///
/// The connection is closed when the future is dropped: the caller has left.
pub(crate) struct Ask<'p> {
    proxy: &'p Proxy,
    head: request::Builder,
    body: Bytes,
    peer: SocketAddr,
    pipe: Option<DuplexStream>,
}

impl<'p> Ask<'p> {
    pub(super) fn new(proxy: &'p Proxy, head: request::Builder, body: Bytes) -> Self {
        let head = head.header("host", "127.0.0.1:4100");
        Self { proxy, head, body, peer: SocketAddr::from(([127, 0, 0, 1], 50_000)), pipe: None }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head = self.head.header(name, value);
        self
    }

    /// As somebody with a key.
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// What every scripted provider is to do with this request.
    pub(crate) fn fault(self, fault: &str) -> Self {
        self.header("x-mock-fault", fault)
    }

    /// From another address than loopback.
    pub(crate) fn afar(mut self) -> Self {
        self.peer = SocketAddr::from(([10, 0, 0, 7], 50_000));
        self
    }

    /// Over this connection, wherever it leads.
    pub(super) fn over(mut self, pipe: DuplexStream) -> Self {
        self.pipe = Some(pipe);
        self
    }

    /// Gives another body.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits for the head only.
    pub(crate) async fn open(self) -> Opened {
        let body = Full::new(self.body.clone());
        self.open_with(body).await
    }

    /// Waits for the head only, and sends this as the request's body.
    pub(crate) async fn open_with<B>(self, body: B) -> Opened
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let pipe = self.pipe.unwrap_or_else(|| self.proxy.connect(self.peer));
        let io = TokioIo::new(pipe);
        let (mut sender, connection): (SendRequest<B>, _) = http1::handshake(io).await.unwrap();
        let stay = CancellationToken::new();
        let left = stay.clone();
        self.proxy.callers.spawn("caller's end", async move {
            tokio::select! {
                _ = connection => {}
                () = left.cancelled() => {}
            }
        });
        let stay = stay.drop_guard();
        let response = sender.send_request(self.head.body(body).unwrap()).await.expect("an answer's head");
        let (head, body) = response.into_parts();
        Opened { status: head.status, headers: head.headers, body, _stay: stay }
    }
}

impl<'p> IntoFuture for Ask<'p> {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send + 'p>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.open().await.rest().await })
    }
}

/// An answer whose head is there. Dropped, the caller has left.
pub(crate) struct Opened {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    _stay: DropGuard,
}

impl Opened {
    /// The next bytes; none at the end, also at one that is no clean end.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.body.frame().await?.ok()?.into_data().ok()
    }

    /// All that is still to come.
    pub(crate) async fn rest(mut self) -> Answer {
        let (mut body, mut broken) = (Vec::new(), false);
        while let Some(frame) = self.body.frame().await {
            match frame {
                Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        Answer { status: self.status.as_u16(), headers: self.headers, body: body.into(), broken }
    }
}
