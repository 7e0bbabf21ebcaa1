//! A provider's own error, as the event that ends a stream.

use bytes::Bytes;

use super::reported::{says, unlisted};
use crate::dialect::Api;
use crate::dialect::json::{self, Kind};
use crate::dialect::sse::MAX_EVENT;

/// The error of a body as an event. None where the body has none, is no JSON in UTF-8, or is too large.
pub(crate) fn event_of(api: Api, body: &[u8]) -> Option<Bytes> {
    std::str::from_utf8(body).ok()?;
    let error = says(&unlisted(json::document(body).ok()?)?, "error")?;
    let (open, close) = match error.kind {
        Kind::Object => ("", "}\n\n"),
        // The SDKs look for the sentence in an object.
        Kind::String => ("{\"message\":", "}}\n\n"),
        Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::Array => return None,
    };
    // For responses nested, as both official SDKs raise it.
    let nested = "event: error\ndata: {\"type\":\"error\",\"error\":";
    let head = if api == Api::Responses { nested } else { "data: {\"error\":" };
    let mut event = Vec::with_capacity(head.len() + open.len() + error.range.len() + close.len());
    event.extend_from_slice(head.as_bytes());
    event.extend_from_slice(open.as_bytes());
    // Within strings JSON has no line breaks; between its tokens they mean nothing.
    event.extend(error.raw().iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    event.extend_from_slice(close.as_bytes());
    (event.len() <= MAX_EVENT).then(|| event.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::stream::{StreamEnd, StreamReader};
    use crate::dialect::{samples, sse};

    const APIS: [Api; 3] = [Api::Chat, Api::Completions, Api::Responses];

    fn event(api: Api, body: &str) -> Option<String> {
        event_of(api, body.as_bytes()).map(|event| String::from_utf8(event.to_vec()).unwrap())
    }

    #[test]
    fn an_error_keeps_its_words_in_the_form_of_its_stream() {
        let body =
            "{\r\n  \"error\": {\n    \"message\": \"a \\n b\",\n    \"code\": 1.0\n  },\n  \"x\": 1\n}\n";
        let error = "{    \"message\": \"a \\n b\",    \"code\": 1.0  }";
        for api in [Api::Chat, Api::Completions] {
            assert_eq!(event(api, body).unwrap(), format!("data: {{\"error\":{error}}}\n\n"));
        }
        let nested = format!("event: error\ndata: {{\"type\":\"error\",\"error\":{error}}}\n\n");
        assert_eq!(event(Api::Responses, body).unwrap(), nested);
    }

    #[test]
    fn a_text_becomes_the_sentence_of_an_object_and_a_list_is_taken_off() {
        let expected = "data: {\"error\":{\"message\":\"a \\\"b\\\"\"}}\n\n";
        assert_eq!(event(Api::Chat, r#"{"error":"a \"b\""}"#).unwrap(), expected);
        assert_eq!(
            event(Api::Chat, r#"[{"error":{"code":503}}]"#).unwrap(),
            "data: {\"error\":{\"code\":503}}\n\n"
        );
    }

    #[test]
    fn what_has_no_error_becomes_no_event() {
        for body in [
            "",
            "oops",
            "{",
            "[]",
            "7",
            "{}",
            r#"{"message":"x"}"#,
            r#"{"error":null}"#,
            r#"{"error":""}"#,
            r#"{"error":{}}"#,
            r#"{"error":true}"#,
            r#"{"error":500}"#,
            r#"{"error":["x"]}"#,
            r#"{"error":{"a":1}} x"#,
        ] {
            for api in APIS {
                assert_eq!(event(api, body), None, "{body}");
            }
        }
        assert_eq!(event_of(Api::Chat, b"{\"error\":{\"message\":\"\xff\"}}"), None);
        let long = json!({ "error": { "message": "x".repeat(MAX_EVENT) } }).to_string();
        assert_eq!(event(Api::Chat, &long), None);
    }

    proptest! {
        #[test]
        fn every_error_is_one_event_that_says_the_same_and_ends_its_stream(
            message in samples::any_text(), other in samples::any_json(), pretty: bool,
        ) {
            let body = json!({ "error": { "message": message, "other": other } });
            let text = if pretty { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() };
            let parsed: Value = serde_json::from_str(&text).unwrap();
            for api in APIS {
                let event = event_of(api, text.as_bytes()).unwrap();
                prop_assert_eq!(sse::events(&event).count(), 1);
                let data: Value = serde_json::from_slice(&sse::data(&event).unwrap()).unwrap();
                prop_assert_eq!(&data["error"], &parsed["error"]);
                let mut reader = StreamReader::new(api, true);
                prop_assert_eq!(&reader.push(event.clone()).unwrap(), &event);
                prop_assert_eq!(reader.finish().1, StreamEnd::Error);
            }
        }
    }
}
