//! `egret mock`: the scripted provider on a port.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;

use crate::mock::{Fault, Mock, Script, fault};
use crate::tasks::Tasks;

/// Serves a scripted fake provider: OpenAI's, Anthropic's and Gemini's APIs, with faults on demand.
///
/// Any model and any key is accepted; the path tells the API, under any base: `chat/completions`, `completions`,
/// `embeddings`, `responses`, `messages`, `messages/count_tokens`, `models/ID:generateContent` and its siblings,
/// `models`. A request that Anthropic or Gemini would refuse is refused as they would.
///
/// A request's header `x-mock-fault` names a fault for itself:
/// `status=429;retry-after=7`, `error=insufficient_quota`, `for-key=abc;status=401`, `redirect`; `reset=0`,
/// `reset=3`, `reset-after-head`, `stall=2`, `stall-after-head`, `truncate=2`, `error-event=2;code=slow_down`;
/// `empty`, `only-pings`, `only-done`, `html`, `not-json`, `wrong-type`, `gzip`, `large=100Mi`, `duplicate`,
/// `shuffle`; `slow-head=1500ms`, `slow-first-token=5s;pings=1s`, `slow-stream=2`, `trickle=20ms`.
/// Ends on SIGINT or SIGTERM with exit code 0.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address to serve on; port 0 picks one, and the first line printed names it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4199", env = "EGRET_MOCK_LISTEN")]
    pub listen: SocketAddr,
    /// Time until the head of an answer is sent.
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = time, env = "EGRET_MOCK_LATENCY")]
    pub latency: Duration,
    /// Words of a stream per second [default: as fast as they can be sent].
    #[arg(long, value_name = "RATE", env = "EGRET_MOCK_TOKENS_PER_SECOND")]
    pub tokens_per_second: Option<NonZeroU32>,
    /// Words of an answer, where --says is not given.
    #[arg(long, value_name = "WORDS", default_value = "16", env = "EGRET_MOCK_TOKENS")]
    pub tokens: NonZeroU32,
    /// What every answer says [default: a sentence that names the model].
    #[arg(long, value_name = "TEXT", env = "EGRET_MOCK_SAYS")]
    pub says: Option<String>,
    /// A fault, in the words of `x-mock-fault`; given several times, one per request in turn (`none`: no fault).
    #[arg(long = "fault", value_name = "FAULT", env = "EGRET_MOCK_FAULT", value_delimiter = ',')]
    pub faults: Vec<Fault>,
}

impl Args {
    fn script(&self) -> Script {
        Script {
            says: self.says.as_deref().map(Into::into),
            latency: self.latency,
            tokens_per_second: self.tokens_per_second,
            tokens: self.tokens,
            faults: self.faults.clone(),
        }
    }
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the process cannot listen for signals, the address cannot be bound or `out` not written.
pub(super) fn main(args: Args, out: &mut impl Write) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let tasks = Tasks::new();
        run(args, &tasks, signalled()?, out).await?;
        tasks.wait().await;
        Ok(())
    })
}

/// Serves until `stop` resolves, having told `out` in one line where.
///
/// # Errors
/// When the address cannot be bound or `out` not written.
pub async fn run(
    args: Args,
    tasks: &Tasks,
    stop: impl Future<Output = ()>,
    out: &mut (impl Write + ?Sized),
) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr().context("the listener has no address")?;
    writeln!(out, "mock provider at http://{address}/v1").context("cannot say where it listens")?;
    out.flush().context("cannot say where it listens")?;

    let script = Arc::new(args.script());
    let mock = Mock::new(move || Arc::clone(&script));
    tokio::select! {
        () = stop => {}
        () = accept(&listener, &mock, tasks) => {}
    }
    tasks.stop();
    Ok(())
}

/// Resolves at the first SIGINT or SIGTERM.
///
/// # Errors
/// When the process cannot listen for signals.
pub fn signalled() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

async fn accept(listener: &TcpListener, mock: &Mock, tasks: &Tasks) {
    /// Out of file descriptors is the usual cause: some will be free again soon.
    const PAUSE: Duration = Duration::from_millis(50);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Without it an event waits for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
        let (mock, stopping) = (mock.clone(), tasks.stopping());
        tasks.spawn("scripted provider", async move {
            tokio::select! {
                () = stopping => {}
                () = mock.serve(stream) => {}
            }
        });
    }
}

fn time(text: &str) -> Result<Duration, String> {
    fault::duration(text).ok_or_else(|| format!("`{text}` is no time; write a whole number with ms, s or m"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.args)
    }

    /// Hands over the first line.
    struct FirstLine(Option<oneshot::Sender<String>>);

    impl Write for FirstLine {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.write_all(bytes).map(|()| bytes.len())
        }
        fn write_all(&mut self, _: &[u8]) -> std::io::Result<()> {
            unreachable!("written with one `write_fmt`")
        }
        fn write_fmt(&mut self, line: std::fmt::Arguments<'_>) -> std::io::Result<()> {
            let told = self.0.take().map(|told| told.send(line.to_string()));
            told.map_or(Ok(()), |_| Ok(()))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn flags_make_the_script() {
        let args =
            parse("mock --latency 20ms --tokens-per-second 100 --tokens 5 --fault none --fault reset=3");
        let script = args.unwrap().script();
        assert_eq!(script.latency, Duration::from_millis(20));
        assert_eq!(script.tokens_per_second, NonZeroU32::new(100));
        assert_eq!(script.tokens.get(), 5);
        assert_eq!(script.faults, [Fault::None, Fault::Reset { after_chunks: 3 }]);
        assert_eq!(parse("mock").unwrap().script(), Script::default());
    }

    #[test]
    fn a_wrong_fault_or_time_is_refused_with_what_is_right() {
        let error = parse("mock --fault teapot").err().unwrap().to_string();
        assert!(error.contains("status=429;retry-after=7"), "{error}");
        let error = parse("mock --latency 20").err().unwrap().to_string();
        assert!(error.contains("ms, s or m"), "{error}");
    }

    #[tokio::test]
    async fn it_says_where_it_listens_answers_there_and_ends_when_told() {
        let (told, line) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let tasks = Tasks::new();
        let served = async {
            let args = parse("mock --listen 127.0.0.1:0").unwrap();
            let stop = async { drop(stopped.await) };
            run(args, &tasks, stop, &mut FirstLine(Some(told))).await
        };
        let asked = async {
            let line = line.await.unwrap();
            let (_, rest) = line.split_once("http://").unwrap();
            let address = rest.trim_end().strip_suffix("/v1").unwrap();
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = b"GET /v1/models HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            // A connection that idles does not keep it from ending.
            let _idle = tokio::net::TcpStream::connect(address).await.unwrap();
            drop(stop);
            answer
        };
        let (served, answer) = tokio::join!(served, asked);
        tasks.wait().await;
        served.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}
