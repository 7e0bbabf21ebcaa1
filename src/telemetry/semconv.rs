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
    /// The request's method; `_OTHER` where the convention does not know it.
    pub const METHOD: &str = "http.request.method";
    /// The method as it came, where the convention does not know it.
    pub const METHOD_ORIGINAL: &str = "http.request.method_original";
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
    /// Of what tokens are: `text`, `audio`.
    pub const TOKEN_MODALITY: &str = "gen_ai.token.modality";
    /// Whether tokens are `input` or `output`, up to v1.41.
    pub const TOKEN_TYPE: &str = "gen_ai.token.type";
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
    /// The route by way of which the call went instead, beyond a limit.
    pub const DOWNGRADED_TO: &str = "egret.downgraded_to";
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
    /// Targets of a call's route in the order in which they come into question, then those that do not, each with why.
    pub const CANDIDATES: &str = "egret.candidates";
    /// How many bytes of messages were cut out of a request.
    pub const CUT_BYTES: &str = "egret.request.cut_bytes";
    /// What of a request was not carried over into its provider's dialect.
    pub const LOST: &str = "egret.request.lost";
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
    /// A field of a request.
    pub const FIELD: &str = "egret.field";
    /// The key of a limit.
    pub const LIMIT: &str = "egret.limit";
    /// Limits that only count and would have refused the call.
    pub const WOULD_REFUSE: &str = "egret.limit.would_refuse";
    /// What a limit counts.
    pub const UNIT: &str = "egret.unit";
    /// In which time a limit counts: `rolling`, `day`, `week`, `month`, or `none` of calls at once.
    pub const WINDOW: &str = "egret.window";
    /// What has a cell of its own under a limit: `tenant`, `user`, `app`, `key`, `model`.
    pub const EACH: &str = "egret.each";
}

/// Names of metrics. Prometheus' are made of them: dots become underscores, a unit of seconds or bytes is appended, and
/// `_total` to counters.
pub mod metric {
    /// Calls that have ended.
    pub const CALLS: &str = "egret.calls";
    /// Time that a call spent in egret.
    pub const OVERHEAD: &str = "egret.call.overhead";
    /// Time that a call waited for room beyond a limit.
    pub const QUEUED: &str = "egret.call.queued";
    /// Errors that are egret's own.
    pub const REFUSALS: &str = "egret.refusals";
    /// Tries at a target.
    pub const ATTEMPTS: &str = "egret.attempts";
    /// Targets that failed and were followed by another.
    pub const FALLBACKS: &str = "egret.fallbacks";
    /// Targets that were not tried.
    pub const PASSED_OVER: &str = "egret.passed_over";
    /// Fields of requests that were not carried over into a provider's dialect.
    pub const LOST: &str = "egret.lost_fields";
    /// Calls that a limit would have refused, did it not only count.
    pub const WOULD_REFUSE: &str = "egret.limit.would_refuse";
    /// What calls cost, in US dollars.
    pub const COST: &str = "egret.cost.usd";

    /// How long an attempt takes.
    pub const DURATION: &str = "gen_ai.client.inference.duration";
    /// How long the first event of a stream takes.
    pub const FIRST_CHUNK: &str = "gen_ai.client.inference.time_to_first_chunk";
    /// All input.
    pub const INPUT_TOKENS: &str = "gen_ai.client.inference.usage.input_tokens";
    /// All output.
    pub const OUTPUT_TOKENS: &str = "gen_ai.client.inference.usage.output_tokens";
    /// Of the input, what was read from the provider's cache.
    pub const CACHE_READ_TOKENS: &str = "gen_ai.client.inference.usage.cache_read.input_tokens";
    /// Of the input, what was written to the provider's cache.
    pub const CACHE_WRITE_TOKENS: &str = "gen_ai.client.inference.usage.cache_write.input_tokens";
    /// Of the output, what was reasoning.
    pub const REASONING_TOKENS: &str = "gen_ai.client.inference.usage.reasoning.output_tokens";
    /// Input of one operation.
    pub const OPERATION_INPUT: &str = "gen_ai.client.inference.operation.input_tokens";
    /// Output of one operation.
    pub const OPERATION_OUTPUT: &str = "gen_ai.client.inference.operation.output_tokens";

    /// How long an attempt takes, up to v1.41.
    pub const DURATION_V1_41: &str = "gen_ai.client.operation.duration";
    /// How long the first event of a stream takes, up to v1.41.
    pub const FIRST_CHUNK_V1_41: &str = "gen_ai.client.operation.time_to_first_chunk";
    /// Tokens of one operation, up to v1.41.
    pub const TOKEN_USAGE: &str = "gen_ai.client.token.usage";
    /// How long a call takes, up to v1.41.
    pub const SERVER_DURATION: &str = "gen_ai.server.request.duration";
    /// How long the first byte of a streamed answer takes, up to v1.41.
    pub const SERVER_FIRST_TOKEN: &str = "gen_ai.server.time_to_first_token";
    /// How long each further token of a streamed answer takes, up to v1.41.
    pub const SERVER_PER_TOKEN: &str = "gen_ai.server.time_per_output_token";

    /// Calls in flight.
    pub const IN_FLIGHT: &str = "egret.calls.in_flight";
    /// Bytes of requests that are held.
    pub const HELD: &str = "egret.request.held";
    /// What of a limit is used.
    pub const LIMIT_USED: &str = "egret.limit.used";
    /// What of a limit is left.
    pub const LIMIT_AVAILABLE: &str = "egret.limit.available";
    /// How many a limit counts for.
    pub const LIMIT_CELLS: &str = "egret.limit.cells";
    /// What a model's breaker does.
    pub const BREAKER_STATE: &str = "egret.breaker.state";
    /// How often it opened.
    pub const BREAKER_OPENED: &str = "egret.breaker.opened";
    /// Whether a provider wants to be left alone.
    pub const COOLING_DOWN: &str = "egret.target.cooling_down";
    /// Whether a provider's key is not used.
    pub const KEY_OUT: &str = "egret.key.out";
    /// Whether the ledger's store fails.
    pub const LEDGER_DEGRADED: &str = "egret.ledger.degraded";
    /// Transactions of the ledger's store.
    pub const LEDGER_WRITES: &str = "egret.ledger.writes";
    /// Counts that the ledger's store has taken.
    pub const LEDGER_ROWS: &str = "egret.ledger.rows";
    /// The policy in force.
    pub const POLICY: &str = "egret.policy.info";
    /// Whether the policy's files are not what is in force.
    pub const POLICY_FAULTY: &str = "egret.policy.faulty";
    /// Loads of the policy.
    pub const POLICY_RELOADS: &str = "egret.policy.reloads";
    /// Lines of the access log that were not written.
    pub const LOG_LOST: &str = "egret.access_log.lost";
    /// Spans that the backend took.
    pub const SPANS_EXPORTED: &str = "egret.spans.exported";
    /// Spans for which there was no room.
    pub const SPANS_DROPPED: &str = "egret.spans.dropped";
    /// Spans that the backend did not take.
    pub const SPANS_FAILED: &str = "egret.spans.failed";
    /// Open connections to providers.
    pub const CONNECTIONS: &str = "egret.upstream.connections";
    /// Connections to providers that were opened, or failed to be.
    pub const CONNECTS: &str = "egret.upstream.connects";
}

/// An operation of ours by its name in the conventions.
pub fn operation(api: &str) -> &'static str {
    match api {
        "completions" => "text_completion",
        "generateContent" => "generate_content",
        // No operation that the conventions know.
        "countTokens" => "count_tokens",
        "embeddings" | "embedContent" | "batchEmbedContents" => "embeddings",
        "models" => "models",
        _ => "chat",
    }
}
