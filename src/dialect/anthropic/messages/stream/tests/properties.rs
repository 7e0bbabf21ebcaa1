use proptest::prelude::*;
use serde_json::Value;

use super::{arguments, call, text, thought, written};
use crate::dialect::anthropic::messages::samples::{
    STAMP, any_answer, decoded, fold, folded, literal, signature,
};
use crate::dialect::neutral::{Answer, Content, Event, Finish, Literal};
use crate::dialect::stream::{StreamEnd, StreamReader};
use crate::dialect::{Api, Dialect, sse};

/// The events by which an answer comes, in pieces of so many characters.
fn pieces(answer: &Answer<'static>, size: usize) -> Vec<Event<'static>> {
    let cut = |text: &Literal<'_>| -> Vec<Literal<'static>> {
        let chars: Vec<char> = text.text().chars().collect();
        chars.chunks(size).map(|piece| literal(&piece.iter().collect::<String>())).collect()
    };
    let mut events = vec![Event::Start { id: answer.id.clone(), model: answer.model.clone() }];
    let mut calls = 0;
    let choice = &answer.choices[0];
    for part in &choice.parts {
        match &part.content {
            Content::Text(text) => {
                events.extend(cut(text).into_iter().map(|text| Event::Text { choice: 0, text }));
            }
            Content::Reasoning { text, signature } => {
                events.extend(cut(text).into_iter().map(|text| Event::Reasoning { choice: 0, text }));
                let signature = signature.clone().into_iter();
                events.extend(signature.map(|signature| Event::Signature { choice: 0, signature }));
            }
            Content::Redacted(data) => events.push(Event::Redacted { choice: 0, data: data.clone() }),
            Content::ToolCall(call) => {
                let (id, name, signature) = (call.id.clone(), call.name.clone(), call.signature.clone());
                events.push(Event::ToolCall { choice: 0, index: calls, id, name, signature });
                let json = literal(std::str::from_utf8(call.arguments.raw()).unwrap());
                let index = calls;
                events.extend(cut(&json).into_iter().map(|json| Event::Arguments { choice: 0, index, json }));
                calls += 1;
            }
            Content::Refusal(_)
            | Content::Image { .. }
            | Content::Document { .. }
            | Content::Audio { .. }
            | Content::ToolResult(_) => panic!("no answer of Anthropic's: {part:?}"),
        }
    }
    events.push(Event::Finish { choice: 0, finish: choice.finish, stop: choice.stop.clone() });
    events.extend(answer.usage.map(Event::Usage));
    events.push(Event::End);
    events
}

proptest! {
    #[test]
    fn a_stream_is_whole_and_says_what_the_plain_answer_says(answer in any_answer(), size in 1..9_usize) {
        let stream = written(&pieces(&answer, size));
        let mut reader = StreamReader::new(Api::Messages, true);
        prop_assert_eq!(&reader.push(stream.clone().into()).unwrap(), &stream);
        prop_assert_eq!(reader.usage(), answer.usage);
        prop_assert_eq!(reader.seen().content, !answer.choices[0].parts.is_empty());
        prop_assert_eq!(reader.finish().1, StreamEnd::Complete);
        prop_assert_eq!(folded(&stream, &STAMP), answer);
    }

    #[test]
    fn pieces_of_any_size_say_the_same(answer in any_answer(), size in 1..9_usize) {
        let stream = written(&pieces(&answer, size));
        let again = written(&decoded(&stream, &STAMP));
        prop_assert_eq!(folded(&again, &STAMP), fold(pieces(&answer, 1000)));
    }

    #[test]
    fn any_order_of_events_is_written_as_blocks_in_order(
        order in prop::collection::vec((0..8_usize, 0..3_u32), 0..30),
    ) {
        let event = |(kind, index): (usize, u32)| match kind {
            0 => text("x"),
            1 => thought("y"),
            2 => Event::Signature { choice: 0, signature: signature(Dialect::OpenAi, "s") },
            3 => Event::Redacted { choice: 0, data: signature(Dialect::Anthropic, "d") },
            4 => call(index),
            5 => arguments(index, "{\"a\":"),
            6 => arguments(index, "1}"),
            _ => Event::Finish { choice: index, finish: Finish::Stop, stop: None },
        };
        let mut events: Vec<_> = order.into_iter().map(event).collect();
        events.push(Event::End);
        let (mut next, mut open) = (0, false);
        for event in sse::events(&written(&events)) {
            let data: Value = serde_json::from_slice(&sse::data(event).unwrap()).unwrap();
            match data["type"].as_str().unwrap() {
                "content_block_start" => prop_assert!(!std::mem::replace(&mut open, true)),
                "content_block_delta" => prop_assert!(open),
                "content_block_stop" => prop_assert!(std::mem::replace(&mut open, false)),
                _ => {
                    prop_assert!(!open);
                    continue;
                }
            }
            prop_assert_eq!(data["index"].as_u64().unwrap(), next);
            next += u64::from(!open);
        }
    }
}
