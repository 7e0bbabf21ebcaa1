use std::time::Duration;

use super::*;
use crate::clock::Instant;
use crate::resilience::breaker::BreakerState;

const SECOND: Duration = Duration::from_secs(1);

/// A policy in small.
#[derive(Default)]
struct Policy {
    providers: Vec<(ProviderId, Vec<KeyName>)>,
    targets: Vec<(ModelId, ProviderId)>,
    routes: Vec<(RouteId, Vec<(ModelId, u32)>)>,
    breaker: BreakerSettings,
    retry_budget: RetryBudgetSettings,
    hedge_permille: u16,
}

impl Policy {
    fn provider(mut self, id: &str, keys: &[&str]) -> Self {
        self.providers.push((id.into(), keys.iter().copied().map(KeyName::from).collect()));
        self
    }

    fn target(mut self, model: &str, provider: &str) -> Self {
        self.targets.push((model.into(), provider.into()));
        self
    }

    fn route(mut self, id: &str, targets: &[(&str, u32)]) -> Self {
        let targets = targets.iter().map(|(model, weight)| (ModelId::from(*model), *weight)).collect();
        self.routes.push((id.into(), targets));
        self
    }

    fn in_force(&self, health: &Health) {
        let providers = self.providers.iter().map(|(id, keys)| ProviderSettings {
            id,
            keys: keys.clone(),
            breaker: self.breaker,
            retry_budget: self.retry_budget,
        });
        let targets = self.targets.iter().map(|(model, provider)| TargetSettings { model, provider });
        let routes = self.routes.iter().map(|(id, targets)| RouteSettings {
            id,
            targets: targets.iter().map(|(model, weight)| (model, *weight)).collect(),
            hedge_permille: self.hedge_permille,
        });
        health.renew(providers, targets, routes, 0);
    }
}

/// Two models at one provider, one at another, a route over all.
fn policy() -> Policy {
    Policy::default()
        .provider("openai", &["a", "b"])
        .provider("anthropic", &["key"])
        .target("gpt", "openai")
        .target("gpt-small", "openai")
        .target("claude", "anthropic")
        .route("chat", &[("gpt", 3), ("claude", 1)])
}

fn health() -> Health {
    let health = Health::new();
    policy().in_force(&health);
    health
}

impl Health {
    fn of(&self, model: &str) -> Arc<TargetHealth> {
        self.target(&model.into()).unwrap()
    }

    fn by(&self, route: &str) -> Arc<RouteHealth> {
        self.route(&route.into()).unwrap()
    }
}

fn breaks(target: &TargetHealth, now: Instant) {
    (0..5).for_each(|_| target.breaker.admit(now).unwrap().failed(now));
}

fn is_open(target: &TargetHealth, now: Instant) -> bool {
    matches!(target.breaker.state(now), BreakerState::Open { .. })
}

#[test]
fn what_a_policy_names_is_known_and_nothing_else() {
    let health = health();
    assert!(health.target(&"gpt".into()).is_some() && health.target(&"chat".into()).is_none());
    assert!(health.route(&"chat".into()).is_some() && health.route(&"gpt".into()).is_none());
    assert!(health.provider(&"openai".into()).is_some() && health.provider(&"gemini".into()).is_none());
    assert!(Health::new().targets().is_empty());
}

#[test]
fn all_are_told_by_name() {
    let names: Vec<_> = health().targets().into_iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["claude", "gpt", "gpt-small"]);
    let names: Vec<_> = health().providers().into_iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["anthropic", "openai"]);
}

#[test]
fn models_of_one_provider_share_its_keys_and_budget_and_nothing_else() {
    let (health, now) = (health(), Instant::now());
    let (large, small) = (health.of("gpt"), health.of("gpt-small"));
    assert!(Arc::ptr_eq(&large.provider, &small.provider));
    breaks(&large, now);
    assert!(is_open(&large, now) && !is_open(&small, now));
}

#[test]
fn keys_stand_in_their_order_and_each_call_begins_with_the_next() {
    let provider = Arc::clone(&health().of("gpt").provider);
    let names: Vec<_> = provider.keys().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!([(); 3].map(|()| provider.start()), [0, 1, 0]);
    assert!(provider.key(&"b".into()).is_some() && provider.key(&"c".into()).is_none());
}

#[test]
fn a_reload_without_a_change_keeps_everything_as_it_is() {
    let health = health();
    let (target, route) = (health.of("gpt"), health.by("chat"));
    policy().in_force(&health);
    assert!(Arc::ptr_eq(&target, &health.of("gpt")));
    assert!(Arc::ptr_eq(&route, &health.by("chat")));
}

#[test]
fn a_reload_puts_settings_in_force_and_keeps_the_state() {
    let (health, now) = (health(), Instant::now());
    let target = health.of("gpt");
    breaks(&target, now);
    assert_eq!((0..99).filter(|_| target.provider.budget.take(now)).count(), 30);

    let breaker = BreakerSettings { open_for: 10 * SECOND, ..BreakerSettings::default() };
    let retry_budget = RetryBudgetSettings { min_per_second: 4, ..RetryBudgetSettings::default() };
    Policy { breaker, retry_budget, ..policy() }.in_force(&health);

    assert_eq!(health.of("gpt").breaker.retry_at(now), Some(now + 10 * SECOND));
    assert_eq!((0..99).filter(|_| target.provider.budget.take(now)).count(), 10);
}

#[test]
fn a_call_that_began_before_a_reload_reports_to_what_lives_on() {
    let (health, now) = (health(), Instant::now());
    let (early, key) = (health.of("gpt"), KeyName::from("a"));
    let under_way = early.first_token.begin();

    // Another key makes another provider of it; what is known stays.
    let mut other = policy();
    other.providers[0].1.push("c".into());
    other.routes[0].1[0].1 = 5;
    let route = health.by("chat");
    other.in_force(&health);
    let late = health.of("gpt");
    assert!(!Arc::ptr_eq(&early, &late));

    early.provider.key(&key).unwrap().refused(1, now);
    early.cooldowns.set(&key, now + SECOND);
    early.first_token.observe(SECOND, now);
    breaks(&early, now);
    (0..30).for_each(|_| assert!(early.provider.budget.take(now)));
    (0..1_000).for_each(|_| route.hedges.count());

    assert!(late.provider.key(&key).unwrap().usable(1, now).is_err());
    assert!(late.provider.key(&"c".into()).unwrap().usable(1, now).is_ok());
    assert_eq!(late.cooldowns.until(&key, now), Some(now + SECOND));
    assert_eq!(late.first_token.cost(now), 2_000_000_000);
    assert!(is_open(&late, now));
    assert!(!late.provider.budget.take(now));
    drop(under_way);
    assert_eq!(late.first_token.under_way(), 0);
    assert_eq!(late.provider.start(), 0);
}

#[test]
fn a_model_that_goes_to_another_provider_starts_anew() {
    let (health, now) = (health(), Instant::now());
    let early = health.of("gpt");
    breaks(&early, now);
    let mut moved = policy();
    moved.targets[0].1 = "anthropic".into();
    moved.in_force(&health);
    let late = health.of("gpt");
    assert!(is_open(&early, now) && !is_open(&late, now));
    assert_eq!(late.provider.id, "anthropic".into());
}

#[test]
fn what_is_no_longer_named_is_forgotten() {
    let (health, now) = (health(), Instant::now());
    breaks(&health.of("claude"), now);
    let mut less = policy();
    less.providers.remove(1);
    less.in_force(&health);
    // Its provider is not named, so neither is it.
    assert!(health.target(&"claude".into()).is_none());
    policy().in_force(&health);
    assert!(!is_open(&health.of("claude"), now));
}

#[test]
fn shares_start_anew_where_targets_or_weights_are_others_and_hedges_do_not() {
    let health = health();
    let early = health.by("chat");
    assert_eq!([(); 3].map(|()| early.weighted.pick(|_| true)), [Some(0), Some(0), Some(1)]);
    for targets in [&[("gpt", 3), ("claude", 2)], &[("claude", 3), ("gpt", 1)]] {
        let mut other = policy();
        other.routes.clear();
        other.route("chat", targets).in_force(&health);
        let late = health.by("chat");
        assert!(!Arc::ptr_eq(&early.weighted, &late.weighted));
        assert_eq!(late.weighted.pick(|_| true), Some(0));
        assert!(Arc::ptr_eq(&early.hedges, &late.hedges));
    }
}

#[test]
fn another_part_of_calls_may_be_hedged_after_a_reload() {
    let health = health();
    let route = health.by("chat");
    (0..1_000).for_each(|_| route.hedges.count());
    assert!(!route.hedges.take());
    Policy { hedge_permille: 1_000, ..policy() }.in_force(&health);
    health.by("chat").hedges.count();
    assert!(route.hedges.take());
}

#[test]
fn what_is_known_can_be_shared_by_threads() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let health = health();
    is_shared(&health);
    is_shared(&health.of("gpt"));
    is_shared(&health.by("chat"));
    is_shared(&health.of("gpt").breaker.admit(Instant::now()).unwrap());
    is_shared(&health.of("gpt").first_token.begin());
}
