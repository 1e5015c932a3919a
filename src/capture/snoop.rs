//! snoop: the capture format of Solaris. Big endian, records padded to 4 bytes.
//!
//! Source: RFC 1761.
//! Not handled: the Shomiti variants (versions 3 to 5), whose link type numbers differ.

use super::{Frame, Step, ledger::Ledger};

/// How the records of one snoop file are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Snoop {
    /// Link type of every frame, in LINKTYPE_ values.
    pub(super) link_type: u16,
    /// Packets dropped so far, as the latest record tells (RFC 1761: cumulative).
    pub(super) drops: u64,
    /// Longest packet that is believed. Unit: bytes.
    limit: u32,
}

/// Length of the file header. Unit: bytes.
pub(super) const HEADER_LEN: usize = 16;
/// First bytes of every snoop file.
pub(super) const MAGIC: &[u8; 8] = b"snoop\0\0\0";
/// Length of a record header. Unit: bytes.
const RECORD_LEN: usize = 24;
/// A link type of the registry's private range's end: no stage reads it, so its frames are counted as unsupported.
const UNMAPPED: u16 = u16::MAX;

impl Snoop {
    /// Reads the file header; `None` when `head` is no snoop file of version 2.
    pub(super) fn recognise(head: &[u8], frame_bytes: u32) -> Option<Self> {
        let (version, link) = head.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        let (link, _) = link.split_first_chunk::<4>()?;
        let limit = frame_bytes.min(super::MAX_FRAME);
        let link_type = link_type(u32::from_be_bytes(*link));
        (u32::from_be_bytes(*version) == 2).then_some(Self { link_type, drops: 0, limit })
    }

    /// Takes records from `data` at `at` on.
    pub(super) fn walk(&mut self, data: &[u8], mut at: usize, ledger: &mut Ledger) -> Step {
        loop {
            let rest = data.get(at..).unwrap_or_default();
            let Some((header, _)) = rest.split_first_chunk::<RECORD_LEN>() else {
                return Step::More { at, want: RECORD_LEN };
            };
            let [original, included, length, drops, seconds, microseconds] = header.as_chunks::<4>().0 else {
                return Step::More { at, want: RECORD_LEN };
            };
            let [original, included, length, drops, seconds, microseconds] =
                [original, included, length, drops, seconds, microseconds].map(|word| u32::from_be_bytes(*word));
            let record_len = length as usize;
            if included > self.limit
                || length > self.limit.saturating_add(1024)
                || RECORD_LEN + included as usize > record_len
            {
                let what = format!("a record of {length} bytes with {included} of a packet; expected a longer record");
                return Step::Broken { at, what };
            }
            if rest.len() < record_len {
                return Step::More { at, want: record_len };
            }
            self.drops = self.drops.max(u64::from(drops));
            let frame = Frame {
                time_ns: i64::from(seconds) * 1_000_000_000 + i64::from(microseconds) * 1000,
                start: (at + RECORD_LEN) as u32,
                captured_len: included,
                wire_len: original,
                link_type: self.link_type,
            };
            at += record_len;
            if ledger.push(frame) {
                return Step::CheckDue { at };
            }
        }
    }
}

/// The LINKTYPE_ value of a snoop datalink type (RFC 1761, "Datalink Type").
fn link_type(datalink: u32) -> u16 {
    match datalink {
        0 | 4 => 1, // IEEE 802.3 and Ethernet share their header
        2 => 6,     // IEEE 802.5
        8 => 10,    // FDDI
        _ => UNMAPPED,
    }
}
