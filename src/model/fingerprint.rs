//! The text of a fingerprint, held in place: a flow has up to three, and nearly all of them are read by nobody.

use std::fmt;
use std::ops::Deref;

/// A fingerprint of a hello: JA3 and JA3S (32 characters) or JA4 (36 characters), all of them ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    text: [u8; LONGEST],
    len: u8,
}

/// Length of a JA4.
const LONGEST: usize = 36;

impl Fingerprint {
    /// The fingerprint that reads `text`; `None` when that is too long or not ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut fingerprint = Self::default();
        fingerprint.push(text.as_bytes());
        (text.is_ascii() && text.len() <= LONGEST).then_some(fingerprint)
    }

    /// Adds ASCII characters, as many as there is room for.
    pub(crate) fn push(&mut self, characters: &[u8]) {
        for (place, character) in self.text.iter_mut().skip(self.len.into()).zip(characters) {
            *place = *character;
            self.len += 1;
        }
    }

    /// Adds the two lower-case hex digits of each byte.
    pub(crate) fn push_hex(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.push(&[byte >> 4, byte & 0x0f].map(hex_digit));
        }
    }
}

/// The lower-case digit of a number below 16.
pub(crate) fn hex_digit(number: u8) -> u8 {
    if number < 10 { b'0' + number } else { b'a' + (number - 10) }
}

impl Default for Fingerprint {
    /// The empty text.
    fn default() -> Self {
        Self { text: [0; LONGEST], len: 0 }
    }
}

impl Deref for Fingerprint {
    type Target = str;

    fn deref(&self) -> &str {
        self.text.get(..self.len.into()).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl serde::Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| serde::de::Error::custom("no fingerprint"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn reads_as_it_was_written() {
        let mut made = Fingerprint::default();
        made.push(b"t13_");
        made.push_hex(&[0x00, 0x9f, 0xa0]);
        assert_eq!(&*made, "t13_009fa0");
        let back: Fingerprint = postcard::from_bytes(&postcard::to_stdvec(&made).unwrap()).unwrap();
        assert_eq!(back, made);
        for (name, text, fits) in [
            ("none", String::new(), true),
            ("JA4", "a".repeat(36), true),
            ("longer", "a".repeat(37), false),
            ("not ASCII", "\u{e4}".into(), false),
        ] {
            assert_eq!(Fingerprint::new(&text).map(|made| made.to_string()), fits.then_some(text), "{name}");
        }
    }
}
