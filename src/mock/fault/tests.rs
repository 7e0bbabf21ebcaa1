use std::num::NonZeroU32;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn time() -> impl Strategy<Value = Duration> {
    any::<u32>().prop_map(|ms| Duration::from_millis(ms.into()))
}

fn code() -> impl Strategy<Value = ErrorCode> {
    select(ErrorCode::ALL.to_vec())
}

fn fault() -> impl Strategy<Value = Fault> {
    let words = [
        Fault::None,
        Fault::ResetAfterHead,
        Fault::StallAfterHead,
        Fault::Empty,
        Fault::OnlyPings,
        Fault::OnlyDone,
        Fault::Html,
        Fault::NotJson,
        Fault::WrongType,
        Fault::Gzip,
        Fault::Redirect,
        Fault::Duplicate,
        Fault::Shuffle,
    ];
    let counted = (select(vec![0, 1, 2]), any::<u32>()).prop_map(|(kind, after_chunks)| match kind {
        0 => Fault::Reset { after_chunks },
        1 => Fault::Stall { after_chunks },
        _ => Fault::Truncate { after_chunks },
    });
    prop_oneof![
        select(words.to_vec()),
        counted,
        (400u16..600, option::of(any::<u32>()))
            .prop_map(|(status, retry_after)| Fault::Status { status, retry_after }),
        code().prop_map(|code| Fault::Error { code }),
        (any::<u32>(), option::of(code()))
            .prop_map(|(after_chunks, code)| Fault::ErrorEvent { after_chunks, code }),
        (0..=LARGEST).prop_map(|bytes| Fault::Large { bytes }),
        time().prop_map(|delay| Fault::SlowHead { delay }),
        (time(), option::of(time().prop_filter("not zero", |time| !time.is_zero())))
            .prop_map(|(delay, pings)| Fault::SlowFirstToken { delay, pings }),
        any::<NonZeroU32>().prop_map(|tokens_per_second| Fault::SlowStream { tokens_per_second }),
        time().prop_map(|pause| Fault::Trickle { pause }),
    ]
}

proptest! {
    #[test]
    fn a_printed_fault_reads_as_itself(fault in fault(), key in option::of("[a-z0-9-]{1,8}")) {
        let fault = match key {
            None => fault,
            Some(key) => Fault::ForKey { ends_with: key.into(), fault: Box::new(fault) },
        };
        prop_assert_eq!(fault.to_string().parse(), Ok(fault));
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in ".{0,40}") {
        let _ = text.parse::<Fault>();
    }

    #[test]
    fn any_words_are_read_without_a_panic(text in "(for-key|status|large|trickle|gzip|code)?[=;]?[0-9a-zKMG]{0,6}(;[a-z-]{0,12}=[0-9ms]{0,4})?") {
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
    for text in ["error-event=1;code=teapot", "slow-stream=0", "slow-first-token=5s;pings=0s", "large=1Ti"] {
        assert!(text.parse::<Fault>().is_err(), "{text}");
    }
    for text in ["for-key=a", "for-key=;status=401", "for-key=a;for-key=b;empty", "gzip=1", "trickle"] {
        assert!(text.parse::<Fault>().is_err(), "{text}");
    }
}

#[test]
fn every_fault_that_the_message_names_is_one() {
    let message = FaultSyntax(String::new()).to_string();
    let (_, named) = message.split_once("write one of ").unwrap();
    for text in named.split(", ") {
        assert!(text.parse::<Fault>().is_ok(), "{text}");
    }
}

#[test]
fn units_of_time_are_told_apart() {
    assert_eq!(duration("20ms"), Some(Duration::from_millis(20)));
    assert_eq!(duration("2s"), Some(Duration::from_secs(2)));
    assert_eq!(duration("1m"), Some(Duration::from_secs(60)));
    assert_eq!((duration("20"), duration("ms"), duration("")), (None, None, None));
}

#[test]
fn a_size_is_a_number_of_bytes_or_of_a_binary_unit() {
    assert_eq!(size("4096"), Some(4_096));
    assert_eq!(size("64Ki"), Some(65_536));
    assert_eq!(size("100Mi"), Some(104_857_600));
    assert_eq!(size("1024Gi"), Some(LARGEST));
    for wrong in ["", "Mi", "1025Gi", "1MB", "1.5Mi", "-1", "99999999999999999999"] {
        assert_eq!(size(wrong), None, "{wrong}");
    }
}
