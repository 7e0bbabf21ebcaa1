//! What calls and answers say, whatever dialect says it: the one form between any two dialects.
//!
//! A dialect decodes into it and encodes from it; no dialect knows another. Text stays as JSON wrote it, escapes and
//! all ([`Literal`]), and so do schemas and arguments ([`Raw`]): what is only carried over is never read.

mod literal;
mod loss;
#[cfg(test)]
pub(crate) mod samples;

use std::collections::HashSet;

pub(crate) use self::literal::{Literal, Raw};
pub use self::loss::{Loss, Losses, Weight};
use crate::dialect::Dialect;
use crate::usage::Usage;

/// A call for an answer.
///
/// Like all types here it has `Debug` in tests only: its text is somebody's prompt.
#[derive(Clone, Default, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Request<'a> {
    /// The conversation, in order. Turns of one speaker may follow each other.
    pub(crate) turns: Vec<Turn<'a>>,
    pub(crate) tools: Vec<Tool<'a>>,
    pub(crate) tool_choice: Option<ToolChoice<'a>>,
    /// Whether several tools may be called at once.
    pub(crate) parallel_tool_calls: Option<bool>,
    /// The longest answer, of each choice.
    pub(crate) max_output: Option<u64>,
    pub(crate) temperature: Option<Raw<'a>>,
    pub(crate) top_p: Option<Raw<'a>>,
    pub(crate) top_k: Option<Raw<'a>>,
    pub(crate) frequency_penalty: Option<Raw<'a>>,
    pub(crate) presence_penalty: Option<Raw<'a>>,
    pub(crate) seed: Option<Raw<'a>>,
    pub(crate) stop: Vec<Literal<'a>>,
    pub(crate) format: Option<Format<'a>>,
    pub(crate) reasoning: Option<Reasoning>,
    /// How many tokens beside the chosen one are told with their probability.
    pub(crate) logprobs: Option<u64>,
    /// How many answers; one where nothing is said.
    pub(crate) choices: Option<u64>,
    /// The caller's word for its user.
    pub(crate) user: Option<Literal<'a>>,
    /// An object of texts.
    pub(crate) metadata: Option<Raw<'a>>,
    /// Whether a stream is asked for.
    pub(crate) stream: bool,
}

/// What one speaker says.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Turn<'a> {
    pub(crate) speaker: Speaker,
    /// The speaker's own name, which OpenAI's chat knows.
    pub(crate) name: Option<Literal<'a>>,
    pub(crate) parts: Vec<Part<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Instructions, wherever they stand.
    System,
    /// The same under OpenAI's newer name. Elsewhere it is `System`.
    Developer,
    /// The user, and the results of tools.
    User,
    /// The model.
    Model,
}

/// A piece of what is said.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Part<'a> {
    pub(crate) content: Content<'a>,
    /// The prompt up to here is to be kept in the provider's cache.
    pub(crate) cache: Option<Cache>,
}

#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Content<'a> {
    Text(Literal<'a>),
    /// What the model says in place of an answer.
    Refusal(Literal<'a>),
    Image {
        source: Source<'a>,
        detail: Option<Literal<'a>>,
    },
    Document {
        source: Source<'a>,
        name: Option<Literal<'a>>,
    },
    /// `format` is a file name's ending: wav, mp3.
    Audio {
        data: Literal<'a>,
        format: Literal<'a>,
    },
    Reasoning {
        text: Literal<'a>,
        signature: Option<Signature<'a>>,
    },
    /// Reasoning that only its provider can read.
    Redacted(Signature<'a>),
    ToolCall(ToolCall<'a>),
    ToolResult(ToolResult<'a>),
}

/// How long a cached prompt is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    /// Minutes.
    Short,
    /// An hour or more.
    Long,
}

/// Where a picture or document is.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Source<'a> {
    /// Here, in base64.
    Inline {
        media_type: Literal<'a>,
        data: Literal<'a>,
    },
    /// Here, as plain text.
    Text(Literal<'a>),
    Url(Literal<'a>),
    /// Kept by the provider that the caller spoke to; no other has it.
    File(Literal<'a>),
}

/// What a provider wants back unchanged with the part that it came with; it means nothing to any other.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Signature<'a> {
    pub(crate) by: Dialect,
    pub(crate) text: Literal<'a>,
}

/// Calls without an id have got one by their place: `call_0`, `call_1`.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct ToolCall<'a> {
    pub(crate) id: Literal<'a>,
    pub(crate) name: Literal<'a>,
    /// An object.
    pub(crate) arguments: Raw<'a>,
    pub(crate) signature: Option<Signature<'a>>,
}

#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct ToolResult<'a> {
    /// Of the call.
    pub(crate) id: Literal<'a>,
    /// Of the tool, as the call has it.
    pub(crate) name: Literal<'a>,
    /// Texts, pictures, documents.
    pub(crate) parts: Vec<Part<'a>>,
    pub(crate) is_error: bool,
}

#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Tool<'a> {
    pub(crate) name: Literal<'a>,
    pub(crate) description: Option<Literal<'a>>,
    /// JSON Schema of its arguments, an object.
    pub(crate) parameters: Option<Raw<'a>>,
    pub(crate) strict: Option<bool>,
    pub(crate) cache: Option<Cache>,
}

#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum ToolChoice<'a> {
    Auto,
    None,
    /// Some tool has to be called.
    Required,
    /// One of these has to be called: never empty.
    OneOf(Vec<Literal<'a>>),
    /// These may be called, or none: never empty.
    Allowed(Vec<Literal<'a>>),
}

/// The form of an answer's text.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Format<'a> {
    /// Some JSON object.
    Json,
    /// JSON of this schema.
    Schema {
        name: Option<Literal<'a>>,
        description: Option<Literal<'a>>,
        schema: Raw<'a>,
        strict: Option<bool>,
    },
}

/// How much the model is to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reasoning {
    Off,
    /// As much as it thinks right.
    Auto,
    Effort(Effort),
    /// At most so many tokens.
    Budget(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

/// A whole answer.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Answer<'a> {
    pub(crate) id: Literal<'a>,
    pub(crate) model: Literal<'a>,
    /// In order.
    pub(crate) choices: Vec<Choice<'a>>,
    pub(crate) usage: Option<Usage>,
}

#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Choice<'a> {
    /// What the model says: no images, documents, audio or tool results.
    pub(crate) parts: Vec<Part<'a>>,
    pub(crate) finish: Finish,
    /// The stop sequence at which it ended.
    pub(crate) stop: Option<Literal<'a>>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// By itself.
    Stop,
    /// At a stop sequence.
    StopSequence,
    /// The longest answer was reached.
    Length,
    /// The window was full.
    Window,
    ToolCalls,
    /// It was held back, for what it or the prompt says.
    Filtered,
    /// The model will not answer.
    Refused,
    /// The provider paused; the caller may let it go on.
    Paused,
}

/// A piece of an answer that comes bit by bit. The pieces of one choice come in order; those of several may mix.
///
/// An answer is `Start`, then pieces, then a `Finish` of each choice; `Usage` at any place, each replaces what its fields
/// say before; then `End`.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Event<'a> {
    Start {
        id: Literal<'a>,
        model: Literal<'a>,
    },
    Text {
        choice: u32,
        text: Literal<'a>,
    },
    Refusal {
        choice: u32,
        text: Literal<'a>,
    },
    Reasoning {
        choice: u32,
        text: Literal<'a>,
    },
    /// Of the reasoning before it.
    Signature {
        choice: u32,
        signature: Signature<'a>,
    },
    Redacted {
        choice: u32,
        data: Signature<'a>,
    },
    /// A call begins. `index` counts the calls of its choice from 0.
    ToolCall {
        choice: u32,
        index: u32,
        id: Literal<'a>,
        name: Literal<'a>,
        signature: Option<Signature<'a>>,
    },
    /// A piece of the JSON text of its arguments, as a JSON string writes it. It may be split anywhere.
    Arguments {
        choice: u32,
        index: u32,
        json: Literal<'a>,
    },
    Finish {
        choice: u32,
        finish: Finish,
        stop: Option<Literal<'a>>,
    },
    Usage(Usage),
    /// Nothing follows.
    End,
}

impl<'a> Request<'a> {
    /// The tools of these names; all where none are given.
    pub(crate) fn tools_named(&self, names: Option<&[Literal<'_>]>) -> Vec<&Tool<'a>> {
        let Some(names) = names else { return self.tools.iter().collect() };
        let names: HashSet<_> = names.iter().map(Literal::text).collect();
        self.tools.iter().filter(|tool| names.contains(&tool.name.text())).collect()
    }
}

impl<'a> Part<'a> {
    /// A part that nobody wants cached.
    pub(crate) fn of(content: Content<'a>) -> Self {
        Self { content, cache: None }
    }
}

impl Effort {
    /// The word that OpenAI and Anthropic use.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The one of that word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        [Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max]
            .into_iter()
            .find(|effort| effort.word() == word)
    }
}
