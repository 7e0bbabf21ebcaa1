//! An answer of our own as a response: one message of one part.

use crate::dialect::answer::Fixed;
use crate::dialect::neutral::{Event, Literal};
use crate::dialect::openai::responses::Encoder;
use crate::dialect::write::object;
use crate::usage::Usage;

/// The response when it is complete.
pub(super) fn response(says: &Fixed<'_>) -> Vec<u8> {
    let mut encoder = Encoder::named(says.id, says.created, says.model).in_silence();
    say(&mut encoder, says);
    let mut response = Vec::new();
    object(&mut response, |o| encoder.response(o));
    response
}

/// All events, in the order in which the SDKs build the response from them.
pub(super) fn events(says: &Fixed<'_>) -> Vec<u8> {
    say(&mut Encoder::named(says.id, says.created, says.model), says)
}

fn say(encoder: &mut Encoder, says: &Fixed<'_>) -> Vec<u8> {
    let mut events = Vec::new();
    encoder.message(&Literal::from_text(says.text), &mut events);
    encoder.write(&Event::Usage(Usage::default()), &mut events);
    encoder.write(&Event::End, &mut events);
    events
}
