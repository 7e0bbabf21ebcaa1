//! `providers:` as written.

use serde::Deserialize;

use super::{At, Entries, Limit, Mock};

/// An endpoint that answers calls.
///
/// A provider whose name is a preset's needs no more than its key: `openai: { key: { fromEnv: OPENAI_API_KEY } }`.
/// Any other says `dialect` and `baseUrl`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// The known provider that this one is like: `preset: openai`. Gives address, dialect, key header and operations.
    /// One of openai, azure, deepseek, groq, mistral, openrouter. Default: the provider's own name, if it is one.
    pub preset: Option<At<String>>,
    /// The wire format it speaks: `dialect: openai`. Default: the preset's.
    pub dialect: Option<At<Dialect>>,
    /// Its address up to and including the version: `baseUrl: https://api.example.com/v1`. Default: the preset's.
    pub base_url: Option<At<String>>,
    /// Where its key is: `key: { fromEnv: OPENAI_API_KEY }` or `key: { fromFile: /var/run/secrets/openai }`. A key
    /// itself never stands in a policy. Default: calls go out without a key.
    pub key: Option<At<KeySource>>,
    /// The operations it offers: `apis: [chat, embeddings]`. Default: the preset's, else all.
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
    /// Whether it is told of the trace that a call belongs to, by the W3C headers `traceparent` and `tracestate`:
    /// `propagateTrace: true`, for a model server of your own that continues traces. Baggage is never sent. Default:
    /// false, since the ids of your traces are no business of others.
    pub propagate_trace: Option<At<bool>>,
    /// A scripted provider inside egret, in place of an address: `mock: { says: "Hello." }`. Needs `allowMock: true`.
    pub mock: Option<At<Mock>>,
}

/// Where a key is to be found.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeySource {
    /// In an environment variable, read when the policy is loaded: `{ fromEnv: OPENAI_API_KEY }`.
    FromEnv(String),
    /// In a file, read again when it changes: `{ fromFile: /var/run/secrets/openai }`.
    FromFile(String),
}

/// A wire format.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Dialect {
    /// OpenAI's API, and those shaped like it.
    Openai,
}

/// An operation that a provider may offer.
#[derive(Clone, Copy, Debug, Deserialize)]
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
}

/// How a provider is brought to report the tokens of a stream.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StreamUsage {
    /// Asked for; the event is taken out again where the caller did not ask for it.
    Ask,
    /// It reports them without being asked.
    Always,
    /// It never does, and asking may be refused.
    Never,
}
