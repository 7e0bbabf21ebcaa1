//! HTTP/2 from outside, frame by frame, and what it has in common with HTTP/1.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout, timeout_at};

use super::{Reached, connect, held, hello};
use crate::clock::Instant;
use crate::server::{Drain, Mode, Service, Settings, Timing, drain};
use crate::tasks::Tasks;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// `GET`, `http`, `/`, `:authority: egret` (RFC 7541, without dynamic table and Huffman code).
pub(super) const GET_EGRET: &[u8] = b"\x82\x86\x84\x01\x05egret";
/// The same as a `POST`.
pub(super) const POST_EGRET: &[u8] = b"\x83\x86\x84\x01\x05egret";

/// What RFC 9113 calls a frame.
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The error code of `RST_STREAM` or `GOAWAY`.
    pub(super) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// One frame as bytes.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A request without a body.
pub(super) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, GET_EGRET)
}

/// A request whose body is still to come.
pub(super) fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, POST_EGRET)
}

/// A header that is not indexed.
pub(super) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0, name.len() as u8];
    bytes.extend(name.as_bytes());
    bytes.push(value.len() as u8);
    bytes.extend(value.as_bytes());
    bytes
}

pub(super) fn h2c() -> Settings {
    Settings { h2c: true, ..Settings::default() }
}

/// A caller that sends what it likes.
pub(super) struct Raw<I = DuplexStream>(pub(super) I);

impl Raw {
    /// A connection that has begun as it should.
    pub(super) async fn connect(service: impl Service, drain: &Drain) -> Self {
        Self::over(connect(service, h2c(), drain, &Tasks::new())).await
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Raw<I> {
    pub(super) async fn over(mut io: I) -> Self {
        io.write_all(PREFACE).await.unwrap();
        io.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self(io)
    }

    pub(super) async fn send(&mut self, frames: &[Vec<u8>]) {
        self.0.write_all(&frames.concat()).await.unwrap();
    }

    /// Sends while the other side takes it, and reads what it says; gives the last words. For floods.
    pub(super) async fn flood(&mut self, bytes: &[u8]) -> Option<Frame> {
        let (mut read, mut write) = tokio::io::split(&mut self.0);
        let sending = async {
            // A refusal shows in what is read.
            let _ = write.write_all(bytes).await;
            std::future::pending::<()>().await;
        };
        let reading = async {
            let mut last = None;
            while let Some(got) = next(&mut read).await {
                last = Some(got);
            }
            last
        };
        tokio::select! {
            last = reading => last,
            () = sending => None,
        }
    }

    /// The next frame; settings and pings are acknowledged. None when the connection is closed.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let got = next(&mut self.0).await?;
        if matches!(got.kind, SETTINGS | PING) && got.flags & ACK == 0 {
            let payload = if got.kind == PING { &got.payload[..] } else { &[] };
            let _ = self.0.write_all(&frame(got.kind, ACK, 0, payload)).await;
        }
        Some(got)
    }

    /// The next frame of this kind; closing before it is a failure.
    pub(super) async fn next_of(&mut self, kind: u8) -> Frame {
        loop {
            let got = self.next().await.expect("closed");
            if got.kind == kind {
                return got;
            }
        }
    }

    /// Answers what must be answered for a while; gives how many bytes of data came.
    pub(super) async fn take_for(&mut self, span: Duration) -> usize {
        let (mut taken, end) = (0, Instant::now() + span);
        // In these tests frames come whole: none is lost in the middle.
        while let Ok(Some(got)) = timeout_at(end, self.next()).await {
            assert_ne!(got.kind, RST_STREAM);
            taken += if got.kind == DATA { got.payload.len() } else { 0 };
        }
        taken
    }
}

async fn next(io: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let mut head = [0; 9];
    io.read_exact(&mut head).await.ok()?;
    let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; len as usize];
    io.read_exact(&mut payload).await.ok()?;
    let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
    Some(Frame { kind: head[3], flags: head[4], stream, payload })
}

#[tokio::test(start_paused = true)]
async fn two_hundred_streams_run_at_once_and_more_are_refused_unseen() {
    let (permits, drain) = (Arc::new(Semaphore::new(0)), Drain::new());
    let mut caller = Raw::connect(held(&permits), &drain).await;
    caller.next_of(SETTINGS).await;
    for n in 0..200 {
        caller.send(&[get(2 * n + 1)]).await;
        caller.next_of(HEADERS).await;
    }
    assert_eq!(drain.calls(), 200);
    caller.send(&[get(401)]).await;
    let refused = caller.next_of(RST_STREAM).await;
    // REFUSED_STREAM: it may be sent again.
    assert_eq!((refused.stream, refused.code(), drain.calls()), (401, 7, 200));
    permits.add_permits(200);
    for _ in 0..200 {
        while caller.next_of(DATA).await.flags & END_STREAM == 0 {}
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(drain.calls(), 0);
    caller.send(&[get(403)]).await;
    assert_eq!(caller.next_of(HEADERS).await.stream, 403);
}

#[tokio::test(start_paused = true)]
async fn a_reset_stream_drops_its_call_and_no_other() {
    let (permits, drain) = (Arc::new(Semaphore::new(0)), Drain::new());
    let mut caller = Raw::connect(held(&permits), &drain).await;
    caller.send(&[get(1), get(3)]).await;
    caller.next_of(HEADERS).await;
    caller.next_of(HEADERS).await;
    assert_eq!(drain.calls(), 2);
    // CANCEL.
    caller.send(&[frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])]).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(drain.calls(), 1);
    permits.add_permits(1);
    assert_eq!(caller.next_of(DATA).await.stream, 3);
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_drops_all_its_calls() {
    let (permits, drain) = (Arc::new(Semaphore::new(0)), Drain::new());
    let mut caller = Raw::connect(held(&permits), &drain).await;
    for n in 0..50 {
        caller.send(&[get(2 * n + 1)]).await;
        caller.next_of(HEADERS).await;
    }
    assert_eq!(drain.calls(), 50);
    drop(caller);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(drain.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn heads_of_http_2_pass_the_same_checks() {
    let rest = |more: &[Vec<u8>]| [b"\x83\x86\x84".to_vec(), more.concat()].concat();
    let egret = b"\x01\x05egret".to_vec();
    let twice = |name, value| [egret.clone(), literal(name, value), literal(name, value)];
    let table = [
        ("no host", rest(&[])),
        ("two hosts", rest(&[egret.clone(), literal("host", "other")])),
        ("a user in the host", rest(&[b"\x01\x08me@egret".to_vec()])),
        ("two authorizations", rest(&twice("authorization", "Bearer x"))),
        ("two api keys", rest(&twice("x-api-key", "x"))),
        ("two google keys", rest(&twice("x-goog-api-key", "x"))),
    ];
    let (reached, drain) = (Reached::default(), Drain::new());
    let mut caller = Raw::connect(hello(&reached), &drain).await;
    for (n, (name, head)) in (0..).zip(table) {
        caller.send(&[frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &head)]).await;
        let answer = caller.next_of(HEADERS).await;
        // Indexed `:status: 400`.
        assert_eq!((answer.stream, answer.payload[0]), (2 * n + 1, 0x8c), "{name}");
        let body = caller.next_of(DATA).await.payload;
        assert!(body.starts_with(b"{\"error\":{"), "{name}");
    }
    assert_eq!(reached.count(), 0);
    caller.send(&[get(101)]).await;
    assert_eq!(caller.next_of(HEADERS).await.payload[0], 0x88);
    assert_eq!(reached.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn heads_that_http_2_forbids_reach_nothing() {
    let with = |more: &[u8]| [GET_EGRET, more].concat();
    let table = [
        ("transfer-encoding", with(&literal("transfer-encoding", "chunked"))),
        ("connection", with(&literal("connection", "close"))),
        ("upgrade", with(&literal("upgrade", "h2c"))),
        ("upper case", with(&literal("X-A", "1"))),
        ("no path", b"\x82\x86\x01\x05egret".to_vec()),
        ("two methods", [b"\x83", GET_EGRET].concat()),
        (
            "pseudo-header last",
            [b"\x82\x86\x84".to_vec(), literal("a", "b"), b"\x01\x05egret".to_vec()].concat(),
        ),
        ("two lengths", with(&[literal("content-length", "1"), literal("content-length", "2")].concat())),
    ];
    let (reached, drain) = (Reached::default(), Drain::new());
    for (name, head) in table {
        let mut caller = Raw::connect(hello(&reached), &drain).await;
        caller.send(&[frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)]).await;
        loop {
            match timeout(Duration::from_secs(5), caller.next()).await.expect(name) {
                Some(got) if got.kind == HEADERS => assert_eq!(got.payload[0], 0x8c, "{name}"),
                Some(got) if got.kind != RST_STREAM && got.kind != GOAWAY => continue,
                Some(_) | None => {}
            }
            break;
        }
        assert_eq!(reached.count(), 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_is_refused() {
    let (reached, drain) = (Reached::default(), Drain::new());
    let mut caller = Raw::connect(hello(&reached), &drain).await;
    // `:method: CONNECT` by the index of `:method`.
    let connect = b"\x02\x07CONNECT\x01\x09egret:443";
    caller.send(&[frame(HEADERS, END_HEADERS, 1, connect)]).await;
    let answer = caller.next_of(HEADERS).await;
    // `:status` by its index: not one of the few that are in the table, as 200 is.
    assert_eq!((answer.payload[0] & 0xc0, reached.count()), (0x40, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_says_goaway_finishes_what_runs_and_closes() {
    let (permits, server) = (Arc::new(Semaphore::new(0)), Drain::new());
    let mut caller = Raw::connect(held(&permits), &server).await;
    caller.send(&[get(1)]).await;
    caller.next_of(HEADERS).await;
    let timing = Timing { grace: Duration::from_secs(1), ..Timing::default() };
    let ended = drain(&server, Mode::Gateway, timing, Instant::now());
    let finish = async {
        let goaway = caller.next_of(GOAWAY).await;
        assert_eq!((goaway.code(), server.calls()), (0, 1));
        permits.add_permits(1);
        assert_eq!(caller.next_of(DATA).await.payload, b"done");
        while caller.next().await.is_some() {}
    };
    let (drained, ()) = tokio::join!(ended, finish);
    assert_eq!((drained.calls_cut, server.calls()), (0, 0));
}
