//! `POST responses`: one response, or its events in their order.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Choice, Kind, Saying, Tool};
use super::body::{Piece, Pieces};
use super::error::ApiError;
use super::reply::{Reply, Stamp, named};
use super::request::{Ask, texts, words};

pub(super) fn reply(ask: &Ask, saying: &Saying<'_>, stamp: &Stamp) -> Result<Reply, ApiError> {
    let (input, last, after_tool) = prompt(ask.required("input")?);
    let instructions = ask.echo("instructions").and_then(Value::as_str).unwrap_or_default();
    let input = input + words(instructions);
    let bound = ask.bound(&["max_output_tokens"]);
    let choice = Choice::openai(ask.echo("tool_choice"));
    let tools = Tool::chosen(Tool::openai(ask.echo("tools")), &choice, &last);
    let answer = match tools.into_iter().next().filter(|_| !after_tool && saying.large.is_none()) {
        Some(tool) => Answer::calls(&tool, bound),
        None => Answer::says(saying, &ask.model, input, bound),
    };
    let tokens = input + answer.tokens();
    let response = Response {
        envelope: envelope(ask, stamp),
        item: match answer.kind {
            Kind::Text => format!("msg_{}", stamp.id),
            Kind::Call(_) => format!("fc_{}", stamp.id),
        },
        call: format!("call_{}", stamp.id),
        input,
        answer,
    };
    Ok(if ask.stream {
        Reply::events(Arc::new(response).events(), tokens)
    } else {
        Reply::json(response.ended().to_string(), tokens)
    })
}

/// The words of the input, the texts of its last item, and whether that is a tool's result.
fn prompt(input: &Value) -> (u64, Vec<&str>, bool) {
    let Some(items) = input.as_array() else {
        let text = texts(input);
        return (text.iter().map(|text| words(text)).sum(), text, false);
    };
    let content = |item| ["content", "output"].iter().find_map(|name| Value::get(item, name)).map(texts);
    let count = items.iter().filter_map(content).flatten().map(words).sum();
    let last = items.last().unwrap_or(&Value::Null);
    let after_tool = last.get("type").and_then(Value::as_str) == Some("function_call_output");
    (count, content(last).unwrap_or_default(), after_tool)
}

/// What every form of the response says: ids, and the echo of the request.
fn envelope(ask: &Ask, stamp: &Stamp) -> Value {
    let echo = |name, default: Value| ask.echo(name).cloned().unwrap_or(default);
    json!({
        "id": format!("resp_{}", stamp.id),
        "object": "response",
        "created_at": stamp.created,
        "status": "in_progress",
        "error": null,
        "incomplete_details": null,
        "instructions": echo("instructions", Value::Null),
        "model": ask.model,
        "output": [],
        "parallel_tool_calls": echo("parallel_tool_calls", json!(true)),
        "tool_choice": echo("tool_choice", json!("auto")),
        "tools": echo("tools", json!([])),
        "metadata": echo("metadata", json!({})),
        "temperature": echo("temperature", json!(1.0)),
        "top_p": echo("top_p", json!(1.0)),
        "usage": null,
    })
}

struct Response {
    /// The response while it is in progress.
    envelope: Value,
    /// The id of the one output item.
    item: String,
    /// The id of the tool call, if it is one.
    call: String,
    input: u64,
    answer: Answer,
}

/// The events of a stream, in their order.
#[derive(Clone, Copy)]
enum Step {
    Created,
    InProgress,
    ItemAdded,
    PartAdded,
    Delta(usize),
    TextDone,
    PartDone,
    ItemDone,
    Ended,
}

impl Response {
    fn status(&self) -> &'static str {
        if self.answer.cut { "incomplete" } else { "completed" }
    }

    /// The whole response, with its usage.
    fn ended(&self) -> Value {
        let output = self.answer.tokens();
        let mut whole = self.envelope.clone();
        whole["status"] = json!(self.status());
        if self.answer.cut {
            whole["incomplete_details"] = json!({ "reason": "max_output_tokens" });
        }
        whole["output"] = json!([self.item(self.status(), &self.answer.text)]);
        whole["usage"] = json!({
            "input_tokens": self.input,
            "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
            "output_tokens": output,
            "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": self.input + output,
        });
        whole
    }

    fn item(&self, status: &str, text: &str) -> Value {
        match &self.answer.kind {
            Kind::Text => {
                // An item in progress has no part yet; each part is added by an event of its own.
                let content = if status == "in_progress" { json!([]) } else { json!([part(text)]) };
                json!({
                    "id": self.item, "type": "message", "role": "assistant", "status": status,
                    "content": content,
                })
            }
            Kind::Call(name) => json!({
                "id": self.item, "type": "function_call", "status": status, "call_id": self.call,
                "name": name, "arguments": text,
            }),
        }
    }

    fn events(self: Arc<Self>) -> Pieces {
        let (part, part_done) = match self.answer.kind {
            Kind::Text => (Some(Step::PartAdded), Some(Step::PartDone)),
            Kind::Call(_) => (None, None),
        };
        let head = [Step::Created, Step::InProgress, Step::ItemAdded].into_iter().chain(part);
        let deltas = (0..self.answer.pieces()).map(Step::Delta);
        let tail = [Step::TextDone].into_iter().chain(part_done).chain([Step::ItemDone, Step::Ended]);
        let steps = head.chain(deltas).chain(tail).enumerate();
        Box::new(steps.map(move |(number, step)| self.event(number, step)))
    }

    fn event(&self, number: usize, step: Step) -> Piece {
        let (kind, mut fields) = self.step(step);
        fields.insert("type".to_owned(), json!(kind));
        fields.insert("sequence_number".to_owned(), json!(number));
        let bytes = named(kind, &Value::Object(fields));
        match step {
            Step::Delta(_) => Piece::word(bytes),
            Step::Created
            | Step::InProgress
            | Step::ItemAdded
            | Step::PartAdded
            | Step::TextDone
            | Step::PartDone
            | Step::ItemDone
            | Step::Ended => Piece::at_once(bytes),
        }
    }

    /// The type of an event and its fields but the type and number.
    fn step(&self, step: Step) -> (&'static str, Map<String, Value>) {
        let text = self.answer.text.as_str();
        match step {
            Step::Created => ("response.created", fields([("response", self.envelope.clone())])),
            Step::InProgress => ("response.in_progress", fields([("response", self.envelope.clone())])),
            Step::ItemAdded => {
                let item = self.item("in_progress", "");
                ("response.output_item.added", fields([("output_index", json!(0)), ("item", item)]))
            }
            Step::PartAdded => ("response.content_part.added", self.at_part([("part", part(""))])),
            Step::Delta(at) => self.delta(self.answer.piece(at)),
            Step::TextDone => self.text_done(text),
            Step::PartDone => ("response.content_part.done", self.at_part([("part", part(text))])),
            Step::ItemDone => {
                let item = self.item(self.status(), text);
                ("response.output_item.done", fields([("output_index", json!(0)), ("item", item)]))
            }
            Step::Ended => {
                let kind = if self.answer.cut { "response.incomplete" } else { "response.completed" };
                (kind, fields([("response", self.ended())]))
            }
        }
    }

    fn delta(&self, piece: &str) -> (&'static str, Map<String, Value>) {
        match self.answer.kind {
            Kind::Text => {
                let delta = [("delta", json!(piece)), ("logprobs", json!([]))];
                ("response.output_text.delta", self.at_part(delta))
            }
            Kind::Call(_) => {
                let delta = self.at_item([("delta", json!(piece))]);
                ("response.function_call_arguments.delta", delta)
            }
        }
    }

    fn text_done(&self, text: &str) -> (&'static str, Map<String, Value>) {
        match &self.answer.kind {
            Kind::Text => {
                let done = [("text", json!(text)), ("logprobs", json!([]))];
                ("response.output_text.done", self.at_part(done))
            }
            Kind::Call(name) => {
                let done = [("name", json!(name)), ("arguments", json!(text))];
                ("response.function_call_arguments.done", self.at_item(done))
            }
        }
    }

    fn at_item<const N: usize>(&self, more: [(&str, Value); N]) -> Map<String, Value> {
        let mut fields = fields(more);
        fields.insert("item_id".to_owned(), json!(self.item));
        fields.insert("output_index".to_owned(), json!(0));
        fields
    }

    fn at_part<const N: usize>(&self, more: [(&str, Value); N]) -> Map<String, Value> {
        let mut fields = self.at_item(more);
        fields.insert("content_index".to_owned(), json!(0));
        fields
    }
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}
