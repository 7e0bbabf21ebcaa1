//! The names of the OpenTelemetry semantic conventions that spans and metrics use.
//!
//! HTTP names are those of the stable conventions (v1.44.0). The GenAI conventions are still in development: they live
//! in `open-telemetry/semantic-conventions-genai` since they left the main repository after v1.41.0, and have renamed
//! some of what dashboards and backends read today. [`Edition`] says which names are written.

/// Which names of the GenAI conventions are written where they have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edition {
    /// The newest ones, and those of v1.41.0 beside them.
    #[default]
    Both,
    /// The newest ones only.
    Latest,
    /// Those of v1.41.0 only.
    V1_41,
}

impl Edition {
    /// Whether names are written that are new since v1.41.0.
    pub fn has_latest(self) -> bool {
        self != Self::V1_41
    }

    /// Whether names are written that v1.41.0 had and the newest edition has not.
    pub fn has_v1_41(self) -> bool {
        self != Self::Latest
    }
}

/// Names of HTTP's and of general conventions, stable.
pub mod web {
    /// The request's method.
    pub const METHOD: &str = "http.request.method";
    /// Which time a request is sent again, from 1 on.
    pub const RESEND_COUNT: &str = "http.request.resend_count";
    /// The answer's status.
    pub const STATUS: &str = "http.response.status_code";
    /// The pattern of the path.
    pub const ROUTE: &str = "http.route";
    /// The path, without the query.
    pub const PATH: &str = "url.path";
    /// `http` or `https`.
    pub const SCHEME: &str = "url.scheme";
    /// The caller's address.
    pub const CLIENT_ADDRESS: &str = "client.address";
    /// The version of HTTP.
    pub const PROTOCOL_VERSION: &str = "network.protocol.version";
    /// What the caller calls itself.
    pub const USER_AGENT: &str = "user_agent.original";
    /// The provider's host.
    pub const SERVER_ADDRESS: &str = "server.address";
    /// The provider's port.
    pub const SERVER_PORT: &str = "server.port";
    /// What kind of error ended an operation.
    pub const ERROR_TYPE: &str = "error.type";
}

/// Names of the GenAI conventions, in development.
pub mod gen_ai {
    /// What is asked of the model: `chat`, `text_completion`, `embeddings`.
    pub const OPERATION: &str = "gen_ai.operation.name";
    /// Who is asked.
    pub const PROVIDER: &str = "gen_ai.provider.name";
    /// The same up to v1.36.
    pub const SYSTEM: &str = "gen_ai.system";
    /// The model as the provider is asked for it.
    pub const REQUEST_MODEL: &str = "gen_ai.request.model";
    /// Whether a stream is asked for; only where it is.
    pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
    /// The longest answer wanted, in tokens.
    pub const MAX_TOKENS: &str = "gen_ai.request.max_tokens";
    /// Sampling.
    pub const TEMPERATURE: &str = "gen_ai.request.temperature";
    /// Sampling.
    pub const TOP_P: &str = "gen_ai.request.top_p";
    /// Sampling.
    pub const FREQUENCY_PENALTY: &str = "gen_ai.request.frequency_penalty";
    /// Sampling.
    pub const PRESENCE_PENALTY: &str = "gen_ai.request.presence_penalty";
    /// Sampling.
    pub const SEED: &str = "gen_ai.request.seed";
    /// How many answers are wanted, where not one.
    pub const CHOICE_COUNT: &str = "gen_ai.request.choice.count";
    /// How much the model is to reason.
    pub const REASONING_LEVEL: &str = "gen_ai.request.reasoning.level";
    /// The form of the answer that is asked for.
    pub const OUTPUT_TYPE: &str = "gen_ai.output.type";
    /// The provider's id of the answer.
    pub const RESPONSE_ID: &str = "gen_ai.response.id";
    /// The model that the answer names.
    pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
    /// Why each choice ended.
    pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
    /// Seconds to the first event of a stream.
    pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
    /// All input, cached included.
    pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
    /// All output, reasoning included.
    pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
    /// Of the input, what was read from the provider's cache.
    pub const CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
    /// Of the input, what was written to the provider's cache.
    pub const CACHE_WRITE: &str = "gen_ai.usage.cache_write.input_tokens";
    /// The same up to v1.41.
    pub const CACHE_CREATION: &str = "gen_ai.usage.cache_creation.input_tokens";
    /// Of the output, what was reasoning.
    pub const REASONING: &str = "gen_ai.usage.reasoning.output_tokens";
    /// Which of OpenAI's operations it is: `chat_completions` or `responses`.
    pub const OPENAI_API: &str = "openai.api.type";
    /// OpenAI's tier that served the call.
    pub const OPENAI_SERVICE_TIER: &str = "openai.response.service_tier";
    /// OpenAI's name for the configuration that served the call.
    pub const OPENAI_FINGERPRINT: &str = "openai.response.system_fingerprint";
}

/// Names of ours, where no convention has one.
pub mod egret {
    /// Our id of the call, as `x-request-id` carries it.
    pub const REQUEST_ID: &str = "egret.request.id";
    /// Who pays.
    pub const TENANT: &str = "egret.tenant";
    /// The user behind the call.
    pub const USER: &str = "egret.user";
    /// The application behind the call.
    pub const APP: &str = "egret.app";
    /// The name of the caller's key.
    pub const KEY: &str = "egret.key";
    /// The name asked for, where the policy knows it.
    pub const ROUTE: &str = "egret.route";
    /// The provider's key in the policy.
    pub const PROVIDER: &str = "egret.provider";
    /// The model's key in the policy.
    pub const MODEL: &str = "egret.model";
    /// How a call or an attempt ended.
    pub const OUTCOME: &str = "egret.outcome";
    /// Why we refused; also the event that says so.
    pub const REFUSAL: &str = "egret.refusal";
    /// The revision of the policy that decided.
    pub const REVISION: &str = "egret.policy.revision";
    /// How many targets were tried.
    pub const ATTEMPTS: &str = "egret.attempts";
    /// All input of the call, over its attempts.
    pub const INPUT_TOKENS: &str = "egret.usage.input_tokens";
    /// All output of the call, over its attempts.
    pub const OUTPUT_TOKENS: &str = "egret.usage.output_tokens";
    /// What the call cost, in US dollars.
    pub const COST: &str = "egret.cost.usd";
    /// The event of the answer's start: from here on nothing falls back.
    pub const COMMIT: &str = "egret.commit";
    /// The event of going on to another target.
    pub const FALLBACK: &str = "egret.fallback";
    /// The event of a target that is not tried.
    pub const PASSED_OVER: &str = "egret.passed_over";
    /// Why a call fell back, or passed a target over.
    pub const REASON: &str = "egret.reason";
    /// Where a call fell back from.
    pub const FROM_PROVIDER: &str = "egret.from.provider";
    /// Where a call fell back from.
    pub const FROM_MODEL: &str = "egret.from.model";
    /// Where a call fell back to.
    pub const TO_PROVIDER: &str = "egret.to.provider";
    /// Where a call fell back to.
    pub const TO_MODEL: &str = "egret.to.model";
}

/// An operation of ours by its name in the conventions.
pub fn operation(api: &str) -> &'static str {
    match api {
        "completions" => "text_completion",
        "embeddings" => "embeddings",
        "models" => "models",
        _ => "chat",
    }
}
