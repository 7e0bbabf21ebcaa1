//! A proxy in this process: the policy compiled, connections in memory, scripted providers, time that stands still
//! until everybody waits. Tests are written in its words.

mod answer;
mod ask;
mod raw;
mod traced;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use egret::app::State;
use egret::auth::api_key::KeyDigest;
use egret::clock::{Clock, Instant, Now, Timestamp};
use egret::environment::Environment;
use egret::ids::TenantId;
use egret::limits::Ledger;
use egret::mock::Seen;
use egret::net::tls::LazyTls;
use egret::policy::load::Sources;
use egret::policy::store::ReloadResult;
use egret::policy::watch::Loaded;
use egret::policy::{Snapshot, compile};
use egret::random::Random;
use egret::relay::{Relay, Settings};
use egret::server::{self, Peer, serve_io};
use egret::tasks::Tasks;
use egret::telemetry::Telemetry;
use egret::telemetry::spans::Spans;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

pub(crate) use answer::Answer;
pub(crate) use ask::{Ask, Opened};
pub(crate) use raw::{Raw, canned};
pub(crate) use traced::traced;

/// What stands before every policy of a test.
pub(crate) const HEAD: &str = "apiVersion: egret.dev/v1alpha1\nkind: Policy\nallowMock: true\n";

/// What a pipe between caller and proxy holds: little, so that a slow reader is felt.
const PIPE: usize = 16 * 1024;

/// An egret without a process.
pub(crate) struct Proxy {
    pub(crate) state: Arc<State>,
    relay: Arc<Relay>,
    /// The connections of callers; those to providers are the state's tasks.
    pub(crate) callers: Tasks,
}

/// How an egret is started, beside its policy.
pub(crate) struct Start {
    pub(crate) environment: Environment,
    pub(crate) stamp: Option<TenantId>,
    pub(crate) max_body: usize,
    pub(crate) max_buffered: usize,
    pub(crate) spans: Option<Spans>,
    pub(crate) ledger: Ledger,
    /// What the clock on the wall says.
    pub(crate) wall: Timestamp,
}

impl Default for Start {
    fn default() -> Self {
        let (max_body, max_buffered) = (32 << 20, 48 << 20);
        let (environment, ledger) = (Environment::given([]), Ledger::new());
        let wall = moment().wall;
        Self { environment, stamp: None, max_body, max_buffered, spans: None, ledger, wall }
    }
}

/// A proxy under a policy, of which the first lines need not be written.
pub(crate) fn proxy(policy: &str) -> Proxy {
    Start::default().proxy(policy)
}

impl Start {
    /// With the keys `a`, `b` and `c`, which end in `aaaa` and so on.
    pub(crate) fn keyed() -> Self {
        let keys = [("A", "secret-aaaa"), ("B", "secret-bbbb"), ("C", "secret-cccc")];
        Self { environment: Environment::given(keys), ..Self::default() }
    }

    pub(crate) fn proxy(self, policy: &str) -> Proxy {
        let settings = Settings { max_body: self.max_body, stamp: self.stamp };
        let (clock, tls) = (Clock::standing(self.wall), LazyTls::new(None).unwrap());
        let telemetry = Telemetry { spans: self.spans, ..Telemetry::default() };
        let Self { environment, max_buffered, ledger, .. } = self;
        let state = State::counting_in(ledger, &environment, clock, settings, max_buffered, tls, telemetry);
        state.begin(Loaded { snapshot: compiled(policy), warnings: Vec::new() });
        let relay = state.relay(Random::seeded(7));
        Proxy { state: Arc::new(state), relay, callers: Tasks::new() }
    }
}

/// A policy with a route `chat` through one provider after the other, each with one fault as a policy writes it: the
/// first is provider `p1` with model `m1`. Each is tried once. Everyone on loopback may ask for everything.
pub(crate) fn chain(faults: &[&str]) -> String {
    let (mut providers, mut models, mut targets) = (String::new(), String::new(), Vec::new());
    for (at, fault) in (1..).zip(faults) {
        providers += &format!("  p{at}: {{ mock: {{ says: \"hello from p{at}\", faults: [{fault}] }} }}\n");
        models += &format!("  m{at}: {{ provider: p{at} }}\n");
        targets.push(format!("{{ model: m{at} }}"));
    }
    let (tries, targets) = (faults.len().clamp(1, 20), targets.join(", "));
    format!(
        "providers:\n{providers}models:\n{models}routes: {{ chat: {{ targets: [{targets}], retry: {{ maxAttempts: {tries} }} }} }}\n{ANYONE}"
    )
}

/// A policy of [`chain`] in which this, too, is said of a provider.
pub(crate) fn saying(policy: &str, provider: &str, more: &str) -> String {
    let (plain, said) = (format!("  {provider}: {{ mock:"), format!("  {provider}: {{ {more}, mock:"));
    assert!(policy.contains(&plain), "no {provider} in {policy}");
    policy.replace(&plain, &said)
}

/// A policy of [`chain`] in which its route says this in the place of how often it tries.
pub(crate) fn routing(policy: &str, more: &str) -> String {
    let (before, said) = policy.split_once("], retry: { ").unwrap();
    let (_, after) = said.split_once(" }").unwrap();
    format!("{before}], {more}{after}")
}

/// Three keys that take turns, to say of a provider of a policy under [`Start::keyed`].
pub(crate) const POOL: &str =
    "keys: [{ name: a, fromEnv: A }, { name: b, fromEnv: B }, { name: c, fromEnv: C }]";

/// Asserts that so much time has passed, and hardly more.
#[track_caller]
pub(crate) fn took(since: Instant, expected: Duration) {
    let taken = Instant::now() - since;
    assert!(
        taken >= expected && taken < expected + Duration::from_millis(50),
        "took {taken:?}, not {expected:?}"
    );
}

/// A tenant for everyone on loopback, with every name and no limit.
pub(crate) const ANYONE: &str = "tenants: { app: { local: true, access: { allow: [\"*\"] } } }\n";

impl Proxy {
    /// Asks for a chat.
    pub(crate) fn chat(&self, model: &str) -> Ask<'_> {
        let body = serde_json::json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
        self.post("/v1/chat/completions", body.to_string())
    }

    /// Asks for a chat as a stream.
    pub(crate) fn stream(&self, model: &str) -> Ask<'_> {
        let messages = serde_json::json!([{ "role": "user", "content": "hi" }]);
        let body = serde_json::json!({ "model": model, "stream": true, "messages": messages });
        self.post("/v1/chat/completions", body.to_string())
    }

    /// Sends JSON.
    pub(crate) fn post(&self, path: &str, body: impl Into<Bytes>) -> Ask<'_> {
        Ask::new(self, Request::post(path).header("content-type", "application/json"), body.into())
    }

    /// Sends bytes without saying of what type they are.
    pub(crate) fn untyped(&self, path: &str) -> Ask<'_> {
        Ask::new(self, Request::post(path), Bytes::new())
    }

    pub(crate) fn get(&self, path: &str) -> Ask<'_> {
        Ask::new(self, Request::get(path), Bytes::new())
    }

    /// Asks for a chat with no connection between, for tests of very many calls; gives the status.
    pub(crate) async fn asked_at_once(&self, model: &str) -> StatusCode {
        let body = serde_json::json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
        let head = Request::post("/v1/chat/completions").header("content-type", "application/json");
        let request = head.body(Full::new(Bytes::from(body.to_string()))).unwrap();
        Arc::clone(&self.relay).handle(request, IpAddr::from(Ipv4Addr::LOCALHOST)).await.status()
    }

    /// How many bytes a call takes while it is answered, those on the heap apart.
    pub(crate) fn room_of_a_call(&self) -> usize {
        let request = Request::new(Full::new(Bytes::new()));
        size_of_val(&Arc::clone(&self.relay).handle(request, IpAddr::from(Ipv4Addr::LOCALHOST)))
    }

    /// What a scripted provider answers to a chat, not by way of egret.
    pub(crate) async fn asked_directly(&self, provider: &str, fault: &str) -> Answer {
        self.directly(provider, self.chat("m").fault(fault)).await
    }

    /// What it answers to this.
    pub(crate) async fn directly(&self, provider: &str, ask: Ask<'_>) -> Answer {
        let mock = self.state.mock(provider).expect("a scripted provider of this name");
        let (caller, server) = tokio::io::duplex(PIPE);
        self.callers.spawn("provider", async move { mock.serve(server).await });
        ask.over(caller).await
    }

    /// What a scripted provider was asked.
    pub(crate) fn seen(&self, provider: &str) -> Vec<Seen> {
        self.state.mock(provider).expect("a scripted provider of this name").seen()
    }

    /// The lines of the access log since the last time it was asked.
    pub(crate) fn log_text(&self) -> String {
        let mut text = Vec::new();
        self.state.shared.telemetry.access_log.drain_to(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// The access log since the last time it was asked.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.log_text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The only record since the last time the log was asked.
    pub(crate) fn record(&self) -> Value {
        let mut records = self.records();
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }

    /// Puts another policy into force, as a changed file does.
    pub(crate) fn reload(&self, policy: &str) {
        let mut loaded = Loaded { snapshot: compiled(policy), warnings: Vec::new() };
        self.state.prepare(&mut loaded);
        let Loaded { snapshot, warnings } = loaded;
        let result = self.state.shared.store.accept(snapshot, warnings, self.state.clock.wall());
        assert_eq!(result, ReloadResult::Accepted);
    }

    /// Of every cell of the ledger: limit, what it counts by, used, reserved.
    pub(crate) fn cells(&self) -> Vec<(String, Option<String>, u64, u64)> {
        let mut cells: Vec<_> =
            self.state.shared.ledger.usage(self.state.clock.moment()).into_iter().collect();
        cells.sort_by_key(|cell| (cell.key.to_string(), cell.value.clone()));
        let row = |cell: egret::limits::ledger::CellUse| {
            (cell.key.to_string(), cell.value, cell.settled, cell.reserved)
        };
        cells.into_iter().map(row).collect()
    }

    /// How many connections to providers stand idle.
    pub(crate) fn idle(&self) -> usize {
        self.relay.upstream.idle()
    }

    /// What a fresh connection answers to these bytes, until it closes or says nothing more.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        let mut caller = self.connect(SocketAddr::from(([127, 0, 0, 1], 50_000)));
        caller.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(secs(5), caller.read_to_end(&mut answer)).await;
        String::from_utf8(answer).unwrap()
    }

    /// A connection of a caller.
    fn connect(&self, peer: SocketAddr) -> DuplexStream {
        let (caller, server) = tokio::io::duplex(PIPE);
        let relay = Arc::clone(&self.relay);
        let service = move |request: Request<Incoming>, peer: Peer| {
            Arc::clone(&relay).handle(request, peer.address.ip())
        };
        let (drain, tasks) = (self.state.drain.clone(), self.callers.clone());
        let settings = server::Settings::default();
        self.callers.spawn("caller", serve_io(server, Peer::new(peer), service, settings, drain, tasks));
        caller
    }
}

/// When every proxy begins.
pub(crate) fn moment() -> Now {
    Now { instant: Instant::now(), wall: "2026-11-20T12:00:00Z".parse().unwrap() }
}

/// The policy, which has to be good.
pub(crate) fn compiled(policy: &str) -> Snapshot {
    let sources = Sources::single("policy.yaml", format!("{HEAD}{policy}"));
    compile::compile(&sources).unwrap_or_else(|faults| panic!("{faults}")).0
}

/// Under a paused clock this returns when everybody else waits.
pub(crate) async fn quiet() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// All of them at once, in the order in which they were given.
pub(crate) async fn all<F: IntoFuture>(asked: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = asked.into_iter().map(|one| (Box::pin(one.into_future()), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in running.iter_mut().filter(|(_, output)| output.is_none()) {
            if let Poll::Ready(ready) = future.as_mut().poll(cx) {
                *output = Some(ready);
            }
        }
        if running.iter().all(|(_, output)| output.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

/// What a policy holds of a caller's key.
pub(crate) fn hash(key: &str) -> String {
    KeyDigest::of(key).hex()
}
