//! The bytes that travel: the calls that the load sends, the answers that the provider gives, and reading them.
//!
//! Written by hand, without an HTTP library: client and provider share a core, and must leave the proxy the slower one.

use memchr::memmem;
use sha2::{Digest, Sha256};

/// The caller's key: egret's policy knows its digest, the other relays pass it by.
pub(crate) const CALLER_KEY: &str = "egret_benchmark_caller_no_secret_at_all_00000000000";

/// Events of a streamed answer that hold content; `[DONE]` comes on top.
pub(crate) const CHUNKS: u64 = 50;

const BODY_BYTES: usize = 1024;
const ANSWER_BYTES: usize = 626;

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// One JSON answer of 626 bytes.
    Plain,
    /// 50 chunks, as fast as they are taken.
    Stream,
    /// The same 50 chunks from a provider that speaks Anthropic's dialect: the proxy translates.
    Translated,
    /// A chunk at once and then one a second, until the client leaves.
    Hold,
}

impl Kind {
    /// The word in the prompt by which the provider knows what to do.
    const fn marker(self) -> &'static str {
        match self {
            Self::Plain => "bench:plain",
            Self::Stream => "bench:stream",
            Self::Translated => "bench:translated",
            Self::Hold => "bench:hold",
        }
    }

    /// What the request body `body` asks for.
    pub(crate) fn asked_by(body: &[u8]) -> Option<Self> {
        [Self::Plain, Self::Stream, Self::Translated, Self::Hold]
            .into_iter()
            .find(|kind| memmem::find(body, kind.marker().as_bytes()).is_some())
    }
}

/// The hex SHA-256 of [`CALLER_KEY`].
pub(crate) fn caller_key_digest() -> String {
    Sha256::digest(CALLER_KEY).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A whole request, head and a body of 1,024 bytes.
pub(crate) fn request(kind: Kind) -> Vec<u8> {
    let stream = kind != Kind::Plain;
    let model = if kind == Kind::Translated { "translated" } else { "chat" };
    let frame = |padding: &str| {
        format!(
            r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"{} {padding}"}}]}}"#,
            kind.marker()
        )
    };
    let body = frame(&"x".repeat(BODY_BYTES - frame("").len()));
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {CALLER_KEY}\r\n\
         accept: application/json\r\ncontent-type: application/json\r\nuser-agent: OpenAI/Python 3.52.0\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The body of a plain answer, 626 bytes.
pub(crate) fn plain_answer() -> String {
    let frame = |padding: &str| {
        format!(
            r#"{{"id":"chatcmpl-benchmark","object":"chat.completion","created":1767225600,"model":"bench-2026-01-01","choices":[{{"index":0,"message":{{"role":"assistant","content":"{padding}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":250,"completion_tokens":60,"total_tokens":310,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_bench"}}"#
        )
    };
    frame(&"y".repeat(ANSWER_BYTES - frame("").len()))
}

/// The events of a streamed answer, one text each; the last is `[DONE]`.
///
/// With `usage` the event with usage that OpenAI sends on request stands before it; who asked for it must remove it.
pub(crate) fn events(usage: bool) -> Vec<String> {
    let envelope = r#""id":"chatcmpl-benchmark","object":"chat.completion.chunk","created":1767225600,"model":"bench-2026-01-01","service_tier":"default","system_fingerprint":"fp_bench""#;
    let choice = |delta: &str, finish: &str| {
        format!(
            "data: {{{envelope},\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let mut events = vec![choice(r#"{"role":"assistant","content":"","refusal":null}"#, "null")];
    events.extend((2..CHUNKS).map(|n| choice(&format!(r#"{{"content":" word {n}"}}"#), "null")));
    events.push(choice("{}", r#""stop""#));
    if usage {
        events.push(format!(
            "data: {{{envelope},\"choices\":[],\"usage\":{{\"prompt_tokens\":250,\"completion_tokens\":49,\"total_tokens\":299}}}}\n\n"
        ));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

/// The events of the same streamed answer in Anthropic's dialect.
pub(crate) fn messages() -> Vec<String> {
    let event = |name: &str, data: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\",{data}}}\n\n");
    let mut events = vec![
        event(
            "message_start",
            r#""message":{"id":"msg_benchmark","type":"message","role":"assistant","model":"bench-2026-01-01","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":250,"output_tokens":1}}"#,
        ),
        event("content_block_start", r#""index":0,"content_block":{"type":"text","text":""}"#),
    ];
    events.extend((2..CHUNKS).map(|n| {
        let delta = format!(r#""index":0,"delta":{{"type":"text_delta","text":" word {n}"}}"#);
        event("content_block_delta", &delta)
    }));
    events.push(event("content_block_stop", r#""index":0"#));
    let delta = r#""delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":49}"#;
    events.push(event("message_delta", delta));
    events.push("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned());
    events
}

/// What the chunks of a chat's stream say, one after the other, and how many there are. What the proxy has written
/// itself differs in its time; what it says does not.
pub(crate) fn said(stream: &[u8]) -> String {
    let mut said = format!("{} ", memmem::find_iter(stream, b"data: {").count());
    let content = br#""content":""#;
    for at in memmem::find_iter(stream, content) {
        let text = stream.get(at + content.len()..).unwrap_or_default();
        let end = memchr::memchr(b'"', text).unwrap_or_default();
        said.push_str(&String::from_utf8_lossy(text.get(..end).unwrap_or_default()));
    }
    if stream.ends_with(b"data: [DONE]\n\n") {
        said.push_str(" [DONE]");
    }
    said
}

/// One HTTP/1.1 chunk.
pub(crate) fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// The end of a head, how its body is framed, and whether it says 200.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Where the body begins.
    pub(crate) end: usize,
    /// `Content-Length`; none: chunked.
    pub(crate) content_length: Option<usize>,
    /// Whether it is the head of a 200 answer.
    pub(crate) ok: bool,
}

impl Head {
    /// The head at the start of `bytes`, once it is complete.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let end = memmem::find(bytes, b"\r\n\r\n")? + 4;
        let head = bytes.get(..end)?;
        let content_length = head.split(|byte| *byte == b'\n').find_map(|line| {
            let name = b"content-length:";
            let value = line
                .get(..name.len())
                .filter(|start| start.eq_ignore_ascii_case(name))
                .and_then(|_| line.get(name.len()..))?;
            std::str::from_utf8(value).ok()?.trim().parse().ok()
        });
        Some(Self { end, content_length, ok: head.starts_with(b"HTTP/1.1 200 ") })
    }
}

/// Whether `framed` ends with the last chunk.
pub(crate) fn chunks_complete(framed: &[u8]) -> bool {
    framed.ends_with(b"\r\n0\r\n\r\n")
}

/// The data of a complete chunked body; none where the framing is broken.
pub(crate) fn dechunk(mut framed: &[u8], data: &mut Vec<u8>) -> Option<()> {
    data.clear();
    loop {
        let line = memmem::find(framed, b"\r\n")?;
        let digits = std::str::from_utf8(framed.get(..line)?).ok()?;
        let size = usize::from_str_radix(digits.trim(), 16).ok()?;
        let start = line + 2;
        if size == 0 {
            return (framed.get(start..)? == b"\r\n").then_some(());
        }
        data.extend_from_slice(framed.get(start..start + size)?);
        framed = framed.get(start + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_kilobyte_of_json_and_says_what_it_asks_for() {
        for kind in [Kind::Plain, Kind::Stream, Kind::Translated, Kind::Hold] {
            let request = request(kind);
            let head = Head::read(&request).unwrap();
            let body = &request[head.end..];
            assert_eq!(head.content_length, Some(BODY_BYTES));
            assert_eq!(body.len(), BODY_BYTES);
            assert!(serde_json::from_slice::<serde_json::Value>(body).is_ok());
            assert_eq!(Kind::asked_by(body), Some(kind));
        }
    }

    #[test]
    fn a_plain_answer_has_the_size_of_the_figures_in_the_field() {
        assert_eq!(plain_answer().len(), ANSWER_BYTES);
        assert!(serde_json::from_str::<serde_json::Value>(&plain_answer()).is_ok());
    }

    #[test]
    fn a_stream_has_fifty_chunks_and_its_end() {
        assert_eq!(events(false).len(), 51);
        assert_eq!(events(true).len(), 52);
        // 48 words in both dialects.
        assert_eq!(messages().iter().filter(|event| event.contains(" word ")).count(), 48);
        let said = said(events(false).concat().as_bytes());
        assert!(said.starts_with("50  word 2 word 3") && said.ends_with("word 49 [DONE]"), "{said}");
    }

    #[test]
    fn chunks_are_read_back_as_they_were_written() {
        let framed = events(false).iter().map(|event| chunk(event)).collect::<String>() + "0\r\n\r\n";
        let mut data = Vec::new();
        assert!(chunks_complete(framed.as_bytes()));
        assert_eq!(dechunk(framed.as_bytes(), &mut data), Some(()));
        assert_eq!(data, events(false).concat().into_bytes());
        assert_eq!(dechunk(&framed.as_bytes()[1..], &mut data), None);
    }
}
