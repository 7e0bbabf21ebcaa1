//! From the name asked for to the ordered targets that may be tried. Takes nothing.

use std::sync::Arc;

use smallvec::SmallVec;

use super::refusal::Refusal;
use crate::dialect::Api;
use crate::dialect::error::Cause;
use crate::policy::Snapshot;
use crate::policy::snapshot::{Access, Model, Principal, Route, Target, Tenant};

/// The ordered targets for one call. Never empty.
#[derive(Debug)]
pub(super) struct Candidates {
    /// The route by way of which they are reached.
    pub(super) route: Arc<Route>,
    /// Targets of the route that may be tried, by their place in it, in order.
    pub(super) order: SmallVec<[usize; 4]>,
}

impl Candidates {
    /// They themselves, in order.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.order.iter().filter_map(|at| self.route.targets.get(*at))
    }
}

/// Resolves the name asked for, for this caller and operation.
pub(super) fn route(
    snapshot: &Snapshot,
    principal: &Principal,
    name: &str,
    api: Api,
) -> Result<Candidates, Refusal> {
    let tenant = &principal.tenant;
    let route = snapshot.routes.get(name).ok_or_else(|| unknown(name, snapshot, tenant))?;
    if !tenant.access.allowed.contains(&route.id) {
        return Err(not_allowed(snapshot, tenant));
    }
    candidates(route, tenant, api).map_err(|nowhere| match nowhere {
        Nowhere::Denied => not_allowed(snapshot, tenant),
        Nowhere::NotOffered => {
            let message = format!("No provider behind `{}` offers {api}.", route.id);
            Refusal::new(Cause::InvalidRequest, message).param("model")
        }
    })
}

/// Why a route leads a tenant nowhere.
pub(super) enum Nowhere {
    /// Each of its targets is denied.
    Denied,
    /// None of the others offers the operation.
    NotOffered,
}

/// The targets of a route that may be tried for a tenant's operation.
pub(super) fn candidates(route: &Arc<Route>, tenant: &Tenant, api: Api) -> Result<Candidates, Nowhere> {
    let mut order = SmallVec::new();
    let mut any_permitted = false;
    for (at, target) in route.targets.iter().enumerate() {
        if may_dispatch(&tenant.access, &target.model) {
            any_permitted = true;
            if target.model.provider.apis.contains(api) {
                order.push(at);
            }
        }
    }
    if !any_permitted {
        return Err(Nowhere::Denied);
    }
    if order.is_empty() {
        return Err(Nowhere::NotOffered);
    }
    Ok(Candidates { route: Arc::clone(route), order })
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
