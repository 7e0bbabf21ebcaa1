//! `POST responses`: one response, or its events in their order.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Kind, Saying};
use super::body::{Piece, Pieces};
use super::chat::calls;
use super::error::ApiError;
use super::reply::{Reply, Stamp, named};
use super::request::{Ask, texts, words};
use super::turn::{Turn, Wanted};

pub(super) fn reply(ask: &Ask, saying: &Saying<'_>, stamp: &Stamp) -> Result<Reply, ApiError> {
    let (input, last, after_tool) = prompt(ask.required("input")?);
    let instructions = ask.echo("instructions").and_then(Value::as_str).unwrap_or_default();
    let input = input + words(instructions);
    let turn = Turn::of(
        saying,
        &Wanted {
            model: &ask.model,
            prompt: input,
            calls: if after_tool { Vec::new() } else { calls(ask, &last) },
            thinks: false,
            stops: Vec::new(),
            bound: ask.bound(&["max_output_tokens"]),
        },
    );
    let (_, said) = turn.tokens();
    let response = Response { envelope: envelope(ask, stamp), id: stamp.id.clone(), input, turn };
    Ok(if ask.stream {
        Reply::events(Arc::new(response).events(), input + said)
    } else {
        Reply::json(response.ended().to_string(), input + said)
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
    /// What the ids of its items and calls are made of.
    id: String,
    input: u64,
    /// Each part is an item.
    turn: Turn,
}

/// The events of a stream, in their order; a number is that of an item, a second one that of its piece.
#[derive(Clone, Copy)]
enum Step {
    Created,
    InProgress,
    ItemAdded(usize),
    PartAdded(usize),
    Delta(usize, usize),
    TextDone(usize),
    PartDone(usize),
    ItemDone(usize),
    Ended,
}

impl Response {
    fn status(&self) -> &'static str {
        if self.turn.cut { "incomplete" } else { "completed" }
    }

    /// The whole response, with its usage.
    fn ended(&self) -> Value {
        let (_, output) = self.turn.tokens();
        let mut whole = self.envelope.clone();
        whole["status"] = json!(self.status());
        if self.turn.cut {
            whole["incomplete_details"] = json!({ "reason": "max_output_tokens" });
        }
        whole["output"] = (0..self.turn.parts.len()).map(|at| self.item(at, self.status())).collect();
        whole["usage"] = json!({
            "input_tokens": self.input,
            "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
            "output_tokens": output,
            "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": self.input + output,
        });
        whole
    }

    fn answer(&self, at: usize) -> Option<&Answer> {
        self.turn.parts.get(at).map(|part| &part.answer)
    }

    /// An item; one in progress has nothing in it yet, each part is added by an event of its own.
    fn item(&self, at: usize, status: &str) -> Value {
        let Some(answer) = self.answer(at) else { return Value::Null };
        let begins = status == "in_progress";
        match &answer.kind {
            Kind::Text => {
                let content = if begins { json!([]) } else { json!([part(&answer.text)]) };
                json!({
                    "id": self.item_id(at), "type": "message", "role": "assistant", "status": status,
                    "content": content,
                })
            }
            Kind::Call(name) => json!({
                "id": self.item_id(at), "type": "function_call", "status": status, "call_id": self.call_id(at),
                "name": name, "arguments": if begins { "" } else { &answer.text },
            }),
        }
    }

    fn item_id(&self, at: usize) -> String {
        let kind = match self.answer(at).map(|answer| &answer.kind) {
            Some(Kind::Call(_)) => "fc",
            Some(Kind::Text) | None => "msg",
        };
        self.numbered(kind, at)
    }

    fn call_id(&self, at: usize) -> String {
        self.numbered("call", at)
    }

    fn numbered(&self, kind: &str, at: usize) -> String {
        match at {
            0 => format!("{kind}_{}", self.id),
            at => format!("{kind}_{}_{at}", self.id),
        }
    }

    fn events(self: Arc<Self>) -> Pieces {
        let response = Arc::clone(&self);
        let items = (0..self.turn.parts.len()).flat_map(move |at| {
            let pieces = response.answer(at).map_or(0, Answer::pieces);
            let is_text = response.answer(at).is_some_and(|answer| matches!(answer.kind, Kind::Text));
            [Step::ItemAdded(at)]
                .into_iter()
                .chain(is_text.then_some(Step::PartAdded(at)))
                .chain((0..pieces).map(move |piece| Step::Delta(at, piece)))
                .chain([Step::TextDone(at)])
                .chain(is_text.then_some(Step::PartDone(at)))
                .chain([Step::ItemDone(at)])
        });
        let steps = [Step::Created, Step::InProgress].into_iter().chain(items).chain([Step::Ended]);
        Box::new(steps.enumerate().map(move |(number, step)| self.event(number, step)))
    }

    fn event(&self, number: usize, step: Step) -> Piece {
        let (kind, mut fields) = self.step(step);
        fields.insert("type".to_owned(), json!(kind));
        fields.insert("sequence_number".to_owned(), json!(number));
        let bytes = named(kind, &Value::Object(fields));
        match step {
            Step::Delta(..) => Piece::word(bytes),
            Step::Created
            | Step::InProgress
            | Step::ItemAdded(_)
            | Step::PartAdded(_)
            | Step::TextDone(_)
            | Step::PartDone(_)
            | Step::ItemDone(_)
            | Step::Ended => Piece::at_once(bytes),
        }
    }

    /// The type of an event and its fields but the type and number.
    fn step(&self, step: Step) -> (&'static str, Map<String, Value>) {
        let of_item =
            |at: usize, status| fields([("output_index", json!(at)), ("item", self.item(at, status))]);
        match step {
            Step::Created => ("response.created", fields([("response", self.envelope.clone())])),
            Step::InProgress => ("response.in_progress", fields([("response", self.envelope.clone())])),
            Step::ItemAdded(at) => ("response.output_item.added", of_item(at, "in_progress")),
            Step::PartAdded(at) => ("response.content_part.added", self.at_part(at, [("part", part(""))])),
            Step::Delta(at, piece) => self.delta(at, piece),
            Step::TextDone(at) => self.text_done(at),
            Step::PartDone(at) => {
                let text = self.answer(at).map_or("", |answer| &answer.text);
                ("response.content_part.done", self.at_part(at, [("part", part(text))]))
            }
            Step::ItemDone(at) => ("response.output_item.done", of_item(at, self.status())),
            Step::Ended => {
                let kind = if self.turn.cut { "response.incomplete" } else { "response.completed" };
                (kind, fields([("response", self.ended())]))
            }
        }
    }

    fn delta(&self, at: usize, piece: usize) -> (&'static str, Map<String, Value>) {
        let text = self.answer(at).map_or("", |answer| answer.piece(piece));
        match self.answer(at).map(|answer| &answer.kind) {
            Some(Kind::Call(_)) => {
                ("response.function_call_arguments.delta", self.at_item(at, [("delta", json!(text))]))
            }
            Some(Kind::Text) | None => {
                let delta = [("delta", json!(text)), ("logprobs", json!([]))];
                ("response.output_text.delta", self.at_part(at, delta))
            }
        }
    }

    fn text_done(&self, at: usize) -> (&'static str, Map<String, Value>) {
        let text = self.answer(at).map_or("", |answer| &answer.text);
        match self.answer(at).map(|answer| &answer.kind) {
            Some(Kind::Call(name)) => {
                let done = [("name", json!(name)), ("arguments", json!(text))];
                ("response.function_call_arguments.done", self.at_item(at, done))
            }
            Some(Kind::Text) | None => {
                let done = [("text", json!(text)), ("logprobs", json!([]))];
                ("response.output_text.done", self.at_part(at, done))
            }
        }
    }

    fn at_item<const N: usize>(&self, at: usize, more: [(&str, Value); N]) -> Map<String, Value> {
        let mut fields = fields(more);
        fields.insert("item_id".to_owned(), json!(self.item_id(at)));
        fields.insert("output_index".to_owned(), json!(at));
        fields
    }

    fn at_part<const N: usize>(&self, at: usize, more: [(&str, Value); N]) -> Map<String, Value> {
        let mut fields = self.at_item(at, more);
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
