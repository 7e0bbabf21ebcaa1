//! The item that is being written: how it begins, goes on and ends.

use super::super::arguments::Brackets;
use super::super::item::{self, Called, Said, Status};
use super::Encoder;
use crate::dialect::neutral::{Literal, Raw};
use crate::dialect::write::Object;

pub(super) enum Open {
    /// With the parts that are ended, and the one that is not.
    Message {
        ended: Vec<Raw<'static>>,
        said: Said,
    },
    /// With its text so far.
    Reasoning(Literal<'static>),
    Call(Call),
}

pub(super) struct Call {
    pub(super) index: u32,
    called: Called,
    arguments: Literal<'static>,
    brackets: Brackets,
}

impl Call {
    pub(super) fn is_whole(&self) -> bool {
        self.brackets.are_closed()
    }
}

impl Encoder {
    /// Goes on with a text or a refusal, or begins one.
    pub(super) fn words(&mut self, refuses: bool, text: &Literal<'_>, out: &mut Vec<u8>) {
        self.open_part(refuses, out);
        let place = self.place();
        let Some(Open::Message { ended, said }) = &mut self.open else { return };
        said.text.push(text);
        self.kept += text.raw().len();
        let kind = if refuses { "response.refusal.delta" } else { "response.output_text.delta" };
        self.events.write(out, kind, |o| {
            o.text("item_id", &self.item_id);
            o.number("output_index", place);
            o.number("content_index", ended.len() as u64);
            o.literal("delta", text);
            if !refuses {
                o.array("logprobs", |_| {});
            }
        });
    }

    /// What is open is a part of this kind from here on.
    fn open_part(&mut self, refuses: bool, out: &mut Vec<u8>) {
        match self.open.take() {
            Some(Open::Message { ended, said }) if said.refuses == refuses => {
                self.open = Some(Open::Message { ended, said });
            }
            Some(Open::Message { mut ended, said }) => {
                ended.push(self.end_part(ended.len(), &said, out));
                self.begin_part(ended, refuses, out);
            }
            other => {
                self.open = other;
                self.close(Status::Completed, out);
                self.begin_item("msg", |id| item::message(id, Status::InProgress, &[]), out);
                self.begin_part(Vec::new(), refuses, out);
            }
        }
    }

    fn begin_part(&mut self, ended: Vec<Raw<'static>>, refuses: bool, out: &mut Vec<u8>) {
        let said = Said { refuses, text: Literal::default() };
        self.part_event("response.content_part.added", ended.len(), &item::part(&said), out);
        self.open = Some(Open::Message { ended, said });
    }

    /// The part as it is now that nothing is added to it.
    fn end_part(&mut self, place: usize, said: &Said, out: &mut Vec<u8>) -> Raw<'static> {
        let item_place = self.place();
        let kind = if said.refuses { "response.refusal.done" } else { "response.output_text.done" };
        self.events.write(out, kind, |o| {
            o.text("item_id", &self.item_id);
            o.number("output_index", item_place);
            o.number("content_index", place as u64);
            if said.refuses {
                o.literal("refusal", &said.text);
            } else {
                o.literal("text", &said.text);
                o.array("logprobs", |_| {});
            }
        });
        let part = item::part(said);
        self.part_event("response.content_part.done", place, &part, out);
        part
    }

    fn part_event(&mut self, kind: &str, place: usize, part: &Raw<'_>, out: &mut Vec<u8>) {
        let item_place = self.place();
        self.events.write(out, kind, |o| {
            o.text("item_id", &self.item_id);
            o.number("output_index", item_place);
            o.number("content_index", place as u64);
            o.raw("part", part);
        });
    }

    /// Goes on with a thought, or begins one.
    pub(super) fn thought(&mut self, text: &Literal<'_>, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Reasoning(_))) {
            self.close(Status::Completed, out);
            self.begin_item("rs", |id| item::reasoning(id, None, None), out);
            let empty = Literal::default();
            self.summary_event("response.reasoning_summary_part.added", out, |o| {
                o.raw("part", &item::summary_part(&empty));
            });
            self.open = Some(Open::Reasoning(empty));
        }
        if let Some(Open::Reasoning(whole)) = &mut self.open {
            whole.push(text);
            self.kept += text.raw().len();
        }
        self.summary_event("response.reasoning_summary_text.delta", out, |o| o.literal("delta", text));
    }

    /// A signature of the thought that is open, or of one that is not told.
    pub(super) fn signed(&mut self, sealed: &Literal<'_>, out: &mut Vec<u8>) {
        match self.open.take() {
            Some(Open::Reasoning(text)) => self.end_thought(&text, Some(sealed), out),
            other => {
                self.open = other;
                self.sealed(sealed, out);
            }
        }
    }

    fn end_thought(&mut self, text: &Literal<'_>, sealed: Option<&Literal<'_>>, out: &mut Vec<u8>) {
        self.kept = self.kept.saturating_sub(text.raw().len());
        self.summary_event("response.reasoning_summary_text.done", out, |o| o.literal("text", text));
        self.summary_event("response.reasoning_summary_part.done", out, |o| {
            o.raw("part", &item::summary_part(text));
        });
        self.item_done(item::reasoning(&self.item_id, Some(text), sealed), out);
    }

    fn summary_event(&mut self, kind: &str, out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
        let place = self.place();
        self.events.write(out, kind, |o| {
            o.text("item_id", &self.item_id);
            o.number("output_index", place);
            o.number("summary_index", 0);
            members(o);
        });
    }

    /// Begins a call.
    pub(super) fn call(&mut self, index: u32, id: &Literal<'_>, name: &Literal<'_>, out: &mut Vec<u8>) {
        self.close(Status::Completed, out);
        let called = Called { id: id.clone().into_owned(), name: name.clone().into_owned() };
        let arguments = Literal::default();
        self.begin_item("fc", |id| item::call(id, Status::InProgress, &called, &arguments), out);
        self.open = Some(Open::Call(Call { index, called, arguments, brackets: Brackets::default() }));
    }

    /// Goes on with the arguments of the open call; none of another one come here but after its end.
    pub(super) fn arguments(&mut self, index: u32, json: &Literal<'_>, out: &mut Vec<u8>) {
        let place = self.place();
        let Some(Open::Call(call)) = self.open.as_mut().filter(|_| !json.is_empty()) else { return };
        if call.index != index {
            return;
        }
        call.arguments.push(json);
        call.brackets.take(json);
        self.kept += json.raw().len();
        self.events.write(out, "response.function_call_arguments.delta", |o| {
            o.text("item_id", &self.item_id);
            o.number("output_index", place);
            o.literal("delta", json);
        });
    }

    fn end_call(&mut self, call: &Call, status: Status, out: &mut Vec<u8>) {
        self.kept = self.kept.saturating_sub(call.arguments.raw().len());
        let place = self.place();
        self.events.write(out, "response.function_call_arguments.done", |o| {
            o.text("item_id", &self.item_id);
            o.number("output_index", place);
            o.literal("name", &call.called.name);
            o.literal("arguments", &call.arguments);
        });
        self.item_done(item::call(&self.item_id, status, &call.called, &call.arguments), out);
    }

    /// Ends the open item, if there is one.
    pub(super) fn close(&mut self, status: Status, out: &mut Vec<u8>) {
        match self.open.take() {
            Some(Open::Message { mut ended, said }) => {
                self.kept = self.kept.saturating_sub(said.text.raw().len());
                ended.push(self.end_part(ended.len(), &said, out));
                let item = item::message(&self.item_id, status, &ended);
                self.item_done(item, out);
            }
            Some(Open::Reasoning(text)) => self.end_thought(&text, None, out),
            Some(Open::Call(call)) => {
                // The SDKs parse them: what is called without arguments is called with an object.
                let index = call.index;
                if call.arguments.is_blank() {
                    self.open = Some(Open::Call(call));
                    self.arguments(index, &Literal::word("{}"), out);
                    return self.close(status, out);
                }
                self.end_call(&call, status, out);
            }
            None => {}
        }
    }
}
