//! `POST completions`: the older API, a text for each prompt.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, Saying};
use super::body::{Piece, Pieces};
use super::chat::Usage;
use super::error::ApiError;
use super::reply::{Reply, Stamp, data, done};
use super::request::{Ask, Input, inputs, refused};

pub(super) fn reply(ask: &Ask, saying: &Saying<'_>, stamp: &Stamp) -> Result<Reply, ApiError> {
    let prompts = inputs(ask.required("prompt")?)
        .ok_or_else(|| refused("Invalid 'prompt': expected a text or tokens.").about("prompt"))?;
    let words: u64 = prompts.iter().map(Input::tokens).sum();
    let answer = Answer::says(saying, &ask.model, words, ask.bound(&["max_tokens"]));
    let n = prompts.len() * ask.n;
    let text = Completion {
        id: format!("cmpl-{}", stamp.id),
        created: stamp.created,
        model: ask.model.clone(),
        usage: Usage::of(words, answer.tokens() * n as u64),
        include_usage: ask.include_usage,
        n,
        answer,
    };
    let tokens = text.usage.total_tokens;
    Ok(if ask.stream {
        Reply::events(Arc::new(text).events(), tokens)
    } else {
        Reply::json(text.whole().to_string(), tokens)
    })
}

struct Completion {
    id: String,
    created: i64,
    model: String,
    usage: Usage,
    include_usage: bool,
    n: usize,
    answer: Answer,
}

impl Completion {
    fn whole(&self) -> Value {
        let choices: Vec<Value> =
            (0..self.n).map(|index| choice(index, &self.answer.text, Some(self.finish_reason()))).collect();
        let mut whole = self.envelope(&choices);
        whole["usage"] = json!(self.usage);
        whole
    }

    fn finish_reason(&self) -> &'static str {
        if self.answer.cut { "length" } else { "stop" }
    }

    fn envelope(&self, choices: &[Value]) -> Value {
        json!({
            "id": self.id, "object": "text_completion", "created": self.created, "model": self.model,
            "choices": choices,
        })
    }

    fn events(self: Arc<Self>) -> Pieces {
        let (n, pieces) = (self.n, self.answer.pieces());
        let text = Arc::clone(&self);
        let words = (0..pieces * n).map(move |at| {
            let (at, index) = (at / n, at % n);
            let bytes = text.event(&[choice(index, text.answer.piece(at), None)], &Value::Null);
            if index == 0 { Piece::word(bytes) } else { Piece::at_once(bytes) }
        });
        let text = Arc::clone(&self);
        let finishes = (0..n).map(move |index| {
            let last = choice(index, "", Some(text.finish_reason()));
            Piece::at_once(text.event(&[last], &Value::Null))
        });
        let usage = self.include_usage.then(|| Piece::at_once(self.event(&[], &json!(self.usage))));
        Box::new(words.chain(finishes).chain(usage).chain([done()]))
    }

    fn event(&self, choices: &[Value], usage: &Value) -> Bytes {
        let mut event = self.envelope(choices);
        if self.include_usage {
            event["usage"] = usage.clone();
        }
        data(&event)
    }
}

fn choice(index: usize, text: &str, finish_reason: Option<&'static str>) -> Value {
    json!({ "index": index, "text": text, "logprobs": null, "finish_reason": finish_reason })
}
