//! Faults as text: what `x-mock-fault` and `egret mock --fault` say.
//!
//! | text | fault |
//! |---|---|
//! | `none` | answers properly |
//! | `status=429`, `status=429;retry-after=7` | an error status (400 to 599), `Retry-After` in seconds |
//! | `error=CODE` | the error of an [`ErrorCode`], such as `context_length_exceeded` |
//! | `reset=N`, `stall=N`, `error-event=N` | after N chunks; 0 is before the head for the first two |
//! | `empty`, `html` | a 200 with nothing in it, a 200 with a page |
//! | `slow-head=1500ms` | the head comes late (`ms`, `s`, `m`) |

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::script::{ErrorCode, Fault};

/// A text that names no fault.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no fault; write one of none, status=429;retry-after=7, error=insufficient_quota, \
     reset=0, stall=2, error-event=2, empty, html, slow-head=1500ms"
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
        match *self {
            Self::None => f.write_str("none"),
            Self::Status { status, retry_after } => {
                write!(f, "status={status}")?;
                retry_after.map_or(Ok(()), |seconds| write!(f, ";retry-after={seconds}"))
            }
            Self::Error { code } => write!(f, "error={}", code.as_str()),
            Self::Reset { after_chunks } => write!(f, "reset={after_chunks}"),
            Self::Stall { after_chunks } => write!(f, "stall={after_chunks}"),
            Self::ErrorEvent { after_chunks } => write!(f, "error-event={after_chunks}"),
            Self::Empty => f.write_str("empty"),
            Self::Html => f.write_str("html"),
            Self::SlowHead { delay } => write!(f, "slow-head={}ms", delay.as_millis()),
        }
    }
}

fn parse(text: &str) -> Option<Fault> {
    let (first, second) = match text.split_once(';') {
        Some((first, second)) => (first.trim(), Some(second.trim())),
        None => (text.trim(), None),
    };
    let (name, value) = match first.split_once('=') {
        Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
        None => (first, None),
    };
    if let ("status", Some(status)) = (name, value) {
        return parse_status(status, second);
    }
    let fault = match (name, value) {
        ("none", None) => Fault::None,
        ("empty", None) => Fault::Empty,
        ("html", None) => Fault::Html,
        ("error", Some(code)) => {
            Fault::Error { code: ErrorCode::ALL.into_iter().find(|known| known.as_str() == code)? }
        }
        ("reset", Some(n)) => Fault::Reset { after_chunks: n.parse().ok()? },
        ("stall", Some(n)) => Fault::Stall { after_chunks: n.parse().ok()? },
        ("error-event", Some(n)) => Fault::ErrorEvent { after_chunks: n.parse().ok()? },
        ("slow-head", Some(delay)) => Fault::SlowHead { delay: duration(delay)? },
        _ => return None,
    };
    second.is_none().then_some(fault)
}

fn parse_status(status: &str, second: Option<&str>) -> Option<Fault> {
    let status = status.parse().ok().filter(|status| (400..600).contains(status))?;
    let retry_after = match second {
        None => None,
        Some(text) => Some(text.strip_prefix("retry-after=")?.parse().ok()?),
    };
    Some(Fault::Status { status, retry_after })
}

/// A whole number with its unit: `20ms`, `2s`, `1m`.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault() -> impl Strategy<Value = Fault> {
        prop_oneof![
            Just(Fault::None),
            Just(Fault::Empty),
            Just(Fault::Html),
            (400u16..600, proptest::option::of(any::<u32>()))
                .prop_map(|(status, retry_after)| Fault::Status { status, retry_after }),
            proptest::sample::select(ErrorCode::ALL.to_vec()).prop_map(|code| Fault::Error { code }),
            any::<u32>().prop_map(|after_chunks| Fault::Reset { after_chunks }),
            any::<u32>().prop_map(|after_chunks| Fault::Stall { after_chunks }),
            any::<u32>().prop_map(|after_chunks| Fault::ErrorEvent { after_chunks }),
            any::<u32>().prop_map(|ms| Fault::SlowHead { delay: Duration::from_millis(ms.into()) }),
        ]
    }

    proptest! {
        #[test]
        fn a_printed_fault_reads_as_itself(fault in fault()) {
            prop_assert_eq!(fault.to_string().parse(), Ok(fault));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,40}") {
            let _ = text.parse::<Fault>();
        }
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in ["", "reset", "reset=-1", "status=200", "status=600", "empty=1", "html;retry-after=1"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
        for text in ["slow-head=1", "slow-head=ms", "status=429;after=7", "error=teapot", "Reset=0"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn units_of_time_are_told_apart() {
        assert_eq!(duration("20ms"), Some(Duration::from_millis(20)));
        assert_eq!(duration("2s"), Some(Duration::from_secs(2)));
        assert_eq!(duration("1m"), Some(Duration::from_secs(60)));
        assert_eq!(duration("20"), None);
    }
}
