use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use http_body::Body;
use proptest::prelude::*;
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, mpsc};

use super::super::*;
use super::fixture::*;

#[tokio::test]
async fn an_answer_without_a_body_gives_its_connection_back_at_the_head() {
    let client = client();
    let server = client.in_memory(|_, pipe| answer_all(pipe, "HTTP/1.1 204 No Content\r\n\r\n"));
    let answer = client.send(&server).await.unwrap();
    assert!(answer.body().is_end_stream());
    assert_eq!(client.upstream.idle(), 1);
}

#[tokio::test]
async fn a_reader_that_stops_at_the_declared_length_leaves_the_connection_in_the_pool() {
    let client = client();
    let server = client.in_memory(|_, mut pipe| async move {
        request(&mut pipe).await;
        say(&mut pipe, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await;
        request(&mut pipe).await;
    });
    let mut body = client.send(&server).await.unwrap().into_body();
    assert_eq!(client.upstream.idle(), 0);
    drop(poll_once(&mut body));
    drop(body);

    let server = client.in_memory(|_, pipe| answer_all(pipe, PLAIN));
    let mut body = client.send(&server).await.unwrap().into_body();
    assert_eq!(burst(&mut body).await.0.concat(), b"hello");
    drop(body);
    assert_eq!(client.upstream.idle(), 1);
}

#[tokio::test]
async fn host_length_and_path_are_set_as_the_endpoint_says() {
    let client = client();
    let (seen, mut requests) = mpsc::channel(1);
    let server = client
        .on_port("http", move |_, mut tcp| {
            let seen = seen.clone();
            async move {
                let _ = seen.send(request(&mut tcp).await).await;
                say(&mut tcp, PLAIN).await;
            }
        })
        .await;
    client.call(&server).await;
    let Endpoint::Http(http) = &server.endpoint else { panic!("in memory") };
    assert_eq!(
        requests.recv().await.unwrap().unwrap(),
        format!(
            "POST /v1/chat HTTP/1.1\r\ncontent-type: text/plain\r\nhost: {}\r\ncontent-length: 2\r\n\r\nhi",
            http.authority
        )
    );
}

#[tokio::test]
async fn a_body_delimited_by_the_end_of_its_connection_ends_cleanly() {
    let client = client();
    let server = client.in_memory(|_, mut pipe| async move {
        request(&mut pipe).await;
        say(&mut pipe, "HTTP/1.1 200 OK\r\n\r\nhello").await;
    });
    assert_eq!(client.call(&server).await, "hello");
    assert_eq!(client.upstream.idle(), 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_ends_with_an_error() {
    let client = client();
    for cut in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let server = client.in_memory(move |_, mut pipe| async move {
            request(&mut pipe).await;
            say(&mut pipe, cut).await;
        });
        let (text, end) = read(client.send(&server).await.unwrap().into_body()).await;
        assert_eq!(text, "hello");
        assert!(end.is_err());
        assert_eq!(client.upstream.idle(), 0);
    }
}

/// A server on a port that answers with `said`, then tells when its peer is gone.
async fn watched(client: &Client, said: &'static str) -> (Served, Arc<Notify>, Arc<Notify>) {
    let (asked, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (ask, go) = (Arc::clone(&asked), Arc::clone(&gone));
    let server = client
        .on_port("http", move |_, mut tcp| {
            let (ask, go) = (Arc::clone(&ask), Arc::clone(&go));
            async move {
                request(&mut tcp).await;
                say(&mut tcp, said).await;
                ask.notify_one();
                let end = tcp.read(&mut [0]).await;
                assert!(matches!(end, Ok(0) | Err(_)));
                go.notify_one();
            }
        })
        .await;
    (server, asked, gone)
}

#[tokio::test]
async fn dropping_an_unfinished_body_closes_the_socket_at_once() {
    let client = client();
    let (server, _, gone) = watched(&client, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await;
    let mut body = client.send(&server).await.unwrap().into_body();
    burst(&mut body).await;
    drop(body);
    gone.notified().await;
    assert_eq!(client.upstream.idle(), 0);
}

#[tokio::test]
async fn dropping_a_call_that_waits_for_its_head_closes_the_socket_at_once() {
    let client = client();
    let (server, asked, gone) = watched(&client, "").await;
    tokio::select! {
        _ = client.send(&server) => panic!("no answer was sent"),
        () = asked.notified() => {}
    }
    gone.notified().await;
}

#[tokio::test]
async fn chunks_that_came_together_are_given_in_one_poll() {
    let client = client();
    let go = Arc::new(Notify::new());
    let gone = Arc::clone(&go);
    let server = client
        .on_port("http", move |_, mut tcp| {
            let go = Arc::clone(&gone);
            async move {
                request(&mut tcp).await;
                say(&mut tcp, CHUNKED).await;
                go.notified().await;
                say(&mut tcp, "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n").await;
                let _ = tcp.read(&mut [0]).await;
            }
        })
        .await;
    let mut body = client.send(&server).await.unwrap().into_body();
    go.notify_one();
    let (frames, ended) = burst(&mut body).await;
    assert_eq!(frames, ["a", "bc", "def"]);
    assert!(ended);
    assert_eq!(client.upstream.idle(), 1);
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll_once(body: &mut UpstreamBody) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
    std::pin::Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn one_arrival_wakes_the_reader_once() {
    let client = client();
    let (say_it, told) = mpsc::channel::<&'static str>(1);
    let told_by = parking_lot::Mutex::new(Some(told));
    let server = client.in_memory(move |_, mut pipe| {
        let mut told = told_by.lock().take().unwrap();
        async move {
            request(&mut pipe).await;
            say(&mut pipe, CHUNKED).await;
            while let Some(text) = told.recv().await {
                say(&mut pipe, text).await;
            }
        }
    });
    let mut body = client.send(&server).await.unwrap().into_body();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    assert!(std::pin::Pin::new(&mut body).poll_frame(&mut cx).is_pending());

    for round in 1..4 {
        say_it.send("1\r\na\r\n1\r\nb\r\n").await.unwrap();
        while woken.0.load(Ordering::SeqCst) < round {
            tokio::task::yield_now().await;
        }
        let mut frames = 0;
        while std::pin::Pin::new(&mut body).poll_frame(&mut cx).is_ready() {
            frames += 1;
        }
        assert_eq!(frames, 2);
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        assert_eq!(woken.0.load(Ordering::SeqCst), round, "no wake-up of its own making");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_is_waited_for_without_a_timer() {
    let client = client();
    let server = client.in_memory(|_, mut pipe| async move {
        request(&mut pipe).await;
        tokio::time::sleep(Duration::from_secs(500)).await;
        say(&mut pipe, PLAIN).await;
    });
    let start = Instant::now();
    assert_eq!(client.call(&server).await, "hello");
    assert_eq!(start.elapsed().as_secs(), 500);
}

#[tokio::test]
async fn an_early_answer_arrives_although_the_request_is_not_read() {
    let client = client();
    let server = client.in_memory(|_, mut pipe| async move {
        let _ = pipe.read(&mut [0; 100]).await;
        say(&mut pipe, "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno").await;
        std::future::pending::<()>().await;
    });
    let mut request = post("");
    *request.body_mut() = Full::from(vec![b'x'; 4 << 20]);
    let answer = client.upstream.send(&server.endpoint, request, LIMIT).await.unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(read(answer.into_body()).await.0, "no");
    assert_eq!(client.upstream.idle(), 0, "half a request is under way on it");
}

#[tokio::test]
async fn a_request_without_a_body_announces_none() {
    let client = client();
    let (seen, mut requests) = mpsc::channel(1);
    let server = client.in_memory(move |_, mut pipe| {
        let seen = seen.clone();
        async move {
            let _ = seen.send(request(&mut pipe).await).await;
            say(&mut pipe, PLAIN).await;
        }
    });
    let get = Request::get("/v1/models").body(Full::default()).unwrap();
    client.upstream.send(&server.endpoint, get, LIMIT).await.unwrap();
    assert_eq!(requests.recv().await.unwrap().unwrap(), "GET /v1/models HTTP/1.1\r\nhost: server\r\n\r\n");
}

#[tokio::test]
async fn large_bodies_pass_in_both_directions() {
    const LENGTH: usize = 5 << 20;
    let client = client();
    let server = client
        .on_port("http", |_, mut tcp| async move {
            while let Some(asked) = request(&mut tcp).await {
                let body = asked.split_once("\r\n\r\n").unwrap().1;
                say(&mut tcp, &format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n")).await;
                say(&mut tcp, body).await;
            }
        })
        .await;
    for _ in 0..2 {
        let mut request = post("");
        *request.body_mut() = Full::from("x".repeat(LENGTH));
        let answer = client.upstream.send(&server.endpoint, request, LIMIT).await.unwrap();
        let (text, end) = read(answer.into_body()).await;
        end.unwrap();
        assert_eq!((text.len(), text.trim_matches('x')), (LENGTH, ""));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_a_call_carries_about_stays_small() {
    let client = client();
    let endpoint = Endpoint::Memory("server".into());
    let call = client.upstream.send(&endpoint, post("hi"), LIMIT);
    assert!(size_of_val(&call) < 1536, "{}", size_of_val(&call));
    assert!(size_of::<UpstreamBody>() <= 96, "{}", size_of::<UpstreamBody>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_cut_of_the_bytes_gives_the_same_body_and_frees_the_connection(
        chunks in proptest::collection::vec("[a-z]{1,40}", 0..20),
        piece in 1_usize..200,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = client();
            let mut wire = CHUNKED.to_owned();
            for chunk in &chunks {
                wire += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
            }
            wire += "0\r\n\r\n";
            let server = client.in_memory(move |_, mut pipe| {
                let wire = wire.clone();
                async move {
                    while request(&mut pipe).await.is_some() {
                        for part in wire.as_bytes().chunks(piece) {
                            say(&mut pipe, std::str::from_utf8(part).unwrap()).await;
                            tokio::task::yield_now().await;
                        }
                    }
                }
            });
            for _ in 0..3 {
                assert_eq!(client.call(&server).await, chunks.concat());
                assert_eq!((client.upstream.idle(), server.connections()), (1, 1));
            }
        });
    }
}
