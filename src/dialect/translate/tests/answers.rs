//! Answers, as every caller gets them, whole and as streams.

use std::fs;

use bytes::Bytes;
use serde_json::Value;

use super::{Case, FORMS, Golden, STAMP, api, cases, pretty};
use crate::dialect::neutral::Event;
use crate::dialect::neutral::samples::{fold, owned};
use crate::dialect::sse::{self, Framer};
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
        let body = fs::read(&case.path).unwrap();
        let plain = decode_answer(case.form, &body, &STAMP).unwrap();
        let stream = fold(&events(case.form, &stream_of(&case)));
        assert_eq!(stream, plain, "{}", case.name);
    }
}

#[test]
fn a_response_is_the_same_at_the_end_of_its_stream() {
    for case in cases("answers") {
        let body = fs::read(&case.path).unwrap();
        let plain = answer(api(case.form), Api::Responses, &body, &STAMP).unwrap();
        let stream = translated(api(case.form), Api::Responses, [stream_of(&case)]);
        let mut last = Value::Null;
        each(stream.as_bytes(), |_, data| last = serde_json::from_slice(data).unwrap());
        let plain = serde_json::from_slice(&plain).unwrap();
        assert_eq!(read(last["response"].take()), read(plain), "{}", case.name);
    }
}

/// A response, the arguments of its calls read: their space may differ.
fn read(mut response: Value) -> Value {
    for item in response["output"].as_array_mut().unwrap() {
        if let Some(arguments) = item.get_mut("arguments") {
            *arguments = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
        }
    }
    response
}

fn check(face: &str) {
    let to = FORMS.into_iter().find(|(name, _)| *name == face).unwrap().1;
    let mut golden = Golden::new();
    for case in cases("answers") {
        let (from, to) = (api(case.form), api(to));
        let body = fs::read(&case.path).unwrap();
        let plain = answer(from, to, &body, &STAMP).unwrap();
        match serde_json::from_slice::<Value>(&plain) {
            Ok(plain) => golden.check(&case, &format!("{face}.json"), &pretty(&plain)),
            Err(e) => golden.fault(format!("{}: no JSON for {face}: {e}", case.name)),
        }
        let bytes = stream_of(&case);
        let stream = translated(from, to, [bytes.clone()]);
        golden.check(&case, &format!("{face}.sse"), &stream);
        for size in [1, 2, 7, 64] {
            let pieces = bytes.chunks(size).map(Bytes::copy_from_slice);
            assert_eq!(translated(from, to, pieces), stream, "{} in pieces of {size}", case.name);
        }
    }
    golden.finish();
}

/// The same answer as a stream, which stands beside the plain one.
fn stream_of(case: &Case) -> Bytes {
    let path = case.path.with_extension("sse");
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into()
}

/// A stream that came in these pieces.
fn translated(from: Api, to: Api, pieces: impl IntoIterator<Item = Bytes>) -> String {
    let mut translator = Translator::new(from, to, &STAMP).unwrap();
    let mut framer = Framer::default();
    let mut out = Vec::new();
    for piece in pieces {
        let whole = framer.push(piece).unwrap();
        each(&whole, |name, data| translator.read(name, data));
        out.extend_from_slice(&translator.take());
    }
    translator.end();
    out.extend_from_slice(&translator.take());
    String::from_utf8(out).unwrap()
}

/// Name and data of every event that a translator reads.
fn each(whole: &[u8], mut read: impl FnMut(Option<&[u8]>, &[u8])) {
    for event in sse::events(whole) {
        if let Some(data) = sse::data(event).filter(|data| !data.is_empty() && data.trim_ascii() != b"[DONE]")
        {
            read(sse::name(event), &data);
        }
    }
}

/// What a provider's stream says, event by event.
fn events(from: Form, stream: &[u8]) -> Vec<Event<'static>> {
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
