//! Answers that are compressed though nobody asked for it, over a connection.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body::Body;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::super::*;
use super::fixture::*;
use crate::net::body::{BufferBudget, Prefix, read_prefix};
use crate::net::decode::{DecodeError, Unsupported, decoding};

const EVENTS: [&str; 3] = ["data: one\n\n", "data: two\n\n", "data: [DONE]\n\n"];

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The bytes of a plain answer in this coding.
fn plain(coding: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A server that answers every request with these bytes.
fn answering(client: &Client, answer: Vec<u8>) -> Served {
    client.in_memory(move |_, mut pipe| {
        let answer = answer.clone();
        async move {
            while request(&mut pipe).await.is_some() {
                let _ = pipe.write_all(&answer).await;
            }
        }
    })
}

async fn decoded(client: &Client, server: &Served) -> Result<Response<UpstreamBody>, Unsupported> {
    let (mut head, body) = client.send(server).await.unwrap().into_parts();
    let body = decoding(&mut head.headers, body)?;
    Ok(Response::from_parts(head, body))
}

#[tokio::test]
async fn a_compressed_answer_is_decoded_and_its_headers_say_so_no_longer() {
    let client = client();
    let server = answering(&client, plain("gzip", &gzip(b"high at noon")));
    for _ in 0..2 {
        let answer = decoded(&client, &server).await.unwrap();
        assert!(!answer.headers().contains_key(CONTENT_ENCODING));
        assert!(!answer.headers().contains_key(CONTENT_LENGTH));
        assert!(!answer.body().is_end_stream());
        assert_eq!(answer.body().size_hint().lower(), 0);
        let (text, end) = read(answer.into_body()).await;
        assert_eq!((text.as_str(), end.is_ok()), ("high at noon", true));
        assert_eq!(client.upstream.idle(), 1);
    }
    assert_eq!(server.connections(), 1, "the connection is used again");
}

#[tokio::test]
async fn an_answer_that_is_not_compressed_is_left_alone() {
    let client = client();
    let server = answering(&client, plain("identity", b"high at noon"));
    let answer = decoded(&client, &server).await.unwrap();
    assert_eq!(answer.headers()[CONTENT_LENGTH], "12");
    assert_eq!(answer.body().size_hint().exact(), Some(12));
    assert_eq!(read(answer.into_body()).await.0, "high at noon");
}

#[tokio::test]
async fn another_coding_is_an_error_that_names_it() {
    let client = client();
    let server = answering(&client, plain("br", b"high at noon"));
    let error = decoded(&client, &server).await.unwrap_err();
    assert!(error.to_string().contains("`br`"));
}

#[tokio::test]
async fn events_are_decoded_as_they_come_all_of_them_at_once() {
    let client = client();
    let (say_it, told) = mpsc::channel::<Vec<u8>>(1);
    let told = parking_lot::Mutex::new(Some(told));
    let server = client.in_memory(move |_, mut pipe| {
        let mut told = told.lock().take().unwrap();
        async move {
            request(&mut pipe).await;
            say(&mut pipe, &CHUNKED.replace("\r\n\r\n", "\r\ncontent-encoding: gzip\r\n\r\n")).await;
            while let Some(bytes) = told.recv().await {
                let _ = pipe.write_all(&bytes).await;
            }
        }
    });
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let mut body = decoded(&client, &server).await.unwrap().into_body();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut flushed = |event: &str| {
        encoder.write_all(event.as_bytes()).unwrap();
        encoder.flush().unwrap();
        chunk(&std::mem::take(encoder.get_mut()))
    };
    say_it.send(flushed(EVENTS[0])).await.unwrap();
    assert_eq!(burst(&mut body).await, (vec![Bytes::from(EVENTS[0])], false));
    let both = [flushed(EVENTS[1]), flushed(EVENTS[2])].concat();
    say_it.send(both).await.unwrap();
    let (frames, ended) = burst(&mut body).await;
    assert_eq!((frames.concat(), ended), (EVENTS[1..].concat().into_bytes(), false));
    let rest = [chunk(&encoder.finish().unwrap()), b"0\r\n\r\n".to_vec()].concat();
    say_it.send(rest).await.unwrap();
    assert_eq!(read(body).await.0, "");
    assert_eq!(client.upstream.idle(), 1);
}

#[tokio::test]
async fn what_cannot_be_decoded_ends_with_an_error() {
    let good = gzip(b"high at noon");
    let mut checksum = good.clone();
    checksum[good.len() - 8] ^= 1;
    for (coded, expected) in [
        (b"{\"id\":1}".to_vec(), DecodeError::Malformed),
        (good[..good.len() - 1].to_vec(), DecodeError::CutShort),
        (checksum, DecodeError::Checksum),
    ] {
        let client = client();
        let server = answering(&client, plain("gzip", &coded));
        let (_, end) = read(decoded(&client, &server).await.unwrap().into_body()).await;
        match end {
            Err(BodyError::Undecodable(error)) => assert_eq!(error, expected),
            Err(BodyError::Broken(_)) | Ok(()) => panic!("{end:?}"),
        }
    }
}

#[tokio::test]
async fn of_a_bomb_no_more_is_held_than_who_reads_allows() {
    let client = client();
    let server = answering(&client, plain("gzip", &gzip(&vec![b' '; 16 << 20])));
    let body = decoded(&client, &server).await.unwrap().into_body();
    let budget = BufferBudget::new(1 << 20);
    let Prefix::Part { first, rest } = read_prefix(body, 100_000, &budget).await.unwrap() else {
        panic!("all of it was read");
    };
    assert!((100_000..100_000 + 32 * 1024 + 1).contains(&first.len()), "{}", first.len());
    assert_eq!(budget.used(), 0);
    drop(rest);
}
