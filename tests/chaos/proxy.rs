//! An egret in this process, on threads and sockets as the real one: its ledger, tasks and meters can be looked at.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use egret::app::State;
use egret::clock::Clock;
use egret::environment::Environment;
use egret::limits::ledger::CellUse;
use egret::net::tls::LazyTls;
use egret::policy::load::Sources;
use egret::policy::store::ReloadResult;
use egret::policy::watch::Loaded;
use egret::policy::{Snapshot, compile};
use egret::random::Random;
use egret::relay::Settings;
use egret::server::{self, Mode, Peer, Timing, drain};
use egret::tasks::Tasks;
use egret::telemetry::Telemetry;
use http::Request;
use hyper::body::Incoming;
use serde_json::Value;

use crate::lag::Lag;

/// Threads that serve calls.
const WORKERS: u64 = 2;

/// A running egret.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<State>,
    /// Connections of callers.
    callers: Tasks,
    workers: Vec<JoinHandle<()>>,
    /// How late its threads are.
    pub(crate) lag: Lag,
}

impl Proxy {
    /// Starts one under a policy. Its civil time stands still, so that no window of a calendar turns meanwhile.
    pub(crate) fn start(policy: &str, seed: u64) -> Self {
        let settings = Settings { max_body: 1 << 20, stamp: None };
        let clock = Clock::standing("2026-11-20T12:00:00Z".parse().unwrap());
        let (tls, telemetry) = (LazyTls::new(None).unwrap(), Telemetry::default());
        let state = State::new(&keys(), clock, settings, 48 << 20, tls, telemetry);
        state.begin(Loaded { snapshot: compiled(policy), warnings: Vec::new() });
        let socket = server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let (address, state, callers) = (socket.local_addr().unwrap(), Arc::new(state), Tasks::new());
        let lag = Lag::default();
        let workers = (0..WORKERS).map(|number| {
            let lag = lag.clone();
            let (state, socket) = (Arc::clone(&state), socket.try_clone().unwrap());
            let (callers, random) = (callers.clone(), Random::seeded(seed.wrapping_add(number)));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            std::thread::spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = serve(&state, socket, callers, random) => {}
                        () = lag.watch() => {}
                    }
                });
            })
        });
        let workers = workers.collect();
        Self { address, state, callers, workers, lag }
    }

    /// Puts another policy into force.
    pub(crate) fn reload(&self, policy: &str) {
        let mut loaded = Loaded { snapshot: compiled(policy), warnings: Vec::new() };
        self.state.prepare(&mut loaded);
        let Loaded { snapshot, warnings } = loaded;
        let result = self.state.shared.store.accept(snapshot, warnings, self.state.clock.wall());
        assert_eq!(result, ReloadResult::Accepted);
    }

    /// The access log since the last time it was asked.
    pub(crate) fn records(&self) -> Vec<Value> {
        let mut text = Vec::new();
        self.state.shared.telemetry.access_log.drain_to(&mut text).unwrap();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    /// Calls that the access log had no room for.
    pub(crate) fn unlogged(&self) -> u64 {
        self.state.shared.telemetry.access_log.dropped()
    }

    /// Calls in flight.
    pub(crate) fn calls(&self) -> usize {
        self.state.drain.calls()
    }

    /// Every cell of the ledger.
    pub(crate) fn cells(&self) -> Vec<CellUse> {
        self.state.shared.ledger.usage(self.state.clock.moment())
    }

    /// Connections to providers that are at work, as metrics tell it.
    pub(crate) fn active_connections(&self) -> u64 {
        let metrics = self.state.shared.telemetry.metrics.render();
        let active =
            |line: &&str| line.starts_with("egret_upstream_connections") && line.contains("\"active\"");
        let value = metrics.lines().find(active).and_then(|line| line.rsplit(' ').next());
        value.and_then(|value| value.parse::<f64>().ok()).map_or(u64::MAX, |value| value as u64)
    }

    /// Ends it as SIGTERM does; tells what was left over: calls cut, tasks of callers, other tasks.
    pub(crate) async fn end(self) -> (usize, usize, usize) {
        let Self { state, callers, workers, .. } = self;
        let timing = Timing { grace: Duration::ZERO, deadline: Duration::from_secs(5), ..Timing::default() };
        let drained = drain(&state.drain, Mode::Gateway, timing, state.clock.now()).await;
        state.tasks.stop();
        let left = callers.running();
        let joined =
            tokio::task::spawn_blocking(|| workers.into_iter().map(JoinHandle::join).all(|end| end.is_ok()));
        assert!(joined.await.unwrap(), "a worker panicked");
        (drained.calls_cut, left, state.tasks.running())
    }
}

async fn serve(state: &State, socket: TcpListener, callers: Tasks, random: Random) {
    let listener = tokio::net::TcpListener::from_std(socket).unwrap();
    let relay = state.relay(random);
    let service =
        move |request: Request<Incoming>, peer: Peer| Arc::clone(&relay).handle(request, peer.address.ip());
    let settings = server::Settings::default();
    server::serve(listener, service, settings, state.drain.clone(), callers).await;
    // Connections may run on after the listener has closed.
    state.tasks.stopping().await;
}

fn keys() -> Environment {
    Environment::given([
        ("P1_A", "sk-one-aaaa-a"),
        ("P1_B", "sk-one-bbbb-b"),
        ("P1_C", "sk-one-cccc-c"),
        ("P2_A", "sk-two-aaaa-a"),
        ("P2_B", "sk-two-bbbb-b"),
        ("P2_C", "sk-two-cccc-c"),
        ("P3_A", "sk-three-aa-a"),
        ("P3_B", "sk-three-bb-b"),
        ("P3_C", "sk-three-cc-c"),
    ])
}

fn compiled(policy: &str) -> Snapshot {
    let sources = Sources::single("policy.yaml", policy);
    compile::compile(&sources).unwrap_or_else(|faults| panic!("{faults}")).0
}
