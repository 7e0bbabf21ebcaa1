//! The provider as a client sees it: hyper over a duplex, under a paused clock.

mod anthropic;
mod apis;
mod chat_calls;
mod faults;
mod faults_of_faces;
mod flows;
mod gemini;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;

const AT: i64 = 1_795_000_000;

/// A provider and the tasks of its connections, which end with it.
struct Provider {
    mock: Mock,
    tasks: Tasks,
}

/// An answer that was read as far as it came.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// One string per frame.
    frames: Vec<String>,
    /// Whether the body ended as HTTP wants it.
    clean: bool,
}

fn provider(script: Script) -> Provider {
    let script = Arc::new(script);
    Provider {
        mock: Mock::with(
            move || Arc::clone(&script),
            Clock::standing(Timestamp::from_second(AT).unwrap()),
            Random::seeded(7),
        ),
        tasks: Tasks::new(),
    }
}

fn says(text: &str) -> Script {
    Script { says: Some(text.into()), ..Script::default() }
}

fn faults(faults: &[Fault]) -> Script {
    Script { faults: faults.to_vec(), ..says("one two three") }
}

impl Provider {
    fn io(&self) -> TokioIo<tokio::io::DuplexStream> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let mock = self.mock.clone();
        self.tasks.spawn("provider", async move { mock.serve(far).await });
        TokioIo::new(near)
    }

    /// A connection; it is closed when the sender and its answer are dropped.
    async fn connect(&self) -> http1::SendRequest<Full<Bytes>> {
        let (sender, connection) = http1::handshake(self.io()).await.unwrap();
        self.tasks.spawn("client", async move { drop(connection.await) });
        sender
    }

    async fn try_send(&self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        self.connect().await.send_request(request).await
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        Answer::read(self.try_send(request).await.unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(post(path, body)).await
    }
}

fn post(path: &str, body: &Value) -> Request<Full<Bytes>> {
    Request::post(path)
        .header("host", "mock")
        .header("authorization", "Bearer any")
        .body(Full::from(body.to_string()))
        .unwrap()
}

fn with_fault(mut request: Request<Full<Bytes>>, fault: &str) -> Request<Full<Bytes>> {
    request.headers_mut().insert(FAULT_HEADER, fault.parse().unwrap());
    request
}

/// A body in which these fields are said, too; null: not said.
fn with(mut body: Value, more: &Value) -> Value {
    let fields = body.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        fields.insert(name.clone(), value.clone());
        if value.is_null() {
            fields.remove(name);
        }
    }
    body
}

fn chat(more: &Value) -> Value {
    let messages = json!([{ "role": "user", "content": "how high is it" }]);
    with(json!({ "model": "gpt-4.1", "messages": messages }), more)
}

/// A request to Anthropic, in its first version.
fn message(more: &Value) -> Request<Full<Bytes>> {
    let messages = json!([{ "role": "user", "content": "how high is it" }]);
    let body = with(json!({ "model": "claude", "max_tokens": 2_000, "messages": messages }), more);
    let mut request = post("/v1/messages", &body);
    request.headers_mut().insert("anthropic-version", "2023-06-01".parse().unwrap());
    request
}

/// A request to Gemini, of this model and verb.
fn generate(model_and_verb: &str, more: &Value) -> Request<Full<Bytes>> {
    let contents = json!([{ "role": "user", "parts": [{ "text": "how high is it" }] }]);
    post(&format!("/v1beta/models/{model_and_verb}"), &with(json!({ "contents": contents }), more))
}

impl Answer {
    async fn read(response: Response<Incoming>) -> Self {
        let (head, mut body) = response.into_parts();
        let mut frames = Vec::new();
        let mut clean = true;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => frames.push(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()),
                Err(_) => {
                    clean = false;
                    break;
                }
            }
        }
        Self { status: head.status, headers: head.headers, frames, clean }
    }

    fn text(&self) -> String {
        self.frames.concat()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Name and data of each event.
    fn events(&self) -> Vec<(Option<String>, String)> {
        let text = self.text();
        assert!(text.is_empty() || text.ends_with("\n\n"), "{text:?}");
        let events = text.split_terminator("\n\n");
        let named = events.map(|event| match event.split_once('\n') {
            Some((name, data)) => (name.strip_prefix("event: ").map(str::to_owned), data.to_owned()),
            None => (None, event.to_owned()),
        });
        named.map(|(name, data)| (name, data.strip_prefix("data: ").unwrap().to_owned())).collect()
    }

    /// The data of each event but `[DONE]`.
    fn chunks(&self) -> Vec<Value> {
        let events = self.events().into_iter().filter(|(_, data)| data != "[DONE]");
        events.map(|(_, data)| serde_json::from_str(&data).unwrap()).collect()
    }

    /// The chunks of Gemini's stream of events.
    fn gemini_chunks(&self) -> Vec<Value> {
        let text = self.text();
        assert!(text.is_empty() || text.ends_with("\r\n\r\n"), "{text:?}");
        let events = text.split_terminator("\r\n\r\n");
        events.map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap()).collect()
    }

    fn is_done(&self) -> bool {
        self.text().ends_with("data: [DONE]\n\n")
    }
}

/// The keys of a value, and of what is in it; of a list, those of its first item.
fn keys(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), keys(v))).collect()),
        Value::Array(items) => items.first().map_or_else(|| json!([]), |first| json!([keys(first)])),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Value::Null,
    }
}

/// Lets every task run until all of them wait.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

async fn connect_h2(provider: &Provider) -> http2::SendRequest<Full<Bytes>> {
    let executor = Executor(provider.tasks.clone());
    let (sender, connection) = http2::handshake(executor, provider.io()).await.unwrap();
    provider.tasks.spawn("client", async move { drop(connection.await) });
    sender
}
