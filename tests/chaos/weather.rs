//! What providers do to their callers: fair, rough and lost phases, drawn from a seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use egret::clock::Instant;
use egret::mock::{Fault, Script};
use egret::random::Random;

/// How long a phase lasts.
const PHASE: Duration = Duration::from_secs(4);
/// Words of every answer.
pub(crate) const WORDS: u32 = 32;

/// Every fault there is, but for those that no proxy can tell from an answer (events twice or out of order, endless
/// content) and those that leave a key unused for ten minutes.
const FAULTS: [&str; 42] = [
    "status=400",
    "status=408",
    "status=409",
    "status=429",
    "status=429;retry-after=1",
    "status=500",
    "status=500",
    "status=502",
    "status=503",
    "status=503;retry-after=1",
    "status=529",
    "error=rate_limit_exceeded",
    "error=slow_down",
    "error=server_is_overloaded",
    "error=model_not_found",
    "error=context_length_exceeded",
    "error=content_policy_violation",
    "for-key=-c;status=401",
    "for-key=-c;error=insufficient_quota",
    "reset=0",
    "reset=1",
    "reset=9",
    "reset-after-head",
    "stall=0",
    "stall=1",
    "stall=7",
    "stall-after-head",
    "truncate=1",
    "truncate=6",
    "error-event=1",
    "error-event=8",
    "error-event=5;code=rate_limit_exceeded",
    "empty",
    "only-pings",
    "only-done",
    "html",
    "not-json",
    "wrong-type",
    "gzip",
    "redirect",
    "slow-head=800ms",
    "slow-head=4s",
];
/// And those that make an answer slow.
const SLOW: [&str; 7] = [
    "slow-first-token=700ms",
    "slow-first-token=1200ms;pings=200ms",
    "slow-first-token=3s;pings=300ms",
    "slow-stream=2",
    "slow-stream=40",
    "trickle=0ms",
    "trickle=1ms",
];
/// What an outage looks like: one of these, of every call.
const OUTAGES: [&str; 8] = [
    "status=500",
    "status=503;retry-after=1",
    "status=429;retry-after=1",
    "reset=0",
    "stall=0",
    "html",
    "truncate=4",
    "error-event=0",
];

/// The faults of one provider. The same seed gives the same to the call of the same number in the same phase.
pub(crate) struct Weather {
    seed: u64,
    begun: Instant,
    turn: AtomicU64,
    calm: AtomicBool,
}

/// How a provider does for a while.
#[derive(Clone, Copy)]
enum Phase {
    Calm,
    Fair,
    Rough,
    Lost(&'static str),
}

impl Weather {
    /// Of the provider of this number, from now on.
    pub(crate) fn new(seed: u64, provider: usize) -> Self {
        let seed = Random::seeded(seed.wrapping_add(provider as u64 * 7_919)).u64();
        Self { seed, begun: Instant::now(), turn: AtomicU64::new(0), calm: AtomicBool::new(false) }
    }

    /// From now on nothing goes wrong.
    pub(crate) fn calms_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }

    /// What the next call meets.
    pub(crate) fn next(&self) -> Arc<Script> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let random = Random::seeded(self.seed ^ turn.wrapping_mul(0x9e37));
        let fault = self.phase().fault(&random).parse::<Fault>().unwrap();
        Arc::new(Script {
            says: None,
            latency: Duration::from_millis(10 + random.u64() % 90),
            tokens_per_second: 200.try_into().ok(),
            tokens: WORDS.try_into().unwrap(),
            faults: vec![fault],
        })
    }

    fn phase(&self) -> Phase {
        if self.calm.load(Ordering::Relaxed) {
            return Phase::Calm;
        }
        let number = (self.begun.elapsed().as_millis() / PHASE.as_millis()) as u64;
        let random = Random::seeded(self.seed.rotate_left(17) ^ number.wrapping_mul(0x51ed));
        match random.u64() % 100 {
            0..55 => Phase::Fair,
            55..83 => Phase::Rough,
            _ => Phase::Lost(one_of(&OUTAGES, &random)),
        }
    }
}

impl Phase {
    fn fault(self, random: &Random) -> &'static str {
        let percent = random.u64() % 100;
        match self {
            Self::Fair if percent < 3 => one_of(&FAULTS, random),
            Self::Fair if percent < 5 => one_of(&SLOW, random),
            Self::Rough if percent < 35 => one_of(&FAULTS, random),
            Self::Rough if percent < 45 => one_of(&SLOW, random),
            Self::Calm | Self::Fair | Self::Rough => "none",
            Self::Lost(fault) => fault,
        }
    }
}

/// One of them by chance.
pub(crate) fn one_of<T: Copy>(all: &[T], random: &Random) -> T {
    all[(random.u64() % all.len() as u64) as usize]
}
