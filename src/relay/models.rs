//! The names that a caller may use, as `GET /v1/models` tells them.

use std::sync::Arc;

use bytes::Bytes;

use super::refusal::Refusal;
use super::route::{self, may_dispatch};
use crate::clock::Timestamp;
use crate::dialect::Dialect;
use crate::dialect::models::{ModelEntry, PriceEntry, list, one};
use crate::policy::Snapshot;
use crate::policy::snapshot::{Principal, Route, Tenant, WrittenPrice};

/// All of them, sorted by name.
pub(super) fn all(face: Dialect, snapshot: &Snapshot, principal: &Principal, now: Timestamp) -> Bytes {
    let tenant = &principal.tenant;
    let entries: Vec<_> =
        route::usable(snapshot, tenant).into_iter().map(|route| entry(route, tenant, now)).collect();
    list(face, &entries)
}

/// One of them, by its name.
pub(super) fn show(
    face: Dialect,
    snapshot: &Snapshot,
    principal: &Principal,
    id: &str,
    now: Timestamp,
) -> Result<Bytes, Refusal> {
    let tenant = &principal.tenant;
    let route = snapshot.routes.get(id).ok_or_else(|| route::unknown(id, snapshot, tenant))?;
    let permitted = tenant.access.allowed.contains(&route.id)
        && route.targets.iter().any(|target| may_dispatch(&tenant.access, &target.model));
    // To this caller a name that it may not use does not exist, as the provider itself would say.
    if permitted {
        Ok(one(face, &entry(route, tenant, now)))
    } else {
        Err(route::unknown(id, snapshot, tenant))
    }
}

/// What is told of a name is what holds for the target tried first.
fn entry<'a>(route: &'a Arc<Route>, tenant: &Tenant, now: Timestamp) -> ModelEntry<'a> {
    let permitted: Vec<_> = route
        .targets
        .iter()
        .map(|to| &to.model)
        .filter(|model| may_dispatch(&tenant.access, model))
        .collect();
    let first = permitted.first().copied().unwrap_or(&route.targets[0].model);
    let own = route.id.as_str() == first.id.as_str() && route.targets.len() == 1;
    ModelEntry {
        id: route.id.as_str(),
        created: 0,
        owned_by: if own { first.provider.id.as_str() } else { "policy" },
        context_window: first.context_tokens,
        max_output_tokens: first.max_output_tokens,
        skills: &first.skills,
        price: first.prices.at(now).map(|listed| price(&listed.written)),
    }
}

fn price(written: &WrittenPrice) -> PriceEntry<'_> {
    PriceEntry {
        input_per_mtok: &written.input,
        output_per_mtok: &written.output,
        cache_read_per_mtok: written.cache_read.as_deref(),
        cache_write_per_mtok: written.cache_write.as_deref(),
        reasoning_per_mtok: written.reasoning.as_deref(),
        audio_input_per_mtok: written.audio_input.as_deref(),
        audio_output_per_mtok: written.audio_output.as_deref(),
    }
}
