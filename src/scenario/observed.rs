//! What came of a call.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::dialect::Api;
use crate::telemetry::record::CallRecord;

/// What its caller saw, and what egret noted.
pub(super) struct Observed {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) record: CallRecord,
    pub(super) took: Duration,
    pub(super) api: Api,
}

impl Observed {
    /// The text of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The sentence of an error, plain or in a stream.
    pub(super) fn message(&self) -> Option<String> {
        self.values()
            .into_iter()
            .find_map(|value| Some(value.pointer("/error/message")?.as_str()?.to_owned()))
    }

    /// The words of the answer.
    pub(super) fn says(&self) -> String {
        self.values().iter().map(|value| words(self.api, value)).collect()
    }

    /// The model that answered.
    pub(super) fn target(&self) -> Option<&str> {
        let last = self.record.attempts.last()?;
        (last.outcome == "answered").then(|| last.destination.model.as_str())
    }

    /// What happened, for whoever looks for why it is not as expected.
    pub(super) fn told(&self) -> String {
        let record = &self.record;
        let mut parts = vec![format!("status {}", self.status.as_u16()), record.outcome.to_owned()];
        parts.extend(record.refusal.map(|code| format!("code {code}")));
        parts.extend(record.tenant.as_ref().map(|tenant| format!("tenant {tenant}")));
        parts.extend(record.route.as_ref().map(|route| format!("route {route}")));
        let tried = record
            .attempts
            .iter()
            .map(|attempt| format!("{} {}", attempt.destination.model, attempt.outcome));
        let passed =
            record.passed_over.iter().map(|passed| format!("{} {}", passed.destination.model, passed.reason));
        parts.extend(list("tried", tried));
        parts.extend(list("passed over", passed));
        parts.extend(self.message().map(|message| format!("\"{message}\"")));
        parts.join(", ")
    }

    /// The JSON of a plain answer, or of each event of a stream.
    fn values(&self) -> Vec<Value> {
        let text = String::from_utf8_lossy(&self.body);
        if let Ok(value) = serde_json::from_str(&text) {
            return vec![value];
        }
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        data.filter_map(|data| serde_json::from_str(data.trim_start()).ok()).collect()
    }
}

fn list(what: &str, of: impl Iterator<Item = String>) -> Option<String> {
    let of: Vec<_> = of.collect();
    (!of.is_empty()).then(|| format!("{what}: {}", of.join("; ")))
}

/// The words in an answer of an operation, or in an event of its stream.
fn words(api: Api, value: &Value) -> String {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = |pointer: &str| {
        let parts = value.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<String>()
    };
    match api {
        Api::Chat => text("/choices/0/message/content") + &text("/choices/0/delta/content"),
        Api::Completions => text("/choices/0/text"),
        Api::Messages => all("/content") + &text("/delta/text"),
        Api::Generate => all("/candidates/0/content/parts"),
        Api::Responses => match value.get("type").and_then(Value::as_str) {
            Some("response.output_text.delta") => text("/delta"),
            Some(_) => String::new(),
            None => all("/output/0/content"),
        },
        Api::Embeddings
        | Api::CountTokens
        | Api::EmbedContent
        | Api::BatchEmbedContents
        | Api::CountContentTokens => String::new(),
    }
}
