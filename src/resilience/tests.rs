//! Mechanisms together: what a provider that fails is spared, and how soon it is back.

mod storm;
mod strategies;

use std::sync::Arc;
use std::time::Duration;

use super::breaker::{Breaker, BreakerSettings, Pass};
use super::health::{
    Health, ProviderHealth, ProviderSettings, RouteHealth, RouteSettings, TargetHealth, TargetSettings,
};
use super::retry::RetryBudgetSettings;
use crate::clock::Instant;
use crate::ids::{KeyName, ModelId, ProviderId, RouteId};

const SECOND: Duration = Duration::from_secs(1);

/// So many targets at one provider, and a route over them by the weights.
fn targets(weights: &[u32], breaker: BreakerSettings) -> (Vec<Arc<TargetHealth>>, Arc<RouteHealth>) {
    let (provider, route) = (ProviderId::from("provider"), RouteId::from("route"));
    let models: Vec<_> = (0..weights.len()).map(|n| ModelId::from(format!("model {n}"))).collect();
    let health = Health::new();
    health.renew(
        [ProviderSettings {
            id: &provider,
            keys: vec![KeyName::from("key")],
            breaker,
            retry_budget: RetryBudgetSettings::default(),
        }],
        models.iter().map(|model| TargetSettings { model, provider: &provider }),
        [RouteSettings {
            id: &route,
            targets: models.iter().zip(weights.iter().copied()).collect(),
            hedge_permille: 50,
        }],
        0,
    );
    (models.iter().map(|model| health.target(model).unwrap()).collect(), health.route(&route).unwrap())
}

/// A thousand moments of each second, from `from` to `to`.
fn moments(start: Instant, from: u64, to: u64) -> impl Iterator<Item = Instant> {
    (from * 1_000..to * 1_000).map(move |ms| start + Duration::from_millis(ms))
}
