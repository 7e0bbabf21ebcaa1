//! HTTP/2 used as a weapon: each flood ends in a closed connection, or costs no more than it is worth.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::http2::*;
use super::{LAST_GET, Reached, connect, held, hello};
use crate::clock::Instant;
use crate::server::{Drain, bind, serve};
use crate::tasks::Tasks;

/// More than any cap: each flood has this many parts.
const MANY: u32 = 12_000;
const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;

/// The code of the `GOAWAY` that a flood ends in, with how many requests reached the service.
async fn goaway(bytes: &[u8]) -> (u32, usize) {
    let (reached, drain) = (Reached::default(), Drain::new());
    let mut caller = Raw::connect(hello(&reached), &drain).await;
    let last = timeout(Duration::from_secs(5), caller.flood(bytes)).await.expect("it does not end");
    let last = last.expect("closed without a word");
    assert_eq!(last.kind, GOAWAY);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(drain.calls(), 0);
    (last.code(), reached.count())
}

fn streams() -> impl Iterator<Item = u32> {
    (0..MANY).map(|n| 2 * n + 1)
}

/// CVE-2023-44487.
#[tokio::test(start_paused = true)]
async fn rapid_reset_ends_in_goaway_and_few_calls() {
    let flood: Vec<u8> = streams()
        .flat_map(|stream| [get(stream), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat())
        .collect();
    let (code, reached) = goaway(&flood).await;
    assert_eq!(code, ENHANCE_YOUR_CALM);
    assert!(reached <= 200, "{reached}");
}

/// A caller may cancel what has begun; it never has more calls than streams.
#[tokio::test(start_paused = true)]
async fn calls_cancelled_one_by_one_never_pile_up() {
    let (permits, drain) = (Arc::new(Semaphore::new(0)), Drain::new());
    let mut caller = Raw::connect(held(&permits), &drain).await;
    for stream in streams().take(2_000) {
        caller.send(&[get(stream)]).await;
        caller.next_of(HEADERS).await;
        caller.send(&[frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])]).await;
        assert!(drain.calls() <= 2, "{}", drain.calls());
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(drain.calls(), 0);
}

/// CVE-2025-8671: faults of the caller make us reset its streams, which then count no more.
#[tokio::test(start_paused = true)]
async fn made_you_reset_ends_in_goaway_and_few_calls() {
    let zero = [0; 4];
    let over = 0x7fff_ffff_u32.to_be_bytes();
    type Fault<'a> = Box<dyn Fn(u32) -> Vec<u8> + 'a>;
    let faults: [(&str, Fault<'_>); 4] = [
        ("an increment of zero", Box::new(|s| [post(s), frame(WINDOW_UPDATE, 0, s, &zero)].concat())),
        ("a window that overflows", Box::new(|s| [post(s), frame(WINDOW_UPDATE, 0, s, &over)].concat())),
        ("data after the end", Box::new(|s| [get(s), frame(DATA, 0, s, b"x")].concat())),
        ("a second head", Box::new(|s| [get(s), get(s)].concat())),
    ];
    for (name, fault) in faults {
        let flood: Vec<u8> = streams().flat_map(fault).collect();
        let (code, reached) = goaway(&flood).await;
        assert_ne!(code, 0, "{name}");
        assert!(reached <= 250, "{name}: {reached}");
    }
}

/// The same, each fault made only when the service has the call.
#[tokio::test(start_paused = true)]
async fn streams_reset_for_faults_one_by_one_are_at_most_fifty() {
    let (permits, drain) = (Arc::new(Semaphore::new(0)), Drain::new());
    let mut caller = Raw::connect(held(&permits), &drain).await;
    let mut begun = 0;
    'flood: for stream in streams() {
        caller.0.write_all(&post(stream)).await.unwrap();
        begun += 1;
        loop {
            let got = caller.next().await.expect("GOAWAY comes first");
            match got.kind {
                HEADERS => caller.send(&[frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff])]).await,
                RST_STREAM => break,
                GOAWAY => {
                    assert_ne!(got.code(), 0);
                    break 'flood;
                }
                _ => {}
            }
        }
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!((begun, drain.calls()), (51, 0));
}

/// CVE-2024-27316 and its like.
#[tokio::test(start_paused = true)]
async fn a_head_that_goes_on_without_end_ends_in_goaway() {
    let continued = |part: &[u8]| {
        let mut flood = frame(HEADERS, END_STREAM, 1, GET_EGRET);
        (0..MANY).for_each(|_| flood.extend(frame(CONTINUATION, 0, 1, part)));
        flood
    };
    let header = literal("a", "b");
    let large = [vec![0, 1, b'a', 0x7f, 0x81, 0x7c], vec![b'x'; 16_000]].concat();
    for (name, part) in [("empty", &[][..]), ("small", &header), ("large", &large)] {
        let (code, reached) = goaway(&continued(part)).await;
        assert_ne!(code, 0, "{name}");
        assert_eq!(reached, 0, "{name}");
    }
}

/// A kilobyte in the table, a byte to repeat it.
#[tokio::test(start_paused = true)]
async fn a_head_that_unpacks_to_megabytes_reaches_nothing() {
    // Literal with indexing: name `a`, 1000 bytes.
    let entry = [vec![0x40, 1, b'a', 0x7f, 0xe9, 0x06], vec![b'x'; 1000]].concat();
    for (repeats, expected) in [(10_000, Some(ENHANCE_YOUR_CALM)), (100, None)] {
        let head = [GET_EGRET.to_vec(), entry.clone(), vec![0xbe; repeats]].concat();
        let (reached, drain) = (Reached::default(), Drain::new());
        let mut caller = Raw::connect(hello(&reached), &drain).await;
        caller.send(&[frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)]).await;
        match expected {
            Some(code) => assert_eq!(caller.next_of(GOAWAY).await.code(), code),
            // Over the cap, but not absurd: 431, and the connection goes on.
            None => {
                assert_eq!(caller.next_of(HEADERS).await.stream, 1);
                caller.send(&[get(3)]).await;
                while caller.next_of(HEADERS).await.stream != 3 {}
            }
        }
        assert_eq!(reached.count(), usize::from(expected.is_none()));
    }
}

#[tokio::test(start_paused = true)]
async fn empty_data_without_end_ends_in_goaway() {
    let mut flood = post(1);
    (0..MANY).for_each(|_| flood.extend(frame(DATA, 0, 1, &[])));
    let (code, reached) = goaway(&flood).await;
    assert_eq!(code, ENHANCE_YOUR_CALM);
    assert!(reached <= 1);
}

#[tokio::test(start_paused = true)]
async fn bytes_sent_one_by_one_and_never_read_end_in_goaway() {
    let (permits, drain) = (Arc::new(Semaphore::new(0)), Drain::new());
    // The service holds the call and does not read the body.
    let mut caller = Raw::connect(held(&permits), &drain).await;
    let mut flood = post(1);
    (0..MANY).for_each(|_| flood.extend(frame(DATA, 0, 1, b"x")));
    let last = timeout(Duration::from_secs(5), caller.flood(&flood)).await.unwrap().unwrap();
    assert_eq!((last.kind, last.code()), (GOAWAY, ENHANCE_YOUR_CALM));
}

#[tokio::test(start_paused = true)]
async fn a_frame_larger_than_agreed_ends_in_goaway() {
    let (code, reached) = goaway(&frame(DATA, 0, 1, &[0; 20_000])).await;
    // FRAME_SIZE_ERROR.
    assert_eq!((code, reached), (6, 0));
    assert_eq!(goaway(&frame(DATA, 0, 0, b"x")).await, (PROTOCOL_ERROR, 0));
}

/// Each is answered, so whoever does not read the answers is not read either: nothing piles up.
#[tokio::test(start_paused = true)]
async fn unread_answers_to_pings_and_settings_stop_the_reading_and_then_the_connection() {
    for (name, part) in [("pings", frame(PING, 0, 0, &[7; 8])), ("settings", frame(SETTINGS, 0, 0, &[]))] {
        let (drain, tasks) = (Drain::new(), Tasks::new());
        let caller = connect(hello(&Reached::default()), h2c(), &drain, &tasks);
        let mut caller = Raw::over(caller).await;
        let flood = part.repeat(MANY as usize * 10);
        let start = Instant::now();
        let sent = timeout(Duration::from_secs(1), caller.0.write_all(&flood)).await;
        assert!(sent.is_err(), "{name}: all was read");
        while tasks.running() > 0 && start.elapsed() < Duration::from_secs(600) {
            sleep(Duration::from_secs(1)).await;
        }
        assert!(start.elapsed() <= Duration::from_secs(62), "{name}: {:?}", start.elapsed());
    }
}

/// Frames that cost little each are not counted, but a flood of them leaves the others their turn.
#[tokio::test]
async fn others_are_served_while_a_flood_goes_on() {
    let (reached, tasks) = (Reached::default(), Tasks::new());
    let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = TcpListener::from_std(socket).unwrap();
    tasks.spawn("accept", serve(listener, hello(&reached), h2c(), Drain::new(), tasks.clone()));
    for part in
        [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, &[]), frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])]
    {
        let mut attacker = Raw::over(TcpStream::connect(address).await.unwrap()).await;
        attacker.send(&[get(1)]).await;
        let (mut answers, mut flood) = attacker.0.into_split();
        let bytes = part.repeat(1_000);
        let flooding = async move { while flood.write_all(&bytes).await.is_ok() {} };
        let reading = async move {
            let mut sink = vec![0; 64 * 1024];
            while answers.read(&mut sink).await.is_ok_and(|n| n > 0) {}
        };
        let served = async {
            for _ in 0..5 {
                let mut caller = TcpStream::connect(address).await.unwrap();
                caller.write_all(LAST_GET).await.unwrap();
                let mut answer = String::new();
                caller.read_to_string(&mut answer).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
        };
        tokio::select! {
            served = timeout(Duration::from_secs(10), served) => served.expect("starved"),
            ((), ()) = async { tokio::join!(flooding, reading) } => {}
        }
    }
    assert!(reached.count() >= 15);
}
