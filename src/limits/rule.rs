//! What a limit says, who asks, and what the answer carries.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

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
        match self {
            Self::Requests { .. } => "requests",
            Self::Concurrent { .. } => "concurrent",
        }
    }
}

/// What gets a cell of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// The rule that refused.
    pub rule: Rule,
    /// The value of the rule's `each`, e.g. the user's name.
    pub each: Option<String>,
    /// How long until there is room for one more; none where no time tells (concurrency).
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
