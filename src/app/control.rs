//! The main thread: signals, reloads, operators' handlers, the access log, and how the process ends.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::sight::ProcessSight;
use super::{Options, StartError, State, load_policy};
use crate::admin::{self, Face};
use crate::policy::watch::{Watch, follow};
use crate::server::{self, Drain, Drained, Peer, Settings, Timing, drain};
use crate::tasks::Tasks;

/// How often files that hold keys are looked at.
const KEYS_EVERY: Duration = Duration::from_secs(1);

/// The nice value of reloads (`setpriority(2)`: of the calling thread alone, on Linux): a tenth of the share of others.
const GIVES_WAY: i32 = 10;

/// How long the process waits at its end for the last lines and spans: for a pipe that nobody reads, or a backend that
/// does not answer. With the second that a drain waits for silence, it stays below the two that the kubelet leaves a
/// sidecar whose app took all of the pod's grace period.
const LAST: Duration = Duration::from_millis(700);

/// How long of it metrics may be pushed, so that their failure can still be told.
const LAST_PUSH: Duration = Duration::from_millis(600);

/// The main thread's runtime, and the tasks on it that end last: the access log, the export of spans.
pub(super) struct Main {
    pub(super) runtime: Runtime,
    pub(super) last: Tasks,
}

/// The operators' sockets, bound before anything is served.
pub(super) struct Operators {
    pub(super) admin: TcpListener,
    pub(super) metrics: Option<TcpListener>,
}

impl Operators {
    pub(super) fn bind(options: &Options) -> Result<Self, StartError> {
        let metrics = options.metrics.map(server::bind).transpose()?;
        Ok(Self { admin: server::bind(options.admin)?, metrics })
    }
}

/// Serves operators and follows the policy until a signal; then drains, and ends the workers and the log.
pub(super) fn run(
    main: &Main,
    state: &Arc<State>,
    options: &Options,
    watch: Watch,
    operators: Operators,
    workers: Vec<JoinHandle<()>>,
    say: impl FnOnce(&Operators),
) -> Result<(), StartError> {
    let Main { runtime, last } = main;
    let served = runtime.block_on(serve(state, options, watch, operators, last, say));
    state.tasks.stop();
    for worker in workers {
        // A worker that panicked has said so; the others' calls were served all the same.
        let _ = worker.join();
    }
    // Every call has settled now.
    state.shared.ledger.close(state.clock.moment());
    last.stop();
    let pushing = Arc::clone(state);
    let _ = runtime.block_on(async {
        // On a thread of its own: the SDK blocks, and this runtime carries its requests.
        let pushed = spawn_blocking(move || pushing.shared.telemetry.end(LAST_PUSH));
        timeout(LAST, async { tokio::join!(last.wait(), pushed) }).await
    });
    state.shared.telemetry.say_lost();
    served
}

async fn serve(
    state: &Arc<State>,
    options: &Options,
    watch: Watch,
    operators: Operators,
    last: &Tasks,
    say: impl FnOnce(&Operators),
) -> Result<(), StartError> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let watch = watch.on_hangup()?;
    let access_log = Arc::clone(&state.shared.telemetry.access_log);
    last.spawn("access log", access_log.write_to(std::io::stdout(), last.stopping()));
    follow_apart(state, watch)?;
    state.tasks.spawn("keys", refresh_keys(Arc::clone(state)));
    say(&operators);
    serve_operators(state, operators)?;
    signalled(&mut term, &mut int).await;
    state.shared.telemetry.hurry();
    let Drained { calls_cut } = end(state, options, &mut term, &mut int).await;
    if calls_cut > 0 {
        tracing::warn!(calls_cut, "calls were in flight at the drain's deadline, and were cut");
    }
    tracing::info!("egret has drained");
    Ok(())
}

fn serve_operators(state: &Arc<State>, operators: Operators) -> Result<(), StartError> {
    let sight = Arc::new(ProcessSight::new(Arc::clone(state)));
    // Operators look on while calls drain: their listeners end with the process, and their scrapes are no calls.
    let serving = Drain::new();
    let serve = |name, socket, face| {
        let listener = tokio::net::TcpListener::from_std(socket)?;
        let sight = Arc::clone(&sight);
        let service = move |request: Request<Incoming>, _: Peer| {
            let sight = Arc::clone(&sight);
            async move { admin::respond(request, face, &*sight).await }
        };
        let serving =
            server::serve(listener, service, Settings::default(), serving.clone(), state.tasks.clone());
        state.tasks.spawn(name, serving);
        Ok::<_, std::io::Error>(())
    };
    serve("admin", operators.admin, Face::Full)?;
    if let Some(metrics) = operators.metrics {
        serve("metrics", metrics, Face::Probes)?;
    }
    Ok(())
}

/// Follows the policy on a thread of its own, which gives way to calls: to compile a policy of 10,000 tenants takes most of a
/// second, and where egret has one core, workers would wait for it.
fn follow_apart(state: &Arc<State>, watch: Watch) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let state = Arc::clone(state);
    let follow = move || {
        // Where that cannot be had, it is as it was.
        if let Err(error) = rustix::process::setpriority_process(None, GIVES_WAY) {
            tracing::debug!(%error, "reloads have the priority of calls");
        }
        runtime.block_on(follow_policy(state, watch));
    };
    // It ends with the process: nobody waits for a policy that is no longer needed.
    std::thread::Builder::new().name("egret-policy".to_owned()).spawn(follow)?;
    Ok(())
}

async fn follow_policy(state: Arc<State>, watch: Watch) {
    let overlays = watch.overlays().to_vec();
    let load = |path: &std::path::Path| {
        let mut loaded = load_policy(path, &overlays)?;
        state.prepare(&mut loaded);
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
