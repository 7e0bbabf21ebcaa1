//! What is known of providers, targets and routes: found by their names in the policy, outlives its reloads.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::allowance::Allowance;
use super::balancer::Weighted;
use super::breaker::{Breaker, BreakerSettings};
use super::cooldown::Cooldowns;
use super::keys::{KeyHealth, Rotation};
use super::latency::Latency;
use super::retry::{RetryBudget, RetryBudgetSettings};
use crate::ids::{KeyName, ModelId, ProviderId, RouteId};
use crate::sync::Mutex;

#[cfg(test)]
mod tests;

/// What is known of everything that a policy names. Asking takes no lock.
#[derive(Debug, Default)]
pub struct Health {
    known: ArcSwap<Known>,
    /// Held while what is known is rebuilt: two reloads at once would each keep what the other does not.
    renewing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    providers: HashMap<ProviderId, Arc<ProviderHealth>>,
    targets: HashMap<ModelId, Arc<TargetHealth>>,
    routes: HashMap<RouteId, Arc<RouteHealth>>,
}

/// A provider, as a policy has it.
#[derive(Clone, Debug)]
pub struct ProviderSettings<'a> {
    /// Its name.
    pub id: &'a ProviderId,
    /// Its keys, in the policy's order.
    pub keys: Vec<KeyName>,
    /// When one of its targets is left alone.
    pub breaker: BreakerSettings,
    /// What of its calls may be tried again.
    pub retry_budget: RetryBudgetSettings,
}

/// A model at its provider, as a policy has it.
#[derive(Clone, Copy, Debug)]
pub struct TargetSettings<'a> {
    /// The model.
    pub model: &'a ModelId,
    /// Where it is.
    pub provider: &'a ProviderId,
}

/// A route, as a policy has it.
#[derive(Clone, Debug)]
pub struct RouteSettings<'a> {
    /// Its name.
    pub id: &'a RouteId,
    /// Where it leads, in the policy's order, and by what weights.
    pub targets: Vec<(&'a ModelId, u32)>,
    /// How many of a thousand calls may be hedged.
    pub hedge_permille: u16,
}

/// What is known of a provider.
#[derive(Debug)]
pub struct ProviderHealth {
    /// Its name.
    pub id: ProviderId,
    /// What it still gets of tries beyond the first.
    pub budget: Arc<RetryBudget>,
    keys: Vec<(KeyName, Arc<KeyHealth>)>,
    rotation: Arc<Rotation>,
}

/// What is known of a model at its provider.
#[derive(Debug)]
pub struct TargetHealth {
    /// Where it is.
    pub provider: Arc<ProviderHealth>,
    /// Whether it is left alone.
    pub breaker: Arc<Breaker>,
    /// How soon its streams begin.
    pub first_token: Arc<Latency>,
    /// How soon its plain answers are complete.
    pub answer: Arc<Latency>,
    /// Until when the provider asked us to stay away.
    pub cooldowns: Arc<Cooldowns>,
    /// Until when keys are left alone that may not use it.
    pub forbidden: Arc<Cooldowns>,
}

/// What is known of a route.
#[derive(Debug)]
pub struct RouteHealth {
    /// Which target is next by its weight: positions are those of the targets that were given.
    pub weighted: Arc<Weighted>,
    /// How many of its calls may be hedged.
    pub hedges: Arc<Allowance>,
    /// What the positions of `weighted` stand for.
    targets: Vec<(ModelId, u32)>,
}

impl Health {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes over to what a policy names. What it named before keeps its state, under the new settings; a call under way
    /// that still holds what was known reports to the same state. A model that is at another provider starts anew, and
    /// so do the shares of a route whose targets or weights are others. What is no longer named is forgotten.
    ///
    /// A target whose provider is not among `providers` is left out. The seed says where shares start.
    pub fn renew<'a>(
        &self,
        providers: impl IntoIterator<Item = ProviderSettings<'a>>,
        targets: impl IntoIterator<Item = TargetSettings<'a>>,
        routes: impl IntoIterator<Item = RouteSettings<'a>>,
        seed: u64,
    ) {
        let _alone = self.renewing.lock();
        let old = self.known.load();
        let mut new = Known::default();
        let mut breakers = HashMap::new();
        for settings in providers {
            breakers.insert(settings.id, settings.breaker);
            let known = old.providers.get(settings.id);
            new.providers.insert(settings.id.clone(), ProviderHealth::renewed(known, settings));
        }
        for TargetSettings { model, provider } in targets {
            let (Some(breaker), Some(provider)) = (breakers.get(provider), new.providers.get(provider))
            else {
                continue;
            };
            let target = TargetHealth::renewed(old.targets.get(model), provider, *breaker);
            new.targets.insert(model.clone(), target);
        }
        for settings in routes {
            let route = RouteHealth::renewed(old.routes.get(settings.id), &settings, seed);
            new.routes.insert(settings.id.clone(), route);
        }
        self.known.store(Arc::new(new));
    }

    /// The same known by somebody who only looks on: probes, turns and tries are counted apart from here on. Times,
    /// cool-downs and faults of keys are seen as they come.
    pub fn apart(&self) -> Self {
        let known = self.known.load();
        let providers: HashMap<_, _> =
            known.providers.iter().map(|(id, provider)| (id.clone(), Arc::new(provider.apart()))).collect();
        let target = |(id, target): (&ModelId, &Arc<TargetHealth>)| {
            let provider = providers.get(&target.provider.id).unwrap_or(&target.provider);
            (id.clone(), Arc::new(target.apart(provider)))
        };
        let targets = known.targets.iter().map(target).collect();
        let routes = known.routes.iter().map(|(id, route)| (id.clone(), Arc::new(route.apart()))).collect();
        Self { known: ArcSwap::from_pointee(Known { providers, targets, routes }), renewing: Mutex::new(()) }
    }

    /// What is known of a model at its provider; none where the policy names no such model.
    pub fn target(&self, model: &ModelId) -> Option<Arc<TargetHealth>> {
        self.known.load().targets.get(model).cloned()
    }

    /// What is known of a route; none where the policy names no such route.
    pub fn route(&self, route: &RouteId) -> Option<Arc<RouteHealth>> {
        self.known.load().routes.get(route).cloned()
    }

    /// What is known of a provider; none where the policy names no such provider.
    pub fn provider(&self, provider: &ProviderId) -> Option<Arc<ProviderHealth>> {
        self.known.load().providers.get(provider).cloned()
    }

    /// All models, by name.
    pub fn targets(&self) -> Vec<(ModelId, Arc<TargetHealth>)> {
        sorted(&self.known.load().targets)
    }

    /// All providers, by name.
    pub fn providers(&self) -> Vec<(ProviderId, Arc<ProviderHealth>)> {
        sorted(&self.known.load().providers)
    }
}

fn sorted<K: Clone + Ord + Hash, V>(known: &HashMap<K, Arc<V>>) -> Vec<(K, Arc<V>)> {
    let mut all: Vec<_> = known.iter().map(|(name, health)| (name.clone(), Arc::clone(health))).collect();
    all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    all
}

impl ProviderHealth {
    /// Its keys, in the policy's order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = (&KeyName, &Arc<KeyHealth>)> {
        self.keys.iter().map(|(name, health)| (name, health))
    }

    /// What is known of one of its keys.
    pub fn key(&self, name: &KeyName) -> Option<&Arc<KeyHealth>> {
        self.keys().find(|(known, _)| *known == name).map(|(_, health)| health)
    }

    /// The position of the key with which the next call begins its round; 0 where there are no keys.
    pub fn start(&self) -> usize {
        self.rotation.start(self.keys.len())
    }

    fn apart(&self) -> Self {
        Self {
            id: self.id.clone(),
            budget: Arc::new(self.budget.apart()),
            keys: self.keys.clone(),
            rotation: Arc::new(self.rotation.apart()),
        }
    }

    fn renewed(old: Option<&Arc<Self>>, settings: ProviderSettings<'_>) -> Arc<Self> {
        let Some(old) = old else {
            return Arc::new(Self {
                id: settings.id.clone(),
                budget: Arc::new(RetryBudget::new(settings.retry_budget)),
                keys: settings.keys.into_iter().map(|name| (name, Arc::default())).collect(),
                rotation: Arc::default(),
            });
        };
        old.budget.adopt(settings.retry_budget);
        if old.keys().map(|(name, _)| name).eq(&settings.keys) {
            return Arc::clone(old);
        }
        let key = |name: KeyName| {
            let health = old.key(&name).cloned().unwrap_or_default();
            (name, health)
        };
        Arc::new(Self {
            id: old.id.clone(),
            budget: Arc::clone(&old.budget),
            keys: settings.keys.into_iter().map(key).collect(),
            rotation: Arc::clone(&old.rotation),
        })
    }
}

impl TargetHealth {
    fn apart(&self, provider: &Arc<ProviderHealth>) -> Self {
        Self {
            provider: Arc::clone(provider),
            breaker: Arc::new(self.breaker.apart()),
            first_token: Arc::clone(&self.first_token),
            answer: Arc::clone(&self.answer),
            cooldowns: Arc::clone(&self.cooldowns),
            forbidden: Arc::clone(&self.forbidden),
        }
    }

    fn renewed(
        old: Option<&Arc<Self>>,
        provider: &Arc<ProviderHealth>,
        breaker: BreakerSettings,
    ) -> Arc<Self> {
        let Some(old) = old.filter(|old| old.provider.id == provider.id) else {
            return Arc::new(Self {
                provider: Arc::clone(provider),
                breaker: Arc::new(Breaker::new(breaker)),
                first_token: Arc::default(),
                answer: Arc::default(),
                cooldowns: Arc::default(),
                forbidden: Arc::default(),
            });
        };
        old.breaker.adopt(breaker);
        if Arc::ptr_eq(&old.provider, provider) {
            return Arc::clone(old);
        }
        Arc::new(Self {
            provider: Arc::clone(provider),
            breaker: Arc::clone(&old.breaker),
            first_token: Arc::clone(&old.first_token),
            answer: Arc::clone(&old.answer),
            cooldowns: Arc::clone(&old.cooldowns),
            forbidden: Arc::clone(&old.forbidden),
        })
    }
}

impl RouteHealth {
    fn apart(&self) -> Self {
        Self {
            weighted: Arc::new(self.weighted.apart()),
            hedges: Arc::clone(&self.hedges),
            targets: self.targets.clone(),
        }
    }

    fn renewed(old: Option<&Arc<Self>>, settings: &RouteSettings<'_>, seed: u64) -> Arc<Self> {
        let are_its = |old: &&Arc<Self>| {
            old.targets.iter().map(|(model, weight)| (model, *weight)).eq(settings.targets.iter().copied())
        };
        if let Some(old) = old {
            old.hedges.adopt(settings.hedge_permille);
        }
        if let Some(old) = old.filter(are_its) {
            return Arc::clone(old);
        }
        let weights: Vec<_> = settings.targets.iter().map(|(_, weight)| *weight).collect();
        Arc::new(Self {
            weighted: Arc::new(Weighted::new(&weights, seed)),
            hedges: match old {
                Some(old) => Arc::clone(&old.hedges),
                None => Arc::new(Allowance::new(settings.hedge_permille)),
            },
            targets: settings.targets.iter().map(|(model, weight)| ((*model).clone(), *weight)).collect(),
        })
    }
}
