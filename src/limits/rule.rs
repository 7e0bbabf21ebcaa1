//! What a limit says, who asks, and what the answer carries.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::calendar::{Calendar, Turn};
use super::limit::Limit;
use super::queue::Spot;
use crate::ids::{AppId, KeyName, LimitKey, ModelId, ProviderId, TenantId, UserId};
use crate::units::{NanoUsd, Tokens};

/// One limit, as the policy compiled it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whose limit it is.
    pub owner: Owner,
    /// Its key in its owner's or a plan's map: with owner, unit, kind of window and `each` the identity of its cells.
    pub key: LimitKey,
    /// How much of what.
    pub quota: Quota,
    /// What of the amount is granted to no call, so that what calls use beyond their share lands within it. Less than
    /// the amount; zero of calls and places.
    pub kept_back: u64,
    /// What gets a cell of its own; none where all share one.
    pub each: Option<Each>,
    /// Whether it refuses.
    pub mode: Mode,
    /// What it does while the ledger's store fails.
    pub on_ledger_down: LedgerDown,
    /// The key that it had in an earlier policy, whose cells it takes over.
    pub was: Option<LimitKey>,
    /// Where it was written: `file:line`.
    pub place: Arc<str>,
    /// Where its cells were found; `Slot::default()` in a new rule.
    pub slot: Slot,
}

impl Rule {
    /// A limit that refuses, and counts all of its owner's calls together.
    pub fn new(owner: Owner, key: LimitKey, quota: Quota) -> Self {
        Self {
            owner,
            key,
            quota,
            kept_back: 0,
            each: None,
            mode: Mode::default(),
            on_ledger_down: LedgerDown::default(),
            was: None,
            place: Arc::default(),
            slot: Slot::default(),
        }
    }
}

/// Whose limit it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A tenant's: it bounds what its callers may do.
    Tenant(TenantId),
    /// A provider's: it bounds what all tenants together may ask there.
    Provider(ProviderId),
}

impl Owner {
    /// What kind of thing it is, in policies and on pages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Provider(_) => "provider",
        }
    }

    /// Its name, shared and not copied.
    pub fn name(&self) -> Arc<str> {
        match self {
            Self::Tenant(id) => id.shared(),
            Self::Provider(id) => id.shared(),
        }
    }
}

/// ``tenant `checkout` ``.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind(), self.name())
    }
}

/// Whether a limit refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It only counts, also what it would have refused.
    Shadow,
}

impl Mode {
    /// Its name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// What a limit does while the ledger's store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LedgerDown {
    /// It refuses.
    Deny,
    /// It grants what the store has leased already, then refuses.
    #[default]
    SpendLease,
    /// It counts in memory alone.
    Allow,
}

/// How much of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quota {
    /// What calls use in a window.
    Windowed {
        /// What is counted.
        unit: Unit,
        /// Calls, tokens or nano-dollars in each window.
        amount: NonZeroU64,
        /// In which time.
        window: Window,
    },
    /// Calls at once; a streamed call counts until its stream has ended.
    Concurrent {
        /// Calls at once.
        amount: NonZeroU32,
    },
}

impl Quota {
    /// What is counted.
    pub fn unit(&self) -> Unit {
        match self {
            Self::Windowed { unit, .. } => *unit,
            Self::Concurrent { .. } => Unit::Concurrent,
        }
    }

    /// Where its window turns with the calendar, how often it does.
    pub fn turn(&self) -> Option<Turn> {
        match self {
            Self::Windowed { window: Window::Calendar(calendar), .. } => Some(calendar.turn),
            Self::Windowed { window: Window::Rolling(_), .. } | Self::Concurrent { .. } => None,
        }
    }
}

/// In which time a limit counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// At least a second: in any span `t` at most `amount x (1 + t/per)` is granted.
    Rolling(Duration),
    /// Counts from zero at each turn.
    Calendar(Calendar),
}

/// What is counted; part of the identity of its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Calls.
    Requests,
    /// Tokens of input, cached ones included, and of output, reasoning included.
    Tokens,
    /// Tokens of input, cached ones included.
    InputTokens,
    /// Tokens of output, reasoning included.
    OutputTokens,
    /// Money, in nano-dollars.
    Usd,
    /// Calls at once.
    Concurrent,
}

impl Unit {
    /// The unit's name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "inputTokens",
            Self::OutputTokens => "outputTokens",
            Self::Usd => "usd",
            Self::Concurrent => "concurrent",
        }
    }
}

/// What one call uses, or may use, of each unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Tokens of input, cached ones included.
    pub input: Tokens,
    /// Tokens of output, reasoning included.
    pub output: Tokens,
    /// What it costs; zero where that is not known.
    pub usd: NanoUsd,
}

impl Amounts {
    /// Nothing but the call itself.
    pub const NONE: Self = Self { input: Tokens::ZERO, output: Tokens::ZERO, usd: NanoUsd::ZERO };

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            input: self.input + other.input,
            output: self.output + other.output,
            usd: self.usd + other.usd,
        }
    }

    /// How much of a unit: tokens, nano-dollars, or the one call.
    pub fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests | Unit::Concurrent => 1,
            Unit::Tokens => (self.input + self.output).0,
            Unit::InputTokens => self.input.0,
            Unit::OutputTokens => self.output.0,
            Unit::Usd => self.usd.0,
        }
    }
}

/// What gets a cell of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Each {
    /// Each user of the tenant.
    User,
    /// Each application.
    App,
    /// Each of the tenant's keys, by name.
    Key,
    /// Each model that is dispatched.
    Model,
}

impl Each {
    /// The attribute's name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::App => "app",
            Self::Key => "key",
            Self::Model => "model",
        }
    }

    /// What the caller has for it; none where the attribute is missing.
    pub fn of<'a>(self, ask: &Ask<'a>) -> Option<&'a str> {
        match self {
            Self::User => ask.user.map(UserId::as_str),
            Self::App => ask.app.map(AppId::as_str),
            Self::Key => ask.key.map(KeyName::as_str),
            Self::Model => Some(ask.model.as_str()),
        }
    }
}

/// Spares a compiled rule the search for its cells: filled at its first use by a serving ledger.
///
/// A cache and no part of what the rule says: it is read only after it was compared with ledger and
/// rule, and any two are equal.
#[derive(Clone, Default)]
pub struct Slot(OnceLock<Arc<Limit>>);

impl Slot {
    pub(super) fn limit(&self) -> Option<&Arc<Limit>> {
        self.0.get()
    }

    /// The first one stays.
    pub(super) fn fill(&self, limit: Arc<Limit>) {
        drop(self.0.set(limit));
    }
}

impl PartialEq for Slot {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Slot {}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

/// Who asks for room, by the attributes that `each` may name.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The caller's user, if known.
    pub user: Option<&'a UserId>,
    /// The caller's application, if known.
    pub app: Option<&'a AppId>,
    /// The name of the caller's key, if it has one.
    pub key: Option<&'a KeyName>,
    /// The model about to be dispatched.
    pub model: &'a ModelId,
    /// What the call may use there.
    pub amounts: Amounts,
}

/// A limit without room for a call, or whose room is not leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The rule that refused: of several, the one with the longest wait.
    pub rule: Box<Rule>,
    /// The value of the rule's `each`, e.g. the user's name; `(none)` and `(overflow)` for the shared cells.
    pub each: Option<String>,
    /// What was asked for: calls, tokens or nano-dollars.
    pub asked: u64,
    /// What would have fitted at that moment.
    pub room: u64,
    /// How long until there is room for it, if nobody else comes; what is held by calls that are admitted and not
    /// yet written, or still running, counts as if used now. None where no time tells (concurrency), or never.
    pub wait: Option<Duration>,
    /// Whether the call alone is more than the whole limit: no wait helps.
    pub never: bool,
    /// The least time until there may be room for it: what others hold may come back at any moment. None where only the
    /// turn of a calendar helps, or nothing.
    pub soonest: Option<Duration>,
    /// Whether others wait before it: only when they are gone may there be room for it.
    pub behind: bool,
    /// Where it may wait.
    pub spot: Spot,
    /// What it lacks.
    pub lack: Lack,
}

/// What a limit lacks that does not admit a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Room: it is reached.
    Room,
    /// The store's word for the room that it has: it was asked, and soon gives it.
    Lease,
    /// The same, and the store fails.
    Store,
}

/// Where a caller stands with the tightest of its limits of one unit; becomes the rate headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is granted per window: calls, tokens or nano-dollars.
    pub limit: u64,
    /// What would be admitted right now.
    pub remaining: u64,
    /// Until the whole window is free again.
    pub reset: Duration,
    /// The window; of a calendar the one that runs.
    pub per: Duration,
}
