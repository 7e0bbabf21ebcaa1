//! From the name asked for to the ordered targets that may be tried. Takes nothing.

use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::order::{self, Order};
use super::refusal::Refusal;
use super::when::Circumstances;
use crate::clock::Instant;
use crate::dialect::Api;
use crate::dialect::error::Cause;
use crate::dialect::translate;
use crate::policy::Snapshot;
use crate::policy::snapshot::{Access, Model, Principal, Route, Target, Tenant};

/// The ordered targets for one call. Never empty.
#[derive(Debug)]
pub(super) struct Candidates {
    /// The route by way of which they are reached.
    pub(super) route: Arc<Route>,
    /// Targets of the route that may be tried, by their place in it, in order.
    pub(super) order: Order,
    /// When the call is over: its route's `total`, or its caller's own budget.
    pub(super) deadline: Instant,
}

impl Candidates {
    /// They themselves, in order.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.order.iter().filter_map(|at| self.route.targets.get(*at))
    }
}

/// Resolves the name asked for, for this caller and call.
pub(super) fn route(
    snapshot: &Snapshot,
    call: &mut Call,
    circumstances: &Circumstances<'_>,
    name: &str,
) -> Result<Candidates, Refusal> {
    let Principal { tenant, .. } = circumstances.principal;
    let route = snapshot.routes.get(name).ok_or_else(|| unknown(name, snapshot, tenant))?;
    if !tenant.access.allowed.contains(&route.id) {
        return Err(not_allowed(snapshot, tenant));
    }
    call.note(|record| record.route = Some(route.id.clone()));
    let budget = circumstances.said().latency_budget()?;
    candidates(route, call, circumstances, budget).map_err(|nowhere| match nowhere {
        Nowhere::Denied => not_allowed(snapshot, tenant),
        Nowhere::NotOffered => {
            let api = circumstances.asked.api;
            let message = format!("No provider behind `{}` offers {api}.", route.id);
            Refusal::new(Cause::InvalidRequest, message).param("model")
        }
        Nowhere::Unmet => {
            let message = format!("The policy sends calls like this one nowhere by way of `{}`.", route.id);
            Refusal::new(Cause::ModelNotAllowed, message).param("model")
        }
        Nowhere::Unskilled => {
            let message = format!("No model behind `{}` has the skills that this call asks for.", route.id);
            Refusal::new(Cause::InvalidRequest, message)
        }
    })
}

/// Why a route leads a call nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Nowhere {
    /// Each of its targets is denied.
    Denied,
    /// None of the others offers the operation.
    NotOffered,
    /// None of these has the skills asked for.
    Unskilled,
    /// The conditions of none of these hold.
    Unmet,
}

impl Nowhere {
    /// Why a target is passed over.
    fn reason(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::NotOffered => "not_offered",
            Self::Unskilled => "skills",
            Self::Unmet => "when",
        }
    }
}

/// The targets of a route that may be tried for a call, in the order of its strategy. The others are noted.
pub(super) fn candidates(
    route: &Arc<Route>,
    call: &mut Call,
    circumstances: &Circumstances<'_>,
    budget: Option<Duration>,
) -> Result<Candidates, Nowhere> {
    let (tenant, api) = (&circumstances.principal.tenant, circumstances.asked.api);
    let now = circumstances.now.instant;
    let mut fitting = Order::new();
    let mut nearest = Nowhere::Denied;
    for (at, target) in route.targets.iter().enumerate() {
        match excluded(route, target, tenant, api, circumstances) {
            None => fitting.push(at),
            Some(why) => {
                call.passes_over(&target.model, why.reason(), now);
                nearest = nearest.max(why);
            }
        }
    }
    if fitting.is_empty() {
        return Err(nearest);
    }
    let Circumstances { principal, asked, .. } = *circumstances;
    let order = order::order(&call.relay, principal, route, asked, fitting, (now, call.began()));
    call.considers(
        order.iter().filter_map(|at| route.targets.get(*at)).map(|target| &target.model.destination),
    );
    let total = budget.map_or(route.total, |budget| budget.min(route.total));
    Ok(Candidates { route: Arc::clone(route), order, deadline: call.started + total })
}

/// Why a call may not go to a target, if it may not.
fn excluded(
    route: &Route,
    target: &Target,
    tenant: &Tenant,
    api: Api,
    circumstances: &Circumstances<'_>,
) -> Option<Nowhere> {
    let model = &target.model;
    if !may_dispatch(&tenant.access, model) {
        return Some(Nowhere::Denied);
    }
    if translate::operation_at(api, model.provider.dialect, model.provider.apis).is_none() {
        return Some(Nowhere::NotOffered);
    }
    if !circumstances.is_skilled(model) {
        return Some(Nowhere::Unskilled);
    }
    let conditions = [&route.when, &target.when].into_iter().flatten();
    let mut unmet = conditions.filter(|when| !circumstances.hold(when, model));
    unmet.next().map(|_| Nowhere::Unmet)
}

/// Whether a model may be dispatched for a tenant, under whatever name it was reached.
pub(super) fn may_dispatch(access: &Access, model: &Model) -> bool {
    !access.denied.contains(&model.id)
}

/// The names that a tenant may ask for, sorted.
pub(super) fn usable<'a>(snapshot: &'a Snapshot, tenant: &Tenant) -> Vec<&'a Arc<Route>> {
    let mut routes: Vec<_> = snapshot
        .routes
        .values()
        .filter(|route| tenant.access.allowed.contains(&route.id))
        .filter(|route| route.targets.iter().any(|target| may_dispatch(&tenant.access, &target.model)))
        .collect();
    routes.sort_by(|a, b| a.id.cmp(&b.id));
    routes
}

pub(super) fn unknown(name: &str, snapshot: &Snapshot, tenant: &Tenant) -> Refusal {
    // The name is the caller's own; a long or strange one is not worth repeating.
    let shown =
        if name.len() <= 100 && name.chars().all(|c| c.is_ascii_graphic()) { name } else { "asked for" };
    let message = format!("The model `{shown}` does not exist. {}", choices(snapshot, tenant));
    Refusal::new(Cause::ModelNotFound, message).param("model")
}

pub(super) fn not_allowed(snapshot: &Snapshot, tenant: &Tenant) -> Refusal {
    let message = format!("Tenant `{}` may not use this model. {}", tenant.id, choices(snapshot, tenant));
    Refusal::new(Cause::ModelNotAllowed, message).param("model")
}

/// Up to 20 names that the caller may use instead.
fn choices(snapshot: &Snapshot, tenant: &Tenant) -> String {
    const SHOWN: usize = 20;
    let mut names: Vec<_> = usable(snapshot, tenant).into_iter().map(|route| route.id.as_str()).collect();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    match (names.is_empty(), more) {
        (true, _) => "It may use none.".to_owned(),
        (false, 0) => format!("It may use: {}.", names.join(", ")),
        (false, more) => format!("It may use: {} and {more} more.", names.join(", ")),
    }
}
