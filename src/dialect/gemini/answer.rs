//! An answer of our own.

use bytes::Bytes;

use crate::dialect::answer::Fixed;
use crate::dialect::gemini::generate::encode_answer;
use crate::dialect::neutral::{Answer, Choice, Content, Finish, Literal, Part};
use crate::dialect::translate::Stamp;
use crate::usage::Usage;

/// The answer as a body, or as all the events of a stream, which is one: each of Gemini's events is a whole answer.
pub(crate) fn fixed(stream: bool, says: &Fixed<'_>) -> Bytes {
    let answer = Answer {
        id: Literal::from_text(says.id),
        model: Literal::from_text(says.model),
        choices: vec![Choice {
            parts: vec![Part::of(Content::Text(Literal::from_text(says.text)))],
            finish: Finish::Stop,
            stop: None,
        }],
        usage: Some(Usage::default()),
    };
    let stamp =
        Stamp { id: says.id, created: says.created, model: says.model, include_usage: says.include_usage };
    let body = encode_answer(&answer, &stamp);
    if stream { [b"data: ", body.as_slice(), b"\r\n\r\n"].concat().into() } else { body.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::stream::{StreamEnd, StreamReader};
    use crate::dialect::{Api, facts, plain, samples, sse};

    fn says(text: &str) -> Fixed<'_> {
        Fixed { text, model: "fast", id: "r-1", created: 1_795_000_000, include_usage: false }
    }

    #[test]
    fn a_fixed_answer_has_geminis_form() {
        let body: Value = serde_json::from_slice(&fixed(false, &says("No."))).unwrap();
        let expected = json!({
            "candidates": [{
                "content": { "role": "model", "parts": [{ "text": "No." }] }, "finishReason": "STOP", "index": 0,
            }],
            "usageMetadata": { "promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0 },
            "modelVersion": "fast", "responseId": "r-1",
        });
        assert_eq!(body, expected);
    }

    proptest! {
        #[test]
        fn the_stream_is_one_event_that_is_the_plain_answer(text in samples::any_text()) {
            let (plain, stream) = (fixed(false, &says(&text)), fixed(true, &says(&text)));
            prop_assert_eq!(sse::events(&stream).count(), 1);
            prop_assert_eq!(&*sse::data(&stream).unwrap(), &*plain);
            prop_assert_eq!(plain::usage(Api::Generate, &plain), Some(Usage::default()));
            let facts = facts::in_answer(Api::Generate, &plain);
            prop_assert_eq!(facts.finish_reasons.as_slice(), ["stop"]);
            let mut reader = StreamReader::new(Api::Generate, true);
            reader.push(stream).unwrap();
            prop_assert_eq!(reader.finish().1, StreamEnd::Complete);
        }
    }
}
