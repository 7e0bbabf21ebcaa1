//! Reads a request.

use super::at::{At, given};
use super::messages::Conversation;
use super::tools;
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::neutral::{Effort, Format, Literal, Losses, Raw, Reasoning, Request, Tool, ToolChoice};
use crate::dialect::translate::Untranslatable;

type Result<T> = std::result::Result<T, Untranslatable>;

/// Fields that no other dialect has and that do not change what is answered.
const HINTS: [&str; 6] = [
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "moderation",
    "verbosity",
];

/// Reads a body; `model` and whether usage is asked for are read elsewhere.
pub(crate) fn decode_request(body: &[u8]) -> Result<(Request<'_>, Losses)> {
    let document = json::document(body).ok().filter(|body| body.kind == Kind::Object);
    let Some(document) = document else {
        return Err(Untranslatable {
            message: "The request body must be a JSON object.".to_owned(),
            field: None,
        });
    };
    let mut reading = Reading::default();
    for member in document.members().filter(|member| member.value.kind != Kind::Null) {
        let name = member.name();
        reading.take(&name, &member.value)?;
    }
    reading.finish()
}

/// What was read so far: the request, and what waits for a field that may still come.
#[derive(Default)]
struct Reading<'a> {
    request: Request<'a>,
    lost: Losses,
    messages: Option<Value<'a>>,
    /// `max_tokens`, which `max_completion_tokens` has replaced.
    older_limit: Option<u64>,
    /// `functions` and `function_call`, which `tools` and `tool_choice` have replaced.
    older_tools: Vec<Tool<'a>>,
    older_choice: Option<ToolChoice<'a>>,
    /// `user`, which `safety_identifier` has replaced.
    older_user: Option<Literal<'a>>,
    logprobs: bool,
    top_logprobs: Option<u64>,
    /// Other servers' way to say how much is thought.
    thinking: Option<Reasoning>,
}

impl<'a> Reading<'a> {
    fn take(&mut self, name: &str, value: &Value<'a>) -> Result<()> {
        let known = self.take_sampling(name, value)?
            || self.take_tools(name, value)?
            || self.take_output(name, value)?
            || self.take_caller(name, value)?
            || self.take_rest(name, value);
        if !known && !value.is_blank() {
            self.lost.unknown(name);
        }
        Ok(())
    }

    fn take_sampling(&mut self, name: &str, value: &Value<'a>) -> Result<bool> {
        let (request, at) = (&mut self.request, At::Field(name));
        match name {
            "temperature" => request.temperature = Some(at.number(value)?),
            "top_p" => request.top_p = Some(at.number(value)?),
            "top_k" => request.top_k = Some(at.number(value)?),
            "frequency_penalty" => request.frequency_penalty = Some(at.number(value)?),
            "presence_penalty" => request.presence_penalty = Some(at.number(value)?),
            "seed" => request.seed = Some(at.integer(value)?),
            "logit_bias" if value.is_blank() => {}
            "logit_bias" => self.lost.meaning("logit_bias"),
            "n" => request.choices = Some(at.some(value)?).filter(|count| *count > 1),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_tools(&mut self, name: &str, value: &Value<'a>) -> Result<bool> {
        let (request, lost, at) = (&mut self.request, &mut self.lost, At::Field(name));
        match name {
            "tools" => request.tools = tools::tools(value, at, lost)?,
            "functions" => self.older_tools = tools::functions(value, at, lost)?,
            "tool_choice" => request.tool_choice = tools::choice(value, at, lost)?,
            "function_call" => self.older_choice = Some(tools::older_choice(value, at)?),
            "parallel_tool_calls" => request.parallel_tool_calls = Some(at.flag(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_output(&mut self, name: &str, value: &Value<'a>) -> Result<bool> {
        let at = At::Field(name);
        match name {
            "max_completion_tokens" => self.request.max_output = Some(at.some(value)?),
            "max_tokens" => self.older_limit = Some(at.some(value)?),
            "stop" => self.request.stop = stop(value, at)?,
            "response_format" => self.take_format(value, at)?,
            "reasoning_effort" => self.take_effort(value, at)?,
            "thinking" => self.thinking = thinking(value),
            "logprobs" => self.logprobs = at.flag(value)?,
            "top_logprobs" => self.top_logprobs = Some(at.count(value)?),
            "stream" => self.request.stream = at.flag(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_caller(&mut self, name: &str, value: &Value<'a>) -> Result<bool> {
        let at = At::Field(name);
        match name {
            "messages" => {
                at.list(value)?;
                self.messages = Some(value.clone());
            }
            "user" => self.older_user = Some(at.text(value)?).filter(|user| !user.is_empty()),
            "safety_identifier" => {
                self.request.user = Some(at.text(value)?).filter(|user| !user.is_empty());
            }
            "metadata" => self.request.metadata = Some(at.object(value)?).filter(|_| !value.is_blank()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What the neutral form does not have.
    fn take_rest(&mut self, name: &str, value: &Value<'a>) -> bool {
        let says = !value.is_blank();
        match name {
            "model" | "stream_options" => {}
            "store" if value.kind == Kind::False => {}
            "store" => self.lost.hint("store"),
            "service_tier" if value.one_of(&["auto", "default"]).is_some() => {}
            "service_tier" => self.lost.hint("service_tier"),
            "modalities" => {
                if value.elements().any(|word| word.one_of(&["text"]).is_none()) {
                    self.lost.meaning("modalities");
                }
            }
            "audio" => self.lost.meaning("audio"),
            "web_search_options" => self.lost.meaning("web_search_options"),
            _ => {
                let Some(hint) = HINTS.into_iter().find(|hint| *hint == name) else { return false };
                if says {
                    self.lost.hint(hint);
                }
            }
        }
        true
    }

    fn take_format(&mut self, value: &Value<'a>, at: At<'_>) -> Result<()> {
        let kind = given(value, "type").ok_or_else(|| At::Of(&at, "type").must_be("a string"))?;
        match kind.one_of(&["text", "json_object", "json_schema"]) {
            Some("json_object") => self.request.format = Some(Format::Json),
            Some("json_schema") => self.request.format = Some(schema(value, at)?),
            Some(_) => self.request.format = None,
            // Some servers have grammars and the like.
            None => self.lost.meaning("response_format"),
        }
        Ok(())
    }

    fn take_effort(&mut self, value: &Value<'a>, at: At<'_>) -> Result<()> {
        let effort = at.text(value)?;
        let word = effort.text();
        if word == "none" {
            self.request.reasoning = Some(Reasoning::Off);
        } else if let Some(effort) = Effort::of(&word) {
            self.request.reasoning = Some(Reasoning::Effort(effort));
        } else {
            self.lost.hint("reasoning_effort");
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Request<'a>, Losses)> {
        let Some(messages) = self.messages else {
            return Err(At::Field("messages").wrong("is missing"));
        };
        if self.top_logprobs.is_some() && !self.logprobs {
            return Err(At::Field("top_logprobs").wrong("needs `logprobs`"));
        }
        let mut request = self.request;
        request.turns = Conversation::read(&messages, &mut self.lost)?;
        request.tools.append(&mut self.older_tools);
        request.tool_choice = request.tool_choice.or(self.older_choice);
        request.max_output = request.max_output.or(self.older_limit);
        request.reasoning = request.reasoning.or(self.thinking);
        request.logprobs = self.logprobs.then(|| self.top_logprobs.unwrap_or_default());
        if request.user.is_some()
            && self.older_user.as_ref().is_some_and(|user| request.user.as_ref() != Some(user))
        {
            self.lost.hint("user");
        }
        request.user = request.user.or(self.older_user);
        Ok((request, self.lost))
    }
}

/// A text or several.
fn stop<'a>(value: &Value<'a>, at: At<'_>) -> Result<Vec<Literal<'a>>> {
    if value.kind == Kind::String {
        return Ok(vec![at.text(value)?]);
    }
    if value.kind != Kind::Array {
        return Err(at.must_be("a string or a list of strings"));
    }
    value.elements().enumerate().map(|(index, text)| At::In(&at, index).text(&text)).collect()
}

fn schema<'a>(format: &Value<'a>, at: At<'_>) -> Result<Format<'a>> {
    let at = At::Of(&at, "json_schema");
    let given_schema = given(format, "json_schema").ok_or_else(|| at.must_be("an object"))?;
    at.object(&given_schema)?;
    let text = |name: &str| given(&given_schema, name).map(|text| At::Of(&at, name).text(&text)).transpose();
    let schema =
        given(&given_schema, "schema").map(|schema| At::Of(&at, "schema").object(&schema)).transpose()?;
    let strict =
        given(&given_schema, "strict").map(|strict| At::Of(&at, "strict").flag(&strict)).transpose()?;
    Ok(Format::Schema {
        name: text("name")?,
        description: text("description")?,
        schema: schema.unwrap_or(Raw::word("{}")),
        strict,
    })
}

/// What DeepSeek and others, in the words of Anthropic, say of thinking.
fn thinking(value: &Value<'_>) -> Option<Reasoning> {
    match value.member("type")?.one_of(&["enabled", "adaptive", "disabled"])? {
        "disabled" => Some(Reasoning::Off),
        _ => Some(
            value
                .member("budget_tokens")
                .and_then(|budget| budget.number())
                .map_or(Reasoning::Auto, Reasoning::Budget),
        ),
    }
}
