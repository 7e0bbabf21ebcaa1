//! Amounts that do not mix: tokens and money. More kinds come with the limits that count them.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

/// A count of tokens, as a provider reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tokens(pub u64);

impl Tokens {
    /// No tokens.
    pub const ZERO: Self = Self(0);

    /// The difference, or zero where `other` is larger: reported parts may exceed their reported sum.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Tokens {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Tokens {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Money: billionths of a US dollar. Sums stop at the largest amount, some 18 billion dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// One dollar.
    pub const DOLLAR: Self = Self(1_000_000_000);

    /// Dollars in decimal, exact and without needless zeros (`0.000123456`, `2.5`, `0`): a JSON number as it
    /// stands. Allocates nothing.
    pub fn text(self) -> DollarText {
        let mut text = DollarText { bytes: [0; DollarText::LONGEST], from: DollarText::LONGEST };
        let mut fraction = self.0 % Self::DOLLAR.0;
        if fraction > 0 {
            let mut digits = DECIMALS;
            while fraction.is_multiple_of(10) {
                fraction /= 10;
                digits -= 1;
            }
            text.prepend(fraction, digits);
            text.prepend_byte(b'.');
        }
        text.prepend(self.0 / Self::DOLLAR.0, 1);
        text
    }
}

/// A billionth has so many digits after the point.
const DECIMALS: usize = 9;

impl NanoUsd {
    /// The difference, or nothing where `other` is more.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for NanoUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for NanoUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

/// Why a text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountFault {
    /// Something else than digits with at most one point between them.
    #[error("not a plain decimal number")]
    NotDecimal,
    /// More than nine digits after the point.
    #[error("finer than a billionth of a dollar")]
    TooFine,
    /// Beyond what is counted.
    #[error("too large")]
    TooLarge,
}

impl FromStr for NanoUsd {
    type Err = AmountFault;

    /// Dollars in decimal, `2.00`; every digit counts.
    fn from_str(text: &str) -> Result<Self, AmountFault> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) {
            return Err(AmountFault::NotDecimal);
        }
        let missing = DECIMALS.checked_sub(fraction.len()).ok_or(AmountFault::TooFine)?;
        let fraction = (0..missing).fold(fraction.parse().unwrap_or(0), |nanos: u64, _| nanos * 10);
        let dollars: u64 = whole.parse().map_err(|_| AmountFault::TooLarge)?;
        let nanos = dollars.checked_mul(Self::DOLLAR.0).and_then(|nanos| nanos.checked_add(fraction));
        nanos.map(Self).ok_or(AmountFault::TooLarge)
    }
}

/// An amount as decimal text, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct DollarText {
    bytes: [u8; Self::LONGEST],
    from: usize,
}

impl DollarText {
    /// The length of `18446744073.709551615`, than which no amount is longer.
    const LONGEST: usize = 21;

    /// The text.
    pub fn as_str(&self) -> &str {
        // Only digits and a point are ever put in.
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text's bytes: ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.from..]
    }

    fn prepend(&mut self, mut number: u64, least_digits: usize) {
        let mut digits = 0;
        while number > 0 || digits < least_digits {
            self.prepend_byte(b'0' + (number % 10) as u8);
            number /= 10;
            digits += 1;
        }
    }

    fn prepend_byte(&mut self, byte: u8) {
        self.from -= 1;
        self.bytes[self.from] = byte;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn money_is_written_in_dollars_without_needless_zeros() {
        let written = |nanos| NanoUsd(nanos).to_string();
        assert_eq!(written(0), "0");
        assert_eq!(written(1), "0.000000001");
        assert_eq!(written(123_456), "0.000123456");
        assert_eq!(written(120_000), "0.00012");
        assert_eq!(written(2_000_000_000), "2");
        assert_eq!(written(10_500_000_000), "10.5");
        assert_eq!(written(u64::MAX), "18446744073.709551615");
    }

    #[test]
    fn money_is_read_exactly_or_not_at_all() {
        let read = |text: &str| text.parse::<NanoUsd>();
        assert_eq!(read("2.00"), Ok(NanoUsd(2_000_000_000)));
        assert_eq!(read("0.000000001"), Ok(NanoUsd(1)));
        assert_eq!(read("007"), Ok(NanoUsd(7_000_000_000)));
        assert_eq!(read("18446744073.709551615"), Ok(NanoUsd(u64::MAX)));
        for wrong in ["", ".", ".5", "5.", "-1", "+1", "1e3", "1,5", "1.2.3", "1.+5", "$2", " 2", "٣"] {
            assert_eq!(read(wrong), Err(AmountFault::NotDecimal), "{wrong}");
        }
        assert_eq!(read("0.0000000000"), Err(AmountFault::TooFine));
        for large in ["18446744073.709551616", "18446744074", "99999999999999999999999"] {
            assert_eq!(read(large), Err(AmountFault::TooLarge), "{large}");
        }
    }

    #[test]
    fn sums_of_money_stop_at_the_largest_amount() {
        assert_eq!(NanoUsd(u64::MAX) + NanoUsd(1), NanoUsd(u64::MAX));
        assert_eq!([NanoUsd(1), NanoUsd(2), NanoUsd(3)].into_iter().sum::<NanoUsd>(), NanoUsd(6));
    }

    proptest! {
        #[test]
        fn what_is_written_of_money_reads_back_and_is_json(nanos in any::<u64>(), shift in 0u32..64) {
            let money = NanoUsd(nanos >> shift);
            let text = money.to_string();
            prop_assert_eq!(text.parse(), Ok(money));
            prop_assert!(serde_json::from_str::<f64>(&text).is_ok());
            prop_assert!(!text.contains('.') || !text.ends_with(['0', '.']), "{}", text);
        }
    }
}
