//! Figures for people: percentages, bytes and counts.

/// A share as a percentage with one decimal; `-` when there is none. Shares that are neither 0 nor 1 never look as if they
/// were.
pub(super) fn percent(share: Option<f64>) -> String {
    match share {
        None => "-".to_owned(),
        Some(share) if share > 0.0 && share < 0.001 => "<0.1%".to_owned(),
        Some(share) if share < 1.0 && share > 0.999 => ">99.9%".to_owned(),
        Some(share) => format!("{:.1}%", share * 100.0),
    }
}

/// Bytes in decimal units (1 kB is 1000 bytes).
pub(super) fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB", "PB"] {
        // 999.95 would be shown as 1000.0.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// A count with a thin separator at every third digit.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 flow`, `2 flows`.
pub(super) fn counted(number: u64, word: &str) -> String {
    format!("{} {word}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        let cases = [
            (None, "-"),
            (Some(0.0), "0.0%"),
            (Some(0.000_001), "<0.1%"),
            (Some(0.001), "0.1%"),
            (Some(0.725), "72.5%"),
            (Some(0.999_5), ">99.9%"),
            (Some(1.0), "100.0%"),
        ];
        for (share, want) in cases {
            assert_eq!(percent(share), want);
        }
    }

    #[test]
    fn amounts() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (2_500_000_000, "2.5 GB"),
        ];
        for (amount, want) in cases {
            assert_eq!(bytes(amount), want);
        }
        for (number, want) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), want);
        }
        assert_eq!((counted(1, "flow"), counted(2, "flow")), ("1 flow".to_owned(), "2 flows".to_owned()));
    }
}
