//! What of a policy its tests have seen.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use crate::ids::{LimitKey, ModelId, RouteId, TenantId};
use crate::limits::Owner;
use crate::policy::Snapshot;
use crate::policy::snapshot::Route;
use crate::policy::suite::{Step, Wanted};
use crate::telemetry::record::CallRecord;

/// A part of a policy that a test can see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A tenant: somebody called as it.
    Tenant(TenantId),
    /// A limit: a call met it, or a test says what is left of it.
    Limit(Owner, LimitKey),
    /// A model behind a name: it was tried.
    Target(RouteId, ModelId),
    /// A model that is behind no name but its own: it was tried.
    Model(ModelId),
    /// The `when` of a target, or one of them where its model is there twice: it was seen to hold, or not to.
    Condition(RouteId, ModelId, bool),
    /// The `when` of a route: the same.
    RouteCondition(RouteId, bool),
}

impl Part {
    /// The kind of thing it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Limit(..) => "limit",
            Self::Target(..) | Self::Model(_) => "target",
            Self::Condition(..) | Self::RouteCondition(..) => "condition",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds = |holds: &bool| if *holds { "holds" } else { "does not hold" };
        match self {
            Self::Tenant(tenant) => write!(f, "tenant `{tenant}`: nobody calls as it"),
            Self::Limit(owner, key) => write!(f, "limit `{key}` of {owner}: no call meets it"),
            Self::Target(route, model) => write!(f, "target `{model}` of route `{route}`: it is never tried"),
            Self::Model(model) => write!(f, "model `{model}`: it is never tried"),
            Self::Condition(route, model, held) => {
                write!(
                    f,
                    "`when` of target `{model}` of route `{route}`: no call for which it {}",
                    holds(held)
                )
            }
            Self::RouteCondition(route, held) => {
                write!(f, "`when` of route `{route}`: no call for which it {}", holds(held))
            }
        }
    }
}

/// What tests have seen of a policy.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Everything that tests can see.
    pub all: BTreeSet<Part>,
    /// What of it they have not.
    pub missed: BTreeSet<Part>,
}

impl Coverage {
    /// Of everything how much was seen, in whole percent, rounded down: 100 is all of it.
    pub fn percent(&self) -> u8 {
        let seen = self.all.len() - self.missed.len();
        let percent = (seen * 100).checked_div(self.all.len()).unwrap_or(100);
        u8::try_from(percent).unwrap_or(100)
    }

    /// Both together, of one policy.
    pub fn join(&mut self, other: Self) {
        let seen = |missed: &BTreeSet<Part>, all: &BTreeSet<Part>| -> BTreeSet<Part> {
            all.difference(missed).cloned().collect()
        };
        let both: BTreeSet<Part> =
            seen(&self.missed, &self.all).union(&seen(&other.missed, &other.all)).cloned().collect();
        self.all.extend(other.all);
        self.missed = self.all.difference(&both).cloned().collect();
    }

    pub(super) fn of(policy: &Snapshot, seen: &Seen) -> Self {
        let mut all = BTreeSet::new();
        all.extend(policy.tenants.keys().cloned().map(Part::Tenant));
        all.extend(policy.rules().map(|rule| Part::Limit(rule.owner.clone(), rule.key.clone())));
        let named = || policy.routes.values().filter(|route| !is_own_name(route));
        all.extend(named().flat_map(|route| parts(route)));
        let behind: HashSet<_> =
            named().flat_map(|route| &route.targets).map(|target| &target.model.id).collect();
        let alone = policy.models.keys().filter(|model| !behind.contains(model));
        all.extend(alone.cloned().map(Part::Model));
        let missed = all.difference(&seen.0).cloned().collect();
        Self { all, missed }
    }
}

/// Whether a route is but a model's own name.
fn is_own_name(route: &Route) -> bool {
    matches!(&*route.targets, [only] if only.model.id.as_str() == route.id.as_str() && only.when.is_none())
        && route.when.is_none()
}

fn parts(route: &Route) -> Vec<Part> {
    let mut parts = Vec::new();
    if route.when.is_some() {
        parts.extend([true, false].map(|held| Part::RouteCondition(route.id.clone(), held)));
    }
    for target in &route.targets {
        let (id, model) = (&route.id, &target.model.id);
        parts.push(Part::Target(id.clone(), model.clone()));
        if target.when.is_some() {
            parts.extend([true, false].map(|held| Part::Condition(id.clone(), model.clone(), held)));
        }
    }
    parts
}

/// Parts that were seen.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeSet<Part>);

impl Seen {
    /// Takes in what came of a call, and what a test says of it.
    pub(super) fn call(&mut self, policy: &Snapshot, step: &Step, record: &CallRecord) {
        self.0.extend(record.tenant.clone().map(Part::Tenant));
        let limits = record.met.iter().chain(&record.would_refuse);
        self.0.extend(limits.map(|(owner, key)| Part::Limit(owner.clone(), key.clone())));
        for expected in &step.expected {
            if let Wanted::Left(rule, _) = &expected.what {
                self.0.insert(Part::Limit(rule.owner.clone(), rule.key.clone()));
            }
        }
        self.0.extend(record.attempts.iter().map(|attempt| Part::Model(attempt.destination.model.clone())));
        // Refused before anybody looked at its targets.
        let looked = !record.attempts.is_empty() || !record.passed_over.is_empty();
        for route in record.route.iter().chain(&record.downgraded_to).filter(|_| looked) {
            if let Some(route) = policy.routes.get(route) {
                self.route(route, record);
            }
        }
    }

    fn route(&mut self, route: &Route, record: &CallRecord) {
        let passed = |model: &ModelId, reasons: &[&str]| {
            record
                .passed_over
                .iter()
                .any(|passed| passed.destination.model == *model && reasons.contains(&passed.reason))
        };
        let is_last = record.downgraded_to.as_ref().is_none_or(|to| *to == route.id);
        let tried = |model: &ModelId| {
            is_last && record.attempts.iter().any(|attempt| attempt.destination.model == *model)
        };
        // A model may be there twice, by one condition or the other.
        let holds =
            |model: &ModelId| tried(model) || !passed(model, &["when", "denied", "not_offered", "skills"]);
        let held = route.targets.iter().any(|target| holds(&target.model.id));
        for target in &route.targets {
            let (id, model) = (&route.id, &target.model.id);
            if tried(model) {
                self.0.insert(Part::Target(id.clone(), model.clone()));
            }
            if holds(model) {
                self.0.insert(Part::Condition(id.clone(), model.clone(), true));
            }
            let unmet = passed(model, &["when"]);
            // Where the route's own may be what did not hold, nobody looked at the target's.
            if unmet && (held || route.when.is_none()) {
                self.0.insert(Part::Condition(id.clone(), model.clone(), false));
            }
            if unmet && target.when.is_none() {
                self.0.insert(Part::RouteCondition(route.id.clone(), false));
            }
        }
        if held {
            self.0.insert(Part::RouteCondition(route.id.clone(), true));
        }
    }
}
