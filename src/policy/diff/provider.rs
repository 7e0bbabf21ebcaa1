//! Providers: where calls go, with which keys, how often.

use std::collections::BTreeSet;

use super::group::Item;
use super::limit::{self, Limits};
use super::words::{listed, or_none};
use super::{Direction, Found, Pair, pairs, resilience};
use crate::dialect::provider::{AuthHeader, StreamUsage};
use crate::dialect::{Api, ApiSet};
use crate::policy::diagnostic::masked_line;
use crate::policy::snapshot::{Provider, ProviderKey, Snapshot};

/// What changes at every provider.
pub(super) fn changes(old: &Snapshot, new: &Snapshot) -> Vec<Item> {
    let items = pairs(&old.providers, &new.providers).into_iter().map(|(id, pair)| {
        let mut found = Found::default();
        match pair {
            Pair::Both(before, after) => both(before, after, &mut found),
            Pair::New(one) => drop(found.change(Direction::Neutral, "provider", None, Some(summary(one)))),
            Pair::Gone(one) => drop(found.change(Direction::Neutral, "provider", Some(summary(one)), None)),
        }
        Item { name: id.shared(), plan: None, found }
    });
    items.collect()
}

/// A provider in a few words.
fn summary(provider: &Provider) -> String {
    let limits: Vec<_> = provider
        .limits
        .iter()
        .map(|rule| format!("; {} {}", rule.key, super::words::limit(rule, None)))
        .collect();
    format!("{}, {}{}", provider.endpoint, provider.dialect, limits.concat())
}

fn both(old: &Provider, new: &Provider, found: &mut Found) {
    let Provider {
        id: _,
        header: _,
        dialect,
        convention,
        endpoint,
        mock,
        auth,
        keys,
        breaker,
        retry_budget,
        apis,
        stream_usage,
        version,
        dated,
        max_tokens_field,
        wants_reasoning,
        propagate_trace,
        forward,
        limits,
        counts_amounts: _,
        bounds_amounts: _,
        bounds_money: _,
    } = old;
    let (before, after) = (endpoint.to_string(), new.endpoint.to_string());
    if before != after {
        found.change(Direction::Risk, "baseUrl", Some(before), Some(after)).note("its calls go elsewhere");
    } else if mock != &new.mock {
        found.change(Direction::Neutral, "mock", None, None).note("scripted in another way");
    }
    found.neutral("dialect", (dialect, &new.dialect), ToString::to_string);
    found.neutral("name in metrics", (convention, &new.convention), |name| name.to_string());
    found.neutral("key header", (auth, &new.auth), |auth| header(*auth).into());
    self::keys(keys, &new.keys, found);
    resilience::breaker(breaker, &new.breaker, found);
    resilience::retry_budget(retry_budget, &new.retry_budget, found);
    self::apis(*apis, new.apis, found);
    found.neutral("streamUsage", (stream_usage, &new.stream_usage), |usage| reported(*usage).into());
    let text = |version: &Option<http::HeaderValue>| {
        or_none(version.as_ref(), |version| String::from_utf8_lossy(version.as_bytes()).into_owned())
    };
    found.neutral("apiVersion", (version, &new.version), text);
    found.neutral("apiVersion", (dated, &new.dated), |dated| or_none(dated.as_ref(), ToString::to_string));
    let fields = (&max_tokens_field.name(), &new.max_tokens_field.name());
    found.neutral("maxTokensField", fields, |name| (*name).to_owned());
    found.neutral("wants reasoning back", (wants_reasoning, &new.wants_reasoning), bool::to_string);
    found.neutral("propagateTrace", (propagate_trace, &new.propagate_trace), bool::to_string);
    let set = |fields: &[Box<str>]| -> BTreeSet<String> { fields.iter().map(ToString::to_string).collect() };
    more_or_less("forward", &set(forward), &set(&new.forward), found);
    let before = Limits { rules: limits, tenant: None };
    limit::changes(before, Limits { rules: &new.limits, tenant: None }, found);
}

fn apis(old: ApiSet, new: ApiSet, found: &mut Found) {
    let names = |apis: ApiSet| -> BTreeSet<String> {
        Api::ALL.into_iter().filter(|api| apis.contains(*api)).map(|api| api.to_string()).collect()
    };
    more_or_less("apis", &names(old), &names(new), found);
}

fn more_or_less(what: &str, old: &BTreeSet<String>, new: &BTreeSet<String>, found: &mut Found) {
    let more: Vec<_> = new.difference(old).collect();
    let less: Vec<_> = old.difference(new).collect();
    if !more.is_empty() {
        found.change(Direction::Loosening, what, None, Some(listed(more)));
    }
    if !less.is_empty() {
        found.change(Direction::Tightening, what, Some(listed(less)), None);
    }
}

/// By their names and places: what they are is nowhere here.
fn keys(old: &[ProviderKey], new: &[ProviderKey], found: &mut Found) {
    let told = |ProviderKey { name, at }: &ProviderKey| match at {
        // Somebody may have written one where its name or place belongs.
        Some(at) => masked_line(&format!("{name} of {at}")),
        None => "no key".into(),
    };
    let set = |keys: &[ProviderKey]| -> BTreeSet<String> { keys.iter().map(told).collect() };
    found.neutral("keys", (&set(old), &set(new)), |keys| listed(keys));
}

fn header(auth: AuthHeader) -> &'static str {
    match auth {
        AuthHeader::Bearer => "authorization",
        AuthHeader::ApiKey => "api-key",
        AuthHeader::Anthropic => "x-api-key",
        AuthHeader::Goog => "x-goog-api-key",
    }
}

fn reported(usage: StreamUsage) -> &'static str {
    match usage {
        StreamUsage::Ask => "ask",
        StreamUsage::Always => "always",
        StreamUsage::Never => "never",
    }
}
