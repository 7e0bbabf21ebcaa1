//! What a caller got.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body had no clean end.
    pub(crate) broken: bool,
}

impl Answer {
    /// The body as text.
    pub(crate) fn raw(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.raw()))
    }

    /// What the model said, plain or streamed.
    pub(crate) fn text(&self) -> String {
        if self.raw().starts_with("data:") {
            return self.events().iter().map(content).collect();
        }
        let json = self.json();
        json["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
    }

    /// The events of a stream that hold JSON.
    pub(crate) fn events(&self) -> Vec<Value> {
        let data = self.raw().lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    /// Whether a stream came to its usual end.
    pub(crate) fn is_done(&self) -> bool {
        self.raw().ends_with("data: [DONE]\n\n")
    }

    /// The error that ended a stream.
    pub(crate) fn error_event(&self) -> Value {
        let last = self.events().pop().unwrap_or_else(|| panic!("no event: {}", self.raw()));
        assert!(last["error"].is_object(), "the last event is no error: {last}");
        last["error"].clone()
    }

    /// The code of an error.
    pub(crate) fn code(&self) -> String {
        let json = self.json();
        json["error"]["code"].as_str().unwrap_or_else(|| panic!("no code: {json}")).to_owned()
    }

    /// The sentence of an error.
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    /// Status and code.
    pub(crate) fn refused(&self) -> (u16, String) {
        (self.status, self.code())
    }
}

/// What one event of a chat adds to the text.
fn content(event: &Value) -> String {
    event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()
}
