//! `models:`: providers found, prices put in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::documents::Section;
use super::names::Known;
use super::provider::Providers;
use super::waits::{self, Tries};
use super::{accounting, not_zero};
use crate::clock::Date;
use crate::dialect::provider::MaxTokensField;
use crate::dialect::translate::{Accepts, ReasoningForm};
use crate::ids::{ModelId, ProviderId};
use crate::net::endpoint::Endpoint;
use crate::policy::diagnostic::{Code, Findings, Span};
use crate::policy::snapshot::{ListedPrice, Model, Provider, Reserve, Targets, WrittenPrice};
use crate::policy::spec::{self, At};
use crate::pricing::{Price, Schedule};
use crate::telemetry::record::Destination;

/// Models, with how long a try of each waits.
pub(super) struct Models {
    pub(super) known: Known<ModelId, Model>,
    waits: BTreeMap<ModelId, Tries>,
}

pub(super) fn compile(
    written: &Section<spec::Model>,
    providers: &Providers,
    defaults: Reserve,
    found: &mut Findings<'_>,
) -> Models {
    let mut models = Models { known: Known::new(written.partial), waits: BTreeMap::new() };
    for (name, entry) in &written.entries {
        let model = entry.value.as_ref().and_then(|spec| {
            let own = waits::of_try(spec.timeouts.as_ref(), found);
            let model = model(name, spec, &providers.known, defaults, found)?;
            models.waits.insert(model.id.clone(), own.or(providers.waits(&model.provider.id)));
            Some(model)
        });
        models.known.insert(name, model);
    }
    models
}

impl Models {
    /// How long a try of a model waits, as far as it or its provider says.
    pub(super) fn waits(&self, model: &ModelId) -> Tries {
        self.waits.get(model).copied().unwrap_or_default()
    }
}

fn model(
    name: &str,
    spec: &spec::Model,
    providers: &Known<ProviderId, Provider>,
    defaults: Reserve,
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
            Code::UselessSetting,
            at.span,
            format!("the longest answer is longer than the whole window of {window} tokens"),
        );
    }
    let skills = spec.skills.as_ref().and_then(|skills| skills.value.as_ref());
    let skills = skills.into_iter().flatten().filter_map(|skill| skill.value.as_deref().map(Box::from));
    let reserve = accounting::reserve(spec.reserve_output.as_ref(), spec.estimate.as_ref(), found);
    let prices = spec.price.as_ref().and_then(|price| price.value.as_ref());
    let (id, provider, name_there) = (ModelId::from(name), provider?, name_there?);
    let destination = Destination {
        provider: provider.id.clone(),
        convention: Arc::clone(&provider.convention),
        model: id.clone(),
        name: Arc::clone(&name_there),
        server: server(&provider.endpoint),
    };
    let max_tokens_field = max_tokens_field(spec).unwrap_or(provider.max_tokens_field);
    let targets = Targets::at(&provider.endpoint, provider.dialect, &name_there, provider.dated.as_deref());
    Some(Model {
        id,
        header: super::header(name),
        provider,
        name: name_there,
        destination: Arc::new(destination),
        context_tokens,
        max_output_tokens,
        skills: skills.collect(),
        max_tokens_field,
        accepts: accepts(spec),
        targets,
        prices: prices.map(|prices| by_day(prices, found)).unwrap_or_default(),
        reserve: reserve.or(defaults),
    })
}

/// The provider's own name goes into a JSON body as it is: providers use more signs than policies do.
fn name_at_provider(text: &str, at: Span, found: &mut Findings<'_>) -> Option<Arc<str>> {
    let fits = (1..=256).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    if !fits {
        found.error(at, "a model's name has 1 to 256 characters and no spaces").code(Code::BadName);
    }
    fits.then(|| text.into())
}

fn max_tokens_field(spec: &spec::Model) -> Option<MaxTokensField> {
    let accepts = spec.accepts.as_ref()?.value.as_ref()?;
    Some(match accepts.max_tokens_field.as_ref()?.value? {
        spec::MaxTokensField::MaxCompletionTokens => MaxTokensField::MaxCompletionTokens,
        spec::MaxTokensField::MaxTokens => MaxTokensField::MaxTokens,
    })
}

fn accepts(spec: &spec::Model) -> Accepts {
    let usual = Accepts::default();
    let Some(said) = spec.accepts.as_ref().and_then(|accepts| accepts.value.as_ref()) else {
        return usual;
    };
    let flag = |field: &Option<At<bool>>, usual| field.as_ref().and_then(|at| at.value).unwrap_or(usual);
    let reasoning = said.reasoning.as_ref().and_then(|at| at.value).map(|form| match form {
        spec::ReasoningForm::Effort => ReasoningForm::Effort,
        spec::ReasoningForm::Budget => ReasoningForm::Budget,
        spec::ReasoningForm::Nothing => ReasoningForm::Nothing,
    });
    Accepts {
        sampling: flag(&said.sampling, usual.sampling),
        forced_tool_choice: flag(&said.forced_tool_choice, usual.forced_tool_choice),
        prefill: flag(&said.prefill, usual.prefill),
        json_schema: flag(&said.json_schema, usual.json_schema),
        call_ids: flag(&said.call_ids, usual.call_ids),
        reasoning: reasoning.unwrap_or(usual.reasoning),
    }
}

/// What spans name as the server: of a scripted provider nothing.
fn server(endpoint: &Endpoint) -> Option<(Arc<str>, u16)> {
    match endpoint {
        Endpoint::Http(at) => Some((Arc::from(&*at.host), at.port)),
        Endpoint::Memory(_) => None,
    }
}

/// The prices by the day from which they hold.
fn by_day(written: &[At<spec::Price>], found: &mut Findings<'_>) -> Schedule<ListedPrice> {
    let mut prices: Vec<(Option<Date>, ListedPrice)> = Vec::new();
    let mut places: Vec<Span> = Vec::new();
    for at in written {
        let Some(spec) = &at.value else {
            continue;
        };
        let (Some(day), Some(price)) = (first_day(spec, found), price(spec)) else {
            continue;
        };
        if let Some(same) = prices.iter().position(|(other, _)| *other == day) {
            super::twice("two prices hold from the same day on", at.span, places[same], found);
        }
        prices.push((day, price));
        places.push(at.span);
    }
    Schedule::new(prices)
}

/// None inside where it has always held.
fn first_day(spec: &spec::Price, found: &mut Findings<'_>) -> Option<Option<Date>> {
    let Some(at) = &spec.effective_from else {
        return Some(None);
    };
    let day = at.value.as_ref()?;
    // Other readers of YAML take a plain day for a point in time.
    if found.first_char(at.span).is_some_and(|c| c.is_ascii_digit()) {
        found.error(at.span, "a day is written in quotes").hint("write \"2026-01-01\"");
    }
    Some(Some(day.0))
}

/// A price as charged and as written. None where a part was faulty.
pub(super) fn price(spec: &spec::Price) -> Option<ListedPrice> {
    let (input, output) = (spec.input.value.as_ref()?, spec.output.value.as_ref()?);
    let part = |field: &Option<At<spec::Decimal>>| field.as_ref().and_then(|at| at.value.clone());
    let cache_read = part(&spec.cache_read);
    let cache_write = part(&spec.cache_write);
    let reasoning = part(&spec.reasoning);
    let audio_input = part(&spec.audio_input);
    let audio_output = part(&spec.audio_output);
    let amount = |part: &Option<spec::Decimal>| part.as_ref().map(|decimal| decimal.amount);
    let text = |part: Option<spec::Decimal>| part.map(|decimal| decimal.text);
    let plain = Price::new(input.amount, output.amount);
    Some(ListedPrice {
        price: Price {
            cache_read: amount(&cache_read).unwrap_or(plain.cache_read),
            cache_write: amount(&cache_write).unwrap_or(plain.cache_write),
            reasoning: amount(&reasoning).unwrap_or(plain.reasoning),
            input_audio: amount(&audio_input).unwrap_or(plain.input_audio),
            output_audio: amount(&audio_output).unwrap_or(plain.output_audio),
            ..plain
        },
        written: WrittenPrice {
            input: input.text.clone(),
            output: output.text.clone(),
            cache_read: text(cache_read),
            cache_write: text(cache_write),
            reasoning: text(reasoning),
            audio_input: text(audio_input),
            audio_output: text(audio_output),
        },
    })
}
