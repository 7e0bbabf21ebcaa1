//! Policy tests: the stages and the attempt loop of serving, over scripted providers, in time that is made up.
//!
//! An hour of retries takes milliseconds: time goes on only while everything waits.

mod ask;
mod coverage;
mod expect;
pub mod explained;
mod inquiry;
mod observed;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use parking_lot::Mutex;

pub use coverage::{Coverage, Part};
pub use expect::Failure;
pub use inquiry::{Counted, Inquiry, Question};

use coverage::Seen;
use observed::Observed;

use crate::clock::{Clock, Timestamp};
use crate::ids::ProviderId;
use crate::limits::{Rule, Unit};
use crate::mock::{Mock, Script};
use crate::net::memory::MemoryNet;
use crate::policy::Snapshot;
use crate::policy::diagnostic::Place;
use crate::policy::suite::{Expected, Scripts, Step, Test, Used, Wanted};
use crate::random::Random;
use crate::relay::Relay;
use crate::tasks::Tasks;
use crate::telemetry::Watch;
use crate::telemetry::record::CallRecord;

/// An egret of its own for one test: nothing has been counted, no provider has failed.
pub struct Stage {
    /// Relays its calls.
    pub relay: Arc<Relay>,
    /// Where its scripted providers are to be found.
    pub memory: MemoryNet,
    /// Its background tasks.
    pub tasks: Tasks,
    /// Tells its time.
    pub clock: Clock,
}

/// How one test came out.
#[derive(Debug)]
pub struct Outcome {
    /// What it says of the policy.
    pub name: Box<str>,
    /// Where it stands.
    pub place: Place,
    /// What did not come as expected, in order; empty where the test passed.
    pub failures: Vec<Failure>,
    /// How many calls it made.
    pub calls: u64,
    /// How long it took, in the time that is made up.
    pub took: Duration,
}

impl Outcome {
    /// Whether everything came as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Runs tests under the policy for which they were compiled, each in an egret of its own that `open` gives; `done` is
/// told of each as it ends. Gives what the tests saw of the policy.
///
/// # Errors
/// The runtime cannot be had.
pub fn run(
    policy: &Arc<Snapshot>,
    tests: &[Test],
    open: impl Fn(Timestamp, Watch) -> Stage,
    mut done: impl FnMut(Outcome),
) -> std::io::Result<Coverage> {
    let mut seen = Seen::default();
    for test in tests {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let outcome = runtime.block_on(async {
            let (watch, records) = watched();
            let stage = open(test.at, watch);
            let mut play = Play::begin(policy, test, &stage, records);
            let outcome = play.run(test, &mut seen).await;
            stage.tasks.stop();
            outcome
        });
        done(outcome);
    }
    Ok(Coverage::of(policy, &seen))
}

/// The records of calls that have ended and nobody has looked at.
type Records = Arc<Mutex<Vec<CallRecord>>>;

fn watched() -> (Watch, Records) {
    let records = Records::default();
    let into = Arc::clone(&records);
    (Watch::new(move |record| into.lock().push(record.clone())), records)
}

/// One test under way.
struct Play<'s> {
    policy: &'s Snapshot,
    stage: &'s Stage,
    records: Records,
    scripts: Arc<Mutex<Scripts>>,
    mocks: Vec<(ProviderId, Mock)>,
    calls: u64,
}

impl<'s> Play<'s> {
    fn begin(policy: &'s Snapshot, test: &Test, stage: &'s Stage, records: Records) -> Self {
        let own = policy
            .providers
            .values()
            .filter_map(|provider| Some((provider.id.clone(), provider.mock.clone()?)));
        let mut scripts: Scripts = own.collect();
        scripts.extend(test.scripts.iter().map(|(id, script)| (id.clone(), Arc::clone(script))));
        let scripts = Arc::new(Mutex::new(scripts));
        let mocks = policy.providers.keys().map(|id| (id.clone(), provider(id, &scripts, stage))).collect();
        for used in &test.used {
            count(used, stage);
        }
        Self { policy, stage, records, scripts, mocks, calls: 0 }
    }

    async fn run(&mut self, test: &Test, seen: &mut Seen) -> Outcome {
        let began = self.stage.clock.now();
        let mut failures = Vec::new();
        for (number, step) in (1..).zip(&test.steps) {
            failures = self.step(number, test.steps.len(), step, seen).await;
            if !failures.is_empty() {
                // What follows rests on what did not come.
                break;
            }
        }
        Outcome {
            name: test.name.clone(),
            place: test.place.clone(),
            failures,
            calls: self.calls,
            took: self.stage.clock.now() - began,
        }
    }

    async fn step(&mut self, number: usize, of: usize, step: &Step, seen: &mut Seen) -> Vec<Failure> {
        if !step.after.is_zero() {
            tokio::time::sleep(step.after).await;
        }
        self.rewrite(&step.scripts);
        for time in 1..=step.times {
            self.calls += 1;
            let observed = self.call(step).await;
            if let Some(observed) = &observed {
                seen.call(self.policy, step, &observed.record);
            }
            let which = which(number, of, time, step.times);
            let failures = self.compare(step, observed.as_ref(), &which);
            if !failures.is_empty() {
                return failures;
            }
        }
        Vec::new()
    }

    /// What did not come as expected of a call; of one that left no record, everything.
    fn compare(&self, step: &Step, seen: Option<&Observed>, which: &str) -> Vec<Failure> {
        let told = seen.map_or_else(|| "no record of the call".to_owned(), Observed::told);
        let check = |what: &Wanted| match seen {
            Some(seen) => expect::check(what, seen, self.stage, &step.caller, self.policy),
            None => Err((format!("{} of a call", what.field()), "no record of the call".to_owned())),
        };
        let failed =
            step.expected.iter().filter_map(|expected| Some((expected, check(&expected.what).err()?)));
        let failure = |(expected, (wanted, got)): (&Expected, _)| Failure {
            place: expected.place.clone(),
            field: expected.what.field(),
            wanted,
            got,
            which: format!("{which}{told}"),
        };
        failed.map(failure).collect()
    }

    /// Makes the call and waits for the end of its answer.
    async fn call(&self, step: &Step) -> Option<Observed> {
        let (request, caller) = ask::request(&step.call, &step.caller);
        let began = self.stage.clock.now();
        let answer = Box::pin(Arc::clone(&self.stage.relay).handle(request, caller)).await;
        let (head, mut body) = answer.into_parts();
        let mut bytes = Vec::new();
        // A stream that breaks off is told by the record, and by what came of it.
        while let Some(Ok(frame)) = body.frame().await {
            bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        }
        drop(body);
        let took = self.stage.clock.now() - began;
        let record = self.records.lock().pop()?;
        Some(Observed {
            status: head.status,
            headers: head.headers,
            body: bytes,
            record,
            took,
            api: step.call.api,
        })
    }

    /// Providers that are named do as said from here on, from the first of their faults.
    fn rewrite(&self, scripts: &Scripts) {
        for (id, script) in scripts {
            self.scripts.lock().insert(id.clone(), Arc::clone(script));
            for (_, mock) in self.mocks.iter().filter(|(known, _)| known == id) {
                mock.rewind();
            }
        }
    }
}

/// Puts a provider on the stage, which does as its script says at each request.
fn provider(id: &ProviderId, scripts: &Arc<Mutex<Scripts>>, stage: &Stage) -> Mock {
    let (own, scripts) = (id.clone(), Arc::clone(scripts));
    let otherwise = Arc::new(Script::default());
    let script = move || scripts.lock().get(&own).cloned().unwrap_or_else(|| Arc::clone(&otherwise));
    let mock = Mock::with(script, stage.clock.clone(), Random::seeded(1));
    let (tasks, serving) = (stage.tasks.clone(), mock.clone());
    let accept = move |io| {
        let mock = serving.clone();
        tasks.spawn("scripted provider", async move { mock.serve(io).await });
    };
    stage.memory.register(id.as_str(), Arc::new(accept));
    mock
}

fn count(used: &Used, stage: &Stage) {
    let now = stage.clock.moment();
    for rule in &*used.rule {
        stage.relay.shared.ledger.count(rule, used.of.as_deref(), used.amount, now);
    }
}

/// Which of a test's calls it was, where there are several.
fn which(number: usize, of: usize, time: u32, times: u32) -> String {
    match (of > 1, times > 1) {
        (false, false) => String::new(),
        (true, false) => format!("call {number} of {of}: "),
        (false, true) => format!("time {time} of {times}: "),
        (true, true) => format!("call {number} of {of}, time {time} of {times}: "),
    }
}

/// So much of what a rule counts, as a test writes it.
fn amount(rule: &Rule, amount: u64) -> String {
    of_unit(rule.quota.unit(), amount)
}

/// The same of a unit.
fn of_unit(unit: Unit, amount: u64) -> String {
    match unit {
        Unit::Usd => format!("\"{}\"", crate::units::NanoUsd(amount)),
        Unit::Requests | Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Concurrent => {
            amount.to_string()
        }
    }
}
