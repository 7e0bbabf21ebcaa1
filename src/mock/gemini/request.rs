//! What a request to Gemini asks for, refused where the API itself refuses it.

use serde_json::Value;

use super::contents::{self, Conversation};
use super::{has_ids, schema, version};
use crate::mock::answer::{Choice, Tool};
use crate::mock::error::ApiError;
use crate::mock::face::Face;
use crate::mock::node::Node;
use crate::mock::turn::Wanted;

/// The fields of a request.
const FIELDS: [&str; 11] = [
    "contents",
    "systemInstruction",
    "generationConfig",
    "tools",
    "toolConfig",
    "safetySettings",
    "cachedContent",
    "labels",
    "serviceTier",
    "store",
    "continuationToken",
];

/// The fields of `generationConfig`.
const CONFIG: [&str; 19] = [
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "thinkingConfig",
    "speechConfig",
    "mediaResolution",
    "imageConfig",
];

/// Candidates that a call may ask for.
const MOST_CANDIDATES: i64 = 8;
/// Stops that it may name.
const MOST_STOPS: usize = 5;

/// A request that is right.
pub(super) struct Ask<'a> {
    model: &'a str,
    /// Words of the prompt.
    pub(super) prompt: u64,
    /// How many of them were cached.
    pub(super) cached: u64,
    conversation: Conversation<'a>,
    tools: Vec<Tool<'a>>,
    choice: Choice<'a>,
    config: Config<'a>,
    pub(super) candidates: usize,
    /// Whether thoughts are told.
    pub(super) shown: bool,
}

/// What `generationConfig` says, as far as the answer depends on it.
#[derive(Default)]
struct Config<'a> {
    thinks: bool,
    shown: bool,
    stops: Vec<&'a str>,
    bound: Option<usize>,
    candidates: Option<usize>,
    /// Whether the answer is to be JSON.
    json: bool,
}

/// The body of a request.
pub(super) fn parse(body: &[u8]) -> Result<Value, ApiError> {
    let body = serde_json::from_slice(body).ok().filter(Value::is_object);
    body.ok_or_else(|| refused("Invalid JSON payload received. Expected an object key or }."))
}

fn refused(message: impl Into<String>) -> ApiError {
    ApiError::bad_request(Face::Gemini, message)
}

/// The words of what is to be counted.
pub(super) fn count(model: &str, body: &Value) -> Result<u64, ApiError> {
    let body = Node::body(Face::Gemini, body);
    body.only(&["contents", "generateContentRequest"])?;
    match body.field("generateContentRequest") {
        Some(request) => {
            // It names the model, too.
            request.only(&[&FIELDS[..], &["model"]].concat())?;
            Ok(Ask::within(model, &request)?.prompt)
        }
        None => Ok(contents::read(model, &body)?.words),
    }
}

impl<'a> Ask<'a> {
    pub(super) fn of(model: &'a str, body: &'a Value) -> Result<Self, ApiError> {
        let body = Node::body(Face::Gemini, body);
        body.only(&FIELDS)?;
        Self::within(model, &body)
    }

    /// Of a request whose fields are known.
    fn within(model: &'a str, body: &Node<'a>) -> Result<Self, ApiError> {
        let tools = tools(body)?;
        let (tools, choice) = choice(body, tools)?;
        let config = match body.field("generationConfig") {
            None => Config::default(),
            Some(config) => Config::of(model, &config)?,
        };
        if config.json && !tools.is_empty() && !has_ids(model) {
            return Err(refused(
                "Function calling with a response mime type: 'application/json' is unsupported",
            ));
        }
        if let Some(settings) = body.field("safetySettings") {
            for setting in settings.items()? {
                setting.only(&["category", "threshold", "method"])?;
                setting.required("category")?.text()?;
                setting.required("threshold")?.text()?;
            }
        }
        let conversation = contents::read(model, body)?;
        let (prompt, cached) = (conversation.words, conversation.before);
        let (candidates, shown) = (config.candidates.unwrap_or(1), config.shown);
        Ok(Self { model, prompt, cached, conversation, tools, choice, config, candidates, shown })
    }

    /// The answer that it asks for.
    pub(super) fn wanted(self) -> Wanted<'a> {
        let calls = if self.conversation.after_tool {
            Vec::new()
        } else {
            Tool::chosen(self.tools, &self.choice, &self.conversation.last)
        };
        Wanted {
            model: self.model,
            prompt: self.prompt,
            calls,
            thinks: self.config.thinks,
            stops: self.config.stops,
            bound: self.config.bound,
        }
    }
}

fn tools<'a>(body: &Node<'a>) -> Result<Vec<Tool<'a>>, ApiError> {
    let mut functions = Vec::new();
    let Some(tools) = body.field("tools") else {
        return Ok(functions);
    };
    for tool in tools.items()? {
        tool.only(&[
            "functionDeclarations",
            "googleSearch",
            "googleSearchRetrieval",
            "googleMaps",
            "codeExecution",
            "urlContext",
            "fileSearch",
            "computerUse",
        ])?;
        let Some(declared) = tool.field("functionDeclarations") else {
            continue;
        };
        for function in declared.items()? {
            functions.push(declaration(&function)?);
        }
    }
    Ok(functions)
}

fn declaration<'a>(function: &Node<'a>) -> Result<Tool<'a>, ApiError> {
    function.only(&[
        "name",
        "description",
        "behavior",
        "parameters",
        "parametersJsonSchema",
        "response",
        "responseJsonSchema",
    ])?;
    let name = function.required("name")?;
    let text = name.text()?;
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on_well = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte));
    if !begins_well || !goes_on_well || text.len() > 64 {
        return Err(name.wrong(
            "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, \
             0-9), underscores (_), dots (.), colons (:) or dashes (-), with a maximum length of 64.",
        ));
    }
    function.field("description").map(|description| description.text()).transpose()?;
    let parameters = match (function.field("parameters"), function.field("parametersJsonSchema")) {
        (None, None) => &Value::Null,
        (Some(own), None) => {
            schema::check(&own)?;
            own.value()
        }
        (None, Some(json)) => {
            json.object()?;
            json.value()
        }
        (Some(_), Some(json)) => return Err(json.wrong("'parameters' is set already")),
    };
    Ok(Tool { name: text, parameters })
}

/// The tools that may be called, and whether they have to be.
fn choice<'a>(body: &Node<'a>, mut tools: Vec<Tool<'a>>) -> Result<(Vec<Tool<'a>>, Choice<'a>), ApiError> {
    let Some(config) = body.field("toolConfig") else {
        return Ok((tools, Choice::Auto));
    };
    config.only(&["functionCallingConfig", "retrievalConfig", "includeServerSideToolInvocations"])?;
    let Some(calling) = config.field("functionCallingConfig") else {
        return Ok((tools, Choice::Auto));
    };
    calling.only(&["mode", "allowedFunctionNames"])?;
    if tools.is_empty() {
        return Err(refused("Function calling config is set without function_declarations."));
    }
    let mode =
        calling.field("mode").map(|mode| mode.word(&["AUTO", "ANY", "NONE", "VALIDATED"])).transpose()?;
    if let Some(allowed) = calling.field("allowedFunctionNames") {
        if !matches!(mode, Some("ANY" | "VALIDATED")) {
            return Err(refused("Allowed function names can only be set when the mode is ANY or VALIDATED."));
        }
        let mut names = Vec::new();
        for name in allowed.items()? {
            let text = name.text()?;
            if !tools.iter().any(|tool| tool.name == text) {
                return Err(name.wrong(format!("\"{text}\" is not a declared function")));
            }
            names.push(text);
        }
        tools.retain(|tool| names.is_empty() || names.contains(&tool.name));
    }
    let choice = match mode {
        Some("ANY") => Choice::Any,
        Some("NONE") => Choice::None,
        _ => Choice::Auto,
    };
    Ok((tools, choice))
}

impl<'a> Config<'a> {
    fn of(model: &str, config: &Node<'a>) -> Result<Self, ApiError> {
        config.only(&CONFIG)?;
        let ranges = [
            ("temperature", 0.0, 2.0),
            ("topP", 0.0, 1.0),
            ("presencePenalty", -2.0, 2.0),
            ("frequencyPenalty", -2.0, 2.0),
            ("topK", 1.0, f64::from(u16::MAX)),
        ];
        for (name, least, most) in ranges {
            if let Some(value) = config.field(name) {
                value.within(least, most)?;
            }
        }
        config.field("seed").map(|seed| seed.whole()).transpose()?;
        let logs = config.field("responseLogprobs").map(|logs| logs.flag()).transpose()?.unwrap_or(false);
        if config.field("logprobs").is_some() && !logs {
            return Err(refused("Logprobs is set but response_logprobs is not enabled."));
        }
        let json = answer_schema(config)?;
        let (thinks, shown) = thinking(model, config)?;
        let bound = at_least_one(config, "maxOutputTokens", i64::MAX)?;
        let candidates = at_least_one(config, "candidateCount", MOST_CANDIDATES)?;
        Ok(Self { thinks, shown, stops: stops(config)?, bound, candidates, json })
    }
}

fn at_least_one(config: &Node<'_>, name: &str, most: i64) -> Result<Option<usize>, ApiError> {
    let Some(value) = config.field(name) else {
        return Ok(None);
    };
    let number = value.whole()?;
    if !(1..=most).contains(&number) {
        return Err(value.wrong(format!("must be positive and at most {most}")));
    }
    Ok(usize::try_from(number).ok())
}

/// Whether the answer is to be JSON.
fn answer_schema(config: &Node<'_>) -> Result<bool, ApiError> {
    let mime = config.field("responseMimeType");
    let mime = mime.map(|mime| mime.word(&["text/plain", "application/json", "text/x.enum"])).transpose()?;
    let (own, json) = (config.field("responseSchema"), config.field("responseJsonSchema"));
    if let Some(own) = &own {
        schema::check(own)?;
    }
    if let Some(json) = &json {
        json.object()?;
    }
    if let (Some(_), Some(json)) = (&own, &json) {
        return Err(json.wrong("'response_schema' is set already"));
    }
    let with_schema = own.is_some() || json.is_some();
    if with_schema && matches!(mime, None | Some("text/plain")) {
        return Err(refused("A response schema needs a response mime type of 'application/json'."));
    }
    Ok(mime == Some("application/json"))
}

/// Whether the model thinks, and tells what.
fn thinking(model: &str, config: &Node<'_>) -> Result<(bool, bool), ApiError> {
    let Some(thinking) = config.field("thinkingConfig") else {
        return Ok((false, false));
    };
    thinking.only(&["includeThoughts", "thinkingBudget", "thinkingLevel"])?;
    let shown = thinking.field("includeThoughts").map(|shown| shown.flag()).transpose()?.unwrap_or(false);
    let budget = thinking.field("thinkingBudget").map(|budget| budget.whole()).transpose()?;
    let level = thinking.field("thinkingLevel");
    if let Some(level) = &level {
        let word = level.text()?.to_ascii_uppercase();
        if !["MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"].contains(&word.as_str()) {
            return Err(level.wrong(format!("\"{word}\"")));
        }
        if budget.is_some() {
            return Err(refused("You can only set only one of thinking budget and thinking level."));
        }
        if version(model).is_some_and(|version| version < 3) {
            return Err(refused("Thinking level is not supported for this model."));
        }
    }
    let thinks = match budget {
        Some(budget) => budget != 0,
        None => shown || level.is_some(),
    };
    Ok((thinks, shown))
}

fn stops<'a>(config: &Node<'a>) -> Result<Vec<&'a str>, ApiError> {
    let Some(stops) = config.field("stopSequences") else {
        return Ok(Vec::new());
    };
    let all: Vec<_> = stops.items()?.map(|stop| stop.text()).collect::<Result<_, _>>()?;
    if all.len() > MOST_STOPS {
        return Err(stops.wrong(format!("at most {MOST_STOPS} are supported")));
    }
    Ok(all.into_iter().filter(|stop| !stop.is_empty()).collect())
}
