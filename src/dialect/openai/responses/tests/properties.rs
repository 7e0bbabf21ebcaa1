//! Answers of any content: streamed, plain, and read back as the conversation that goes on.

use proptest::prelude::*;

use super::answers::encoded;
use super::*;
use crate::dialect::neutral::{Answer, Choice, Content, Finish, Part, Raw, Signature, Speaker, ToolCall};
use crate::dialect::openai::usage;
use crate::dialect::stream::{StreamEnd, StreamReader};
use crate::dialect::{Api, Dialect, samples};
use crate::units::Tokens;
use crate::usage::Usage;

fn any_literal() -> impl Strategy<Value = Literal<'static>> {
    prop_oneof![3 => samples::any_text(), 1 => any::<String>()].prop_map(|said| text(&said))
}

fn any_signature(by: Dialect) -> impl Strategy<Value = Signature<'static>> {
    "[a-zA-Z0-9+/=.]{1,9}".prop_map(move |sealed| Signature { by, text: text(&sealed) })
}

fn any_content() -> impl Strategy<Value = Content<'static>> {
    let by = prop::sample::select(vec![Dialect::Anthropic, Dialect::Gemini]);
    let thought = (any_literal(), by, "[a-z]{1,9}", any::<bool>()).prop_map(|(said, by, sealed, signed)| {
        // Gemini signs the call after it, if not a thought that is told.
        let signed = signed && (by == Dialect::Anthropic || !said.is_empty());
        let signature = signed.then(|| Signature { by, text: text(&sealed) });
        Content::Reasoning { text: said, signature }
    });
    let arguments = prop::collection::btree_map(samples::any_text(), samples::any_json(), 0..3);
    let call = (any_literal(), arguments, prop::option::of(any_signature(Dialect::Gemini)));
    let call = call.prop_map(|(name, arguments, signature)| {
        let arguments = Raw::written(json!(arguments).to_string().into_bytes());
        Content::ToolCall(ToolCall { id: Literal::default(), name, arguments, signature })
    });
    prop_oneof![
        3 => any_literal().prop_map(Content::Text),
        1 => any_literal().prop_map(Content::Refusal),
        2 => thought,
        1 => any_signature(Dialect::Anthropic).prop_map(Content::Redacted),
        3 => call,
    ]
}

fn any_finish() -> impl Strategy<Value = Finish> {
    prop::sample::select(vec![
        Finish::Stop,
        Finish::StopSequence,
        Finish::Length,
        Finish::Window,
        Finish::ToolCalls,
        Finish::Filtered,
        Finish::Refused,
        Finish::Paused,
    ])
}

fn any_usage() -> impl Strategy<Value = Usage> {
    any::<[u32; 5]>().prop_map(|counts| {
        let [input, cache_read, cache_write, output, reasoning] = counts.map(|count| Tokens(count.into()));
        Usage { input, cache_read, cache_write, output, reasoning, ..Usage::default() }
    })
}

fn any_answer() -> impl Strategy<Value = Answer<'static>> {
    let parts = prop::collection::vec(any_content(), 0..8);
    (parts, any_finish(), prop::option::of(any_usage()), any_literal()).prop_map(
        |(parts, finish, usage, model)| {
            let mut parts: Vec<_> = parts.into_iter().map(Part::of).collect();
            for (place, part) in parts.iter_mut().enumerate() {
                if let Content::ToolCall(call) = &mut part.content {
                    call.id = text(&format!("call_{place}"));
                }
            }
            Answer { id: text("x"), model, choices: vec![Choice { parts, finish, stop: None }], usage }
        },
    )
}

/// A text in pieces, cut by these lengths in turn.
fn pieces(whole: &str, lengths: &[usize]) -> Vec<Literal<'static>> {
    let mut chars = whole.chars();
    let mut lengths = lengths.iter().cycle();
    std::iter::from_fn(|| {
        let piece: String = chars.by_ref().take(*lengths.next().unwrap()).collect();
        (!piece.is_empty()).then(|| text(&piece))
    })
    .collect()
}

/// The events of an answer, in pieces. With `mixed`, the calls of one row begin together and go on in turn.
fn events(answer: &Answer<'_>, lengths: &[usize], mixed: bool) -> Vec<Event<'static>> {
    let mut events = vec![Event::Start { id: text("x"), model: answer.model.clone().into_owned() }];
    let choice = &answer.choices[0];
    let (mut index, mut row) = (0, vec![]);
    for part in &choice.parts {
        if !matches!(part.content, Content::ToolCall(_)) {
            end_row(&mut row, &mut events);
        }
        match &part.content {
            Content::Text(said) => events.extend(
                pieces(&said.text(), lengths).into_iter().map(|text| Event::Text { choice: 0, text }),
            ),
            Content::Refusal(said) => events.extend(
                pieces(&said.text(), lengths).into_iter().map(|text| Event::Refusal { choice: 0, text }),
            ),
            Content::Reasoning { text, signature } => {
                let told = pieces(&text.text(), lengths).into_iter();
                events.extend(told.map(|text| Event::Reasoning { choice: 0, text }));
                events.extend(
                    signature
                        .iter()
                        .map(|signature| Event::Signature { choice: 0, signature: owned(signature) }),
                );
            }
            Content::Redacted(data) => events.push(Event::Redacted { choice: 0, data: owned(data) }),
            Content::ToolCall(call) => {
                events.push(Event::ToolCall {
                    choice: 0,
                    index,
                    id: call.id.clone().into_owned(),
                    name: call.name.clone().into_owned(),
                    signature: call.signature.as_ref().map(owned),
                });
                let json = std::str::from_utf8(call.arguments.raw()).unwrap();
                row.push(
                    pieces(json, lengths)
                        .into_iter()
                        .map(|json| Event::Arguments { choice: 0, index, json })
                        .collect(),
                );
                index += 1;
                if !mixed {
                    end_row(&mut row, &mut events);
                }
            }
            Content::Image { .. }
            | Content::Document { .. }
            | Content::Audio { .. }
            | Content::ToolResult(_) => unreachable!("a model says none of these"),
        }
    }
    end_row(&mut row, &mut events);
    events.extend(answer.usage.map(Event::Usage));
    events.push(Event::Finish { choice: 0, finish: choice.finish, stop: None });
    events.push(Event::End);
    events
}

/// The pieces of several calls, one of each in turn.
fn end_row(row: &mut Vec<Vec<Event<'static>>>, events: &mut Vec<Event<'static>>) {
    while row.iter().any(|pieces| !pieces.is_empty()) {
        for pieces in row.iter_mut().filter(|pieces| !pieces.is_empty()) {
            events.push(pieces.remove(0));
        }
    }
    row.clear();
}

fn owned(signature: &Signature<'_>) -> Signature<'static> {
    Signature { by: signature.by, text: signature.text.clone().into_owned() }
}

/// What is left of parts where those that follow each other may be told as one.
fn joined(parts: &[Part<'static>]) -> Vec<Part<'static>> {
    let mut joined: Vec<Part<'static>> = vec![];
    for part in parts {
        match (joined.last_mut().map(|part| &mut part.content), &part.content) {
            (
                _,
                Content::Text(text) | Content::Refusal(text) | Content::Reasoning { text, signature: None },
            ) if text.is_empty() => {}
            (Some(Content::Text(before)), Content::Text(text))
            | (Some(Content::Refusal(before)), Content::Refusal(text)) => before.push(text),
            (
                Some(Content::Reasoning { text: before, signature: before_signature @ None }),
                Content::Reasoning { text, signature },
            ) => {
                before.push(text);
                before_signature.clone_from(signature);
            }
            _ => joined.push(part.clone()),
        }
    }
    joined
}

/// The events of one item, put together: every delta is in what is done, and that in the item.
fn check_item(events: &[(String, Json)], place: usize) -> Json {
    let of_item: Vec<_> = events.iter().filter(|(_, event)| event["output_index"] == place).collect();
    let item = of_item.last().unwrap().1["item"].clone();
    assert_eq!(of_item.first().unwrap().0, "response.output_item.added");
    assert_eq!(of_item.last().unwrap().0, "response.output_item.done");
    let within = &of_item[1..of_item.len() - 1];
    assert!(within.iter().all(|(_, event)| event["item_id"] == item["id"]));
    let (mut told, mut deltas) = (vec![], String::new());
    for (name, event) in within {
        let done = ["text", "refusal", "arguments"].iter().find_map(|field| event[*field].as_str());
        if name.ends_with(".delta") {
            deltas += event["delta"].as_str().unwrap();
        } else if let Some(done) = done {
            assert_eq!(std::mem::take(&mut deltas), done);
            told.push(json!(done));
        }
    }
    assert_eq!(deltas, "");
    let parts = item["content"].as_array().or_else(|| item["summary"].as_array());
    let said = |part: &Json| part.get("text").or_else(|| part.get("refusal")).unwrap().clone();
    let whole: Vec<_> = match parts {
        Some(parts) => parts.iter().map(said).collect(),
        None => vec![item["arguments"].clone()],
    };
    assert_eq!(told, whole);
    item
}

proptest! {
    #[test]
    fn a_stream_ends_with_the_plain_answer_and_tells_all_of_it(
        answer in any_answer(), lengths in prop::collection::vec(1..9_usize, 1..5), mixed: bool,
    ) {
        let events = streamed(&events(&answer, &lengths, mixed));
        let plain = encoded(&answer);
        prop_assert_eq!(whole(&events), &plain);
        for (number, (name, event)) in events.iter().enumerate() {
            prop_assert_eq!(&event["sequence_number"], number);
            prop_assert_eq!(&event["type"], name);
        }
        // Items do not interleave.
        let places: Vec<_> = events.iter().filter_map(|(_, event)| event["output_index"].as_u64()).collect();
        prop_assert!(places.is_sorted());
        let output = plain["output"].as_array().unwrap();
        for (place, item) in output.iter().enumerate() {
            prop_assert_eq!(&check_item(&events, place), item);
        }
        let mut ids: Vec<_> = output.iter().map(|item| item["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), output.len());
    }

    #[test]
    fn our_own_reader_understands_it(answer in any_answer(), lengths in prop::collection::vec(1..9_usize, 1..5)) {
        let mut encoder = Encoder::new(&stamp());
        let mut out = Vec::new();
        events(&answer, &lengths, false).iter().for_each(|event| encoder.write(event, &mut out));
        let mut reader = StreamReader::new(Api::Responses, false);
        prop_assert_eq!(&reader.push(out.clone().into()).unwrap(), &out);
        prop_assert_eq!(reader.finish().1, StreamEnd::Complete);
        prop_assert_eq!(reader.usage(), answer.usage);
        let plain = encode_answer(&answer, &stamp());
        prop_assert_eq!(usage::in_answer(Api::Responses, &plain), answer.usage);
        prop_assert_eq!(reader.seen().content, encoded(&answer)["output"] != json!([]));
    }

    #[test]
    fn what_was_answered_comes_back_as_it_was(answer in any_answer(), instructions in any_literal()) {
        let output = encoded(&answer)["output"].clone();
        let body = json!({ "model": "m", "instructions": instructions.text(), "input": output }).to_string();
        let (request, losses) = decode_request(body.as_bytes()).unwrap();
        prop_assert!(losses.is_empty(), "{:?}", losses);
        let expected = joined(&answer.choices[0].parts);
        let mut turns = request.turns.iter();
        if !instructions.is_empty() {
            prop_assert_eq!(&turns.next().unwrap().parts, &vec![Part::of(Content::Text(instructions))]);
        }
        let turn = turns.next();
        prop_assert_eq!(turn.map_or(&[][..], |turn| &turn.parts), &expected);
        prop_assert!(turn.is_none_or(|turn| turn.speaker == Speaker::Model));
    }

    #[test]
    fn no_body_makes_it_panic(input in samples::any_json(), other in samples::any_json(), name in prop::sample::select(NAMES.to_vec())) {
        let item = |kind: &str| json!({
            "type": kind, "role": "user", "content": input, "call_id": input, "output": other, "summary": input,
            "encrypted_content": other, "name": other, "arguments": input,
        });
        for kind in ["message", "function_call", "function_call_output", "reasoning", "x"] {
            let body = json!({ "input": [item(kind), input], name: other }).to_string();
            if let Err(fault) = decode_request(body.as_bytes()) {
                prop_assert!(fault.field.is_some());
            }
        }
    }
}

const NAMES: [&str; 12] = [
    "instructions",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "metadata",
    "include",
    "store",
    "top_logprobs",
    "temperature",
    "user",
    "prompt",
];
