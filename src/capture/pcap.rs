//! pcap: a file header of 24 bytes, then records of a 16-byte header and the captured bytes.
//!
//! Sources: draft-ietf-opsawg-pcap (micro- and nanosecond magics, link type with FCS bits); libpcap `sf-pcap.c` and
//! Wireshark `wiretap/libpcap.c` ("modified" records of 24 bytes, IXIA files with one more header word, lengths
//! swapped by writers before version 2.4).
//! Not handled: the SS990417 and Nokia record headers, which carry the magic of other formats and can only be guessed.

use super::{Frame, Step, ledger::Ledger};

/// How the records of one pcap file are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pcap {
    big_endian: bool,
    /// Records carry 8 more bytes (interface, protocol, packet type).
    modified: bool,
    /// Nanoseconds of one unit of the fraction.
    fraction_ns: i64,
    /// Writers before version 2.4 did not agree which of the two lengths comes first; captured <= original decides.
    lengths_may_be_swapped: bool,
    /// Captured lengths above this are taken for a broken record.
    limit: u32,
    /// Link type of every frame, FCS bits masked off.
    pub(super) link_type: u16,
    /// Bytes of the file header.
    pub(super) header_len: usize,
}

/// Captured length up to which a record is believed whatever snap length the file names: libpcap's `MAXIMUM_SNAPLEN`.
const SANE_CAPTURED: u32 = 262_144;

/// Length of the longest file header that [`Pcap::recognise`] asks for. Unit: bytes.
pub(super) const HEADER_LEN: usize = 24;

impl Pcap {
    /// Reads the file header; `None` when `head` does not start with a pcap magic, or is shorter than the header.
    pub(super) fn recognise(head: &[u8], frame_bytes: u32) -> Option<Self> {
        let (header, _) = head.split_first_chunk::<HEADER_LEN>()?;
        let [magic, version, _, _, snap_len, network] = words(header)?;
        let (big_endian, modified, fraction_ns, header_len) = variant(magic)?;
        let word = |bytes| if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        let (major, minor) = match (version, big_endian) {
            ([a, b, c, d], true) => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
            ([a, b, c, d], false) => (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])),
        };
        Some(Self {
            big_endian,
            modified,
            fraction_ns,
            lengths_may_be_swapped: (major, minor) < (2, 4),
            limit: word(snap_len).clamp(SANE_CAPTURED, frame_bytes.clamp(SANE_CAPTURED, super::MAX_FRAME)),
            link_type: (word(network) & 0xffff) as u16,
            header_len,
        })
    }

    /// Takes records from `data` at `at` on.
    pub(super) fn walk(&self, data: &[u8], at: usize, ledger: &mut Ledger) -> Step {
        match (self.big_endian, self.modified) {
            (false, false) => self.records::<false, 16>(data, at, ledger),
            (true, false) => self.records::<true, 16>(data, at, ledger),
            (false, true) => self.records::<false, 24>(data, at, ledger),
            (true, true) => self.records::<true, 24>(data, at, ledger),
        }
    }

    fn records<const BIG: bool, const HEADER: usize>(&self, data: &[u8], mut at: usize, ledger: &mut Ledger) -> Step {
        let word = |bytes| if BIG { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        loop {
            let rest = data.get(at..).unwrap_or_default();
            let Some((header, body)) = rest.split_first_chunk::<HEADER>() else {
                return Step::More { at, want: HEADER };
            };
            let [seconds, fraction, captured, original, ..] = header.as_chunks::<4>().0 else {
                return Step::More { at, want: HEADER };
            };
            let (mut captured, mut original) = (word(*captured), word(*original));
            if self.lengths_may_be_swapped && captured > original {
                (captured, original) = (original, captured);
            }
            if captured > self.limit {
                let what = format!("a record of {captured} captured bytes; expected at most {}", self.limit);
                return Step::Broken { at, what };
            }
            let captured_len = captured as usize;
            if body.len() < captured_len {
                return Step::More { at, want: HEADER + captured_len };
            }
            let start = at + HEADER;
            at = start + captured_len;
            // 32-bit seconds and fractions: the sum stays below 2^63.
            let time_ns = i64::from(word(*seconds)) * 1_000_000_000 + i64::from(word(*fraction)) * self.fraction_ns;
            let frame = Frame {
                time_ns,
                start: start as u32,
                captured_len: captured,
                wire_len: original,
                link_type: self.link_type,
            };
            if ledger.push(frame) {
                return Step::CheckDue { at };
            }
        }
    }
}

/// Byte order, whether records are "modified", nanoseconds of a fraction unit, and header length, by magic.
fn variant(magic: [u8; 4]) -> Option<(bool, bool, i64, usize)> {
    let by_number = |number| match number {
        0xa1b2_c3d4 => Some((false, 1000, HEADER_LEN)),
        0xa1b2_3c4d => Some((false, 1, HEADER_LEN)),
        0xa1b2_cd34 => Some((true, 1000, HEADER_LEN)),
        // IXIA hardware and software captures: a word with the size of all records ends the file header.
        0x1c00_01ac => Some((false, 1, HEADER_LEN + 4)),
        0x1c00_01ab => Some((false, 1000, HEADER_LEN + 4)),
        _ => None,
    };
    let big = by_number(u32::from_be_bytes(magic)).map(|(modified, ns, len)| (true, modified, ns, len));
    big.or_else(|| by_number(u32::from_le_bytes(magic)).map(|(modified, ns, len)| (false, modified, ns, len)))
}

/// The first `N` words of `bytes`.
fn words<const N: usize>(bytes: &[u8]) -> Option<[[u8; 4]; N]> {
    bytes.as_chunks::<4>().0.first_chunk::<N>().copied()
}
