//! The neutral events, written as Anthropic's: one block after the other, each opened, filled and closed.

use super::super::{signature, words};
use super::balance::Balance;
use super::blocks;
use super::calls::{Queue, Waiting};
use crate::dialect::neutral::{Event, Finish, Literal, Signature};
use crate::dialect::translate::Stamp;
use crate::usage::Usage;

/// Writes a stream.
pub(crate) struct Encoder {
    /// What the answer is called if it does not say so.
    id: Literal<'static>,
    model: Literal<'static>,
    begun: bool,
    ended: bool,
    /// The place of the open block, or of the next one.
    index: u64,
    open: Option<Block>,
    /// Calls whose blocks are not open yet.
    waiting: Queue,
    any_call: bool,
    finish: Finish,
    stop: Option<Literal<'static>>,
    usage: Usage,
}

/// The block that is open.
enum Block {
    Text,
    Thinking,
    Call { index: u32, arguments: Balance },
}

/// Anthropic has one choice.
const CHOICE: u32 = 0;

impl Encoder {
    pub(crate) fn new(stamp: &Stamp<'_>) -> Self {
        Self {
            id: words::answer_id(stamp),
            model: Literal::from_text(stamp.model),
            begun: false,
            ended: false,
            index: 0,
            open: None,
            waiting: Queue::default(),
            any_call: false,
            finish: Finish::Stop,
            stop: None,
            usage: Usage::default(),
        }
    }

    pub(crate) fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, model } => self.begin(Some((id, model)), out),
            Event::Text { choice: CHOICE, text } | Event::Refusal { choice: CHOICE, text } => {
                self.say(text, out);
            }
            Event::Reasoning { choice: CHOICE, text } => self.think(text, out),
            Event::Signature { choice: CHOICE, signature } => self.sign(signature, out),
            Event::Redacted { choice: CHOICE, data } => self.redact(data, out),
            Event::ToolCall { choice: CHOICE, index, id, name, signature } => {
                let call = Waiting {
                    index: *index,
                    id: id.clone().into_owned(),
                    name: name.clone().into_owned(),
                    signature: signature.as_ref().map(owned),
                    json: Literal::default(),
                };
                self.call(call, out);
            }
            Event::Arguments { choice: CHOICE, index, json } => self.argue(*index, json, out),
            Event::Finish { choice: CHOICE, finish, stop } => {
                self.finish = *finish;
                self.stop = stop.clone().map(Literal::into_owned);
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::End => self.end(out),
            Event::Text { .. }
            | Event::Refusal { .. }
            | Event::Reasoning { .. }
            | Event::Signature { .. }
            | Event::Redacted { .. }
            | Event::ToolCall { .. }
            | Event::Arguments { .. }
            | Event::Finish { .. } => {}
        }
    }

    fn begin(&mut self, named: Option<(&Literal<'_>, &Literal<'_>)>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let (id, model) = named.unwrap_or((&self.id, &self.model));
        let id = if id.is_empty() { &self.id } else { id };
        let model = if model.is_empty() { &self.model } else { model };
        blocks::message_start(out, id, model, &self.usage);
    }

    fn say(&mut self, text: &Literal<'_>, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.open, Some(Block::Text)) {
            self.make_room(out);
            blocks::start(out, self.index, "text", |block| block.word("text", ""));
            self.open = Some(Block::Text);
        }
        blocks::delta(out, self.index, "text_delta", "text", text);
    }

    fn think(&mut self, text: &Literal<'_>, out: &mut Vec<u8>) {
        if !text.is_empty() {
            self.open_thinking(out);
            blocks::delta(out, self.index, "thinking_delta", "thinking", text);
        }
    }

    /// A signature is the last thing that thinking says.
    fn sign(&mut self, signature: &Signature<'_>, out: &mut Vec<u8>) {
        self.open_thinking(out);
        self.close_signed(signature, out);
    }

    fn close_signed(&mut self, signature: &Signature<'_>, out: &mut Vec<u8>) {
        blocks::delta(out, self.index, "signature_delta", "signature", &signature::written(signature));
        self.close(out);
    }

    fn redact(&mut self, data: &Signature<'_>, out: &mut Vec<u8>) {
        self.make_room(out);
        let data = signature::written(data);
        blocks::start(out, self.index, "redacted_thinking", |block| block.literal("data", &data));
        blocks::stop(out, self.index);
        self.index += 1;
    }

    fn open_thinking(&mut self, out: &mut Vec<u8>) {
        if matches!(self.open, Some(Block::Thinking)) {
            return;
        }
        self.make_room(out);
        self.start_thinking(out);
    }

    fn start_thinking(&mut self, out: &mut Vec<u8>) {
        blocks::start(out, self.index, "thinking", |block| {
            block.word("thinking", "");
            block.word("signature", "");
        });
        self.open = Some(Block::Thinking);
    }

    /// A call begins, or waits while the one before may still go on.
    fn call(&mut self, call: Waiting, out: &mut Vec<u8>) {
        self.any_call = true;
        self.waiting.push(call);
        self.go_on(out);
    }

    fn argue(&mut self, index: u32, json: &Literal<'_>, out: &mut Vec<u8>) {
        match &mut self.open {
            Some(Block::Call { index: open, arguments }) if *open == index => {
                arguments.push(json.raw());
                if !json.is_empty() {
                    blocks::delta(out, self.index, "input_json_delta", "partial_json", json);
                }
            }
            Some(Block::Text | Block::Thinking | Block::Call { .. }) | None => {
                self.waiting.go_on(index, json);
            }
        }
        self.go_on(out);
    }

    /// Opens calls that wait, as long as none is open whose arguments are not whole.
    fn go_on(&mut self, out: &mut Vec<u8>) {
        while !self.waiting.is_empty() && (self.waiting.is_full() || !self.may_go_on()) {
            self.close(out);
            self.open_next(out);
        }
    }

    /// Whether more may come for the call that is open.
    fn may_go_on(&self) -> bool {
        match &self.open {
            Some(Block::Call { arguments, .. }) => !arguments.is_whole(),
            Some(Block::Text | Block::Thinking) | None => false,
        }
    }

    /// Writes the call that waits longest, with what it has said; its block stays open.
    fn open_next(&mut self, out: &mut Vec<u8>) {
        let Some(call) = self.waiting.pop() else { return };
        self.begin(None, out);
        if let Some(signature) = &call.signature {
            self.start_thinking(out);
            self.close_signed(signature, out);
        }
        blocks::start(out, self.index, "tool_use", |block| {
            block.literal("id", &call.id);
            block.literal("name", &call.name);
            block.json("input", "{}");
        });
        let mut arguments = Balance::default();
        arguments.push(call.json.raw());
        if !call.json.is_empty() {
            blocks::delta(out, self.index, "input_json_delta", "partial_json", &call.json);
        }
        self.open = Some(Block::Call { index: call.index, arguments });
    }

    /// Ends the open block, and writes all calls that wait: what comes is none of theirs.
    fn make_room(&mut self, out: &mut Vec<u8>) {
        self.begin(None, out);
        self.close(out);
        while !self.waiting.is_empty() {
            self.open_next(out);
            self.close(out);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            blocks::stop(out, self.index);
            self.index += 1;
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.make_room(out);
        blocks::message_end(out, (self.finish, self.any_call), self.stop.as_ref(), &self.usage);
        self.ended = true;
    }
}

fn owned(signature: &Signature<'_>) -> Signature<'static> {
    Signature { by: signature.by, text: signature.text.clone().into_owned() }
}
