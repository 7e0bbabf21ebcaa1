//! Gemini's methods behind `models/{id}:`: an answer whole, in events or as an array; counts; vectors.
//!
//! Its cache is implicit: what came before the last turn counts as read from it.

mod contents;
mod embed;
mod request;
mod schema;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Kind, Saying};
use super::body::{Piece, Pieces};
use super::error::ApiError;
use super::face::Face;
use super::reply::{Reply, Stamp, data_crlf};
use super::turn::{Part, SIGNATURE, Turn};
use request::Ask;

/// What is asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Generate,
    /// In events, or as one array.
    Stream {
        sse: bool,
    },
    Count,
    Embed,
    EmbedMany,
}

impl Verb {
    /// The verb at the end of a path and the model before it, which may hold slashes.
    pub(super) fn of<'a>(path: &'a str, query: Option<&str>) -> Option<(Self, &'a str)> {
        let (rest, verb) = path.rsplit_once(':')?;
        let verb = match verb {
            "generateContent" => Self::Generate,
            "streamGenerateContent" => {
                let sse = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
                Self::Stream { sse }
            }
            "countTokens" => Self::Count,
            "embedContent" => Self::Embed,
            "batchEmbedContents" => Self::EmbedMany,
            _ => return None,
        };
        let model = match (rest.split_once("/models/"), rest.rfind("/tunedModels/")) {
            (Some((_, model)), _) => model,
            (None, Some(at)) => rest.get(at + 1..)?,
            (None, None) => return None,
        };
        (!model.is_empty()).then_some((verb, model))
    }
}

/// What is asked of a model.
pub(super) fn reply(
    verb: Verb,
    model: &str,
    body: &[u8],
    saying: &Saying<'_>,
    stamp: &Stamp,
) -> Result<Reply, ApiError> {
    let body = request::parse(body)?;
    match verb {
        Verb::Generate => {
            let generation = Generation::of(model, &body, saying, stamp)?;
            let tokens = generation.tokens();
            Ok(json_reply(&generation.whole(), tokens))
        }
        Verb::Stream { sse } => {
            let generation = Generation::of(model, &body, saying, stamp)?;
            let tokens = generation.tokens();
            Ok(if sse {
                let pieces = Arc::new(generation).chunks(data_crlf);
                Reply::events(pieces, tokens).of_type("text/event-stream")
            } else {
                let pieces = Arc::new(generation).chunks(|chunk| chunk.to_string().into());
                Reply::items(pieces, tokens)
            })
        }
        Verb::Count => {
            let count = request::count(model, &body)?;
            let details = json!([{ "modality": "TEXT", "tokenCount": count }]);
            Ok(json_reply(&json!({ "totalTokens": count, "promptTokensDetails": details }), 0))
        }
        Verb::Embed => embed::one(&body).map(|(body, tokens)| json_reply(&body, tokens)),
        Verb::EmbedMany => embed::many(&body).map(|(body, tokens)| json_reply(&body, tokens)),
    }
}

fn json_reply(body: &Value, tokens: u64) -> Reply {
    Reply::json(body.to_string(), tokens).of_type(Face::Gemini.json_type())
}

/// The major version in a model's name, such as 3 of `gemini-3.8-flash`.
fn version(model: &str) -> Option<u32> {
    let (_, version) = model.split_once("gemini-")?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version.get(..digits)?.parse().ok()
}

/// Whether calls have ids and signatures: from version 3 on.
fn has_ids(model: &str) -> bool {
    version(model).is_some_and(|version| version >= 3)
}

/// One answer to a call.
struct Generation {
    id: String,
    model: String,
    /// How many candidates; they say the same.
    n: usize,
    prompt: u64,
    /// How much of the prompt was cached.
    cached: u64,
    /// Whether thoughts are told; they are paid for in any case.
    shown: bool,
    turn: Turn,
}

/// The chunks of a stream; each is of one candidate.
#[derive(Clone, Copy)]
enum Step {
    /// A piece of a part that is text.
    Piece { part: usize, at: usize, candidate: usize },
    /// The end, with all calls.
    End(usize),
}

impl Generation {
    fn of(model: &str, body: &Value, saying: &Saying<'_>, stamp: &Stamp) -> Result<Self, ApiError> {
        let ask = Ask::of(model, body)?;
        Ok(Self {
            id: stamp.id.clone(),
            model: model.to_owned(),
            n: ask.candidates,
            prompt: ask.prompt,
            cached: ask.cached,
            shown: ask.shown,
            turn: Turn::of(saying, &ask.wanted()),
        })
    }

    /// What the whole call cost.
    fn tokens(&self) -> u64 {
        let (thoughts, said) = self.spoken();
        self.prompt + thoughts + said
    }

    /// Tokens of the thoughts and of the text or calls of all candidates.
    fn spoken(&self) -> (u64, u64) {
        let (thoughts, said) = self.turn.tokens();
        (thoughts * self.n as u64, said * self.n as u64)
    }

    fn finish_reason(&self) -> &'static str {
        if self.turn.cut { "MAX_TOKENS" } else { "STOP" }
    }

    fn whole(&self) -> Value {
        let candidate = |candidate| {
            let texts = self.texts().map(|(_, part)| text(part, &part.answer.text));
            let parts = texts.chain(self.calls(candidate)).collect();
            self.candidate(candidate, parts, Some(self.finish_reason()))
        };
        let (thoughts, said) = self.spoken();
        self.response(&(0..self.n).map(candidate).collect::<Vec<_>>(), thoughts, said)
    }

    /// The parts that are told piece by piece, with their numbers.
    fn texts(&self) -> impl Iterator<Item = (usize, &Part)> {
        self.turn.parts.iter().enumerate().filter(|(_, part)| match part.answer.kind {
            Kind::Text => self.shown || !part.thought,
            Kind::Call(_) => false,
        })
    }

    /// The parts that are calls. One whose arguments were cut is none.
    fn calls(&self, candidate: usize) -> Vec<Value> {
        let has_ids = has_ids(&self.model);
        let mut calls = Vec::new();
        for (index, part) in self.turn.parts.iter().enumerate() {
            let Kind::Call(name) = &part.answer.kind else {
                continue;
            };
            let Ok(args) = serde_json::from_str::<Value>(&part.answer.text) else {
                continue;
            };
            let mut call = json!({ "functionCall": { "name": name, "args": args } });
            if has_ids {
                call["functionCall"]["id"] = json!(format!("{}{candidate}{index}", self.id));
                if calls.is_empty() {
                    call["thoughtSignature"] = json!(SIGNATURE);
                }
            }
            calls.push(call);
        }
        calls
    }

    /// The answer so far, framed chunk by chunk.
    fn chunks(self: Arc<Self>, framed: fn(&Value) -> Bytes) -> Pieces {
        let n = self.n;
        let texts: Vec<_> = self.texts().map(|(part, text)| (part, text.answer.pieces())).collect();
        let pieces = texts.into_iter().flat_map(move |(part, pieces)| {
            (0..pieces).flat_map(move |at| (0..n).map(move |candidate| Step::Piece { part, at, candidate }))
        });
        let steps = pieces.chain((0..n).map(Step::End));
        Box::new(steps.map(move |step| {
            let bytes = framed(&self.chunk(step));
            // The candidates are spoken side by side, not one after another.
            if self.is_word(step) { Piece::word(bytes) } else { Piece::at_once(bytes) }
        }))
    }

    fn is_word(&self, step: Step) -> bool {
        match step {
            Step::Piece { candidate, .. } => candidate == 0,
            Step::End(candidate) => candidate == 0 && !self.calls(candidate).is_empty(),
        }
    }

    fn chunk(&self, step: Step) -> Value {
        match step {
            Step::Piece { part, at, candidate } => {
                let said = self.turn.parts.get(part).map(|part| text(part, part.answer.piece(at)));
                let (thoughts, said_so_far) = self.spoken_at(part, at, candidate);
                let candidate = self.candidate(candidate, said.into_iter().collect(), None);
                self.response(&[candidate], thoughts, said_so_far)
            }
            Step::End(candidate) => {
                let mut parts = self.calls(candidate);
                if parts.is_empty() {
                    parts.push(json!({ "text": "" }));
                }
                let (thoughts, said) = self.spoken();
                let candidate = self.candidate(candidate, parts, Some(self.finish_reason()));
                self.response(&[candidate], thoughts, said)
            }
        }
    }

    /// Tokens of thoughts and of all else when so much has been told: cumulative in every chunk.
    fn spoken_at(&self, part: usize, at: usize, candidate: usize) -> (u64, u64) {
        let (mut thoughts, mut said) = (0, 0);
        for (index, other) in self.turn.parts.iter().enumerate().take(part + 1) {
            let tokens = |pieces| other.answer.tokens_of(pieces);
            let (n, told) = (self.n as u64, candidate as u64 + 1);
            let tokens = if index < part {
                other.answer.tokens() * n
            } else {
                tokens(at + 1) * told + tokens(at) * (n - told)
            };
            *if other.thought { &mut thoughts } else { &mut said } += tokens;
        }
        (thoughts, said)
    }

    fn candidate(&self, index: usize, parts: Vec<Value>, finish_reason: Option<&str>) -> Value {
        let mut content = json!({ "role": "model" });
        // An answer that was cut before it said anything has no parts at all.
        if !parts.is_empty() {
            content["parts"] = Value::Array(parts);
        }
        let mut candidate = json!({ "content": content, "index": index });
        if let Some(reason) = finish_reason {
            candidate["finishReason"] = json!(reason);
        }
        candidate
    }

    fn response(&self, candidates: &[Value], thoughts: u64, said: u64) -> Value {
        let mut usage = json!({
            "promptTokenCount": self.prompt,
            "totalTokenCount": self.prompt + thoughts + said,
            "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": self.prompt }],
        });
        // What is none is left out.
        let counts = [
            ("cachedContentTokenCount", self.cached),
            ("thoughtsTokenCount", thoughts),
            ("candidatesTokenCount", said),
        ];
        for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            usage[name] = json!(count);
        }
        json!({
            "candidates": candidates, "usageMetadata": usage, "modelVersion": self.model, "responseId": self.id,
        })
    }
}

/// A part that is text, or a piece of one.
fn text(part: &Part, piece: &str) -> Value {
    if part.thought { json!({ "text": piece, "thought": true }) } else { json!({ "text": piece }) }
}
