//! Writes a stream, event by event.

use smallvec::SmallVec;

use super::answer::{encode_usage, write_signature};
use super::spoken;
use crate::dialect::Dialect;
use crate::dialect::neutral::{Event, Finish, Literal, Signature};
use crate::dialect::translate::Stamp;
use crate::dialect::write::{self, Object};
use crate::usage::Usage;

const DONE: &[u8] = b"data: [DONE]\n\n";

/// Writes a stream.
pub(crate) struct Encoder {
    created: i64,
    /// Until the answer says its own.
    id: Literal<'static>,
    model: Literal<'static>,
    include_usage: bool,
    /// What every chunk begins with; empty until the first.
    head: Vec<u8>,
    choices: SmallVec<[Open; 1]>,
    usage: Option<Usage>,
}

/// A choice that was spoken of.
struct Open {
    index: u32,
    refuses: bool,
    /// The call that has no arguments yet.
    bare: Option<u32>,
}

impl Encoder {
    pub(crate) fn new(stamp: &Stamp<'_>) -> Self {
        Self {
            created: stamp.created,
            id: spoken::answer_id(stamp),
            model: Literal::from_text(stamp.model),
            include_usage: stamp.include_usage,
            head: Vec::new(),
            choices: SmallVec::new(),
            usage: None,
        }
    }

    /// Writes what an event says, as whole events of the stream.
    pub(crate) fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model } => {
                self.begin(id, model);
                self.open(0, out);
            }
            Event::Text { choice, text } => self.say(*choice, "content", text, out),
            Event::Reasoning { choice, text } => self.say(*choice, "reasoning_content", text, out),
            Event::Refusal { choice, text } => {
                self.say(*choice, "refusal", text, out);
                if let Some(open) = self.find(*choice) {
                    open.refuses = true;
                }
            }
            // Chats have no place for them.
            Event::Signature { .. } | Event::Redacted { .. } => {}
            Event::ToolCall { choice, index, id, name, signature } => {
                self.call(*choice, *index, (id, name, signature.as_ref()), out);
            }
            Event::Arguments { choice, index, json } => self.arguments(*choice, *index, json, out),
            Event::Finish { choice, finish, .. } => self.finish(*choice, *finish, out),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::End => self.end(out),
        }
    }

    fn begin(&mut self, id: &Literal<'_>, model: &Literal<'_>) {
        self.head.clear();
        self.head.extend_from_slice(b"data: {\"id\":");
        write::literal(&mut self.head, id);
        self.head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        self.head.extend_from_slice(itoa::Buffer::new().format(self.created).as_bytes());
        self.head.extend_from_slice(b",\"model\":");
        write::literal(&mut self.head, model);
        self.head.extend_from_slice(b",\"choices\":[");
    }

    fn find(&mut self, index: u32) -> Option<&mut Open> {
        self.choices.iter_mut().find(|choice| choice.index == index)
    }

    /// Begins a choice that was not spoken of yet: its first chunk names the role.
    fn open(&mut self, index: u32, out: &mut Vec<u8>) {
        if self.head.is_empty() {
            let (id, model) = (self.id.clone(), self.model.clone());
            self.begin(&id, &model);
        }
        if self.find(index).is_none() {
            self.choices.push(Open { index, refuses: false, bare: None });
            self.chunk(index, None, out, |delta| {
                delta.word("role", "assistant");
                delta.word("content", "");
            });
        }
    }

    fn chunk(
        &self,
        index: u32,
        finish: Option<&'static str>,
        out: &mut Vec<u8>,
        delta: impl FnOnce(&mut Object<'_>),
    ) {
        out.extend_from_slice(&self.head);
        write::object(out, |choice| {
            choice.number("index", index.into());
            choice.object("delta", delta);
            match finish {
                Some(reason) => choice.word("finish_reason", reason),
                None => choice.null("finish_reason"),
            }
        });
        out.extend_from_slice(if self.include_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" });
    }

    fn say(&mut self, choice: u32, name: &'static str, text: &Literal<'_>, out: &mut Vec<u8>) {
        self.close_call(choice, out);
        if !text.is_empty() {
            self.chunk(choice, None, out, |delta| delta.literal(name, text));
        }
    }

    fn call(
        &mut self,
        choice: u32,
        index: u32,
        (id, name, signature): (&Literal<'_>, &Literal<'_>, Option<&Signature<'_>>),
        out: &mut Vec<u8>,
    ) {
        self.close_call(choice, out);
        if let Some(open) = self.find(choice) {
            open.bare = Some(index);
        }
        self.call_chunk(choice, index, out, |call| {
            call.literal("id", id);
            call.word("type", "function");
            call.object("function", |function| {
                function.literal("name", name);
                function.word("arguments", "");
            });
            if let Some(signature) = signature.filter(|signature| signature.by == Dialect::Gemini) {
                write_signature(call, &signature.text);
            }
        });
    }

    fn arguments(&mut self, choice: u32, index: u32, json: &Literal<'_>, out: &mut Vec<u8>) {
        if json.is_empty() {
            return;
        }
        self.open(choice, out);
        if let Some(open) = self.find(choice) {
            open.bare = open.bare.filter(|bare| *bare != index);
        }
        self.call_chunk(choice, index, out, |call| {
            call.object("function", |function| function.literal("arguments", json));
        });
    }

    /// Whatever comes next of a choice, its last call gets the arguments that it has not got: SDKs read an object there.
    fn close_call(&mut self, choice: u32, out: &mut Vec<u8>) {
        self.open(choice, out);
        if let Some(bare) = self.find(choice).and_then(|open| open.bare) {
            self.arguments(choice, bare, &Literal::word("{}"), out);
        }
    }

    fn call_chunk(&self, choice: u32, index: u32, out: &mut Vec<u8>, call: impl FnOnce(&mut Object<'_>)) {
        self.chunk(choice, None, out, |delta| {
            delta.array("tool_calls", |calls| {
                calls.object(|object| {
                    object.number("index", index.into());
                    call(object);
                });
            });
        });
    }

    fn finish(&mut self, choice: u32, finish: Finish, out: &mut Vec<u8>) {
        self.close_call(choice, out);
        let refuses = self.find(choice).is_some_and(|open| open.refuses);
        self.chunk(choice, Some(spoken::reason(finish, refuses)), out, |_| {});
    }

    /// Usage, where the caller asked for it, and the word that ends a stream.
    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.filter(|_| self.include_usage) {
            self.open(0, out);
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"],\"usage\":");
            write::object(out, |object| encode_usage(object, &usage));
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(DONE);
    }
}
