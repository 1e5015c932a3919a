//! Times: nanoseconds since 1970 UTC in the program, RFC 3339 in UTC outside.

use std::fmt;

use jiff::{SignedDuration, Timestamp, civil};
use serde::{Serialize, Serializer};

/// A moment on the wire. Unit: nanoseconds since 1970 UTC; shown and written as RFC 3339, with as many decimals as it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nanoseconds(pub i64);

/// A moment that a certificate names. Unit: seconds since 1970 UTC; shown and written as RFC 3339.
///
/// "No end" is written as the last second of the year 9999 (RFC 5280 section 4.1.2.5), which nanoseconds do not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(i64);

impl Seconds {
    /// `None` outside the years that a certificate can name, 0 to 9999.
    pub(super) fn new(seconds: i64) -> Option<Self> {
        let time = civil_time(seconds)?;
        (0..=9999).contains(&time.year()).then_some(Self(seconds))
    }

    /// Milliseconds since 1970 UTC.
    #[must_use]
    pub fn milliseconds(self) -> i64 {
        self.0.saturating_mul(1_000)
    }
}

impl fmt::Display for Nanoseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format(self.0))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match civil_time(self.0) {
            Some(time) => write!(f, "{time}Z"),
            None => Ok(()),
        }
    }
}

impl Serialize for Nanoseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn civil_time(seconds: i64) -> Option<civil::DateTime> {
    civil::date(1970, 1, 1).at(0, 0, 0, 0).checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// `nanoseconds` since 1970 UTC as RFC 3339, with as many decimals as it needs.
#[must_use]
pub fn format(nanoseconds: i64) -> String {
    // Every i64 of nanoseconds lies between the years 1677 and 2262, well inside what a timestamp holds.
    Timestamp::from_nanosecond(i128::from(nanoseconds)).map(|time| time.to_string()).unwrap_or_default()
}

/// The inverse of [`format`].
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let time: Timestamp = text.parse().map_err(|error| format!("time {text:?}: {error}"))?;
    time.as_nanosecond().try_into().map_err(|_| format!("time {text:?}: outside the years 1678 to 2261"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_out_and_come_back() {
        let cases = [
            ("epoch", 0, "1970-01-01T00:00:00Z"),
            ("microseconds", 1_533_081_600_000_001_000, "2018-08-01T00:00:00.000001Z"),
            ("nanoseconds", 1_533_081_600_123_456_789, "2018-08-01T00:00:00.123456789Z"),
            ("before 1970", -1, "1969-12-31T23:59:59.999999999Z"),
            ("latest", i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            ("earliest", i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        ];
        for (name, nanoseconds, text) in cases {
            assert_eq!(format(nanoseconds), text, "{name}");
            assert_eq!(parse(text), Ok(nanoseconds), "{name}");
        }
        assert!(parse("yesterday").is_err());
        assert!(parse("2400-01-01T00:00:00Z").is_err());
    }

    #[test]
    fn times_of_certificates_reach_the_year_9999() {
        let cases = [
            (0, Some("1970-01-01T00:00:00Z")),
            (1_533_081_600, Some("2018-08-01T00:00:00Z")),
            (12_622_780_800, Some("2370-01-01T00:00:00Z")),
            (253_402_300_799, Some("9999-12-31T23:59:59Z")),
            (253_402_300_800, None),
            (-62_167_219_200, Some("0000-01-01T00:00:00Z")),
            (-62_167_219_201, None),
            (i64::MAX, None),
            (i64::MIN, None),
        ];
        for (seconds, want) in cases {
            assert_eq!(Seconds::new(seconds).map(|time| time.to_string()).as_deref(), want, "{seconds}");
        }
    }
}
