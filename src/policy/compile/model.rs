//! `models:`: providers found, prices put in order.

use std::sync::Arc;

use super::documents::Section;
use super::names::Known;
use super::not_zero;
use crate::ids::{ModelId, ProviderId};
use crate::net::endpoint::Endpoint;
use crate::policy::diagnostic::{Findings, Span};
use crate::policy::snapshot::{Model, Price, Provider};
use crate::policy::spec::{self, At};
use crate::telemetry::record::Destination;

pub(super) fn compile(
    written: &Section<spec::Model>,
    providers: &Known<ProviderId, Provider>,
    found: &mut Findings<'_>,
) -> Known<ModelId, Model> {
    let mut known = Known::new(written.partial);
    for (name, entry) in &written.entries {
        let model = entry.value.as_ref().and_then(|spec| model(name, spec, providers, found));
        known.insert(name, model);
    }
    known
}

fn model(
    name: &str,
    spec: &spec::Model,
    providers: &Known<ProviderId, Provider>,
    found: &mut Findings<'_>,
) -> Option<Model> {
    let provider = providers.find("provider", &spec.provider, found);
    let name_there = match &spec.name {
        None => Some(name.into()),
        Some(written) => {
            written.value.as_deref().and_then(|text| name_at_provider(text, written.span, found))
        }
    };
    let mut tokens = |field: &Option<At<u64>>| {
        let at = field.as_ref()?;
        not_zero(at, "leave it out where it is unknown", found)
    };
    let context_tokens = tokens(&spec.context_tokens);
    let max_output_tokens = tokens(&spec.max_output_tokens);
    if let (Some(window), Some(longest), Some(at)) =
        (context_tokens, max_output_tokens, &spec.max_output_tokens)
        && longest > window
    {
        found.warning(
            at.span,
            format!("the longest answer is longer than the whole window of {window} tokens"),
        );
    }
    let skills = spec.skills.as_ref().and_then(|skills| skills.value.as_ref());
    let skills = skills.into_iter().flatten().filter_map(|skill| skill.value.as_deref().map(Box::from));
    let prices = spec.price.as_ref().and_then(|price| price.value.as_ref());
    let (id, provider, name_there) = (ModelId::from(name), provider?, name_there?);
    let destination = Destination {
        provider: provider.id.clone(),
        convention: Arc::clone(&provider.convention),
        model: id.clone(),
        name: Arc::clone(&name_there),
        server: server(&provider.endpoint),
    };
    Some(Model {
        id,
        header: super::header(name),
        provider,
        name: name_there,
        destination: Arc::new(destination),
        context_tokens,
        max_output_tokens,
        skills: skills.collect(),
        prices: prices.map(|prices| in_order(prices, found)).unwrap_or_default(),
    })
}

/// The provider's own name goes into a JSON body as it is: providers use more signs than policies do.
fn name_at_provider(text: &str, at: Span, found: &mut Findings<'_>) -> Option<Arc<str>> {
    let fits = (1..=256).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    if !fits {
        found.error(at, "a model's name has 1 to 256 characters and no spaces");
    }
    fits.then(|| text.into())
}

/// What spans name as the server: of a scripted provider nothing.
fn server(endpoint: &Endpoint) -> Option<(Arc<str>, u16)> {
    match endpoint {
        Endpoint::Http(at) => Some((Arc::from(&*at.host), at.port)),
        Endpoint::Memory(_) => None,
    }
}

/// The prices by the day from which they hold, the one that always held first.
fn in_order(written: &[At<spec::Price>], found: &mut Findings<'_>) -> Vec<Price> {
    let mut prices: Vec<(Price, Span)> = Vec::new();
    for at in written {
        let Some(price) = at.value.as_ref().and_then(|spec| price(spec, found)) else {
            continue;
        };
        let same_day = |(other, _): &&(Price, Span)| other.effective_from == price.effective_from;
        if let Some((_, first)) = prices.iter().find(same_day) {
            super::twice("two prices hold from the same day on", at.span, *first, found);
        }
        prices.push((price, at.span));
    }
    // Days are written so that their text sorts as they do.
    prices.sort_by(|(a, _), (b, _)| a.effective_from.cmp(&b.effective_from));
    prices.into_iter().map(|(price, _)| price).collect()
}

fn price(spec: &spec::Price, found: &mut Findings<'_>) -> Option<Price> {
    let decimal = |at: &At<spec::Decimal>| at.value.as_ref().map(|decimal| decimal.0.clone());
    let effective_from = spec.effective_from.as_ref().and_then(|at| {
        // Other readers of YAML take a plain day for a point in time.
        if found.first_char(at.span).is_some_and(|c| c.is_ascii_digit()) && at.value.is_some() {
            found.error(at.span, "a day is written in quotes").hint("write \"2026-01-01\"");
        }
        at.value.as_ref().map(|date| date.0.clone())
    });
    Some(Price {
        input: decimal(&spec.input)?,
        output: decimal(&spec.output)?,
        cache_read: spec.cache_read.as_ref().and_then(decimal),
        cache_write: spec.cache_write.as_ref().and_then(decimal),
        effective_from,
    })
}
