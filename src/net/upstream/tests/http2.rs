use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Waker};

use h2::server::{Connection, SendResponse};
use http_body::Body;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::io::Stream;
use super::super::*;
use super::fixture::*;

type Server = Connection<TlsStream<TcpStream>, Bytes>;

async fn accept(acceptor: TlsAcceptor, tcp: TcpStream, streams_max: u32) -> Server {
    let tls = acceptor.accept(tcp).await.unwrap();
    h2::server::Builder::new().max_concurrent_streams(streams_max).handshake(tls).await.unwrap()
}

/// A server whose connections answer as `respond` says, at most `streams_max` at a time.
async fn serve(
    client: &Client,
    streams_max: u32,
    respond: impl Fn(usize, SendResponse<Bytes>) + Send + Sync + 'static,
) -> Served {
    let (acceptor, respond) = (client.acceptor(), Arc::new(respond));
    client
        .on_port("https", move |number, tcp| {
            let (acceptor, respond) = (acceptor.clone(), Arc::clone(&respond));
            async move {
                let mut server = accept(acceptor, tcp, streams_max).await;
                while let Some(Ok((_, stream))) = server.accept().await {
                    respond(number, stream);
                }
            }
        })
        .await
}

fn hello(mut stream: SendResponse<Bytes>) {
    let mut body = stream.send_response(Response::new(()), false).unwrap();
    body.send_data(Bytes::from_static(b"hello"), true).unwrap();
}

/// Sends the head and keeps the stream open for ever.
fn head_only(mut stream: SendResponse<Bytes>) {
    let mut body = stream.send_response(Response::new(()), false).unwrap();
    body.send_data(Bytes::from_static(b"hel"), false).unwrap();
    std::mem::forget((stream, body));
}

#[tokio::test]
async fn concurrent_first_calls_share_the_one_connection_that_the_first_opens() {
    let client = client();
    let server = serve(&client, 100, |_, stream| hello(stream)).await;
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let (upstream, endpoint) = (client.upstream.clone(), server.endpoint.clone());
        calls.spawn(async move {
            let answer = upstream.send(&endpoint, post("hi"), LIMIT).await.unwrap();
            read(answer.into_body()).await.0
        });
    }
    assert!(calls.join_all().await.iter().all(|answer| answer == "hello"));
    assert_eq!(server.connections(), 1);
    assert_eq!(client.upstream.idle(), 1);
}

#[tokio::test]
async fn beyond_the_peers_limit_of_streams_another_connection_is_opened() {
    let client = client();
    let server = serve(&client, 2, |_, stream| head_only(stream)).await;
    let mut answers = Vec::new();
    for _ in 0..5 {
        let mut answer = client.send(&server).await.unwrap();
        burst(answer.body_mut()).await;
        answers.push(answer);
    }
    assert_eq!(server.connections(), 3);
    assert_eq!(client.upstream.idle(), 0);
    drop(answers);
    assert_eq!(client.upstream.idle(), 3);
}

#[tokio::test]
async fn a_refused_stream_is_repeated_on_another_connection() {
    let client = client();
    let server = serve(&client, 100, |connection, mut stream| match connection {
        0 => stream.send_reset(h2::Reason::REFUSED_STREAM),
        _ => hello(stream),
    })
    .await;
    assert_eq!(client.call(&server).await, "hello");
    assert_eq!(server.connections(), 2);
    // The refusing connection is out of use.
    assert_eq!(client.call(&server).await, "hello");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_stream_that_every_connection_refuses_is_repeated_once() {
    let client = client();
    let server = serve(&client, 100, |_, mut stream| {
        stream.send_reset(h2::Reason::REFUSED_STREAM);
    })
    .await;
    let error = client.send(&server).await.unwrap_err();
    assert_eq!((error.stage, error.stage.written()), (Stage::Connect, false));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_stream_reset_for_another_reason_is_not_repeated() {
    let client = client();
    let server = serve(&client, 100, |_, mut stream| {
        stream.send_reset(h2::Reason::INTERNAL_ERROR);
    })
    .await;
    let error = client.send(&server).await.unwrap_err();
    assert_eq!((error.stage, error.stage.written()), (Stage::Head, true));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_stream_above_the_last_of_a_goaway_is_repeated_on_another_connection() {
    let client = client();
    let acceptor = client.acceptor();
    let server = client
        .on_port("https", move |number, tcp| {
            let acceptor = acceptor.clone();
            async move {
                let mut server = accept(acceptor, tcp, 100).await;
                while let Some(Ok((_, stream))) = server.accept().await {
                    if number == 0 {
                        // "Nothing after stream 1": the call is stream 3 by then.
                        server.graceful_shutdown();
                    }
                    hello(stream);
                }
            }
        })
        .await;
    for _ in 0..10 {
        assert_eq!(client.call(&server).await, "hello");
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn dropping_an_unfinished_body_resets_its_stream_and_no_other() {
    let client = client();
    let (told, mut resets) = mpsc::channel(1);
    let tasks = client.tasks.clone();
    let server = serve(&client, 100, move |_, mut stream| {
        let told = told.clone();
        let mut body = stream.send_response(Response::new(()), false).unwrap();
        body.send_data(Bytes::from_static(b"hel"), false).unwrap();
        tasks.spawn("stream", async move {
            let reason = poll_fn(|cx| body.poll_reset(cx)).await;
            let _ = told.send(reason.unwrap()).await;
        });
    })
    .await;
    let mut first = client.send(&server).await.unwrap().into_body();
    let mut second = client.send(&server).await.unwrap().into_body();
    burst(&mut first).await;
    burst(&mut second).await;
    drop(first);
    assert_eq!(resets.recv().await, Some(h2::Reason::CANCEL));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut second).poll_frame(&mut cx).is_pending());
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn dropping_a_call_that_waits_for_its_head_resets_its_stream() {
    let client = client();
    let (told, mut resets) = mpsc::channel(1);
    let asked = Arc::new(Notify::new());
    let (ask, tasks) = (Arc::clone(&asked), client.tasks.clone());
    let server = serve(&client, 100, move |_, mut stream| {
        let told = told.clone();
        ask.notify_one();
        tasks.spawn("stream", async move {
            let reason = poll_fn(|cx| stream.poll_reset(cx)).await;
            let _ = told.send(reason.unwrap()).await;
        });
    })
    .await;
    tokio::select! {
        _ = client.send(&server) => panic!("no answer was sent"),
        () = asked.notified() => {}
    }
    assert_eq!(resets.recv().await, Some(h2::Reason::CANCEL));
    assert_eq!(client.upstream.idle(), 1, "the connection is still good");
}

#[tokio::test]
async fn authority_path_and_length_are_set_as_the_endpoint_says() {
    let client = client();
    let acceptor = client.acceptor();
    let (told, mut requests) = mpsc::channel(1);
    let server = client
        .on_port("https", move |_, tcp| {
            let (acceptor, told) = (acceptor.clone(), told.clone());
            async move {
                let mut server = accept(acceptor, tcp, 100).await;
                while let Some(Ok((request, stream))) = server.accept().await {
                    told.send(request.map(drop)).await.unwrap();
                    hello(stream);
                }
            }
        })
        .await;
    client.call(&server).await;
    let request = requests.recv().await.unwrap();
    let Endpoint::Http(http) = &server.endpoint else { panic!("in memory") };
    assert_eq!(request.uri().to_string(), format!("https://{}/v1/chat", http.authority));
    assert_eq!(request.headers()["content-length"], "2");
    assert!(!request.headers().contains_key("host"));
}

#[tokio::test]
async fn a_provider_that_agrees_on_http1_is_spoken_to_in_http1() {
    let client = client();
    let acceptor = client.http1_acceptor();
    let server = client
        .on_port("https", move |_, tcp| {
            let acceptor = acceptor.clone();
            async move { answer_all(acceptor.accept(tcp).await.unwrap(), PLAIN).await }
        })
        .await;
    for _ in 0..5 {
        assert_eq!(client.call(&server).await, "hello");
    }
    assert_eq!((server.connections(), client.upstream.idle()), (1, 1));
}

/// An HTTP/2 connection over a pipe, and the server's end of it.
async fn over_a_pipe(client: &Client) -> (Http2, tokio::io::DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let settings = Settings::default();
    let http2 = Http2::over(Stream::Memory(ours), &client.tasks, &settings).await;
    (http2.unwrap(), theirs)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_gives_no_sign_of_life_is_out_of_use() {
    let client = client();
    let (http2, _silent) = over_a_pipe(&client).await;
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert!(http2.is_open());
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert!(!http2.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_without_a_stream_is_closed_after_its_time() {
    let client = client();
    let place = client.upstream.pool.place(&Endpoint::Memory("h2".into()));
    let (http2, theirs) = over_a_pipe(&client).await;
    let ended = Arc::new(Notify::new());
    let end = Arc::clone(&ended);
    client.tasks.spawn("server", async move {
        let mut server = h2::server::handshake(theirs).await.unwrap();
        assert!(server.accept().await.is_none());
        end.notify_one();
    });
    place.share(http2);
    let (_, stream) = place.stream().unwrap();
    drop(place);

    tokio::time::sleep(Duration::from_secs(200)).await;
    assert!(!client.upstream.pool.is_empty(), "a stream holds it");

    drop(stream);
    tokio::time::sleep(Duration::from_secs(91)).await;
    ended.notified().await;
    assert!(client.upstream.pool.is_empty());
}

#[tokio::test]
async fn connection_tasks_end_when_the_process_stops() {
    let client = client();
    let (_http2, _silent) = over_a_pipe(&client).await;
    assert!(client.tasks.running() > 0);
    client.tasks.stop();
    client.tasks.wait().await;
}
