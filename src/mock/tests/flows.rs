//! Faults of how an answer comes: slowly, large, compressed, in another order. Its content is good.

use std::io::Read;

use super::*;
use crate::clock::Instant;

const CHAT: &str = "/v1/chat/completions";

fn ask(stream: bool, fault: &str) -> Request<Full<Bytes>> {
    with_fault(post(CHAT, &chat(&json!({ "stream": stream }))), fault)
}

/// The pieces of content of a stream's chunks.
fn words(answer: &Answer) -> Vec<String> {
    let content = |chunk: &Value| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
    answer.chunks().iter().filter_map(content).filter(|word| !word.is_empty()).collect()
}

/// The milliseconds until each frame, and the frames.
async fn timed(provider: &Provider, request: Request<Full<Bytes>>) -> Vec<(u128, String)> {
    let begun = Instant::now();
    let mut body = provider.try_send(request).await.unwrap().into_body();
    let mut frames = vec![(begun.elapsed().as_millis(), String::new())];
    while let Some(frame) = body.frame().await {
        let text = String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap();
        frames.push((begun.elapsed().as_millis(), text));
    }
    frames
}

#[tokio::test(start_paused = true)]
async fn a_trickle_is_the_whole_body_byte_by_byte() {
    let provider = provider(says("hi"));
    for stream in [false, true] {
        let whole = provider.send(ask(stream, "none")).await.text();
        for (fault, pause) in [("trickle=20ms", 20), ("trickle=0ms", 0)] {
            let frames = timed(&provider, ask(stream, fault)).await;
            let (head, bytes) = frames.split_first().unwrap();
            assert_eq!(head.0, 0, "{fault}: the head waits for nothing");
            // Without a pause several may be there when the client looks.
            let all_single = bytes.iter().all(|(_, byte)| byte.len() == 1);
            assert!(all_single || pause == 0, "{fault} stream: {stream}");
            let text: String = bytes.iter().map(|(_, byte)| byte.as_str()).collect();
            // The ids differ, not their lengths.
            assert_eq!(text.len(), whole.len(), "{fault} stream: {stream}");
            assert_eq!(bytes.last().unwrap().0, pause * whole.len() as u128, "{fault} stream: {stream}");
        }
    }
    assert!(provider.mock.seen().iter().all(|seen| seen.ending == Ending::Complete));
}

#[tokio::test(start_paused = true)]
async fn a_large_plain_answer_has_just_so_many_bytes_of_content() {
    let provider = provider(Script::default());
    for (bytes, more) in [(0, json!({})), (10, json!({})), (200_000, json!({ "max_tokens": 5, "n": 2 }))] {
        let request = with_fault(post(CHAT, &chat(&more)), &format!("large={bytes}"));
        let answer = provider.send(request).await;
        let body = answer.json();
        for choice in body["choices"].as_array().unwrap() {
            let content = choice["message"]["content"].as_str().unwrap();
            assert_eq!(content.len(), bytes);
            assert_eq!(choice["finish_reason"], "stop");
        }
        let count = body["choices"].as_array().unwrap().len() * bytes.div_ceil(8);
        assert_eq!(body["usage"]["completion_tokens"], count);
        assert_eq!(answer.header("content-length"), answer.text().len().to_string());
        assert!(answer.clean);
    }
    for (path, ask, content) in [
        ("/v1/responses", json!({ "model": "m", "input": "hi" }), "/output/0/content/0/text"),
        ("/v1/completions", json!({ "model": "m", "prompt": "hi" }), "/choices/0/text"),
    ] {
        let answer = provider.send(with_fault(post(path, &ask), "large=100Ki")).await;
        assert_eq!(answer.json().pointer(content).unwrap().as_str().unwrap().len(), 102_400, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_stream_has_so_many_bytes_of_content_in_small_events() {
    let provider = provider(Script::default());
    let answer = provider.send(ask(true, "large=100000")).await;
    let words = words(&answer);
    assert_eq!(words.iter().map(String::len).sum::<usize>(), 100_000);
    assert!(words.iter().all(|word| word.len() <= 1_024));
    assert!(answer.is_done() && answer.clean);
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_is_made_as_it_is_read() {
    let provider = provider(Script::default());
    for stream in [false, true] {
        let mut body = provider.try_send(ask(stream, "large=1024Gi")).await.unwrap().into_body();
        let mut read = 0;
        while read < 1 << 20 {
            read += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
        }
        drop(body);
        settle().await;
    }
    assert!(provider.mock.seen().iter().all(Seen::left));
}

#[tokio::test(start_paused = true)]
async fn before_a_slow_first_token_the_head_and_the_role_come_at_once() {
    let script = Script { tokens_per_second: 10.try_into().ok(), ..says("one two three") };
    let provider = provider(script);
    let frames = timed(&provider, ask(true, "slow-first-token=5s")).await;
    let times: Vec<_> = frames.iter().map(|(at, _)| *at).collect();
    assert!(frames[1].1.contains("\"role\""));
    // The head, the role; the first word, and then the script's own pace.
    assert_eq!(times[..5], [0, 0, 5_000, 5_100, 5_200], "{frames:?}");

    let frames = timed(&provider, ask(false, "slow-first-token=5s")).await;
    assert_eq!(frames.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 5_000]);
    assert!(serde_json::from_str::<Value>(&frames[1].1).is_ok());
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_before_a_slow_first_token_are_comments_or_blank_lines() {
    let provider = provider(says("one"));
    for (stream, ping) in [(true, ": keep-alive\n\n"), (false, "\n")] {
        let frames = timed(&provider, ask(stream, "slow-first-token=3500ms;pings=1s")).await;
        let pings: Vec<_> = frames.iter().filter(|(_, text)| text == ping).map(|(at, _)| *at).collect();
        assert_eq!(pings, [1_000, 2_000, 3_000], "{frames:?}");
        let rest = &frames[frames.len() - if stream { 3 } else { 1 }..];
        assert!(rest.iter().all(|(at, _)| *at == 3_500), "{frames:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_has_its_own_pace_for_this_answer_only() {
    let provider = provider(Script { tokens_per_second: 100.try_into().ok(), ..says("one two three") });
    for (fault, last) in [("slow-stream=2", 1_500), ("none", 30)] {
        let frames = timed(&provider, ask(true, fault)).await;
        assert_eq!(frames.last().unwrap().0, last, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicating_stream_sends_every_event_twice() {
    let provider = provider(says("one two three"));
    let answer = provider.send(ask(true, "duplicate")).await;
    let events = answer.events();
    assert_eq!(events.len(), 12);
    assert!(events.as_chunks::<2>().0.iter().all(|[first, second]| first == second));
    let answer = provider.send(ask(false, "duplicate")).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "one two three");
}

#[tokio::test(start_paused = true)]
async fn a_shuffled_stream_has_its_second_token_first() {
    let provider = provider(says("one two three"));
    let answer = provider.send(ask(true, "shuffle")).await;
    assert_eq!(words(&answer), [" two", "one", " three"]);
    assert!(answer.is_done());
    let answer = provider.send(ask(false, "shuffle")).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "one two three");
}

#[tokio::test(start_paused = true)]
async fn a_shuffled_stream_of_one_token_is_whole() {
    let provider = provider(says("one"));
    let answer = provider.send(ask(true, "shuffle")).await;
    assert_eq!((words(&answer), answer.is_done()), (vec!["one".to_owned()], true));
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_gzip_is_good_and_each_event_can_be_decoded_as_it_comes() {
    let provider = provider(Script { tokens_per_second: 1.try_into().ok(), ..says("one two three") });
    for stream in [false, true] {
        let response = provider.try_send(ask(stream, "gzip")).await.unwrap();
        let (head, mut body) = response.into_parts();
        assert_eq!(head.headers["content-encoding"], "gzip");
        let mut coded = Vec::new();
        let mut decoded = String::new();
        while let Some(frame) = body.frame().await {
            coded.extend_from_slice(&frame.unwrap().into_data().unwrap());
            decoded.clear();
            let read = flate2::read::GzDecoder::new(&*coded).read_to_string(&mut decoded);
            assert!(read.is_ok() || decoded.ends_with("\n\n"), "{decoded:?}");
        }
        if stream {
            assert_eq!(decoded.matches("data: ").count(), 6);
        } else {
            assert_eq!(head.headers["content-length"], coded.len().to_string());
            let whole: Value = serde_json::from_str(&decoded).unwrap();
            assert_eq!(whole["choices"][0]["message"]["content"], "one two three");
        }
    }
}
