use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Frame, SizeHint};
use http_body_util::Full;
use proptest::prelude::*;

use super::*;

/// Frames as scripted, under a declared length.
struct Script {
    frames: VecDeque<Result<Frame<Bytes>, io::Error>>,
    declared: u64,
}

impl Script {
    fn of<const N: usize>(chunks: [&'static str; N]) -> Self {
        let frames = chunks.into_iter().map(|chunk| Ok(Frame::data(Bytes::from_static(chunk.as_bytes()))));
        Self { frames: frames.collect(), declared: 0 }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(self.frames.pop_front())
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.declared);
        hint
    }
}

#[tokio::test]
async fn a_body_of_one_frame_is_not_copied() {
    let budget = BufferBudget::new(100);
    let sent = Bytes::from(vec![7_u8; 10]);
    let read = read_capped(Full::new(sent.clone()), 10, &budget).await.unwrap();
    assert_eq!(read.bytes().as_ptr(), sent.as_ptr());
    assert_eq!(budget.used(), 10);
    drop(read);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn a_declared_length_over_the_cap_is_refused_before_the_first_poll() {
    let body = Script { declared: 11, ..Script::of([]) };
    let error = read_capped(body, 10, &BufferBudget::new(100)).await.unwrap_err();
    assert!(matches!(error, ReadError::TooLarge { cap: 10 }));
    let body = Script { declared: 11, ..Script::of([]) };
    let error = read_capped(body, 20, &BufferBudget::new(10)).await.unwrap_err();
    assert!(matches!(error, ReadError::OverBudget));
}

#[tokio::test]
async fn an_undeclared_body_is_cut_at_the_cap_and_gives_its_bytes_back() {
    let budget = BufferBudget::new(100);
    let error = read_capped(Script::of(["12345", "123456"]), 10, &budget).await.unwrap_err();
    assert!(matches!(error, ReadError::TooLarge { cap: 10 }));
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn bodies_share_one_budget() {
    let budget = BufferBudget::new(10);
    let first = read_capped(Script::of(["123", "456"]), 10, &budget).await.unwrap();
    assert_eq!(&first.bytes()[..], b"123456");
    let error = read_capped(Script::of(["12345"]), 10, &budget).await.unwrap_err();
    assert!(matches!(error, ReadError::OverBudget));
    drop(first);
    assert!(read_capped(Script::of(["12345"]), 10, &budget).await.is_ok());
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_with_its_cause() {
    let budget = BufferBudget::new(10);
    let mut body = Script::of(["123"]);
    body.frames.push_back(Err(io::ErrorKind::ConnectionReset.into()));
    let error = read_capped(body, 10, &budget).await.unwrap_err();
    let cause = Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
    assert_eq!(cause.unwrap().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn what_is_printed_shows_no_content() {
    let read = read_capped(Script::of(["secret"]), 10, &BufferBudget::new(10)).await.unwrap();
    assert_eq!(format!("{read:?}"), "Buffered { len: 6, .. }");
}

proptest! {
    #[test]
    fn frames_are_joined_in_order_and_counted_exactly(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..20),
        declared in 0_u64..600,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let budget = BufferBudget::new(1000);
        let body = Script {
            frames: frames.iter().map(|frame| Ok(Frame::data(frame.clone().into()))).collect(),
            declared,
        };
        let read = runtime.block_on(read_capped(body, 1000, &budget)).unwrap();
        let whole = frames.concat();
        prop_assert_eq!(&read.bytes()[..], &whole[..]);
        prop_assert_eq!(budget.used(), whole.len());
    }
}
