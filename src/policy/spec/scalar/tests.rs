use super::*;

#[test]
fn a_time_span_is_a_whole_number_and_a_unit() {
    let span = |text: &str| text.parse::<TimeSpan>().ok().map(|span| span.0.as_millis());
    assert_eq!(span("500ms"), Some(500));
    assert_eq!(span("1m"), Some(60_000));
    assert_eq!(span("2h"), Some(7_200_000));
    assert_eq!(span("1d"), Some(86_400_000));
    for wrong in
        ["", "s", "1", "1.5s", "-1s", "1 s", "1S", "1w", "99999999999999999999d", "18446744073709551615d"]
    {
        assert_eq!(span(wrong), None, "{wrong}");
    }
}

#[test]
fn a_buffer_is_a_whole_number_of_percent_up_to_half() {
    assert_eq!(["1%", "10%", "50%"].map(|text| text.parse()), [1, 10, 50].map(|percent| Ok(Buffer(percent))));
    for wrong in ["", "%", "10", "0%", "51%", "999%", "-1%", "1.5%", "10 %", "+5%", "10%%"] {
        assert!(wrong.parse::<Buffer>().is_err(), "{wrong}");
    }
}

#[test]
fn a_price_is_a_plain_decimal() {
    for right in ["0", "2.00", "0.000000001", "1234567"] {
        assert!(right.parse::<Decimal>().is_ok(), "{right}");
    }
    let fault = |text: &str| text.parse::<Decimal>().unwrap_err().lines().next().unwrap().to_owned();
    for wrong in ["", ".5", "5.", "-1", "1e3", "1,5", "$2", "٣"] {
        assert_eq!(fault(wrong), "this is no price", "{wrong}");
    }
    assert_eq!(fault("0.0000000001"), "a price has at most nine digits after the point");
    for large in ["10000000", "12345678", "99999999999999999999.5"] {
        assert_eq!(fault(large), "this price is too large", "{large}");
    }
}

#[test]
fn a_day_is_one_of_the_calendar() {
    assert!("2024-02-29".parse::<Date>().is_ok());
    for wrong in ["2026-02-29", "2026-1-1", "20260101", "2026-01-01T00:00:00Z"] {
        assert!(wrong.parse::<Date>().is_err(), "{wrong}");
    }
}

#[test]
fn a_key_hash_has_64_hex_digits_of_either_case() {
    let lower = "0123456789abcdef".repeat(4).parse::<KeyHash>();
    assert!(lower.is_ok());
    assert_eq!(lower, "0123456789ABCDEF".repeat(4).parse());
    assert!("0123".parse::<KeyHash>().is_err());
    assert!("g".repeat(64).parse::<KeyHash>().is_err());
}

#[test]
fn what_is_left_is_a_whole_number_of_percent() {
    assert_eq!(["1%", "20%", "100%"].map(|text| text.parse()), [1, 20, 100].map(|percent| Ok(Left(percent))));
    for wrong in ["", "%", "20", "0%", "101%", "9999999999%", "-1%", "1.5%", "20 %", "+5%"] {
        assert!(wrong.parse::<Left>().is_err(), "{wrong}");
    }
}

#[test]
fn a_part_in_percent_has_at_most_one_decimal() {
    let permille = |text: &str| text.parse::<Percent>().ok().map(|part| part.permille);
    assert_eq!(["0.1%", "12.5%", "50%", "100.0%"].map(permille), [1, 125, 500, 1000].map(Some));
    for wrong in ["", "%", "50", "0%", "0.0%", "100.1%", "12.55%", "1.%", ".5%", "-1%", "1e1%", "0.5"] {
        assert_eq!(permille(wrong), None, "{wrong}");
    }
}

#[test]
fn a_ratio_is_read_to_the_thousandth() {
    let permille = |text: &str| text.parse::<Ratio>().ok().map(|ratio| ratio.permille);
    assert_eq!(["0", "0.2", "0.005", "1.25", "10"].map(permille), [0, 200, 5, 1250, 10_000].map(Some));
    for wrong in ["", "10.001", "0.0005", "-0.1", "NaN", "inf", "1e-7", "4294967296", "0."] {
        assert_eq!(permille(wrong), None, "{wrong}");
    }
}

#[test]
fn a_hedge_waits_for_a_time_span_or_as_95_of_a_hundred_do() {
    let two = HedgeAfter::Fixed(TimeSpan(Duration::from_secs(2)));
    assert_eq!(["p95", "2s"].map(|text| text.parse()), [Ok(HedgeAfter::P95), Ok(two)]);
    for wrong in ["p99", "P95", "", "2"] {
        assert!(wrong.parse::<HedgeAfter>().is_err(), "{wrong}");
    }
}

#[test]
fn a_time_of_the_day_has_hours_and_minutes() {
    let time = |text: &str| text.parse::<Time>().ok().map(|time| (time.0.hour(), time.0.minute()));
    assert_eq!(["00:00", "22:00", "23:59"].map(time), [(0, 0), (22, 0), (23, 59)].map(Some));
    for wrong in
        ["", "24:00", "22:60", "2:00", "22.00", "22:0", "+2:00", "22:00:00", "10 pm", "1:230", "::::"]
    {
        assert_eq!(time(wrong), None, "{wrong}");
    }
}
