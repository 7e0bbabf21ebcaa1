//! `kind: PolicyTest` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::when::HEADER;
use super::{API_VERSION, Amount, At, Dollars, Entries, Mock, Moment, TimeSpan};
use crate::dialect::error::Cause;

/// One document of tests of a policy: who calls, what was used before, how the providers behave, and what is to come of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyTest {
    /// Always `egret.dev/v1alpha1`.
    #[schemars(required, extend("const" = API_VERSION))]
    pub api_version: Option<At<String>>,
    /// Always `PolicyTest`.
    #[schemars(required, extend("const" = "PolicyTest"))]
    pub kind: Option<At<String>>,
    /// The policy under test, a file or directory, seen from where this file is: `policy: ../saas`. Default: the documents
    /// of `kind: Policy` in this file, else those of its directory.
    pub policy: Option<At<String>>,
    /// Overlays of it, in order: `overlays: [prod.yaml]`. Default: none.
    pub overlays: Option<At<Vec<At<String>>>>,
    /// When each test begins, in RFC 3339: `at: "2026-03-02T09:00:00Z"`. Default: noon of 2026-01-01, UTC.
    pub at: Option<At<Moment>>,
    /// The tests, each by a sentence that says what holds: `a spent budget refuses: { call: .., expect: .. }`.
    #[schemars(required, extend("propertyNames" = true, "minProperties" = 1))]
    pub tests: Option<At<Entries<Test>>>,
}

/// One test: one call, or several in order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["call", "expect"] }, { "required": ["calls"] }]))]
pub struct Test {
    /// When it begins: `at: "2026-03-02T09:00:00Z"`. Default: as the document says.
    pub at: Option<At<Moment>>,
    /// Who calls: `as: { tenant: checkout, key: ci }`. Default: the tenant with `local: true`.
    #[serde(rename = "as")]
    pub caller: Option<At<Caller>>,
    /// What limits have counted before: `used: [{ tenant: checkout, limit: month, amount: "499.00" }]`. Default: nothing.
    pub used: Option<At<Vec<At<Used>>>>,
    /// How providers behave, as `mock` says it: `providers: { openai: { faults: [{ status: { code: 503 } }] } }`. Default:
    /// each answers well and at once, with 16 tokens.
    pub providers: Option<At<Entries<Mock>>>,
    /// The call: `call: { model: chat }`.
    pub call: Option<At<Call>>,
    /// What is to come of it: `expect: { status: 200 }`.
    pub expect: Option<At<Expect>>,
    /// In the place of `call` and `expect` several, one after the other.
    pub calls: Option<At<Vec<At<Step>>>>,
}

/// One call of several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// So long after the one before has ended: `after: 60s`. Default: at once.
    pub after: Option<At<TimeSpan>>,
    /// So often, up to 10000 times, each as soon as the one before has ended: `times: 20`. What is expected is expected of
    /// each. Default: once.
    pub times: Option<At<u32>>,
    /// How providers behave from here on, as in the test itself. Those that are not named go on as before.
    pub providers: Option<At<Entries<Mock>>>,
    /// Who calls. Default: as the test says.
    #[serde(rename = "as")]
    pub caller: Option<At<Caller>>,
    /// The call: `call: { model: chat }`.
    #[schemars(with = "Call")]
    pub call: Option<At<Call>>,
    /// What is to come of it: `expect: { status: 200 }`. Default: nothing in particular.
    pub expect: Option<At<Expect>>,
}

/// Who calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Caller {
    /// A tenant, as its caller without a key: `tenant: checkout`; with `key` as the one with that key.
    pub tenant: Option<At<String>>,
    /// The `name` of one of the tenant's keys under `match`: `key: ci`. A user or application that stands beside it comes
    /// along.
    pub key: Option<At<String>>,
    /// A key that no tenant has: `unknownKey: true`. Default: false.
    pub unknown_key: Option<At<bool>>,
    /// From another host, without a key: `afar: true`. Default: false.
    pub afar: Option<At<bool>>,
}

/// What a limit has counted before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["tenant"] }, { "required": ["provider"] }]))]
pub struct Used {
    /// Whose limit it is: `tenant: checkout`. Either this or `provider`.
    pub tenant: Option<At<String>>,
    /// Whose limit it is: `provider: openai`. Either this or `tenant`.
    pub provider: Option<At<String>>,
    /// The limit's name: `limit: month`.
    pub limit: At<String>,
    /// How much it has counted in the running window: `amount: "499.00"` of money, `amount: 900000` of calls and tokens. Of
    /// `concurrent` it is how many calls are under way.
    pub amount: At<Amount>,
    /// Of a limit with `each` the user, app, key or model that used it: `of: pipeline`.
    pub of: Option<At<String>>,
}

/// One call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Call {
    /// The name asked for: `model: chat`.
    #[schemars(required)]
    pub model: Option<At<String>>,
    /// By which operation: `api: chat`, `responses`, `messages`, `generateContent`, `completions` or `embeddings`. Default: chat.
    pub api: Option<At<CallApi>>,
    /// How long the prompt is, in tokens as egret estimates them: `inputTokens: 500`. The least is about 30. Default: a
    /// prompt of a few words.
    pub input_tokens: Option<At<u32>>,
    /// The prompt itself, in the place of `inputTokens`: `input: "Summarize this."`.
    pub input: Option<At<String>>,
    /// The bound on output that the caller names: `maxTokens: 100`. Default: none.
    pub max_tokens: Option<At<u32>>,
    /// Whether it is a stream: `stream: true`. Default: false.
    pub stream: Option<At<bool>>,
    /// Headers that the caller sends: `headers: { x-egret-task: summarization }`. None that carries a credential: who calls
    /// is said by `as`.
    #[schemars(extend("propertyNames" = { "pattern": HEADER }))]
    pub headers: Option<At<Entries<String>>>,
    /// What it says under `metadata`: `metadata: { task: code }`.
    #[schemars(extend("propertyNames" = true))]
    pub metadata: Option<At<Entries<String>>>,
    /// Other members of the body, as JSON: `fields: '{ "temperature": 0.2 }'`.
    pub fields: Option<At<String>>,
}

/// The operation by which is asked.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CallApi {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/responses`
    Responses,
    /// Anthropic's `POST /v1/messages`
    Messages,
    /// Gemini's `:generateContent` and `:streamGenerateContent`
    GenerateContent,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
}

/// How calls end, in the words of the access log.
pub(in crate::policy) const OUTCOMES: [&str; 6] =
    ["answered", "refused", "upstream_error", "upstream_failed", "fixed_answer", "stream_interrupted"];

/// What is to come of a call. What is not said may be anything.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Expect {
    /// The status that the caller sees: `status: 429`.
    pub status: Option<At<u16>>,
    /// Why egret refused it, the code of the access log: `code: rate_limit_exceeded`.
    #[schemars(extend("enum" = Cause::ALL.map(Cause::code)))]
    pub code: Option<At<String>>,
    /// A part of the sentence that a refusal says: `message: "Limit `rpm`"`.
    pub message: Option<At<String>>,
    /// How it ended, the word of the access log: `outcome: answered`, `refused`, `upstream_error`, `upstream_failed`,
    /// `fixed_answer` or `stream_interrupted`.
    #[schemars(extend("enum" = OUTCOMES))]
    pub outcome: Option<At<String>>,
    /// The tenant for which it was taken: `tenant: checkout`.
    pub tenant: Option<At<String>>,
    /// That tenant's plan: `plan: pro`.
    pub plan: Option<At<String>>,
    /// The name asked for, as the policy knows it: `route: chat`.
    pub route: Option<At<String>>,
    /// The name by way of which it went instead: `downgradedTo: cheap`.
    pub downgraded_to: Option<At<String>>,
    /// The model that answered: `target: gpt-4.1`.
    pub target: Option<At<String>>,
    /// The models that were tried, in order: `tried: [gpt-4.1, claude-sonnet-5.5]`; `[]` for none.
    pub tried: Option<At<Vec<At<String>>>>,
    /// How each of these tries ended, the words of the access log: `outcomes: [error_status, answered]`.
    pub outcomes: Option<At<Vec<At<String>>>>,
    /// Models that were passed over, and why: `passedOver: { deepseek-v3.2: when }`. Others may have been, too.
    pub passed_over: Option<At<Entries<String>>>,
    /// What its first try held: `reserved: { tokens: 4596 }`.
    pub reserved: Option<At<Amounts>>,
    /// What it was charged, all tries together: `charged: { usd: "0.0012" }`.
    pub charged: Option<At<Amounts>>,
    /// What it cost by the price of the model that answered: `cost: "0.0012"`.
    pub cost: Option<At<Dollars>>,
    /// What is left of the caller's limits when it has ended: `left: { rpm: 19, month: "0.50" }`.
    pub left: Option<At<Entries<Amount>>>,
    /// Headers of the answer: `headers: { x-egret-model: gpt-4.1 }`.
    #[schemars(extend("propertyNames" = { "pattern": HEADER }))]
    pub headers: Option<At<Entries<String>>>,
    /// What the answer says: `says: "The assistant is busy."`.
    pub says: Option<At<String>>,
    /// After how long the caller is told to try again: `retryAfter: 20s`.
    pub retry_after: Option<At<TimeSpan>>,
    /// The bound on output that was written into the call: `clampedTo: 4096`.
    pub clamped_to: Option<At<u64>>,
    /// What was left out of the call for whoever answered, in the caller's words; `[]` for nothing: `lost: [seed]`.
    pub lost: Option<At<Vec<At<String>>>>,
    /// Limits in `mode: shadow` that would have refused it; `[]` for none: `wouldRefuse: [tpm]`. A provider's is written
    /// `openai/tpm`.
    pub would_refuse: Option<At<Vec<At<String>>>>,
    /// How long it took at most: `within: 10s`. Time is virtual: only what is waited for counts.
    pub within: Option<At<TimeSpan>>,
}

/// So much of what limits count.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Amounts {
    /// Input and output together: `tokens: 616`.
    pub tokens: Option<At<u64>>,
    /// Input: `inputTokens: 500`.
    pub input_tokens: Option<At<u64>>,
    /// Output: `outputTokens: 116`.
    pub output_tokens: Option<At<u64>>,
    /// Money: `usd: "0.0012"`.
    pub usd: Option<At<Dollars>>,
}
