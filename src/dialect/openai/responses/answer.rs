//! A plain answer: the response with which its stream would end.

use super::stream::Encoder;
use crate::dialect::neutral::{Answer, Choice, Content, Event, Literal};
use crate::dialect::translate::Stamp;
use crate::dialect::write::object;

/// Writes the first choice; a call in this form cannot ask for more.
pub(crate) fn encode_answer(answer: &Answer<'_>, stamp: &Stamp<'_>) -> Vec<u8> {
    let mut encoder = Encoder::new(stamp).in_silence();
    let mut write = |event: Event<'_>| encoder.write(&event, &mut Vec::new());
    write(Event::Start { id: answer.id.reborrow(), model: answer.model.reborrow() });
    if let Some(choice) = answer.choices.first() {
        say(choice, &mut write);
    }
    if let Some(usage) = answer.usage {
        write(Event::Usage(usage));
    }
    write(Event::End);
    let mut body = Vec::new();
    object(&mut body, |o| encoder.response(o));
    body
}

/// The events that a stream of this choice would have.
fn say(choice: &Choice<'_>, write: &mut dyn FnMut(Event<'_>)) {
    let mut calls = 0..;
    for part in &choice.parts {
        match &part.content {
            Content::Text(text) => write(Event::Text { choice: 0, text: text.reborrow() }),
            Content::Refusal(text) => write(Event::Refusal { choice: 0, text: text.reborrow() }),
            Content::Reasoning { text, signature } => {
                write(Event::Reasoning { choice: 0, text: text.reborrow() });
                if let Some(signature) = signature.clone() {
                    write(Event::Signature { choice: 0, signature });
                }
            }
            Content::Redacted(data) => write(Event::Redacted { choice: 0, data: data.clone() }),
            Content::ToolCall(call) => {
                let index = calls.next().unwrap_or_default();
                let (id, name) = (call.id.reborrow(), call.name.reborrow());
                write(Event::ToolCall { choice: 0, index, id, name, signature: call.signature.clone() });
                let json = Literal::from_text(&String::from_utf8_lossy(call.arguments.raw()));
                write(Event::Arguments { choice: 0, index, json });
            }
            // A model says none of these.
            Content::Image { .. }
            | Content::Document { .. }
            | Content::Audio { .. }
            | Content::ToolResult(_) => {}
        }
    }
    write(Event::Finish { choice: 0, finish: choice.finish, stop: None });
}
