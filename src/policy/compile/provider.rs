//! `providers:`: presets filled in, addresses read, scripts built.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderValue;

use super::budget::{Budgets, Priced, candidates};
use super::documents::Section;
use super::limit::{self, Limit, Limits, Whose};
use super::names::Known;
use super::waits::{self, Tries};
use super::{Stage, breaker, keys, mock, rehearsed_key};
use crate::dialect::edit::guarded_fields;
use crate::dialect::provider::{
    self as presets, ANTHROPIC_VERSION, AuthHeader, PRESETS, Preset, StreamUsage,
};
use crate::dialect::{Api, ApiSet, Dialect};
use crate::ids::{ModelId, ProviderId, RouteId, TenantId};
use crate::limits::Owner;
use crate::mock::Script;
use crate::net::endpoint::Endpoint;
use crate::policy::diagnostic::{Code, Findings, Span, did_you_mean, quoted};
use crate::policy::snapshot::{Model, Provider, ProviderKey, Route, Tenant};
use crate::policy::spec::{self, At};
use crate::secret::SecretRef;

/// Providers, with their limits where they stand and how long a try there waits.
pub(super) struct Providers {
    pub(super) known: Known<ProviderId, Provider>,
    limits: BTreeMap<ProviderId, Limits>,
    waits: BTreeMap<ProviderId, Tries>,
}

pub(super) fn compile(
    stage: Stage,
    written: &Section<spec::Provider>,
    allow_mock: Option<&At<bool>>,
    found: &mut Findings<'_>,
) -> Providers {
    // Where `allowMock` itself is faulty, what it was meant to say is not known.
    let may_mock = allow_mock.is_some_and(|allow| allow.value != Some(false));
    let mut providers =
        Providers { known: Known::new(written.partial), limits: BTreeMap::new(), waits: BTreeMap::new() };
    for (name, entry) in &written.entries {
        let provider = entry.value.as_ref().and_then(|spec| {
            let limits = limit::compile(spec.limits.as_ref(), Whose::Provider, found);
            limit::check_renames(&Owner::Provider(name.as_str().into()), &limits, found);
            let provider = One { name, at: entry.span, spec }.compile(may_mock, &limits, found);
            let provider = match stage {
                Stage::Serving => provider,
                Stage::Rehearsal => provider.map(rehearsed),
            };
            let waits = waits::of_try(spec.timeouts.as_ref(), found);
            providers.waits.insert(ProviderId::from(name.as_str()), waits);
            providers.limits.insert(ProviderId::from(name.as_str()), limits);
            provider
        });
        providers.known.insert(name, provider);
    }
    providers
}

impl Providers {
    /// How long a try there waits, as far as the provider says.
    pub(super) fn waits(&self, provider: &ProviderId) -> Tries {
        self.waits.get(provider).copied().unwrap_or_default()
    }

    /// Tells what limits of tokens and money cannot be kept by those who may come.
    pub(super) fn check_budgets<'a>(
        &self,
        tenants: &'a BTreeMap<TenantId, Arc<Tenant>>,
        routes: &'a Known<RouteId, Route>,
        models: &'a Known<ModelId, Model>,
        found: &mut Findings<'_>,
    ) {
        for (id, limits) in self.limits.iter().filter(|(_, limits)| !limits.is_empty()) {
            let coming = tenants.values().flat_map(|tenant| candidates(tenant, routes));
            let candidates = coming.filter(|candidate| candidate.model().provider.id == *id).collect();
            let models = models.iter().filter_map(|(_, model)| model.map(AsRef::as_ref));
            let priced = Priced::Models(models.filter(|model| model.provider.id == *id).collect());
            Budgets { owner: &Owner::Provider(id.clone()), limits, candidates, priced }.check(found);
        }
    }
}

/// The same provider played by a script: nothing of the real one is asked.
fn rehearsed(provider: Provider) -> Provider {
    let key = |key: &ProviderKey| {
        let at = SecretRef::Env(rehearsed_key(&provider.id, &key.name).into());
        ProviderKey { name: key.name.clone(), at: Some(at) }
    };
    let keys = provider.keys.iter().map(key).collect();
    Provider { endpoint: Endpoint::Memory(provider.id.shared()), keys, ..provider }
}

/// One provider as written.
struct One<'w> {
    name: &'w str,
    at: Span,
    spec: &'w spec::Provider,
}

impl One<'_> {
    fn compile(&self, may_mock: bool, limits: &Limits, found: &mut Findings<'_>) -> Option<Provider> {
        let preset = self.preset(found);
        let mock = self.mock(may_mock, found);
        let keys = keys::compile(self.name, self.spec, found);
        if let Some(keys) = &keys {
            keys::check_limits(self.name, keys, limits, found);
        }
        let breaker = breaker::breaker(self.spec.breaker.as_ref(), found);
        let forward = self.forward(found);
        // All faults of the fields are told before the first `?` leaves.
        let preset = preset?;
        let endpoint = self.endpoint(preset, found);
        let dialect = self.dialect(preset, found);
        let apis = dialect.and_then(|dialect| self.apis(dialect, found));
        let version = dialect.and_then(|dialect| self.version(preset, dialect, found));
        let is_keyless = self.spec.key.is_none() && self.spec.keys.is_none() && self.spec.mock.is_none();
        if let Some(preset) = preset.filter(|_| is_keyless) {
            found
                .warning(
                    Code::NoKey,
                    self.at,
                    format!(
                        "provider {} has no key: {} will refuse its calls",
                        quoted(self.name),
                        preset.name
                    ),
                )
                .hint("write `key: { fromEnv: NAME }` or `key: { fromFile: /PATH }`");
        }
        let (endpoint, dialect, version) = (endpoint?, dialect?, version?);
        let id = ProviderId::from(self.name);
        Some(Provider {
            limits: limit::rules(&Owner::Provider(id.clone()), limits),
            counts_amounts: limits.values().any(Limit::counts_amounts),
            bounds_amounts: limits.values().any(Limit::bounds_amounts),
            bounds_money: limits.values().any(Limit::bounds_money),
            id,
            header: super::header(self.name),
            dialect,
            convention: preset.map_or(self.name, |preset| preset.convention).into(),
            endpoint,
            mock: mock?.map(Arc::new),
            auth: preset.map_or_else(|| AuthHeader::usual(dialect), |preset| preset.auth),
            version: version.header,
            dated: version.dated,
            keys: keys?,
            breaker,
            retry_budget: breaker::retry_budget(self.spec.retry_budget.as_ref()),
            apis: apis?
                .or_else(|| preset.map(|preset| preset.apis))
                .unwrap_or_else(|| presets::apis(dialect)),
            stream_usage: self.stream_usage(preset, dialect)?,
            max_tokens_field: preset.map(|preset| preset.max_tokens_field).unwrap_or_default(),
            wants_reasoning: preset.is_some_and(|preset| preset.wants_reasoning),
            propagate_trace: self.spec.propagate_trace.as_ref().and_then(|at| at.value).unwrap_or(false),
            forward: forward?,
        })
    }

    /// The outer option is missing where it cannot be told what the provider is.
    fn preset(&self, found: &mut Findings<'_>) -> Option<Option<&'static Preset>> {
        let (name, at) = match &self.spec.preset {
            Some(written) => (written.value.as_deref()?, written.span),
            None => (self.name, self.at),
        };
        let preset = presets::preset(name);
        if preset.is_none() && self.spec.preset.is_some() {
            let names = PRESETS.iter().map(|preset| preset.name);
            let hint = did_you_mean(name, names.clone())
                .unwrap_or_else(|| format!("one of {}", names.collect::<Vec<_>>().join(", ")));
            found
                .error(at, format!("there is no preset {}", quoted(name)))
                .code(Code::UnknownName)
                .hint(hint);
            return None;
        }
        Some(preset)
    }

    fn dialect(&self, preset: Option<&Preset>, found: &mut Findings<'_>) -> Option<Dialect> {
        match (&self.spec.dialect, preset) {
            (Some(written), _) => written.value.map(|dialect| match dialect {
                spec::Dialect::Openai => Dialect::OpenAi,
                spec::Dialect::Anthropic => Dialect::Anthropic,
                spec::Dialect::Gemini => Dialect::Gemini,
            }),
            (None, Some(preset)) => Some(preset.dialect),
            (None, None) if self.spec.mock.is_some() => Some(Dialect::OpenAi),
            (None, None) => {
                let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
                found
                    .error(
                        self.at,
                        format!("provider {} has no `dialect`, and its name is no preset", quoted(self.name)),
                    )
                    .code(Code::MissingField)
                    .hint(format!(
                        "write `dialect: openai`, anthropic or gemini, or `preset:` with one of {}",
                        names.join(", ")
                    ));
                None
            }
        }
    }

    fn endpoint(&self, preset: Option<&Preset>, found: &mut Findings<'_>) -> Option<Endpoint> {
        if self.spec.mock.is_some() {
            return Some(Endpoint::Memory(self.name.into()));
        }
        if let Some(written) = &self.spec.base_url {
            let endpoint = Endpoint::parse(written.value.as_deref()?);
            return endpoint
                .map_err(|error| {
                    found
                        .error(written.span, format!("this base URL {error}"))
                        .hint("such as https://api.example.com/v1");
                })
                .ok();
        }
        let Some(url) = preset.and_then(|preset| preset.base_url) else {
            found
                .error(self.at, format!("provider {} has no `baseUrl`", quoted(self.name)))
                .code(Code::MissingField)
                .hint("its address up to and including the version: `baseUrl: https://api.example.com/v1`");
            return None;
        };
        Endpoint::parse(url).ok()
    }

    fn apis(&self, dialect: Dialect, found: &mut Findings<'_>) -> Option<Option<ApiSet>> {
        let Some(written) = &self.spec.apis else {
            return Some(None);
        };
        let apis = written.value.as_ref()?;
        if apis.is_empty() {
            found
                .error(written.span, "a provider without operations serves nothing")
                .hint("write `apis: [chat]`, or leave it out for all");
            return None;
        }
        let mut offered = ApiSet::NONE;
        for written in apis {
            let named = written.value?;
            match api_of(named, dialect) {
                Some(api) => offered = offered.with(api),
                None => {
                    let theirs: Vec<_> =
                        Api::ALL.into_iter().filter(|api| api.dialect() == dialect).map(Api::name).collect();
                    found
                        .error(
                            written.span,
                            format!("a provider of the dialect {dialect} has no such operation"),
                        )
                        .hint(format!(
                            "one of {}; calls in other dialects are translated by themselves",
                            theirs.join(", ")
                        ));
                }
            }
        }
        Some(Some(offered))
    }

    /// The version of its API, for those that have several.
    fn version(
        &self,
        preset: Option<&Preset>,
        dialect: Dialect,
        found: &mut Findings<'_>,
    ) -> Option<Version> {
        let usual = HeaderValue::from_static(ANTHROPIC_VERSION);
        let usual = (dialect == Dialect::Anthropic).then_some(usual);
        let Some(written) = &self.spec.api_version else {
            return Some(Version { header: usual, dated: None });
        };
        let text = written.value.as_deref()?;
        let is_date = text.len() >= 10 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_date {
            found
                .error(written.span, "this is no version of an API")
                .hint("a date: `apiVersion: \"2023-06-01\"`");
            return None;
        }
        match dialect {
            Dialect::Anthropic => Some(Version { header: HeaderValue::from_str(text).ok(), dated: None }),
            Dialect::OpenAi if preset.is_some_and(|preset| preset.name == "azure") => {
                Some(Version { header: None, dated: Some(text.into()) })
            }
            Dialect::OpenAi | Dialect::Gemini => {
                found
                    .error(written.span, "this provider has no `apiVersion`")
                    .hint("those of the dialect anthropic have one, and those with `preset: azure`; else it is in `baseUrl`");
                None
            }
        }
    }

    fn stream_usage(&self, preset: Option<&Preset>, dialect: Dialect) -> Option<StreamUsage> {
        let usual = match dialect {
            Dialect::OpenAi => StreamUsage::Ask,
            Dialect::Anthropic | Dialect::Gemini => StreamUsage::Always,
        };
        match &self.spec.stream_usage {
            None => Some(preset.map_or(usual, |preset| preset.stream_usage)),
            Some(written) => written.value.map(|usage| match usage {
                spec::StreamUsage::Ask => StreamUsage::Ask,
                spec::StreamUsage::Always => StreamUsage::Always,
                spec::StreamUsage::Never => StreamUsage::Never,
            }),
        }
    }

    fn forward(&self, found: &mut Findings<'_>) -> Option<Vec<Box<str>>> {
        let Some(written) = &self.spec.forward else {
            return Some(Vec::new());
        };
        let mut fields = Vec::new();
        for field in written.value.as_ref()? {
            // The field is the whole `prompt`; what matters in it is which stored prompt it names.
            let name = match field.value.as_deref()? {
                "prompt.id" => "prompt",
                name => name,
            };
            if !guarded_fields().any(|guarded| guarded == name) {
                let hint = did_you_mean(name, guarded_fields())
                    .unwrap_or_else(|| format!("one of {}", guarded_fields().collect::<Vec<_>>().join(", ")));
                found
                    .error(field.span, format!("{} is no field that would be refused", quoted(name)))
                    .hint(hint);
            }
            fields.push(Box::from(name));
        }
        fields.sort();
        fields.dedup();
        Some(fields)
    }

    /// The outer option is missing where the script is faulty.
    fn mock(&self, may_mock: bool, found: &mut Findings<'_>) -> Option<Option<Script>> {
        let Some(written) = &self.spec.mock else {
            return Some(None);
        };
        if !may_mock {
            found
                .error(
                    written.span,
                    "a scripted provider serves only where the policy says `allowMock: true`",
                )
                .hint("write `allowMock: true` at the top, or give the provider a `key` and no `mock`");
        }
        if let Some(written) = &self.spec.base_url {
            found
                .error(
                    written.span,
                    "`baseUrl` makes no sense beside `mock`, which stands in place of an address",
                )
                .hint("remove one of them");
        }
        mock::script(written.value.as_ref()?, found).map(Some)
    }
}

/// What `apiVersion` means.
struct Version {
    /// At Anthropic.
    header: Option<HeaderValue>,
    /// At Azure.
    dated: Option<Box<str>>,
}

/// The operation of that name in a dialect.
fn api_of(api: spec::OfferedApi, dialect: Dialect) -> Option<Api> {
    let api = match api {
        spec::OfferedApi::Chat => Api::Chat,
        spec::OfferedApi::Completions => Api::Completions,
        spec::OfferedApi::Embeddings => Api::Embeddings,
        spec::OfferedApi::Responses => Api::Responses,
        spec::OfferedApi::Messages => Api::Messages,
        spec::OfferedApi::CountTokens if dialect == Dialect::Gemini => Api::CountContentTokens,
        spec::OfferedApi::CountTokens => Api::CountTokens,
        spec::OfferedApi::GenerateContent => Api::Generate,
        spec::OfferedApi::EmbedContent => Api::EmbedContent,
        spec::OfferedApi::BatchEmbedContents => Api::BatchEmbedContents,
    };
    (api.dialect() == dialect).then_some(api)
}
