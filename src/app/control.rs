//! The main thread: signals, reloads, operators' handlers, the access log, and how the process ends.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::sight::ProcessSight;
use super::{Options, StartError, State, load_policy};
use crate::admin::{self, Face};
use crate::policy::watch::{Watch, follow};
use crate::server::{self, Drain, Drained, Peer, Settings, Timing, drain};

/// How often files that hold keys are looked at.
const KEYS_EVERY: Duration = Duration::from_secs(1);

/// The operators' sockets, bound before anything is served.
pub(super) struct Listeners {
    listen: SocketAddr,
    admin: TcpListener,
    metrics: Option<TcpListener>,
}

impl Listeners {
    pub(super) fn bind(options: &Options, calls: &TcpListener) -> Result<Self, StartError> {
        Ok(Self {
            listen: calls.local_addr()?,
            admin: server::bind(options.admin)?,
            metrics: options.metrics.map(server::bind).transpose()?,
        })
    }
}

/// Serves operators and follows the policy until a signal, then drains.
pub(super) fn run(state: &Arc<State>, options: &Options, listeners: Listeners) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let watch = Watch::start(&options.policy).on_hangup()?;
        let ready = ready_line(state, &listeners)?;
        serve_operators(state, listeners)?;
        state.tasks.spawn("policy", follow_policy(Arc::clone(state), watch));
        let log = Arc::clone(&state.shared.access_log);
        state.tasks.spawn("access log", log.write_to(std::io::stdout(), state.tasks.stopping()));
        state.tasks.spawn("keys", refresh_keys(Arc::clone(state)));
        tracing::info!("{ready}");
        signalled(&mut term, &mut int).await;
        let Drained { calls_cut } = end(state, options, &mut term, &mut int).await;
        if calls_cut > 0 {
            tracing::warn!(calls_cut, "calls were in flight at the drain's deadline, and were cut");
        }
        tracing::info!("egret has drained");
        Ok(())
    })
}

/// What scripts wait for: the addresses as bound, so that port 0 can be used.
fn ready_line(state: &State, listeners: &Listeners) -> Result<String, StartError> {
    let (listen, admin) = (listeners.listen, listeners.admin.local_addr()?);
    let metrics = match &listeners.metrics {
        Some(metrics) => format!(" metrics={}", metrics.local_addr()?),
        None => String::new(),
    };
    let policy = state.shared.store.load();
    let policy = policy.as_ref().map_or("none", |snapshot| snapshot.revision.as_str());
    let word = if policy == "none" { "waiting for a policy" } else { "ready" };
    Ok(format!("egret is {word}: listen={listen} admin={admin}{metrics} policy={policy}"))
}

fn serve_operators(state: &Arc<State>, listeners: Listeners) -> Result<(), StartError> {
    let sight = Arc::new(ProcessSight::new(Arc::clone(state)));
    // Operators look on while calls drain: their listeners end with the process, and their scrapes are no calls.
    let serving = Drain::new();
    let serve = |name, socket, face| {
        let listener = tokio::net::TcpListener::from_std(socket)?;
        let sight = Arc::clone(&sight);
        let service = move |request: Request<Incoming>, _: Peer| {
            std::future::ready(admin::answer(&request, face, &*sight))
        };
        let serving =
            server::serve(listener, service, Settings::default(), serving.clone(), state.tasks.clone());
        state.tasks.spawn(name, serving);
        Ok::<_, std::io::Error>(())
    };
    serve("admin", listeners.admin, Face::Full)?;
    if let Some(metrics) = listeners.metrics {
        serve("metrics", metrics, Face::Probes)?;
    }
    Ok(())
}

async fn follow_policy(state: Arc<State>, watch: Watch) {
    let load = |path: &std::path::Path| {
        let loaded = load_policy(path)?;
        state.prepare(&loaded.snapshot);
        Ok(loaded)
    };
    tokio::select! {
        never = follow(&state.shared.store, watch, load, &state.clock) => match never {},
        () = state.tasks.stopping() => {}
    }
}

async fn refresh_keys(state: Arc<State>) {
    let stopping = state.tasks.stopping();
    tokio::pin!(stopping);
    loop {
        tokio::select! {
            () = &mut stopping => return,
            () = tokio::time::sleep(KEYS_EVERY) => state.shared.secrets.refresh(),
        }
    }
}

async fn signalled(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

/// Drains; a second signal ends at once.
async fn end(state: &State, options: &Options, term: &mut Signal, int: &mut Signal) -> Drained {
    tracing::info!(calls = state.drain.calls(), mode = ?options.drain, "draining");
    let timing = Timing { grace: options.drain_grace, deadline: options.drain_deadline, ..Timing::default() };
    let draining = drain(&state.drain, options.drain, timing, state.clock.now());
    tokio::pin!(draining);
    tokio::select! {
        drained = &mut draining => return drained,
        () = signalled(term, int) => state.drain.cut(),
    }
    draining.await
}
