//! Accepts connections and starts one task for each, until the drain closes the listener.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::connection::{Connection, Peer, Service, Settings};
use super::drain::{Drain, Phase};
use crate::tasks::Tasks;

/// Where connections come from: a TCP socket, or a test's script.
pub trait Listen: Send {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection and its remote address. Dropped before it resolves, it loses none.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;
}

impl Listen for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, address) = Self::accept(self).await?;
        // Without it the kernel holds a small write back until the last one is acknowledged: 40 ms per answer
        // on a kept-alive connection. A peer that has gone already is found out at the first read.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "TCP_NODELAY not set");
        }
        Ok((stream, address))
    }
}

/// Serves every connection of a listener until the drain reaches [`Phase::Closing`]; resolves then, while its
/// connections may run on. A failing `accept` is retried after a pause, without end.
///
/// Connections are tasks of the current runtime, started through `tasks`. Dropping the future closes the
/// listener and leaves them running.
pub async fn serve<L, S>(mut listener: L, service: S, settings: Settings, drain: Drain, tasks: Tasks)
where
    L: Listen,
    S: Service,
{
    let _open = drain.open();
    let start = |io, address, last| {
        let connection = Connection {
            peer: Peer::new(address),
            service: service.clone(),
            settings,
            drain: drain.clone(),
            tasks: tasks.clone(),
            last,
        };
        // Counted before its first poll: the drain must not take the listener's end for the end of all.
        let open = drain.open();
        tasks.spawn("connection", async move {
            let _open = open;
            connection.run(io).await;
        });
    };
    let mut backoff = Backoff::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.reached(Phase::Closing) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((io, address)) => {
                backoff.reset();
                start(io, address, false);
                // A burst of connections must not keep this worker from those it has, while another is free.
                tokio::task::yield_now().await;
            }
            Err(error) => pause(&mut backoff, &error).await,
        }
    }
    // Closing the socket would reset connections that wait on it: whoever is there by now is served once.
    while let Some((io, address)) = waiting(&mut listener).await {
        start(io, address, true);
    }
}

/// A connection that is there already.
async fn waiting<L: Listen>(listener: &mut L) -> Option<(L::Io, SocketAddr)> {
    let mut accept = pin!(listener.accept());
    poll_fn(|cx| match accept.as_mut().poll(cx) {
        Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn pause(backoff: &mut Backoff, error: &io::Error) {
    let Some(pause) = backoff.after(error) else {
        return debug!(%error, "a connection went away before it was accepted");
    };
    if backoff.worth_a_warning() {
        warn!(%error, pause_ms = pause.as_millis(), "connections wait: cannot accept");
    }
    tokio::time::sleep(pause).await;
}
