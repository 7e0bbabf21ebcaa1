//! Wiring: what a running egret is made of, the order in which it starts, and the order in which it stops.
//!
//! Workers are threads with a runtime of their own, which share nothing on a call's path but the ledger and the
//! policy; the main thread keeps everything else: signals, reloads, operators' handlers, the access log.

mod control;
mod sight;
mod state;
mod worker;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use state::State;

use crate::clock::Clock;
use crate::environment::Environment;
use crate::ids::TenantId;
use crate::net::tls::TlsError;
use crate::policy::watch::{LoadFault, Loaded};
use crate::policy::{compile, load};
use crate::relay;
use crate::server::{self, BindError, Mode};

/// What a process is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The policy's file or directory.
    pub policy: PathBuf,
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
    #[error("--extra-ca: {0}")]
    Tls(#[from] TlsError),
    /// A thread, a runtime or a signal handler could not be set up.
    #[error("the system refuses what egret needs to start: {0}")]
    System(#[from] std::io::Error),
}

impl StartError {
    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Policy(_) => 2,
            Self::Bind(_) | Self::Tls(_) | Self::System(_) => 1,
        }
    }
}

/// Runs until drained. Start order: policy, certificates, sockets, workers, the ready line; everything that can
/// fail fails before the first call is accepted.
pub fn run(options: &Options, environment: &Environment) -> Result<(), StartError> {
    let clock = Clock::system();
    let settings = relay::Settings { max_body: options.max_body, stamp: options.stamp.clone() };
    let state = Arc::new(State::new(
        environment,
        clock,
        settings,
        options.max_buffered,
        options.extra_ca.as_deref(),
    )?);
    match load_policy(&options.policy) {
        Ok(loaded) => state.begin(loaded),
        Err(LoadFault::Bad(text) | LoadFault::Unreadable(text)) if options.await_policy => {
            state.await_first(text);
        }
        Err(LoadFault::Bad(text) | LoadFault::Unreadable(text)) => return Err(StartError::Policy(text)),
    }
    let socket = server::bind(options.listen)?;
    let listeners = control::Listeners::bind(options, &socket)?;
    let workers = worker::start(&state, options, &socket)?;
    let drained = control::run(&state, options, listeners);
    state.tasks.stop();
    for worker in workers {
        // A worker that panicked has said so; the others' calls were served all the same.
        let _ = worker.join();
    }
    state.flush();
    drained
}

/// Reads and compiles a policy: what `check` does, and every reload.
pub fn load_policy(path: &std::path::Path) -> Result<Loaded, LoadFault> {
    let sources = load::read(path).map_err(|error| LoadFault::Unreadable(error.to_string()))?;
    match compile::compile(&sources) {
        Ok((snapshot, warnings)) => {
            Ok(Loaded { snapshot, warnings: warnings.iter().map(ToString::to_string).collect() })
        }
        Err(diagnostics) => Err(LoadFault::Bad(diagnostics.to_string())),
    }
}
