//! What holds for everything that Gemini can express.

use proptest::prelude::*;
use serde_json::Value;

use super::any::{answer, budgets, levels, request};
use super::*;
use crate::dialect::gemini::generate::signature::SKIP_VALIDATION;
use crate::dialect::gemini::generate::{
    Decoder, Encoder, decode_answer, decode_request, encode_answer, encode_request,
};
use crate::dialect::neutral::{Request, Signature, Weight};
use crate::dialect::translate::ReasoningForm;
use crate::dialect::{Dialect, samples, sse};

/// A request, written and read again.
fn there_and_back(request: &Request<'_>, accepts: Accepts) -> Result<(), TestCaseError> {
    let mut lost = Losses::default();
    let prepared = encode_request(request, &recipient(accepts), &mut lost);
    prop_assert!(lost.is_empty(), "{:?}", names(&lost));
    let body = prepared.body(None);
    let (read, lost) = decode_request(&body).unwrap();
    prop_assert!(lost.first(Weight::Meaning).is_none(), "{:?}", names(&lost));
    let mut expected = request.clone();
    if accepts.call_ids {
        signed(&mut expected);
    }
    prop_assert_eq!(read, expected);
    Ok(())
}

/// The first call of every turn has a signature: that of a lost one where it has none.
fn signed(request: &mut Request<'_>) {
    for turn in &mut request.turns {
        let call = turn
            .parts
            .iter_mut()
            .find_map(|part| if let Content::ToolCall(call) = &mut part.content { Some(call) } else { None });
        if let Some(call) = call.filter(|call| call.signature.is_none()) {
            call.signature = Some(Signature { by: Dialect::Gemini, text: SKIP_VALIDATION });
        }
    }
}

/// All events of an answer, as any decoder gives them: texts and arguments split at these places.
fn events_of(answer: &Answer<'static>, split: usize) -> Vec<Event<'static>> {
    let pieces = |text: &Literal<'_>| -> Vec<Literal<'static>> {
        let chars: Vec<char> = text.text().chars().collect();
        chars.chunks(split).map(|piece| Literal::from_text(&piece.iter().collect::<String>())).collect()
    };
    let mut events = vec![Event::Start { id: answer.id.clone(), model: answer.model.clone() }];
    for (choice, said) in (0..).zip(&answer.choices) {
        let mut index = 0;
        for part in &said.parts {
            match &part.content {
                Content::Text(text) => {
                    events.extend(pieces(text).into_iter().map(|text| Event::Text { choice, text }));
                }
                Content::Reasoning { text, signature } => {
                    events.extend(pieces(text).into_iter().map(|text| Event::Reasoning { choice, text }));
                    events.extend(signature.clone().map(|signature| Event::Signature { choice, signature }));
                }
                Content::Redacted(data) => events.push(Event::Redacted { choice, data: data.clone() }),
                Content::ToolCall(call) => {
                    let ToolCall { id, name, arguments, signature } = call.clone();
                    let json = text(std::str::from_utf8(arguments.raw()).unwrap());
                    events.push(Event::ToolCall { choice, index, id, name, signature });
                    events.extend(pieces(&json).into_iter().map(|json| Event::Arguments {
                        choice,
                        index,
                        json,
                    }));
                    index += 1;
                }
                // The generator makes none.
                Content::Refusal(_)
                | Content::Image { .. }
                | Content::Document { .. }
                | Content::Audio { .. }
                | Content::ToolResult(_) => {}
            }
        }
        events.push(Event::Finish { choice, finish: said.finish, stop: None });
    }
    events.extend(answer.usage.map(Event::Usage));
    events.push(Event::End);
    events
}

fn stream_of(events: &[Event<'_>]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(&STAMP), Vec::new());
    events.iter().for_each(|event| encoder.write(event, &mut out));
    out
}

fn read(stream: &[u8]) -> Answer<'static> {
    let (mut decoder, mut fold) = (Decoder::new(&STAMP), Fold::default());
    for event in sse::events(stream) {
        decoder.read(&sse::data(event).unwrap(), &mut |event| fold.take(event));
    }
    decoder.end(&mut |event| fold.take(event));
    fold.answer()
}

proptest! {
    #[test]
    fn a_request_comes_back_as_it_was(by_level in request(levels()), by_budget in request(budgets()), call_ids: bool) {
        there_and_back(&by_level, Accepts { call_ids, ..Accepts::default() })?;
        there_and_back(&by_budget, Accepts { call_ids, reasoning: ReasoningForm::Budget, ..Accepts::default() })?;
    }

    #[test]
    fn an_answer_comes_back_as_it_was(answer in answer()) {
        let body = encode_answer(&answer, &STAMP);
        prop_assert_eq!(decode_answer(&body, &STAMP).unwrap(), answer);
    }

    #[test]
    fn a_stream_says_what_the_plain_answer_does(answer in answer(), split in 1..9_usize) {
        prop_assert_eq!(read(&stream_of(&events_of(&answer, split))), answer);
    }

    #[test]
    fn every_event_is_an_answer_in_one_line_and_only_the_last_one_has_usage(answer in answer(), split in 1..9_usize) {
        let stream = stream_of(&events_of(&answer, split));
        let events: Vec<&[u8]> = sse::events(&stream).collect();
        for (place, event) in events.iter().enumerate() {
            let framed = event.starts_with(b"data: {") && event.ends_with(b"}\r\n\r\n");
            prop_assert!(framed);
            prop_assert_eq!(event.iter().filter(|byte| **byte == b'\n').count(), 2);
            let last = place + 1 == events.len();
            let data = json(&sse::data(event).unwrap());
            let candidates = data["candidates"].as_array().unwrap();
            prop_assert_eq!(data.get("usageMetadata").is_some(), last && answer.usage.is_some());
            prop_assert!(candidates.iter().all(|candidate| candidate.get("finishReason").is_some() == last));
            let parts = |candidate: &Value| candidate["content"]["parts"].as_array().unwrap().len();
            prop_assert!(candidates.iter().all(|candidate| parts(candidate) == 1));
        }
    }

    #[test]
    fn any_json_is_read_or_refused_with_its_place(body in samples::any_json(), name in prop::sample::select(FIELDS.to_vec())) {
        let part = serde_json::json!({ name: body });
        for body in [
            body.clone(),
            part.clone(),
            serde_json::json!({ "contents": [{ "role": "model", "parts": [part] }] }),
            serde_json::json!({ "contents": [{ "parts": [{ "functionCall": part, "inlineData": part, "text": body }] }] }),
            serde_json::json!({ "generationConfig": part, "toolConfig": part, "tools": [part] }),
            serde_json::json!({ "tools": [{ "functionDeclarations": [part] }], "toolConfig": { "functionCallingConfig": part } }),
        ] {
            let text = body.to_string();
            match decode_request(text.as_bytes()) {
                Ok((request, _)) => {
                    let mut lost = Losses::default();
                    let prepared = encode_request(&request, &recipient(Accepts::default()), &mut lost);
                    written(&prepared);
                }
                Err(fault) => prop_assert!(!fault.message.is_empty()),
            }
        }
    }

    #[test]
    fn any_json_is_an_answer_or_none(body in samples::any_json(), name in prop::sample::select(FIELDS.to_vec())) {
        let part = serde_json::json!({ name: body });
        for body in [
            body,
            part.clone(),
            serde_json::json!({ "candidates": [part, { "index": 1, "content": { "parts": [part, { "functionCall": part }] } }], "usageMetadata": part }),
        ] {
            let text = body.to_string();
            let plain = decode_answer(text.as_bytes(), &STAMP);
            let (mut decoder, mut fold) = (Decoder::new(&STAMP), Fold::default());
            decoder.read(text.as_bytes(), &mut |event| fold.take(event));
            decoder.end(&mut |event| fold.take(event));
            let streamed = fold.answer();
            if let Ok(plain) = plain {
                prop_assert_eq!(streamed, plain);
            }
        }
    }
}

const FIELDS: [&str; 24] = [
    "text",
    "thought",
    "thoughtSignature",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "parts",
    "role",
    "name",
    "args",
    "id",
    "mimeType",
    "data",
    "temperature",
    "topK",
    "stop_sequences",
    "thinkingConfig",
    "responseSchema",
    "responseModalities",
    "mode",
    "functionDeclarations",
    "parameters",
    "finishReason",
];
