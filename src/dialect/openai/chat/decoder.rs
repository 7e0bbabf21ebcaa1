//! Reads a stream, event by event.

use smallvec::SmallVec;

use super::spoken::{self, Calling, Spoken, Text};
use crate::dialect::Api;
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::neutral::{Event, Literal};
use crate::dialect::openai::usage;
use crate::dialect::translate::Stamp;
use crate::usage::Usage;

/// Choices beyond are not read: nobody asks for so many.
const MOST_CHOICES: u32 = 128;

/// Reads a stream. Holds what tells the calls of a choice apart, and nothing of what is said.
pub(crate) struct Decoder {
    /// For what has no id or model of its own.
    id: String,
    answer_id: Literal<'static>,
    model: Literal<'static>,
    begun: bool,
    choices: SmallVec<[Open; 1]>,
    /// Calls of all choices.
    calls: usize,
}

/// What an event holds.
#[derive(Default)]
struct Chunk<'a> {
    id: Option<Literal<'a>>,
    model: Option<Literal<'a>>,
    choices: Option<Value<'a>>,
    usage: Option<Usage>,
}

/// A choice that was spoken of.
struct Open {
    index: u32,
    calls: SmallVec<[Call; 2]>,
    refuses: bool,
    finished: bool,
}

/// Its place among the calls of its choice is its index.
struct Call {
    /// Where the server counts it.
    place: u32,
    /// None where the server gave none.
    id: Option<Box<str>>,
}

type Write<'w> = dyn FnMut(Event<'_>) + 'w;

impl Decoder {
    pub(crate) fn new(stamp: &Stamp<'_>) -> Self {
        Self {
            id: stamp.id.to_owned(),
            answer_id: spoken::answer_id(stamp),
            model: Literal::from_text(stamp.model),
            begun: false,
            choices: SmallVec::new(),
            calls: 0,
        }
    }

    /// Reads the data of an event. What is no chunk says nothing.
    pub(crate) fn read(&mut self, data: &[u8], write: &mut dyn FnMut(Event<'_>)) {
        let text = std::str::from_utf8(data).ok();
        let Some(chunk) = text.and_then(|text| json::document(text.as_bytes()).ok()) else {
            return;
        };
        let chunk = Chunk::of(&chunk);
        let choices = chunk.choices.as_ref().map(Value::elements).into_iter().flatten();
        for (place, choice) in (0..).zip(choices) {
            // Azure begins with a chunk without choices, which has no id either.
            self.begin(&chunk, write);
            self.read_choice(&choice, place, write);
        }
        if let Some(used) = chunk.usage {
            self.begin(&chunk, write);
            write(Event::Usage(used));
        }
    }

    /// The provider has closed an answer that is whole.
    pub(crate) fn end(&mut self, write: &mut dyn FnMut(Event<'_>)) {
        self.begin(&Chunk::default(), write);
        if self.choices.is_empty() {
            self.choices.push(Open::new(0));
        }
        // Some servers close the stream without a word.
        for choice in self.choices.iter_mut().filter(|choice| !choice.finished) {
            choice.finish(None, write);
        }
        write(Event::End);
    }

    fn begin(&mut self, chunk: &Chunk<'_>, write: &mut Write<'_>) {
        if !std::mem::replace(&mut self.begun, true) {
            let id = chunk.id.as_ref().unwrap_or(&self.answer_id);
            let model = chunk.model.as_ref().unwrap_or(&self.model);
            write(Event::Start { id: id.reborrow(), model: model.reborrow() });
        }
    }

    fn read_choice(&mut self, choice: &Value<'_>, place: u32, write: &mut Write<'_>) {
        let (mut index, mut delta, mut reason) = (place, None, None);
        for member in choice.members() {
            match &*member.name() {
                "index" => index = member.value.number().unwrap_or(place),
                "delta" => delta = Some(member.value),
                "finish_reason" => reason = Some(member.value).filter(|reason| !reason.is_blank()),
                _ => {}
            }
        }
        if index >= MOST_CHOICES {
            return;
        }
        let Some(open) = Open::at(&mut self.choices, index).filter(|open| !open.finished) else { return };
        if let Some(delta) = delta {
            let spoken = Spoken::of(&delta);
            spoken.texts(&mut |text| open.say(text, write));
            for call in spoken.calls() {
                self.calls += usize::from(open.call(call, &self.id, self.calls, write));
            }
        }
        if let Some(reason) = reason {
            open.finish(Some(&reason), write);
        }
    }
}

impl<'a> Chunk<'a> {
    fn of(data: &Value<'a>) -> Self {
        let mut chunk = Self::default();
        for member in data.members() {
            let (name, value) = (member.name(), member.value);
            match &*name {
                "id" => chunk.id = Literal::of(&value).filter(|id| !id.is_empty()),
                "model" => chunk.model = Literal::of(&value).filter(|model| !model.is_empty()),
                "choices" => chunk.choices = Some(value),
                "usage" => chunk.usage = usage::of(Api::Chat, &value).or(chunk.usage),
                // Groq's own place for it.
                "x_groq" => {
                    chunk.usage = chunk.usage.or_else(|| usage::of(Api::Chat, &value.member("usage")?));
                }
                _ => {}
            }
        }
        chunk
    }
}

impl Open {
    fn new(index: u32) -> Self {
        Self { index, calls: SmallVec::new(), refuses: false, finished: false }
    }

    fn at(choices: &mut SmallVec<[Self; 1]>, index: u32) -> Option<&mut Self> {
        let place = choices.iter().position(|choice| choice.index == index).unwrap_or(choices.len());
        if place == choices.len() {
            choices.push(Self::new(index));
        }
        choices.get_mut(place)
    }

    fn say(&mut self, text: Text<'_>, write: &mut Write<'_>) {
        let choice = self.index;
        match text {
            Text::Reasoning(text) => write(Event::Reasoning { choice, text }),
            Text::Said(text) => write(Event::Text { choice, text }),
            Text::Refusal(text) => {
                self.refuses = true;
                write(Event::Refusal { choice, text });
            }
        }
    }

    /// Begins a call or goes on with one; whether it began. `count` calls of the answer were begun before.
    fn call(&mut self, piece: Calling<'_>, answer: &str, count: usize, write: &mut Write<'_>) -> bool {
        let choice = self.index;
        let known = self.known(&piece);
        let place = known.unwrap_or(self.calls.len());
        let index = u32::try_from(place).unwrap_or(u32::MAX);
        if known.is_none() {
            let given = piece.id.as_ref().map(|id| id.text().into());
            self.calls.push(Call { place: piece.place.unwrap_or(index), id: given });
            let id = piece.id.unwrap_or_else(|| spoken::made_up_id(answer, count));
            let (name, signature) = (piece.name.unwrap_or_default(), piece.signature);
            write(Event::ToolCall { choice, index, id, name, signature });
        }
        if let Some(json) = piece.arguments.as_ref().and_then(arguments) {
            write(Event::Arguments { choice, index, json });
        }
        known.is_none()
    }

    /// Which call it is a piece of; none where it begins one. Some servers count every call as 0, with ids of their own.
    fn known(&self, piece: &Calling<'_>) -> Option<usize> {
        let last = match piece.place {
            Some(place) => self.calls.iter().rposition(|call| call.place == place)?,
            // A whole call, or else a piece of the last one.
            None if piece.id.is_some() || piece.name.is_some() => return None,
            None => self.calls.len().checked_sub(1)?,
        };
        let same = match (&piece.id, self.calls.get(last)?.id.as_deref()) {
            (Some(id), Some(known)) => id.is(known),
            (Some(_), None) | (None, _) => true,
        };
        same.then_some(last)
    }

    fn finish(&mut self, reason: Option<&Value<'_>>, write: &mut Write<'_>) {
        self.finished = true;
        let finish = spoken::finish(reason, !self.calls.is_empty(), self.refuses);
        write(Event::Finish { choice: self.index, finish, stop: None });
    }
}

/// A piece of the text of the arguments; some servers write the object itself.
fn arguments<'a>(value: &Value<'a>) -> Option<Literal<'a>> {
    if value.kind == Kind::Object {
        return Some(Literal::from_text(&String::from_utf8_lossy(value.raw())));
    }
    Literal::of(value).filter(|json| !json.is_empty())
}
