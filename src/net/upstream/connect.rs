//! New connections: name, address, TLS, protocol.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::Settings;
use super::error::{SendError, Stage};
use super::http1::Http1;
use super::http2::Http2;
use super::io::Stream;
use crate::net::endpoint::{Endpoint, HttpEndpoint};
use crate::net::memory::MemoryNet;
use crate::net::tls::LazyTls;
use crate::tasks::Tasks;

/// How long one address may be silent before the next is tried beside it (RFC 8305, 5).
const STAGGER: Duration = Duration::from_millis(250);
/// When the kernel asks an idle peer for a sign of life: below the 350 s of common NAT gateways.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Opens connections. It has no timer of its own.
pub(super) struct Connector {
    tls: LazyTls,
    memory: MemoryNet,
    tasks: Tasks,
    settings: Settings,
}

/// A connection, by the protocol that was agreed on.
pub(super) enum Opened {
    Http1(Box<Http1>),
    Http2(Http2),
}

impl Connector {
    pub(super) fn new(tls: LazyTls, memory: MemoryNet, tasks: Tasks, settings: Settings) -> Self {
        Self { tls, memory, tasks, settings }
    }

    /// Connects to an endpoint.
    pub(super) async fn open(&self, to: &Endpoint) -> Result<Opened, SendError> {
        let opened = self.open_uncounted(to).await;
        if opened.is_err() {
            self.settings.meters.failed.increment();
        }
        opened
    }

    /// Notes that a connection took too long, and was given up from outside.
    pub(super) fn timed_out(&self) {
        self.settings.meters.failed.increment();
    }

    async fn open_uncounted(&self, to: &Endpoint) -> Result<Opened, SendError> {
        let failed = |stage| move |cause: io::Error| SendError::because(stage, to, cause);
        let (stream, is_http2) = match to {
            Endpoint::Memory(name) => {
                let pipe = self.memory.connect(name).map_err(failed(Stage::Connect))?;
                (Stream::Memory(pipe), false)
            }
            Endpoint::Http(http) => {
                let addresses = resolve(&http.host, http.port).await.map_err(failed(Stage::Resolve))?;
                let tcp = race(alternate(addresses), dial).await.map_err(failed(Stage::Connect))?;
                if http.tls { self.encrypt(tcp, to, http).await? } else { (Stream::Tcp(tcp), false) }
            }
        };
        let opened = if is_http2 {
            let http2 = Http2::over(stream, &self.tasks, &self.settings).await;
            http2.map(Opened::Http2)
        } else {
            Http1::over(stream, &self.settings.meters).await.map(Opened::Http1)
        };
        opened.map_err(|cause| SendError::because(Stage::Connect, to, cause))
    }

    /// The TLS session, and whether HTTP/2 was agreed on. Name and certificate are the endpoint's.
    async fn encrypt(
        &self,
        tcp: TcpStream,
        to: &Endpoint,
        http: &HttpEndpoint,
    ) -> Result<(Stream, bool), SendError> {
        let name = ServerName::try_from(String::from(&*http.host))
            .map_err(|cause| SendError::because(Stage::Tls, to, cause))?;
        let config = self.tls.config().map_err(|cause| SendError::because(Stage::Tls, to, cause))?;
        let session = TlsConnector::from(config)
            .connect(name, tcp)
            .await
            .map_err(|cause| SendError::because(Stage::Tls, to, cause))?;
        let is_http2 = session.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Stream::Tls(Box::new(session)), is_http2))
    }
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    Ok(lookup_host((host, port)).await?.collect())
}

/// Alternates the address families, so that a dead one costs one stagger only (RFC 8305, 4).
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first_is_v6) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let (leading, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut other = other.into_iter();
    let mut order = Vec::with_capacity(leading.len() + other.len());
    for address in leading {
        order.push(address);
        order.extend(other.next());
    }
    order.extend(other);
    order
}

async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(address).await?;
    // Without it, a request in two writes waits for the peer's delayed ACK: 40 ms.
    tcp.set_nodelay(true)?;
    SockRef::from(&tcp).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    Ok(tcp)
}

/// The first of several connection attempts to succeed. One starts when the one before it failed
/// or was silent for [`STAGGER`]; the losers are dropped.
async fn race<A, T, F>(addresses: Vec<A>, connect: impl Fn(A) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.into_iter();
    let mut running: Vec<Pin<Box<F>>> = Vec::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match waiting.next() {
            Some(address) => running.push(Box::pin(connect(address))),
            None if running.is_empty() => return Err(failure),
            None => {}
        }
        tokio::select! {
            biased; // a finished attempt before the start of another
            done = poll_fn(|cx| poll_any(&mut running, cx)) => match done {
                Ok(connected) => return Ok(connected),
                Err(error) => failure = error,
            },
            () = tokio::time::sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

fn poll_any<F: Future>(running: &mut Vec<Pin<Box<F>>>, cx: &mut Context<'_>) -> Poll<F::Output> {
    for index in 0..running.len() {
        if let Poll::Ready(done) = running[index].as_mut().poll(cx) {
            drop(running.swap_remove(index));
            return Poll::Ready(done);
        }
    }
    Poll::Pending
}

#[cfg(test)]
mod tests;
