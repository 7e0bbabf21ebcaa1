//! Reads a stream: each event is a whole answer with the new parts.

use super::answer::names;
use super::candidate::{Call, Candidate, Said, candidates, is_blocked, made_id};
use super::finish::Reason;
use crate::dialect::gemini::usage;
use crate::dialect::json::{self, Kind};
use crate::dialect::neutral::{Event, Finish, Literal};
use crate::dialect::translate::Stamp;

/// Reads a stream.
pub(crate) struct Decoder {
    id: String,
    model: String,
    begun: bool,
    /// The prompt was not let through.
    blocked: bool,
    /// In the order of their first pieces.
    choices: Vec<Choice>,
}

/// What is known of a choice.
struct Choice {
    index: u32,
    calls: u32,
    /// Whether it has said anything.
    spoke: bool,
    /// Further pieces may follow it.
    reason: Option<Reason>,
}

impl Decoder {
    pub(crate) fn new(stamp: &Stamp<'_>) -> Self {
        Self {
            id: stamp.id.to_owned(),
            model: stamp.model.to_owned(),
            begun: false,
            blocked: false,
            choices: Vec::new(),
        }
    }

    /// Reads one event. What is no answer says nothing.
    pub(crate) fn read(&mut self, data: &[u8], write: &mut dyn FnMut(Event<'_>)) {
        let Some(answer) = json::document(data).ok().filter(|answer| answer.kind == Kind::Object) else {
            return;
        };
        if !std::mem::replace(&mut self.begun, true) {
            let (id, model) = names(&answer, &self.stamp());
            write(Event::Start { id, model });
        }
        self.blocked |= is_blocked(&answer);
        for candidate in candidates(&answer) {
            self.candidate(candidate, write);
        }
        if let Some(usage) = answer.member("usageMetadata").and_then(|reported| usage::of(&reported)) {
            write(Event::Usage(usage));
        }
    }

    /// The provider has closed an answer that is whole.
    pub(crate) fn end(&mut self, write: &mut dyn FnMut(Event<'_>)) {
        if !std::mem::replace(&mut self.begun, true) {
            write(Event::Start { id: Literal::from_text(&self.id), model: Literal::from_text(&self.model) });
        }
        self.choices.sort_by_key(|choice| choice.index);
        for Choice { index, calls, reason, .. } in &self.choices {
            let finish = reason.unwrap_or(Reason::Ended(Finish::Stop)).finish(*calls > 0);
            write(Event::Finish { choice: *index, finish, stop: None });
        }
        if self.choices.is_empty() {
            let finish = if self.blocked { Finish::Filtered } else { Finish::Stop };
            write(Event::Finish { choice: 0, finish, stop: None });
        }
        write(Event::End);
    }

    /// Whether the model or the provider has failed before anything was said: what is told so far is no answer.
    pub(crate) fn has_failed(&self) -> bool {
        let failed = |choice: &Choice| !choice.spoke && choice.reason == Some(Reason::Failed);
        !self.choices.is_empty() && self.choices.iter().all(failed)
    }

    fn stamp(&self) -> Stamp<'_> {
        Stamp { id: &self.id, created: 0, model: &self.model, include_usage: false }
    }

    fn candidate(&mut self, candidate: Candidate<'_>, write: &mut dyn FnMut(Event<'_>)) {
        let Candidate { index, said, reason } = candidate;
        let place = self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            self.choices.push(Choice { index, calls: 0, spoke: false, reason: None });
            self.choices.len() - 1
        });
        let Some(choice) = self.choices.get_mut(place) else { return };
        choice.reason = reason.or(choice.reason);
        choice.spoke |= !said.is_empty();
        for said in said {
            choice.say(said, &self.id, write);
        }
    }
}

impl Choice {
    fn say(&mut self, said: Said<'_>, stamp: &str, write: &mut dyn FnMut(Event<'_>)) {
        let choice = self.index;
        match said {
            Said::Text(text) => write(Event::Text { choice, text }),
            Said::Thought(text, signature) => {
                write(Event::Reasoning { choice, text });
                if let Some(signature) = signature {
                    write(Event::Signature { choice, signature });
                }
            }
            Said::Signature(data) => write(Event::Redacted { choice, data }),
            Said::Call(Call { id, name, arguments, signature }) => {
                let index = self.calls;
                self.calls += 1;
                let id = id.unwrap_or_else(|| made_id(stamp, choice, index));
                write(Event::ToolCall { choice, index, id, name, signature });
                let json = Literal::from_text(&String::from_utf8_lossy(arguments.raw()));
                write(Event::Arguments { choice, index, json });
            }
        }
    }
}
