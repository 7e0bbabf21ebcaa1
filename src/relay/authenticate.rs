//! Who is calling: the order of DESIGN section 5. A wrong credential never becomes the local tenant.

use std::sync::Arc;

use http::HeaderMap;

use super::refusal::Refusal;
use crate::auth::api_key::KeyDigest;
use crate::auth::credential::{Credential, credential};
use crate::dialect::error::Cause;
use crate::ids::TenantId;
use crate::policy::Snapshot;
use crate::policy::snapshot::Principal;

/// Where a call came from, and whom the process was told to take it for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    /// Whether the caller is on this host's loopback (or in this process).
    pub(super) loopback: bool,
    /// The tenant of callers without a credential, by `--tenant`.
    pub(super) stamp: Option<&'a TenantId>,
}

/// Finds the caller of a request.
pub(super) fn authenticate(
    snapshot: &Snapshot,
    headers: &HeaderMap,
    query: Option<&str>,
    origin: Origin<'_>,
) -> Result<Arc<Principal>, Refusal> {
    match credential(headers, query) {
        Err(fault) => Err(Refusal::new(Cause::Unauthenticated, fault.to_string())),
        Ok(Credential::Key(key)) => snapshot.keys.get(&KeyDigest::of(key)).cloned().ok_or_else(unknown_key),
        Ok(Credential::None | Credential::Placeholder) => local(snapshot, origin).cloned().ok_or_else(no_key),
    }
}

fn local<'a>(snapshot: &'a Snapshot, origin: Origin<'_>) -> Option<&'a Arc<Principal>> {
    if !origin.loopback {
        return None;
    }
    match origin.stamp {
        Some(tenant) => snapshot.unkeyed.get(tenant),
        None => snapshot.local.as_ref(),
    }
}

fn unknown_key() -> Refusal {
    Refusal::new(
        Cause::Unauthenticated,
        "No tenant of the policy has this API key. Apps without a key of their own send `egret-local`.",
    )
}

fn no_key() -> Refusal {
    Refusal::new(
        Cause::Unauthenticated,
        "An API key is needed: the placeholder `egret-local` (or none) is taken only from loopback and only \
         where the policy has a tenant with `local: true` or egret runs with --tenant.",
    )
}
