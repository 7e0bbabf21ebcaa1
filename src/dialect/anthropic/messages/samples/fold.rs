//! A stream's events, put together again.

use super::super::Decoder;
use crate::dialect::neutral::{
    Answer, Choice, Content, Event, Finish, Literal, Part, Raw, Signature, ToolCall,
};
use crate::dialect::sse;
use crate::dialect::translate::Stamp;

/// The neutral events of a stream of Anthropic's that is whole.
pub(crate) fn decoded(stream: &[u8], stamp: &Stamp<'_>) -> Vec<Event<'static>> {
    let mut decoder = Decoder::new(stamp);
    let mut events = Vec::new();
    for event in sse::events(stream) {
        let Some(data) = sse::data(event) else { continue };
        decoder.read(sse::name(event), &data, &mut |event| events.push(owned(event)));
    }
    decoder.end(&mut |event| events.push(owned(event)));
    events
}

/// The same events, put together. Checks the order that decoders promise.
pub(crate) fn folded(stream: &[u8], stamp: &Stamp<'_>) -> Answer<'static> {
    fold(decoded(stream, stamp))
}

pub(crate) fn fold(events: Vec<Event<'static>>) -> Answer<'static> {
    let last = events.len() - 1;
    let mut answer = None;
    let mut choice = Choice { parts: Vec::new(), finish: Finish::Stop, stop: None };
    let mut arguments: Vec<Literal<'static>> = Vec::new();
    let mut usage = None;
    for (i, event) in events.into_iter().enumerate() {
        assert_eq!(i == 0, matches!(event, Event::Start { .. }));
        assert_eq!(i == last, matches!(event, Event::End));
        match event {
            Event::Start { id, model } => answer = Some((id, model)),
            Event::Text { text, .. } => match choice.parts.last_mut().map(|part| &mut part.content) {
                Some(Content::Text(before)) => before.push(&text),
                _ => choice.parts.push(Part::of(Content::Text(text))),
            },
            Event::Refusal { text, .. } => choice.parts.push(Part::of(Content::Refusal(text))),
            Event::Reasoning { text, .. } => match choice.parts.last_mut().map(|part| &mut part.content) {
                Some(Content::Reasoning { text: before, signature: None }) => before.push(&text),
                _ => choice.parts.push(Part::of(Content::Reasoning { text, signature: None })),
            },
            Event::Signature { signature: new, .. } => {
                match choice.parts.last_mut().map(|part| &mut part.content) {
                    Some(Content::Reasoning { signature: place @ None, .. }) => *place = Some(new),
                    _ => choice.parts.push(Part::of(Content::Reasoning {
                        text: Literal::default(),
                        signature: Some(new),
                    })),
                }
            }
            Event::Redacted { data, .. } => choice.parts.push(Part::of(Content::Redacted(data))),
            Event::ToolCall { index, id, name, signature, .. } => {
                assert_eq!(index as usize, arguments.len());
                arguments.push(Literal::default());
                let arguments = Raw::word("{}");
                choice.parts.push(Part::of(Content::ToolCall(ToolCall { id, name, arguments, signature })));
            }
            Event::Arguments { index, json, .. } => arguments[index as usize].push(&json),
            Event::Finish { finish, stop, .. } => (choice.finish, choice.stop) = (finish, stop),
            Event::Usage(now) => usage = Some(now),
            Event::End => {}
        }
    }
    let mut arguments = arguments.into_iter();
    for part in &mut choice.parts {
        if let Content::ToolCall(call) = &mut part.content {
            let json = arguments.next().unwrap().text().into_owned();
            call.arguments = if json.is_empty() { Raw::word("{}") } else { Raw::written(json.into_bytes()) };
        }
    }
    let (id, model) = answer.unwrap();
    Answer { id, model, choices: vec![choice], usage }
}

fn owned(event: Event<'_>) -> Event<'static> {
    let signed = |it: Signature<'_>| Signature { by: it.by, text: it.text.into_owned() };
    match event {
        Event::Start { id, model } => Event::Start { id: id.into_owned(), model: model.into_owned() },
        Event::Text { choice, text } => Event::Text { choice, text: text.into_owned() },
        Event::Refusal { choice, text } => Event::Refusal { choice, text: text.into_owned() },
        Event::Reasoning { choice, text } => Event::Reasoning { choice, text: text.into_owned() },
        Event::Signature { choice, signature } => Event::Signature { choice, signature: signed(signature) },
        Event::Redacted { choice, data } => Event::Redacted { choice, data: signed(data) },
        Event::ToolCall { choice, index, id, name, signature } => Event::ToolCall {
            choice,
            index,
            id: id.into_owned(),
            name: name.into_owned(),
            signature: signature.map(signed),
        },
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
