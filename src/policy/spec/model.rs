//! `models:` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Date, Decimal, Estimate, ReserveOutput, TryTimeouts};

/// A model at a provider: `gpt-4.1: { provider: openai, contextTokens: 1047576, maxOutputTokens: 32768 }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    /// Who serves it, by a name under `providers`: `provider: openai`.
    pub provider: At<String>,
    /// The provider's name for it: `name: gpt-4.1-2026-04-14`. Default: the model's name here.
    pub name: Option<At<String>>,
    /// The size of its window: `contextTokens: 128000`. Default: unknown.
    pub context_tokens: Option<At<u64>>,
    /// The longest answer it gives: `maxOutputTokens: 32768`. Default: unknown; under limits of tokens or money a
    /// `reserveOutput` is needed then.
    pub max_output_tokens: Option<At<u64>>,
    /// What it is good at, shown to callers: `skills: [reasoning, code]`. Default: none.
    pub skills: Option<At<Vec<At<String>>>>,
    /// What it takes, where that is not as usual: `accepts: { maxTokensField: max_completion_tokens }`.
    pub accepts: Option<At<Accepts>>,
    /// What it costs, by the date from which that holds:
    /// `price: [{ inputPerMTok: "2.00", outputPerMTok: "8.00", effectiveFrom: "2026-01-01" }]`. Default: unknown.
    pub price: Option<At<Vec<At<Price>>>>,
    /// How long to wait for what in a try of it: `timeouts: { firstToken: 30s, answer: 500s }`. Of what route, model,
    /// provider and `defaults` say the first in this order holds, each field by itself. `total` is the whole call's: it
    /// stands at routes and in `defaults`.
    pub timeouts: Option<At<TryTimeouts>>,
    /// How much output limits of tokens and money hold for a call: `reserveOutput: bound`. Of what tenant, route, model
    /// and `defaults` say the first in this order holds.
    pub reserve_output: Option<At<ReserveOutput>>,
    /// How much input they hold for it: `estimate: upperBound`. The same order.
    pub estimate: Option<At<Estimate>>,
}

/// What a model takes, as far as models differ. But for `maxTokensField` it is asked of calls that are translated: one in
/// the provider's own dialect goes through as it came, and the provider judges it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Accepts {
    /// Whether it takes `temperature`, `top_p` and `top_k` other than 1: `sampling: false`. A call that says such a thing
    /// passes the model over. Default: true.
    pub sampling: Option<At<bool>>,
    /// Whether it can be made to call some tool, or a certain one: `forcedToolChoice: false`. Else a call that forces one
    /// passes it over. Default: true.
    pub forced_tool_choice: Option<At<bool>>,
    /// Whether a conversation may end with the model's own words, which it continues: `prefill: false`. Else such a call
    /// passes it over. Default: true.
    pub prefill: Option<At<bool>>,
    /// Whether it answers by a JSON Schema: `jsonSchema: false`. Else a call with one passes it over. Default: true.
    pub json_schema: Option<At<bool>>,
    /// Whether function calls have ids, and signatures at the first of each step: `callIds: true`, which Gemini 3 and
    /// later want. Earlier Gemini models refuse them. Default: false.
    pub call_ids: Option<At<bool>>,
    /// How it is told how much to think: `reasoning: effort` by a word, `budget` by a number of tokens (Claude before 4.6,
    /// Gemini 2.5), `nothing` not at all. Default: effort.
    pub reasoning: Option<At<ReasoningForm>>,
    /// The field of a chat call by which it bounds an answer: `maxTokensField: max_completion_tokens`, or `max_tokens`.
    /// There `reserveOutput: { cap: 4096 }` is written. Default: as the provider's preset says, else `max_tokens`, the
    /// only one that many compatible servers know.
    pub max_tokens_field: Option<At<MaxTokensField>>,
}

/// How a model is told how much to think.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReasoningForm {
    /// By a word: `reasoning_effort`, `output_config.effort`, `thinkingLevel`.
    Effort,
    /// By a number of tokens: `thinking.budget_tokens`, `thinkingBudget`.
    Budget,
    /// Not at all: what a caller says of it is lost, and said to be.
    Nothing,
}

/// The field of a chat call that bounds an answer.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// The newer one, which OpenAI's reasoning models want.
    MaxCompletionTokens,
    /// The older one.
    MaxTokens,
}

/// A price from a date on, in US dollars per million tokens. Quoted, so that no digit is lost. What a call costs
/// is rounded up once, to a billionth of a dollar.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input: `inputPerMTok: "2.00"`.
    #[serde(rename = "inputPerMTok")]
    pub input: At<Decimal>,
    /// Output: `outputPerMTok: "8.00"`.
    #[serde(rename = "outputPerMTok")]
    pub output: At<Decimal>,
    /// Input read from the provider's cache: `cacheReadPerMTok: "0.50"`. Default: as input.
    #[serde(rename = "cacheReadPerMTok")]
    pub cache_read: Option<At<Decimal>>,
    /// Input written to the provider's cache: `cacheWritePerMTok: "2.50"`. Default: as input.
    #[serde(rename = "cacheWritePerMTok")]
    pub cache_write: Option<At<Decimal>>,
    /// Reasoning: `reasoningPerMTok: "10.00"`. Default: as output.
    #[serde(rename = "reasoningPerMTok")]
    pub reasoning: Option<At<Decimal>>,
    /// Audio input: `audioInputPerMTok: "40.00"`. Default: as input.
    #[serde(rename = "audioInputPerMTok")]
    pub audio_input: Option<At<Decimal>>,
    /// Audio output: `audioOutputPerMTok: "80.00"`. Default: as output.
    #[serde(rename = "audioOutputPerMTok")]
    pub audio_output: Option<At<Decimal>>,
    /// The first day on which it holds, in UTC, quoted: `effectiveFrom: "2026-01-01"`. A call costs what held
    /// when it began. Default: always.
    #[serde(rename = "effectiveFrom")]
    pub effective_from: Option<At<Date>>,
}
