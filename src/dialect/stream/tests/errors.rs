//! What an error event says, and whether content came before it.

use serde_json::Value as Json;

use super::*;

fn content(api: Api) -> Json {
    if api == Api::Responses {
        return json!({ "type": "response.output_text.delta", "delta": "a" });
    }
    let choice =
        if api == Api::Chat { json!({ "delta": { "content": "a" } }) } else { json!({ "text": "a" }) };
    json!({ "choices": [choice] })
}

fn opening(api: Api) -> Json {
    if api == Api::Responses {
        return json!({ "type": "response.created", "response": { "output": [], "error": null } });
    }
    let delta = json!({ "delta": { "role": "assistant", "content": "" } });
    json!({ "choices": [if api == Api::Chat { delta } else { json!({ "text": "" }) }] })
}

fn read(api: Api, events: &[&Json]) -> StreamReader {
    let mut reader = StreamReader::new(api, true);
    for data in events {
        reader.push(Bytes::from(event(data))).unwrap();
    }
    reader
}

#[test]
fn an_error_event_says_what_it_means_before_content_and_after() {
    let limited = json!({ "error": { "message": "Please try again in 2s.", "code": "rate_limit_exceeded" } });
    let router = json!({ "choices": [{ "delta": { "content": "" }, "finish_reason": "error" }],
        "error": { "code": 503, "message": "x" } });
    let groq = json!({ "choices": [{ "delta": {} }], "x_groq": { "error": { "type": "tokens" } } });
    let nested = json!({ "type": "error", "error": { "code": "context_length_exceeded" } });
    let flat = json!({ "type": "error", "code": "server_is_overloaded", "message": "x" });
    let failed = json!({ "type": "response.failed", "response": { "output": [{ "type": "message" }],
        "error": { "code": "rate_limit_exceeded", "message": "x" } } });
    let two = Some(Duration::from_secs(2));
    for (api, error, said, wait) in [
        (Api::Chat, &limited, Said::RateLimited, two),
        (Api::Chat, &router, Said::Overloaded, None),
        (Api::Chat, &groq, Said::RateLimited, None),
        (Api::Completions, &limited, Said::RateLimited, two),
        (Api::Responses, &limited, Said::RateLimited, two),
        (Api::Responses, &nested, Said::ContextTooLong, None),
        (Api::Responses, &flat, Said::Overloaded, None),
        (Api::Responses, &failed, Said::RateLimited, None),
    ] {
        for (events, before) in [
            (vec![error.clone()], true),
            (vec![opening(api), error.clone()], true),
            (vec![error.clone(), content(api)], true),
            (vec![opening(api), content(api), error.clone()], false),
        ] {
            let reader = read(api, &events.iter().collect::<Vec<_>>());
            assert_eq!(reader.error_said(), Some(said), "{error}");
            assert_eq!(reader.error_retry_after(), wait, "{error}");
            assert_eq!(reader.error_before_content(), before, "{error}");
        }
    }
}

#[test]
fn of_two_errors_the_first_counts() {
    let error = |code: &str| json!({ "error": { "code": code } });
    let reader = read(Api::Chat, &[&error("insufficient_quota"), &error("rate_limit_exceeded")]);
    assert_eq!(reader.error_said(), Some(Said::OutOfCredit));
}

#[test]
fn an_error_after_the_last_event_is_none() {
    let error = json!({ "error": { "message": "x", "code": "server_error" } });
    let mut chat = read(Api::Chat, &[&content(Api::Chat)]);
    let last = Bytes::from(format!("data: [DONE]\n\n{}", event(&error)));
    assert_eq!(chat.push(last.clone()).unwrap(), last, "it goes on as it came");
    assert!(!chat.seen().error);
    assert_eq!((chat.error_said(), chat.finish().1), (None, StreamEnd::Complete));
    let end = json!({ "type": "response.completed", "response": { "output": [], "error": null } });
    let failed = json!({ "type": "error", "error": { "message": "x" } });
    let mut response = read(Api::Responses, &[&content(Api::Responses), &end, &failed]);
    assert_eq!((response.seen().error, response.finish().1), (false, StreamEnd::Complete));
}

#[test]
fn an_error_that_brings_content_is_not_before_it() {
    let both = json!({ "choices": [{ "delta": { "content": "a" }, "finish_reason": "error" }], "error": { "code": 502 } });
    let reader = read(Api::Chat, &[&both]);
    assert_eq!((reader.error_said(), reader.error_before_content()), (Some(Said::Nothing), false));
}

#[test]
fn an_error_known_by_its_name_alone_says_nothing() {
    let mut reader = StreamReader::new(Api::Chat, true);
    reader.push(Bytes::from_static(b"event: error\ndata: oops\n\n")).unwrap();
    assert_eq!((reader.error_said(), reader.error_before_content()), (Some(Said::Nothing), true));
}

#[test]
fn a_stream_without_error_has_said_none() {
    for (api, name) in SAMPLES {
        let mut reader = StreamReader::new(api, true);
        reader.push(Bytes::from(samples::openai(name))).unwrap();
        let expected = reader.seen().error.then_some(Said::Nothing);
        assert_eq!(reader.error_said(), expected, "{name}");
        assert!(!reader.error_before_content(), "{name}");
    }
}
