//! The commit point of a stream: what is held back until it is known that it is an answer (DESIGN section 3).
//!
//! Held are at most 256 KiB: what is longer without a word of content goes on as it is.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;

use super::attempt::{AnswerBody, Attempt, Lost};
use super::outcome::{Failure, Timer};
use super::shape;
use super::stream::Merged;
use crate::clock::Instant;
use crate::dialect::error::Said;
use crate::dialect::stream::{StreamEnd, StreamReader};
use crate::dialect::translate::Translator;
use crate::net::upstream::UpstreamBody;
use crate::policy::snapshot::MinRate;

/// Bytes that are held before the first content.
const HELD: usize = 256 * 1024;

/// Reads a stream up to its first content, and as far as its least rate asks. Gives what was held, and the rest.
pub(super) async fn first_words(attempt: &Attempt<'_>, mut rest: UpstreamBody) -> Result<AnswerBody, Lost> {
    let hide = shape::hides_usage(attempt.asked, &attempt.target.model.provider);
    let (there, here) = (attempt.api(), attempt.asked.api);
    let mut reader = StreamReader::new(there, hide);
    if attempt.crossing.is_some() {
        let model = attempt.asked.model();
        let id = attempt.id.hex();
        let translator = Translator::new(there, here, &attempt.stamp(&id, &model));
        reader = reader.translating(translator.ok_or(Failure::NoAnswer)?);
    }
    if attempt.observed {
        reader = reader.observing();
    }
    if attempt.target.timeouts.min_rate.is_some() {
        reader = reader.counting();
    }
    let mut held =
        Held { attempt, reader, first: Merged::default(), spoke: None, came: attempt.relay.clock.now() };
    loop {
        let (until, timer) = held.patience();
        let chunk = match attempt.within(until, timer, next_data(&mut rest)).await {
            Ok(chunk) => chunk,
            // Its time was over, not the provider's words.
            Err(_) if held.is_slow(until) => return Err(Failure::TooSlow.into()),
            Err(failure) => return Err(failure.into()),
        };
        attempt.now_in(attempt.waited.came());
        match chunk {
            None => return held.ended(rest),
            Some(Err(_)) => return Err(Failure::Cut.into()),
            Some(Ok(bytes)) => held.take(bytes)?,
        }
        if held.commits()? {
            return Ok(held.committed(rest));
        }
        attempt.waited.waits_on();
    }
}

/// What has come and does not go on yet.
struct Held<'a> {
    attempt: &'a Attempt<'a>,
    reader: StreamReader,
    first: Merged,
    /// When the first content came.
    spoke: Option<Instant>,
    /// When anything came.
    came: Instant,
}

impl Held<'_> {
    /// Until when the next bytes are waited for, and what it is called when they do not come.
    fn patience(&self) -> (Instant, Timer) {
        let timeouts = &self.attempt.target.timeouts;
        let silent = (self.came + timeouts.stream_idle, Timer::StreamIdle);
        let due = match (self.spoke, timeouts.min_rate) {
            (Some(spoke), Some(rate)) => (spoke + rate.over, Timer::FirstToken),
            (Some(_), None) => silent,
            (None, _) => (self.attempt.begun + timeouts.first_token, Timer::FirstToken),
        };
        if due.0 <= silent.0 { due } else { silent }
    }

    /// Whether it was its least rate that it missed, when this moment had come.
    fn is_slow(&self, until: Instant) -> bool {
        self.rate_until() == Some(until) && until < self.attempt.deadline
    }

    fn rate_until(&self) -> Option<Instant> {
        Some(self.spoke? + self.rate()?.over)
    }

    fn rate(&self) -> Option<MinRate> {
        self.attempt.target.timeouts.min_rate
    }

    fn take(&mut self, bytes: Bytes) -> Result<(), Lost> {
        self.came = self.attempt.relay.clock.now();
        self.first.push(self.reader.push(bytes).map_err(|_| Failure::NoAnswer)?);
        if self.spoke.is_none() && self.reader.seen().content {
            self.spoke = Some(self.came);
            self.attempt.now_in(self.attempt.waited.spoke());
        }
        Ok(())
    }

    /// Whether it may go on now.
    fn commits(&self) -> Result<bool, Lost> {
        let seen = self.reader.seen();
        if seen.error {
            // Be it that content came with it: nobody has heard it yet.
            let said = self.reader.error_said().unwrap_or(Said::Nothing);
            self.attempt.error_in_answer(said, self.reader.error_retry_after())?;
            return Ok(true);
        }
        if seen.ended && !seen.any_event {
            return Err(Failure::Empty.into());
        }
        if seen.finished || self.first.len() > HELD {
            return Ok(true);
        }
        let Some(rate) = self.rate() else { return Ok(seen.content) };
        Ok(self.reader.content_events() >= needed(rate))
    }

    /// The provider has closed before anything could go on.
    fn ended(mut self, rest: UpstreamBody) -> Result<AnswerBody, Lost> {
        let (last, end) = self.reader.finish();
        self.first.push(last);
        match end {
            StreamEnd::Complete => Ok(self.committed(rest)),
            StreamEnd::Error => {
                self.commits()?;
                Ok(self.committed(rest))
            }
            StreamEnd::Empty => Err(Failure::Empty.into()),
            StreamEnd::Cut => Err(Failure::Cut.into()),
        }
    }

    fn committed(mut self, rest: UpstreamBody) -> AnswerBody {
        self.reader.stop_counting();
        AnswerBody::Stream { first: self.first.freeze(), rest, reader: self.reader }
    }
}

/// How many tokens make a stream fast enough.
fn needed(rate: MinRate) -> u64 {
    let tokens = u128::from(rate.tokens_per_second.get()) * rate.over.as_nanos();
    u64::try_from(tokens.div_ceil(Duration::from_secs(1).as_nanos())).unwrap_or(u64::MAX)
}

/// The next bytes of a body; frames without bytes are passed over.
async fn next_data(
    body: &mut UpstreamBody,
) -> Option<Result<Bytes, <UpstreamBody as http_body::Body>::Error>> {
    loop {
        match body.frame().await? {
            Ok(frame) => {
                if let Ok(bytes) = frame.into_data() {
                    return Some(Ok(bytes));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}
