//! `POST chat/completions`: one completion, or its chunks.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{Choice, Kind, Saying, Tool};
use super::body::{Piece, Pieces};
use super::error::ApiError;
use super::face::Face;
use super::node::Node;
use super::reply::{Reply, Stamp, data, done};
use super::request::{Ask, refused, texts, words};
use super::turn::{Part, Turn, Wanted};

pub(super) fn reply(ask: &Ask, saying: &Saying<'_>, stamp: &Stamp) -> Result<Reply, ApiError> {
    let prompt = Prompt::of(ask)?;
    let turn = Turn::of(
        saying,
        &Wanted {
            model: &ask.model,
            prompt: prompt.words,
            calls: prompt.calls(ask),
            thinks: false,
            stops: stops(ask),
            bound: ask.bound(&["max_completion_tokens", "max_tokens"]),
        },
    );
    let (_, said) = turn.tokens();
    let chat = Chat {
        id: format!("chatcmpl-{}", stamp.id),
        call: format!("call_{}", stamp.id),
        created: stamp.created,
        model: ask.model.clone(),
        usage: Usage::of(prompt.words, said * ask.n as u64),
        include_usage: ask.include_usage,
        n: ask.n,
        turn,
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

    fn calls(&self, ask: &'a Ask) -> Vec<Tool<'a>> {
        if self.after_tool { Vec::new() } else { calls(ask, &self.last) }
    }
}

/// What ends a text when it would be said: one, or several.
fn stops(ask: &Ask) -> Vec<&str> {
    let stop = ask.echo("stop");
    let several = stop.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    several.iter().chain(stop).filter_map(Value::as_str).collect()
}

/// The tools to call where a prompt ends with these texts: one, if the caller wants no more at once.
pub(super) fn calls<'a>(ask: &'a Ask, last: &[&str]) -> Vec<Tool<'a>> {
    let choice = Choice::openai(ask.echo("tool_choice"));
    let mut chosen = Tool::chosen(Tool::openai(ask.echo("tools")), &choice, last);
    let parallel = ask.echo("parallel_tool_calls").and_then(Value::as_bool).unwrap_or(true);
    chosen.truncate(if parallel { usize::MAX } else { 1 });
    chosen
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
    /// What the ids of its calls begin with.
    call: String,
    created: i64,
    model: String,
    usage: Usage,
    include_usage: bool,
    n: usize,
    turn: Turn,
}

/// The chunks of a stream that say something; a number is that of a part, a second one that of its piece.
#[derive(Clone, Copy)]
enum Step {
    /// The role, and the first call if there is one.
    Opening,
    /// A call after the first begins.
    Call(usize),
    Piece(usize, usize),
}

impl Chat {
    fn finish_reason(&self) -> &'static str {
        let calls = self.turn.parts.iter().any(|part| matches!(part.answer.kind, Kind::Call(_)));
        match (self.turn.cut, calls) {
            (true, _) => "length",
            (false, true) => "tool_calls",
            (false, false) => "stop",
        }
    }

    /// The id of a call: of the choice, and of its place there.
    fn call_id(&self, index: usize, place: usize) -> String {
        match place {
            0 => format!("{}{index}", self.call),
            place => format!("{}{index}_{place}", self.call),
        }
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
        let mut text = "";
        let mut calls = Vec::new();
        for (place, part) in self.turn.parts.iter().enumerate() {
            match &part.answer.kind {
                Kind::Text => text = &part.answer.text,
                Kind::Call(name) => calls.push(json!({
                    "id": self.call_id(index, place), "type": "function",
                    "function": { "name": name, "arguments": part.answer.text },
                })),
            }
        }
        let message = if calls.is_empty() {
            json!({ "role": "assistant", "content": text, "refusal": null, "annotations": [] })
        } else {
            json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": calls })
        };
        json!({ "index": index, "message": message, "logprobs": null, "finish_reason": self.finish_reason() })
    }

    /// A role chunk, one chunk per token, a finish chunk (for each of the `n`, interleaved); then usage.
    fn events(self: Arc<Self>) -> Pieces {
        let n = self.n;
        let chat = Arc::clone(&self);
        let parts = (0..self.turn.parts.len()).flat_map(move |part| {
            let pieces = chat.turn.parts.get(part).map_or(0, |part| part.answer.pieces());
            let begins = (part > 0).then_some(Step::Call(part));
            begins.into_iter().chain((0..pieces).map(move |at| Step::Piece(part, at)))
        });
        let chat = Arc::clone(&self);
        let said = [Step::Opening].into_iter().chain(parts).flat_map(move |step| {
            let chat = Arc::clone(&chat);
            (0..n).map(move |index| chat.piece(step, index))
        });
        let chat = Arc::clone(&self);
        let finishes = (0..n).map(move |index| {
            Piece::at_once(chat.chunk(index, Delta::default(), Some(chat.finish_reason())))
        });
        let usage = self.include_usage.then(|| Piece::at_once(self.event(&[], Some(&self.usage))));
        Box::new(said.chain(finishes).chain(usage).chain([done()]))
    }

    fn piece(&self, step: Step, index: usize) -> Piece {
        match step {
            Step::Opening => Piece::at_once(self.chunk(index, self.opening(index), None)),
            Step::Call(part) => Piece::at_once(self.chunk(index, self.begins(part, index), None)),
            Step::Piece(part, at) => {
                let bytes = self.chunk(index, self.delta(part, at), None);
                // The `n` answers are spoken side by side, not one after another.
                if index == 0 { Piece::word(bytes) } else { Piece::at_once(bytes) }
            }
        }
    }

    fn opening(&self, index: usize) -> Delta<'_> {
        let begins = self.begins(0, index);
        let (content, refusal) =
            if begins.tool_calls.is_some() { (None, None) } else { (Some(""), Some(())) };
        Delta { role: Some("assistant"), content: Some(content), refusal, ..begins }
    }

    /// What begins a part: of a text nothing.
    fn begins(&self, part: usize, index: usize) -> Delta<'_> {
        let kind = self.turn.parts.get(part).map(|part| &part.answer.kind);
        let Some(Kind::Call(name)) = kind else { return Delta::default() };
        Delta {
            tool_calls: Some([CallDelta {
                index: part,
                id: Some(self.call_id(index, part)),
                kind: Some("function"),
                function: FunctionDelta { name: Some(name), arguments: "" },
            }]),
            ..Delta::default()
        }
    }

    fn delta(&self, part: usize, at: usize) -> Delta<'_> {
        let Some(Part { answer, .. }) = self.turn.parts.get(part) else { return Delta::default() };
        let piece = answer.piece(at);
        match answer.kind {
            Kind::Text => Delta { content: Some(Some(piece)), ..Delta::default() },
            Kind::Call(_) => Delta {
                tool_calls: Some([CallDelta {
                    index: part,
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
