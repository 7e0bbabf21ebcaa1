//! Where a call stands in a trace: W3C Trace Context, level 1, as it comes from callers and goes to providers.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanId, TraceId, TraceState};

/// The header that names trace and span.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header with what vendors add to it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The longest `tracestate` that is kept; the specification asks for 512 bytes at least.
const STATE_MAX: usize = 4 * 1024;

/// The span that a call was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its trace.
    pub trace: TraceId,
    /// The span itself.
    pub span: SpanId,
    /// Whether the caller records it.
    pub sampled: bool,
}

impl Parent {
    /// The caller's span; none where it names none, or not as the specification says.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        Self::parse(value.as_bytes())
    }

    /// `00-TRACE-SPAN-FLAGS`. Of later versions the part that this one knows is read.
    fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_at_checked(55)?;
        let version = hex(known.get(..2)?)? as u8;
        if version == 0xff || (version == 0 && !rest.is_empty()) || rest.first().is_some_and(|b| *b != b'-') {
            return None;
        }
        let dashed = [2, 35, 52].iter().all(|at| known.get(*at) == Some(&b'-'));
        let trace = TraceId::from(hex(known.get(3..35)?)?);
        let span = SpanId::from(hex(known.get(36..52)?)? as u64);
        let flags = hex(known.get(53..)?)?;
        let valid = dashed && trace != TraceId::INVALID && span != SpanId::INVALID;
        valid.then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

/// Lower-case hex digits, 32 at most.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((value << 4) | u128::from(digit))
    })
}

/// The caller's `tracestate`; empty where it has none, or none that can be read.
pub fn state(headers: &HeaderMap) -> Box<str> {
    let mut values = headers.get_all(TRACESTATE).iter().filter_map(|value| value.to_str().ok());
    let Some(first) = values.next() else { return Box::default() };
    let text = values.fold(first.to_owned(), |text, value| text + "," + value);
    let sane = text.len() <= STATE_MAX && text.parse::<TraceState>().is_ok();
    if sane { text.into() } else { Box::default() }
}

/// What a provider is told of the span in which it is called.
pub fn traceparent(trace: TraceId, span: SpanId, sampled: bool) -> Option<HeaderValue> {
    let flags = u8::from(sampled);
    HeaderValue::try_from(format!("00-{trace}-{span}-{flags:02x}")).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn parsed(text: &str) -> Option<Parent> {
        Parent::parse(text.as_bytes())
    }

    #[test]
    fn a_traceparent_names_trace_span_and_whether_it_is_sampled() {
        let parent = parsed(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        assert_eq!((parent.trace.to_string(), parent.span.to_string()), (TRACE.to_owned(), SPAN.to_owned()));
        assert!(parent.sampled);
        assert!(!parsed(&format!("00-{TRACE}-{SPAN}-00")).unwrap().sampled);
        // Other flags are for others.
        assert!(!parsed(&format!("00-{TRACE}-{SPAN}-fe")).unwrap().sampled);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        assert!(parsed(&format!("01-{TRACE}-{SPAN}-01-what-else")).is_some());
        assert!(parsed(&format!("cc-{TRACE}-{SPAN}-01")).is_some());
        assert_eq!(parsed(&format!("cc-{TRACE}-{SPAN}-01x")), None);
    }

    #[test]
    fn whatever_is_no_traceparent_is_none() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{TRACE}-{SPAN}-0"),
        ] {
            assert_eq!(parsed(&text), None, "{text}");
        }
    }

    #[test]
    fn two_traceparents_are_none() {
        let mut headers = HeaderMap::new();
        let value = traceparent(TraceId::from(1), SpanId::from(2), true).unwrap();
        headers.append(TRACEPARENT, value.clone());
        assert!(Parent::of(&headers).is_some());
        headers.append(TRACEPARENT, value);
        assert_eq!(Parent::of(&headers), None);
    }

    #[test]
    fn the_state_of_several_headers_is_one() {
        let mut headers = HeaderMap::new();
        assert_eq!(&*state(&headers), "");
        headers.append(TRACESTATE, HeaderValue::from_static("a=1"));
        headers.append(TRACESTATE, HeaderValue::from_static("b=2,c=3"));
        assert_eq!(&*state(&headers), "a=1,b=2,c=3");
        headers.append(TRACESTATE, HeaderValue::from_static("no state"));
        assert_eq!(&*state(&headers), "");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(trace in 1u128.., span in 1u64.., sampled: bool) {
            let (trace, span) = (TraceId::from(trace), SpanId::from(span));
            let header = traceparent(trace, span, sampled).unwrap();
            prop_assert_eq!(Parent::parse(header.as_bytes()), Some(Parent { trace, span, sampled }));
        }

        #[test]
        fn nothing_that_a_caller_sends_does_harm(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Parent::parse(&bytes);
        }
    }
}
