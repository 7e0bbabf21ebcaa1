//! Wiring: what a running egret is made of, the order in which it starts, and the order in which it stops.
//!
//! Workers are threads with a runtime of their own, which share nothing on a call's path but the ledger and the
//! policy; the main thread keeps everything else: signals, reloads, operators' handlers, the access log.

mod control;
mod explain;
mod health;
mod observed;
mod process;
pub mod rehearsal;
mod sight;
mod state;
mod worker;

#[cfg(test)]
mod tests;

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use state::State;

use crate::clock::Clock;
use crate::environment::Environment;
use crate::ids::TenantId;
use crate::limits::Ledger;
use crate::limits::durable::FileStore;
use crate::limits::store::StoreError;
use crate::net::tls::{LazyTls, TlsError};
use crate::policy::watch::{LoadFault, Loaded, Watch};
use crate::policy::{compile, load};
use crate::random::Random;
use crate::relay;
use crate::server::{self, BindError, Mode};
use crate::tasks::Tasks;
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::otlp::{self, OtlpError};

/// What a process is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The policy's file or directory.
    pub policy: PathBuf,
    /// What is laid over it, in this order.
    pub overlays: Vec<PathBuf>,
    /// Where apps call.
    pub listen: SocketAddr,
    /// Where operators look.
    pub admin: SocketAddr,
    /// A second address with health and metrics alone.
    pub metrics: Option<SocketAddr>,
    /// The tenant of callers on loopback without a key.
    pub stamp: Option<TenantId>,
    /// What SIGTERM means.
    pub drain: Mode,
    /// How long calls in flight may take to end after it.
    pub drain_deadline: Duration,
    /// How long a gateway goes on accepting after it.
    pub drain_grace: Duration,
    /// Whether to wait for a first good policy.
    pub await_policy: bool,
    /// Threads that serve calls.
    pub workers: NonZeroUsize,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// How many request bytes the process holds at most.
    pub max_buffered: usize,
    /// Certificates to trust beside the system's.
    pub extra_ca: Option<PathBuf>,
    /// Whether HTTP/2 without TLS is accepted.
    pub h2c: bool,
    /// Where counts are kept.
    pub ledger: LedgerPlace,
}

/// Where the counts of limits are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerPlace {
    /// In the process: a restart forgets them.
    Memory,
    /// In a file of this process alone.
    File(PathBuf),
}

/// Why a process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no good policy; the diagnostics, rendered.
    #[error("the policy cannot be used\n\n{0}")]
    Policy(String),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificates to trust cannot be read.
    #[error("--extra-ca")]
    Tls(#[from] TlsError),
    /// The environment asks for an export that cannot be.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// The counts of earlier processes cannot be read, or new ones not be kept.
    #[error("--ledger")]
    Ledger(#[from] StoreError),
    /// A thread, a runtime or a signal handler could not be set up.
    #[error("the system refuses what egret needs to start")]
    System(#[from] std::io::Error),
}

impl StartError {
    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Policy(_) => 2,
            Self::Bind(_) | Self::Tls(_) | Self::Otlp(_) | Self::Ledger(_) | Self::System(_) => 1,
        }
    }
}

/// Runs until drained; `say` gets the one line that tells that calls are served, and where.
///
/// Start order: certificates, policy, ledger, sockets, export, workers, operators' pages, that line. Whatever can fail fails before
/// the first call is accepted.
pub fn run(options: &Options, environment: &Environment, say: impl FnOnce(&str)) -> Result<(), StartError> {
    // A body that never fits is too large for good; "try again shortly" would be no help.
    let settings = relay::Settings {
        max_body: options.max_body.min(options.max_buffered),
        stamp: options.stamp.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let main = control::Main { runtime, last: Tasks::new() };
    let tls = LazyTls::new(options.extra_ca.as_deref())?;
    // Before the first load: a change in between is then noticed.
    let watch = Watch::start_all(&options.policy, &options.overlays);
    let loaded = match load_policy(&options.policy, &options.overlays) {
        Err(LoadFault::Bad(text) | LoadFault::Unreadable(text)) if !options.await_policy => {
            return Err(StartError::Policy(text));
        }
        loaded => loaded,
    };
    let clock = Clock::system();
    let ledger = ledger(&options.ledger, &clock)?;
    let calls = server::bind(options.listen)?;
    let operators = control::Operators::bind(options)?;
    // After what may well fail: its end waits for backends.
    let telemetry = telemetry(environment, &tls, &main)?;
    let state =
        State::counting_in(ledger, environment, clock, settings, options.max_buffered, tls, telemetry);
    let state = Arc::new(state);
    keep_ledger(&state)?;
    match loaded {
        Ok(loaded) => state.begin(loaded),
        Err(LoadFault::Bad(text) | LoadFault::Unreadable(text)) => state.await_first(text),
    }
    let workers = worker::start(&state, options, &calls)?;
    let say = |admin: &control::Operators| say(&ready_line(&state, &calls, admin));
    let served = control::run(&main, &state, options, watch, operators, workers, say);
    // A thread that hangs, such as one that writes into a full pipe, is left behind.
    main.runtime.shutdown_background();
    served
}

fn ledger(place: &LedgerPlace, clock: &Clock) -> Result<Ledger, StartError> {
    match place {
        LedgerPlace::Memory => Ok(Ledger::new()),
        LedgerPlace::File(path) => {
            let store = FileStore::open(path)?;
            Ok(Ledger::durable(Box::new(store), clock.moment())?)
        }
    }
}

/// Starts the one writer, on a thread of its own: disks make wait. It ends when the ledger is closed.
fn keep_ledger(state: &State) -> Result<(), StartError> {
    let ledger = Arc::clone(&state.shared.ledger);
    if ledger.is_durable() {
        std::thread::Builder::new().name("egret-ledger".to_owned()).spawn(move || ledger.keep())?;
    }
    Ok(())
}

/// Where calls are noted, as the environment says; what is exported, the main thread carries.
fn telemetry(
    environment: &Environment,
    tls: &LazyTls,
    main: &control::Main,
) -> Result<Telemetry, StartError> {
    let settings = otlp::Settings::read(environment)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let _on = main.runtime.enter();
    let resource = settings.resource(&Random::from_os());
    let (spans, exporter) = settings.spans(tls, &resource)?.unzip();
    if let Some(exporter) = exporter {
        main.last.spawn("spans", exporter.run(main.last.stopping()));
    }
    let pushes = settings.metric_exporter(tls)?.map(|exporter| (exporter, settings.interval));
    let metrics = Metrics::new(settings.edition, resource, pushes);
    Ok(Telemetry { access_log: Arc::default(), metrics, spans, watch: None })
}

/// The addresses as bound, so that port 0 can be used.
fn ready_line(state: &State, calls: &TcpListener, operators: &control::Operators) -> String {
    let address = |socket: &TcpListener| socket.local_addr().map_or_else(|_| "?".into(), |at| at.to_string());
    let (listen, admin) = (address(calls), address(&operators.admin));
    let metrics =
        operators.metrics.as_ref().map_or_else(String::new, |at| format!(" metrics={}", address(at)));
    let (word, policy) = match state.shared.store.load() {
        Some(snapshot) => ("ready", snapshot.revision.to_string()),
        None => ("waiting for a policy", "none".to_owned()),
    };
    format!("egret is {word}: listen={listen} admin={admin}{metrics} policy={policy}")
}

/// Reads and compiles a policy with its overlays: what `check` does, and every reload.
pub fn load_policy(path: &Path, overlays: &[PathBuf]) -> Result<Loaded, LoadFault> {
    let sources = load::read_with(path, overlays).map_err(|error| LoadFault::Unreadable(chain(&error)))?;
    match compile::compile(&sources) {
        Ok((snapshot, warnings)) => {
            Ok(Loaded { snapshot, warnings: warnings.iter().map(ToString::to_string).collect() })
        }
        Err(diagnostics) => Err(LoadFault::Bad(diagnostics.to_string())),
    }
}

/// An error with its causes: each level's own text names no other.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
