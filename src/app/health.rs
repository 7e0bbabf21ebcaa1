//! How providers do, as operators see it: breakers, cool-downs, keys, times.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use serde_json::{Value, json};

use super::observed::{counter, gauge};
use crate::clock::{Clock, Instant};
use crate::policy::Snapshot;
use crate::policy::snapshot::{Model, Provider, ProviderKey};
use crate::policy::store::PolicyStore;
use crate::resilience::breaker::BreakerState;
use crate::resilience::health::{Health, ProviderHealth, TargetHealth};
use crate::resilience::keys::{KeyFault, Out};
use crate::secret::Secrets;
use crate::telemetry::semconv::{egret, metric};

/// What of providers and models is told.
pub(super) struct Seen<'a> {
    pub(super) health: &'a Health,
    pub(super) secrets: &'a Secrets,
    pub(super) now: Instant,
}

impl Seen<'_> {
    /// Every provider with its keys and models.
    pub(super) fn page(&self, snapshot: &Snapshot) -> Value {
        let providers = snapshot.providers.values().map(|provider| {
            let models = snapshot.models.values().filter(|model| model.provider.id == provider.id);
            json!({
                "provider": provider.id.as_str(),
                "keys": provider.keys.iter().map(|key| self.key(provider, key)).collect::<Vec<_>>(),
                "models": models.map(|model| self.model(model)).collect::<Vec<_>>(),
            })
        });
        json!({ "providers": providers.collect::<Vec<_>>() })
    }

    fn key(&self, provider: &Provider, key: &ProviderKey) -> Value {
        let out = self.health.provider(&provider.id).and_then(|known| self.out(&known, key));
        json!({
            "key": key.name.as_str(),
            "out": out.map(|out| reason(out.why)),
            "triedAgainInMs": out.map(|out| millis(self.until(out.until))),
        })
    }

    /// Why a key is not used, if it is not.
    fn out(&self, known: &ProviderHealth, key: &ProviderKey) -> Option<Out> {
        let version = key.at.as_ref().map_or(0, |at| self.secrets.version(at));
        known.key(&key.name)?.usable(version, self.now).err()
    }

    fn model(&self, model: &Model) -> Value {
        let Some(known) = self.health.target(&model.id) else { return json!({ "model": model.id.as_str() }) };
        let cooling = model.provider.keys.iter().filter_map(|key| {
            let (until, why) = left_alone(&known, key, self.now)?;
            let wait = millis(self.until(until));
            Some(json!({ "key": key.name.as_str(), "why": why, "forMs": wait }))
        });
        json!({
            "model": model.id.as_str(),
            "breaker": state(&known, self.now).1,
            "opened": known.breaker.opened(),
            "probedInMs": known.breaker.retry_at(self.now).map(|at| millis(self.until(at))),
            "leftAlone": cooling.collect::<Vec<_>>(),
            "firstTokenMs": known.first_token.average(self.now).map(millis),
            "answerMs": known.answer.average(self.now).map(millis),
        })
    }

    fn until(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.now)
    }
}

/// Registers breakers, cool-downs and keys.
pub(super) fn observe(
    meter: &Meter,
    health: &Arc<Health>,
    store: &Arc<PolicyStore>,
    secrets: &Arc<Secrets>,
    clock: &Clock,
) {
    let of = Observed {
        health: Arc::clone(health),
        store: Arc::clone(store),
        secrets: Arc::clone(secrets),
        clock: clock.clone(),
    };
    let (breakers, opened, cooling, keys) = (of.clone(), of.clone(), of.clone(), of);
    let help = "The breaker of a model at its provider: 0 closed, 1 half open, 2 open.";
    gauge(meter, metric::BREAKER_STATE, "", help, move |into| {
        breakers.models(|model, known, now| into.observe(state(known, now).0, &labels(model)));
    });
    counter(meter, metric::BREAKER_OPENED, "How often breakers have opened.", move |into| {
        opened.models(|model, known, _| into.observe(known.breaker.opened(), &labels(model)));
    });
    let help = "1 while a model is left alone with every key of its provider: it cools down, or they may not use it.";
    gauge(meter, metric::COOLING_DOWN, "", help, move |into| {
        cooling.models(|model, known, now| {
            let keys = &model.provider.keys;
            let all = keys.iter().all(|key| left_alone(known, key, now).is_some());
            into.observe(u64::from(all), &labels(model));
        });
    });
    let help = "1 while a provider's key is not used: it was refused, or its account is used up.";
    gauge(meter, metric::KEY_OUT, "", help, move |into| {
        keys.keys(|provider, key, out| {
            let labels = [
                KeyValue::new(egret::KEY, key.name.shared()),
                KeyValue::new(egret::PROVIDER, provider.id.shared()),
                KeyValue::new(egret::REASON, out.map_or("none", |out| reason(out.why))),
            ];
            into.observe(u64::from(out.is_some()), &labels);
        });
    });
}

#[derive(Clone)]
struct Observed {
    health: Arc<Health>,
    store: Arc<PolicyStore>,
    secrets: Arc<Secrets>,
    clock: Clock,
}

impl Observed {
    fn models(&self, mut tell: impl FnMut(&Model, &TargetHealth, Instant)) {
        let Some(snapshot) = self.store.load() else { return };
        let now = self.clock.now();
        for model in snapshot.models.values() {
            if let Some(known) = self.health.target(&model.id) {
                tell(model, &known, now);
            }
        }
    }

    fn keys(&self, mut tell: impl FnMut(&Provider, &ProviderKey, Option<Out>)) {
        let Some(snapshot) = self.store.load() else { return };
        let seen = Seen { health: &self.health, secrets: &self.secrets, now: self.clock.now() };
        for provider in snapshot.providers.values() {
            let Some(known) = self.health.provider(&provider.id) else { continue };
            for key in provider.keys.iter().filter(|key| key.at.is_some()) {
                tell(provider, key, seen.out(&known, key));
            }
        }
    }
}

/// Until when a model is not asked with a key, and why.
fn left_alone(known: &TargetHealth, key: &ProviderKey, now: Instant) -> Option<(Instant, &'static str)> {
    let cooling = known.cooldowns.until(&key.name, now).map(|until| (until, "cooling_down"));
    cooling.or_else(|| known.forbidden.until(&key.name, now).map(|until| (until, "forbidden")))
}

fn labels(model: &Model) -> [KeyValue; 2] {
    [
        KeyValue::new(egret::MODEL, model.id.shared()),
        KeyValue::new(egret::PROVIDER, model.provider.id.shared()),
    ]
}

fn state(known: &TargetHealth, now: Instant) -> (u64, &'static str) {
    match known.breaker.state(now) {
        BreakerState::Closed => (0, "closed"),
        BreakerState::HalfOpen => (1, "halfOpen"),
        BreakerState::Open { .. } => (2, "open"),
    }
}

fn reason(fault: KeyFault) -> &'static str {
    match fault {
        KeyFault::Refused => "refused",
        KeyFault::Spent => "out_of_credit",
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
