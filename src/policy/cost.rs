//! What a month's work costs at each model of a policy, and by the shares in which its routes would spread it. Decides
//! from prices alone: no limit, no failure and no tenant takes part.

use std::cmp::Reverse;
use std::sync::Arc;

use super::diagnostic::did_you_mean;
use super::snapshot::{Model, Route, Snapshot, Strategy, When};
use crate::clock::Timestamp;
use crate::ids::{ModelId, RouteId};
use crate::pricing::workload::{Cost, Workload};
use crate::units::Tokens;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The work of a month.
    pub month: Workload,
    /// Whose prices hold.
    pub at: Timestamp,
    /// The model that others are held against. Default: the dearest.
    pub baseline: Option<String>,
    /// How the work is spread; none: not asked.
    pub shares: Vec<Share>,
    /// The input of one call, for conditions on it.
    pub call_input: Tokens,
}

/// A part of the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// A name under `routes` or `models`, or `ROUTE:TASK`.
    pub of: String,
    /// Of a thousand.
    pub permille: u16,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Every model with a price, the cheapest first. Never empty.
    pub models: Vec<Line>,
    /// Those without one.
    pub unpriced: Vec<ModelId>,
    /// The model that others are held against.
    pub baseline: Line,
    /// What the shares cost, where there are any.
    pub routed: Option<Routed>,
}

/// All of the work at one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The model.
    pub model: ModelId,
    /// What it costs there.
    pub cost: Cost,
}

/// The work spread by shares.
#[derive(Debug, PartialEq, Eq)]
pub struct Routed {
    /// Where each share goes.
    pub parts: Vec<Part>,
    /// What they cost together.
    pub total: Cost,
}

/// What of the work goes to one model.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// The share as it was named.
    pub of: Box<str>,
    /// Where it goes.
    pub model: ModelId,
    /// So much.
    pub month: Workload,
    /// What it costs.
    pub cost: Cost,
    /// Targets that would come before it, and whose conditions ask for what no share says, such as a header or a time of
    /// day: these were taken not to hold.
    pub passed_over: Vec<ModelId>,
    /// Whether it is for a task that no target of the route asks for, so that it goes where calls without a task go.
    pub is_unasked: bool,
}

/// Why there is no comparison.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// A name that is neither a model's nor a route's.
    #[error("there is no {what} `{name}` in this policy{}", or_nothing(.hint))]
    Unknown {
        /// What it should be.
        what: &'static str,
        /// The name.
        name: String,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// No model has a price.
    #[error("no model of this policy has a `price` that holds on that day")]
    NothingPriced,
    /// A model that is needed has none.
    #[error("model `{0}` has no `price` that holds on that day")]
    Unpriced(ModelId),
    /// Shares that are more or less than the whole.
    #[error("the shares are {}.{}% together, not 100%", .0 / 10, .0 % 10)]
    NotTheWhole(u32),
    /// A route whose first target only time can tell.
    #[error(
        "where `{0}` leads depends on how fast its targets answer: name models in its place, each with its share"
    )]
    Fastest(RouteId),
    /// A route with no target for such calls.
    #[error("no target of `{0}` takes such a call by its task and input alone: name models in its place")]
    NoTarget(RouteId),
    /// Beyond what is counted.
    #[error("so much work at model `{0}` costs more than can be counted")]
    TooDear(ModelId),
}

fn or_nothing(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default()
}

/// Compares the models of a policy for a month's work.
///
/// # Errors
/// Where a name is not known, a price is missing that is needed, or the shares are not the whole.
pub fn compare(policy: &Snapshot, question: &Question) -> Result<Comparison, CostError> {
    let (mut models, mut unpriced) = (Vec::new(), Vec::new());
    for model in policy.models.values() {
        match cost(model, &question.month, question.at) {
            Ok(cost) => models.push(Line { model: model.id.clone(), cost }),
            Err(CostError::Unpriced(model)) => unpriced.push(model),
            Err(other) => return Err(other),
        }
    }
    models.sort_by(|one, other| (one.cost.month, &one.model).cmp(&(other.cost.month, &other.model)));
    let baseline = match &question.baseline {
        Some(name) => {
            let model = model(policy, name)?;
            Line { model: model.id.clone(), cost: cost(model, &question.month, question.at)? }
        }
        None => models.last().cloned().ok_or(CostError::NothingPriced)?,
    };
    Ok(Comparison { models, unpriced, baseline, routed: routed(policy, question)? })
}

fn routed(policy: &Snapshot, question: &Question) -> Result<Option<Routed>, CostError> {
    if question.shares.is_empty() {
        return Ok(None);
    }
    let all: u32 = question.shares.iter().map(|share| u32::from(share.permille)).sum();
    if all != 1000 {
        return Err(CostError::NotTheWhole(all));
    }
    let weights: Vec<u64> = question.shares.iter().map(|share| share.permille.into()).collect();
    let mut parts = Vec::new();
    for (share, month) in question.shares.iter().zip(question.month.split(&weights)) {
        parts.extend(parts_of(policy, question, &share.of, month)?);
    }
    let mut total = Cost::default();
    for part in &parts {
        total = total.plus(part.cost).ok_or_else(|| CostError::TooDear(part.model.clone()))?;
    }
    Ok(Some(Routed { parts, total }))
}

/// Where one share goes: to one model, or to those of a weighted route.
fn parts_of(
    policy: &Snapshot,
    question: &Question,
    of: &str,
    month: Workload,
) -> Result<Vec<Part>, CostError> {
    let (route, task) = route(policy, of)?;
    let typical = Typical { task, input: question.call_input };
    let fit: Vec<_> = route.targets.iter().filter(|target| typical.fits(target.when.as_deref())).collect();
    let no_target = || CostError::NoTarget(route.id.clone());
    let spread: Vec<(&Arc<Model>, Workload)> = match route.strategy {
        Strategy::Ordered => {
            let first = fit.first().ok_or_else(no_target)?;
            vec![(&first.model, month)]
        }
        Strategy::Weighted => {
            let weights: Vec<u64> = fit.iter().map(|target| target.weight.get().into()).collect();
            fit.iter().map(|target| &target.model).zip(month.split(&weights)).collect()
        }
        Strategy::Cheapest => {
            // As in serving, those whose price nobody knows come last.
            let price = |model: &Model| cost(model, &month, question.at).ok().map(|cost| Reverse(cost.month));
            let cheapest =
                fit.iter().rev().max_by_key(|target| price(&target.model)).ok_or_else(no_target)?;
            vec![(&cheapest.model, month)]
        }
        Strategy::Fastest if fit.len() > 1 => return Err(CostError::Fastest(route.id.clone())),
        Strategy::Fastest => vec![(&fit.first().ok_or_else(no_target)?.model, month)],
    };
    if spread.is_empty() {
        return Err(no_target());
    }
    let passed_over = typical.passed_over(route);
    let is_unasked = typical.is_unasked(route);
    let part = |(model, month): (&Arc<Model>, Workload)| {
        let cost = cost(model, &month, question.at)?;
        let passed_over = passed_over.clone();
        Ok(Part { of: of.into(), model: model.id.clone(), month, cost, passed_over, is_unasked })
    };
    spread.into_iter().map(part).collect()
}

/// A call of which no more is known than what it is for and how long it is.
struct Typical<'a> {
    task: Option<&'a str>,
    input: Tokens,
}

impl Typical<'_> {
    fn fits(&self, when: Option<&When>) -> bool {
        when.is_none_or(|when| self.fits_what_is_known(when) && !asks_for_more(when))
    }

    fn fits_what_is_known(&self, when: &When) -> bool {
        when.input_tokens_below.is_none_or(|below| self.input.0 < below)
            && when.input_tokens_above.is_none_or(|above| self.input.0 > above)
            && (when.task.is_empty()
                || self.task.is_some_and(|task| when.task.iter().any(|one| **one == *task)))
    }

    /// Whether its task is one for which no target asks.
    fn is_unasked(&self, route: &Route) -> bool {
        let asked =
            || route.targets.iter().filter_map(|target| target.when.as_deref()).flat_map(|when| &when.task);
        self.task.is_some_and(|task| !asked().any(|one| **one == *task))
    }

    /// Targets that only what is not known keeps from fitting, and that would come before one that fits.
    fn passed_over(&self, route: &Route) -> Vec<ModelId> {
        let is_open = |when: &When| self.fits_what_is_known(when) && asks_for_more(when);
        let comes_too_late = |at: usize| {
            route.strategy == Strategy::Ordered
                && route.targets.iter().take(at).any(|target| self.fits(target.when.as_deref()))
        };
        let open = route
            .targets
            .iter()
            .enumerate()
            .filter(|(at, target)| target.when.as_deref().is_some_and(is_open) && !comes_too_late(*at));
        open.map(|(_, target)| target.model.id.clone()).collect()
    }
}

/// Whether conditions look at more than a task and the length of a call.
fn asks_for_more(when: &When) -> bool {
    let When {
        input_tokens_below: _,
        input_tokens_above: _,
        task: _,
        priority,
        skills,
        plan,
        header,
        budget_below,
        time_of_day,
    } = when;
    let asks_for_none = priority.is_empty() && skills.is_empty() && plan.is_empty() && header.is_empty();
    !asks_for_none || !budget_below.is_empty() || time_of_day.is_some()
}

fn cost(model: &Model, month: &Workload, at: Timestamp) -> Result<Cost, CostError> {
    let listed = model.prices.at(at).ok_or_else(|| CostError::Unpriced(model.id.clone()))?;
    month.cost(&listed.price).ok_or_else(|| CostError::TooDear(model.id.clone()))
}

fn model<'p>(policy: &'p Snapshot, name: &str) -> Result<&'p Arc<Model>, CostError> {
    policy.models.get(name).ok_or_else(|| CostError::Unknown {
        what: "model",
        name: name.to_owned(),
        hint: did_you_mean(name, policy.models.keys().map(ModelId::as_str)),
    })
}

/// The route of that name, else that of the part before the last `:`, for the task behind it.
fn route<'p, 'n>(policy: &'p Snapshot, name: &'n str) -> Result<(&'p Route, Option<&'n str>), CostError> {
    if let Some(route) = policy.routes.get(name) {
        return Ok((route, None));
    }
    let (of, task) = name.rsplit_once(':').map_or((name, None), |(of, task)| (of, Some(task)));
    match policy.routes.get(of) {
        Some(route) => Ok((route, task)),
        None => Err(CostError::Unknown {
            what: "route or model",
            name: of.to_owned(),
            hint: did_you_mean(of, policy.routes.keys().map(RouteId::as_str)),
        }),
    }
}

#[cfg(test)]
mod tests;
