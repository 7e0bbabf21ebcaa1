//! Parts: of a limit, of what was tried, of calls. In whole thousandths, so that nothing is rounded.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::NewtypeOf;

/// A part of a limit, in percent of it: `10%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^0*([1-9]|[1-4][0-9]|50)%$", "patternErrorMessage" = BUFFER_HINT, "examples" = ["10%"]))]
pub struct Buffer(pub u8);

impl FromStr for Buffer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let percent = digits.and_then(|digits| digits.parse().ok());
        match percent {
            Some(percent @ 1..=50) => Ok(Self(percent)),
            Some(0 | 51..) => {
                Err(format!("a part of a limit that is kept back is from 1% to 50%\n{BUFFER_HINT}"))
            }
            None => Err(format!("this is no part of a limit\n{BUFFER_HINT}")),
        }
    }
}

const BUFFER_HINT: &str = "write a whole number of percent, 1% to 50%: 10%";

/// What of a limit is left, in percent of it: `20%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^0*([1-9][0-9]?|100)%$", "patternErrorMessage" = LEFT_HINT, "examples" = ["20%"]))]
pub struct Left(pub u8);

impl FromStr for Left {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = text.strip_suffix('%').and_then(|digits| decimal(digits, 0));
        match percent.map(u8::try_from) {
            Some(Ok(percent @ 1..=100)) => Ok(Self(percent)),
            Some(_) => Err(format!("what is left of a limit is from 1% to 100%\n{LEFT_HINT}")),
            None => Err(format!("this is no part of a limit\n{LEFT_HINT}")),
        }
    }
}

const LEFT_HINT: &str = "write a whole number of percent, 1% to 100%: 20%";

/// A part in percent, whole or with one decimal: `50%`, `12.5%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = r"^[0-9]+(\.[0-9])?%$", "patternErrorMessage" = PERCENT_HINT, "examples" = ["50%", "12.5%"]))]
pub struct Percent {
    /// Of a thousand: 1 to 1000.
    pub permille: u16,
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let permille = text.strip_suffix('%').and_then(|digits| decimal(digits, 1));
        match permille.map(u16::try_from) {
            Some(Ok(permille @ 1..=1000)) => Ok(Self { permille }),
            Some(_) => Err(format!("a part is from 0.1% to 100%\n{PERCENT_HINT}")),
            None => Err(format!("this is no part in percent\n{PERCENT_HINT}")),
        }
    }
}

const PERCENT_HINT: &str = "write percent with at most one digit after the point: 50%, 12.5%";

/// A part as a plain number: `0.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "f64", extend("minimum" = 0, "maximum" = MOST / 1000, "examples" = [0.2]))]
pub struct Ratio {
    /// In thousandths.
    pub permille: u32,
}

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('-') {
            return Err(format!("a part is not less than nothing\n{RATIO_HINT}"));
        }
        match decimal(text, 3) {
            Some(permille) if permille <= MOST => Ok(Self { permille }),
            Some(_) => Err(format!("a part is at most ten times the whole\n{RATIO_HINT}")),
            None => Err(format!("this number is too large or too fine\n{RATIO_HINT}")),
        }
    }
}

/// The largest ratio, in thousandths.
const MOST: u32 = 10_000;

const RATIO_HINT: &str = "write a plain number with at most three digits after the point: 0.2 is a fifth";

/// A decimal number with at most so many digits after its point, counted in units of the last of them.
fn decimal(text: &str, digits: usize) -> Option<u32> {
    let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let fits = is_number(whole) && part.is_none_or(|part| is_number(part) && part.len() <= digits);
    let part = part.unwrap_or_default();
    fits.then(|| format!("{whole}{part:0<digits$}").parse().ok()).flatten()
}

read_from_text!(Buffer, "a part in percent, such as 10%", BUFFER_HINT);
read_from_text!(Left, "a part in percent, such as 20%", LEFT_HINT);
read_from_text!(Percent, "a part in percent, such as 50%", PERCENT_HINT);

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RatioVisitor;
        impl Visitor<'_> for RatioVisitor {
            type Value = Ratio;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a plain number, such as 0.2")
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Ratio, E> {
                // Written with as few digits as tell it apart, which are those of the author.
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Ratio, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Ratio, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<Ratio, E> {
                Err(E::custom(format!("expected a plain number, found text\n{RATIO_HINT}")))
            }
        }
        deserializer.deserialize_any(RatioVisitor)
    }
}
