//! Models: who serves them, under what name, at what price.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashSet};

use super::group::Item;
use super::words::{listed, number, or_none};
use super::{Direction, Found, Pair, accounting, pairs, price};
use crate::dialect::translate::{Accepts, ReasoningForm};
use crate::ids::ModelId;
use crate::policy::snapshot::{Hold, Model, Reserve, Snapshot, Tenant};

/// What changes at every model.
pub(super) fn changes(old: &Snapshot, new: &Snapshot) -> Vec<Item> {
    let budgeted = OnceCell::new();
    let items = pairs(&old.models, &new.models).into_iter().map(|(id, pair)| {
        let mut found = Found::default();
        match pair {
            Pair::Both(before, after) => {
                let is_budgeted = || budgeted.get_or_init(|| self::budgeted(old, new)).contains(id);
                both(before, after, is_budgeted, &mut found);
            }
            Pair::New(model) => drop(found.change(Direction::Neutral, "model", None, Some(summary(model)))),
            Pair::Gone(model) => drop(found.change(Direction::Neutral, "model", Some(summary(model)), None)),
        }
        Item { name: id.shared(), plan: None, found }
    });
    items.collect()
}

/// The models for which money is spent that is limited, of the same tenant or provider in both policies.
fn budgeted<'a>(old: &'a Snapshot, new: &'a Snapshot) -> HashSet<&'a ModelId> {
    let mut models = HashSet::new();
    for (id, before) in &old.tenants {
        let after = new.tenants.get(id).filter(|after| before.bounds_money && after.bounds_money);
        let Some(after) = after else { continue };
        let others: Vec<_> = served(before, old).filter(|model| !models.contains(model)).collect();
        if !others.is_empty() {
            let reached: HashSet<_> = served(after, new).collect();
            models.extend(others.into_iter().filter(|model| reached.contains(model)));
        }
    }
    let bounds_money = |model: &Model| model.provider.bounds_money;
    models.extend(old.models.iter().filter_map(|(id, before)| {
        let after = new.models.get(id)?;
        (bounds_money(before) && bounds_money(after)).then_some(id)
    }));
    models
}

/// The models that calls of a tenant may go to.
fn served<'a>(tenant: &'a Tenant, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a ModelId> {
    let routes = tenant.access.allowed.iter().filter_map(|name| snapshot.routes.get(name));
    let models = routes.flat_map(|route| route.targets.iter().map(|target| &target.model.id));
    models.filter(|model| !tenant.access.denied.contains(*model))
}

/// A model in a few words.
fn summary(model: &Model) -> String {
    let price =
        model.prices.all().last().map_or_else(|| "no price".into(), |last| accounting::price(&last.price));
    let name = if *model.name == *model.id.as_str() { String::new() } else { format!(" as {}", model.name) };
    format!("at provider {}{name}, {price}", model.provider.id)
}

fn both(old: &Model, new: &Model, is_budgeted: impl FnOnce() -> bool, found: &mut Found) {
    let Model {
        id: _,
        header: _,
        provider,
        name,
        destination: _,
        context_tokens,
        max_output_tokens,
        skills,
        max_tokens_field,
        accepts,
        targets: _,
        prices,
        reserve,
    } = old;
    let (before, after) = (&provider.id, &new.provider.id);
    if before != after {
        let change =
            found.change(Direction::Risk, "provider", Some(before.to_string()), Some(after.to_string()));
        change.note("its calls go elsewhere");
    }
    found.neutral("name", (name, &new.name), |name| name.to_string());
    let tokens = |tokens: &Option<u64>| or_none(*tokens, number);
    found.neutral("contextTokens", (context_tokens, &new.context_tokens), tokens);
    found.neutral("maxOutputTokens", (max_output_tokens, &new.max_output_tokens), tokens);
    let set = |skills: &[Box<str>]| -> BTreeSet<Box<str>> { skills.iter().cloned().collect() };
    found.neutral("skills", (&set(skills), &set(&new.skills)), |skills| listed(skills));
    let field = (&max_tokens_field.name(), &new.max_tokens_field.name());
    found.neutral("accepts.maxTokensField", field, |name| (*name).to_owned());
    self::accepts(accepts, &new.accepts, found);
    price::changes(prices, &new.prices, prices != &new.prices && is_budgeted(), found);
    let hold = |Reserve { output, estimate }: Reserve| Hold {
        output: output.unwrap_or_default(),
        estimate: estimate.unwrap_or_default(),
    };
    accounting::reserve(*reserve, new.reserve, std::iter::once((hold(*reserve), hold(new.reserve))), found);
}

fn accepts(old: &Accepts, new: &Accepts, found: &mut Found) {
    let Accepts { sampling, forced_tool_choice, prefill, json_schema, call_ids, reasoning } = old;
    let flags = [
        ("accepts.sampling", sampling, &new.sampling),
        ("accepts.forcedToolChoice", forced_tool_choice, &new.forced_tool_choice),
        ("accepts.prefill", prefill, &new.prefill),
        ("accepts.jsonSchema", json_schema, &new.json_schema),
        ("accepts.callIds", call_ids, &new.call_ids),
    ];
    for (what, old, new) in flags {
        found.neutral(what, (old, new), bool::to_string);
    }
    let form = |form: &ReasoningForm| match form {
        ReasoningForm::Effort => "effort".to_owned(),
        ReasoningForm::Budget => "budget".to_owned(),
        ReasoningForm::Nothing => "nothing".to_owned(),
    };
    found.neutral("accepts.reasoning", (reasoning, &new.reasoning), form);
}
