//! `POST chat/completions`: one completion, or its chunks.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{Answer, Choice, Kind, Saying, Tool};
use super::body::{Piece, Pieces};
use super::error::ApiError;
use super::face::Face;
use super::node::Node;
use super::reply::{Reply, Stamp, data, done};
use super::request::{Ask, refused, texts, words};

pub(super) fn reply(ask: &Ask, saying: &Saying<'_>, stamp: &Stamp) -> Result<Reply, ApiError> {
    let prompt = Prompt::of(ask)?;
    let bound = ask.bound(&["max_completion_tokens", "max_tokens"]);
    let answer = match prompt.tool(ask).filter(|_| saying.large.is_none()) {
        Some(tool) => Answer::calls(&tool, bound),
        None => Answer::says(saying, &ask.model, prompt.words, bound),
    };
    let chat = Chat {
        id: format!("chatcmpl-{}", stamp.id),
        call: format!("call_{}", stamp.id),
        created: stamp.created,
        model: ask.model.clone(),
        usage: Usage::of(prompt.words, answer.tokens() * ask.n as u64),
        include_usage: ask.include_usage,
        n: ask.n,
        answer,
    };
    let tokens = chat.usage.total_tokens;
    Ok(if ask.stream {
        Reply::events(Arc::new(chat).events(), tokens)
    } else {
        Reply::json(chat.whole(), tokens)
    })
}

/// The messages, as far as the answer depends on them.
struct Prompt<'a> {
    words: u64,
    /// The texts of the last message, where a tool may be named.
    last: Vec<&'a str>,
    /// The last message is a tool's result: the answer is text.
    after_tool: bool,
}

impl<'a> Prompt<'a> {
    fn of(ask: &'a Ask) -> Result<Self, ApiError> {
        let messages = ask.required("messages")?.as_array().filter(|all| !all.is_empty());
        let Some(messages) = messages else {
            let message = "Invalid 'messages': expected a non-empty array.";
            return Err(refused(message).about("messages"));
        };
        check(ask)?;
        let content = |message: &'a Value| message.get("content").map(texts).unwrap_or_default();
        let last = messages.last().unwrap_or(&Value::Null);
        Ok(Self {
            words: messages.iter().flat_map(content).map(words).sum(),
            last: content(last),
            after_tool: last.get("role").and_then(Value::as_str) == Some("tool"),
        })
    }

    fn tool(&self, ask: &'a Ask) -> Option<Tool<'a>> {
        if self.after_tool {
            return None;
        }
        let choice = Choice::openai(ask.echo("tool_choice"));
        Tool::chosen(Tool::openai(ask.echo("tools")), &choice, &self.last).into_iter().next()
    }
}

/// What the provider refuses of tools and their calls.
fn check(ask: &Ask) -> Result<(), ApiError> {
    if ask.echo("parallel_tool_calls").is_some() && ask.echo("tools").is_none() {
        let message = "'parallel_tool_calls' is only allowed when 'tools' are specified.";
        return Err(refused(message).about("parallel_tool_calls"));
    }
    let mut called = Vec::new();
    for message in Node::body(Face::OpenAi, &ask.fields).required("messages")?.items()? {
        if let Some(calls) = message.field("tool_calls") {
            for call in calls.items()? {
                called.push(call.required("id")?.text()?);
                if let Some(function) = call.field("function") {
                    function.required("arguments")?.text()?;
                }
            }
        }
        let role = message.field("role").and_then(|role| role.value().as_str());
        if role == Some("tool") {
            let id = message.required("tool_call_id")?;
            if !called.contains(&id.text()?) {
                return Err(id.wrong("it matches no call of an earlier message"));
            }
        }
    }
    Ok(())
}

/// Usage as chat and completions report it. Words count as tokens; nothing is cached.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    pub(super) total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Debug, Default, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

impl Usage {
    pub(super) fn of(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptDetails::default(),
            completion_tokens_details: CompletionDetails::default(),
        }
    }
}

/// One answer to a call.
struct Chat {
    id: String,
    /// The id of the tool call, if there is one.
    call: String,
    created: i64,
    model: String,
    usage: Usage,
    include_usage: bool,
    n: usize,
    answer: Answer,
}

impl Chat {
    fn finish_reason(&self) -> &'static str {
        match (&self.answer.kind, self.answer.cut) {
            (Kind::Text | Kind::Call(_), true) => "length",
            (Kind::Text, false) => "stop",
            (Kind::Call(_), false) => "tool_calls",
        }
    }

    fn call_id(&self, index: usize) -> String {
        format!("{}{index}", self.call)
    }

    fn whole(&self) -> Vec<u8> {
        let choices: Vec<Value> = (0..self.n).map(|index| self.choice(index)).collect();
        let whole = Whole {
            id: &self.id,
            object: "chat.completion",
            created: self.created,
            model: &self.model,
            choices: &choices,
            usage: &self.usage,
            service_tier: "default",
            system_fingerprint: "fp_mock",
        };
        serde_json::to_vec(&whole).unwrap_or_default()
    }

    fn choice(&self, index: usize) -> Value {
        let message = match &self.answer.kind {
            Kind::Text => json!({
                "role": "assistant", "content": self.answer.text, "refusal": null, "annotations": [],
            }),
            Kind::Call(name) => json!({
                "role": "assistant", "content": null, "refusal": null,
                "tool_calls": [{
                    "id": self.call_id(index), "type": "function",
                    "function": { "name": name, "arguments": self.answer.text },
                }],
            }),
        };
        json!({ "index": index, "message": message, "logprobs": null, "finish_reason": self.finish_reason() })
    }

    /// A role chunk, one chunk per token, a finish chunk (for each of the `n`, interleaved); then usage.
    fn events(self: Arc<Self>) -> Pieces {
        let (n, pieces) = (self.n, self.answer.pieces());
        let step = move |chat: &Arc<Self>| {
            let chat = Arc::clone(chat);
            move |at: usize| (Arc::clone(&chat), at / n, at % n)
        };
        let roles = (0..n)
            .map(step(&self))
            .map(|(chat, _, index)| Piece::at_once(chat.chunk(index, chat.opening(index), None)));
        let words = (0..pieces * n).map(step(&self)).map(|(chat, at, index)| {
            let bytes = chat.chunk(index, chat.delta(at), None);
            // The `n` answers are spoken side by side, not one after another.
            if index == 0 { Piece::word(bytes) } else { Piece::at_once(bytes) }
        });
        let finishes = (0..n).map(step(&self)).map(|(chat, _, index)| {
            Piece::at_once(chat.chunk(index, Delta::default(), Some(chat.finish_reason())))
        });
        let usage = self.include_usage.then(|| Piece::at_once(self.event(&[], Some(&self.usage))));
        Box::new(roles.chain(words).chain(finishes).chain(usage).chain([done()]))
    }

    fn opening(&self, index: usize) -> Delta<'_> {
        match &self.answer.kind {
            Kind::Text => Delta {
                role: Some("assistant"),
                content: Some(Some("")),
                refusal: Some(()),
                tool_calls: None,
            },
            Kind::Call(name) => Delta {
                role: Some("assistant"),
                content: Some(None),
                refusal: None,
                tool_calls: Some([CallDelta {
                    index: 0,
                    id: Some(self.call_id(index)),
                    kind: Some("function"),
                    function: FunctionDelta { name: Some(name), arguments: "" },
                }]),
            },
        }
    }

    fn delta(&self, at: usize) -> Delta<'_> {
        let piece = self.answer.piece(at);
        match self.answer.kind {
            Kind::Text => Delta { content: Some(Some(piece)), ..Delta::default() },
            Kind::Call(_) => Delta {
                tool_calls: Some([CallDelta {
                    index: 0,
                    id: None,
                    kind: None,
                    function: FunctionDelta { name: None, arguments: piece },
                }]),
                ..Delta::default()
            },
        }
    }

    fn chunk(&self, index: usize, delta: Delta<'_>, finish_reason: Option<&'static str>) -> Bytes {
        self.event(&[ChunkChoice { index, delta, finish_reason }], None)
    }

    fn event(&self, choices: &[ChunkChoice<'_>], usage: Option<&Usage>) -> Bytes {
        data(&Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage: self.include_usage.then_some(usage),
        })
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: &'a [Value],
    usage: &'a Usage,
    service_tier: &'static str,
    system_fingerprint: &'static str,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    /// Absent where the caller did not ask; null in all chunks but the last where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<&'a Usage>>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: usize,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

#[derive(Serialize)]
struct CallDelta<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}
