//! A compiled policy: immutable, with every reference resolved. Only `compile` makes one that has anything in it.

mod accounting;
mod exceed;
mod overrun;
mod route;
mod targets;
mod when;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use super::glob;
use crate::auth::api_key::KeyDigest;
use crate::dialect::provider::{AuthHeader, MaxTokensField, StreamUsage};
use crate::dialect::translate::Accepts;
use crate::dialect::{ApiSet, Dialect};
use crate::ids::{AppId, KeyName, LimitKey, ModelId, PlanId, ProviderId, RouteId, TenantId, UserId};
use crate::limits::Rule;
use crate::mock::Script;
use crate::net::endpoint::Endpoint;
use crate::pricing::{Price, Schedule};
use crate::resilience::breaker::BreakerSettings;
use crate::resilience::retry::RetryBudgetSettings;
use crate::secret::SecretRef;
use crate::telemetry::record::Destination;

pub use accounting::{
    Abandoned, Expected, HeldOutput, Hold, MissingUsage, Reserve, ReserveOutput, Unknowns, Unpriced,
};
pub use exceed::{Counting, OnExceed, Way};
pub use route::{
    Hedge, HedgeAfter, KeepAlive, MinRate, OnAllOpen, OnContextOverflow, OnLoss, Retry, Route, Strategy,
    Target, Timeouts,
};
pub use targets::Targets;
pub use when::{Attributes, Source, TimeOfDay, When};

/// A policy that serves: what its text said, with nothing left to doubt.
#[derive(Debug)]
pub struct Snapshot {
    /// What identifies this text.
    pub revision: Revision,
    /// The revision, as answers carry it.
    pub header: HeaderValue,
    /// The policy's own `revision:`, usually a git id.
    pub label: Option<Box<str>>,
    /// Every provider.
    pub providers: BTreeMap<ProviderId, Arc<Provider>>,
    /// Every model.
    pub models: BTreeMap<ModelId, Arc<Model>>,
    /// Every name that callers may ask for: explicit routes, and each model not shadowed by one.
    pub routes: HashMap<RouteId, Arc<Route>>,
    /// Every tenant.
    pub tenants: BTreeMap<TenantId, Arc<Tenant>>,
    /// Callers by the digest of their key.
    pub keys: HashMap<KeyDigest, Arc<Principal>>,
    /// The tenant of callers without a credential, from loopback: the one with `local: true`.
    pub local: Option<Arc<Principal>>,
    /// What a caller without a credential is in each tenant, for `--tenant`.
    pub unkeyed: HashMap<TenantId, Arc<Principal>>,
}

/// A policy of nothing: nobody may call.
impl Default for Snapshot {
    fn default() -> Self {
        Self {
            revision: Revision([b'0'; 12]),
            header: HeaderValue::from_static(""),
            label: None,
            providers: BTreeMap::new(),
            models: BTreeMap::new(),
            routes: HashMap::new(),
            tenants: BTreeMap::new(),
            keys: HashMap::new(),
            local: None,
            unkeyed: HashMap::new(),
        }
    }
}

impl Snapshot {
    /// Every limit: of tenants, then of providers.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        let providers = self.providers.values().flat_map(|provider| provider.limits.iter());
        self.tenants.values().flat_map(|tenant| tenant.limits.iter()).chain(providers)
    }
}

/// 12 hex digits of a SHA-256 over a policy's sorted file names and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(pub [u8; 12]);

impl Revision {
    /// The digits.
    pub fn as_str(&self) -> &str {
        // Only hex digits are ever put in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An endpoint with a dialect and a key.
#[derive(Debug)]
pub struct Provider {
    /// Its key in the policy.
    pub id: ProviderId,
    /// Its name, as answers carry it.
    pub header: HeaderValue,
    /// What it speaks.
    pub dialect: Dialect,
    /// Its name in spans and metrics: the conventions' for a preset, else its key in the policy.
    pub convention: Arc<str>,
    /// Where it is; a scripted one is `memory:` under the provider's name.
    pub endpoint: Endpoint,
    /// How a scripted provider behaves; none for a real one.
    pub mock: Option<Arc<Script>>,
    /// How it takes its key.
    pub auth: AuthHeader,
    /// Its keys, by turns. Never empty: where it wants none (a local server, a scripted one) there is one that is nowhere.
    pub keys: Arc<[ProviderKey]>,
    /// When its models are left alone.
    pub breaker: BreakerSettings,
    /// How often calls may be tried there again.
    pub retry_budget: RetryBudgetSettings,
    /// What it offers.
    pub apis: ApiSet,
    /// How it reports the usage of streams.
    pub stream_usage: StreamUsage,
    /// The version of its API that a translated call names, of Anthropic's dialect.
    pub version: Option<HeaderValue>,
    /// The version of Azure's dated API, where that is spoken.
    pub dated: Option<Box<str>>,
    /// Which field bounds the answer of a chat call there, unless its model says otherwise.
    pub max_tokens_field: MaxTokensField,
    /// Whether it wants back what its model has thought.
    pub wants_reasoning: bool,
    /// Whether it is told of the trace that a call belongs to.
    pub propagate_trace: bool,
    /// Body fields let through to it that are refused otherwise, sorted.
    pub forward: Vec<Box<str>>,
    /// What all tenants together may ask of it.
    pub limits: Arc<[Rule]>,
    /// Whether one of them counts tokens or money: only then a try there holds any.
    pub counts_amounts: bool,
    /// Whether one of those that refuse counts tokens or money: only then a bound is written into a call.
    pub bounds_amounts: bool,
    /// Whether one of those that refuse counts money: only then the price of its models has to be known.
    pub bounds_money: bool,
}

/// One of a provider's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderKey {
    /// Its name in the pool, for limits with `each: providerKey` and for logs; of a single key the provider's own name.
    pub name: KeyName,
    /// Where it is; none where the provider wants none.
    pub at: Option<SecretRef>,
}

/// A model at a provider.
#[derive(Debug)]
pub struct Model {
    /// Its key in the policy.
    pub id: ModelId,
    /// Its name, as answers carry it.
    pub header: HeaderValue,
    /// Who serves it.
    pub provider: Arc<Provider>,
    /// The provider's name for it.
    pub name: Arc<str>,
    /// How records of calls name it.
    pub destination: Arc<Destination>,
    /// Size of its window, in tokens.
    pub context_tokens: Option<u64>,
    /// The longest answer, in tokens.
    pub max_output_tokens: Option<u64>,
    /// What it is good at.
    pub skills: Vec<Box<str>>,
    /// Which field bounds the answer of a chat call.
    pub max_tokens_field: MaxTokensField,
    /// What it takes of calls that are translated for it.
    pub accepts: Accepts,
    /// Where each operation of its provider's dialect is asked of it.
    pub targets: Targets,
    /// Its prices, by the day from which they hold.
    pub prices: Schedule<ListedPrice>,
    /// What it and the defaults say of what is held for a call.
    pub reserve: Reserve,
}

/// A model's price: what is charged, and what is shown to callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPrice {
    /// What is charged.
    pub price: Price,
    /// How it was written.
    pub written: WrittenPrice,
}

/// A price as written: US dollars per million tokens, decimal strings. What was not written is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenPrice {
    /// For input.
    pub input: Box<str>,
    /// For output.
    pub output: Box<str>,
    /// For input read from the provider's cache.
    pub cache_read: Option<Box<str>>,
    /// For input written to the provider's cache.
    pub cache_write: Option<Box<str>>,
    /// For reasoning.
    pub reasoning: Option<Box<str>>,
    /// For audio input.
    pub audio_input: Option<Box<str>>,
    /// For audio output.
    pub audio_output: Option<Box<str>>,
}

/// Who pays and who is limited.
#[derive(Debug)]
pub struct Tenant {
    /// Its key in the policy.
    pub id: TenantId,
    /// What it may use.
    pub access: Access,
    /// Its own and its plan's limits, one map: under the same key the tenant's stands.
    pub limits: Arc<[Rule]>,
    /// Whether one of them counts tokens or money: only then does a call hold any.
    pub counts_amounts: bool,
    /// Whether one of those that refuse counts tokens or money: only then a bound is written into a call.
    pub bounds_amounts: bool,
    /// Whether one of those that refuse counts money: only then a call's price has to be known.
    pub bounds_money: bool,
    /// Those whose refusal is a 402.
    pub payment_required: HashSet<LimitKey>,
    /// What happens beyond those that do not just refuse.
    pub on_exceed: HashMap<LimitKey, OnExceed>,
    /// The ways to which they downgrade, on which they do not count.
    pub downgraded: HashMap<RouteId, Way>,
    /// What it says of what is held for a call.
    pub reserve: Reserve,
    /// What calls cost of which nothing is known.
    pub unknowns: Unknowns,
    /// Whether its plain answers tell in their bodies what they cost.
    pub annotate: bool,
    /// Its plan.
    pub plan: Option<PlanId>,
    /// Where its calls say what they are about.
    pub attributes: Attributes,
}

/// What a tenant may use; globs are resolved.
#[derive(Debug, Default)]
pub struct Access {
    /// Names it may ask for.
    pub allowed: HashSet<RouteId>,
    /// Models never dispatched for it, through whatever name.
    pub denied: HashSet<ModelId>,
    /// The globs of `allow`, in order.
    pub allow: Box<[Pattern]>,
    /// Those of `deny`.
    pub deny: Box<[Pattern]>,
}

/// A glob over names, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The glob.
    pub glob: Box<str>,
    /// Where it was written: `file:line`.
    pub place: Arc<str>,
}

impl Pattern {
    /// The first of these that matches a name.
    pub fn first<'p>(patterns: &'p [Self], name: &str) -> Option<&'p Self> {
        patterns.iter().find(|pattern| glob::matches(&pattern.glob, name))
    }
}

/// The caller of one call.
#[derive(Debug)]
pub struct Principal {
    /// Who pays.
    pub tenant: Arc<Tenant>,
    /// The name of its key.
    pub key: Option<KeyName>,
    /// The user behind it.
    pub user: Option<UserId>,
    /// The application behind it.
    pub app: Option<AppId>,
}
