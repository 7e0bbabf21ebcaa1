use std::error::Error;

use tokio::net::TcpListener;

use super::super::*;
use super::fixture::*;

async fn stage(client: &Client, url: &str) -> Stage {
    let endpoint = Endpoint::parse(url).unwrap();
    client.upstream.send(&endpoint, post("hi"), LIMIT).await.unwrap_err().stage
}

#[tokio::test]
async fn a_name_without_an_address_fails_at_resolve() {
    assert_eq!(stage(&client(), "http://does-not-exist.invalid").await, Stage::Resolve);
}

#[tokio::test]
async fn a_closed_port_fails_at_connect_and_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let endpoint = Endpoint::parse(&url).unwrap();
    let error = client().upstream.send(&endpoint, post("hi"), LIMIT).await.unwrap_err();
    assert_eq!((error.stage, error.stage.written()), (Stage::Connect, false));
    assert_eq!(error.to_string(), format!("no connection to {url}"));
    assert!(error.source().is_some());
}

#[tokio::test]
async fn an_unknown_service_fails_at_connect() {
    let endpoint = Endpoint::Memory("nobody".into());
    let error = client().upstream.send(&endpoint, post("hi"), LIMIT).await.unwrap_err();
    assert_eq!(error.stage, Stage::Connect);
}

#[tokio::test(start_paused = true)]
async fn a_silent_handshake_ends_at_the_connect_timeout() {
    let client = client();
    let server = client
        .on_port("https", |_, tcp| async move {
            let _open = tcp;
            std::future::pending::<()>().await;
        })
        .await;
    let start = Instant::now();
    let error = client.send(&server).await.unwrap_err();
    assert_eq!(error.stage, Stage::ConnectTimeout);
    assert_eq!(start.elapsed(), LIMIT);
}

#[tokio::test]
async fn a_certificate_of_another_name_fails_at_tls() {
    let client = client();
    let acceptor = client.acceptor();
    let server = client
        .on_port("https", move |_, tcp| {
            let acceptor = acceptor.clone();
            async move { drop(acceptor.accept(tcp).await) }
        })
        .await;
    let Endpoint::Http(http) = &server.endpoint else { panic!("in memory") };
    let url = format!("https://127.0.0.1:{}", http.port);
    assert_eq!(stage(&client, &url).await, Stage::Tls);
}

#[tokio::test]
async fn an_answer_that_is_not_http_fails_at_the_head() {
    let client = client();
    let server = client.in_memory(|_, mut pipe| async move {
        request(&mut pipe).await;
        say(&mut pipe, "SSH-2.0-OpenSSH\r\n\r\n").await;
    });
    let error = client.send(&server).await.unwrap_err();
    assert_eq!((error.stage, error.stage.written()), (Stage::Head, true));
}

#[tokio::test]
async fn a_head_beyond_its_cap_is_refused() {
    let client = client();
    let server = client.in_memory(|_, mut pipe| async move {
        request(&mut pipe).await;
        say(&mut pipe, "HTTP/1.1 200 OK\r\n").await;
        say(&mut pipe, &format!("x-long: {}\r\n", "x".repeat(100_000))).await;
    });
    assert_eq!(client.send(&server).await.unwrap_err().stage, Stage::Head);
}

#[tokio::test]
async fn a_written_request_is_never_repeated() {
    let client = client();
    let server = client.in_memory(|_, mut pipe| async move {
        request(&mut pipe).await;
        say(&mut pipe, PLAIN).await;
        // The second request on this connection is read, and then there is no answer.
        request(&mut pipe).await;
    });
    client.call(&server).await;
    let error = client.send(&server).await.unwrap_err();
    assert_eq!((error.stage, error.stage.written()), (Stage::Head, true));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_fresh_connection_that_closes_at_once_is_an_error_after_one_try() {
    let client = client();
    let server = client.in_memory(|_, pipe| async move { drop(pipe) });
    let error = client.send(&server).await.unwrap_err();
    assert_ne!(error.stage, Stage::Resolve);
    assert_eq!(server.connections(), 1);
}
