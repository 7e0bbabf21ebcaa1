//! Providers that fail in every way, callers that come, wait and leave, policies that change: and the books are right.
//!
//! ```sh
//! cargo run --example chaos
//! cargo run --example chaos -- --seconds 20 --seed 7
//! ```
//!
//! Three scripted providers on sockets of their own go through fair, rough and lost phases, drawn from the seed. Callers
//! ask an egret in this process, on threads and sockets as the real one, for chats, responses and embeddings, plain and
//! as streams; some leave, some have a latency budget, some meet limits. Two policies take turns every few seconds.
//!
//! Every answer must be whole and one provider's, or end with an error, within its time; each call is in the access log
//! once, as its caller heard it; when all have ended nothing is held, nothing runs, and what the ledger has counted is
//! what the log says. Who calls the same providers with nothing between has the same faults: so is told what egret is
//! good for. Where anything is wrong the exit code is 1, and the same seed draws the same faults again; how calls meet
//! them is a matter of time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and this one prints what it found"
)]

mod answer;
mod ask;
mod books;
mod caller;
mod lag;
mod policy;
mod provider;
mod proxy;
mod report;
mod weather;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use clap::Parser;
use egret::clock::Instant;
use egret::random::Random;
use egret::tasks::Tasks;
use tokio::time::{sleep, timeout};

use answer::Heard;
use ask::{Ask, Kind, Line};
use books::Books;
use caller::{World, calls_directly, calls_egret, one};
use policy::{TOTAL, Tenant};
use provider::Provider;
use proxy::Proxy;

/// Faults by chance against an egret in this process.
#[derive(Clone, Copy, Parser)]
struct Arguments {
    /// How long callers call.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Draws the same faults again; without it, new ones.
    #[arg(long)]
    seed: Option<u64>,
    /// How many callers there are; a tenth as many call providers directly.
    #[arg(long, default_value_t = 200)]
    callers: u64,
}

/// How often another policy comes into force.
const RELOAD: Duration = Duration::from_secs(3);
/// How often the log is read.
const READ: Duration = Duration::from_millis(200);
/// How long what has ended may take to be gone.
const GONE: Duration = Duration::from_secs(5);
/// How long a provider may be left alone when it is well again.
const RECOVERY: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| Random::from_os().u64() >> 32);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(arguments, seed))
}

async fn run(arguments: Arguments, seed: u64) -> ExitCode {
    let tasks = Tasks::new();
    let (providers, bare) = (Provider::all(seed, &tasks).await, Provider::all(seed, &tasks).await);
    let policies = [policy::text(&providers, false), policy::text(&providers, true)];
    let proxy = Proxy::start(&policies[0], seed);
    let begun = Instant::now();
    let world = Arc::new(World {
        proxy: proxy.address,
        until: begun + Duration::from_secs(arguments.seconds),
        seed,
        books: Books::default(),
        tasks: Tasks::new(),
        lags: [lag::Lag::default(), proxy.lag.clone()],
        next: AtomicU64::new(1),
        routed: caller::Score::default(),
        alone: caller::Score::default(),
        direct: Default::default(),
    });
    tasks.spawn("lag", world.lags[0].clone().watch());
    let callers = Tasks::new();
    for number in 0..arguments.callers {
        callers.spawn("caller", calls_egret(Arc::clone(&world), number));
    }
    for number in 0..arguments.callers.div_ceil(10) {
        let (at, provider) = (number as usize % bare.len(), &bare[number as usize % bare.len()]);
        callers.spawn("caller", calls_directly(Arc::clone(&world), number, at + 1, provider.address));
    }
    let memory = follow(&proxy, &world, &policies, begun, arguments.seconds).await;
    if timeout(10 * TOTAL, callers.wait()).await.is_err() {
        world.books.fault(format!("{} callers do not end", callers.running()));
    }
    providers.iter().for_each(|provider| provider.weather.calms_down());
    recovers(&proxy, &world).await;
    ends(proxy, &world, &providers).await;
    let report =
        report::Report { seed, seconds: begun.elapsed(), world: &world, providers: &providers, memory };
    report.tell()
}

/// Reads the log and changes the policy while callers call. Gives the memory after the first fifth and at the end.
async fn follow(
    proxy: &Proxy,
    world: &World,
    policies: &[String; 2],
    begun: Instant,
    seconds: u64,
) -> (u64, u64) {
    let warm = begun + Duration::from_secs(seconds) / 5;
    let (mut reloads, mut told, mut at_first) = (1, 1, None);
    while Instant::now() < world.until {
        sleep(READ).await;
        proxy.records().into_iter().for_each(|record| world.books.record(record));
        let passed = begun.elapsed();
        if passed > RELOAD * reloads {
            proxy.reload(&policies[reloads as usize % 2]);
            reloads += 1;
        }
        if Instant::now() > warm {
            at_first.get_or_insert_with(report::memory);
        }
        if passed > report::EVERY * told {
            report::line(world, passed);
            told += 1;
        }
    }
    (at_first.unwrap_or_else(report::memory), report::memory())
}

/// When providers are well again, each of them is asked again before long: nothing has stuck.
async fn recovers(proxy: &Proxy, world: &World) {
    let random = Random::seeded(world.seed);
    let mut line = Line::to(proxy.address, &world.tasks);
    for model in ["m1", "m2", "m3"] {
        let begun = Instant::now();
        loop {
            let drawn = Ask::drawn(
                world.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
                Tenant::Plain,
                &random,
            );
            let ask = Ask { model, kind: Kind::Chat, budget: None, ..drawn };
            let Some(heard) = one(world, &mut line, &ask).await else { return };
            let is_whole = matches!(heard, Heard::Whole { .. });
            world.books.heard(ask, heard.clone());
            if is_whole {
                break;
            }
            if begun.elapsed() > RECOVERY {
                return world.books.fault(format!("{model} is well and not asked again: {heard:?}"));
            }
            sleep(READ).await;
        }
    }
}

/// Nothing is left when all callers have gone.
async fn ends(proxy: Proxy, world: &World, providers: &[Provider]) {
    gone(world, "calls in flight", || proxy.calls()).await;
    gone(world, "connections to providers at work", || proxy.active_connections() as usize).await;
    proxy.records().into_iter().for_each(|record| world.books.record(record));
    if proxy.unlogged() > 0 {
        world.books.fault(format!("{} calls are not in the log", proxy.unlogged()));
    }
    if proxy.state.shared.budget.used() > 0 {
        world.books.fault(format!("{} bytes of bodies are held", proxy.state.shared.budget.used()));
    }
    world.books.close(&proxy.cells());
    let (cut, callers, tasks) = proxy.end().await;
    if (cut, callers, tasks) != (0, 0, 0) {
        let left = format!("{cut} calls cut, {callers} connections of callers, {tasks} tasks");
        world.books.fault(format!("left at the end: {left}"));
    }
    gone(world, "callers' ends", || world.tasks.running()).await;
    gone(world, "connections at providers", || providers.iter().map(Provider::connections).sum()).await;
}

/// Waits until there are none of these.
async fn gone(world: &World, what: &str, count: impl Fn() -> usize) {
    let begun = Instant::now();
    while count() > 0 {
        if begun.elapsed() > GONE {
            return world.books.fault(format!("{} {what} are left", count()));
        }
        sleep(Duration::from_millis(20)).await;
    }
}
