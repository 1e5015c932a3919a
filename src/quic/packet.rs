//! QUIC packets as far as they are readable without keys: headers, coalesced packets, version negotiation, Retry.
//!
//! Sources: RFC 8999 (what holds for every version), RFC 9000 section 17 (version 1 and its drafts), RFC 9369 section
//! 3.2 (packet types of version 2).

use super::version::Version;

/// One packet of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Version negotiation (RFC 9000 section 17.2.1).
    Negotiation(Negotiation<'a>),
    /// A packet with a long header.
    Long(Long<'a>),
    /// A packet with a short header: 1-RTT. It is the rest of the datagram.
    Short(&'a [u8]),
}

/// What a version negotiation packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiation<'a> {
    /// Destination connection ID: the client's source connection ID.
    pub destination: &'a [u8],
    /// Source connection ID: the destination that the client had chosen.
    pub source: &'a [u8],
    /// Versions of the server, four bytes each.
    pub versions: &'a [u8],
}

/// A packet with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long<'a> {
    /// Type of the packet.
    pub kind: Kind,
    /// Version of the packet.
    pub version: Version,
    /// Destination connection ID.
    pub destination: &'a [u8],
    /// Source connection ID.
    pub source: &'a [u8],
    /// The whole packet, as far as it is in the datagram.
    pub bytes: &'a [u8],
    /// Where the protected packet number starts in `bytes`; the end of the packet for Retry and unknown versions.
    pub number_at: usize,
    /// The datagram has all bytes that the packet announces.
    pub whole: bool,
}

/// Type of a packet with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keys are public; carries the hellos.
    Initial,
    /// Early data.
    ZeroRtt,
    /// Keys of the handshake.
    Handshake,
    /// Asks the client to try again with a token.
    Retry,
    /// A version whose packet types are not known here.
    Opaque,
}

/// The packets of one datagram, in order. Padding and anything that is no packet ends it.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
    first: bool,
}

/// Takes a datagram apart.
#[must_use]
pub fn packets(datagram: &[u8]) -> Packets<'_> {
    Packets { rest: datagram, first: true }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let bytes = std::mem::take(&mut self.rest);
        let first = std::mem::replace(&mut self.first, false);
        let &flags = bytes.first()?;
        if flags & LONG == 0 {
            return (flags & FIXED != 0).then_some(Packet::Short(bytes));
        }
        let (packet, rest) = long(bytes)?;
        // A packet behind another has the version and the destination of the first (RFC 9000 section 12.2); version
        // negotiation and unknown versions stand alone, and nothing is read behind them.
        if !first && matches!(packet, Packet::Negotiation(_)) {
            return None;
        }
        self.rest = rest;
        Some(packet)
    }
}

/// Reads one packet with a long header; gives it and the bytes behind it. `None` when it has no such form.
fn long(bytes: &[u8]) -> Option<(Packet<'_>, &[u8])> {
    let (&flags, after) = bytes.split_first()?;
    let (version, after) = after.split_first_chunk::<4>()?;
    let version = Version(u32::from_be_bytes(*version));
    let (destination, after) = connection_id(after)?;
    let (source, after) = connection_id(after)?;
    if version == Version::NEGOTIATION {
        let whole = !after.is_empty() && after.len().is_multiple_of(4) && after.len() <= 4 * MAX_VERSIONS;
        let negotiation = Negotiation { destination, source, versions: after };
        return whole.then_some((Packet::Negotiation(negotiation), &[]));
    }
    if !version.is_known() {
        let packet =
            Long { kind: Kind::Opaque, version, destination, source, bytes, number_at: bytes.len(), whole: true };
        return Some((Packet::Long(packet), &[]));
    }
    // Version 2 numbers its types differently, so that nobody takes the bits for fixed.
    let kind = match (flags >> 4 & 3, version.rotates_types()) {
        (0, false) | (1, true) => Kind::Initial,
        (1, false) | (2, true) => Kind::ZeroRtt,
        (2, false) | (3, true) => Kind::Handshake,
        _ => Kind::Retry,
    };
    if destination.len() > MAX_CONNECTION_ID || source.len() > MAX_CONNECTION_ID {
        return None;
    }
    if kind == Kind::Retry {
        let packet = Long { kind, version, destination, source, bytes, number_at: bytes.len(), whole: true };
        return Some((Packet::Long(packet), &[]));
    }
    let after = if kind == Kind::Initial {
        let (token_len, after) = varint(after)?;
        after.get(usize::try_from(token_len).ok()?..)?
    } else {
        after
    };
    let (len, body) = varint(after)?;
    let len = usize::try_from(len).ok()?;
    let number_at = bytes.len().checked_sub(body.len())?;
    let end = number_at.checked_add(len)?;
    let whole = end <= bytes.len();
    let (packet, rest) = bytes.split_at(end.min(bytes.len()));
    Some((Packet::Long(Long { kind, version, destination, source, bytes: packet, number_at, whole }), rest))
}

/// A connection ID with its length byte in front, and what follows it.
fn connection_id(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, after) = bytes.split_first()?;
    after.split_at_checked(usize::from(len))
}

/// A variable-length integer (RFC 9000 section 16), and what follows it.
#[must_use]
pub fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, _) = bytes.split_first()?;
    let len = 1_usize << (first >> 6);
    let (number, rest) = bytes.split_at_checked(len)?;
    let value = number.iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
    // The two highest bits of the number are its length.
    Some((value & (u64::MAX >> (66 - 8 * len)), rest))
}

const LONG: u8 = 0x80;
const FIXED: u8 = 0x40;
/// Longest connection ID of the known versions (RFC 9000 section 17.2).
const MAX_CONNECTION_ID: usize = 20;
/// A server that lists more versions than this is none.
const MAX_VERSIONS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_length_integers() {
        // RFC 9000 appendix A.1.
        let cases: &[(&[u8], Option<u64>)] = &[
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], Some(151_288_809_941_952_652)),
            (&[0x9d, 0x7f, 0x3e, 0x7d], Some(494_878_333)),
            (&[0x7b, 0xbd], Some(15_293)),
            (&[0x25], Some(37)),
            (&[0x40, 0x25], Some(37)),
            (&[0x40], None),
            (&[], None),
        ];
        for (bytes, want) in cases {
            assert_eq!(varint(bytes).map(|(value, _)| value), *want, "{bytes:?}");
        }
    }

    #[test]
    fn coalesced_packets() {
        let mut datagram = vec![0xc0, 0, 0, 0, 1, 2, 7, 7, 1, 9, 0, 0x03, 1, 2, 3];
        datagram.extend([0xe0, 0, 0, 0, 1, 2, 7, 7, 1, 9, 0x02, 4, 5]);
        datagram.extend([0x41, 1, 2, 3]);
        let found: Vec<_> = packets(&datagram).collect();
        let kinds: Vec<_> = found
            .iter()
            .map(|packet| match packet {
                Packet::Long(long) => Some((long.kind, long.bytes.len(), long.number_at, long.whole)),
                _ => None,
            })
            .collect();
        assert_eq!(kinds, [Some((Kind::Initial, 15, 12, true)), Some((Kind::Handshake, 13, 11, true)), None]);
        assert_eq!(found.last(), Some(&Packet::Short(&[0x41, 1, 2, 3])));
    }

    #[test]
    fn not_packets() {
        let cases: &[(&str, &[u8])] = &[
            ("empty", &[]),
            ("no fixed bit", &[0x01, 2, 3]),
            ("header cut", &[0xc0, 0, 0, 0, 1, 8, 1]),
            ("connection ID of 21 bytes", &[&[0xc0, 0, 0, 0, 1, 21][..], &[0; 40]].concat()),
            ("negotiation with half a version", &[0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3]),
            ("token longer than the datagram", &[0xc0, 0, 0, 0, 1, 0, 0, 0x40, 0xff, 0]),
        ];
        for (name, bytes) in cases {
            assert_eq!(packets(bytes).next(), None, "{name}");
        }
    }

    #[test]
    fn version_two_rotates_its_types() {
        let kind = |flags: u8, version: [u8; 4]| {
            let datagram = [&[flags][..], &version, &[0, 0, 0, 1, 0]].concat();
            packets(&datagram).next().and_then(|packet| match packet {
                Packet::Long(long) => Some(long.kind),
                _ => None,
            })
        };
        assert_eq!(kind(0xd0, [0x6b, 0x33, 0x43, 0xcf]), Some(Kind::Initial));
        assert_eq!(kind(0xc0, [0x6b, 0x33, 0x43, 0xcf]), Some(Kind::Retry));
        assert_eq!(kind(0xd0, [0, 0, 0, 1]), Some(Kind::ZeroRtt));
        assert_eq!(kind(0xd0, [0x12, 0x34, 0x56, 0x78]), Some(Kind::Opaque));
    }
}
