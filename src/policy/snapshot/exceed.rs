//! What happens to calls beyond a limit, where they are not just refused.

use std::sync::Arc;
use std::time::Duration;

use super::{Route, Tenant};
use crate::ids::RouteId;
use crate::limits::{Mode, Owner, Rule};
use crate::units::Tokens;

/// What happens to a call beyond a limit.
#[derive(Clone, Debug)]
pub enum OnExceed {
    /// It writes what there is room for, if each of its answers may have so much.
    Clamp {
        /// Tokens of each answer.
        at_least: Tokens,
    },
    /// It waits for room.
    Queue {
        /// As long as this.
        max_wait: Duration,
    },
    /// It goes by way of this route, on which the limit does not count.
    Downgrade {
        /// The other route.
        to: Arc<Route>,
    },
}

/// A way on which not every limit of a tenant counts: one to which a limit downgrades.
#[derive(Debug)]
pub struct Way {
    /// The limits that count there.
    pub limits: Arc<[Rule]>,
    /// Whether one of them counts tokens or money.
    pub counts_amounts: bool,
    /// Whether one of those that refuse counts tokens or money.
    pub bounds_amounts: bool,
    /// Whether one of those that refuse counts money.
    pub bounds_money: bool,
}

/// What counts a tenant's calls by way of one route.
#[derive(Clone, Copy, Debug)]
pub struct Counting<'a> {
    /// The limits.
    pub limits: &'a Arc<[Rule]>,
    /// Whether one of them counts tokens or money: only then does a call hold any.
    pub counts_amounts: bool,
    /// Whether one of those that refuse counts tokens or money: only then a bound is written into a call.
    pub bounds_amounts: bool,
    /// Whether one of those that refuse counts money: only then a call's price has to be known.
    pub bounds_money: bool,
}

impl Tenant {
    /// What counts a call by way of this route.
    pub fn counting(&self, route: &RouteId) -> Counting<'_> {
        // Most tenants have no such way: no name is hashed then.
        let way = if self.downgraded.is_empty() { None } else { self.downgraded.get(route) };
        match way {
            Some(Way { limits, counts_amounts, bounds_amounts, bounds_money }) => Counting {
                limits,
                counts_amounts: *counts_amounts,
                bounds_amounts: *bounds_amounts,
                bounds_money: *bounds_money,
            },
            None => Counting {
                limits: &self.limits,
                counts_amounts: self.counts_amounts,
                bounds_amounts: self.bounds_amounts,
                bounds_money: self.bounds_money,
            },
        }
    }

    /// What happens beyond one of the limits that refuse its calls; none where it just refuses. Beyond a provider's, which
    /// may have the same key, nothing else ever happens.
    pub fn beyond(&self, rule: &Rule) -> Option<&OnExceed> {
        match rule.owner {
            Owner::Tenant(_) => self.on_exceed.get(&rule.key),
            Owner::Provider(_) => None,
        }
    }

    /// Below what no answer is bounded: the largest number that one of its limits says.
    pub fn least_answer(&self) -> Tokens {
        let least = |rule: &Rule| match self.beyond(rule)? {
            OnExceed::Clamp { at_least } => Some(*at_least),
            OnExceed::Queue { .. } | OnExceed::Downgrade { .. } => None,
        };
        let refusing = self.limits.iter().filter(|rule| rule.mode == Mode::Enforce);
        refusing.filter_map(least).max().unwrap_or_default()
    }
}
