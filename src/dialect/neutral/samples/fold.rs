//! An answer from its events, as whoever reads the stream would put it together.

use crate::dialect::neutral::{
    Answer, Choice, Content, Event, Finish, Literal, Part, Raw, Signature, ToolCall,
};

/// The same event, borrowing nothing.
pub(crate) fn owned(event: &Event<'_>) -> Event<'static> {
    match event.clone() {
        Event::Start { id, model } => Event::Start { id: id.into_owned(), model: model.into_owned() },
        Event::Text { choice, text } => Event::Text { choice, text: text.into_owned() },
        Event::Refusal { choice, text } => Event::Refusal { choice, text: text.into_owned() },
        Event::Reasoning { choice, text } => Event::Reasoning { choice, text: text.into_owned() },
        Event::Signature { choice, signature } => Event::Signature { choice, signature: kept(signature) },
        Event::Redacted { choice, data } => Event::Redacted { choice, data: kept(data) },
        Event::ToolCall { choice, index, id, name, signature } => {
            let (id, name, signature) = (id.into_owned(), name.into_owned(), signature.map(kept));
            Event::ToolCall { choice, index, id, name, signature }
        }
        Event::Arguments { choice, index, json } => {
            Event::Arguments { choice, index, json: json.into_owned() }
        }
        Event::Finish { choice, finish, stop } => {
            Event::Finish { choice, finish, stop: stop.map(Literal::into_owned) }
        }
        Event::Usage(usage) => Event::Usage(usage),
        Event::End => Event::End,
    }
}

fn kept(signature: Signature<'_>) -> Signature<'static> {
    Signature { by: signature.by, text: signature.text.into_owned() }
}

/// The answer that these events tell. Texts that follow each other are one; so is reasoning, until its signature comes.
///
/// # Panics
/// The events are in an order that no decoder may give.
pub(crate) fn fold(events: &[Event<'_>]) -> Answer<'static> {
    let [Event::Start { id, model }, rest @ .., Event::End] = events else {
        panic!("starts and ends: {events:?}")
    };
    let mut folding = Folding::default();
    rest.iter().for_each(|event| folding.take(owned(event)));
    Answer {
        id: id.clone().into_owned(),
        model: model.clone().into_owned(),
        choices: folding.choices.into_iter().map(Open::close).collect(),
        usage: folding.usage,
    }
}

#[derive(Default)]
struct Folding {
    choices: Vec<Open>,
    usage: Option<crate::usage::Usage>,
}

/// A choice that may go on.
#[derive(Default)]
struct Open {
    parts: Vec<Content<'static>>,
    /// The texts of the calls' arguments, by index.
    arguments: Vec<String>,
    finish: Option<(Finish, Option<Literal<'static>>)>,
}

impl Folding {
    fn take(&mut self, event: Event<'static>) {
        match event {
            Event::Start { .. } | Event::End => panic!("once: {event:?}"),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Text { choice, text } => self.open(choice).text(text),
            Event::Refusal { choice, text } => self.open(choice).refusal(text),
            Event::Reasoning { choice, text } => self.open(choice).reasoning(text),
            Event::Signature { choice, signature } => self.open(choice).signature(signature),
            Event::Redacted { choice, data } => self.open(choice).parts.push(Content::Redacted(data)),
            Event::ToolCall { choice, index, id, name, signature } => {
                let open = self.open(choice);
                assert_eq!(open.arguments.len(), index as usize, "calls are counted");
                open.arguments.push(String::new());
                let arguments = Raw::word("{}");
                open.parts.push(Content::ToolCall(ToolCall { id, name, arguments, signature }));
            }
            Event::Arguments { choice, index, json } => {
                self.open(choice).arguments[index as usize].push_str(&json.text());
            }
            Event::Finish { choice, finish, stop } => self.open(choice).finish = Some((finish, stop)),
        }
    }

    /// The choice, to which more may be added.
    fn open(&mut self, choice: u32) -> &mut Open {
        let choice = choice as usize;
        if self.choices.len() <= choice {
            self.choices.resize_with(choice + 1, Open::default);
        }
        let open = &mut self.choices[choice];
        assert!(open.finish.is_none(), "nothing follows the finish");
        open
    }
}

impl Open {
    fn text(&mut self, more: Literal<'static>) {
        match self.parts.last_mut() {
            Some(Content::Text(text)) => text.push(&more),
            _ => self.parts.push(Content::Text(more)),
        }
    }

    fn refusal(&mut self, more: Literal<'static>) {
        match self.parts.last_mut() {
            Some(Content::Refusal(text)) => text.push(&more),
            _ => self.parts.push(Content::Refusal(more)),
        }
    }

    fn reasoning(&mut self, more: Literal<'static>) {
        match self.parts.last_mut() {
            Some(Content::Reasoning { text, signature: None }) => text.push(&more),
            _ => self.parts.push(Content::Reasoning { text: more, signature: None }),
        }
    }

    fn signature(&mut self, of: Signature<'static>) {
        match self.parts.last_mut() {
            Some(Content::Reasoning { signature: signature @ None, .. }) => *signature = Some(of),
            _ => self.parts.push(Content::Reasoning { text: Literal::default(), signature: Some(of) }),
        }
    }

    fn close(self) -> Choice<'static> {
        let (finish, stop) = self.finish.expect("every choice finishes");
        let mut arguments = self.arguments.into_iter();
        let mut parts: Vec<_> = self.parts.into_iter().map(Part::of).collect();
        for call in parts.iter_mut().filter_map(Part::call_mut) {
            if let Some(json) = arguments.next().filter(|json| !json.is_empty()) {
                call.arguments = Raw::written(json.into_bytes());
            }
        }
        Choice { parts, finish, stop }
    }
}
