//! Amounts of memory as people write them: `512M`, `4GiB`, `1500000000`.

/// Bytes in `text`: a number with an optional unit. `K`, `M`, `G`, `T` and `KiB` ... count in steps of 1024, `kB`, `MB` ...
/// in steps of 1000.
///
/// # Errors
/// What was expected instead.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a number of bytes with an optional unit, for example 512M or 4GiB";
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| EXPECTED.to_owned())?;
    let unit = unit.trim().to_ascii_lowercase();
    let (letter, step) = match unit.strip_suffix("ib") {
        Some(letter) => (letter, 1024.0_f64),
        None => match unit.strip_suffix('b') {
            Some(letter) => (letter, 1000.0),
            None => (unit.as_str(), 1024.0),
        },
    };
    let power = ["", "k", "m", "g", "t"].iter().position(|known| *known == letter).ok_or(EXPECTED)?;
    let bytes = number * step.powi(power as i32);
    if bytes < LEAST as f64 {
        return Err(format!("{text} is too little: at least 64 MiB are needed to work in"));
    }
    Ok(bytes as u64)
}

/// The least memory that leaves room for read buffers and a flow table. Unit: bytes.
const LEAST: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        let cases = [
            ("100000000", Ok(100_000_000)),
            ("512M", Ok(512 << 20)),
            ("512m", Ok(512 << 20)),
            ("1.5G", Ok(3 << 29)),
            ("4GiB", Ok(4 << 30)),
            ("4 gb", Ok(4_000_000_000)),
            ("1T", Ok(1 << 40)),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text), want, "{text}");
        }
        for text in ["", "M", "12X", "-1G", "1..5G", "10M", "0", "1e9", "nan"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
