//! What is written is read back.

use proptest::prelude::*;

use super::*;
use crate::dialect::neutral::samples::{Within, answer, answer_and_events, fold, merged, request};
use crate::dialect::neutral::{Content, Effort, Finish, Literal, Part, Reasoning};
use crate::dialect::{Dialect, samples};

const ANSWERS: Within = Within {
    reasoning: true,
    call_signatures: Some(Dialect::Gemini),
    refusals: true,
    choices: true,
    finishes: &[Finish::Stop, Finish::Length, Finish::Filtered],
    usage_cache_write: true,
    usage_reasoning: true,
    usage_audio: true,
    ..Within::PLAIN
};

const REQUESTS: Within = Within {
    late_system: true,
    names: true,
    images: true,
    image_urls: true,
    image_detail: true,
    documents: true,
    document_names: true,
    audio: true,
    refusals: true,
    strict_tools: true,
    parallel_tool_calls: true,
    penalties: true,
    seed: true,
    json: true,
    schema_names: true,
    thinking: &[Reasoning::Off, Reasoning::Effort(Effort::Minimal), Reasoning::Effort(Effort::Max)],
    choices: true,
    user: true,
    metadata: true,
    ..Within::PLAIN
};

/// An answer as it is read: a refusal ends one that would only stop.
fn as_read(answer: crate::dialect::neutral::Answer<'static>) -> crate::dialect::neutral::Answer<'static> {
    let mut answer = answer;
    for choice in &mut answer.choices {
        let refuses = choice.parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
        if refuses && choice.finish == Finish::Stop {
            choice.finish = Finish::Refused;
        }
    }
    answer
}

/// A request as it is read: neighbouring turns as one, files with a name, results that name an error as errors.
fn as_request(request: Request<'static>) -> Request<'static> {
    let mut request = merged(request);
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Content::Document { name: name @ None, .. } = &mut part.content {
            *name = Some(Literal::word("document.pdf"));
        }
        if let Content::ToolResult(result) = &mut part.content
            && let [Part { content: Content::Text(text), .. }] = &result.parts[..]
        {
            result.is_error = text.is(r#"{"error":{"message":"x"}}"#);
        }
    }
    request
}

proptest! {
    #[test]
    fn a_plain_answer_is_read_back(answer in answer(ANSWERS)) {
        let body = encode_answer(&answer, &STAMP);
        prop_assert_eq!(decode_answer(&body, &STAMP).unwrap(), as_read(answer));
    }

    #[test]
    fn a_stream_is_read_back_and_says_what_the_plain_answer_says((answer, told) in answer_and_events(ANSWERS)) {
        let stream = stream(&told, &STAMP);
        let read = fold(&events(stream.as_bytes()));
        prop_assert_eq!(&read, &as_read(answer.clone()));
        let body = encode_answer(&answer, &STAMP);
        prop_assert_eq!(&decode_answer(&body, &STAMP).unwrap(), &read);
    }

    #[test]
    fn a_request_is_read_back_and_nothing_is_lost(request in request(REQUESTS)) {
        let mut lost = Losses::default();
        let body = encode_request(&request, &RECIPIENT, &mut lost).body(None);
        let (read, unread) = decode_request(&body).unwrap();
        prop_assert!(lost.is_empty() && unread.is_empty(), "{:?} {:?}", lost, unread);
        prop_assert_eq!(merged(read), as_request(request));
    }

    #[test]
    fn nothing_that_is_sent_makes_a_request_panic(
        messages in samples::any_json(), name in "[a-z_]{1,12}", value in samples::any_json(), bytes: Vec<u8>,
    ) {
        let body = serde_json::json!({ "messages": [messages], name: value }).to_string();
        let _ = decode_request(body.as_bytes());
        let _ = decode_request(&bytes);
    }

    #[test]
    fn nothing_that_is_answered_makes_a_reader_panic(
        choice in samples::any_json(), delta in samples::any_json(), bytes: Vec<u8>,
    ) {
        let chunk = serde_json::json!({ "choices": [choice, { "delta": delta, "message": delta }] }).to_string();
        for data in [chunk.as_bytes(), &bytes] {
            let _ = decode_answer(data, &STAMP);
            let mut decoder = Decoder::new(&STAMP);
            let mut told = Vec::new();
            decoder.read(data, &mut |event| told.push(owned(&event)));
            decoder.end(&mut |event| told.push(owned(&event)));
            fold(&told);
        }
    }
}
