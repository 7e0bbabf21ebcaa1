//! What callers of each dialect send, and how they read what they get.

use serde_json::{Value, json};

use crate::support::*;

/// What callers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    Chat,
    Responses,
    Messages,
    Generate,
}

pub(crate) const FACES: [Face; 4] = [Face::Chat, Face::Responses, Face::Messages, Face::Generate];

/// What providers speak, and the names of those that do.
pub(crate) const PROVIDERS: [&str; 3] = ["openai", "anthropic", "gemini"];

impl Face {
    /// Says hi.
    pub(crate) fn ask<'p>(self, proxy: &'p Proxy, model: &str, stream: bool) -> Ask<'p> {
        self.ask_with(proxy, model, stream, &[])
    }

    /// The same under these headers too.
    pub(crate) fn ask_with<'p>(
        self,
        proxy: &'p Proxy,
        model: &str,
        stream: bool,
        headers: &[(&str, &str)],
    ) -> Ask<'p> {
        self.send(proxy, model, stream, self.body(model, stream), headers)
    }

    /// Asks with a tool at hand.
    pub(crate) fn tools<'p>(self, proxy: &'p Proxy, model: &str, stream: bool) -> Ask<'p> {
        let mut body: Value = serde_json::from_str(&self.body(model, stream)).unwrap();
        let (name, schema) =
            ("tide_level", json!({ "type": "object", "properties": { "harbour": { "type": "string" } } }));
        let members = match self {
            Self::Chat => json!({
                "tools": [{ "type": "function", "function": { "name": name, "parameters": schema } }], "tool_choice": "required",
            }),
            Self::Responses => json!({
                "tools": [{ "type": "function", "name": name, "parameters": schema, "strict": false }], "tool_choice": "required",
            }),
            Self::Messages => {
                json!({ "tools": [{ "name": name, "input_schema": schema }], "tool_choice": { "type": "any" } })
            }
            Self::Generate => json!({
                "tools": [{ "functionDeclarations": [{ "name": name, "parametersJsonSchema": schema }] }],
                "toolConfig": { "functionCallingConfig": { "mode": "ANY" } },
            }),
        };
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        self.send(proxy, model, stream, body.to_string(), &[])
    }

    fn send<'p>(
        self,
        proxy: &'p Proxy,
        model: &str,
        stream: bool,
        body: String,
        headers: &[(&str, &str)],
    ) -> Ask<'p> {
        let path = match self {
            Self::Chat => "/v1/chat/completions".to_owned(),
            Self::Responses => "/v1/responses".to_owned(),
            Self::Messages => "/v1/messages".to_owned(),
            Self::Generate if stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            Self::Generate => format!("/v1beta/models/{model}:generateContent"),
        };
        let mut ask = proxy.post(&path, body);
        if self == Self::Messages && !headers.iter().any(|(name, _)| *name == "anthropic-version") {
            ask = ask.header("anthropic-version", "2023-06-01");
        }
        headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value))
    }

    pub(crate) fn body(self, model: &str, stream: bool) -> String {
        let turn = json!([{ "role": "user", "content": "hi" }]);
        match self {
            Self::Chat if stream => json!({
                "model": model, "messages": turn, "stream": true, "stream_options": { "include_usage": true },
            }),
            Self::Chat => json!({ "model": model, "messages": turn }),
            Self::Responses => json!({ "model": model, "input": "hi", "stream": stream }),
            Self::Messages => {
                json!({ "model": model, "messages": turn, "max_tokens": 300, "stream": stream })
            }
            Self::Generate => json!({ "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }] }),
        }
        .to_string()
    }

    /// What the model said, plain or streamed.
    pub(crate) fn text(self, answer: &Answer) -> String {
        if !is_stream(answer) {
            let json = answer.json();
            return match self {
                Self::Chat => text(&json["choices"][0]["message"]["content"]),
                Self::Responses => json["output"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| text(&item["content"][0]["text"]))
                    .collect(),
                Self::Messages => {
                    json["content"].as_array().unwrap().iter().map(|block| text(&block["text"])).collect()
                }
                Self::Generate => parts(&json).iter().map(|part| text(&part["text"])).collect(),
            };
        }
        events(answer)
            .iter()
            .map(|event| match self {
                Self::Chat => text(&event["choices"][0]["delta"]["content"]),
                Self::Responses if event["type"] == "response.output_text.delta" => text(&event["delta"]),
                Self::Responses => String::new(),
                Self::Messages => text(&event["delta"]["text"]),
                Self::Generate => parts(event).iter().map(|part| text(&part["text"])).collect(),
            })
            .collect()
    }

    /// The calls of tools: name and arguments.
    pub(crate) fn calls(self, answer: &Answer) -> Vec<(String, Value)> {
        if is_stream(answer) {
            return self.streamed_calls(&events(answer));
        }
        let json = answer.json();
        let read = |text: &Value| serde_json::from_str(text.as_str().unwrap()).unwrap();
        match self {
            Self::Chat => {
                let calls = json["choices"][0]["message"]["tool_calls"].as_array().unwrap();
                calls
                    .iter()
                    .map(|call| (text(&call["function"]["name"]), read(&call["function"]["arguments"])))
                    .collect()
            }
            Self::Responses => {
                let items =
                    json["output"].as_array().unwrap().iter().filter(|item| item["type"] == "function_call");
                items.map(|item| (text(&item["name"]), read(&item["arguments"]))).collect()
            }
            Self::Messages => {
                let blocks =
                    json["content"].as_array().unwrap().iter().filter(|block| block["type"] == "tool_use");
                blocks.map(|block| (text(&block["name"]), block["input"].clone())).collect()
            }
            Self::Generate => function_calls(&json),
        }
    }

    fn streamed_calls(self, events: &[Value]) -> Vec<(String, Value)> {
        let mut calls: Vec<(String, String)> = Vec::new();
        for event in events {
            let (begins, piece) = match self {
                Self::Generate => {
                    let whole = function_calls(event);
                    calls.extend(whole.into_iter().map(|(name, arguments)| (name, arguments.to_string())));
                    continue;
                }
                Self::Chat => {
                    let call = &event["choices"][0]["delta"]["tool_calls"][0]["function"];
                    (call["name"].clone(), call["arguments"].clone())
                }
                Self::Responses if event["type"] == "response.output_item.added" => {
                    (event["item"]["name"].clone(), Value::Null)
                }
                Self::Responses if event["type"] == "response.function_call_arguments.delta" => {
                    (Value::Null, event["delta"].clone())
                }
                Self::Responses => continue,
                Self::Messages => {
                    (event["content_block"]["name"].clone(), event["delta"]["partial_json"].clone())
                }
            };
            if begins.is_string() {
                calls.push((text(&begins), String::new()));
            }
            if let (Some(piece), Some(call)) = (piece.as_str(), calls.last_mut()) {
                call.1 += piece;
            }
        }
        let read = |arguments: String| serde_json::from_str(&arguments).unwrap_or_else(|_| json!(arguments));
        // A call without arguments may send none at all.
        let whole = |arguments: String| if arguments.is_empty() { "{}".to_owned() } else { arguments };
        calls.into_iter().map(|(name, arguments)| (name, read(whole(arguments)))).collect()
    }

    /// All input and all output.
    pub(crate) fn usage(self, answer: &Answer) -> (u64, u64) {
        let last = if is_stream(answer) { events(answer) } else { vec![answer.json()] };
        let of = |value: &Value, input: &str, output: &str| {
            Some((value[input].as_u64()?, value[output].as_u64()?))
        };
        let found = last.iter().rev().find_map(|event| match self {
            Self::Chat => of(&event["usage"], "prompt_tokens", "completion_tokens"),
            Self::Responses => of(&event["usage"], "input_tokens", "output_tokens")
                .or_else(|| of(&event["response"]["usage"], "input_tokens", "output_tokens")),
            Self::Messages => of(&event["usage"], "input_tokens", "output_tokens"),
            Self::Generate => of(&event["usageMetadata"], "promptTokenCount", "candidatesTokenCount"),
        });
        // Anthropic's last event may tell the output alone.
        let output_alone = || {
            let output = last.iter().rev().find_map(|event| event["usage"]["output_tokens"].as_u64())?;
            let input = last.iter().find_map(|event| event["message"]["usage"]["input_tokens"].as_u64())?;
            Some((input, output))
        };
        found.or_else(output_alone).unwrap_or_else(|| panic!("no usage: {}", answer.raw()))
    }

    /// Whether a stream came to its usual end.
    pub(crate) fn is_done(self, answer: &Answer) -> bool {
        match self {
            Self::Chat => answer.raw().ends_with("data: [DONE]\n\n"),
            Self::Responses => answer.raw().contains("event: response.completed\n"),
            Self::Messages => {
                answer.raw().ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
            }
            Self::Generate => {
                events(answer).iter().any(|event| event["candidates"][0]["finishReason"].is_string())
            }
        }
    }

    /// Whether a stream ends with an error that its SDK raises.
    pub(crate) fn breaks(self, answer: &Answer) -> bool {
        let last = events(answer).pop().unwrap_or_default();
        let told = last["error"]["message"].as_str().is_some_and(|message| !message.is_empty());
        match self {
            Self::Chat => told,
            Self::Responses => told && last["type"] == "error",
            Self::Messages => told && answer.raw().contains("event: error\n") && last["type"] == "error",
            Self::Generate => told && last["error"]["code"].is_u64() && last["error"]["status"].is_string(),
        }
    }

    /// Kind and sentence of an error.
    pub(crate) fn error(self, answer: &Answer) -> (String, String) {
        let json = answer.json();
        let error = &json["error"];
        let kind = match self {
            Self::Chat | Self::Responses | Self::Messages => "type",
            Self::Generate => "status",
        };
        if self == Self::Messages {
            assert_eq!(json["type"], "error", "{json}");
        }
        if self == Self::Generate {
            assert_eq!(error["code"], answer.status, "{json}");
        }
        (text(&error[kind]), text(&error["message"]))
    }

    pub(crate) fn invalid(self) -> String {
        self.kind("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT")
    }

    pub(crate) fn unauthenticated(self) -> String {
        self.kind("invalid_request_error", "authentication_error", "UNAUTHENTICATED")
    }

    pub(crate) fn forbidden(self) -> String {
        self.kind("permission_error", "permission_error", "PERMISSION_DENIED")
    }

    pub(crate) fn rate_limited(self) -> String {
        self.kind("rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED")
    }

    fn kind(self, openai: &str, anthropic: &str, gemini: &str) -> String {
        match self {
            Self::Chat | Self::Responses => openai,
            Self::Messages => anthropic,
            Self::Generate => gemini,
        }
        .to_owned()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn parts(content: &Value) -> Vec<Value> {
    content["candidates"][0]["content"]["parts"].as_array().cloned().unwrap_or_default()
}

fn function_calls(content: &Value) -> Vec<(String, Value)> {
    let parts = parts(content);
    let calls = parts.iter().map(|part| &part["functionCall"]).filter(|call| call.is_object());
    calls.map(|call| (text(&call["name"]), call["args"].clone())).collect()
}

fn is_stream(answer: &Answer) -> bool {
    answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// The events of a stream that hold JSON.
fn events(answer: &Answer) -> Vec<Value> {
    let data = answer.raw().lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}
