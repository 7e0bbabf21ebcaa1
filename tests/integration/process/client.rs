//! A caller on a raw socket: it sends what it is told, and reads answers byte by byte.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything a test waits for: a hang becomes an error.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that is kept alive.
pub(super) struct Connection(BufReader<TcpStream>);

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Connection {
    pub(super) fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends bytes as they are; a server that has closed already is seen when its answer is read.
    pub(super) fn send(&mut self, text: &str) {
        self.sends(text);
    }

    /// Sends bytes as they are; whether the server let it.
    pub(super) fn sends(&mut self, text: &str) -> bool {
        self.0.get_mut().write_all(text.as_bytes()).is_ok()
    }

    /// Sends a request and reads its answer.
    pub(super) fn ask(&mut self, request: &str) -> Answer {
        self.send(request);
        self.answer().unwrap()
    }

    /// Reads one answer, whose request was no HEAD.
    pub(super) fn answer(&mut self) -> io::Result<Answer> {
        let mut answer = self.head()?;
        self.body(&mut answer)?;
        Ok(answer)
    }

    /// Reads the head of an answer.
    pub(super) fn head(&mut self) -> io::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let status = head.get(9..12).and_then(|code| code.parse().ok()).ok_or(ErrorKind::InvalidData)?;
        Ok(Answer { status, head, body: String::new() })
    }

    /// Reads the body that belongs to a head; an error where it is not complete.
    pub(super) fn body(&mut self, answer: &mut Answer) -> io::Result<()> {
        if answer.status < 200 {
            return Ok(());
        }
        let mut body = Vec::new();
        if answer.header("transfer-encoding").is_some() {
            while self.chunk(&mut body)? {}
        } else if let Some(length) = answer.header("content-length") {
            body = vec![0; length.parse().map_err(|_| ErrorKind::InvalidData)?];
            self.0.read_exact(&mut body)?;
        } else {
            self.0.read_to_end(&mut body)?;
        }
        answer.body = String::from_utf8(body).map_err(|_| ErrorKind::InvalidData)?;
        Ok(())
    }

    /// Whether the server has closed the connection without another byte; waits for one or the other.
    pub(super) fn closed(&mut self) -> bool {
        match self.0.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// Whether the server has closed the connection; does not wait.
    pub(super) fn closed_by_now(&self) -> bool {
        let stream = self.0.get_ref();
        stream.set_nonblocking(true).unwrap();
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        peeked.map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |bytes| bytes == 0)
    }

    /// Reads one chunk; false at the last.
    fn chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(|_| ErrorKind::UnexpectedEof)?;
        let at = body.len();
        body.resize(at + size + 2, 0);
        self.0.read_exact(&mut body[at..])?;
        body.truncate(at + size);
        Ok(size > 0)
    }
}

impl Answer {
    /// A header's value; `name` is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The code of an error in OpenAI's form.
    pub(super) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A chat call, plain.
pub(super) fn chat(model: &str) -> String {
    post("", &body(model, false))
}

/// A chat call, as a stream.
pub(super) fn stream(model: &str) -> String {
    post("", &body(model, true))
}

/// A chat call with more headers, each with its line break.
pub(super) fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: egret\r\ncontent-type: application/json\r\n\
         {headers}content-length: {length}\r\n\r\n{body}"
    )
}

/// A chat call's body.
pub(super) fn body(model: &str, stream: bool) -> String {
    format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#)
}

/// A request without a body.
pub(super) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: egret\r\n\r\n")
}

/// Sends one request on a connection of its own.
pub(super) fn ask(to: SocketAddr, request: &str) -> Answer {
    Connection::open(to).ask(request)
}
