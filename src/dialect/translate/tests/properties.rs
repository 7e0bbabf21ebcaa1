//! What holds for any answer, from every provider to every caller.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::answers::{each, events, read};
use super::{STAMP, api};
use crate::dialect::neutral::samples::{Within, answer_and_events, fold};
use crate::dialect::neutral::{Answer, Content, Event, Finish};
use crate::dialect::stream::{StreamEnd, StreamReader};
use crate::dialect::translate::{Form, Translator, answer, decode_answer, decode_request, encode_answer};
use crate::dialect::{Api, Dialect, anthropic, gemini, openai};
use crate::usage::Usage;

/// By which a provider answers.
const PROVIDERS: [Form; 3] = [Form::Chat, Form::Messages, Form::Generate];

const FINISHES: [(Finish, &[Form]); 7] = [
    (Finish::Stop, &PROVIDERS),
    (Finish::Length, &PROVIDERS),
    (Finish::Filtered, &[Form::Chat, Form::Generate]),
    (Finish::StopSequence, &[Form::Messages]),
    (Finish::Window, &[Form::Messages]),
    (Finish::Refused, &[Form::Messages]),
    (Finish::Paused, &[Form::Messages]),
];

/// What both forms express.
fn within(forms: [Form; 2]) -> Within {
    let chat = forms.contains(&Form::Chat);
    let messages = forms.contains(&Form::Messages);
    let generate = forms.contains(&Form::Generate);
    let finishes = FINISHES.iter().filter(|(_, of)| forms.iter().all(|form| of.contains(form)));
    let finishes: Vec<_> = finishes.map(|(finish, _)| *finish).collect();
    Within {
        reasoning: true,
        // Chats have no place for what only its provider can read.
        signatures: (!chat).then_some(Dialect::Anthropic),
        redacted: (!chat).then_some(Dialect::Gemini),
        call_signatures: Some(Dialect::Gemini),
        refusals: !messages && !generate,
        // A chat has one text.
        any_order: !chat,
        choices: !messages,
        finishes: finishes.leak(),
        stop_told: !chat && !generate,
        usage_cache_write: !generate,
        usage_reasoning: true,
        usage_audio: !messages,
        ..Within::PLAIN
    }
}

/// An answer as it arrives: refused where it refuses, and with counts where its form always has some.
fn as_read(mut answer: Answer<'static>, forms: [Form; 2]) -> Answer<'static> {
    for choice in &mut answer.choices {
        let refuses = choice.parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
        if refuses && choice.finish == Finish::Stop {
            choice.finish = Finish::Refused;
        }
    }
    if forms.contains(&Form::Messages) {
        answer.usage.get_or_insert_with(Usage::default);
    }
    answer
}

/// The stream of a provider that says this.
fn stream(form: Form, events: &[Event<'static>]) -> Bytes {
    let mut out = Vec::new();
    match form {
        Form::Chat => {
            let mut encoder = openai::chat::Encoder::new(&STAMP);
            events.iter().for_each(|event| encoder.write(event, &mut out));
        }
        Form::Messages => {
            let mut encoder = anthropic::messages::Encoder::new(&STAMP);
            events.iter().for_each(|event| encoder.write(event, &mut out));
        }
        Form::Generate => {
            let mut encoder = gemini::generate::Encoder::new(&STAMP);
            events.iter().for_each(|event| encoder.write(event, &mut out));
        }
        Form::Responses => panic!("no provider is asked by it"),
    }
    out.into()
}

/// What a caller gets of a provider's stream that is cut at these places, what it used, and how it ended.
fn relayed(from: Form, to: Form, stream: &Bytes, cuts: &[usize]) -> (Bytes, Option<Usage>, StreamEnd) {
    let translator = Translator::new(api(from), api(to), &STAMP).unwrap();
    let mut reader = StreamReader::new(api(from), true).translating(translator);
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    cuts.push(stream.len());
    cuts.sort_unstable();
    let (mut out, mut begin) = (Vec::new(), 0);
    for end in cuts {
        out.extend_from_slice(&reader.push(stream.slice(begin..end)).unwrap());
        begin = end;
    }
    let (last, end) = reader.finish();
    out.extend_from_slice(&last);
    (out.into(), reader.usage(), end)
}

/// Two forms, and an answer that both can express, whole and as events.
fn crossings() -> impl Strategy<Value = ([Form; 2], Answer<'static>, Vec<Event<'static>>)> {
    let forms = || prop::sample::select(PROVIDERS.to_vec());
    (forms(), forms()).prop_flat_map(|(from, to)| {
        answer_and_events(within([from, to])).prop_map(move |(answer, events)| ([from, to], answer, events))
    })
}

/// A caller's next request, in which it gives back what it got of a plain answer.
fn next_request(form: Form, answer: &[u8]) -> Vec<u8> {
    let mut answer: Value = serde_json::from_slice(answer).unwrap();
    let asked = json!({ "role": "user", "content": "So?" });
    let body = match form {
        Form::Chat => json!({ "messages": [asked, answer["choices"][0]["message"].take()] }),
        Form::Responses => {
            let said = answer["output"].as_array_mut().unwrap().drain(..);
            let input: Vec<_> = std::iter::once(asked).chain(said).collect();
            json!({ "input": input })
        }
        Form::Messages => {
            let said = json!({ "role": "assistant", "content": answer["content"].take() });
            json!({ "max_tokens": 100, "messages": [asked, said] })
        }
        Form::Generate => {
            let asked = json!({ "role": "user", "parts": [{ "text": "So?" }] });
            json!({ "contents": [asked, answer["candidates"][0]["content"].take()] })
        }
    };
    body.to_string().into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_plain_answer_arrives_as_it_was((forms, said, _) in crossings()) {
        let [from, to] = forms;
        let body = answer(api(from), api(to), &encode_answer(from, &said, &STAMP), &STAMP).unwrap();
        prop_assert_eq!(decode_answer(to, &body, &STAMP).unwrap(), as_read(said, forms), "{:?}", forms);
    }

    #[test]
    fn a_stream_arrives_as_the_plain_answer_does_wherever_it_is_cut(
        (forms, said, told) in crossings(), cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let [from, to] = forms;
        let stream = stream(from, &told);
        let (out, usage, end) = relayed(from, to, &stream, &cuts);
        let counted = as_read(said.clone(), [from, from]).usage;
        let said = as_read(said, forms);
        prop_assert_eq!(end, StreamEnd::Complete);
        prop_assert_eq!(&fold(&events(to, &out)), &said, "{:?}", forms);
        prop_assert_eq!(usage, counted, "{:?}", forms);
        prop_assert_eq!(relayed(from, to, &stream, &[]).0, out, "{:?}", forms);
    }

    #[test]
    fn a_response_is_at_the_end_of_its_stream_what_it_is_plain(
        ([from, _], said, told) in crossings(), cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let body = encode_answer(from, &said, &STAMP);
        let plain = answer(api(from), Api::Responses, &body, &STAMP).unwrap();
        let (out, usage, end) = relayed(from, Form::Responses, &stream(from, &told), &cuts);
        prop_assert_eq!(end, StreamEnd::Complete);
        let mut last = Value::Null;
        each(&out, |_, data| last = serde_json::from_slice(data).unwrap());
        let plain = serde_json::from_slice::<Value>(&plain).unwrap();
        prop_assert_eq!(plain["usage"].is_null(), usage.is_none());
        prop_assert_eq!(read(last["response"].take()), read(plain));
    }

    #[test]
    fn what_a_model_said_comes_back_with_the_next_request(
        ([from, to], said, _) in crossings(), to_responses: bool,
    ) {
        let to = if to_responses { Form::Responses } else { to };
        let body = answer(api(from), api(to), &encode_answer(from, &said, &STAMP), &STAMP).unwrap();
        let next = next_request(to, &body);
        let (request, lost) = decode_request(to, &next).unwrap();
        prop_assert!(lost.is_empty(), "{:?}", lost);
        let parts = request.turns.get(1).map(|turn| turn.parts.as_slice()).unwrap_or_default();
        prop_assert_eq!(parts, said.choices[0].parts.as_slice(), "{:?} {:?}", from, to);
    }
}
