//! Policies on trial: an egret for each test, over scripted providers.

use std::io;
use std::sync::Arc;

use super::State;
use crate::clock::{Clock, Timestamp};
use crate::environment::Environment;
use crate::limits::Ledger;
use crate::net::tls::LazyTls;
use crate::policy::Snapshot;
use crate::policy::compile::rehearsed_key;
use crate::policy::suite::Test;
use crate::random::Random;
use crate::relay::Settings;
use crate::scenario::{self, Coverage, Outcome, Stage};
use crate::telemetry::{Telemetry, Watch};

/// What an offline egret may take of memory; more than any test asks for.
const BUFFERED: usize = 256 << 20;
/// The largest body that it takes: as `run` without a flag.
const BODY: usize = 32 << 20;

/// Runs tests under the policy for which they were compiled, which was compiled with [`rehearse`]; `done` is told of each
/// as it ends. Gives what they saw of the policy. Asks nobody: no socket, no secret, no file.
///
/// # Errors
/// The system gives no runtime.
///
/// [`rehearse`]: crate::policy::compile::rehearse
pub fn run(policy: &Arc<Snapshot>, tests: &[Test], done: impl FnMut(Outcome)) -> io::Result<Coverage> {
    let tls = LazyTls::new(None).map_err(io::Error::other)?;
    scenario::run(policy, tests, |at, watch| stage(policy, &tls, at, watch), done)
}

/// A stage for one test. Called in the runtime on which it plays.
fn stage(policy: &Arc<Snapshot>, tls: &LazyTls, at: Timestamp, watch: Watch) -> Stage {
    let settings = Settings { max_body: BODY, stamp: None };
    let telemetry = Telemetry { watch: Some(watch), ..Telemetry::default() };
    let (clock, environment) = (Clock::beginning(at), keys(policy));
    let state = State::counting_in(
        Ledger::new(),
        &environment,
        clock.clone(),
        settings,
        BUFFERED,
        tls.clone(),
        telemetry,
    );
    state.share(Arc::clone(policy));
    // The same draws in every run.
    let relay = state.relay(Random::seeded(1));
    Stage { relay, memory: state.memory.clone(), tasks: state.tasks, clock }
}

/// What the policy's providers are sent as keys: the names of these.
fn keys(policy: &Snapshot) -> Environment {
    let providers = policy.providers.values();
    let keys = providers.flat_map(|provider| provider.keys.iter().map(|key| (&provider.id, &key.name)));
    Environment::of(keys.map(|(provider, key)| (rehearsed_key(provider, key), key.to_string())))
}
