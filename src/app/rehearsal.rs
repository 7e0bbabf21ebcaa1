//! Policies on trial: an egret for each test, over scripted providers.

use std::io;
use std::sync::Arc;

use super::State;
use crate::clock::{Clock, Timestamp};
use crate::environment::Environment;
use crate::ids::ProviderId;
use crate::limits::Ledger;
use crate::net::tls::LazyTls;
use crate::policy::Snapshot;
use crate::policy::compile::rehearsed_key;
use crate::policy::suite::{Test, Used};
use crate::random::Random;
use crate::relay::{Explanation, Relay, Settings, Shared};
use crate::scenario::{self, Coverage, Outcome, Question, Stage};
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
    scenario::run(policy, tests, |at, watch| stage(policy, &tls, at, Some(watch)), done)
}

/// What would become of a call under a policy that was compiled with [`rehearse`], of which nothing is running.
///
/// # Errors
/// The system gives no runtime.
///
/// [`rehearse`]: crate::policy::compile::rehearse
pub fn explain(policy: &Arc<Snapshot>, question: Question, now: Timestamp) -> io::Result<Explanation> {
    let tls = LazyTls::new(None).map_err(io::Error::other)?;
    let Question { request, from, at, used, down, .. } = question;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let Stage { relay, tasks, .. } = stage(policy, &tls, at.unwrap_or(now), None);
        stands(&relay, &used, &down);
        let explained = relay.explain(request, from).await;
        tasks.stop();
        Ok(explained)
    })
}

/// Brings it about that limits have counted so much, and that providers are down.
pub(super) fn stands(relay: &Relay, used: &[Used], down: &[ProviderId]) {
    let Shared { ledger, health, .. } = &*relay.shared;
    let now = relay.clock.moment();
    for Used { rule, of, amount } in used {
        rule.iter().for_each(|rule| ledger.count(rule, of.as_deref(), *amount, now));
    }
    for (_, target) in health.targets().iter().filter(|(_, target)| down.contains(&target.provider.id)) {
        target.breaker.trip(now.instant);
    }
}

/// A stage for one test. Called in the runtime on which it plays.
fn stage(policy: &Arc<Snapshot>, tls: &LazyTls, at: Timestamp, watch: Option<Watch>) -> Stage {
    let settings = Settings { max_body: BODY, stamp: None };
    let telemetry = Telemetry { watch, ..Telemetry::default() };
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

#[cfg(test)]
mod tests;
