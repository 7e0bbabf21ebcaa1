//! Faults as text: what `x-mock-fault` and `egret mock --fault` say.
//!
//! | text | fault |
//! |---|---|
//! | `none` | answers properly |
//! | `status=429`, `status=429;retry-after=7` | an error status (400 to 599), `Retry-After` in seconds |
//! | `error=CODE` | the error of an [`ErrorCode`], such as `context_length_exceeded` |
//! | `reset=N`, `stall=N` | the connection breaks, or is silent for ever, after N chunks; 0 is before the head |
//! | `reset-after-head`, `stall-after-head` | the same right after the head, before any byte of the body |
//! | `truncate=N` | a clean end after N chunks, without finish reason and terminator; plain: half of the JSON |
//! | `error-event=N`, `error-event=N;code=CODE` | an error after N chunks of a 200 stream; plain: a 200 with an error |
//! | `empty`, `only-pings`, `only-done` | a 200 with nothing in it, only signs of life, only the terminator |
//! | `html`, `not-json`, `wrong-type` | a 200 with a page, with what is no JSON, with a good answer as `text/plain` |
//! | `gzip` | a good answer in gzip, though nobody asked for it |
//! | `redirect` | a 307 to another address |
//! | `large=100Mi` | content of so many bytes (`Ki`, `Mi`, `Gi`, or none) |
//! | `slow-head=1500ms` | the head comes late (`ms`, `s`, `m`) |
//! | `slow-first-token=5s`, `slow-first-token=5s;pings=1s` | the first token comes late, with signs of life meanwhile |
//! | `slow-stream=2` | so many tokens a second |
//! | `trickle=20ms` | the body byte by byte, with this pause before each |
//! | `duplicate`, `shuffle` | every event of a stream twice, its second token before its first |
//! | `for-key=SUFFIX;FAULT` | the fault, but only for calls whose key ends so |

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::script::{ErrorCode, Fault};

/// The most that an answer is made large.
const LARGEST: u64 = 1 << 40;

/// A text that names no fault.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no fault; write one of none, status=429;retry-after=7, error=insufficient_quota, reset=0, \
     reset-after-head, stall=2, stall-after-head, truncate=2, error-event=2;code=slow_down, empty, only-pings, \
     only-done, html, not-json, wrong-type, gzip, redirect, large=100Mi, slow-head=1500ms, \
     slow-first-token=5s;pings=1s, slow-stream=2, trickle=20ms, duplicate, shuffle, for-key=abc;status=401"
)]
pub struct FaultSyntax(String);

impl FromStr for Fault {
    type Err = FaultSyntax;

    fn from_str(text: &str) -> Result<Self, FaultSyntax> {
        parse(text).ok_or_else(|| FaultSyntax(text.chars().take(100).collect()))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Status { status, retry_after } => {
                write!(f, "status={status}")?;
                retry_after.map_or(Ok(()), |seconds| write!(f, ";retry-after={seconds}"))
            }
            Self::Error { code } => write!(f, "error={}", code.as_str()),
            Self::Reset { after_chunks } => write!(f, "reset={after_chunks}"),
            Self::ResetAfterHead => f.write_str("reset-after-head"),
            Self::Stall { after_chunks } => write!(f, "stall={after_chunks}"),
            Self::StallAfterHead => f.write_str("stall-after-head"),
            Self::Truncate { after_chunks } => write!(f, "truncate={after_chunks}"),
            Self::ErrorEvent { after_chunks, code } => {
                write!(f, "error-event={after_chunks}")?;
                code.map_or(Ok(()), |code| write!(f, ";code={}", code.as_str()))
            }
            Self::Empty => f.write_str("empty"),
            Self::OnlyPings => f.write_str("only-pings"),
            Self::OnlyDone => f.write_str("only-done"),
            Self::Html => f.write_str("html"),
            Self::NotJson => f.write_str("not-json"),
            Self::WrongType => f.write_str("wrong-type"),
            Self::Gzip => f.write_str("gzip"),
            Self::Redirect => f.write_str("redirect"),
            Self::Large { bytes } => write!(f, "large={bytes}"),
            Self::SlowHead { delay } => write!(f, "slow-head={}ms", delay.as_millis()),
            Self::SlowFirstToken { delay, pings } => {
                write!(f, "slow-first-token={}ms", delay.as_millis())?;
                pings.map_or(Ok(()), |pings| write!(f, ";pings={}ms", pings.as_millis()))
            }
            Self::SlowStream { tokens_per_second } => write!(f, "slow-stream={tokens_per_second}"),
            Self::Trickle { pause } => write!(f, "trickle={}ms", pause.as_millis()),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Shuffle => f.write_str("shuffle"),
            Self::ForKey { ends_with, fault } => write!(f, "for-key={ends_with};{fault}"),
        }
    }
}

fn parse(text: &str) -> Option<Fault> {
    let (first, rest) = match text.split_once(';') {
        Some((first, rest)) => (first, Some(rest)),
        None => (text, None),
    };
    match (named(first), rest) {
        (("for-key", Some(ends_with)), Some(rest)) => for_key(ends_with, rest),
        ((name, None), None) => plain(name),
        ((name, Some(value)), None) => valued(name, value),
        ((name, Some(value)), Some(option)) => match named(option) {
            (option, Some(of)) => with_option(name, value, option, of),
            (_, None) => None,
        },
        ((_, None), Some(_)) => None,
    }
}

/// A name and, behind `=`, its value.
fn named(text: &str) -> (&str, Option<&str>) {
    match text.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None => (text.trim(), None),
    }
}

fn for_key(ends_with: &str, fault: &str) -> Option<Fault> {
    let fault = Box::new(parse(fault)?);
    // One key is told apart once.
    let nested = matches!(*fault, Fault::ForKey { .. });
    (!nested && !ends_with.is_empty()).then(|| Fault::ForKey { ends_with: ends_with.into(), fault })
}

fn plain(name: &str) -> Option<Fault> {
    Some(match name {
        "none" => Fault::None,
        "reset-after-head" => Fault::ResetAfterHead,
        "stall-after-head" => Fault::StallAfterHead,
        "empty" => Fault::Empty,
        "only-pings" => Fault::OnlyPings,
        "only-done" => Fault::OnlyDone,
        "html" => Fault::Html,
        "not-json" => Fault::NotJson,
        "wrong-type" => Fault::WrongType,
        "gzip" => Fault::Gzip,
        "redirect" => Fault::Redirect,
        "duplicate" => Fault::Duplicate,
        "shuffle" => Fault::Shuffle,
        _ => return None,
    })
}

fn valued(name: &str, value: &str) -> Option<Fault> {
    Some(match name {
        "status" => Fault::Status { status: status(value)?, retry_after: None },
        "error" => Fault::Error { code: ErrorCode::of(value)? },
        "reset" => Fault::Reset { after_chunks: value.parse().ok()? },
        "stall" => Fault::Stall { after_chunks: value.parse().ok()? },
        "truncate" => Fault::Truncate { after_chunks: value.parse().ok()? },
        "error-event" => Fault::ErrorEvent { after_chunks: value.parse().ok()?, code: None },
        "large" => Fault::Large { bytes: size(value)? },
        "slow-head" => Fault::SlowHead { delay: duration(value)? },
        "slow-first-token" => Fault::SlowFirstToken { delay: duration(value)?, pings: None },
        "slow-stream" => Fault::SlowStream { tokens_per_second: value.parse().ok()? },
        "trickle" => Fault::Trickle { pause: duration(value)? },
        _ => return None,
    })
}

fn with_option(name: &str, value: &str, option: &str, of: &str) -> Option<Fault> {
    Some(match (name, option) {
        ("status", "retry-after") => {
            Fault::Status { status: status(value)?, retry_after: Some(of.parse().ok()?) }
        }
        ("error-event", "code") => {
            Fault::ErrorEvent { after_chunks: value.parse().ok()?, code: Some(ErrorCode::of(of)?) }
        }
        ("slow-first-token", "pings") => {
            let pings = duration(of).filter(|pings| !pings.is_zero())?;
            Fault::SlowFirstToken { delay: duration(value)?, pings: Some(pings) }
        }
        _ => return None,
    })
}

fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (400..600).contains(status))
}

/// A whole number with its unit: `20ms`, `2s`, `1m`.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = measured(text)?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

/// A number of bytes, at most 1 TiB: `4096`, `64Ki`, `100Mi`, `2Gi`.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = measured(text)?;
    let unit = match unit {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit).filter(|bytes| *bytes <= LARGEST)
}

fn measured(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests;
