//! An answer of our own.

use bytes::Bytes;

use super::messages;
use crate::dialect::answer::Fixed;
use crate::dialect::neutral::{Answer, Choice, Content, Event, Finish, Literal, Part};
use crate::dialect::translate::Stamp;

/// The answer as a body, or as all the events of a stream.
pub(crate) fn fixed(stream: bool, says: &Fixed<'_>) -> Bytes {
    let stamp = Stamp { id: says.id, created: says.created, model: says.model, include_usage: true };
    let whole = if stream { events(says, &stamp) } else { body(says, &stamp) };
    whole.into()
}

fn body(says: &Fixed<'_>, stamp: &Stamp<'_>) -> Vec<u8> {
    let text = Part::of(Content::Text(Literal::from_text(says.text)));
    let choice = Choice { parts: vec![text], finish: Finish::Stop, stop: None };
    let answer = Answer {
        id: Literal::from_text(says.id),
        model: Literal::from_text(says.model),
        choices: vec![choice],
        usage: None,
    };
    messages::encode_answer(&answer, stamp)
}

fn events(says: &Fixed<'_>, stamp: &Stamp<'_>) -> Vec<u8> {
    let mut encoder = messages::Encoder::new(stamp);
    let mut out = Vec::new();
    let start = Event::Start { id: Literal::from_text(says.id), model: Literal::from_text(says.model) };
    let text = Event::Text { choice: 0, text: Literal::from_text(says.text) };
    let finish = Event::Finish { choice: 0, finish: Finish::Stop, stop: None };
    for event in [start, text, finish, Event::End] {
        encoder.write(&event, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::stream::{StreamEnd, StreamReader};
    use crate::dialect::{Api, answer, samples, translate};

    fn says(text: &str) -> Fixed<'_> {
        Fixed { text, model: "m", id: "msg_1", created: 1_795_000_000, include_usage: false }
    }

    #[test]
    fn a_plain_answer_is_a_message_that_has_used_nothing() {
        let body = answer::fixed(Api::Messages, false, &says("Hi.")).unwrap();
        let expected = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [{ "type": "text", "text": "Hi." }],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {
                "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                "output_tokens": 0,
            },
        });
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn a_stream_is_whole_and_says_the_same(text in samples::any_text()) {
            let stream = answer::fixed(Api::Messages, true, &says(&text)).unwrap();
            let mut reader = StreamReader::new(Api::Messages, true);
            prop_assert_eq!(&reader.push(stream.clone()).unwrap(), &stream);
            prop_assert_eq!(reader.seen().content, !text.is_empty());
            prop_assert_eq!(reader.finish().1, StreamEnd::Complete);
            let stamp = Stamp { id: "0", created: 0, model: "m", include_usage: true };
            let plain = answer::fixed(Api::Messages, false, &says(&text)).unwrap();
            let plain = translate::decode_answer(translate::Form::Messages, &plain, &stamp).unwrap();
            prop_assert_eq!(messages::samples::folded(&stream, &stamp), plain);
        }
    }
}
