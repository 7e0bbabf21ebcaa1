//! Servers on loopback ports and in memory, and a client for them.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use http_body::Body;
use http_body_util::BodyExt;
use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::super::*;
use crate::net::tls;

pub(super) const LIMIT: Duration = Duration::from_secs(3);

/// A client with its own tasks; what it connects to is counted by the servers.
pub(super) struct Client {
    pub(super) upstream: Upstream,
    pub(super) memory: MemoryNet,
    pub(super) tasks: Tasks,
    certified: Certified,
}

#[derive(Clone)]
struct Certified {
    server: Arc<ServerConfig>,
    client: Arc<rustls::ClientConfig>,
}

pub(super) fn client() -> Client {
    client_with(Settings::default())
}

pub(super) fn client_with(settings: Settings) -> Client {
    let (memory, tasks, certified) = (MemoryNet::new(), Tasks::new(), certified());
    let tls = LazyTls::given(Arc::clone(&certified.client));
    Client { upstream: Upstream::new(tls, memory.clone(), tasks.clone(), settings), memory, tasks, certified }
}

/// A certificate for `localhost` alone, and a client that trusts it.
fn certified() -> Certified {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Certified { server: Arc::new(server), client: tls::trusting(roots).unwrap() }
}

/// Where a server is, and how many connections it took.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) endpoint: Endpoint,
    accepted: Arc<AtomicUsize>,
}

impl Served {
    pub(super) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Client {
    /// A server in memory: `script` gets each connection and its number, from 0.
    pub(super) fn in_memory<F>(
        &self,
        script: impl Fn(usize, DuplexStream) -> F + Send + Sync + 'static,
    ) -> Served
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let accepted = Arc::new(AtomicUsize::new(0));
        let (count, tasks) = (Arc::clone(&accepted), self.tasks.clone());
        let acceptor = move |pipe| tasks.spawn("server", script(count.fetch_add(1, Ordering::SeqCst), pipe));
        self.memory.register("server", Arc::new(acceptor));
        let endpoint = Endpoint::Memory("server".into());
        Served { endpoint, accepted }
    }

    /// A server on a loopback port.
    pub(super) async fn on_port<F>(
        &self,
        scheme: &str,
        script: impl Fn(usize, TcpStream) -> F + Send + Sync + 'static,
    ) -> Served
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (count, tasks) = (Arc::clone(&accepted), self.tasks.clone());
        self.tasks.spawn("listener", async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tasks.spawn("server", script(count.fetch_add(1, Ordering::SeqCst), tcp));
            }
        });
        let endpoint = Endpoint::parse(&format!("{scheme}://localhost:{port}")).unwrap();
        Served { endpoint, accepted }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.certified.server))
    }

    /// One that does not offer HTTP/2.
    pub(super) fn http1_acceptor(&self) -> TlsAcceptor {
        let mut config = ServerConfig::clone(&self.certified.server);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    pub(super) async fn send(&self, to: &Served) -> Result<Response<UpstreamBody>, SendError> {
        self.upstream.send(&to.endpoint, post("hi"), LIMIT).await
    }

    /// Sends and reads the answer to its end.
    pub(super) async fn call(&self, to: &Served) -> String {
        let (read, whole) = read(self.send(to).await.unwrap().into_body()).await;
        whole.unwrap();
        read
    }
}

pub(super) fn post(body: &'static str) -> Outgoing {
    Request::post("/v1/chat").header("content-type", "text/plain").body(Full::from(body)).unwrap()
}

/// What came, and how it ended.
pub(super) async fn read(mut body: UpstreamBody) -> (String, Result<(), BodyError>) {
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(error) => return (String::from_utf8(text).unwrap(), Err(error)),
        }
    }
    (String::from_utf8(text).unwrap(), Ok(()))
}

/// Every frame that one poll of a task gets, and whether the body ended.
pub(super) async fn burst(body: &mut UpstreamBody) -> (Vec<Bytes>, bool) {
    let mut frames = Vec::new();
    poll_fn(|cx| {
        loop {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(Some(frame)) => frames.push(frame.unwrap().into_data().unwrap()),
                Poll::Ready(None) => return Poll::Ready((std::mem::take(&mut frames), true)),
                Poll::Pending if frames.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready((std::mem::take(&mut frames), false)),
            }
        }
    })
    .await
}
/// Reads one request with a `content-length`; none at the end of the connection.
pub(super) async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

pub(super) async fn say<S: AsyncWrite + Unpin>(stream: &mut S, text: &str) {
    // The client may be gone; what it saw is what the test checks.
    let _ = stream.write_all(text.as_bytes()).await;
}

pub(super) const PLAIN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
pub(super) const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// Answers every request of a connection with the same bytes.
pub(super) async fn answer_all<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: &str) {
    while request(&mut stream).await.is_some() {
        say(&mut stream, answer).await;
    }
}
