//! Cuts the oldest turns of a conversation that is too long for its model.
//!
//! A turn goes from one message of the user to the next; one that brings the results of tools does not count. Whole
//! turns go, the oldest first; what the conversation needs to be understood stays: every instruction, the last turn, and
//! the call of every tool result.

mod message;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use smallvec::SmallVec;

use self::message::Part;
use super::RequestFacts;
use crate::dialect::Api;
use crate::dialect::json::{Scanner, Value};

/// A conversation of more messages, or of more tool calls, is not cut: it would take too much memory to tell how.
const MOST: usize = 65_536;

/// What is cut of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// How many messages go; items, of a response.
    pub messages: u32,
    /// How many bytes go, those between the messages among them.
    pub bytes: usize,
    /// Where they stand: in order, apart from each other, and such that the rest of the body is JSON.
    pub ranges: SmallVec<[Range<usize>; 4]>,
}

/// Which messages have to go so that the body loses so many bytes at least: as few of the oldest turns as will do.
///
/// System and developer messages stay wherever they stand, and so does all from the last user message on. A tool call
/// and its results go or stay together, even where a turn begins between them; a reasoning item goes with the item
/// that follows it. What is left begins, behind the instructions, with a message of the user.
///
/// None where that much cannot be cut, and beyond 65,536 messages or tool calls. `facts` are those read of this body.
pub fn oldest(api: Api, body: &[u8], facts: &RequestFacts, bytes: usize) -> Option<Truncation> {
    let list = Scanner::at(body, facts.turns.as_ref()?.start).value().ok()?;
    let conversation = Conversation::of(api, &list)?;
    let kept = conversation.first_kept(bytes)?;
    Some(conversation.without_turns_before(kept))
}

/// The messages, and the turns that they make up.
struct Conversation {
    messages: Vec<Message>,
    /// The first one is what comes before any message of the user, and mostly empty.
    turns: Vec<Turn>,
}

struct Message {
    /// Its first byte.
    start: usize,
    turn: usize,
    instruction: bool,
}

struct Turn {
    /// What goes with it: its messages, each with all up to the next one.
    bytes: usize,
    /// The first turn that may stay if this one goes.
    end: usize,
}

impl Conversation {
    fn of(api: Api, list: &Value<'_>) -> Option<Self> {
        let mut reading = Reading::new();
        for message in list.elements() {
            reading.take(message.range.start, message::part(api, &message))?;
        }
        Some(reading.conversation())
    }

    /// The first turn that stays where enough goes; the last one always does.
    fn first_kept(&self, bytes: usize) -> Option<usize> {
        let (mut gone, mut end) = (0, 0);
        for (turn, facts) in self.turns.iter().enumerate() {
            if gone >= bytes && end <= turn {
                return Some(turn);
            }
            gone += facts.bytes;
            end = end.max(facts.end);
        }
        None
    }

    fn without_turns_before(&self, kept: usize) -> Truncation {
        let mut cut = Truncation { messages: 0, bytes: 0, ranges: SmallVec::new() };
        // The last message is never cut: so behind each that is another one begins, and its comma goes too.
        for (message, next) in self.messages.iter().zip(self.messages.iter().skip(1)) {
            if message.instruction || message.turn >= kept {
                continue;
            }
            cut.messages += 1;
            cut.bytes += next.start - message.start;
            match cut.ranges.last_mut().filter(|range| range.end == message.start) {
                Some(range) => range.end = next.start,
                None => cut.ranges.push(message.start..next.start),
            }
        }
        cut
    }
}

/// What was read so far of a conversation.
struct Reading<'a> {
    messages: Vec<Message>,
    turns: Vec<Turn>,
    /// The turn of each tool call, of the last one of that id.
    calls: HashMap<Cow<'a, str>, usize>,
    /// The turn of the last tool call: what is answered without an id.
    last_call: Option<usize>,
    /// From this message on there is reasoning that nothing has followed yet.
    waiting: usize,
}

impl<'a> Reading<'a> {
    fn new() -> Self {
        let before = Turn { bytes: 0, end: 1 };
        let (messages, turns) = (Vec::new(), vec![before]);
        Self { messages, turns, calls: HashMap::new(), last_call: None, waiting: 0 }
    }

    /// None where there is too much of it.
    fn take(&mut self, start: usize, part: Part<'a>) -> Option<()> {
        if matches!(part, Part::Prompt) {
            self.turns.push(Turn { bytes: 0, end: self.turns.len() + 1 });
        }
        let turn = self.turns.len() - 1;
        self.messages.push(Message { start, turn, instruction: matches!(part, Part::Instruction) });
        match part {
            Part::Instruction | Part::Reasoning => {}
            Part::Prompt | Part::Other => self.follows(turn),
            Part::Call(ids) => {
                self.follows(turn);
                self.last_call = Some(turn);
                self.calls.extend(ids.into_iter().map(|id| (id, turn)));
            }
            Part::Result(ids) => {
                self.follows(turn);
                ids.iter().for_each(|id| self.answers(id.as_deref(), turn));
            }
        }
        (self.messages.len() <= MOST && self.calls.len() <= MOST).then_some(())
    }

    /// The reasoning before goes where this message goes.
    fn follows(&mut self, turn: usize) {
        for message in self.messages.iter_mut().skip(self.waiting) {
            message.turn = turn;
        }
        self.waiting = self.messages.len();
    }

    /// If the turn of the call goes, so does this one.
    fn answers(&mut self, call: Option<&str>, turn: usize) {
        let called = call.and_then(|id| self.calls.get(id)).copied().or(self.last_call);
        if let Some(called) = called.and_then(|called| self.turns.get_mut(called)) {
            called.end = called.end.max(turn + 1);
        }
    }

    fn conversation(self) -> Conversation {
        let Self { messages, mut turns, .. } = self;
        for (message, next) in messages.iter().zip(messages.iter().skip(1)) {
            if let Some(turn) = turns.get_mut(message.turn).filter(|_| !message.instruction) {
                turn.bytes += next.start - message.start;
            }
        }
        Conversation { messages, turns }
    }
}

#[cfg(test)]
mod tests;
