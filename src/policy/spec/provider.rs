//! `providers:` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Entries, Limit, Mock, Percent, Ratio, TimeSpan, TryTimeouts};
use crate::dialect::provider::PRESETS;

/// An endpoint that answers calls.
///
/// A provider whose name is a preset's needs no more than its key: `openai: { key: { fromEnv: OPENAI_API_KEY } }`.
/// Any other says `dialect` and `baseUrl`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// The known provider that this one is like: `preset: openai`. Gives address, dialect, key header and operations.
    /// One of openai, azure, anthropic, gemini, deepseek, groq, mistral, openrouter, holysheep, vllm, ollama. Default:
    /// the provider's own name, if it is one.
    #[schemars(extend("enum" = presets()))]
    pub preset: Option<At<String>>,
    /// The wire format it speaks: `dialect: openai`. Default: the preset's.
    pub dialect: Option<At<Dialect>>,
    /// Its address up to and including the version: `baseUrl: https://api.example.com/v1`. Default: the preset's.
    pub base_url: Option<At<String>>,
    /// The version of its API: `apiVersion: "2023-06-01"`. At Anthropic the one in which translated calls are written;
    /// calls of Anthropic's own SDKs bring theirs. At Azure the dated API, whose paths name the deployment. Default:
    /// `2023-06-01` at Anthropic, the API without versions at Azure.
    pub api_version: Option<At<String>>,
    /// Where its key is: `key: { fromEnv: OPENAI_API_KEY }` or `key: { fromFile: /var/run/secrets/openai }`. A key
    /// itself never stands in a policy. Default: calls go out without a key.
    pub key: Option<At<KeySource>>,
    /// Several keys that take turns, in the place of `key`:
    /// `keys: [{ name: a, fromEnv: OPENAI_KEY_A }, { name: b, fromEnv: OPENAI_KEY_B }]`. One that is refused or asked to
    /// slow down is left alone for a while, and the next is tried. Default: the one `key`.
    pub keys: Option<At<KeyPool>>,
    /// The operations it offers, of its own dialect: `apis: [chat, embeddings]`. A call in another dialect is translated
    /// for it. Default: the preset's, else all of its dialect.
    pub apis: Option<At<Vec<At<OfferedApi>>>>,
    /// How it is brought to report the tokens of a stream: `streamUsage: always`. Default: the preset's, else `ask`.
    pub stream_usage: Option<At<StreamUsage>>,
    /// Fields of a request's body that may name another model, address or stored prompt, and are let through to this
    /// provider all the same: `forward: [models, provider]`. Default: none; such fields are refused.
    pub forward: Option<At<Vec<At<String>>>>,
    /// What all tenants together may ask of it, by name: `limits: { rpm: { requests: 1000, per: 1m } }`. Where one is
    /// reached, its models are passed over for the next target; where there is no other, the answer is a 503 that says
    /// when to try again. A limit of `usd` needs a `price` for each of its models. Default: none.
    pub limits: Option<At<Entries<Limit>>>,
    /// When a model there that keeps failing is left alone, and how it comes back:
    /// `breaker: { consecutiveFailures: 5, openFor: 60s }`. Each of its models has its own. Default: as its fields say.
    pub breaker: Option<At<Breaker>>,
    /// How often calls may be tried there beyond their first try, so that an outage is not made worse by tries:
    /// `retryBudget: { ratio: 0.2, minPerSecond: 3 }`, which is also the default.
    pub retry_budget: Option<At<RetryBudget>>,
    /// How long to wait for what in a try there: `timeouts: { firstToken: 20s, answer: 500s }`. Of what route, model,
    /// provider and `defaults` say the first in this order holds, each field by itself. `total` is the whole call's: it
    /// stands at routes and in `defaults`.
    pub timeouts: Option<At<TryTimeouts>>,
    /// Whether it is told of the trace that a call belongs to, by the W3C headers `traceparent` and `tracestate`:
    /// `propagateTrace: true`, for a model server of your own that continues traces. Baggage is never sent. Default:
    /// false, since the ids of your traces are no business of others.
    pub propagate_trace: Option<At<bool>>,
    /// A scripted provider inside egret, in place of an address: `mock: { says: "Hello." }`. Needs `allowMock: true`.
    pub mock: Option<At<Mock>>,
}

fn presets() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
}

/// Where a key is to be found.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum KeySource {
    /// In an environment variable, read when the policy is loaded: `{ fromEnv: OPENAI_API_KEY }`.
    FromEnv(String),
    /// In a file, read again when it changes: `{ fromFile: /var/run/secrets/openai }`.
    FromFile(String),
}

/// Several keys that take turns.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct KeyPool(pub Vec<At<KeyOfPool>>);

/// One key of several: `{ name: a, fromEnv: OPENAI_KEY_A }`. It comes from one place.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["fromEnv"] }, { "required": ["fromFile"] }]))]
pub struct KeyOfPool {
    /// Its name, for limits with `each: providerKey` and for logs: `name: a`. No two of a provider have the same.
    #[schemars(required)]
    pub name: Option<At<String>>,
    /// The environment variable that holds it, read when the policy is loaded: `fromEnv: OPENAI_KEY_A`.
    pub from_env: Option<At<String>>,
    /// The file that holds it, read again when it changes: `fromFile: /var/run/secrets/openai-a`.
    pub from_file: Option<At<String>>,
}

/// When what keeps failing is left alone, and how it comes back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Breaker {
    /// It opens after so many failures in a row: `consecutiveFailures: 5`. Default: 5; where `failureRatio` is said, not
    /// for that.
    pub consecutive_failures: Option<At<u32>>,
    /// It opens when so much of what was tried in the last `window` failed: `failureRatio: 50%`, from 0.1% to 100%.
    /// Default: not for that.
    pub failure_ratio: Option<At<Percent>>,
    /// Over the last so long, `1s` to `1h`: `window: 30s`, which is also the default. Only with `failureRatio`.
    pub window: Option<At<TimeSpan>>,
    /// And only if so many were tried: `minRequests: 20`, which is also the default. Only with `failureRatio`.
    pub min_requests: Option<At<u32>>,
    /// How long it stays open the first time, `100ms` to `1h`: `openFor: 60s`, which is also the default. Each time that
    /// it opens anew without having closed, it stays open longer.
    pub open_for: Option<At<TimeSpan>>,
    /// How many calls may probe at once when that time is over: `halfOpenProbes: 3`, which is also the default.
    pub half_open_probes: Option<At<u32>>,
    /// How many of them have to succeed before it closes: `successesToClose: 2`, which is also the default.
    pub successes_to_close: Option<At<u32>>,
}

/// What of a provider's calls may be tried there again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryBudget {
    /// Tries beyond the first, as a part of the calls, 0 to 10: `ratio: 0.2` is one for five calls. Default: 0.2.
    pub ratio: Option<At<Ratio>>,
    /// So many a second are allowed however few calls there are: `minPerSecond: 3`. Default: 3.
    pub min_per_second: Option<At<u32>>,
}

/// A wire format.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Dialect {
    /// OpenAI's API, and those shaped like it.
    Openai,
    /// Anthropic's Messages API.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
}

/// An operation that a provider may offer.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OfferedApi {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/responses`
    Responses,
    /// Anthropic's `POST /v1/messages`
    Messages,
    /// Anthropic's `POST /v1/messages/count_tokens`, or Gemini's `:countTokens`
    CountTokens,
    /// Gemini's `:generateContent` and `:streamGenerateContent`
    GenerateContent,
    /// Gemini's `:embedContent`
    EmbedContent,
    /// Gemini's `:batchEmbedContents`
    BatchEmbedContents,
}

/// How a provider is brought to report the tokens of a stream.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StreamUsage {
    /// Asked for; the event is taken out again where the caller did not ask for it.
    Ask,
    /// It reports them without being asked.
    Always,
    /// It never does, and asking may be refused.
    Never,
}
