//! Names that callers may ask for: where they lead, in what order, for how long, and what happens when nothing answers.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::{Model, Reserve, When};
use crate::ids::RouteId;
use crate::resilience::backoff::Backoff;

/// A name that callers may ask for.
#[derive(Debug)]
pub struct Route {
    /// The name.
    pub id: RouteId,
    /// How the order of its targets is found.
    pub strategy: Strategy,
    /// Where it leads, as written. Never empty.
    pub targets: Vec<Target>,
    /// What has to hold of every call by way of it.
    pub when: Option<Box<When>>,
    /// The whole call, streams to their end.
    pub total: Duration,
    /// How often is tried.
    pub retry: Retry,
    /// Whether a second target is asked where the first takes long.
    pub hedge: Option<Hedge>,
    /// Whether streams that take long to begin are kept alive.
    pub keep_alive: Option<KeepAlive>,
    /// What happens to calls too long for a target's window; none: they go as they are.
    pub on_context_overflow: Option<OnContextOverflow>,
    /// What is answered where nothing else is; none: an error.
    pub on_exhausted: Option<Arc<str>>,
    /// What happens while the breakers of all targets are open.
    pub on_all_open: OnAllOpen,
    /// What happens to calls that a target's dialect cannot carry whole.
    pub on_loss: OnLoss,
    /// What it says of what is held for a call.
    pub reserve: Reserve,
}

/// One place to which a route leads.
#[derive(Debug)]
pub struct Target {
    /// What is asked there.
    pub model: Arc<Model>,
    /// Its share, beside those of the others; only `weighted` asks for it.
    pub weight: NonZeroU32,
    /// How long to wait for what: what the route says, else the model, its provider, the defaults.
    pub timeouts: Timeouts,
    /// What has to hold of a call that is to go there.
    pub when: Option<Box<When>>,
}

/// How the order of targets is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// As written.
    #[default]
    Ordered,
    /// By their weights, exactly over time.
    Weighted,
    /// By the time to their first token.
    Fastest,
    /// By what this call is expected to cost.
    Cheapest,
}

impl Strategy {
    /// Its name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Weighted => "weighted",
            Self::Fastest => "fastest",
            Self::Cheapest => "cheapest",
        }
    }
}

/// How long one try waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands, name look-up and TLS included.
    pub connect: Duration,
    /// Streams: from the begin of the try to the first content.
    pub first_token: Duration,
    /// Streams: the longest silence.
    pub stream_idle: Duration,
    /// Plain answers: from the begin of the try to the answer's end.
    pub answer: Duration,
    /// Streams: how fast they have to begin; none: however slowly.
    pub min_rate: Option<MinRate>,
}

/// The slowest begin of a stream that is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinRate {
    /// So many tokens a second.
    pub tokens_per_second: NonZeroU32,
    /// Over so long, from the first token on.
    pub over: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            first_token: Duration::from_secs(60),
            stream_idle: Duration::from_secs(60),
            answer: Duration::from_secs(300),
            min_rate: None,
        }
    }
}

impl Route {
    /// `total` where nothing is said.
    pub const TOTAL: Duration = Duration::from_secs(600);
}

/// How often is tried, and how long is waited between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Every try counts, the first included.
    pub max_attempts: NonZeroU32,
    /// How long is waited before the targets are gone through again.
    pub backoff: Backoff,
}

/// When a second target is asked too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// So long after the first.
    pub after: HedgeAfter,
    /// At most for so many of a thousand calls.
    pub max_permille: u16,
}

/// How long is waited for the first target alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// As long as 95 of a hundred of its answers take to begin.
    P95,
    /// So long.
    Fixed(Duration),
}

/// When a stream that has not begun is kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// After so long without an answer its head is sent.
    pub after: Duration,
    /// And so often a sign of life.
    pub every: Duration,
}

/// What happens to a call that is too long for a target's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnContextOverflow {
    /// It is refused.
    Reject,
    /// The next target is tried, if its window is larger.
    NextTarget,
    /// Its oldest messages are cut out.
    TruncateOldest,
}

/// What happens to a call that a target's dialect cannot carry whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// What does not change the answer's meaning is left out, and told.
    #[default]
    Warn,
    /// The target is passed over for whatever would be lost.
    Reject,
}

/// What happens while the breakers of all targets are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAllOpen {
    /// The call is refused.
    #[default]
    Reject,
    /// It goes to the one whose breaker closes first.
    Probe,
}
