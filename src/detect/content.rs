//! What unknown payload looks like: information beside a class, never a reason for one.
//!
//! Sources: Wu et al., "How the Great Firewall of China Detects and Blocks Fully Encrypted Traffic", USENIX Security 2023,
//! section 4 (bits set for each byte, printable share and runs); Pearson's chi-squared test against an even spread.
//! Evidence: none of encryption. Compressed and media files look as random as ciphertext, and short payloads like
//! anything; hence `looks_random` and `looks_text` are words of their own and no class.

/// Bytes that are looked at.
pub const MAX_LOOK: usize = 4096;

/// Fewest bytes from which anything is said.
const LEAST_RANDOM: usize = 64;
const LEAST_TEXT: usize = 8;

/// What the payload of an unknown flow looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Look {
    /// Like ciphertext, or anything that is compressed.
    Random,
    /// Like text.
    Text,
    /// Like neither.
    Undetermined,
}

impl Look {
    /// The word used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "looks_random",
            Self::Text => "looks_text",
            Self::Undetermined => "undetermined",
        }
    }
}

/// What `bytes` look like. Only the first [`MAX_LOOK`] count.
#[must_use]
pub fn look(bytes: &[u8]) -> Look {
    let bytes = bytes.get(..bytes.len().min(MAX_LOOK)).unwrap_or_default();
    if bytes.len() >= LEAST_TEXT && is_text(bytes) {
        Look::Text
    } else if bytes.len() >= LEAST_RANDOM && !is_exempt(bytes) && is_even(bytes) {
        Look::Random
    } else {
        Look::Undetermined
    }
}

/// How many bytes are such as `holds` says.
fn count(bytes: &[u8], holds: impl Fn(u8) -> bool) -> usize {
    // As many as one byte can count at a time: the processor then counts several places at once.
    let few = |few: &[u8]| usize::from(few.iter().map(|byte| u8::from(holds(*byte))).sum::<u8>());
    bytes.chunks(usize::from(u8::MAX)).map(few).sum()
}

/// Nine of ten bytes are printable or white space, and next to none are control characters.
fn is_text(bytes: &[u8]) -> bool {
    // Bytes that belong to neither text nor UTF-8 beyond ASCII.
    let binary = count(bytes, |byte| matches!(byte, 0..=8 | 11..=12 | 14..=31 | 127));
    if binary * 100 > bytes.len() || count(bytes, is_printable) * 2 < bytes.len() {
        return false;
    }
    // What is neither printable nor a control character is white space, or a letter beyond ASCII: in UTF-8 as many as
    // there are, else (older character sets) one byte in ten.
    let is_utf8 = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(), // cut within a letter
    };
    is_utf8 || count(bytes, |byte| !byte.is_ascii()) * 10 <= bytes.len()
}

/// Whether one of the published rules lets a payload pass as not fully encrypted.
fn is_exempt(bytes: &[u8]) -> bool {
    let longest_run = || bytes.split(|byte| !is_printable(*byte)).map(<[u8]>::len).max().unwrap_or(0);
    // More than 3.4 and less than 4.6 bits set for each byte.
    let (words, rest) = bytes.as_chunks();
    let ones: u32 = words.iter().map(|word| u64::from_ne_bytes(*word).count_ones()).sum::<u32>()
        + rest.iter().map(|byte| byte.count_ones()).sum::<u32>();
    let ones = ones as usize;
    ones * 10 <= bytes.len() * 34
        || ones * 10 >= bytes.len() * 46
        || bytes.iter().take(6).all(|byte| is_printable(*byte))
        || count(bytes, is_printable) * 2 > bytes.len()
        || longest_run() > 20
}

/// Both halves of the bytes are spread evenly: 15 degrees of freedom each, exceeded once in ten thousand.
fn is_even(bytes: &[u8]) -> bool {
    const BOUND: u64 = 45;
    let (mut high, mut low) = ([0_u64; 16], [0_u64; 16]);
    for byte in bytes {
        high[usize::from(byte >> 4)] += 1;
        low[usize::from(byte & 0xf)] += 1;
    }
    let len = bytes.len() as u64;
    [high, low].iter().all(|bins| {
        let squares: u64 = bins.iter().map(|count| count * count).sum();
        (squares * 16).checked_div(len).is_some_and(|value| value.saturating_sub(len) <= BOUND)
    })
}

/// Printable as the publication has it: 0x20 to 0x7e.
fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize, mut state: u64) -> Vec<u8> {
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn looks() {
        let line = b"GET /index.html HTTP/1.1\r\nHost: example.org\r\n\r\n".repeat(4);
        let counter: Vec<u8> = (0..2048u16).flat_map(u16::to_be_bytes).collect();
        let mut starts_as_text = noise(512, 7);
        starts_as_text[..6].copy_from_slice(b"HELLO ");
        let mut long_run = noise(512, 9);
        long_run[100..130].copy_from_slice(&[b'a'; 30]);
        let cases: &[(&str, &[u8], Look)] = &[
            ("text", &line, Look::Text),
            ("text beyond ASCII", "Größe: fünf Äpfel und einige Birnen".as_bytes(), Look::Text),
            ("text in Latin-1", b"Gr\xf6\xdfe: zwei Kilogramm Mehl und etwas Salz", Look::Text),
            ("text with letters of no alphabet", b"ab\xc3\xe1\x90cd\xfe\xd2ef\xc0gh", Look::Undetermined),
            ("noise", &noise(512, 3), Look::Random),
            ("much noise", &noise(9000, 5), Look::Random),
            ("short noise", &noise(40, 3), Look::Undetermined),
            ("zeros", &[0; 512], Look::Undetermined),
            ("ones", &[0xff; 512], Look::Undetermined),
            ("a counter", &counter, Look::Undetermined),
            ("noise behind a word", &starts_as_text, Look::Undetermined),
            ("noise with a run of letters", &long_run, Look::Undetermined),
            ("nothing", &[], Look::Undetermined),
            ("seven letters", b"abcdefg", Look::Undetermined),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(look(bytes), *want, "{name}");
        }
    }

    #[test]
    fn noise_is_rarely_missed() {
        let random = (1..=200).filter(|seed| look(&noise(1024, seed * 0x9e37_79b9)) == Look::Random).count();
        assert!(random >= 195, "{random} of 200");
    }
}
