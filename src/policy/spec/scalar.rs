//! Values with a form of their own. In their errors a second line is the hint.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::Value;

use super::planned;
use crate::auth::api_key::KeyDigest;
use crate::clock::{self, TimeZone};
use crate::limits::Turn;
use crate::mock::fault::size;
use crate::policy::diagnostic::{did_you_mean, quoted};
use crate::pricing::PerMillion;
use crate::units::{AmountFault, NanoUsd};

/// How values are written, for editors: nothing that is read is refused by these, and little else accepted.
const SPAN: &str = "^[0-9]+(ms|s|m|h|d)$";
const WINDOW: &str = "^([0-9]+(ms|s|m|h|d)|day|week|month)$";
const HEDGE: &str = "^([0-9]+(ms|s|m|h|d)|p95)$";
const MOMENT: &str = r"^[0-9+-][0-9-]+[Tt ][0-9:.,]+([Zz]|[+-][0-9:]+)(\[.*\])?$";
const MONEY: &str = r"^[0-9]+(\.[0-9]{1,9})?$";

/// A time span: a whole number and a unit, `500ms`, `30s`, `1m`, `2h`, `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = SPAN, "patternErrorMessage" = SPAN_HINT, "examples" = ["30s", "500ms"]))]
pub struct TimeSpan(pub Duration);

impl FromStr for TimeSpan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err(format!("a time span needs a unit\n{SPAN_HINT}")),
            _ => return Err(format!("this is no time span\n{SPAN_HINT}")),
        };
        let number: u64 = number.parse().map_err(|_| format!("this is no time span\n{SPAN_HINT}"))?;
        let millis = number.checked_mul(millis).ok_or("this time span is too long")?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

const SPAN_HINT: &str = "write a whole number and a unit: 500ms, 30s, 1m, 2h, 1d";

/// The window of a limit: a time span that rolls, `1m`, or a piece of the calendar, `day`, `week`, `month`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = WINDOW, "patternErrorMessage" = WINDOW_HINT, "examples" = ["1m", "day", "week", "month"]))]
pub enum Per {
    /// A time span that rolls: `1m`.
    Rolling(TimeSpan),
    /// A piece of the calendar: `day`, `week`, `month`.
    Calendar(Turn),
}

/// What editors say, which do not know what was meant.
const WINDOW_HINT: &str = "write a whole number and a unit: 1m, 24h; or day, week, month";

impl FromStr for Per {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if planned::choice("Per", text) {
            return Err(planned::not_built(text));
        }
        let turn = [Turn::Day, Turn::Week, Turn::Month].into_iter().find(|turn| turn.as_str() == text);
        match turn {
            Some(turn) => Ok(Self::Calendar(turn)),
            None => {
                text.parse().map(Self::Rolling).map_err(|_: String| format!("this is no window\n{PER_HINT}"))
            }
        }
    }
}

const PER_HINT: &str = "write a whole number and a unit: 30s, 1m, 2h, 1d; or day, week, month";

/// A time zone by its name in the IANA database: `Europe/Berlin`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9/_+-]+$", "patternErrorMessage" = ZONE_HINT, "examples" = ["Europe/Berlin", "America/New_York"]))]
pub struct Zone(pub Arc<TimeZone>);

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let zone = TimeZone::get(text).ok().filter(|zone| zone.iana_name() == Some(text));
        zone.map(|zone| Self(Arc::new(zone))).ok_or_else(|| {
            let known: Vec<_> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
            let meant = did_you_mean(text, known.iter().map(String::as_str));
            format!("there is no time zone {}\n{}", quoted(text), meant.as_deref().unwrap_or(ZONE_HINT))
        })
    }
}

const ZONE_HINT: &str = "write its name in the IANA database: Europe/Berlin, America/New_York, UTC";

/// An amount of money as a decimal number in text: `"500.00"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = MONEY, "patternErrorMessage" = DOLLARS_HINT, "examples" = ["500.00"]))]
pub struct Dollars(pub NanoUsd);

impl FromStr for Dollars {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|fault| match fault {
            AmountFault::NotDecimal => format!("this is no amount of money\n{DOLLARS_HINT}"),
            AmountFault::TooFine => {
                format!("an amount of money has at most nine digits after the point\n{DOLLARS_HINT}")
            }
            AmountFault::TooLarge => {
                "this amount is too large\nit is counted up to 18446744073 US dollars".to_owned()
            }
        })
    }
}

const DOLLARS_HINT: &str = "write US dollars: \"500.00\", at most nine digits after the point";

/// A number of bytes: `4096`, `64Ki`, `100Mi`, `1Gi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "Value", extend("anyOf" = [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^[0-9]+(Ki|Mi|Gi)?$", "patternErrorMessage": SIZE_HINT }], "examples" = [4096, "100Mi"]))]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, such as 4096 or 100Mi")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                self.visit_str(&bytes.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                size(text)
                    .map(Size)
                    .ok_or_else(|| E::custom(format!("this is no number of bytes up to 1024Gi\n{SIZE_HINT}")))
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

const SIZE_HINT: &str = "write bytes, or a number with its unit: 4096, 64Ki, 100Mi, 1Gi";

/// How much output is expected of an answer: a number of tokens, or `learned`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "Value", extend("anyOf" = [{ "type": "integer", "minimum": 0 }, { "const": "learned" }]))]
pub enum Expected {
    /// So many tokens.
    Tokens(u64),
    /// As the model's earlier answers tell.
    Learned,
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExpectedVisitor;
        impl Visitor<'_> for ExpectedVisitor {
            type Value = Expected;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of tokens, or learned")
            }

            fn visit_u64<E: de::Error>(self, tokens: u64) -> Result<Expected, E> {
                Ok(Expected::Tokens(tokens))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Expected, E> {
                match text {
                    "learned" => Ok(Expected::Learned),
                    _ => Err(E::invalid_type(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(ExpectedVisitor)
    }
}

/// Money as a decimal number in text, so that no digit is lost: `"2.00"`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = MONEY, "patternErrorMessage" = PRICE_HINT, "examples" = ["2.00"]))]
pub struct Decimal {
    /// As written.
    pub text: Box<str>,
    /// What it says of a million tokens.
    pub amount: PerMillion,
}

impl FromStr for Decimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(amount) => Ok(Self { text: text.into(), amount }),
            Err(AmountFault::NotDecimal) => Err(format!("this is no price\n{PRICE_HINT}")),
            // Nine digits are a nano-dollar, the smallest amount that is counted.
            Err(AmountFault::TooFine) => {
                Err(format!("a price has at most nine digits after the point\n{PRICE_HINT}"))
            }
            Err(AmountFault::TooLarge) => {
                let below = PerMillion::BELOW;
                Err(format!("this price is too large\na million tokens cost less than {below} US dollars"))
            }
        }
    }
}

const PRICE_HINT: &str = "write US dollars per million tokens: \"2.00\", at most nine digits after the point";

/// A day: `"2026-01-01"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "patternErrorMessage" = DAY_HINT, "examples" = ["2026-01-01"]))]
pub struct Date(pub clock::Date);

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let day = text.parse().ok().filter(|_| plain);
        day.map(Self).ok_or_else(|| format!("this is no day of the calendar\n{DAY_HINT}"))
    }
}

const DAY_HINT: &str = "write year, month and day: \"2026-01-01\"";

/// How long is waited before a second target is asked too: a time span, or `p95`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = HEDGE, "patternErrorMessage" = HEDGE_HINT, "examples" = ["p95", "2s"]))]
pub enum HedgeAfter {
    /// As long as 95 of a hundred of the first one's answers take to begin.
    P95,
    /// So long.
    Fixed(TimeSpan),
}

impl FromStr for HedgeAfter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "p95" {
            return Ok(Self::P95);
        }
        text.parse().map(Self::Fixed).map_err(|_: String| format!("this is no time span\n{HEDGE_HINT}"))
    }
}

const HEDGE_HINT: &str = "write `p95`, or a whole number and a unit: 2s, 500ms";

/// A time of the day: `"22:00"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^([01][0-9]|2[0-3]):[0-5][0-9]$", "patternErrorMessage" = TIME_HINT, "examples" = ["22:00"]))]
pub struct Time(pub clock::Time);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit() || b == b':');
        let (hour, minute) = text.split_once(':').filter(|_| plain).unwrap_or_default();
        let number = |digits: &str| digits.parse().ok().filter(|_| digits.len() == 2);
        let time = number(hour).zip(number(minute)).and_then(|(h, m)| clock::Time::new(h, m, 0, 0).ok());
        time.map(Self).ok_or_else(|| format!("this is no time of the day\n{TIME_HINT}"))
    }
}

const TIME_HINT: &str = "write hours and minutes in quotes, from \"00:00\" to \"23:59\"";

/// A moment in RFC 3339: `"2026-03-02T09:00:00Z"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = MOMENT, "patternErrorMessage" = MOMENT_HINT, "examples" = ["2026-03-02T09:00:00Z"]))]
pub struct Moment(pub clock::Timestamp);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("this is no moment\n{MOMENT_HINT}"))
    }
}

const MOMENT_HINT: &str = "write day, time and zone in quotes: \"2026-03-02T09:00:00Z\"";

/// So much of what a limit counts: a whole number of calls or tokens, or money in quotes, `"499.00"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "Value", extend("anyOf" = [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": MONEY, "patternErrorMessage": DOLLARS_HINT }], "examples" = [900_000, "499.00"]))]
pub enum Amount {
    /// Calls or tokens.
    Count(u64),
    /// Money.
    Money(NanoUsd),
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AmountVisitor;
        impl Visitor<'_> for AmountVisitor {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or an amount of money in quotes, such as \"499.00\"")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Amount, E> {
                Ok(Amount::Count(count))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Amount, E> {
                Err(E::custom(format!("expected an amount in quotes, found a fraction\n{DOLLARS_HINT}")))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                text.parse().map(|Dollars(money)| Amount::Money(money)).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(AmountVisitor)
    }
}

/// The SHA-256 of a caller's key: 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[0-9A-Fa-f]{64}$", "patternErrorMessage" = HASH_HINT))]
pub struct KeyHash(pub KeyDigest);

impl FromStr for KeyHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut digest = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
        if pairs.len() == digest.len() && rest.is_empty() {
            let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
            if let Some(bytes) = bytes {
                digest.copy_from_slice(&bytes);
                return Ok(Self(KeyDigest::from_bytes(digest)));
            }
        }
        Err(format!("this is not the SHA-256 of a key, which has 64 hex digits\n{HASH_HINT}"))
    }
}

const HASH_HINT: &str = "`egret key` makes a key and prints both";

macro_rules! read_from_text {
    ($type:ident, $expected:literal, $hint:ident) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct TextVisitor;
                impl Visitor<'_> for TextVisitor {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }

                    fn visit_u64<E: de::Error>(self, _: u64) -> Result<$type, E> {
                        Err(E::custom(format!("expected {}, found a number\n{}", $expected, $hint)))
                    }

                    fn visit_f64<E: de::Error>(self, _: f64) -> Result<$type, E> {
                        Err(E::custom(format!("expected {}, found a number\n{}", $expected, $hint)))
                    }
                }
                deserializer.deserialize_newtype_struct(stringify!($type), NewtypeOf(TextVisitor))
            }
        }
    };
}

read_from_text!(TimeSpan, "a time span with its unit, such as 30s", SPAN_HINT);
read_from_text!(Per, "a window with its unit, such as 1m", PER_HINT);
read_from_text!(Decimal, "a price in quotes, such as \"2.00\"", PRICE_HINT);
read_from_text!(Zone, "the name of a time zone, such as Europe/Berlin", ZONE_HINT);
read_from_text!(Dollars, "an amount in quotes, such as \"500.00\"", DOLLARS_HINT);
read_from_text!(Date, "a day in quotes, such as \"2026-01-01\"", DAY_HINT);
read_from_text!(HedgeAfter, "p95 or a time span with its unit, such as 2s", HEDGE_HINT);
read_from_text!(Time, "a time of the day in quotes, such as \"22:00\"", TIME_HINT);
read_from_text!(Moment, "a moment in quotes, such as \"2026-03-02T09:00:00Z\"", MOMENT_HINT);
read_from_text!(KeyHash, "64 hex digits in quotes", HASH_HINT);

mod part;

pub use part::{Buffer, Left, Percent, Ratio};

/// Reads text under the type's name, by which the decoder knows what must not be shown.
struct NewtypeOf<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for NewtypeOf<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_str(self.0)
    }
}

#[cfg(test)]
mod tests;
