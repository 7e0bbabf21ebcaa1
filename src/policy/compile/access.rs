//! `access:`: globs resolved against the names of this policy.

use std::collections::HashSet;

use super::names::Known;
use crate::ids::{ModelId, RouteId};
use crate::policy::diagnostic::{Code, Findings, Span, quoted};
use crate::policy::glob;
use crate::policy::snapshot::{Access, Model, Pattern, Route};
use crate::policy::spec::{self, AccessMode, At};

/// The names against which globs are resolved.
pub(super) struct Names<'k> {
    pub(super) routes: &'k Known<RouteId, Route>,
    pub(super) models: &'k Known<ModelId, Model>,
}

impl Names<'_> {
    /// What a tenant may use. None where a fault was told.
    pub(super) fn access(
        &self,
        tenant: &str,
        at: Span,
        written: Option<&At<spec::Access>>,
        found: &mut Findings<'_>,
    ) -> Option<Access> {
        let Some(written) = written else {
            allows_nothing(tenant, at, found);
            return Some(Access::default());
        };
        let spec = written.value.as_ref()?;
        match spec.mode.as_ref().map_or(Some(AccessMode::Enforce), |mode| mode.value)? {
            AccessMode::Enforce => {}
        }
        let allowed = match &spec.allow {
            None => {
                allows_nothing(tenant, written.span, found);
                HashSet::new()
            }
            Some(allow) => {
                if allow.value.as_ref().is_some_and(Vec::is_empty) {
                    allows_nothing(tenant, allow.span, found);
                }
                resolve(allow.value.as_ref()?, self.routes, found, |_| None)
            }
        };
        let denied = match &spec.deny {
            None => HashSet::new(),
            Some(deny) => resolve(deny.value.as_ref()?, self.models, found, |pattern| {
                let is_route = self.routes.contains(pattern);
                is_route.then(|| format!("{} is a route: `deny` names the models behind it", quoted(pattern)))
            }),
        };
        self.warn_of_dead_ends(tenant, &allowed, &denied, written.span, found);
        let (allow, deny) = (patterns(spec.allow.as_ref(), found), patterns(spec.deny.as_ref(), found));
        Some(Access { allowed, denied, allow, deny })
    }

    fn warn_of_dead_ends(
        &self,
        tenant: &str,
        allowed: &HashSet<RouteId>,
        denied: &HashSet<ModelId>,
        at: Span,
        found: &mut Findings<'_>,
    ) {
        let dead = |route: &Route| route.targets.iter().all(|target| denied.contains(&target.model.id));
        for (name, route) in self.routes.iter() {
            if allowed.contains(name)
                && let Some(route) = route
                && route.targets.len() > 1
                && dead(route)
            {
                let name = quoted(name.as_str());
                let message = format!(
                    "tenant {} may ask for {name}, but each of its targets is denied",
                    quoted(tenant)
                );
                found
                    .warning(Code::DeadEnd, at, message)
                    .hint("take the route out of `allow`, or a pattern out of `deny`");
            }
        }
    }
}

fn allows_nothing(tenant: &str, at: Span, found: &mut Findings<'_>) {
    found
        .warning(Code::NothingAllowed, at, format!("tenant {} may not use anything", quoted(tenant)))
        .hint("allow names of routes and models: `access: { allow: [chat, \"gpt-*\"] }`");
}

/// Globs as they were written, and where.
fn patterns(written: Option<&At<Vec<At<String>>>>, found: &Findings<'_>) -> Box<[Pattern]> {
    let globs = written.and_then(|written| written.value.as_ref()).into_iter().flatten();
    let pattern = |at: &At<String>| {
        Some(Pattern { glob: at.value.as_deref()?.into(), place: found.file_and_line(at.span) })
    };
    globs.filter_map(pattern).collect()
}

/// The names that a list of globs stands for. One that stands for none is told.
fn resolve<K, T>(
    globs: &[At<String>],
    known: &Known<K, T>,
    found: &mut Findings<'_>,
    hint: impl Fn(&str) -> Option<String>,
) -> HashSet<K>
where
    K: Ord + std::hash::Hash + std::borrow::Borrow<str> + for<'n> From<&'n str>,
{
    let mut resolved = HashSet::new();
    for at in globs {
        let Some(glob) = at.value.as_deref() else { continue };
        let mut matched = false;
        if glob.contains('*') {
            let names = known.names().filter(|name| glob::matches(glob, name));
            resolved.extend(names.inspect(|_| matched = true).map(K::from));
        } else if known.contains(glob) {
            matched = true;
            resolved.insert(K::from(glob));
        }
        if !matched && !known.is_partial() {
            found
                .warning(
                    Code::PatternMatchesNothing,
                    at.span,
                    format!("{} matches no name of this policy", quoted(glob)),
                )
                .maybe_hint(hint(glob).or_else(|| known.suggestion(glob)));
        }
    }
    resolved
}
