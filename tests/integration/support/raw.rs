//! A provider of bytes: whatever it is asked, it writes the same. On a socket, so its tests run in real time.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use egret::tasks::Tasks;

/// A provider that answers every request by the same bytes and closes.
pub(crate) struct Raw {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    /// Starts one.
    pub(crate) async fn answers(bytes: impl Into<Vec<u8>>) -> Self {
        Self::start(bytes, true).await
    }

    /// Starts one that does not close: it falls silent after its bytes.
    pub(crate) async fn stalls(bytes: impl Into<Vec<u8>>) -> Self {
        Self::start(bytes, false).await
    }

    async fn start(bytes: impl Into<Vec<u8>>, closes: bool) -> Self {
        let (bytes, tasks) = (Arc::new(bytes.into()), Tasks::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tasks.clone().spawn("raw provider", async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (bytes, log) = (Arc::clone(&bytes), Arc::clone(&log));
                tasks.spawn("raw answer", async move { answer(socket, &bytes, closes, &log).await });
            }
        });
        Self { port, asked }
    }

    /// The requests as they came, head and body.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }

    /// A policy with this provider as `raw`, its model `m`, and this said of it beside its address.
    pub(crate) fn policy(&self, more: &str) -> String {
        let port = self.port;
        format!(
            "providers: {{ raw: {{ dialect: openai, baseUrl: \"http://127.0.0.1:{port}/v1\"{more} }} }}\n\
             models: {{ m: {{ provider: raw }} }}\ndefaults: {{ retry: {{ maxAttempts: 1 }} }}\n{}",
            super::ANYONE
        )
    }
}

/// A 200 with these header lines and this body.
pub(crate) fn canned(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

async fn answer(mut socket: TcpStream, bytes: &[u8], closes: bool, log: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    log.lock().push(String::from_utf8_lossy(&request).into_owned());
    // A caller that left is no fault here.
    let _ = socket.write_all(bytes).await;
    if !closes {
        let _ = socket.read_buf(&mut request).await;
    }
    let _ = socket.shutdown().await;
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
