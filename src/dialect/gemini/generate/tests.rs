//! Golden requests, and what holds for all requests, answers and streams.

mod answers;
mod any;
mod encoded;
mod properties;
mod requests;
mod streams;

use serde_json::Value;

use crate::dialect::neutral::{
    Answer, Choice, Content, Event, Finish, Literal, Loss, Losses, Part, Raw, Signature, ToolCall, Weight,
};
use crate::dialect::provider::MaxTokensField;
use crate::dialect::translate::{Accepts, Prepared, Recipient, Stamp};
use crate::usage::Usage;

pub(super) const STAMP: Stamp<'static> = Stamp {
    id: "0123456789abcdef0123456789abcdef",
    created: 1_795_000_000,
    model: "alias",
    include_usage: false,
};

pub(super) fn recipient(accepts: Accepts) -> Recipient<'static> {
    Recipient {
        model: "gemini",
        accepts,
        max_tokens_field: MaxTokensField::MaxTokens,
        max_output: None,
        ask_usage: false,
        wants_reasoning: false,
    }
}

pub(super) fn text(text: &str) -> Literal<'static> {
    Literal::from_text(text)
}

pub(super) fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

pub(super) fn written(prepared: &Prepared) -> Value {
    json(&prepared.body(None))
}

/// The names of what is lost; those that mean something with a bang.
pub(super) fn names(lost: &Losses) -> Vec<String> {
    let name = |loss: &Loss| match loss.weight {
        Weight::Hint => loss.field.to_string(),
        Weight::Meaning => format!("{}!", loss.field),
    };
    lost.iter().map(name).collect()
}

/// What the events of a stream say together.
#[derive(Default)]
pub(super) struct Fold {
    start: Option<(Literal<'static>, Literal<'static>)>,
    choices: Vec<(u32, Choice<'static>, Vec<Literal<'static>>)>,
    usage: Option<Usage>,
    finished: usize,
    ended: bool,
}

impl Fold {
    pub(super) fn take(&mut self, event: Event<'_>) {
        assert!(!self.ended, "nothing follows the end");
        match event {
            Event::Start { id, model } => {
                assert!(self.start.is_none() && self.choices.is_empty(), "the start is the first");
                self.start = Some((id.into_owned(), model.into_owned()));
            }
            Event::Text { choice, text } => {
                let text = text.into_owned();
                let parts = &mut self.choice(choice).1.parts;
                match parts.last_mut().map(|part| &mut part.content) {
                    Some(Content::Text(before)) => before.push(&text),
                    _ => parts.push(Part::of(Content::Text(text))),
                }
            }
            Event::Refusal { choice, text } => {
                self.push(choice, Content::Refusal(text.into_owned()));
            }
            Event::Reasoning { choice, text } => {
                super::part::think(&mut self.choice(choice).1.parts, text.into_owned(), None);
            }
            Event::Signature { choice, signature } => {
                let signature = owned(signature);
                let parts = &mut self.choice(choice).1.parts;
                match parts.last_mut().map(|part| &mut part.content) {
                    Some(Content::Reasoning { signature: place @ None, .. }) => *place = Some(signature),
                    _ => {
                        let alone =
                            Content::Reasoning { text: Literal::default(), signature: Some(signature) };
                        parts.push(Part::of(alone));
                    }
                }
            }
            Event::Redacted { choice, data } => self.push(choice, Content::Redacted(owned(data))),
            Event::ToolCall { choice, index, id, name, signature } => {
                let call = ToolCall {
                    id: id.into_owned(),
                    name: name.into_owned(),
                    arguments: Raw::word("{}"),
                    signature: signature.map(owned),
                };
                let choice = self.choice(choice);
                assert_eq!(choice.2.len(), index as usize);
                choice.2.push(Literal::default());
                choice.1.parts.push(Part::of(Content::ToolCall(call)));
            }
            Event::Arguments { choice, index, json } => {
                self.choice(choice).2[index as usize].push(&json);
            }
            Event::Finish { choice, finish, stop } => {
                let choice = &mut self.choice(choice).1;
                choice.finish = finish;
                choice.stop = stop.map(Literal::into_owned);
                self.finished += 1;
            }
            Event::Usage(usage) => self.usage = Some(usage),
            Event::End => self.ended = true,
        }
    }

    pub(super) fn answer(mut self) -> Answer<'static> {
        assert!(self.ended);
        assert_eq!(self.finished, self.choices.len());
        let (id, model) = self.start.unwrap();
        self.choices.sort_by_key(|choice| choice.0);
        let whole = |(_, mut choice, arguments): (u32, Choice<'static>, Vec<Literal<'static>>)| {
            let mut arguments = arguments.into_iter();
            for part in &mut choice.parts {
                if let Content::ToolCall(call) = &mut part.content {
                    let json = arguments.next().unwrap().text().into_owned();
                    call.arguments = Raw::written(json.into_bytes());
                }
            }
            choice
        };
        Answer { id, model, choices: self.choices.into_iter().map(whole).collect(), usage: self.usage }
    }

    fn push(&mut self, choice: u32, content: Content<'static>) {
        self.choice(choice).1.parts.push(Part::of(content));
    }

    fn choice(&mut self, index: u32) -> &mut (u32, Choice<'static>, Vec<Literal<'static>>) {
        assert!(self.start.is_some(), "the start is the first");
        if !self.choices.iter().any(|choice| choice.0 == index) {
            let none = Choice { parts: Vec::new(), finish: Finish::Paused, stop: None };
            self.choices.push((index, none, Vec::new()));
        }
        self.choices.iter_mut().find(|choice| choice.0 == index).unwrap()
    }
}

fn owned(signature: Signature<'_>) -> Signature<'static> {
    Signature { by: signature.by, text: signature.text.into_owned() }
}
