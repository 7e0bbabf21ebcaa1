//! Scripted providers on real sockets, in this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use egret::mock::{Mock, Script, Seen};
use egret::tasks::Tasks;
use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A provider on a loopback port; it ends when it is dropped.
pub(super) struct Provider {
    pub(super) address: SocketAddr,
    mock: Mock,
    agreed: Arc<Mutex<Vec<String>>>,
    tasks: Tasks,
    thread: Option<JoinHandle<()>>,
}

impl Provider {
    /// One that answers at once.
    pub(super) fn prompt() -> Self {
        Self::plain(Script::default())
    }

    /// One without TLS.
    pub(super) fn plain(script: Script) -> Self {
        Self::start(script, None)
    }

    /// One behind TLS.
    pub(super) fn tls(config: ServerConfig) -> Self {
        Self::start(Script::default(), Some(Arc::new(config).into()))
    }

    /// The last requests that came.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.mock.seen()
    }

    /// What ALPN came to, per TLS connection.
    pub(super) fn agreed(&self) -> Vec<String> {
        self.agreed.lock().clone()
    }

    fn start(script: Script, tls: Option<TlsAcceptor>) -> Self {
        let script = Arc::new(script);
        let (mock, tasks) = (Mock::new(move || Arc::clone(&script)), Tasks::new());
        let agreed = Arc::<Mutex<Vec<String>>>::default();
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let serving = serve(socket, mock.clone(), tls, Arc::clone(&agreed), tasks.clone());
        let stopping = tasks.stopping();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    () = stopping => {}
                }
            });
        });
        Self { address, mock, agreed, tasks, thread: Some(thread) }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.tasks.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

async fn serve(
    socket: std::net::TcpListener,
    mock: Mock,
    tls: Option<TlsAcceptor>,
    agreed: Arc<Mutex<Vec<String>>>,
    tasks: Tasks,
) {
    let listener = TcpListener::from_std(socket).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let (mock, tls, agreed) = (mock.clone(), tls.clone(), Arc::clone(&agreed));
        tasks.spawn("provider", async move {
            let Some(tls) = tls else {
                return mock.serve(stream).await;
            };
            // A client that does not trust us leaves here.
            let Ok(session) = tls.accept(stream).await else { return };
            let protocol = session.get_ref().1.alpn_protocol().unwrap_or_default();
            agreed.lock().push(String::from_utf8_lossy(protocol).into_owned());
            mock.serve(session).await;
        });
    }
}
