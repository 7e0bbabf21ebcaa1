//! A call about which somebody asks what would become of it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::{Map, Value};

use super::ask;
use crate::auth::api_key::KeyDigest;
use crate::clock::Timestamp;
use crate::dialect::{Api, Dialect};
use crate::ids::{ProviderId, TenantId};
use crate::limits::{Rule, Unit};
use crate::policy::Snapshot;
use crate::policy::diagnostic::did_you_mean;
use crate::policy::snapshot::Principal;
use crate::policy::suite::{Call, Caller, Prompt, Used};
use crate::relay;
use crate::units::NanoUsd;

/// Who would ask for what, when, and how things stand then. Its JSON is what `egret explain --request` reads and
/// `/explain` takes.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inquiry {
    /// The tenant that calls. Default: the one of callers without a key.
    pub tenant: Option<String>,
    /// The name of the tenant's key with which it calls.
    pub key_name: Option<String>,
    /// The API key with which it calls, in the place of `tenant`.
    pub key: Option<String>,
    /// The name asked for. Default: what `body` says.
    pub model: Option<String>,
    /// By which operation. Default: chat.
    pub api: Option<String>,
    /// How long the prompt is, in tokens as egret estimates them.
    pub input_tokens: Option<u32>,
    /// The prompt itself.
    pub input: Option<String>,
    /// The bound on output that the caller names.
    pub max_tokens: Option<u32>,
    /// Whether it is a stream.
    #[serde(default)]
    pub stream: bool,
    /// Headers that the caller sends.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What it says under `metadata`.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// The whole body of the call, in the place of all that makes one.
    pub body: Option<Map<String, Value>>,
    /// When it comes. Default: now.
    pub at: Option<String>,
    /// What limits have counted before, beside what a running egret has counted.
    #[serde(default)]
    pub usage: Vec<Counted>,
    /// Providers that are down.
    #[serde(default)]
    pub down: Vec<String>,
}

/// What a limit has counted.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counted {
    /// Whose limit it is.
    pub tenant: Option<String>,
    /// Or the provider's.
    pub provider: Option<String>,
    /// Its name.
    pub limit: String,
    /// How much: a whole number, or US dollars in quotes.
    pub amount: Value,
    /// Whose count it is, of a limit with `each`.
    pub of: Option<String>,
}

/// The longest prompt that is made up, in tokens: a body of it is as long as one may be.
const TOKENS: u32 = 10_000_000;
/// So much is named at most: headers, counts, providers.
const NAMED: usize = 100;
/// So many calls can be under way.
const PLACES: u64 = 10_000;

/// An inquiry under a policy.
pub struct Question {
    /// The tenant that calls, as far as it is known before anybody looks at the call.
    pub tenant: Option<TenantId>,
    /// The request.
    pub request: Request<Full<Bytes>>,
    /// Who sends it.
    pub from: relay::Caller,
    /// When it comes; none: now.
    pub at: Option<Timestamp>,
    /// What limits have counted before.
    pub used: Vec<Used>,
    /// Providers that are down.
    pub down: Vec<ProviderId>,
}

impl Inquiry {
    /// Reads its JSON.
    ///
    /// # Errors
    /// A sentence: what is wrong with it.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        // What it holds is not repeated: it may be a key.
        serde_json::from_slice(json).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let why = match error.classify() {
                Category::Data => "an unknown field, or a value of another type",
                Category::Syntax | Category::Eof | Category::Io => "no JSON",
            };
            format!("the request is no inquiry: {why} at line {line} column {column}; `egret explain --help` names the fields")
        })
    }

    /// What it asks under a policy.
    ///
    /// # Errors
    /// A sentence: what it names is not there, or it says two things at once.
    pub fn under(&self, policy: &Snapshot) -> Result<Question, String> {
        if [self.headers.len(), self.metadata.len(), self.usage.len(), self.down.len()]
            .iter()
            .any(|n| *n > NAMED)
        {
            return Err(format!(
                "at most {NAMED} headers, members of `metadata`, counts and providers are named"
            ));
        }
        let api = self.api.as_deref().map_or(Ok(Api::Chat), operation)?;
        let caller = self.caller(policy)?;
        let used = self.usage.iter().map(|counted| counted.used(policy)).collect::<Result<_, _>>()?;
        let down = self.down.iter().map(|name| provider(name, policy)).collect::<Result<_, _>>()?;
        let at = self.at.as_deref().map(moment).transpose()?;
        let call = self.call(api)?;
        let (mut request, mut from) = ask::request(&call, &caller);
        if let Some(body) = &self.body {
            *request.body_mut() = Full::new(whole(body, &call)?);
        }
        let tenant = match (&caller, &self.key) {
            (_, Some(key)) => policy.keys.get(&KeyDigest::of(key)),
            (Caller::Known(principal), None) => Some(principal),
            (Caller::Local | Caller::UnknownKey | Caller::Afar, None) => policy.local.as_ref(),
        };
        let tenant = tenant.map(|principal| principal.tenant.id.clone());
        if let Some(key) = &self.key {
            let Ok(mut bearer) = HeaderValue::try_from(format!("Bearer {key}")) else {
                return Err("`key` cannot be sent in a header".to_owned());
            };
            bearer.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, bearer);
            from = relay::Caller::At(Ipv4Addr::LOCALHOST.into());
        }
        Ok(Question { tenant, request, from, at, used, down })
    }

    fn call(&self, api: Api) -> Result<Call, String> {
        let makes_one = self.input.is_some()
            || self.input_tokens.is_some()
            || self.max_tokens.is_some()
            || !self.metadata.is_empty();
        if self.body.is_some() && makes_one {
            return Err(
                "`body` is the whole call: leave `input`, `inputTokens`, `maxTokens` and `metadata` out"
                    .to_owned(),
            );
        }
        let in_body = self.body.as_ref().and_then(|body| body.get("model")).and_then(Value::as_str);
        let model = match (self.model.as_deref(), in_body) {
            (Some(name), Some(other)) if name != other => {
                return Err(format!("`model` is `{name}`, and `body` asks for `{other}`"));
            }
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => return Err("say what the call asks for: `model`".to_owned()),
        };
        let prompt = match (&self.input, self.input_tokens) {
            (Some(_), Some(_)) => {
                return Err("`input` says what the prompt is: leave `inputTokens` out".to_owned());
            }
            (Some(text), None) => Prompt::Text(text.as_str().into()),
            (None, Some(tokens)) if tokens > TOKENS => {
                return Err(format!("`inputTokens` is at most {TOKENS}"));
            }
            (None, Some(tokens)) => Prompt::Tokens(tokens),
            (None, None) => Prompt::Text("Say hello.".into()),
        };
        let pairs = self.metadata.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let streams = self.body.as_ref().and_then(|body| body.get("stream")).and_then(Value::as_bool);
        if self.stream && streams == Some(false) {
            return Err("`stream` is true, and `body` says that it is not".to_owned());
        }
        Ok(Call {
            model: model.into(),
            api,
            prompt,
            max_tokens: self.max_tokens,
            stream: self.stream || streams == Some(true),
            headers: self.headers.iter().map(header).collect::<Result<_, _>>()?,
            metadata: pairs.collect(),
            fields: Map::new(),
        })
    }

    fn caller(&self, policy: &Snapshot) -> Result<Caller, String> {
        match (&self.tenant, &self.key_name, &self.key) {
            (None, None, _) => Ok(Caller::Local),
            (Some(_), _, Some(_)) | (None, Some(_), Some(_)) => {
                Err("who calls is said by `key`, or by `tenant` and `keyName`".to_owned())
            }
            (None, Some(_), None) => Err("whose key is it? Say `tenant` too".to_owned()),
            (Some(tenant), None, None) => {
                let unkeyed = policy.unkeyed.get(tenant.as_str());
                let unkeyed = unkeyed
                    .ok_or_else(|| missing("tenant", tenant, policy.tenants.keys().map(|id| id.as_str())))?;
                Ok(Caller::Known(Arc::clone(unkeyed)))
            }
            (Some(tenant), Some(name), None) => keyed(tenant, name, policy).map(Caller::Known),
        }
    }
}

/// The caller with one of a tenant's keys.
fn keyed(tenant: &str, name: &str, policy: &Snapshot) -> Result<Arc<Principal>, String> {
    if !policy.tenants.contains_key(tenant) {
        return Err(missing("tenant", tenant, policy.tenants.keys().map(|id| id.as_str())));
    }
    let of_tenant = policy.keys.values().filter(|principal| principal.tenant.id.as_str() == tenant);
    let names = || of_tenant.clone().filter_map(|principal| Some(principal.key.as_ref()?.as_str()));
    let named = |principal: &&Arc<Principal>| principal.key.as_ref().is_some_and(|key| key.as_str() == name);
    of_tenant.clone().find(named).cloned().ok_or_else(|| missing("key of this tenant", name, names()))
}

/// A whole body, with the name and the wish for a stream that were said beside it, where its dialect has them there.
fn whole(body: &Map<String, Value>, call: &Call) -> Result<Bytes, String> {
    let mut body = body.clone();
    if call.api.dialect() != Dialect::Gemini {
        body.entry("model").or_insert_with(|| Value::from(&*call.model));
        if call.stream {
            body.entry("stream").or_insert(Value::Bool(true));
        }
    }
    serde_json::to_vec(&body).map(Bytes::from).map_err(|error| error.to_string())
}

fn operation(name: &str) -> Result<Api, String> {
    match name {
        "chat" => Ok(Api::Chat),
        "responses" => Ok(Api::Responses),
        "messages" => Ok(Api::Messages),
        "generateContent" => Ok(Api::Generate),
        "completions" => Ok(Api::Completions),
        "embeddings" => Ok(Api::Embeddings),
        other => Err(format!(
            "`{other}` is no operation; there are chat, responses, messages, generateContent, completions and embeddings"
        )),
    }
}

fn header((name, value): (&String, &String)) -> Result<(HeaderName, HeaderValue), String> {
    let name = name.parse::<HeaderName>().map_err(|_| format!("`{name}` is no name of a header"))?;
    let value = value.parse().map_err(|_| format!("header `{name}` cannot have this value"))?;
    Ok((name, value))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("`{text}` is no moment; write 2026-03-02T09:00:00Z"))
}

fn provider(name: &str, policy: &Snapshot) -> Result<ProviderId, String> {
    let known = policy.providers.get_key_value(name).map(|(id, _)| id.clone());
    known.ok_or_else(|| missing("provider", name, policy.providers.keys().map(|id| id.as_str())))
}

fn missing<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let hint = did_you_mean(name, known).map_or_else(String::new, |hint| format!("; {hint}"));
    format!("the policy has no {what} `{name}`{hint}")
}

impl Counted {
    fn used(&self, policy: &Snapshot) -> Result<Used, String> {
        let Self { tenant, provider, limit, amount, of } = self;
        let (whose, rules) = match (tenant, provider) {
            (Some(name), None) => {
                let tenant = policy.tenants.get(name.as_str());
                let known = || policy.tenants.keys().map(|id| id.as_str());
                (name, &tenant.ok_or_else(|| missing("tenant", name, known()))?.limits)
            }
            (None, Some(name)) => {
                let provider = policy.providers.get(name.as_str());
                let known = || policy.providers.keys().map(|id| id.as_str());
                (name, &provider.ok_or_else(|| missing("provider", name, known()))?.limits)
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(format!("whose is limit `{limit}`? Say `tenant` or `provider`"));
            }
        };
        let rule = rules.iter().find(|rule| rule.key.as_str() == limit);
        let known = || rules.iter().map(|rule| rule.key.as_str());
        let rule = rule.ok_or_else(|| missing(&format!("limit of `{whose}`"), limit, known()))?;
        match (rule.each, of) {
            (Some(each), None) => {
                Err(format!("limit `{limit}` of `{whose}` counts each {} apart: say of whom", each.as_str()))
            }
            (None, Some(_)) => Err(format!("limit `{limit}` of `{whose}` has one count for all")),
            (Some(_), Some(_)) | (None, None) => {
                let amount = self::amount(rule, amount).ok_or_else(|| wrong(rule, amount))?;
                if rule.quota.unit() == Unit::Concurrent && amount > PLACES {
                    return Err(format!("at most {PLACES} calls can be under way"));
                }
                Ok(Used { rule: [rule.clone()].into(), amount, of: of.as_deref().map(Into::into) })
            }
        }
    }
}

/// An amount in a limit's unit: a number, or what a flag has as text.
fn amount(rule: &Rule, amount: &Value) -> Option<u64> {
    match (rule.quota.unit(), amount) {
        (Unit::Usd, Value::String(text)) => Some(text.parse::<NanoUsd>().ok()?.0),
        (Unit::Usd, _) => None,
        (_, Value::String(text)) => text.parse().ok(),
        (_, amount) => amount.as_u64(),
    }
}

fn wrong(rule: &Rule, amount: &Value) -> String {
    let unit = rule.quota.unit();
    let hint = match unit {
        Unit::Usd => "write US dollars as text: \"499.00\"",
        Unit::Requests | Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Concurrent => {
            "write a whole number"
        }
    };
    format!("limit `{}` counts {}, and {amount} is no amount of that; {hint}", rule.key, unit.as_str())
}
