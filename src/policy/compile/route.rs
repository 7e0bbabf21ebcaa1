//! `routes:`: every name that callers may ask for, each with its targets.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::accounting;
use super::documents::Section;
use super::model::Models;
use super::names::Known;
use super::waits::{self, Longest, Waits};
use crate::ids::{ModelId, RouteId};
use crate::policy::diagnostic::{Findings, Span, quoted};
use crate::policy::snapshot::{Model, OnAllOpen, Reserve, Retry, Route, Strategy, Target};
use crate::policy::spec::{self, At};
use crate::resilience::backoff::Backoff;

pub(super) fn compile(
    written: &Section<spec::Route>,
    models: &Models,
    defaults: &Waits,
    found: &mut Findings<'_>,
) -> Known<RouteId, Route> {
    let mut known = Known::new(written.partial || models.known.is_partial());
    for (name, model) in models.known.iter() {
        let route = model.map(|model| {
            let waits = waits::of_call(None, *defaults, found);
            let targets = vec![target(model, models, waits, *defaults)];
            route(name.as_str(), Strategy::Ordered, targets, waits, Reserve::default())
        });
        known.insert(name.as_str(), route);
    }
    // After the models: a route of a model's name shadows it.
    for (name, entry) in &written.entries {
        let route = entry.value.as_ref().and_then(|spec| {
            let listed = targets(name, &spec.targets, &models.known, found);
            let waits = waits::of_call(spec.timeouts.as_ref(), *defaults, found);
            let reserve = accounting::reserve(spec.reserve_output.as_ref(), spec.estimate.as_ref(), found);
            let strategy = strategy(spec.strategy.as_ref())?;
            let targets = listed?.iter().map(|model| target(model, models, waits, *defaults)).collect();
            Some(route(name, strategy, targets, waits, reserve))
        });
        known.insert(name, route);
    }
    let mut longest = Longest::default();
    for route in known.iter().filter_map(|(_, route)| route) {
        for target in &route.targets {
            longest.add(models.waits(&target.model.id), route.total);
        }
    }
    longest.check(found);
    known
}

fn target(model: &Arc<Model>, models: &Models, waits: Waits, defaults: Waits) -> Target {
    let timeouts = waits.one.or(models.waits(&model.id)).or(defaults.one).timeouts();
    Target { model: Arc::clone(model), weight: NonZeroU32::MIN, timeouts, when: None }
}

fn route(name: &str, strategy: Strategy, targets: Vec<Target>, waits: Waits, reserve: Reserve) -> Route {
    Route {
        id: RouteId::from(name),
        strategy,
        targets,
        when: None,
        total: waits.total,
        retry: Retry { max_attempts: NonZeroU32::MIN.saturating_add(2), backoff: Backoff::default() },
        hedge: None,
        keep_alive: None,
        on_context_overflow: None,
        on_exhausted: None,
        on_all_open: OnAllOpen::Reject,
        reserve,
    }
}

/// None where the word was faulty.
fn strategy(written: Option<&At<spec::Strategy>>) -> Option<Strategy> {
    Some(match written.map_or(Some(spec::Strategy::Ordered), |written| written.value)? {
        spec::Strategy::Ordered => Strategy::Ordered,
    })
}

fn targets(
    name: &str,
    written: &At<Vec<At<spec::Target>>>,
    models: &Known<ModelId, Model>,
    found: &mut Findings<'_>,
) -> Option<Vec<Arc<Model>>> {
    let list = written.value.as_ref()?;
    if list.is_empty() {
        found
            .error(written.span, format!("route {} leads nowhere", quoted(name)))
            .hint("name at least one model: `targets: [{ model: NAME }]`");
        return None;
    }
    let mut targets: Vec<(Arc<Model>, Span)> = Vec::new();
    let mut complete = true;
    for target in list {
        let reference = target.value.as_ref().map(|target| &target.model);
        let Some(model) = reference.and_then(|reference| models.find("model", reference, found)) else {
            complete = false;
            continue;
        };
        if let Some((_, first)) = targets.iter().find(|(other, _)| other.id == model.id) {
            let first = found.place(*first);
            found
                .warning(target.span, format!("model {} is a target twice", quoted(model.id.as_str())))
                .hint("one time is enough: tries go through the list again where that helps")
                .other("first here", first);
        }
        targets.push((model, target.span));
    }
    complete.then(|| targets.into_iter().map(|(model, _)| model).collect())
}
