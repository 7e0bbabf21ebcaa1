//! Spec -> [`Snapshot`]: every reference resolved, every rule checked, every fault told in one go. Pure.

mod access;
mod accounting;
mod attributes;
mod breaker;
mod budget;
mod conditions;
pub(super) mod documents;
mod exceed;
mod failover;
mod keys;
mod limit;
mod mock;
mod model;
pub(super) mod names;
mod provider;
mod route;
pub mod suite;
mod tenant;
mod waits;
mod when;

use std::num::NonZeroU32;
use std::time::Duration;

use http::HeaderValue;

use super::compose;
use super::diagnostic::{Code, Diagnostic, Diagnostics, Findings, Span};
use super::load::Sources;
use super::snapshot::{Reserve, Snapshot};
use super::spec::{self, At};
use crate::ids::{KeyName, ProviderId};
use documents::Written;
use names::Known;

/// Compiles a policy. Gives it with its warnings, or everything that is wrong with it.
///
/// Looks at nothing but the sources: no file, variable or clock.
pub fn compile(sources: &Sources) -> Result<(Snapshot, Vec<Diagnostic>), Diagnostics> {
    compile_for(Stage::Serving, sources)
}

/// Compiles a policy whose providers are all played by scripts: each is [`Endpoint::Memory`] under its name, and its keys
/// are the variables [`rehearsed_key`] names.
///
/// [`Endpoint::Memory`]: crate::net::endpoint::Endpoint::Memory
pub fn rehearse(sources: &Sources) -> Result<(Snapshot, Vec<Diagnostic>), Diagnostics> {
    compile_for(Stage::Rehearsal, sources)
}

/// Whether something may have this name in a policy; else how names are written.
pub fn is_name(name: &str) -> Result<(), &'static str> {
    if names::is_name(name) { Ok(()) } else { Err(names::HINT) }
}

/// Whether these files hold a document of a policy.
pub fn holds_policy(sources: &Sources) -> bool {
    compose::holds_policy(sources)
}

/// The variable in which a rehearsal looks for a provider's key. No real one has such a name.
pub fn rehearsed_key(provider: &ProviderId, key: &KeyName) -> String {
    format!("{provider}/{key}")
}

/// For what a policy is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    Rehearsal,
}

fn compile_for(stage: Stage, sources: &Sources) -> Result<(Snapshot, Vec<Diagnostic>), Diagnostics> {
    let mut found = Findings::new(sources);
    let snapshot = written(stage, sources, &mut found).and_then(|(_, snapshot)| snapshot);
    found.finish(snapshot)
}

/// A policy that is to serve as written, and what it compiles to. What is wrong with it is added to the findings.
pub(super) fn for_serving(
    sources: &Sources,
    found: &mut Findings<'_>,
) -> Option<(Written, Option<Snapshot>)> {
    written(Stage::Serving, sources, found)
}

fn written(stage: Stage, sources: &Sources, found: &mut Findings<'_>) -> Option<(Written, Option<Snapshot>)> {
    let written = documents::read(sources, found)?;
    let snapshot = snapshot(stage, sources, &written, found);
    Some((written, snapshot))
}

fn snapshot(
    stage: Stage,
    sources: &Sources,
    written: &Written,
    found: &mut Findings<'_>,
) -> Option<Snapshot> {
    let providers = provider::compile(stage, &written.providers, written.allow_mock.as_ref(), found);
    let reserve = written.defaults.as_ref().map_or_else(Reserve::default, |defaults| {
        accounting::reserve(defaults.reserve_output.as_ref(), defaults.estimate.as_ref(), found)
    });
    let models = model::compile(&written.models, &providers, reserve, found);
    let defaults = route::Defaults::compile(written.defaults.as_ref(), found);
    let mut plans = Known::new(written.plans.partial);
    written.plans.entries.keys().for_each(|name| plans.insert(name, Some(())));
    let names = route::Names { models: &models, plans: &plans, defaults: &defaults, routes: &written.routes };
    let routes = route::compile(&written.routes, &names, found);
    let models = models.known;
    let tenants = tenant::compile(written, &routes, &models, found);
    if found.errors() == 0 {
        providers.check_budgets(&tenants.tenants, &routes, &models, found);
        conditions::check(&written.routes, &tenants.tenants, found);
    }
    if found.errors() > 0 {
        return None;
    }
    Some(Snapshot {
        revision: sources.revision(),
        header: header(sources.revision().as_str()),
        label: written.revision.as_deref().map(Box::from),
        providers: providers.known.into_map(),
        models: models.into_map(),
        routes: routes.into_map().into_iter().collect(),
        tenants: tenants.tenants,
        keys: tenants.keys,
        local: tenants.local,
        unkeyed: tenants.unkeyed,
    })
}

/// A checked name as a header's value; only plain ASCII passes the check.
fn header(name: &str) -> HeaderValue {
    HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static(""))
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A time span within sane bounds; what is outside is a slip of the unit.
fn span_between(
    written: &At<spec::TimeSpan>,
    least: Duration,
    most: Duration,
    found: &mut Findings<'_>,
) -> Option<Duration> {
    let span = written.value?.0;
    if (least..=most).contains(&span) {
        return Some(span);
    }
    found
        .error(written.span, format!("this time span must be from {} to {}", shown(least), shown(most)))
        .hint("is the unit right? ms, s, m, h, d");
    None
}

/// A time span as a policy writes it.
pub(super) fn shown(span: Duration) -> String {
    let millis = span.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(unit, _)| millis.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{millis}ms"), |(unit, name)| format!("{}{name}", millis / unit))
}

/// A whole number that is not zero.
fn not_zero<T: Copy + PartialEq + From<u8>>(
    written: &At<T>,
    instead: &str,
    found: &mut Findings<'_>,
) -> Option<T> {
    let number = written.value?;
    if number != T::from(0) {
        return Some(number);
    }
    found.error(written.span, "zero makes no sense here").hint(instead);
    None
}

/// The same, of what is counted.
fn count(written: &At<u32>, instead: &str, found: &mut Findings<'_>) -> Option<NonZeroU32> {
    NonZeroU32::new(not_zero(written, instead, found)?)
}

/// The same thing said twice.
fn twice(what: &str, again: Span, first: Span, found: &mut Findings<'_>) {
    let first = found.place(first);
    found.error(again, what).code(Code::DefinedTwice).other("first here", first);
}

#[cfg(test)]
mod tests;
