//! `POST messages` and `messages/count_tokens`: one message, or its events in their order.
//!
//! What a cache would hold is told from the request alone: of the words up to the last `cache_control`, those of the
//! last turn are written, those before it read.

mod request;
mod turns;

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::answer::{Kind, Saying};
use super::body::{Piece, Pieces};
use super::error::ApiError;
use super::face::Face;
use super::reply::{Reply, Stamp, named};
use super::turn::{Part, SIGNATURE, Turn};
use request::{Ask, Purpose};
use turns::{Input, Lifetime};

pub(super) fn messages(
    headers: &HeaderMap,
    body: &[u8],
    saying: &Saying<'_>,
    stamp: &Stamp,
) -> Result<Reply, ApiError> {
    let body = request::parse(body)?;
    let ask = Ask::of(&body, headers, Purpose::Message)?;
    let stream = ask.stream;
    let message = Message {
        id: format!("msg_{}", stamp.id),
        call: format!("toolu_{}", stamp.id),
        model: ask.model.to_owned(),
        input: ask.input,
        turn: Turn::of(saying, &ask.wanted()),
    };
    let tokens = message.input.total() + message.output();
    Ok(if stream {
        Reply::events(Arc::new(message).events(), tokens)
    } else {
        Reply::json(message.whole().to_string(), tokens)
    })
}

pub(super) fn count_tokens(headers: &HeaderMap, body: &[u8]) -> Result<Reply, ApiError> {
    let body = request::parse(body)?;
    let ask = Ask::of(&body, headers, Purpose::Count)?;
    Ok(Reply::json(json!({ "input_tokens": ask.input.total() }).to_string(), 0))
}

/// One answer to a call.
struct Message {
    id: String,
    /// What the ids of its calls begin with.
    call: String,
    model: String,
    input: Input,
    turn: Turn,
}

/// The events of a stream, in their order; a number is that of a block, a second one that of its piece.
#[derive(Clone, Copy)]
enum Step {
    Start,
    Ping,
    BlockStart(usize),
    /// The first piece of a call's arguments, of which nothing is known yet.
    Nothing(usize),
    Delta(usize, usize),
    Signature(usize),
    BlockStop(usize),
    Ending,
    Stop,
}

impl Message {
    fn output(&self) -> u64 {
        let (thoughts, said) = self.turn.tokens();
        thoughts + said
    }

    fn stop_reason(&self) -> &'static str {
        let calls = self.turn.parts.iter().any(|part| matches!(part.answer.kind, Kind::Call(_)));
        match (self.turn.cut, &self.turn.stopped) {
            (true, _) => "max_tokens",
            (false, Some(_)) => "stop_sequence",
            (false, None) if calls => "tool_use",
            (false, None) => "end_turn",
        }
    }

    fn whole(&self) -> Value {
        let content = self.turn.parts.iter().enumerate().map(|(index, part)| match &part.answer.kind {
            Kind::Text if part.thought => {
                json!({ "type": "thinking", "thinking": part.answer.text, "signature": SIGNATURE })
            }
            Kind::Text => json!({ "type": "text", "text": part.answer.text }),
            Kind::Call(name) => {
                // Arguments that were cut are none.
                let input = serde_json::from_str(&part.answer.text).unwrap_or_else(|_| json!({}));
                json!({ "type": "tool_use", "id": self.call_id(index), "name": name, "input": input })
            }
        });
        let mut whole = self.envelope(&content.collect::<Vec<_>>());
        whole["stop_reason"] = json!(self.stop_reason());
        whole["stop_sequence"] = json!(self.turn.stopped);
        let mut usage = self.final_usage();
        usage["cache_creation"] = json!({
            "ephemeral_5m_input_tokens": self.input.written_for(Lifetime::Minutes),
            "ephemeral_1h_input_tokens": self.input.written_for(Lifetime::Hour),
        });
        usage["service_tier"] = json!("standard");
        whole["usage"] = usage;
        whole
    }

    /// The message before it has ended.
    fn envelope(&self, content: &[Value]) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": content,
            "stop_reason": null, "stop_sequence": null,
        })
    }

    /// Cumulative: each usage of a stream stands for all before it.
    fn usage(&self, output: u64) -> Value {
        json!({
            "input_tokens": self.input.uncached,
            "cache_creation_input_tokens": self.input.written,
            "cache_read_input_tokens": self.input.read,
            "output_tokens": output,
        })
    }

    /// The usage of the whole message.
    fn final_usage(&self) -> Value {
        let mut usage = self.usage(self.output());
        let (thoughts, _) = self.turn.tokens();
        if thoughts > 0 {
            usage["output_tokens_details"] = json!({ "thinking_tokens": thoughts });
        }
        usage
    }

    fn call_id(&self, index: usize) -> String {
        format!("{}{index}", self.call)
    }

    fn events(self: Arc<Self>) -> Pieces {
        let message = Arc::clone(&self);
        let blocks = (0..self.turn.parts.len()).flat_map(move |index| message.block(index));
        let steps = [Step::Start, Step::Ping].into_iter().chain(blocks).chain([Step::Ending, Step::Stop]);
        Box::new(steps.map(move |step| self.event(step)))
    }

    /// The steps of one block. A call without arguments has no delta.
    fn block(&self, index: usize) -> impl Iterator<Item = Step> + use<> {
        let part = self.turn.parts.get(index);
        let calls = part.is_some_and(|part| matches!(part.answer.kind, Kind::Call(_)));
        let thought = part.is_some_and(|part| part.thought);
        let bare = calls && part.is_some_and(|part| part.answer.text == "{}");
        let pieces = part.filter(|_| !bare).map_or(0, |part| part.answer.pieces());
        [Step::BlockStart(index)]
            .into_iter()
            .chain((calls && !bare).then_some(Step::Nothing(index)))
            .chain((0..pieces).map(move |at| Step::Delta(index, at)))
            .chain(thought.then_some(Step::Signature(index)))
            .chain([Step::BlockStop(index)])
    }

    fn event(&self, step: Step) -> Piece {
        match step {
            Step::Start => {
                let mut message = self.envelope(&[]);
                message["usage"] = self.usage(self.output().min(1));
                message["usage"]["service_tier"] = json!("standard");
                Piece::at_once(event("message_start", json!({ "message": message })))
            }
            Step::Ping => Piece::at_once(Face::Anthropic.ping()),
            Step::BlockStart(index) => {
                let block = self.turn.parts.get(index).map(|part| self.begun(index, part));
                let start = json!({ "index": index, "content_block": block });
                Piece::at_once(event("content_block_start", start))
            }
            Step::Nothing(index) => {
                Piece::at_once(delta(index, &json!({ "type": "input_json_delta", "partial_json": "" })))
            }
            Step::Delta(index, at) => {
                let said = self.turn.parts.get(index).map_or(Value::Null, |part| said(part, at));
                Piece::word(delta(index, &said))
            }
            Step::Signature(index) => {
                Piece::at_once(delta(index, &json!({ "type": "signature_delta", "signature": SIGNATURE })))
            }
            Step::BlockStop(index) => Piece::at_once(event("content_block_stop", json!({ "index": index }))),
            Step::Ending => {
                let delta = json!({ "stop_reason": self.stop_reason(), "stop_sequence": self.turn.stopped });
                let ending = json!({ "delta": delta, "usage": self.final_usage() });
                Piece::at_once(event("message_delta", ending))
            }
            Step::Stop => Piece::at_once(Face::Anthropic.done()),
        }
    }

    /// A block before anything of it is said.
    fn begun(&self, index: usize, part: &Part) -> Value {
        match &part.answer.kind {
            Kind::Text if part.thought => json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Kind::Text => json!({ "type": "text", "text": "" }),
            Kind::Call(name) => {
                json!({ "type": "tool_use", "id": self.call_id(index), "name": name, "input": {} })
            }
        }
    }
}

/// What one piece of a block says.
fn said(part: &Part, at: usize) -> Value {
    let piece = part.answer.piece(at);
    match part.answer.kind {
        Kind::Text if part.thought => json!({ "type": "thinking_delta", "thinking": piece }),
        Kind::Text => json!({ "type": "text_delta", "text": piece }),
        Kind::Call(_) => json!({ "type": "input_json_delta", "partial_json": piece }),
    }
}

fn delta(index: usize, delta: &Value) -> Bytes {
    event("content_block_delta", json!({ "index": index, "delta": delta }))
}

/// An event has its name twice.
fn event(name: &str, mut event: Value) -> Bytes {
    event["type"] = json!(name);
    named(name, &event)
}
