use proptest::prelude::*;

use super::*;
use crate::dialect::samples;

#[test]
fn what_is_no_answer_is_known() {
    use AnswerFault::*;
    let cases: &[(&str, Result<(), AnswerFault>)] = &[
        ("", Err(Empty)),
        (" \n\r\n", Err(Empty)),
        ("<html>{}</html>", Err(NotJson)),
        ("{", Err(NotJson)),
        (r#"{"id":"#, Err(NotJson)),
        ("[{}]", Err(NotJson)),
        (r#"{"error":{"message":"x"}}"#, Err(Error)),
        (r#" {"id":1, "error" : "x"} "#, Err(Error)),
        (r#"{"error":null}"#, Ok(())),
        (r#"{"choices":[],"error":{"message":"x"}}"#, Ok(())),
        (r#"{"object":"response","status":"failed","error":{"code":"server_error"},"output":[]}"#, Ok(())),
        (r#"{"choices":[{"message":{"content":"\"error\":{"}}]}"#, Ok(())),
        (r#"{"id":"x","x":{"error":{}}}"#, Ok(())),
    ];
    for (body, expected) in cases {
        assert_eq!(judge(Api::Chat, body.as_bytes()), *expected, "{body}");
    }
    for name in ["chat.response.json", "responses.response.json", "embeddings.response.json"] {
        assert_eq!(judge(Api::Chat, &samples::openai(name)), Ok(()), "{name}");
    }
}

#[test]
fn an_answer_cut_at_any_byte_is_none() {
    for name in ["chat.response.json", "responses.response.json", "embeddings.response.json"] {
        let (whole, api) = (samples::openai(name), Api::Chat);
        let whole = whole.trim_ascii();
        assert!(!is_cut(whole), "{name}");
        for end in 0..whole.len() {
            let part = &whole[..end];
            let is_none = judge(Api::Chat, part).is_err() || usage(api, part).is_none() && is_cut(part);
            assert!(is_none, "{name} up to {end}: {}", String::from_utf8_lossy(part));
        }
    }
    // What is merely odd is not cut.
    for odd in [r#"{"logprob":NaN}"#, r#"{"a":1,}"#, r#"{"a":1}}"#] {
        assert!(!is_cut(odd.as_bytes()), "{odd}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in r#"([{}\[\]":,a1 ]|"usage"|"error"|\\){0,40}"#) {
        for api in Api::ALL {
            let _ = judge(api, bytes.as_bytes());
            let _ = usage(api, bytes.as_bytes());
        }
    }
}
