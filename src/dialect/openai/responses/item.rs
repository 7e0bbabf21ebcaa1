//! How a response is written: itself, its items and their parts.

use crate::dialect::neutral::{Finish, Literal, Raw};
use crate::dialect::write::{Object, object};
use crate::usage::Usage;

/// What every form of a response says of itself.
pub(super) struct Head {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) model: Literal<'static>,
}

/// How far a response, or an item of it, has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    /// For this reason.
    Incomplete(&'static str),
}

/// What the model says in words.
pub(super) struct Said {
    pub(super) refuses: bool,
    pub(super) text: Literal<'static>,
}

/// A function call, but for its arguments.
pub(super) struct Called {
    pub(super) id: Literal<'static>,
    pub(super) name: Literal<'static>,
}

impl Status {
    /// How an answer stands that ended so. One that is refused in words is whole.
    pub(super) fn of(finish: Finish, refuses: bool) -> Self {
        match finish {
            Finish::Refused if refuses => Self::Completed,
            Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::Paused => Self::Completed,
            Finish::Length | Finish::Window => Self::Incomplete("max_output_tokens"),
            Finish::Filtered | Finish::Refused => Self::Incomplete("content_filter"),
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
        }
    }
}

impl Head {
    /// The members of the response. What a response repeats of its request has the defaults: the SDKs need it, and
    /// whoever asked knows better.
    pub(super) fn response(
        &self,
        o: &mut Object<'_>,
        status: Status,
        items: &[Raw<'_>],
        usage: Option<&Usage>,
    ) {
        o.text("id", &self.id);
        o.word("object", "response");
        o.signed("created_at", self.created);
        o.word("status", status.word());
        o.null("error");
        match status {
            Status::Incomplete(reason) => o.object("incomplete_details", |o| o.word("reason", reason)),
            Status::InProgress | Status::Completed => o.null("incomplete_details"),
        }
        o.null("instructions");
        o.literal("model", &self.model);
        o.array("output", |a| items.iter().for_each(|item| a.raw(item)));
        o.flag("parallel_tool_calls", true);
        o.word("tool_choice", "auto");
        o.array("tools", |_| {});
        o.object("metadata", |_| {});
        o.json("temperature", "1.0");
        o.json("top_p", "1.0");
        match usage {
            Some(usage) => o.object("usage", |o| counts(o, usage)),
            None => o.null("usage"),
        }
    }
}

fn counts(o: &mut Object<'_>, usage: &Usage) {
    o.number("input_tokens", usage.total_input().0);
    o.object("input_tokens_details", |o| {
        o.number("cached_tokens", usage.cache_read.0);
        o.number("cache_write_tokens", usage.cache_write.0);
    });
    o.number("output_tokens", usage.total_output().0);
    o.object("output_tokens_details", |o| o.number("reasoning_tokens", usage.reasoning.0));
    o.number("total_tokens", usage.total().0);
}

pub(super) fn message(id: &str, status: Status, parts: &[Raw<'_>]) -> Raw<'static> {
    written(|o| {
        o.text("id", id);
        o.word("type", "message");
        o.word("role", "assistant");
        o.word("status", status.word());
        o.array("content", |a| parts.iter().for_each(|part| a.raw(part)));
    })
}

/// A part of a message.
pub(super) fn part(said: &Said) -> Raw<'static> {
    written(|o| {
        if said.refuses {
            o.word("type", "refusal");
            o.literal("refusal", &said.text);
        } else {
            o.word("type", "output_text");
            o.literal("text", &said.text);
            o.array("annotations", |_| {});
            o.array("logprobs", |_| {});
        }
    })
}

pub(super) fn reasoning(
    id: &str,
    summary: Option<&Literal<'_>>,
    sealed: Option<&Literal<'_>>,
) -> Raw<'static> {
    written(|o| {
        o.text("id", id);
        o.word("type", "reasoning");
        o.array("summary", |a| {
            if let Some(text) = summary {
                a.raw(&summary_part(text));
            }
        });
        if let Some(sealed) = sealed {
            o.literal("encrypted_content", sealed);
        }
    })
}

/// The only part of a summary.
pub(super) fn summary_part(text: &Literal<'_>) -> Raw<'static> {
    written(|o| {
        o.word("type", "summary_text");
        o.literal("text", text);
    })
}

pub(super) fn call(id: &str, status: Status, called: &Called, arguments: &Literal<'_>) -> Raw<'static> {
    written(|o| {
        o.text("id", id);
        o.word("type", "function_call");
        o.word("status", status.word());
        o.literal("call_id", &called.id);
        o.literal("name", &called.name);
        o.literal("arguments", arguments);
    })
}

fn written(members: impl FnOnce(&mut Object<'_>)) -> Raw<'static> {
    let mut json = Vec::new();
    object(&mut json, members);
    Raw::written(json)
}
