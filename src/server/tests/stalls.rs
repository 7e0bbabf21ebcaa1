//! Callers that stop reading, or read slowly.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::http2::{DATA, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, frame, get, h2c};
use super::{GET, local};
use crate::clock::Instant;
use crate::server::{Drain, Peer, Service, Settings, bind, serve, serve_io};
use crate::tasks::Tasks;

/// `SETTINGS_INITIAL_WINDOW_SIZE: 0`.
const NO_WINDOW: &[u8] = &[0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// Streams without end, 8 KiB at a time.
fn endless() -> impl Service<Body = Endless> {
    |_: Request<Incoming>, _: Peer| std::future::ready(Response::new(Endless(Arc::new(()))))
}

/// A plain answer of this many bytes, in one frame.
fn plain(len: usize) -> impl Service<Body = Full<Bytes>> {
    let body = Bytes::from(vec![b'x'; len]);
    move |_: Request<Incoming>, _: Peer| std::future::ready(Response::new(Full::new(body.clone())))
}

struct Endless(#[expect(dead_code, reason = "a body that owns something")] Arc<()>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 8192])))))
    }
}

/// A connection whose buffer is small, as a socket's would be against an endless answer.
fn narrow(service: impl Service, settings: Settings, drain: &Drain, tasks: &Tasks) -> DuplexStream {
    let (caller, server) = duplex(4096);
    let serving = serve_io(server, local(), service, settings, drain.clone(), tasks.clone());
    tasks.spawn("connection", serving);
    caller
}

/// The seconds until no call is in flight.
async fn seconds_until_dropped(drain: &Drain) -> u64 {
    let start = Instant::now();
    while drain.calls() > 0 && start.elapsed() < Duration::from_secs(3600) {
        sleep(Duration::from_millis(100)).await;
    }
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_stops_reading_loses_its_connection_after_a_minute() {
    let (drain, tasks) = (Drain::new(), Tasks::new());
    let mut caller = narrow(endless(), Settings::default(), &drain, &tasks);
    caller.write_all(GET).await.unwrap();
    caller.read_exact(&mut [0; 100_000]).await.unwrap();
    assert_eq!(drain.calls(), 1);
    assert_eq!(seconds_until_dropped(&drain).await, 60);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(tasks.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_reads_a_byte_a_minute_almost_stays() {
    let (drain, tasks) = (Drain::new(), Tasks::new());
    let mut caller = narrow(endless(), Settings::default(), &drain, &tasks);
    caller.write_all(GET).await.unwrap();
    for _ in 0..60 {
        sleep(Duration::from_secs(59)).await;
        caller.read_exact(&mut [0; 1]).await.unwrap();
    }
    assert_eq!(drain.calls(), 1);
    assert_eq!(seconds_until_dropped(&drain).await, 60);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_fetches_holds_its_connection_a_minute_too() {
    let (drain, tasks) = (Drain::new(), Tasks::new());
    let mut caller = narrow(plain(100_000), Settings::default(), &drain, &tasks);
    caller.write_all(GET).await.unwrap();
    sleep(Duration::from_secs(59)).await;
    assert_eq!((drain.calls(), tasks.running()), (0, 1), "handed on whole: only the connection is left");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(tasks.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn after_a_wait_for_room_a_connection_is_idle_as_ever() {
    let (drain, tasks) = (Drain::new(), Tasks::new());
    let mut caller = narrow(plain(100_000), Settings::default(), &drain, &tasks);
    caller.write_all(GET).await.unwrap();
    sleep(Duration::from_secs(50)).await;
    caller.read_exact(&mut [0; 100_000]).await.unwrap();
    sleep(Duration::from_secs(500)).await;
    assert_eq!(tasks.running(), 1);
    caller.write_all(GET).await.unwrap();
    caller.read_exact(&mut [0; 100_000]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_http_2_without_a_window_is_reset_after_a_minute_and_the_others_go_on() {
    let drain = Drain::new();
    let mut caller = Raw::connect(endless(), &drain).await;
    // Whatever comes is granted to the connection and to stream 3, nothing to stream 1.
    caller.send(&[get(1), get(3)]).await;
    let start = Instant::now();
    let mut taken = 0;
    loop {
        let got = caller.next().await.expect("the connection stays");
        match (got.kind, got.stream) {
            (DATA, stream) => {
                let credit = (got.payload.len() as u32).to_be_bytes();
                caller.send(&[frame(WINDOW_UPDATE, 0, 0, &credit)]).await;
                if stream == 3 {
                    taken += got.payload.len();
                    sleep(Duration::from_millis(100)).await;
                    caller.send(&[frame(WINDOW_UPDATE, 0, 3, &credit)]).await;
                }
            }
            (RST_STREAM, 1) => break,
            (kind, stream) => assert!(kind != RST_STREAM, "{stream}"),
        }
    }
    // The reset waits behind what stream 3 has not read yet.
    assert!((60..=80).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert!(taken > 65_535, "{taken}");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(drain.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn answers_that_http_2_callers_never_open_a_window_for_are_dropped() {
    let drain = Drain::new();
    let mut caller = Raw::connect(plain(8 << 20), &drain).await;
    caller.send(&[NO_WINDOW.to_vec()]).await;
    for n in 0..200 {
        caller.send(&[get(2 * n + 1)]).await;
    }
    let (mut reset, start) = (0, Instant::now());
    sleep(Duration::from_millis(1)).await;
    assert_eq!(drain.calls(), 200);
    while reset < 200 {
        let got = caller.next().await.expect("the connection stays");
        assert_ne!(got.kind, DATA);
        reset += usize::from(got.kind == RST_STREAM);
    }
    assert_eq!((start.elapsed().as_secs(), drain.calls()), (60, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_of_http_2_gets_a_large_answer_whole() {
    let drain = Drain::new();
    let mut caller = Raw::connect(plain(300_000), &drain).await;
    caller.send(&[NO_WINDOW.to_vec(), get(1)]).await;
    let mut taken = 0;
    while taken < 300_000 {
        let credit = 16_384_u32.to_be_bytes();
        caller.send(&[frame(WINDOW_UPDATE, 0, 0, &credit), frame(WINDOW_UPDATE, 0, 1, &credit)]).await;
        let got = caller.take_for(Duration::from_secs(50)).await;
        assert_ne!(got, 0, "after {taken}");
        taken += got;
    }
    assert_eq!((taken, drain.calls()), (300_000, 0));
}

#[tokio::test(start_paused = true)]
async fn a_caller_of_http_2_that_reads_nothing_at_all_loses_its_connection() {
    let (drain, tasks) = (Drain::new(), Tasks::new());
    let mut caller = narrow(endless(), h2c(), &drain, &tasks);
    caller.write_all(super::http2::PREFACE).await.unwrap();
    caller.write_all(&[frame(SETTINGS, 0, 0, &[]), get(1)].concat()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(drain.calls(), 1);
    // Its unanswered ping may come first.
    assert!(seconds_until_dropped(&drain).await <= 60);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(tasks.running(), 0);
}

/// The same over TCP, whose buffers are the system's.
#[tokio::test]
async fn a_stalled_socket_is_closed_and_its_call_dropped() {
    let (drain, tasks) = (Drain::new(), Tasks::new());
    let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let settings = Settings { write_stall: Duration::from_millis(200), ..Settings::default() };
    let listener = TcpListener::from_std(socket).unwrap();
    tasks.spawn("accept", serve(listener, endless(), settings, drain.clone(), tasks.clone()));
    let mut caller = TcpStream::connect(address).await.unwrap();
    caller.write_all(GET).await.unwrap();
    caller.read_exact(&mut [0; 1000]).await.unwrap();
    assert_eq!(drain.calls(), 1);
    let dropped = async {
        while drain.calls() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), dropped).await.unwrap();
}
