//! Faults that no scripted provider has: of connections, and of answers larger than are held. In real time.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use egret::tasks::Tasks;

use super::Came;
use super::trial::{asked, came, policy, start};
use crate::support::*;

/// Their names in the table.
pub(super) const FAULTS: [&str; 6] = [
    "a name without an address",
    "a port without a listener",
    "a listener without TLS",
    "no connection in time",
    "9 MB at once, then cut",
    "9 MB at once",
];

/// Bytes of an answer that is larger than what is held of one.
const LARGE: usize = 9_000_000;

/// Asks by way of a route whose first provider has this fault.
pub(super) async fn tried(fault: &str, strategy: &str, stream: bool, input: u64) -> Came {
    let tasks = Tasks::new();
    // Whatever of it is dropped is no longer there.
    let (url, _raw) = match fault {
        // No label is that long: the resolver knows without asking anybody.
        "a name without an address" => (format!("http://{}.invalid/v1", "nobody".repeat(11)), None),
        "a port without a listener" => (format!("http://127.0.0.1:{}/v1", closed().await), None),
        "a listener without TLS" => (format!("https://127.0.0.1:{}/v1", without_tls(&tasks).await), None),
        // Who waits for the first lines of a request never answers to the first words of TLS.
        "no connection in time" => {
            let raw = Raw::stalls("").await;
            (format!("https://127.0.0.1:{}/v1", raw.port), Some(raw))
        }
        "9 MB at once, then cut" | "9 MB at once" => {
            let cut = fault.ends_with("cut");
            let raw = Raw::answers(large(stream, LARGE + usize::from(cut))).await;
            (format!("http://127.0.0.1:{}/v1", raw.port), Some(raw))
        }
        unknown => panic!("no fault: {unknown}"),
    };
    let proxy = start(&policy(strategy, &format!("dialect: openai, baseUrl: \"{url}\""), "answer: 20s"));
    let answer = asked(&proxy, "chat", stream).await;
    came(&proxy, &answer, input, 0).await
}

/// A port at which nobody listens.
async fn closed() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// The port of a server that knows no TLS.
async fn without_tls(tasks: &Tasks) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn("plain listener", async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            // A caller that left is no fault here.
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    port
}

/// An answer that says to be so long; of a stream it is one event.
fn large(stream: bool, length: usize) -> String {
    let (of, begin, end) = if stream {
        ("text/event-stream", "data: {\"x\":\"", "\"}\n\n")
    } else {
        ("application/json", "{\"x\":\"", "\"}")
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {of}\r\ncontent-length: {length}\r\n\r\n{begin}");
    head + &"x".repeat(LARGE - begin.len() - end.len()) + end
}
