//! Callers: one call after the other, each judged when it ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use egret::clock::Instant;
use egret::random::Random;
use egret::tasks::Tasks;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use crate::answer::{Heard, judge};
use crate::ask::{Ask, Line};
use crate::books::Books;
use crate::lag::Lag;
use crate::policy::{TOTAL, Tenant};

/// What a call may take beyond its time: the machine may be busy.
const SLACK: Duration = Duration::from_secs(3);
/// A call that takes so long has no end.
const HANGS: Duration = Duration::from_secs(60);
/// The longest pause between two calls.
const PAUSE_MS: u64 = 1_500;

/// What callers have in common.
pub(crate) struct World {
    pub(crate) proxy: SocketAddr,
    /// Until when they call.
    pub(crate) until: Instant,
    pub(crate) seed: u64,
    pub(crate) books: Books,
    pub(crate) tasks: Tasks,
    /// How late callers are, and how late egret is.
    pub(crate) lags: [Lag; 2],
    pub(crate) next: AtomicU64,
    /// Of calls that have three providers to go to, and of those that have one.
    pub(crate) routed: Score,
    pub(crate) alone: Score,
    /// By provider: of who calls it without anything between.
    pub(crate) direct: [Score; crate::provider::PROVIDERS],
}

impl World {
    /// The most by which the machine has held up anybody.
    fn late(&self) -> Duration {
        self.lags.iter().map(Lag::most).sum()
    }
}

/// How calls ended.
#[derive(Default)]
pub(crate) struct Score {
    pub(crate) calls: AtomicU64,
    pub(crate) whole: AtomicU64,
    pub(crate) broken: AtomicU64,
    pub(crate) busy: AtomicU64,
    pub(crate) left: AtomicU64,
    /// Limits of the tenant's own.
    pub(crate) limited: AtomicU64,
    /// The caller's own latency budget was over.
    pub(crate) late: AtomicU64,
    pub(crate) errors: Mutex<BTreeMap<(u16, String), u64>>,
}

impl Score {
    fn add(&self, ask: &Ask, heard: &Heard) {
        let count = |of: &AtomicU64| {
            of.fetch_add(1, Ordering::Relaxed);
        };
        count(&self.calls);
        match heard {
            Heard::Whole { .. } => count(&self.whole),
            Heard::Broken(_) => count(&self.broken),
            Heard::Busy => count(&self.busy),
            Heard::Left => count(&self.left),
            Heard::Error(429, code) if code == "rate_limit_exceeded" && ask.tenant == Tenant::Limited => {
                count(&self.limited);
            }
            Heard::Error(504, _) if ask.budget.is_some() => count(&self.late),
            Heard::Error(status, code) => {
                *self.errors.lock().entry((*status, code.clone())).or_default() += 1;
            }
        }
    }

    /// Calls that should have been answered: nobody left, no limit or budget of the caller's own stood against it.
    pub(crate) fn due(&self) -> u64 {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        of(&self.calls) - of(&self.left) - of(&self.limited) - of(&self.late)
    }

    /// Percent of those that were.
    pub(crate) fn percent(&self) -> f64 {
        100.0 * self.whole.load(Ordering::Relaxed) as f64 / self.due().max(1) as f64
    }
}

/// Calls egret until the time is over.
pub(crate) async fn calls_egret(world: Arc<World>, number: u64) {
    let random = Random::seeded(world.seed.wrapping_add(number.wrapping_mul(1_000_003)));
    let tenant = Tenant::ALL[(number % 4) as usize];
    let mut line = Line::to(world.proxy, &world.tasks);
    while Instant::now() < world.until {
        let ask = Ask::drawn(world.next.fetch_add(1, Ordering::Relaxed), tenant, &random);
        if let Some(heard) = one(&world, &mut line, &ask).await {
            let score = if ask.is_alone() { &world.alone } else { &world.routed };
            score.add(&ask, &heard);
            world.books.heard(ask, heard);
        }
        sleep(Duration::from_millis(random.u64() % PAUSE_MS)).await;
    }
}

/// Makes one call of egret; none where it went wrong, which is noted.
pub(crate) async fn one(world: &World, line: &mut Line, ask: &Ask) -> Option<Heard> {
    let time = ask.budget.map_or(TOTAL, |budget| budget.min(TOTAL)) + SLACK;
    let begun = Instant::now();
    let leaves = ask.leaves.unwrap_or(Duration::MAX / 4);
    let came = tokio::select! {
        biased;
        came = timeout(HANGS, line.call(ask)) => came,
        () = sleep(leaves) => return Some(Heard::Left),
    };
    let fault = match came {
        Ok(Some(came)) => match judge(ask, &came) {
            Ok(heard) if begun.elapsed() <= time + world.late() => return Some(heard),
            Ok(heard) => format!("{heard:?} after {:?}", begun.elapsed()),
            Err(why) => why,
        },
        Ok(None) => "no answer at all".to_owned(),
        Err(_) => "no end of a call".to_owned(),
    };
    world.books.fault(format!("{fault}: {ask:?}"));
    None
}

/// Calls one provider until the time is over, with nothing between.
pub(crate) async fn calls_directly(world: Arc<World>, number: u64, provider: usize, at: SocketAddr) {
    let random = Random::seeded(world.seed.wrapping_add(number.wrapping_mul(2_000_003)));
    let mut line = Line::to(at, &world.tasks);
    let model = ["model-p1", "model-p2", "model-p3"][provider - 1];
    while Instant::now() < world.until {
        let tenant = if number.is_multiple_of(4) { Tenant::Plain } else { Tenant::Patient };
        let ask = Ask { model, budget: None, ..Ask::drawn(0, tenant, &random) };
        let came = timeout(TOTAL, line.call(&ask)).await.ok().flatten();
        // Whatever is no answer is none: without anything between, nonsense reaches the caller as it is.
        let heard = came.and_then(|came| judge(&ask, &came).ok()).unwrap_or(Heard::Broken(0));
        world.direct[provider - 1].add(&ask, &heard);
        sleep(Duration::from_millis(random.u64() % PAUSE_MS)).await;
    }
}
