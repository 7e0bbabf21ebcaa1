//! Writes a stream: each event is a whole answer with the new part, and the last one says how it ended.
//!
//! A function call has no pieces in Gemini's streams, so the arguments of one are held until it ends.

use super::answer::{envelope, write_candidate};
use super::{finish, piece, signature};
use crate::dialect::json::{self, Kind};
use crate::dialect::neutral::{Event, Finish, Literal, Raw, Signature};
use crate::dialect::translate::Stamp;
use crate::dialect::write::Array;
use crate::usage::Usage;

/// The longest arguments that are held for a call.
const LONGEST_ARGUMENTS: usize = 1024 * 1024;

/// Writes a stream.
pub(crate) struct Encoder {
    id: Literal<'static>,
    model: Literal<'static>,
    usage: Option<Usage>,
    /// In the order of their first pieces.
    choices: Vec<Choice>,
    ended: bool,
}

/// What is held of a choice.
struct Choice {
    index: u32,
    call: Option<Call>,
    finish: Option<Finish>,
    /// A call could not be written.
    malformed: bool,
}

/// A call whose arguments are still coming.
struct Call {
    index: u32,
    id: Literal<'static>,
    name: Literal<'static>,
    signature: Option<Literal<'static>>,
    arguments: Literal<'static>,
    too_long: bool,
}

impl Encoder {
    pub(crate) fn new(stamp: &Stamp<'_>) -> Self {
        Self {
            id: Literal::from_text(stamp.id),
            model: Literal::from_text(stamp.model),
            usage: None,
            choices: Vec::new(),
            ended: false,
        }
    }

    /// Writes what an event says, as events of its own; after the end nothing.
    pub(crate) fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, model } => {
                self.id = id.clone().into_owned();
                self.model = model.clone().into_owned();
            }
            Event::Text { choice, text } | Event::Refusal { choice, text } => {
                if !text.is_empty() {
                    self.part(*choice, out, |parts| piece::text(parts, text, false, None));
                }
            }
            Event::Reasoning { choice, text } => {
                if !text.is_empty() {
                    self.part(*choice, out, |parts| piece::text(parts, text, true, None));
                }
            }
            Event::Signature { choice, signature } => {
                let written = signature::written(signature);
                self.part(*choice, out, |parts| {
                    piece::text(parts, &Literal::default(), true, Some(&written));
                });
            }
            Event::Redacted { choice, data } => {
                let written = signature::written(data);
                self.part(*choice, out, |parts| piece::signature(parts, &written));
            }
            Event::ToolCall { choice, index, id, name, signature } => {
                self.end_call(*choice, out);
                self.choice(*choice).call = Some(Call::begun(*index, id, name, signature.as_ref()));
            }
            Event::Arguments { choice, index, json } => {
                let call = self.choice(*choice).call.as_mut().filter(|call| call.index == *index);
                if let Some(call) = call {
                    call.go_on(json);
                }
            }
            Event::Finish { choice, finish, stop: _ } => {
                self.end_call(*choice, out);
                self.choice(*choice).finish = Some(*finish);
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::End => self.end(out),
        }
    }

    /// An event of one part.
    fn part(&mut self, choice: u32, out: &mut Vec<u8>, part: impl FnOnce(&mut Array<'_>)) {
        self.end_call(choice, out);
        self.choice(choice);
        self.event(out, None, |candidates| write_candidate(candidates, choice, None, part));
    }

    /// Writes the call that is held. One whose arguments are no object, or too long, is not written: the choice then
    /// ends as Gemini's own do when a call has failed.
    fn end_call(&mut self, choice: u32, out: &mut Vec<u8>) {
        let Some(call) = self.choice(choice).call.take() else { return };
        match call.arguments() {
            Some(arguments) => self.event(out, None, |candidates| {
                write_candidate(candidates, choice, None, |parts| {
                    piece::call(parts, Some(&call.id), &call.name, &arguments, call.signature.as_ref());
                });
            }),
            None => self.choice(choice).malformed = true,
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let begun: Vec<_> = self.choices.iter().map(|choice| choice.index).collect();
        begun.into_iter().for_each(|choice| self.end_call(choice, out));
        if self.choices.is_empty() {
            self.choice(0);
        }
        self.choices.sort_by_key(|choice| choice.index);
        self.event(out, self.usage.as_ref(), |candidates| {
            for choice in &self.choices {
                let finish = choice.finish.unwrap_or(Finish::Stop);
                let reason =
                    if choice.malformed { "MALFORMED_FUNCTION_CALL" } else { finish::written(finish) };
                // Google's clients take a content without parts for a fault, and an empty text for nothing.
                write_candidate(candidates, choice.index, Some(reason), |parts| {
                    piece::text(parts, &Literal::default(), false, None);
                });
            }
        });
        self.ended = true;
    }

    fn event(&self, out: &mut Vec<u8>, usage: Option<&Usage>, candidates: impl FnOnce(&mut Array<'_>)) {
        out.extend_from_slice(b"data: ");
        envelope(out, &self.id, &self.model, usage, candidates);
        out.extend_from_slice(b"\r\n\r\n");
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let place = self.choices.iter().position(|choice| choice.index == index);
        let place = place.unwrap_or(self.choices.len());
        if place == self.choices.len() {
            self.choices.push(Choice { index, call: None, finish: None, malformed: false });
        }
        &mut self.choices[place]
    }
}

impl Call {
    fn begun(index: u32, id: &Literal<'_>, name: &Literal<'_>, signed: Option<&Signature<'_>>) -> Self {
        Self {
            index,
            id: id.clone().into_owned(),
            name: name.clone().into_owned(),
            signature: signed.map(|signed| signature::written(signed).into_owned()),
            arguments: Literal::default(),
            too_long: false,
        }
    }

    fn go_on(&mut self, json: &Literal<'_>) {
        if self.arguments.raw().len() + json.raw().len() > LONGEST_ARGUMENTS {
            self.too_long = true;
        } else {
            self.arguments.push(json);
        }
    }

    /// The arguments as an object, in one line; none where they are none.
    fn arguments(&self) -> Option<Raw<'static>> {
        if self.too_long {
            return None;
        }
        if self.arguments.is_blank() {
            return Some(Raw::word("{}"));
        }
        let text = self.arguments.text();
        json::document(text.as_bytes()).ok().filter(|value| value.kind == Kind::Object)?;
        // Within strings JSON has no line breaks; between its tokens they mean nothing.
        Some(Raw::written(text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect()))
    }
}
