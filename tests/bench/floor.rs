//! The floor: the least that a relay on hyper does. A hyper server, a stack of kept-alive hyper client
//! connections, one thread, and no feature at all.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// Relays until the process is ended.
pub(crate) async fn run(listen: SocketAddr, upstream: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let pool = Pool { upstream, idle: Rc::default() };
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let pool = pool.clone();
        let service = hyper::service::service_fn(move |request| relay(request, pool.clone()));
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
        // A caller that leaves is the caller's affair.
        tokio::task::spawn_local(async move { drop(connection.await) });
    }
}

async fn relay(request: Request<Incoming>, pool: Pool) -> anyhow::Result<Response<Returning>> {
    let mut connection = pool.take().await?;
    let answer = connection.send_request(request).await?;
    Ok(answer.map(|body| Returning { body, lent: Some((connection, pool)) }))
}

/// Connections to the provider, the one used last on top.
#[derive(Clone)]
struct Pool {
    upstream: SocketAddr,
    idle: Rc<RefCell<Vec<SendRequest<Incoming>>>>,
}

impl Pool {
    async fn take(&self) -> anyhow::Result<SendRequest<Incoming>> {
        loop {
            let Some(mut connection) = self.idle.borrow_mut().pop() else {
                return self.connect().await;
            };
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Incoming>> {
        let socket = TcpStream::connect(self.upstream).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(sender)
    }
}

/// An answer's body that gives its connection back at its end. Dropped before, the connection is closed.
struct Returning {
    body: Incoming,
    lent: Option<(SendRequest<Incoming>, Pool)>,
}

impl Returning {
    fn give_back(&mut self) {
        if let Some((connection, pool)) = self.lent.take() {
            pool.idle.borrow_mut().push(connection);
        }
    }
}

impl Body for Returning {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        // hyper does not poll again once the body says that it is at its end.
        if matches!(polled, Poll::Ready(None)) || (polled.is_ready() && self.body.is_end_stream()) {
            self.give_back();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
