//! Who says what: instructions on their own, then turns that alternate.

use super::cache::Marks;
use super::content;
use super::ids::Ids;
use crate::dialect::neutral::{Cache, Content, Losses, Part, Request, Speaker};
use crate::dialect::write::Object;

/// What is carried of a conversation, in Anthropic's order.
pub(super) struct Conversation<'r, 'a> {
    system: Vec<&'r Part<'a>>,
    messages: Vec<Message<'r, 'a>>,
    ids: Ids,
}

struct Message<'r, 'a> {
    speaker: Speaker,
    /// Never empty.
    parts: Vec<&'r Part<'a>>,
}

impl<'r, 'a> Conversation<'r, 'a> {
    pub(super) fn of(request: &'r Request<'a>, lost: &mut Losses) -> Self {
        let mut conversation = Self { system: Vec::new(), messages: Vec::new(), ids: Ids::of(request) };
        for turn in &request.turns {
            if turn.name.is_some() {
                lost.hint("messages.name");
            }
            let carried = |part: &&Part<'a>| content::is_carried(part, turn.speaker, lost);
            let parts: Vec<_> = turn.parts.iter().filter(carried).collect();
            if !parts.is_empty() {
                conversation.push(turn.speaker, parts, lost);
            }
        }
        conversation.messages.iter_mut().for_each(Message::put_results_first);
        // Instructions alone are no conversation there.
        if conversation.messages.is_empty() {
            lost.meaning("messages");
        }
        conversation
    }

    pub(super) fn ends_with_the_model(&self) -> bool {
        self.messages.last().is_some_and(|message| message.speaker == Speaker::Model)
    }

    pub(super) fn caches(&self) -> impl Iterator<Item = Option<Cache>> {
        let messages = self.messages.iter().flat_map(|message| &message.parts);
        self.system.iter().chain(messages).flat_map(|part| content::caches(part))
    }

    pub(super) fn write(&self, body: &mut Object<'_>, marks: &mut Marks) {
        if !self.system.is_empty() {
            body.array("system", |blocks| {
                self.system.iter().for_each(|part| content::write(blocks, part, &self.ids, marks));
            });
        }
        body.array("messages", |messages| {
            for message in &self.messages {
                messages.object(|object| message.write(object, &self.ids, marks));
            }
        });
    }

    fn push(&mut self, speaker: Speaker, parts: Vec<&'r Part<'a>>, lost: &mut Losses) {
        match speaker {
            Speaker::System | Speaker::Developer => {
                if !self.messages.is_empty() {
                    lost.hint("messages.order");
                }
                self.system.extend(parts);
            }
            Speaker::User | Speaker::Model => match self.messages.last_mut() {
                Some(last) if last.speaker == speaker => last.parts.extend(parts),
                Some(_) | None => self.messages.push(Message { speaker, parts }),
            },
        }
    }
}

impl Message<'_, '_> {
    /// Where results are, nothing may stand before them.
    fn put_results_first(&mut self) {
        self.parts.sort_by_key(|part| !matches!(part.content, Content::ToolResult(_)));
    }

    fn write(&self, object: &mut Object<'_>, ids: &Ids, marks: &mut Marks) {
        object.word("role", if self.speaker == Speaker::Model { "assistant" } else { "user" });
        object.array("content", |blocks| {
            self.parts.iter().for_each(|part| content::write(blocks, part, ids, marks));
        });
    }
}
