//! The load: a closed loop over kept-alive HTTP/1 connections. Every answer is compared, byte by byte.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::{Buf, BytesMut};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::measure;
use crate::wire::{self, Head, Kind};

/// Calls before anything is counted: connections stand, caches are warm.
const WARM_UP: Duration = Duration::from_millis(300);

/// A fault ends the connection's loop only when it will not go away.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What to send, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// Where to.
    #[arg(long)]
    pub(crate) target: SocketAddr,
    /// What to ask for.
    #[arg(long, value_enum)]
    pub(crate) kind: Kind,
    /// Calls in flight.
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// How long to measure, after the warm-up.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Stop after this many calls instead, without a warm-up.
    #[arg(long)]
    pub(crate) calls: Option<u64>,
    /// The process whose CPU time is taken at the start and the end of the measured span.
    #[arg(long)]
    pub(crate) watch: Option<u32>,
}

/// What came of it; one JSON line between the processes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LoadReport {
    /// Right answers within the span.
    pub(crate) calls: u64,
    /// Length of the span.
    pub(crate) seconds: f64,
    /// Median time of a call.
    pub(crate) p50_us: f64,
    /// 99th percentile of it.
    pub(crate) p99_us: f64,
    /// CPU time of the watched process within the span.
    pub(crate) cpu_us: f64,
}

/// Runs the load of `args` to its end. The first wrong answer fails it as a whole.
pub(crate) async fn run(args: &LoadArgs) -> anyhow::Result<LoadReport> {
    let tally = Rc::new(Tally::new(args.calls)?);
    let mut callers = JoinSet::new();
    for _ in 0..args.connections {
        let caller = Caller::connect(args.target, args.kind).await?;
        callers.spawn_local(caller.work(Rc::clone(&tally)));
    }
    let report = if args.calls.is_some() {
        LoadReport::default()
    } else {
        // A caller ends before its time only with a fault.
        tokio::select! {
            report = span(args, &tally) => report?,
            Some(ended) = callers.join_next() => { ended??; bail!("a connection stopped early") }
        }
    };
    tally.over.set(args.calls.is_none());
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    let calls = if args.calls.is_some() { tally.calls.get() } else { report.calls };
    Ok(LoadReport { calls, ..report })
}

async fn span(args: &LoadArgs, tally: &Tally) -> anyhow::Result<LoadReport> {
    tokio::time::sleep(WARM_UP).await;
    let (calls, started) = (tally.calls.get(), Instant::now());
    tally.times.borrow_mut().reset();
    let cpu = args.watch.map(measure::cpu_us).transpose()?;
    tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
    let spent = args.watch.map(measure::cpu_us).transpose()?;
    let times = tally.times.borrow();
    Ok(LoadReport {
        calls: tally.calls.get() - calls,
        seconds: started.elapsed().as_secs_f64(),
        p50_us: times.value_at_quantile(0.5) as f64 / 1000.0,
        p99_us: times.value_at_quantile(0.99) as f64 / 1000.0,
        cpu_us: spent.unwrap_or_default() - cpu.unwrap_or_default(),
    })
}

/// Opens `args.connections` streams and holds them once the first chunk of each is there, which egret gives with the
/// first content.
pub(crate) async fn hold(args: &LoadArgs) -> anyhow::Result<Vec<TcpStream>> {
    let mut callers = Vec::with_capacity(args.connections);
    for _ in 0..args.connections {
        let mut caller = Caller::connect(args.target, Kind::Hold).await?;
        caller.socket.write_all(&caller.request).await?;
        callers.push(caller);
    }
    for caller in &mut callers {
        while memchr::memmem::find(&caller.read, b"data: ").is_none() {
            caller.fill().await?;
        }
    }
    Ok(callers.into_iter().map(|caller| caller.socket).collect())
}

/// What all connections count together.
struct Tally {
    calls: Cell<u64>,
    left: Option<Cell<u64>>,
    over: Cell<bool>,
    times: RefCell<Histogram<u64>>,
}

impl Tally {
    fn new(calls: Option<u64>) -> anyhow::Result<Self> {
        Ok(Self {
            calls: Cell::new(0),
            left: calls.map(Cell::new),
            over: Cell::new(false),
            times: RefCell::new(Histogram::new_with_bounds(1, 60_000_000_000, 3)?),
        })
    }

    /// Whether one more call is to be made; it is counted off.
    fn another(&self) -> bool {
        match &self.left {
            Some(left) => {
                let more = left.get() > 0;
                left.set(left.get().saturating_sub(1));
                more
            }
            None => !self.over.get(),
        }
    }

    fn answered(&self, took: Duration) {
        self.calls.set(self.calls.get() + 1);
        self.times.borrow_mut().saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// One connection that asks the same thing over and over.
struct Caller {
    socket: TcpStream,
    kind: Kind,
    request: Vec<u8>,
    expected: Vec<u8>,
    read: BytesMut,
    data: Vec<u8>,
}

impl Caller {
    async fn connect(target: SocketAddr, kind: Kind) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(target).await.context("connecting to the target")?;
        socket.set_nodelay(true)?;
        let expected = match kind {
            Kind::Plain => wire::plain_answer(),
            Kind::Stream => wire::events(false).concat(),
            Kind::Translated => wire::said(wire::events(false).concat().as_bytes()),
            Kind::Hold => String::new(),
        };
        Ok(Self {
            socket,
            kind,
            request: wire::request(kind),
            expected: expected.into_bytes(),
            read: BytesMut::with_capacity(32 * 1024),
            data: Vec::new(),
        })
    }

    async fn work(mut self, tally: Rc<Tally>) -> anyhow::Result<()> {
        let mut started = Instant::now();
        while tally.another() {
            self.socket.write_all(&self.request).await?;
            tokio::time::timeout(TIMEOUT, self.answer()).await.context("no answer for 20 s")??;
            let now = Instant::now();
            tally.answered(now - started);
            started = now;
        }
        Ok(())
    }

    /// Reads one answer and compares it.
    async fn answer(&mut self) -> anyhow::Result<()> {
        let head = loop {
            if let Some(head) = Head::read(&self.read) {
                break head;
            }
            self.fill().await?;
        };
        ensure!(head.ok, "not a 200: {}", String::from_utf8_lossy(&self.read));
        self.read.advance(head.end);
        match head.content_length {
            Some(length) => {
                while self.read.len() < length {
                    self.fill().await?;
                }
                ensure!(self.read == self.expected, "an answer differs from what the provider sent");
            }
            None => {
                while !wire::chunks_complete(&self.read) {
                    self.fill().await?;
                }
                wire::dechunk(&self.read, &mut self.data).context("broken chunks")?;
                if self.kind == Kind::Translated {
                    self.data = wire::said(&self.data).into_bytes();
                }
                ensure!(self.data == self.expected, "an answer differs from what the provider sent");
            }
        }
        self.read.clear();
        Ok(())
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        let read = self.socket.read_buf(&mut self.read).await?;
        ensure!(read > 0, "the connection was closed within an answer");
        Ok(())
    }
}
