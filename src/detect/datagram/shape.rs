//! How datagrams are weighed: each check counts the bits that had to have the value they have.
//!
//! A random datagram passes a check of `n` bits once in 2^n times. [`Shape`] adds the bits of a flow's datagrams and
//! answers [`Outcome::Found`] from [`ENOUGH`] on, [`Outcome::Likely`] from [`FAIR`] on. A repeated datagram proves nothing
//! new. A datagram that contradicts the format ends it, unless the others weigh twice what is enough: senders have bugs.
//! Zero bytes are common in all protocols, so the checks count runs of zeros for less than their length.
//!
//! A protocol that opens in clear and may go on encrypted sets `waits`: then the answer stays `Likely` until all heads are
//! there, and one datagram against it is one too many.

use std::ops::RangeInclusive;

use crate::detect::{Datagram, Dissector, Found, Heads, MAX_DATAGRAMS, Openings, Outcome};
use crate::model::{Protocol, Transport};

/// Bits from which a protocol is certain. Unit: bits.
pub(super) const ENOUGH: u32 = 32;

/// Bits from which a protocol is accepted when nothing more arrives. Unit: bits.
pub(super) const FAIR: u32 = 20;

/// Why a check ended before the end of its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The datagram contradicts the format.
    Against,
    /// The capture cut the datagram short here; nothing was against it.
    Cut,
}

/// The outcome of a check; its weight is in the [`Reader`].
pub(super) type Check = Result<(), Stop>;

/// A protocol in clear that is told by the structure of single datagrams.
pub(super) struct Shape {
    /// The name it goes by.
    pub(super) protocol: Protocol,
    /// Walks one datagram, and says in the reader's bits how much it proves.
    pub(super) check: fn(&mut Reader<'_>) -> Check,
    /// First bytes of a datagram that the check is not against.
    openings: Openings,
}

impl Shape {
    /// A row of the table: a protocol name and its check.
    pub(super) const fn new(name: &'static &'static str, check: fn(&mut Reader<'_>) -> Check) -> Self {
        Self { protocol: Protocol(name), check, openings: Openings::ANY }
    }

    /// The same, with the first bytes that the check may accept: it is not asked about others.
    pub(super) const fn opens(self, ranges: &[RangeInclusive<u8>]) -> Self {
        Self { openings: Openings::of(ranges), ..self }
    }
}

impl Dissector for Shape {
    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        judge(weigh(heads.datagrams, self.check), Found::plaintext(self.protocol))
    }

    fn openings(&self) -> Openings {
        self.openings
    }

    fn has_sides(&self) -> bool {
        false
    }
}

/// What a check made of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    /// Bits of all datagrams that differ.
    bits: u32,
    /// More has to be seen before the answer is final.
    waits: bool,
}

/// The sum of bits that `check` finds in `datagrams`; `None` when they are against it.
pub(super) fn weigh(datagrams: &[Datagram<'_>], mut check: impl FnMut(&mut Reader<'_>) -> Check) -> Option<Weight> {
    let mut weight = Weight::default();
    let (mut fitting, mut against) = (0usize, 0usize);
    for (index, datagram) in datagrams.iter().enumerate() {
        if is_keepalive(datagram.bytes) {
            continue;
        }
        // What shares its ports with STUN is media or a tunnel, and judged there.
        if has_stun_cookie(datagram.bytes) {
            return None;
        }
        let mut reader = Reader::new(*datagram);
        if check(&mut reader) == Err(Stop::Against) {
            against += 1;
            // The others are too few to outweigh it: the usual end, and a quick one.
            if against * 2 >= datagrams.len() {
                return None;
            }
            continue;
        }
        fitting += 1;
        weight.waits |= reader.waits;
        let repeated = datagrams.iter().take(index).any(|earlier| earlier.bytes == datagram.bytes);
        if !repeated {
            weight.bits = weight.bits.saturating_add(reader.bits);
        }
    }
    let outweighed = fitting > against && weight.bits >= 2 * ENOUGH && !weight.waits;
    weight.waits &= datagrams.len() < MAX_DATAGRAMS;
    (against == 0 || outweighed).then_some(weight)
}

/// The fixed word of STUN (RFC 8489 section 5).
#[inline]
fn has_stun_cookie(bytes: &[u8]) -> bool {
    matches!(bytes, [0..=0x3f, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..])
}

/// Turns a weight into an answer.
pub(super) fn judge(weight: Option<Weight>, found: Found) -> Outcome {
    match weight {
        None => Outcome::No,
        Some(Weight { bits: ENOUGH.., waits: false }) => Outcome::Found(found),
        Some(Weight { bits: FAIR.., .. }) => Outcome::Likely(found),
        Some(_) => Outcome::NeedMore,
    }
}

/// Whether a datagram only keeps a path open: empty, a few zeros, or line ends (RFC 5626 section 3.5.1).
#[inline]
pub(super) fn is_keepalive(bytes: &[u8]) -> bool {
    bytes.len() <= 4 && (bytes.iter().all(|byte| *byte == 0) || bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')))
}

/// Reads one datagram from front to back, tolerating a cut by the capture's snap length.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    wire_len: usize,
    at: usize,
    /// Weight of what was checked so far. Unit: bits.
    pub(super) bits: u32,
    /// Set by checks of protocols that may go on encrypted after this.
    pub(super) waits: bool,
}

impl<'a> Reader<'a> {
    /// At the start of `datagram`.
    pub(super) fn new(datagram: Datagram<'a>) -> Self {
        let wire_len = datagram.wire_len.max(datagram.bytes.len());
        Self { bytes: datagram.bytes, wire_len, at: 0, bits: 0, waits: false }
    }

    /// Bytes from here to the end of the datagram on the wire.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.wire_len.saturating_sub(self.at)
    }

    /// Bytes already read.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// What was captured from here on.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// All that was captured of the datagram.
    #[inline]
    pub(super) fn whole(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the capture cut the datagram short.
    #[inline]
    pub(super) fn is_cut(&self) -> bool {
        self.wire_len > self.bytes.len()
    }

    /// The next `count` bytes.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        if count > self.left() {
            return Err(Stop::Against);
        }
        let end = self.at.saturating_add(count);
        let bytes = self.bytes.get(self.at..end).ok_or(Stop::Cut)?;
        self.at = end;
        Ok(bytes)
    }

    /// Passes over `count` bytes, captured or not.
    #[inline]
    pub(super) fn skip(&mut self, count: usize) -> Check {
        if count > self.left() {
            return Err(Stop::Against);
        }
        self.at = self.at.saturating_add(count);
        Ok(())
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        self.take(N)?.try_into().map_err(|_| Stop::Against)
    }

    /// One byte.
    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8, Stop> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes, network order.
    #[inline]
    pub(super) fn u16(&mut self) -> Result<u16, Stop> {
        self.array().map(u16::from_be_bytes)
    }

    /// Three bytes, network order.
    #[inline]
    pub(super) fn u24(&mut self) -> Result<u32, Stop> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// Four bytes, network order.
    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32, Stop> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes, network order.
    #[inline]
    pub(super) fn u64(&mut self) -> Result<u64, Stop> {
        self.array().map(u64::from_be_bytes)
    }

    /// Two bytes, least significant first.
    #[inline]
    pub(super) fn u16_le(&mut self) -> Result<u16, Stop> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes, least significant first.
    #[inline]
    pub(super) fn u32_le(&mut self) -> Result<u32, Stop> {
        self.array().map(u32::from_le_bytes)
    }

    /// Counts `bits` for a condition that must hold.
    #[inline]
    pub(super) fn holds(&mut self, condition: bool, bits: u32) -> Check {
        if !condition {
            return Err(Stop::Against);
        }
        self.bits = self.bits.saturating_add(bits);
        Ok(())
    }

    /// Counts `bits` for a condition that may hold.
    #[inline]
    pub(super) fn favours(&mut self, condition: bool, bits: u32) {
        if condition {
            self.bits = self.bits.saturating_add(bits);
        }
    }

    /// The next bytes are `wanted`: eight bits each.
    pub(super) fn literal(&mut self, wanted: &[u8]) -> Check {
        for byte in wanted {
            let seen = self.u8()?;
            self.holds(seen == *byte, 8)?;
        }
        Ok(())
    }

    /// A length field says exactly how much is left.
    #[inline]
    pub(super) fn covers_rest(&mut self, length: usize, bits: u32) -> Check {
        self.holds(length == self.left(), bits)
    }

    /// Everything was consumed.
    #[inline]
    pub(super) fn end(&mut self, bits: u32) -> Check {
        self.holds(self.left() == 0, bits)
    }
}

/// Whether every byte is printable ASCII, white space or part of UTF-8 beyond ASCII.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let end = bytes.len().min(512);
    let head = bytes.get(..end).unwrap_or_default();
    // The zero that ends a string in C is sent along by some.
    let head = head.strip_suffix(&[0]).unwrap_or(head);
    let printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    if head.iter().all(printable) {
        return true;
    }
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        // A character cut in two by the end of the look is still text.
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    };
    valid && head.iter().all(|byte| printable(byte) || *byte >= 0x80)
}

/// Whether every byte is printable ASCII: what names and paths consist of.
pub(super) fn printable(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
pub(super) mod testing {
    //! What the tests of this folder share.

    use super::*;
    use crate::detect::tests::ask;

    /// A datagram from the client, captured whole.
    pub(in crate::detect::datagram) fn datagram(bytes: &[u8]) -> Datagram<'_> {
        Datagram { from_client: true, bytes, wire_len: bytes.len() }
    }

    /// What `dissector` says to these datagrams, sent by client and server in turn.
    pub(in crate::detect::datagram) fn probe(dissector: &dyn Dissector, payloads: &[&[u8]]) -> Outcome {
        let datagrams: Vec<_> = payloads
            .iter()
            .enumerate()
            .map(|(index, bytes)| Datagram { from_client: index % 2 == 0, bytes, wire_len: bytes.len() })
            .collect();
        ask(dissector, Heads { datagrams: &datagrams, from_start: true, ..Heads::default() })
    }

    /// `f` found, `l` likely, `m` need more, `n` no: short for tables.
    pub(in crate::detect::datagram) fn letter(outcome: Outcome) -> char {
        match outcome {
            Outcome::Found(_) => 'f',
            Outcome::Likely(_) => 'l',
            Outcome::NeedMore => 'm',
            Outcome::No => 'n',
        }
    }

    /// Bytes from hex digits; spaces are skipped.
    pub(in crate::detect::datagram) fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.chars().filter_map(|c| c.to_digit(16)).map(|d| u8::try_from(d).unwrap_or(0)).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// Checks a table of (name, hex, expected letter) against one dissector, one datagram each.
    pub(in crate::detect::datagram) fn table(dissector: &dyn Dissector, cases: &[(&str, &str, char)]) {
        for (name, text, want) in cases {
            let bytes = hex(text);
            assert_eq!(letter(probe(dissector, &[&bytes])), *want, "{}: {name}", dissector.protocol().name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{datagram, letter, probe};
    use super::*;

    /// The dissector that the README shows.
    static NEMO: Shape = Shape::new(&"nemo", nemo);

    fn nemo(reader: &mut Reader<'_>) -> Check {
        let kind = reader.u8()?;
        reader.holds((1..=4).contains(&kind), 6)?;
        reader.literal(&[0])?;
        let length = usize::from(reader.u16()?);
        reader.covers_rest(length, 16)
    }

    #[test]
    fn the_readme_shows_this_dissector() {
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (readme, here) = (squeeze(include_str!("../../../README.md")), squeeze(include_str!("shape.rs")));
        let shown = readme.split_once("fn nemo(").unwrap().1.split_once("} ```").unwrap().0;
        assert!(here.contains(shown), "{shown}");
    }

    #[test]
    fn datagrams_add_up() {
        let (one, two) = (b"\x01\0\0\x02hi".as_slice(), b"\x02\0\0\x03you".as_slice());
        let cases: &[(&str, &[&[u8]], char)] = &[
            ("one datagram", &[one], 'l'),
            ("two that differ", &[one, two], 'f'),
            ("the same twice", &[one, one], 'l'),
            ("another length", &[b"\x01\0\0\x03hi"], 'n'),
            ("another type", &[b"\x05\0\0\x02hi"], 'n'),
            ("one against it", &[one, b"\x09\0\0\x02hi"], 'n'),
            ("keep-alives say nothing", &[b"\0\0\0\0", b"\r\n"], 'm'),
            ("shares its ports with STUN", &[one, b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl"], 'n'),
        ];
        for (name, payloads, want) in cases {
            assert_eq!(letter(probe(&NEMO, payloads)), *want, "{name}");
        }
        let cut = Datagram { wire_len: 900, ..datagram(b"\x01\0\x03\x80hi") };
        assert_eq!(letter(NEMO.probe(Heads { datagrams: &[cut], ..Heads::default() })), 'l', "cut short, length kept");
    }
}
