//! What a request to Anthropic asks for, refused where the API itself refuses it.

use http::HeaderMap;
use serde_json::Value;

use super::turns::{self, Conversation, Input};
use crate::mock::answer::{Choice, Tool};
use crate::mock::error::ApiError;
use crate::mock::face::Face;
use crate::mock::node::Node;
use crate::mock::turn::Wanted;

/// The fields that a count takes.
const COUNTED: [&str; 11] = [
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "context_management",
    "mcp_servers",
    "speed",
];
/// Those that a message takes besides.
const SAID: [&str; 11] = [
    "max_tokens",
    "stop_sequences",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "metadata",
    "service_tier",
    "container",
    "inference_geo",
    "diagnostics",
];
/// The fewest tokens that may be thought.
const LEAST_BUDGET: i64 = 1_024;

/// What a request is sent for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Message,
    Count,
}

/// The versions of the API that are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// `2023-06-01`
    First,
    /// `2026-10-21`, which takes no sampling parameters.
    Second,
}

/// A request that is right.
pub(super) struct Ask<'a> {
    pub(super) model: &'a str,
    pub(super) stream: bool,
    pub(super) input: Input,
    conversation: Conversation<'a>,
    tools: Vec<Tool<'a>>,
    choice: Choice<'a>,
    /// Whether several tools may be called at once.
    parallel: bool,
    thinks: bool,
    stops: Vec<&'a str>,
    bound: Option<usize>,
}

/// The body of a request.
pub(super) fn parse(body: &[u8]) -> Result<Value, ApiError> {
    let body = serde_json::from_slice(body).ok().filter(Value::is_object);
    body.ok_or_else(|| refused("The request body is not valid JSON"))
}

fn refused(message: impl Into<String>) -> ApiError {
    ApiError::bad_request(Face::Anthropic, message)
}

impl<'a> Ask<'a> {
    pub(super) fn of(body: &'a Value, headers: &HeaderMap, purpose: Purpose) -> Result<Self, ApiError> {
        let version = Version::of(headers)?;
        let body = Node::body(Face::Anthropic, body);
        match purpose {
            Purpose::Message => body.only(&[COUNTED, SAID].concat())?,
            Purpose::Count => body.only(&COUNTED)?,
        }
        let model = body.required("model")?.text()?;
        let bound = match purpose {
            Purpose::Message => Some(max_tokens(&body)?),
            Purpose::Count => None,
        };
        sampling(&body, version)?;
        indifferent(&body)?;
        output(&body)?;
        let tools = tools(&body)?;
        let (choice, parallel) = choice(&body, &tools)?;
        let conversation = turns::read(&body, version)?;
        let thinks = thinking(&body, bound, &choice, conversation.after_tool)?;
        let stream = body.field("stream").map(|stream| stream.flag()).transpose()?.unwrap_or(false);
        let stops = stops(&body)?;
        let bound = bound.map(|bound| usize::try_from(bound).unwrap_or(usize::MAX));
        let input = conversation.input;
        Ok(Self { model, stream, input, conversation, tools, choice, parallel, thinks, stops, bound })
    }

    /// The answer that it asks for.
    pub(super) fn wanted(self) -> Wanted<'a> {
        let calls = if self.conversation.after_tool {
            Vec::new()
        } else {
            let mut chosen = Tool::chosen(self.tools, &self.choice, &self.conversation.last);
            chosen.truncate(if self.parallel { usize::MAX } else { 1 });
            chosen
        };
        Wanted {
            model: self.model,
            prompt: self.input.total(),
            calls,
            thinks: self.thinks,
            stops: self.stops,
            bound: self.bound,
        }
    }
}

impl Version {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let version = headers.get("anthropic-version");
        let version = version.ok_or_else(|| refused("anthropic-version: header is required"))?;
        match version.as_bytes() {
            b"2023-06-01" => Ok(Self::First),
            b"2026-10-21" => Ok(Self::Second),
            other => {
                let other = String::from_utf8_lossy(other);
                Err(refused(format!("anthropic-version: \"{other}\" is not a valid version")))
            }
        }
    }
}

/// Zero is right: it warms the cache, and nothing is said.
fn max_tokens(body: &Node<'_>) -> Result<i64, ApiError> {
    let most = body.required("max_tokens")?;
    let tokens = most.whole()?;
    if tokens < 0 {
        return Err(most.wrong("Input should be greater than or equal to 0"));
    }
    Ok(tokens)
}

fn sampling(body: &Node<'_>, version: Version) -> Result<(), ApiError> {
    for name in ["temperature", "top_p", "top_k"] {
        let Some(value) = body.field(name) else {
            continue;
        };
        match version {
            Version::First if name == "top_k" => {
                value.whole()?;
            }
            Version::First => value.within(0.0, 1.0)?,
            Version::Second => return Err(value.wrong("not supported in this version of the API")),
        }
    }
    Ok(())
}

/// Fields that change nothing in an answer.
fn indifferent(body: &Node<'_>) -> Result<(), ApiError> {
    if let Some(tier) = body.field("service_tier") {
        tier.word(&["auto", "standard_only"])?;
    }
    if let Some(speed) = body.field("speed") {
        speed.word(&["standard", "fast"])?;
    }
    if let Some(metadata) = body.field("metadata") {
        metadata.only(&["user_id"])?;
        metadata.field("user_id").map(|user| user.text()).transpose()?;
    }
    Ok(())
}

fn output(body: &Node<'_>) -> Result<(), ApiError> {
    let Some(config) = body.field("output_config") else {
        return Ok(());
    };
    config.only(&["effort", "format"])?;
    if let Some(effort) = config.field("effort") {
        effort.word(&["low", "medium", "high", "xhigh", "max"])?;
    }
    if let Some(format) = config.field("format") {
        format.only(&["type", "schema"])?;
        format.required("type")?.word(&["json_schema"])?;
        let schema = format.required("schema")?;
        schema.object()?;
        if !closed(schema.value()) {
            let what = "For 'object' type, 'additionalProperties' must be explicitly set to false";
            return Err(schema.wrong(what));
        }
    }
    Ok(())
}

/// Whether every object of a schema says that it has no other properties than those it names.
fn closed(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let is_object = fields.get("type").is_some_and(|of| of == "object");
            let says_so = fields.get("additionalProperties").is_some_and(|others| *others == false);
            (says_so || !is_object) && fields.values().all(closed)
        }
        Value::Array(items) => items.iter().all(closed),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn tools<'a>(body: &Node<'a>) -> Result<Vec<Tool<'a>>, ApiError> {
    let mut functions = Vec::new();
    let Some(tools) = body.field("tools") else {
        return Ok(functions);
    };
    for tool in tools.items()? {
        let kind = tool.field("type").map(|kind| kind.text()).transpose()?;
        // The provider's own tools: it calls them itself, and this one never does.
        if kind.is_some_and(|kind| kind != "custom") {
            tool.required("name")?.text()?;
            continue;
        }
        tool.only(&[
            "type",
            "name",
            "description",
            "input_schema",
            "strict",
            "cache_control",
            "eager_input_streaming",
            "input_examples",
            "defer_loading",
            "allowed_callers",
        ])?;
        let name = tool.required("name")?;
        if !is_id(name.text()?) || name.text()?.len() > 128 {
            return Err(name.wrong("String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"));
        }
        tool.field("description").map(|description| description.text()).transpose()?;
        let schema = tool.required("input_schema")?;
        schema.required("type")?.word(&["object"])?;
        turns::lifetime(&tool)?;
        functions.push(Tool { name: name.text()?, parameters: schema.value() });
    }
    Ok(functions)
}

/// Whether a text is fit for an id: of a call, or as a tool's name.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// What may be called, and whether several at once.
fn choice<'a>(body: &Node<'a>, tools: &[Tool<'a>]) -> Result<(Choice<'a>, bool), ApiError> {
    let Some(choice) = body.field("tool_choice") else {
        return Ok((Choice::Auto, true));
    };
    if body.field("tools").is_none() {
        return Err(choice.wrong("may only be specified while providing tools"));
    }
    let kind = choice.required("type")?.word(&["auto", "any", "tool", "none"])?;
    choice.only(match kind {
        "none" => &["type"],
        "tool" => &["type", "name", "disable_parallel_tool_use"],
        _ => &["type", "disable_parallel_tool_use"],
    })?;
    let single = choice.field("disable_parallel_tool_use").map(|single| single.flag()).transpose()?;
    let chosen = match kind {
        "none" => Choice::None,
        "any" => Choice::Any,
        "tool" => {
            let name = choice.required("name")?;
            let text = name.text()?;
            if !tools.iter().any(|tool| tool.name == text) {
                return Err(choice.wrong(format!("Tool '{text}' not found in provided tools")));
            }
            Choice::Named(text)
        }
        _ => Choice::Auto,
    };
    Ok((chosen, !single.unwrap_or(false)))
}

/// Whether the model thinks before it answers.
fn thinking(
    body: &Node<'_>,
    bound: Option<i64>,
    choice: &Choice<'_>,
    after_tool: bool,
) -> Result<bool, ApiError> {
    let Some(thinking) = body.field("thinking") else {
        return Ok(false);
    };
    let kind = thinking.required("type")?.word(&["enabled", "adaptive", "between_tools", "disabled"])?;
    if kind != "enabled" {
        thinking.only(&["type", "display"])?;
        return Ok(kind == "adaptive" || kind == "between_tools" && after_tool);
    }
    thinking.only(&["type", "display", "budget_tokens"])?;
    let budget = thinking.required("budget_tokens")?;
    if budget.whole()? < LEAST_BUDGET {
        return Err(budget.wrong("Input should be greater than or equal to 1024"));
    }
    if bound.is_some_and(|bound| budget.whole().is_ok_and(|budget| budget >= bound)) {
        return Err(refused("`max_tokens` must be greater than `thinking.budget_tokens`"));
    }
    match choice {
        Choice::Any | Choice::Named(_) => {
            Err(refused("Thinking may not be enabled when tool_choice forces tool use."))
        }
        Choice::None | Choice::Auto => Ok(true),
    }
}

fn stops<'a>(body: &Node<'a>) -> Result<Vec<&'a str>, ApiError> {
    let Some(stops) = body.field("stop_sequences") else {
        return Ok(Vec::new());
    };
    let stop = |stop: Node<'a>| {
        let text = stop.text()?;
        if text.trim().is_empty() {
            return Err(stop.wrong("each stop sequence must contain non-whitespace"));
        }
        Ok(text)
    };
    stops.items()?.map(stop).collect()
}
