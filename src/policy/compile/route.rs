//! `routes:`: every name that callers may ask for, each with its targets.

use std::sync::Arc;

use super::documents::Section;
use super::names::Known;
use super::{accounting, timeouts};
use crate::ids::{ModelId, RouteId};
use crate::policy::diagnostic::{Findings, Span, quoted};
use crate::policy::snapshot::{Model, Reserve, Route, Timeouts};
use crate::policy::spec::{self, At, Strategy};

pub(super) fn compile(
    written: &Section<spec::Route>,
    models: &Known<ModelId, Model>,
    defaults: Timeouts,
    found: &mut Findings<'_>,
) -> Known<RouteId, Route> {
    let mut known = Known::new(written.partial || models.is_partial());
    for (name, model) in models.iter() {
        let route = model.map(|model| Route {
            id: RouteId::from(name.as_str()),
            targets: vec![Arc::clone(model)],
            timeouts: defaults,
            reserve: Reserve::default(),
        });
        known.insert(name.as_str(), route);
    }
    // After the models: a route of a model's name shadows it.
    for (name, entry) in &written.entries {
        let route = entry.value.as_ref().and_then(|spec| {
            let targets = targets(name, &spec.targets, models, found);
            let timeouts = timeouts(spec.timeouts.as_ref(), defaults, found);
            let reserve = accounting::reserve(spec.reserve_output.as_ref(), spec.estimate.as_ref(), found);
            strategy(spec.strategy.as_ref())?;
            Some(Route { id: RouteId::from(name.as_str()), targets: targets?, timeouts, reserve })
        });
        known.insert(name, route);
    }
    known
}

/// None where the word was faulty.
fn strategy(written: Option<&At<Strategy>>) -> Option<()> {
    match written.map_or(Some(Strategy::Ordered), |written| written.value)? {
        Strategy::Ordered => Some(()),
    }
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
