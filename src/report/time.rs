//! Times: nanoseconds since 1970 UTC in the program, RFC 3339 in UTC outside.

use jiff::Timestamp;

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
}
