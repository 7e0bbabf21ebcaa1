use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::super::*;
use super::fixture::*;
use crate::random::Random;

#[tokio::test]
async fn sequential_calls_share_one_connection() {
    let client = client();
    let answers = [PLAIN.to_owned(), format!("{CHUNKED}5\r\nhello\r\n0\r\n\r\n")];
    for answer in answers {
        let server = client
            .on_port("http", move |_, tcp| {
                let answer = answer.clone();
                async move { answer_all(tcp, &answer).await }
            })
            .await;
        for _ in 0..50 {
            assert_eq!(client.call(&server).await, "hello");
        }
        assert_eq!(server.connections(), 1);
    }
    assert_eq!(client.upstream.idle(), 2);
}

#[tokio::test]
async fn a_connection_that_died_idle_is_replaced_unseen() {
    let client = client();
    let closed = Arc::new(Notify::new());
    let close = Arc::clone(&closed);
    let server = client
        .on_port("http", move |_, mut tcp| {
            let close = Arc::clone(&close);
            async move {
                request(&mut tcp).await;
                say(&mut tcp, PLAIN).await;
                drop(tcp);
                close.notify_one();
            }
        })
        .await;
    for call in 1..5 {
        assert_eq!(client.call(&server).await, "hello");
        closed.notified().await;
        assert_eq!(server.connections(), call);
    }
}

#[tokio::test]
async fn a_connection_that_the_server_will_close_is_not_kept() {
    let client = client();
    let server = client.in_memory(|_, mut pipe| async move {
        request(&mut pipe).await;
        say(&mut pipe, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello").await;
        // It stays open on this side: the header alone must do.
        let _ = pipe.read(&mut [0]).await;
    });
    client.call(&server).await;
    assert_eq!(client.upstream.idle(), 0);
    client.call(&server).await;
    assert_eq!(server.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_capped_and_closed_after_their_time() {
    let client = client_with(Settings { max_idle_per_endpoint: 2, ..Settings::default() });
    let open = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&open);
    let server = client.in_memory(move |_, pipe| {
        let count = Arc::clone(&count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            answer_all(pipe, PLAIN).await;
            count.fetch_sub(1, Ordering::SeqCst);
        }
    });
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(client.send(&server).await);
        // Not read: the next call needs another connection only if this one is still under way.
    }
    drop(answers);
    assert!(client.upstream.idle() <= 2);

    tokio::time::sleep(Duration::from_secs(91)).await;
    assert_eq!(client.upstream.idle(), 0);
    assert_eq!(open.load(Ordering::SeqCst), 0);
    assert!(client.upstream.pool.is_empty(), "places without a connection are forgotten");

    // And the sweep starts again with the next call.
    client.call(&server).await;
    assert_eq!(client.upstream.idle(), 1);
    tokio::time::sleep(Duration::from_secs(91)).await;
    assert_eq!(client.upstream.idle(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_past_its_time_is_not_used_before_the_sweep_comes() {
    let client = client();
    let server = client.in_memory(|_, pipe| answer_all(pipe, PLAIN));
    client.call(&server).await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    client.call(&server).await;
    assert_eq!(server.connections(), 1);
    tokio::time::advance(Duration::from_secs(60)).await;
    client.call(&server).await;
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn concurrent_calls_have_a_connection_each_and_no_more_than_the_cap_is_kept() {
    let client = client_with(Settings { max_idle_per_endpoint: 3, ..Settings::default() });
    let server = client.in_memory(|_, mut pipe| async move {
        while request(&mut pipe).await.is_some() {
            say(&mut pipe, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel").await;
            tokio::task::yield_now().await;
            say(&mut pipe, "lo").await;
        }
    });
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(client.send(&server).await.unwrap());
    }
    assert_eq!(server.connections(), 5);
    for answer in answers {
        assert_eq!(read(answer.into_body()).await.0, "hello");
    }
    assert_eq!(client.upstream.idle(), 3);
}

#[tokio::test]
async fn no_way_to_leave_a_call_leaks_its_connection() {
    let client = client();
    let open = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&open);
    let server = client.in_memory(move |_, mut pipe| {
        let count = Arc::clone(&count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            while request(&mut pipe).await.is_some() {
                for part in [CHUNKED, "5\r\nhello\r\n", "0\r\n\r\n"] {
                    tokio::task::yield_now().await;
                    say(&mut pipe, part).await;
                }
            }
            count.fetch_sub(1, Ordering::SeqCst);
        }
    });
    let random = Random::seeded(11);
    let mut calls = JoinSet::new();
    for _ in 0..300 {
        let (upstream, endpoint, way) = (client.upstream.clone(), server.endpoint.clone(), random.u64() % 4);
        calls.spawn(async move {
            let sent = upstream.send(&endpoint, post("hi"), LIMIT);
            match way {
                0 => drop(timeout(Duration::ZERO, sent).await),
                1 => drop(sent.await.unwrap()),
                2 => drop(burst(sent.await.unwrap().body_mut()).await),
                _ => assert_eq!(read(sent.await.unwrap().into_body()).await.0, "hello"),
            }
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    while open.load(Ordering::SeqCst) > client.upstream.idle() {
        tokio::task::yield_now().await;
    }
    let idle = client.upstream.idle();
    assert_eq!(open.load(Ordering::SeqCst), idle);
    assert!((1..=64).contains(&idle), "{idle}");
}
