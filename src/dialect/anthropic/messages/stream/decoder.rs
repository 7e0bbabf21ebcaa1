//! Anthropic's events, read into the neutral ones.

use super::super::{signature, words};
use crate::dialect::anthropic::usage;
use crate::dialect::json::{self, Fault, Kind, Scanner, Value};
use crate::dialect::neutral::{Event, Finish, Literal, Signature};
use crate::dialect::translate::Stamp;
use crate::usage::Usage;

/// Reads a stream.
pub(crate) struct Decoder {
    /// What the answer is called if it does not say so.
    id: Literal<'static>,
    model: Literal<'static>,
    stamp_id: Box<str>,
    started: bool,
    ended: bool,
    /// How many calls have begun.
    calls: u32,
    /// The call whose block is open.
    call: Option<Call>,
    /// Whether the open block has said any reasoning.
    thought: bool,
    /// Another dialect's signature after no reasoning: that of a call, if one follows.
    held: Option<Signature<'static>>,
    usage: Option<Usage>,
    finish: Finish,
    stop: Option<Literal<'static>>,
}

/// A call whose block is open.
struct Call {
    /// Arguments that came with its beginning. They hold only if none come after.
    whole: Option<Literal<'static>>,
    said: bool,
}

/// What a delta says. The names of its members tell its kind.
#[derive(Default)]
struct Delta<'a> {
    text: Option<Literal<'a>>,
    thinking: Option<Literal<'a>>,
    signature: Option<Literal<'a>>,
    partial_json: Option<Literal<'a>>,
}

impl<'a> Delta<'a> {
    fn read(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Fault> {
        scanner.members(|key, scanner| {
            let value = scanner.value()?;
            let place = if key.is("text") {
                &mut self.text
            } else if key.is("partial_json") {
                &mut self.partial_json
            } else if key.is("thinking") {
                &mut self.thinking
            } else if key.is("signature") {
                &mut self.signature
            } else {
                return Ok(());
            };
            *place = Literal::of(&value);
            Ok(())
        })
    }
}

type Write<'w> = &'w mut dyn FnMut(Event<'_>);

const CHOICE: u32 = 0;

impl Decoder {
    pub(crate) fn new(stamp: &Stamp<'_>) -> Self {
        Self {
            id: words::answer_id(stamp),
            model: Literal::from_text(stamp.model),
            stamp_id: stamp.id.into(),
            started: false,
            ended: false,
            calls: 0,
            call: None,
            thought: false,
            held: None,
            usage: None,
            finish: Finish::Stop,
            stop: None,
        }
    }

    /// Reads an event. Its type stands in its data too, and is its name where it does not.
    pub(crate) fn read(&mut self, name: Option<&[u8]>, data: &[u8], write: Write<'_>) {
        const KNOWN: [&str; 6] = [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ];
        if self.ended || self.reads_delta(name, data, write) {
            return;
        }
        let Ok(event) = json::document(data) else { return };
        let kind = match event.member("type") {
            Some(kind) => kind.one_of(&KNOWN),
            None => KNOWN.into_iter().find(|known| name == Some(known.as_bytes())),
        };
        match kind {
            Some("message_start") => self.begin(event.member("message").as_ref(), write),
            Some("content_block_start") => self.open(event.member("content_block").as_ref(), write),
            Some("content_block_delta") => self.go_on(event.member("delta").as_ref(), write),
            Some("content_block_stop") => self.close(write),
            Some("message_delta") => self.note_end(&event, write),
            Some(_) => self.end(write),
            // Pings, and what is newer than this.
            None => {}
        }
    }

    /// Most events are a piece of a block, and say so by their name: they are read in one pass. False where it is none.
    fn reads_delta(&mut self, name: Option<&[u8]>, data: &[u8], write: Write<'_>) -> bool {
        if name != Some(b"content_block_delta") {
            return false;
        }
        let mut delta = Delta::default();
        let mut scanner = Scanner::at(data, 0);
        let read = scanner.members(|key, scanner| {
            if key.is("delta") {
                return delta.read(scanner);
            }
            scanner.value().map(drop)
        });
        if read.and_then(|()| scanner.end()).is_ok() {
            self.take(delta, write);
        }
        true
    }

    /// The provider has closed an answer that is whole.
    pub(crate) fn end(&mut self, write: Write<'_>) {
        if self.ended {
            return;
        }
        self.begin(None, write);
        self.close(write);
        self.release(write);
        self.ended = true;
        write(Event::Finish { choice: CHOICE, finish: self.finish, stop: self.stop.take() });
        write(Event::End);
    }

    fn begin(&mut self, message: Option<&Value<'_>>, write: Write<'_>) {
        if !self.started {
            self.started = true;
            let text = |name: &str| Literal::of(&message?.member(name)?).filter(|text| !text.is_empty());
            let id = text("id").unwrap_or_else(|| self.id.reborrow());
            let model = text("model").unwrap_or_else(|| self.model.reborrow());
            write(Event::Start { id, model });
        }
        self.note_usage(message.and_then(|message| message.member("usage")).as_ref(), write);
    }

    fn open(&mut self, block: Option<&Value<'_>>, write: Write<'_>) {
        let Some(block) = block else { return };
        self.begin(None, write);
        self.close(write);
        match block.member("type").and_then(|kind| kind.one_of(&["tool_use", "redacted_thinking"])) {
            Some("tool_use") => self.open_call(block, write),
            Some(_) => {
                self.release(write);
                let data = block.member("data").and_then(|data| Literal::of(&data)).and_then(signature::read);
                if let Some(data) = data {
                    write(Event::Redacted { choice: CHOICE, data });
                }
            }
            // Text and thinking begin empty, mostly.
            None => self.go_on(Some(block), write),
        }
    }

    fn open_call(&mut self, block: &Value<'_>, write: Write<'_>) {
        let text = |name: &str| block.member(name).and_then(|value| Literal::of(&value));
        let index = self.calls;
        self.calls += 1;
        let id = text("id").filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| words::call_id(&self.stamp_id, index as usize));
        let name = text("name").unwrap_or_default();
        let input = block.member("input").filter(|input| input.kind == Kind::Object && !input.is_blank());
        let whole = input.map(|input| Literal::from_text(&String::from_utf8_lossy(input.raw())));
        self.call = Some(Call { whole, said: false });
        write(Event::ToolCall { choice: CHOICE, index, id, name, signature: self.held.take() });
    }

    /// What a block begins with, or a delta adds to it.
    fn go_on(&mut self, delta: Option<&Value<'_>>, write: Write<'_>) {
        let Some(value) = delta else { return };
        let mut delta = Delta::default();
        // It was scanned, so it can be read.
        if delta.read(&mut value.scanner()).is_ok() {
            self.take(delta, write);
        }
    }

    fn take(&mut self, delta: Delta<'_>, write: Write<'_>) {
        self.begin(None, write);
        if let Some(text) = delta.text.filter(|text| !text.is_empty()) {
            self.release(write);
            write(Event::Text { choice: CHOICE, text });
        }
        if let Some(text) = delta.thinking.filter(|text| !text.is_empty()) {
            self.release(write);
            self.thought = true;
            write(Event::Reasoning { choice: CHOICE, text });
        }
        if let Some(signature) = delta.signature.and_then(signature::read) {
            self.sign(signature, write);
        }
        let json = delta.partial_json.filter(|json| !json.is_empty());
        if let Some((json, call)) = json.zip(self.call.as_mut()) {
            call.said = true;
            write(Event::Arguments { choice: CHOICE, index: self.calls.saturating_sub(1), json });
        }
    }

    fn sign(&mut self, signature: Signature<'_>, write: Write<'_>) {
        self.release(write);
        if !self.thought && signature::is_foreign(&signature) {
            self.held = Some(Signature { by: signature.by, text: signature.text.into_owned() });
            return;
        }
        write(Event::Signature { choice: CHOICE, signature });
    }

    /// The open block ends. A call has arguments, be they an empty object.
    fn close(&mut self, write: Write<'_>) {
        self.thought = false;
        if let Some(Call { whole, said: false }) = self.call.take() {
            let json = whole.unwrap_or(Literal::word("{}"));
            write(Event::Arguments { choice: CHOICE, index: self.calls.saturating_sub(1), json });
        }
    }

    /// No call follows a signature that was held for one.
    fn release(&mut self, write: Write<'_>) {
        if let Some(signature) = self.held.take() {
            write(Event::Signature { choice: CHOICE, signature });
        }
    }

    fn note_end(&mut self, event: &Value<'_>, write: Write<'_>) {
        self.begin(None, write);
        self.close(write);
        self.release(write);
        let delta = event.member("delta");
        let member = |name: &str| delta.as_ref().and_then(|delta| delta.member(name));
        if let Some(reason) = member("stop_reason").filter(|reason| reason.kind == Kind::String) {
            self.finish = words::finish(Some(&reason));
            self.stop = member("stop_sequence").and_then(|stop| Literal::of(&stop)).map(Literal::into_owned);
        }
        if let Some(text) = words::explanation(member("stop_details").as_ref()) {
            write(Event::Refusal { choice: CHOICE, text });
        }
        self.note_usage(event.member("usage").as_ref(), write);
    }

    fn note_usage(&mut self, reported: Option<&Value<'_>>, write: Write<'_>) {
        if let Some(usage) = reported.and_then(|reported| usage::of(reported, self.usage)) {
            self.usage = Some(usage);
            write(Event::Usage(usage));
        }
    }
}
