//! The threads that serve calls: each with a runtime, connections and a share of the callers of its own.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use http::Request;
use hyper::body::Incoming;

use super::{Options, StartError, State};
use crate::random::Random;
use crate::server::{self, Peer, Settings};

/// Starts the workers on one listening socket. They end when the state's tasks are told to stop.
pub(super) fn start(
    state: &Arc<State>,
    options: &Options,
    socket: &TcpListener,
) -> Result<Vec<JoinHandle<()>>, StartError> {
    let settings = Settings { h2c: options.h2c, ..Settings::default() };
    (0..options.workers.get())
        .map(|number| {
            let (state, socket) = (Arc::clone(state), socket.try_clone()?);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let work = move || runtime.block_on(serve(&state, socket, settings));
            Ok(std::thread::Builder::new().name(format!("egret-worker-{number}")).spawn(work)?)
        })
        .collect()
}

async fn serve(state: &State, socket: TcpListener, settings: Settings) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a worker cannot listen");
            return;
        }
    };
    let relay = state.relay(Random::from_os());
    let service =
        move |request: Request<Incoming>, peer: Peer| Arc::clone(&relay).handle(request, peer.address.ip());
    server::serve(listener, service, settings, state.drain.clone(), state.tasks.clone()).await;
    // Connections may run on after the listener has closed.
    state.tasks.stopping().await;
}
