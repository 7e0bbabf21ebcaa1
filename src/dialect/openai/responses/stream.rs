//! A stream of events, the last of which holds the whole response.
//!
//! Items do not interleave: what is said beside a call whose arguments are not whole yet waits until they are.

mod open;
mod waiting;

use self::open::Open;
use super::item::{self, Head, Status};
use super::sealed;
use crate::dialect::Api;
use crate::dialect::error::{Cause, Problem, stream_event};
use crate::dialect::neutral::{Event, Finish, Literal, Raw};
use crate::dialect::translate::Stamp;
use crate::dialect::write::{Object, object};
use crate::usage::Usage;

/// So many bytes of a response are kept for the end of its stream.
pub(super) const MOST_KEPT: usize = 8 * 1024 * 1024;

/// Writes a stream.
pub(crate) struct Encoder {
    head: Head,
    /// What the ids of items are made of.
    stem: String,
    events: Events,
    begun: bool,
    ended: bool,
    /// The items that are ended.
    items: Vec<Raw<'static>>,
    open: Option<Open>,
    /// Of the open item.
    item_id: String,
    /// What comes after the open item.
    waiting: Vec<Event<'static>>,
    /// Bytes of all these.
    kept: usize,
    usage: Option<Usage>,
    finish: Finish,
    /// Whether the model has refused in words.
    refuses: bool,
}

/// Numbers the events and writes them.
struct Events {
    next: u64,
    /// Nothing is written.
    silent: bool,
}

impl Events {
    fn write(&mut self, out: &mut Vec<u8>, kind: &str, members: impl FnOnce(&mut Object<'_>)) {
        if self.silent {
            return;
        }
        for piece in ["event: ", kind, "\ndata: "] {
            out.extend_from_slice(piece.as_bytes());
        }
        object(out, |o| {
            o.word("type", kind);
            o.number("sequence_number", self.next);
            members(o);
        });
        out.extend_from_slice(b"\n\n");
        self.next += 1;
    }
}

impl Encoder {
    pub(crate) fn new(stamp: &Stamp<'_>) -> Self {
        let model = Literal::from_text(stamp.model);
        let head = Head { id: format!("resp_{}", stamp.id), created: stamp.created, model };
        Self::of(head, stamp.id)
    }

    /// A response of this id, the items of which have ids of their own that end alike.
    pub(in crate::dialect::openai) fn named(id: &str, created: i64, model: &str) -> Self {
        Self::of(Head { id: id.to_owned(), created, model: Literal::from_text(model) }, id)
    }

    fn of(head: Head, stem: &str) -> Self {
        Self {
            head,
            stem: stem.to_owned(),
            events: Events { next: 0, silent: false },
            begun: false,
            ended: false,
            items: Vec::new(),
            open: None,
            item_id: String::new(),
            waiting: Vec::new(),
            kept: 0,
            usage: None,
            finish: Finish::Stop,
            refuses: false,
        }
    }

    /// Writes nothing, and keeps as much as there is: for a response that is asked for whole.
    pub(in crate::dialect::openai) fn in_silence(mut self) -> Self {
        self.events.silent = true;
        self
    }

    /// Writes what an event comes to: whole events, perhaps none. Nothing follows the end.
    pub(crate) fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { model, .. } => self.begin(Some(model), out),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { choice: 0, finish, .. } => {
                self.finish = *finish;
                self.end_items(out);
            }
            Event::Finish { .. } => {}
            Event::End => self.end(out),
            Event::Text { .. }
            | Event::Refusal { .. }
            | Event::Reasoning { .. }
            | Event::Signature { .. }
            | Event::Redacted { .. }
            | Event::ToolCall { .. }
            | Event::Arguments { .. } => self.piece(event, out),
        }
        if self.kept > MOST_KEPT && !self.events.silent && !self.ended {
            self.give_up(out);
        }
    }

    /// A message of ours, be its text empty.
    pub(in crate::dialect::openai) fn message(&mut self, text: &Literal<'_>, out: &mut Vec<u8>) {
        self.begin(None, out);
        self.words(false, text, out);
    }

    /// The members of the response as it stands.
    pub(in crate::dialect::openai) fn response(&self, o: &mut Object<'_>) {
        self.head.response(o, self.status(), &self.items, self.usage.as_ref());
    }

    fn status(&self) -> Status {
        Status::of(self.finish, self.refuses)
    }

    fn begin(&mut self, model: Option<&Literal<'_>>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        if let Some(model) = model.filter(|model| !model.is_empty()) {
            self.head.model = model.clone().into_owned();
        }
        for kind in ["response.created", "response.in_progress"] {
            let head = &self.head;
            self.events.write(out, kind, |o| {
                o.object("response", |o| head.response(o, Status::InProgress, &[], None));
            });
        }
    }

    /// Takes a piece of the answer: at once, or when those before it are through.
    fn piece(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        self.begin(None, out);
        if self.has_to_wait(event) {
            self.kept += waiting::size(event);
            self.waiting.extend(waiting::owned(event));
            return;
        }
        self.say(event, out);
        while !self.waiting.is_empty() && !self.is_within_a_call() {
            self.say_waiting(out);
        }
    }

    /// Whether the open item is a call that is not whole, and the event not a piece of it.
    fn has_to_wait(&self, event: &Event<'_>) -> bool {
        match (&self.open, event) {
            (Some(Open::Call(call)), Event::Arguments { index, .. }) if call.index == *index => false,
            (Some(Open::Call(_)), _) => !self.waiting.is_empty() || self.is_within_a_call(),
            (Some(Open::Message { .. } | Open::Reasoning(_)) | None, _) => false,
        }
    }

    fn is_within_a_call(&self) -> bool {
        matches!(&self.open, Some(Open::Call(call)) if !call.is_whole())
    }

    /// Ends the open item and says what has waited for it; some of it may have to wait again.
    fn say_waiting(&mut self, out: &mut Vec<u8>) {
        self.close(Status::Completed, out);
        for event in std::mem::take(&mut self.waiting) {
            self.kept = self.kept.saturating_sub(waiting::size(&event));
            if self.has_to_wait(&event) {
                self.kept += waiting::size(&event);
                self.waiting.push(event);
            } else {
                self.say(&event, out);
            }
        }
    }

    fn say(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Text { choice: 0, text } if !text.is_empty() => self.words(false, text, out),
            Event::Refusal { choice: 0, text } if !text.is_empty() => {
                self.refuses = true;
                self.words(true, text, out);
            }
            Event::Reasoning { choice: 0, text } if !text.is_empty() => self.thought(text, out),
            Event::Signature { choice: 0, signature } => self.signed(&sealed::signature(signature), out),
            Event::Redacted { choice: 0, data } => self.sealed(&sealed::redacted(data), out),
            Event::ToolCall { choice: 0, index, id, name, signature } => {
                if let Some(signature) = signature {
                    self.sealed(&sealed::signature(signature), out);
                }
                self.call(*index, id, name, out);
            }
            Event::Arguments { choice: 0, index, json } => self.arguments(*index, json, out),
            // Empty pieces, other choices, and what is no piece.
            Event::Text { .. }
            | Event::Refusal { .. }
            | Event::Reasoning { .. }
            | Event::Signature { .. }
            | Event::Redacted { .. }
            | Event::ToolCall { .. }
            | Event::Arguments { .. }
            | Event::Start { .. }
            | Event::Finish { .. }
            | Event::Usage(_)
            | Event::End => {}
        }
    }

    /// Ends all items: the last one in the way of the whole answer.
    fn end_items(&mut self, out: &mut Vec<u8>) {
        while !self.waiting.is_empty() {
            self.say_waiting(out);
        }
        self.close(self.status(), out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(None, out);
        self.end_items(out);
        self.ended = true;
        let status = self.status();
        let kind = if status == Status::Completed { "response.completed" } else { "response.incomplete" };
        let Self { head, events, items, usage, .. } = self;
        events.write(out, kind, |o| {
            o.object("response", |o| head.response(o, status, items, usage.as_ref()));
        });
    }

    /// The whole response would be too large.
    fn give_up(&mut self, out: &mut Vec<u8>) {
        self.ended = true;
        (self.items, self.open, self.waiting) = (Vec::new(), None, Vec::new());
        let message = "The answer is too long for a stream that ends with the whole of it.";
        let problem = Problem { cause: Cause::StreamInterrupted, message, param: None, wait: None };
        out.extend_from_slice(&stream_event(Api::Responses, &problem));
    }

    /// The next item begins, under an id with this prefix.
    fn begin_item(&mut self, prefix: &str, written: impl FnOnce(&str) -> Raw<'static>, out: &mut Vec<u8>) {
        self.item_id = format!("{prefix}_{}_{}", self.stem, self.items.len());
        self.item_event("response.output_item.added", &written(&self.item_id), out);
    }

    /// An item is ended, and kept.
    fn item_done(&mut self, item: Raw<'static>, out: &mut Vec<u8>) {
        self.item_event("response.output_item.done", &item, out);
        self.kept += item.raw().len();
        self.items.push(item);
    }

    fn item_event(&mut self, kind: &str, item: &Raw<'_>, out: &mut Vec<u8>) {
        let place = self.place();
        self.events.write(out, kind, |o| {
            o.number("output_index", place);
            o.raw("item", item);
        });
    }

    /// Of the item that is open, or comes next.
    fn place(&self) -> u64 {
        self.items.len() as u64
    }

    /// A reasoning item that only its provider can read.
    fn sealed(&mut self, sealed: &Literal<'_>, out: &mut Vec<u8>) {
        self.close(Status::Completed, out);
        self.begin_item("rs", |id| item::reasoning(id, None, None), out);
        self.item_done(item::reasoning(&self.item_id, None, Some(sealed)), out);
    }
}
