//! Real sockets, and listeners that fail.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{GET, LAST_GET, Reached, held, hello, read_until};
use crate::clock::Instant;
use crate::server::{Drain, Listen, Mode, Service, Settings, Timing, bind, drain, serve};
use crate::tasks::Tasks;

/// A server on a free port; serving ends with the test.
fn listen(service: &impl Service, server: &Drain, tasks: &Tasks) -> SocketAddr {
    let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    // Two workers' clones of one socket.
    for clone in [socket.try_clone().unwrap(), socket] {
        let listener = TcpListener::from_std(clone).unwrap();
        let serving = serve(listener, service.clone(), Settings::default(), server.clone(), tasks.clone());
        tasks.spawn("accept", serving);
    }
    address
}

#[tokio::test]
async fn every_connection_is_answered_on_clones_of_one_socket() {
    let (reached, tasks) = (Reached::default(), Tasks::new());
    let address = listen(&hello(&reached), &Drain::new(), &tasks);
    for _ in 0..20 {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(LAST_GET).await.unwrap();
        let mut answer = String::new();
        caller.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(reached.count(), 20);
}

/// With Nagle's algorithm each answer would wait 40 ms for the acknowledgement of the one before.
#[tokio::test]
async fn answers_on_a_kept_alive_connection_are_not_held_back() {
    let permits = Arc::new(Semaphore::new(1000));
    let address = listen(&held(&permits), &Drain::new(), &Tasks::new());
    let mut caller = TcpStream::connect(address).await.unwrap();
    let start = Instant::now();
    for _ in 0..50 {
        caller.write_all(GET).await.unwrap();
        read_until(&mut caller, "0\r\n\r\n").await;
    }
    // 50 stalls would be two seconds; the bound leaves room for a busy machine.
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_accepted_socket_does_not_delay_small_writes() {
    let mut listener = TcpListener::from_std(bind("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap();
    let caller = TcpStream::connect(listener.local_addr().unwrap());
    let (accepted, _caller) = tokio::join!(Listen::accept(&mut listener), caller);
    assert!(accepted.unwrap().0.nodelay().unwrap());
}

#[tokio::test]
async fn after_a_drain_the_port_is_closed_and_no_call_is_lost() {
    let (permits, server, tasks) = (Arc::new(Semaphore::new(0)), Drain::new(), Tasks::new());
    let address = listen(&held(&permits), &server, &tasks);
    let mut callers = Vec::new();
    for _ in 0..100 {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(GET).await.unwrap();
        read_until(&mut caller, "\r\n\r\n").await;
        callers.push(caller);
    }
    let timing = Timing { grace: Duration::from_millis(20), ..Timing::default() };
    let finish = async {
        server.reached(crate::server::Phase::Closing).await;
        permits.add_permits(100);
        for caller in &mut callers {
            read_until(caller, "done\r\n0\r\n\r\n").await;
        }
    };
    let (drained, ()) = tokio::join!(drain(&server, Mode::Gateway, timing, Instant::now()), finish);
    assert_eq!((drained.calls_cut, tasks.running()), (0, 0));
    assert!(TcpStream::connect(address).await.is_err());
}

/// Gives what it was told to, then waits.
struct Scripted(VecDeque<io::Result<DuplexStream>>);

impl Listen for Scripted {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        match self.0.pop_front() {
            Some(accepted) => Ok((accepted?, SocketAddr::from(([127, 0, 0, 1], 1)))),
            None => std::future::pending().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_without_file_descriptors_pauses_and_goes_on() {
    let (mut caller, server) = duplex(1024);
    let mut script: VecDeque<_> = (0..20).map(|_| Err(io::Error::from_raw_os_error(24))).collect();
    script.push_back(Ok(server));
    let (reached, tasks) = (Reached::default(), Tasks::new());
    let serving = serve(Scripted(script), hello(&reached), Settings::default(), Drain::new(), tasks.clone());
    tasks.spawn("accept", serving);

    let start = Instant::now();
    caller.write_all(GET).await.unwrap();
    read_until(&mut caller, "hello").await;
    // 10 + 20 + .. + 640 ms, then 13 times a second.
    assert_eq!(start.elapsed().as_millis() / 10, (1_270 + 13_000) / 10);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_waits_when_accepting_ends_is_served_once() {
    let (mut caller, server_end) = duplex(1024);
    let (reached, server, tasks) = (Reached::default(), Drain::new(), Tasks::new());
    caller.write_all(GET).await.unwrap();
    // Closing before the first accept: the connection is found by the last look.
    let timing = Timing { grace: Duration::ZERO, ..Timing::default() };
    let ended = drain(&server, Mode::Gateway, timing, Instant::now());
    let serving = async {
        server.reached(crate::server::Phase::Closing).await;
        let script = Scripted([Ok(server_end)].into());
        serve(script, hello(&reached), Settings::default(), server.clone(), tasks.clone()).await;
    };
    // The listener is counted from its first poll on: here it is there before the drain looks.
    let _open = server.open();
    let answered = async {
        serving.await;
        let answer = read_until(&mut caller, "hello").await;
        assert!(answer.contains("connection: close"), "{answer}");
        drop(_open);
    };
    let (drained, ()) = tokio::join!(ended, answered);
    assert_eq!((drained.calls_cut, reached.count()), (0, 1));
}
