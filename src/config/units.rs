//! How values are written: sizes and durations with units, octal file modes, names of choices.
//!
//! Each is a module for serde's `with`, so that an error names file and line, and the raw structs hold
//! plain types.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};

use crate::settings::{AdminCommands, Admission, CacheMode, Eviction, LogFormat, LogLevel};

/// Units of size, as Redis reads them: `k` is 1000, `kb` is 1024. Largest first, for printing.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("tb", 1 << 40),
    ("gb", 1 << 30),
    ("mb", 1 << 20),
    ("kb", 1 << 10),
    ("t", 1_000_000_000_000),
    ("g", 1_000_000_000),
    ("m", 1_000_000),
    ("k", 1_000),
    ("b", 1),
];

/// Units of time in milliseconds, largest first.
const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Splits `250ms` into 250 and `ms`, and multiplies. None: no such unit, or too large.
fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The number in the largest of `units` that divides it, so that 300000 ms becomes `5m`.
fn print_in(number: u64, units: &[(&str, u64)]) -> String {
    let exact = units.iter().find(|(_, factor)| number != 0 && number.is_multiple_of(*factor));
    exact.map_or_else(|| number.to_string(), |(name, factor)| format!("{}{name}", number / factor))
}

/// `64mb`, `1gb`, `1000`.
pub(super) fn parse_size(text: &str) -> Result<usize, String> {
    let lower = text.trim().to_ascii_lowercase();
    let bytes = lower.parse::<u64>().ok().or_else(|| measure(&lower, &SIZE_UNITS));
    bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| format!("'{text}' is not a size; write 65536, 64kb, 256mb or 1gb"))
}

pub(super) fn print_size(bytes: usize) -> String {
    print_in(bytes as u64, &SIZE_UNITS[..4])
}

/// `250ms`, `1s`, `5m`, `2h`, `1d`; and `0`, which is the same in every unit.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let lower = text.trim().to_ascii_lowercase();
    if lower == "0" {
        return Ok(Duration::ZERO);
    }
    if lower.parse::<u64>().is_ok() {
        return Err(format!("'{text}' lacks a unit; write {text}s for seconds or {text}ms for milliseconds"));
    }
    measure(&lower, &TIME_UNITS)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("'{text}' is not a duration; write 250ms, 1s, 5m, 2h or 1d"))
}

pub(super) fn print_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 { "0s".into() } else { print_in(millis, &TIME_UNITS) }
}

/// Takes a string through `parse`; whole numbers are taken as their digits.
struct TextVisitor<F>(&'static str, F);

impl<T, F: Fn(&str) -> Result<T, String>> Visitor<'_> for TextVisitor<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

macro_rules! with_text {
    ($(#[$doc:meta])* $module:ident, $type:ty, $expecting:literal, $parse:expr, $print:expr) => {
        $(#[$doc])*
        pub(super) mod $module {
            use super::*;
            use serde::{Deserializer, Serializer};

            pub fn serialize<S: Serializer>(value: &$type, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(&$print(*value))
            }

            pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<$type, D::Error> {
                input.deserialize_any(TextVisitor($expecting, $parse))
            }
        }
    };
}

with_text!(size, usize, "a size such as \"64mb\"", parse_size, print_size);
with_text!(duration, Duration, "a duration such as \"5m\"", parse_duration, print_duration);
with_text!(
    /// A file's mode in octal, as for chmod; none is the empty text.
    mode,
    Option<u32>,
    "a mode such as \"770\"",
    parse_mode,
    print_mode
);

macro_rules! optional {
    ($(#[$doc:meta])* $module:ident, $inner:ident, $type:ty) => {
        $(#[$doc])*
        pub(super) mod $module {
            use super::*;
            use serde::{Deserializer, Serializer};

            pub fn serialize<S: Serializer>(value: &Option<$type>, out: S) -> Result<S::Ok, S::Error> {
                match value {
                    Some(value) => $inner::serialize(value, out),
                    None => out.serialize_none(),
                }
            }

            pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<$type>, D::Error> {
                $inner::deserialize(input).map(Some)
            }
        }
    };
}

optional!(
    /// A size, where not writing one means something else.
    optional_size,
    size,
    usize
);
optional!(
    /// A duration, where not writing one means something else.
    optional_duration,
    duration,
    Duration
);

fn parse_mode(text: &str) -> Result<Option<u32>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(Some(mode)),
        _ => Err(format!("'{text}' is not a file mode; write it in octal, as \"770\"")),
    }
}

fn print_mode(mode: Option<u32>) -> String {
    mode.map(|mode| format!("{mode:o}")).unwrap_or_default()
}

/// A setting that is one of a few names.
pub(super) trait Choice: Copy + PartialEq + 'static {
    const NAMES: &'static [(&'static str, Self)];
}

impl Choice for AdminCommands {
    const NAMES: &'static [(&'static str, Self)] = &[("deny", Self::Deny), ("allow", Self::Allow)];
}
impl Choice for CacheMode {
    const NAMES: &'static [(&'static str, Self)] = &[("serve", Self::Serve), ("observe", Self::Observe)];
}
impl Choice for Admission {
    const NAMES: &'static [(&'static str, Self)] =
        &[("frequency", Self::Frequency), ("always", Self::Always)];
}
impl Choice for Eviction {
    const NAMES: &'static [(&'static str, Self)] = &[("lru", Self::Lru), ("noeviction", Self::NoEviction)];
}
impl Choice for LogFormat {
    const NAMES: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}
impl Choice for LogLevel {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// serde's `with` for every [`Choice`].
pub(super) mod choice {
    use super::{Choice, TextVisitor};
    use serde::{Deserializer, Serializer};

    pub fn serialize<T: Choice, S: Serializer>(value: &T, out: S) -> Result<S::Ok, S::Error> {
        let name = T::NAMES.iter().find(|(_, choice)| choice == value).map(|(name, _)| *name);
        out.serialize_str(name.unwrap_or_default())
    }

    pub fn deserialize<'de, T: Choice, D: Deserializer<'de>>(input: D) -> Result<T, D::Error> {
        input.deserialize_str(TextVisitor("one of a few names", |text: &str| {
            let found = T::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
            found.map(|(_, choice)| *choice).ok_or_else(|| {
                let names: Vec<_> = T::NAMES.iter().map(|(name, _)| *name).collect();
                format!("'{text}' is none of {}", names.join(", "))
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_redis_reads_them() {
        let cases = [
            ("0", 0),
            ("100", 100),
            ("1k", 1000),
            ("1kb", 1024),
            ("2MB", 2 << 20),
            ("3g", 3_000_000_000),
            ("7b", 7),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "mb", "-1", "1.5mb", "1 m b", "1pb", "99999999999tb"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        let cases = [("0", 0), ("0s", 0), ("250ms", 250), ("1s", 1000), ("5m", 300_000), ("2H", 7_200_000)];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "5", "-1s", "1.5s", "1y"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_duration("300").expect_err("no unit").contains("300s"));
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for bytes in [0, 1, 1000, 1024, 1 << 20, 256 << 20, 3 << 30, (1 << 20) + 1] {
            assert_eq!(parse_size(&print_size(bytes)), Ok(bytes));
        }
        for millis in [0, 1, 250, 1000, 1500, 300_000, 86_400_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&print_duration(duration)), Ok(duration));
        }
        assert_eq!(print_size(256 << 20), "256mb");
        assert_eq!(print_duration(Duration::from_secs(300)), "5m");
        assert_eq!(parse_mode("770").map(print_mode), Ok("770".into()));
        assert!(parse_mode("9").is_err() && parse_mode("7777").is_err());
    }
}
