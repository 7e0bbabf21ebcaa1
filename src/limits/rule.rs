//! What a limit says, who asks, and what the answer carries.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::limit::Limit;
use crate::ids::{AppId, KeyName, LimitKey, ModelId, TenantId, UserId};

/// One limit, as the policy compiled it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whose limit it is.
    pub tenant: TenantId,
    /// Its key in the tenant's or plan's map: with tenant, unit, window kind and `each` the identity of its cells.
    pub key: LimitKey,
    /// How much of what.
    pub quota: Quota,
    /// What gets a cell of its own; none for the whole tenant.
    pub each: Option<Each>,
    /// Where it was written: `file:line`.
    pub place: Arc<str>,
    /// Where its cells were found; `Slot::default()` in a new rule.
    pub slot: Slot,
}

/// How much of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Calls per rolling window: in any span `t` at most `amount x (1 + t/per)`.
    Requests {
        /// Calls per window.
        amount: NonZeroU32,
        /// The window, at least a second.
        per: Duration,
    },
    /// Calls at once; a streamed call counts until its stream has ended.
    Concurrent {
        /// Calls at once.
        amount: NonZeroU32,
    },
}

impl Quota {
    /// The unit's name in policies.
    pub fn unit(self) -> &'static str {
        self.kind().as_str()
    }

    /// Of what it is.
    pub fn kind(self) -> Unit {
        match self {
            Self::Requests { .. } => Unit::Requests,
            Self::Concurrent { .. } => Unit::Concurrent,
        }
    }
}

/// Of what a limit is; part of the identity of its cells.
///
/// It stands for the kind of window too: calls roll, and places have no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Calls per rolling window.
    Requests,
    /// Calls at once.
    Concurrent,
}

impl Unit {
    /// The unit's name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Concurrent => "concurrent",
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
    pub(super) fn of<'a>(self, ask: &Ask<'a>) -> Option<&'a str> {
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
}

/// A limit without room for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The rule that refused: of several, the one with the longest wait.
    pub rule: Box<Rule>,
    /// The value of the rule's `each`, e.g. the user's name; `(none)` and `(overflow)` for the shared cells.
    pub each: Option<String>,
    /// How long until there is room for one more, if nobody else comes; calls that are admitted and not
    /// yet written count as if written now. None where no time tells (concurrency).
    pub wait: Option<Duration>,
}

/// Where a caller stands with the tightest of its `requests` limits; becomes the rate headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Calls per window.
    pub limit: u32,
    /// Calls that would be admitted right now.
    pub remaining: u32,
    /// Until the whole window is free again.
    pub reset: Duration,
    /// The window.
    pub per: Duration,
}
