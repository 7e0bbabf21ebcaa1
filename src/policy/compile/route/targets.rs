//! The targets of one route: models found, weights and conditions read.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::Names;
use crate::policy::compile::waits::Waits;
use crate::policy::compile::when;
use crate::policy::diagnostic::{Code, Findings, Span, quoted};
use crate::policy::snapshot::{Model, Strategy, Target};
use crate::policy::spec::{self, At};

impl Names<'_> {
    /// A model as the target of a call that waits so long.
    pub(super) fn target(&self, model: &Arc<Model>, waits: Waits) -> Target {
        let said = waits.one.or(self.models.waits(&model.id)).or(self.defaults.waits.one);
        Target { model: Arc::clone(model), weight: NonZeroU32::MIN, timeouts: said.timeouts(), when: None }
    }

    /// The model that a target names.
    fn model(&self, written: &At<String>, found: &mut Findings<'_>) -> Option<Arc<Model>> {
        let name = written.value.as_deref()?;
        if !self.models.known.contains(name) && self.routes.entries.contains_key(name) {
            found
                .error(written.span, format!("{} is a route, and a target is a model", quoted(name)))
                .code(Code::UnknownName)
                .hint("name its models here, too");
            return None;
        }
        self.models.known.find("model", written, found)
    }

    /// Where a route leads. None where a fault was told.
    pub(super) fn targets(
        &self,
        name: &str,
        spec: &spec::Route,
        strategy: Option<Strategy>,
        waits: Waits,
        found: &mut Findings<'_>,
    ) -> Option<Vec<Target>> {
        let list = spec.targets.value.as_ref()?;
        if list.is_empty() {
            found
                .error(spec.targets.span, format!("route {} leads nowhere", quoted(name)))
                .hint("name at least one model: `targets: [{ model: NAME }]`");
            return None;
        }
        let mut targets: Vec<(Target, Span)> = Vec::new();
        let mut complete = true;
        for at in list {
            let Some(spec) = &at.value else {
                complete = false;
                continue;
            };
            let when = when::compile(spec.when.as_ref(), self.plans, found);
            let weight = spec.weight.as_ref().map(|weight| self::weight(weight, strategy, found));
            let Some(model) = self.model(&spec.model, found) else {
                complete = false;
                continue;
            };
            let weight = weight.flatten().unwrap_or(NonZeroU32::MIN);
            let target = Target { weight, when, ..self.target(&model, waits) };
            tell_twice(&target, at.span, &targets, found);
            targets.push((target, at.span));
        }
        complete.then(|| targets.into_iter().map(|(target, _)| target).collect())
    }
}

fn weight(written: &At<u32>, strategy: Option<Strategy>, found: &mut Findings<'_>) -> Option<NonZeroU32> {
    match strategy {
        Some(Strategy::Ordered | Strategy::Fastest | Strategy::Cheapest) => {
            found
                .error(written.span, "weights are for `strategy: weighted`")
                .hint("add `strategy: weighted` to the route, or remove `weight`");
        }
        Some(Strategy::Weighted) | None => {}
    }
    let weight = written.value?;
    if !(1..=HEAVIEST).contains(&weight) {
        found
            .error(written.span, format!("a weight is from 1 to {HEAVIEST}"))
            .hint("what gets no calls is left out; shares are by the sum of all weights");
    }
    NonZeroU32::new(weight)
}

const HEAVIEST: u32 = 1000;

/// Tells a target that no call reaches which did not reach an earlier one of the same model.
fn tell_twice(target: &Target, at: Span, earlier: &[(Target, Span)], found: &mut Findings<'_>) {
    let same = earlier.iter().find(|(other, _)| {
        other.model.id == target.model.id && (other.when.is_none() || other.when == target.when)
    });
    if let Some((_, first)) = same {
        let first = found.place(*first);
        found
            .warning(
                Code::UnreachableTarget,
                at,
                format!("model {} is a target twice", quoted(target.model.id.as_str())),
            )
            .hint("one time is enough: tries go through the list again where that helps")
            .other("first here", first);
    }
}
