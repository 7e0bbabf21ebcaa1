//! What a caller asks for, and the bytes that it gets.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use egret::random::Random;
use egret::tasks::Tasks;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::policy::Tenant;
use crate::weather::one_of;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Responses,
    Embeddings,
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) id: u64,
    pub(crate) tenant: Tenant,
    pub(crate) kind: Kind,
    pub(crate) stream: bool,
    /// Whether usage is asked for in a stream.
    pub(crate) usage: bool,
    pub(crate) model: &'static str,
    /// Words of the prompt, by which its answer is told from others.
    pub(crate) words: u64,
    /// The most words that are wanted.
    pub(crate) bound: Option<u64>,
    /// How long the caller gives it.
    pub(crate) budget: Option<Duration>,
    /// When the caller leaves.
    pub(crate) leaves: Option<Duration>,
}

impl Ask {
    /// A call of this tenant's.
    pub(crate) fn drawn(id: u64, tenant: Tenant, random: &Random) -> Self {
        let chance = |percent: u64| random.u64() % 100 < percent;
        let kind = one_of(
            &[Kind::Chat, Kind::Chat, Kind::Chat, Kind::Chat, Kind::Responses, Kind::Embeddings],
            random,
        );
        let streams = tenant != Tenant::Plain && kind != Kind::Embeddings;
        let millis = |most: u64| Duration::from_millis(1 + random.u64() % most);
        Self {
            id,
            tenant,
            kind,
            stream: streams && chance(65),
            usage: chance(50),
            model: one_of(
                &["chat", "chat", "chat", "split", "split", "quick", "cheap", "cheap", "m2"],
                random,
            ),
            words: 1 + random.u64() % 400,
            bound: (kind != Kind::Embeddings && chance(15)).then(|| 1 + random.u64() % 20),
            budget: chance(10).then(|| Duration::from_millis(300) + millis(3_000)),
            leaves: (tenant == Tenant::Hasty && chance(50))
                .then(|| millis(if chance(50) { 200 } else { 2_500 })),
        }
    }

    /// Whether it names a model, and so has one provider alone.
    pub(crate) fn is_alone(&self) -> bool {
        self.model.starts_with('m')
    }

    fn request(&self, to: SocketAddr) -> Request<Full<Bytes>> {
        let (path, body) = self.body();
        let head = Request::post(path)
            .header("host", to.to_string())
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}-key", self.tenant.name()))
            .header("x-request-id", self.id.to_string());
        let head = match self.budget {
            Some(budget) => head.header("x-egret-latency-budget", format!("{}ms", budget.as_millis())),
            None => head,
        };
        head.body(Full::from(body.to_string())).unwrap()
    }

    fn body(&self) -> (&'static str, Value) {
        let prompt = vec!["word"; self.words as usize].join(" ");
        let Self { model, stream, .. } = self;
        match self.kind {
            Kind::Chat => {
                let messages = json!([{ "role": "user", "content": prompt }]);
                let mut body = json!({ "model": model, "stream": stream, "messages": messages });
                if let Some(bound) = self.bound {
                    body["max_completion_tokens"] = json!(bound);
                }
                if *stream && self.usage {
                    body["stream_options"] = json!({ "include_usage": true });
                }
                ("/v1/chat/completions", body)
            }
            Kind::Responses => {
                let mut body = json!({ "model": model, "stream": stream, "input": prompt, "store": false });
                if let Some(bound) = self.bound {
                    body["max_output_tokens"] = json!(bound);
                }
                ("/v1/responses", body)
            }
            Kind::Embeddings => {
                ("/v1/embeddings", json!({ "model": model, "input": prompt, "dimensions": 8 }))
            }
        }
    }
}

/// What came.
pub(crate) struct Came {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The body had no clean end.
    pub(crate) broken: bool,
}

/// A caller's connection, opened when it is needed. Dropped in a call, the caller has left.
pub(crate) struct Line {
    to: SocketAddr,
    tasks: Tasks,
    open: Option<(SendRequest<Full<Bytes>>, DropGuard)>,
}

impl Line {
    /// A line to this address.
    pub(crate) fn to(to: SocketAddr, tasks: &Tasks) -> Self {
        Self { to, tasks: tasks.clone(), open: None }
    }

    /// Makes a call; none where there was no head of an answer. Dropped, it closes the connection.
    pub(crate) async fn call(&mut self, ask: &Ask) -> Option<Came> {
        let mut open = self.open.take();
        if let Some((sender, _)) = &mut open
            && sender.ready().await.is_err()
        {
            // It was closed while nobody used it.
            open = None;
        }
        let (mut sender, stays) = match open {
            Some(open) => open,
            None => self.connect().await?,
        };
        let (head, mut rest) = sender.send_request(ask.request(self.to)).await.ok()?.into_parts();
        let (mut body, mut broken) = (Vec::new(), false);
        while let Some(frame) = rest.frame().await {
            match frame {
                Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        if !broken {
            self.open = Some((sender, stays));
        }
        Some(Came { status: head.status.as_u16(), headers: head.headers, body, broken })
    }

    async fn connect(&self) -> Option<(SendRequest<Full<Bytes>>, DropGuard)> {
        let socket = TcpStream::connect(self.to).await.ok()?;
        let _ = socket.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(socket)).await.ok()?;
        let stays = CancellationToken::new();
        let left = stays.clone();
        self.tasks.spawn("caller's end", async move {
            tokio::select! {
                _ = connection => {}
                () = left.cancelled() => {}
            }
        });
        Some((sender, stays.drop_guard()))
    }
}
