//! What a reviewer would ask of a policy that serves well: found by `egret check`, not at the start of `egret run`.
//!
//! Lints look at the policy as written, for the places, beside what it compiles to. Each has a [`Code`] by which it may be
//! allowed. What never holds, never matches or leads nowhere is told by `compile`, for those who serve by it.

mod prices;
mod routes;
mod secrets;
mod tenants;
mod timeouts;
mod windows;

use std::collections::{BTreeMap, HashMap};

use super::Snapshot;
use super::compile::{self, documents::Written};
use super::diagnostic::{Code, Diagnostics, Findings, Span};
use super::load::Sources;
use super::snapshot::Tenant;
use super::spec::{self, Entry};
use crate::clock::Date;
use crate::ids::RouteId;
use crate::secret::{SecretFault, SecretRef};

/// Says what is wrong with a secret.
pub type Look<'a> = &'a dyn Fn(&SecretRef) -> Option<SecretFault>;

/// What lints are told beside the policy.
pub struct Settings<'a> {
    /// Kinds of warnings that are not told.
    pub allowed: Vec<Code>,
    /// The day on which prices are judged.
    pub today: Date,
    /// For how many days a price may hold before it is stale; none: forever.
    pub max_price_age: Option<u32>,
    /// What is wrong with a secret; none: nobody looks.
    pub secrets: Option<Look<'a>>,
}

/// A policy that was looked at from all sides.
pub struct Checked {
    /// What it compiles to; none where it has errors.
    pub snapshot: Option<Snapshot>,
    /// Everything there is to say of it.
    pub found: Diagnostics,
}

/// Compiles a policy and looks for what its author probably meant otherwise: for most of it only where there are no
/// errors, for what is missing then would be told again as something else.
pub fn check(sources: &Sources, settings: &Settings<'_>) -> Checked {
    let mut found = Findings::new(sources);
    found.allow(&settings.allowed);
    let compiled = compile::for_serving(sources, &mut found);
    secrets::in_text(sources, &mut found);
    let snapshot = compiled.and_then(|(written, snapshot)| {
        let snapshot = snapshot.filter(|_| found.errors() == 0)?;
        Policy::new(&written, &snapshot, settings).lint(&mut found);
        Some(snapshot)
    });
    Checked { snapshot, found: found.told() }
}

/// A good policy in both its forms.
struct Policy<'a> {
    written: &'a Written,
    snapshot: &'a Snapshot,
    settings: &'a Settings<'a>,
    /// Those who may use each route.
    callers: HashMap<&'a RouteId, Vec<&'a Tenant>>,
}

impl<'a> Policy<'a> {
    fn new(written: &'a Written, snapshot: &'a Snapshot, settings: &'a Settings<'a>) -> Self {
        let mut callers: HashMap<&RouteId, Vec<&Tenant>> = HashMap::new();
        for tenant in snapshot.tenants.values() {
            for route in &tenant.access.allowed {
                callers.entry(route).or_default().push(tenant);
            }
        }
        Self { written, snapshot, settings, callers }
    }

    fn lint(&self, found: &mut Findings<'_>) {
        self.prices(found);
        self.routes(found);
        self.tenants(found);
        self.timeouts(found);
        self.windows(found);
        self.missing(found);
    }

    /// A limit of a tenant as it is written, with the tenant or else with its plan.
    fn limit(&self, tenant: &'a spec::Tenant, key: &str) -> Option<&'a Entry<spec::Limit>> {
        let plan =
            tenant.plan.as_ref().and_then(|plan| self.written.plans.entries.get(plan.value.as_deref()?));
        let plan = plan.and_then(|plan| plan.value.as_ref()?.limits.as_ref());
        let limits = tenant.limits.iter().chain(plan).filter_map(|limits| limits.value.as_ref());
        limits.flat_map(|limits| &limits.0).find(|entry| entry.name == key)
    }

    fn callers(&self, route: &str) -> &[&'a Tenant] {
        self.callers.get(&RouteId::from(route)).map_or(&[], Vec::as_slice)
    }
}

/// What is said of a place only if it is so for all that it is said for: a plan's limit for each of its tenants, a
/// default for each route.
#[derive(Default)]
struct Everywhere(BTreeMap<Span, Option<String>>);

impl Everywhere {
    /// Adds one of those for which the place holds, and what is wrong there; none: nothing.
    fn add(&mut self, at: Span, wrong: Option<String>) {
        if wrong.is_none() {
            self.0.insert(at, None);
        } else {
            self.0.entry(at).or_insert(wrong);
        }
    }

    fn tell(self, code: Code, hint: &str, found: &mut Findings<'_>) {
        for (at, wrong) in self.0 {
            if let Some(wrong) = wrong {
                found.warning(code, at, wrong).hint(hint);
            }
        }
    }
}
