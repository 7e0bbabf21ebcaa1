//! Pieces that wait for the item before them.

use crate::dialect::neutral::{Event, Literal, Signature};

/// The piece, borrowing nothing; none where the event is no piece of an answer.
pub(super) fn owned(event: &Event<'_>) -> Option<Event<'static>> {
    Some(match event.clone() {
        Event::Text { choice, text } => Event::Text { choice, text: text.into_owned() },
        Event::Refusal { choice, text } => Event::Refusal { choice, text: text.into_owned() },
        Event::Reasoning { choice, text } => Event::Reasoning { choice, text: text.into_owned() },
        Event::Signature { choice, signature } => Event::Signature { choice, signature: kept(signature) },
        Event::Redacted { choice, data } => Event::Redacted { choice, data: kept(data) },
        Event::ToolCall { choice, index, id, name, signature } => {
            let (id, name) = (id.into_owned(), name.into_owned());
            Event::ToolCall { choice, index, id, name, signature: signature.map(kept) }
        }
        Event::Arguments { choice, index, json } => {
            Event::Arguments { choice, index, json: json.into_owned() }
        }
        Event::Start { .. } | Event::Finish { .. } | Event::Usage(_) | Event::End => return None,
    })
}

fn kept(signature: Signature<'_>) -> Signature<'static> {
    Signature { by: signature.by, text: signature.text.into_owned() }
}

/// How much there is to keep of a piece.
pub(super) fn size(event: &Event<'_>) -> usize {
    let of = |text: &Literal<'_>| text.raw().len();
    // Many small pieces cost more than their texts.
    let texts = match event {
        Event::Text { text, .. } | Event::Refusal { text, .. } | Event::Reasoning { text, .. } => of(text),
        Event::Signature { signature: text, .. } | Event::Redacted { data: text, .. } => of(&text.text),
        Event::ToolCall { id, name, signature, .. } => {
            of(id) + of(name) + signature.as_ref().map_or(0, |signature| of(&signature.text))
        }
        Event::Arguments { json, .. } => of(json),
        Event::Start { .. } | Event::Finish { .. } | Event::Usage(_) | Event::End => 0,
    };
    size_of::<Event<'_>>() + texts
}
