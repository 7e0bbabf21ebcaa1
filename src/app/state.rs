//! What outlives every policy: counts, keys, scripted providers, tasks. Tests build one without a process.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::health;
use super::observed::{self, Connections};
use crate::clock::Clock;
use crate::environment::Environment;
use crate::ids::ProviderId;
use crate::limits::{Ledger, Rule};
use crate::mock::Mock;
use crate::net::body::BufferBudget;
use crate::net::endpoint::Endpoint;
use crate::net::memory::MemoryNet;
use crate::net::tls::LazyTls;
use crate::net::upstream::{self, Upstream};
use crate::policy::Snapshot;
use crate::policy::store::PolicyStore;
use crate::policy::watch::Loaded;
use crate::pricing::Calibration;
use crate::random::Random;
use crate::relay::{self, Relay, Shared, Timers, Warnings};
use crate::resilience::health::{ProviderSettings, RouteSettings, TargetSettings};
use crate::secret::Secrets;
use crate::server::Drain;
use crate::tasks::Tasks;
use crate::telemetry::Telemetry;
use crate::telemetry::spans::Spans;

/// What a running egret is made of.
pub struct State {
    /// What all workers share on a call's path.
    pub shared: Arc<Shared>,
    /// How far the end of serving has come.
    pub drain: Drain,
    /// Background tasks.
    pub tasks: Tasks,
    /// Tells the time.
    pub clock: Clock,
    tls: LazyTls,
    pub(super) memory: MemoryNet,
    mocks: Mutex<HashMap<ProviderId, Mock>>,
    connections: Connections,
}

impl State {
    /// Everything but a policy, with counts in memory.
    pub fn new(
        environment: &Environment,
        clock: Clock,
        settings: relay::Settings,
        max_buffered: usize,
        tls: LazyTls,
        telemetry: Telemetry,
    ) -> Self {
        Self::counting_in(Ledger::new(), environment, clock, settings, max_buffered, tls, telemetry)
    }

    /// The same with counts in a ledger of your own.
    pub fn counting_in(
        ledger: Ledger,
        environment: &Environment,
        clock: Clock,
        settings: relay::Settings,
        max_buffered: usize,
        tls: LazyTls,
        telemetry: Telemetry,
    ) -> Self {
        let shared = Shared {
            store: Arc::new(PolicyStore::empty()),
            ledger: Arc::new(ledger),
            calibration: Calibration::default(),
            secrets: Arc::new(Secrets::new(environment.clone())),
            telemetry,
            warnings: Warnings::default(),
            health: Arc::default(),
            budget: BufferBudget::new(max_buffered),
            settings,
        };
        let state = Self {
            shared: Arc::new(shared),
            drain: Drain::new(),
            tasks: Tasks::new(),
            clock,
            tls,
            memory: MemoryNet::new(),
            mocks: Mutex::default(),
            connections: Connections::default(),
        };
        state.observe();
        state
    }

    /// Lets metrics see its parts; not itself, for it holds the metrics.
    fn observe(&self) {
        let Shared { store, ledger, telemetry, budget, health, secrets, .. } = &*self.shared;
        let meter = telemetry.metrics.meter();
        observed::policy(meter, store);
        health::observe(meter, health, store, secrets, &self.clock);
        observed::calls(meter, &self.drain, budget);
        observed::limits(meter, ledger, &self.clock);
        observed::ledger(meter, ledger);
        observed::telemetry(meter, &telemetry.access_log, telemetry.spans.as_ref().map(Spans::queue));
        observed::connections(meter, &self.connections);
        observed::process(meter, &self.clock);
    }

    /// Brings the first policy into force.
    pub fn begin(&self, mut loaded: Loaded) {
        self.prepare(&mut loaded);
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        self.shared.store.accept(loaded.snapshot, loaded.warnings, self.clock.wall());
    }

    /// Brings a policy into force of which others are in force elsewhere: a rehearsal has many egrets under one.
    pub fn share(&self, snapshot: Arc<Snapshot>) {
        let warnings = self.prepare_for(&snapshot);
        self.shared.store.accept(snapshot, warnings, self.clock.wall());
    }

    /// Waits for a first policy: the process is live, not ready.
    pub fn await_first(&self, diagnostics: String) {
        tracing::error!("no good policy yet, waiting for one\n\n{diagnostics}");
        self.shared.store.reject(diagnostics, self.clock.wall());
    }

    /// Gets ready what a policy needs from outside it, before it comes into force: keys, trust, scripted providers.
    /// What is missing there becomes a warning: it may come later, and the other providers serve meanwhile.
    pub fn prepare(&self, loaded: &mut Loaded) {
        let Loaded { snapshot, warnings } = loaded;
        warnings.extend(self.prepare_for(snapshot));
    }

    fn prepare_for(&self, snapshot: &Snapshot) -> Vec<String> {
        let mut warnings = Vec::new();
        self.shared.calibration.renew(snapshot.models.keys());
        self.renew_health(snapshot);
        let keys = snapshot.providers.values().flat_map(|provider| provider.keys.iter());
        let keys = keys.filter_map(|key| key.at.as_ref());
        warnings.extend(self.shared.secrets.adopt(keys).iter().map(ToString::to_string));
        if let Some(tenant) = &self.shared.settings.stamp
            && !snapshot.tenants.contains_key(tenant)
        {
            warnings.push(format!(
                "--tenant {tenant}: the policy has no such tenant; callers without a key get a 401"
            ));
        }
        let (ledger, now) = (&self.shared.ledger, self.clock.moment());
        ledger.adopt(snapshot.rules(), now);
        if ledger.is_durable() {
            ledger.restore(snapshot.rules(), now);
        } else {
            warnings.extend(forgotten_at_a_restart(snapshot));
        }
        if snapshot.providers.values().any(|provider| provider.endpoint.is_tls()) {
            self.warm_tls();
        }
        for provider in snapshot.providers.values() {
            if let (Endpoint::Memory(name), Some(_)) = (&provider.endpoint, &provider.mock) {
                self.register_mock(&provider.id, name);
            }
        }
        warnings
    }

    /// Lets what is known of providers, targets and routes follow a policy: of those that stay all of it is kept.
    fn renew_health(&self, snapshot: &Snapshot) {
        let providers = snapshot.providers.values().map(|provider| ProviderSettings {
            id: &provider.id,
            keys: provider.keys.iter().map(|key| key.name.clone()).collect(),
            breaker: provider.breaker,
            retry_budget: provider.retry_budget,
        });
        let targets = snapshot.models.values();
        let targets = targets.map(|model| TargetSettings { model: &model.id, provider: &model.provider.id });
        let routes = snapshot.routes.values().map(|route| RouteSettings {
            id: &route.id,
            targets: route.targets.iter().map(|target| (&target.model.id, target.weight.get())).collect(),
            hedge_permille: route.hedge.map_or(0, |hedge| hedge.max_permille),
        });
        self.shared.health.renew(
            providers,
            targets,
            routes,
            self.clock.wall().as_microsecond().unsigned_abs(),
        );
    }

    /// The relay of one worker, with connections of its own.
    pub fn relay(&self, random: Random) -> Arc<Relay> {
        let (tls, memory) = (self.tls.clone(), self.memory.clone());
        let meters = Arc::clone(&self.connections.meters);
        let settings = upstream::Settings { meters, ..upstream::Settings::default() };
        let upstream = Upstream::new(tls, memory, self.tasks.clone(), settings);
        self.connections.idle.lock().push(upstream.watch_idle());
        Arc::new(Relay {
            shared: Arc::clone(&self.shared),
            upstream,
            clock: self.clock.clone(),
            random,
            timers: Timers::default(),
        })
    }

    /// A relay that stands where this process does now, and of which nothing comes back: its probes and turns are its own,
    /// and its counts, of rules that `counts` says of.
    pub(super) fn apart(&self, policy: &Arc<Snapshot>, counts: impl Fn(&Rule) -> bool) -> Arc<Relay> {
        let Shared { ledger, calibration, secrets, health, settings, .. } = &*self.shared;
        let now = self.clock.moment();
        let store = PolicyStore::empty();
        store.accept(Arc::clone(policy), Vec::new(), now.wall);
        let shared = Shared {
            store: Arc::new(store),
            ledger: Arc::new(ledger.apart(policy.rules().filter(|rule| counts(rule)), now)),
            calibration: calibration.shown(),
            secrets: Arc::clone(secrets),
            telemetry: Telemetry::default(),
            warnings: Warnings::default(),
            health: Arc::new(health.apart()),
            budget: BufferBudget::new(2 * settings.max_body),
            settings: settings.clone(),
        };
        let (tls, tasks) = (self.tls.clone(), self.tasks.clone());
        let upstream = Upstream::new(tls, MemoryNet::new(), tasks, upstream::Settings::default());
        Arc::new(Relay {
            shared: Arc::new(shared),
            upstream,
            clock: self.clock.clone(),
            random: Random::seeded(now.wall.as_microsecond().unsigned_abs()),
            timers: Timers::default(),
        })
    }

    /// A scripted provider of the policy, as the process runs it; for tests.
    pub fn mock(&self, provider: &str) -> Option<Mock> {
        self.mocks.lock().get(provider).cloned()
    }

    /// Reads the system's trust store on a thread of its own, so that no worker has to with the first call.
    fn warm_tls(&self) {
        let tls = self.tls.clone();
        let read = move || {
            if let Err(error) = tls.config() {
                tracing::error!(%error, "no provider can be reached over TLS");
            }
        };
        if std::thread::Builder::new().name("egret-trust".to_owned()).spawn(read).is_err() {
            tracing::debug!("no thread to read the trust store: the first call does");
        }
    }

    /// A scripted provider keeps its place in its faults over a reload; what it does is the policy's in force.
    fn register_mock(&self, id: &ProviderId, name: &str) {
        let mut mocks = self.mocks.lock();
        if mocks.contains_key(id) {
            return;
        }
        let (store, provider) = (Arc::clone(&self.shared.store), id.clone());
        let script = move || {
            let script = store.load().and_then(|snapshot| snapshot.providers.get(&provider)?.mock.clone());
            script.unwrap_or_default()
        };
        let mock = Mock::new(script);
        mocks.insert(id.clone(), mock.clone());
        let tasks = self.tasks.clone();
        let accept = move |io| {
            let mock = mock.clone();
            tasks.spawn("mock provider", async move { mock.serve(io).await });
        };
        self.memory.register(name, Arc::new(accept));
    }
}

/// A warning where a window outlives the process: its counts do not.
fn forgotten_at_a_restart(snapshot: &Snapshot) -> Option<String> {
    let mut turning = snapshot.rules().filter(|rule| rule.quota.turn().is_some());
    let first = turning.next()?;
    let others = match turning.count() {
        0 => String::new(),
        others => format!(", and {others} more"),
    };
    Some(format!(
        "{}: limit `{}` of {}{others}: windows of the calendar are counted in this pod's memory; a restart \
         starts them anew; `--ledger file:PATH` keeps them",
        first.place, first.key, first.owner
    ))
}
