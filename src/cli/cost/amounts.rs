//! Amounts on the command line: `300M`, `12.5%`, `chat:code=40%`. Nothing is rounded.

use crate::policy::cost::Share;

/// A part of something, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part(u16);

impl Part {
    /// So much of it, rounded down.
    pub(super) fn of(self, whole: u64) -> u64 {
        let part = u128::from(whole) * u128::from(self.0) / 1000;
        // A part is no more than the whole.
        u64::try_from(part).unwrap_or(whole)
    }
}

/// The most tokens that a month has: a million billions.
const MOST: u64 = 1_000_000_000_000_000;

/// `300M`, `1.5B`, `250k`, `1000`.
pub(super) fn tokens(text: &str) -> Result<u64, String> {
    const HINT: &str = "write a whole number of tokens, with k, M or B: 250k, 300M, 1.5B";
    let (number, decimals) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 3),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 6),
        Some(b'b' | b'B') => (&text[..text.len() - 1], 9),
        _ => (text, 0),
    };
    let tokens = fixed(number, decimals).ok_or_else(|| HINT.to_owned())?;
    if tokens > MOST {
        return Err("more than a million billions of tokens are not counted".to_owned());
    }
    Ok(tokens)
}

/// `25%`, `12.5%`, `0%`.
pub(super) fn permille(text: &str) -> Result<Part, String> {
    let permille = text.strip_suffix('%').and_then(|number| fixed(number, 1));
    permille
        .and_then(|permille| u16::try_from(permille).ok())
        .filter(|permille| *permille <= 1000)
        .map(Part)
        .ok_or_else(|| {
            "write percent with at most one digit after the point, 0% to 100%: 25%, 12.5%".to_owned()
        })
}

/// `gpt-4.1=30%`, `chat:code=40%`; `chat` is all of it.
pub(super) fn share(text: &str) -> Result<Share, String> {
    let (of, part) = match text.split_once('=') {
        Some((of, part)) => (of, permille(part)?),
        None => (text, Part(1000)),
    };
    if of.is_empty() {
        return Err("write a model, a route or ROUTE:TASK and its share: chat=60%".to_owned());
    }
    Ok(Share { of: of.to_owned(), permille: part.0 })
}

/// A decimal number as a whole one, so many digits moved: `1.5` and three is 1500. None where it is none, or too fine.
fn fixed(text: &str, decimals: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let fraction =
        if fraction.bytes().all(|byte| byte == b'0') && !fraction.is_empty() { "0" } else { fraction };
    if !is_number(whole) || !is_number(fraction) || (fraction.len() > decimals && fraction != "0") {
        return None;
    }
    let digits = format!("{whole}{fraction:0<decimals$}");
    let digits = if decimals == 0 { whole } else { &digits };
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_with_their_suffix_and_nothing_is_rounded() {
        for (text, count) in [
            ("0", 0),
            ("1000", 1_000),
            ("250k", 250_000),
            ("300M", 300_000_000),
            ("1.5B", 1_500_000_000),
            ("0.001k", 1),
            ("2.000", 2),
            ("12.50M", 12_500_000),
            ("1000000B", MOST),
        ] {
            assert_eq!(tokens(text), Ok(count), "{text}");
        }
        for text in [
            "",
            "M",
            "-1",
            "1.5",
            "1.2345k",
            "1,5M",
            "3T",
            "1.M",
            ".5M",
            "1e6",
            "1000001B",
            "99999999999999999999",
        ] {
            assert!(tokens(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parts_are_percent_with_one_digit_after_the_point() {
        assert_eq!(permille("12.5%"), Ok(Part(125)));
        assert_eq!(permille("0%"), Ok(Part(0)));
        assert_eq!(permille("100.0%"), Ok(Part(1000)));
        for text in ["25", "100.1%", "-1%", "1.25%", "%", "x%"] {
            assert!(permille(text).is_err(), "{text}");
        }
        assert_eq!(Part(333).of(1_000_001), 333_000);
        assert_eq!(Part(1000).of(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_share_without_a_percentage_is_all() {
        let share_of = |of: &str, permille| Ok(Share { of: of.into(), permille });
        assert_eq!(share("chat"), share_of("chat", 1000));
        assert_eq!(share("chat:code=40%"), share_of("chat:code", 400));
        assert!(share("=40%").is_err() && share("chat=40").is_err());
    }
}
