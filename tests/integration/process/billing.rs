//! A provider on a socket that bills what its callers tell it to, writes its answers in pieces cut anywhere, and keeps a
//! book of what it billed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use egret::random::Random;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a call asks of the provider; it stands in the call's only message.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// Tells calls apart, and cuts their answers apart.
    pub(super) call: u64,
    pub(super) does: Does,
    pub(super) bill: Bill,
    /// What it bills of what was written to it and not answered: the bytes of the request.
    pub(super) bytes: u64,
}

/// How it answers at its first address; at the second it answers what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Does {
    Answer,
    /// 503, which costs nothing.
    Fail,
    /// A good answer, compressed though nobody asked for it.
    Compress,
    /// Closes after the request, before any head.
    Close,
    /// Waits for the caller to leave: in the middle of a stream, or before the head of a plain answer.
    Wait,
}

/// What is billed for a call, by the parts that a provider tells apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bill {
    /// All of it, the next two included.
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) cache_write: u64,
    /// All of it, the next one included.
    pub(super) output: u64,
    pub(super) reasoning: u64,
}

/// A line of its book.
#[derive(Clone, Debug)]
pub(super) struct Billed {
    pub(super) call: u64,
    pub(super) model: String,
    pub(super) bill: Bill,
}

/// Runs until the process ends.
#[derive(Clone)]
pub(super) struct Biller {
    pub(super) address: SocketAddr,
    book: Arc<Mutex<Vec<Billed>>>,
}

impl Bill {
    /// All of its tokens.
    pub(super) fn tokens(&self) -> u64 {
        self.input + self.output
    }

    fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.input, "completion_tokens": self.output, "total_tokens": self.tokens(),
            "prompt_tokens_details": { "cached_tokens": self.cached, "cache_write_tokens": self.cache_write },
            "completion_tokens_details": { "reasoning_tokens": self.reasoning },
        })
    }
}

impl Biller {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let biller = Self { address: listener.local_addr().unwrap(), book: Arc::default() };
        let serving = biller.clone();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let biller = serving.clone();
                thread::spawn(move || biller.serve(stream));
            }
        });
        biller
    }

    /// Everything that was billed so far.
    pub(super) fn book(&self) -> Vec<Billed> {
        self.book.lock().clone()
    }

    /// Answers until the connection ends; that of a caller which has left is no fault.
    fn serve(&self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut answers = stream;
        while let Some((path, request)) = read(&mut reader) {
            let order: Order =
                serde_json::from_str(request["messages"][0]["content"].as_str().unwrap()).unwrap();
            let does = if path.starts_with("/second/") { Does::Answer } else { order.does };
            let bill = |bill: Bill| {
                let model = request["model"].as_str().unwrap().to_owned();
                self.book.lock().push(Billed { call: order.call, model, bill });
            };
            let unanswered = Bill { input: order.bytes, ..Bill::default() };
            let pieces = Random::seeded(order.call);
            let stream = request["stream"] == true;
            let answer = if stream { events(&order, &request) } else { plain(&order, &request) };
            let kind = if stream { "text/event-stream" } else { "application/json" };
            let sent = match does {
                Does::Answer => {
                    bill(order.bill);
                    let head = head("200 OK", kind, "transfer-encoding: chunked\r\n");
                    let chunks = if stream { chunked(&answer, &pieces) } else { chunked_whole(&answer) };
                    write(&mut answers, &[head.into_bytes(), chunks].concat(), &pieces)
                }
                Does::Fail => {
                    let body = r#"{"error":{"message":"no","type":"server_error","code":null,"param":null}}"#;
                    let head =
                        head("503 No", "application/json", &format!("content-length: {}\r\n", body.len()));
                    write(&mut answers, format!("{head}{body}").as_bytes(), &pieces)
                }
                Does::Compress => {
                    bill(order.bill);
                    let body = gzip(&answer);
                    let more = format!("content-encoding: gzip\r\ncontent-length: {}\r\n", body.len());
                    write(&mut answers, &[head("200 OK", kind, &more).into_bytes(), body].concat(), &pieces)
                }
                Does::Close => {
                    bill(unanswered);
                    return;
                }
                Does::Wait if stream => {
                    // The usage so far comes with what came so far, and is all that is billed.
                    bill(order.bill);
                    let event = json!({
                        "choices": [{ "index": 0, "delta": { "content": "word" } }], "usage": order.bill.usage(),
                    });
                    let head = head("200 OK", kind, "transfer-encoding: chunked\r\n");
                    let event = chunked_whole_without_end(format!("data: {event}\n\n").as_bytes());
                    let sent = write(&mut answers, &[head.into_bytes(), event].concat(), &pieces);
                    let _ = reader.read(&mut [0]);
                    sent
                }
                Does::Wait => {
                    // It goes on to the end of what it may write, and nobody reads it.
                    bill(order.bill);
                    let _ = reader.read(&mut [0]);
                    return;
                }
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

/// The path and the body of the next request; none where there is none.
fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        match (line.strip_prefix("post "), line.strip_prefix("content-length: ")) {
            (Some(rest), _) => path = rest.split(' ').next().unwrap_or_default().to_owned(),
            (_, Some(bytes)) => length = bytes.parse().ok()?,
            (None, None) if line.is_empty() => break,
            (None, None) => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, serde_json::from_slice(&body).unwrap()))
}

fn choices(request: &Value) -> u64 {
    request["n"].as_u64().unwrap_or(1)
}

fn plain(order: &Order, request: &Value) -> Vec<u8> {
    let choice = |index| json!({ "index": index, "message": { "role": "assistant", "content": "word" }, "finish_reason": "stop" });
    let choices: Vec<Value> = (0..choices(request)).map(choice).collect();
    json!({ "object": "chat.completion", "choices": choices, "usage": order.bill.usage() }).to_string().into()
}

/// Two words to each choice, then the usage where it is asked for.
fn events(order: &Order, request: &Value) -> Vec<u8> {
    let mut text = String::new();
    for round in ["one ", "two"] {
        for index in 0..choices(request) {
            let event = json!({ "choices": [{ "index": index, "delta": { "content": round } }] });
            text += &format!("data: {event}\n\n");
        }
    }
    if request["stream_options"]["include_usage"] == true {
        text += &format!("data: {}\n\n", json!({ "choices": [], "usage": order.bill.usage() }));
    }
    text += "data: [DONE]\n\n";
    text.into()
}

fn head(status: &str, kind: &str, more: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{more}\r\n")
}

/// In chunks of any length.
fn chunked(body: &[u8], pieces: &Random) -> Vec<u8> {
    let (mut chunks, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(size(pieces).min(rest.len()));
        chunks.extend(chunked_whole_without_end(piece));
        rest = left;
    }
    chunks.extend(b"0\r\n\r\n");
    chunks
}

fn chunked_whole(body: &[u8]) -> Vec<u8> {
    [&chunked_whole_without_end(body), &b"0\r\n\r\n"[..]].concat()
}

fn chunked_whole_without_end(body: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// In writes of any length, wherever that cuts a head, a chunk's size, an event or a number.
fn write(stream: &mut TcpStream, mut bytes: &[u8], pieces: &Random) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(size(pieces).min(bytes.len()));
        stream.write_all(piece)?;
        thread::yield_now();
        bytes = rest;
    }
    Ok(())
}

fn size(pieces: &Random) -> usize {
    1 + (pieces.u64() % 97) as usize
}
