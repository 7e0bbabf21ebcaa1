//! The provider of the benchmark: the same bytes for the same question, as fast as a socket takes them.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::wire::{self, Head, Kind};

const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nx-request-id: req_bench\r\n\r\n";

/// It is the backend of traces too: it takes them and looks at none.
const TRACES: &[u8] = b"POST /v1/traces ";
const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";

/// Serves until the process is ended.
pub(crate) async fn run(listen: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let answers = Rc::new(Answers::new());
    loop {
        let (socket, _) = listener.accept().await?;
        let answers = Rc::clone(&answers);
        // A caller that leaves is the caller's affair.
        tokio::task::spawn_local(async move { drop(serve(socket, &answers).await) });
    }
}

/// Every answer, with head and framing, made once.
struct Answers {
    plain: Vec<u8>,
    stream: Vec<String>,
    stream_with_usage: Vec<String>,
    messages: Vec<String>,
    first_chunk: Vec<u8>,
    next_chunk: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let body = wire::plain_answer();
        let plain = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let stream = |events: Vec<String>| {
            let mut writes: Vec<String> = events.iter().map(|event| wire::chunk(event)).collect();
            if let Some(first) = writes.first_mut() {
                first.insert_str(0, STREAM_HEAD);
            }
            writes.push("0\r\n\r\n".to_owned());
            writes
        };
        let events = wire::events(false);
        let nth = |n: usize| events.get(n).map(|event| wire::chunk(event)).unwrap_or_default();
        Self {
            plain: plain.into_bytes(),
            stream: stream(wire::events(false)),
            stream_with_usage: stream(wire::events(true)),
            messages: stream(wire::messages()),
            first_chunk: format!("{STREAM_HEAD}{}", nth(0)).into_bytes(),
            next_chunk: nth(1).into_bytes(),
        }
    }
}

async fn serve(mut socket: TcpStream, answers: &Answers) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut read = BytesMut::with_capacity(8192);
    loop {
        let Some(head) = Head::read(&read) else {
            if socket.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
            continue;
        };
        // A body that came chunked would be another load than the one that is measured.
        let Some(length) = head.content_length else {
            return socket.write_all(b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\n\r\n").await;
        };
        let end = head.end + length;
        let Some(body) = read.get(head.end..end) else {
            if socket.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
            continue;
        };
        if read.starts_with(TRACES) {
            read.advance(end);
            socket.write_all(TAKEN).await?;
            continue;
        }
        let usage = memmem::find(body, br#""include_usage":true"#).is_some();
        let kind = Kind::asked_by(body);
        read.advance(end);
        match kind {
            Some(Kind::Plain) => socket.write_all(&answers.plain).await?,
            Some(kind @ (Kind::Stream | Kind::Translated)) => {
                let writes = if kind == Kind::Translated {
                    &answers.messages
                } else if usage {
                    &answers.stream_with_usage
                } else {
                    &answers.stream
                };
                // One write per chunk, and a chunk of every other stream in between: as tokens come.
                for chunk in writes {
                    socket.write_all(chunk.as_bytes()).await?;
                    tokio::task::yield_now().await;
                }
            }
            Some(Kind::Hold) => return hold(socket, answers).await,
            None => {
                socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await?;
            }
        }
    }
}

/// A chunk a second, until the caller leaves.
async fn hold(mut socket: TcpStream, answers: &Answers) -> std::io::Result<()> {
    socket.write_all(&answers.first_chunk).await?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        socket.write_all(&answers.next_chunk).await?;
    }
}
