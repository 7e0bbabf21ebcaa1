//! Answers, as every caller gets them, whole and as streams.

use std::fs;

use bytes::Bytes;
use serde_json::Value;

use super::{Case, FORMS, Golden, STAMP, api, cases, pretty};
use crate::dialect::neutral::Event;
use crate::dialect::neutral::samples::{fold, owned};
use crate::dialect::sse;
use crate::dialect::stream::{StreamEnd, StreamReader};
use crate::dialect::translate::{Form, Translator, answer, decode_answer};
use crate::dialect::{Api, anthropic, gemini, openai};

#[test]
fn every_answer_is_written_for_chats() {
    check("chat");
}

#[test]
fn every_answer_is_written_for_responses() {
    check("responses");
}

#[test]
fn every_answer_is_written_for_messages() {
    check("messages");
}

#[test]
fn every_answer_is_written_for_generate() {
    check("generate");
}

#[test]
fn a_stream_says_what_the_plain_answer_says() {
    for case in cases("answers") {
        let Some(body) = plain_of(&case) else { continue };
        let plain = decode_answer(case.form, &body, &STAMP).unwrap();
        let stream = fold(&events(case.form, &stream_of(&case)));
        assert_eq!(stream, plain, "{}", case.name);
    }
}

#[test]
fn a_response_is_the_same_at_the_end_of_its_stream() {
    for case in cases("answers") {
        let Some(body) = plain_of(&case) else { continue };
        let plain = answer(api(case.form), Api::Responses, &body, &STAMP).unwrap();
        let (stream, _) = translated(api(case.form), Api::Responses, [stream_of(&case)]);
        let mut last = Value::Null;
        each(stream.as_bytes(), |_, data| last = serde_json::from_slice(data).unwrap());
        let plain = serde_json::from_slice(&plain).unwrap();
        assert_eq!(read(last["response"].take()), read(plain), "{}", case.name);
    }
}

/// A response, the arguments of its calls read: their space may differ.
pub(super) fn read(mut response: Value) -> Value {
    for item in response["output"].as_array_mut().unwrap() {
        if let Some(arguments) = item.get_mut("arguments") {
            *arguments = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
        }
    }
    response
}

#[test]
fn an_answer_that_is_no_text_is_none() {
    for (from, body) in [
        (Api::Chat, &b"{\"id\":\"\xe5\",\"choices\":[{\"message\":{\"content\":\"a\"}}]}"[..]),
        (Api::Messages, b"{\"id\":\"\xe5\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}"),
        (
            Api::Generate,
            b"{\"responseId\":\"\xe5\",\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}",
        ),
    ] {
        for to in [Api::Chat, Api::Responses, Api::Messages, Api::Generate] {
            assert!(answer(from, to, body, &STAMP).is_err(), "{from} to {to}");
        }
    }
}

fn check(face: &str) {
    let to = FORMS.into_iter().find(|(name, _)| *name == face).unwrap().1;
    let mut golden = Golden::new();
    for case in cases("answers") {
        let (from, to) = (api(case.form), api(to));
        let plain = plain_of(&case).map(|body| answer(from, to, &body, &STAMP).unwrap());
        match plain.as_deref().map(serde_json::from_slice::<Value>) {
            None => {}
            Some(Ok(plain)) => golden.check(&case, &format!("{face}.json"), &pretty(&plain)),
            Some(Err(e)) => golden.fault(format!("{}: no JSON for {face}: {e}", case.name)),
        }
        let bytes = stream_of(&case);
        let (stream, end) = translated(from, to, [bytes.clone()]);
        golden.check(&case, &format!("{face}.sse"), &stream);
        if plain.is_some() != (end == StreamEnd::Complete) {
            golden.fault(format!("{}: the stream is {end:?}", case.name));
        }
        for size in [1, 2, 7, 64] {
            let pieces = bytes.chunks(size).map(Bytes::copy_from_slice);
            let again = translated(from, to, pieces);
            assert_eq!(again, (stream.clone(), end), "{} in pieces of {size}", case.name);
        }
    }
    golden.finish();
}

/// The plain answer of a case; a stream that fails has none.
fn plain_of(case: &Case) -> Option<Vec<u8>> {
    fs::read(case.path.with_extension("json")).ok()
}

/// The same answer as a stream, which stands beside the plain one.
fn stream_of(case: &Case) -> Bytes {
    let path = case.path.with_extension("sse");
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into()
}

/// What a caller gets of a stream that came in these pieces, and how it ended.
fn translated(from: Api, to: Api, pieces: impl IntoIterator<Item = Bytes>) -> (String, StreamEnd) {
    let translator = Translator::new(from, to, &STAMP).unwrap();
    let mut reader = StreamReader::new(from, true).translating(translator);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&reader.push(piece).unwrap());
    }
    let (last, end) = reader.finish();
    out.extend_from_slice(&last);
    (String::from_utf8(out).unwrap(), end)
}

/// Name and data of every event that a translator reads.
pub(super) fn each(whole: &[u8], mut read: impl FnMut(Option<&[u8]>, &[u8])) {
    for event in sse::events(whole) {
        if let Some(data) = sse::data(event).filter(|data| !data.is_empty() && data.trim_ascii() != b"[DONE]")
        {
            read(sse::name(event), &data);
        }
    }
}

/// What a provider's stream says, event by event.
pub(super) fn events(from: Form, stream: &[u8]) -> Vec<Event<'static>> {
    let mut told = Vec::new();
    let mut write = |event: Event<'_>| told.push(owned(&event));
    match from {
        Form::Chat => {
            let mut decoder = openai::chat::Decoder::new(&STAMP);
            each(stream, |_, data| decoder.read(data, &mut write));
            decoder.end(&mut write);
        }
        Form::Messages => {
            let mut decoder = anthropic::messages::Decoder::new(&STAMP);
            each(stream, |name, data| decoder.read(name, data, &mut write));
            decoder.end(&mut write);
        }
        Form::Generate => {
            let mut decoder = gemini::generate::Decoder::new(&STAMP);
            each(stream, |_, data| decoder.read(data, &mut write));
            decoder.end(&mut write);
        }
        Form::Responses => panic!("no provider is asked by it"),
    }
    told
}
