//! ZeroTier: packets between two nodes, each named by an address of five bytes.
//!
//! Sources: ZeroTierOne `node/Packet.hpp` (header: packet ID 8, destination 5, source 5, flags 1, MAC 8, verb) and
//! `node/Address.hpp` (reserved addresses).
//! Evidence: packets of both sides name each other, destination against source (signature). HELLO is in clear except for
//! its MAC, all else encrypted; a flow of nothing but HELLO is not recognised.
//! Not handled: fragments alone.

use crate::detect::{Datagram, Dissector, Found, Heads, Outcome};
use crate::model::{Evidence, Protocol, Transport};

pub(super) struct ZeroTier;

impl Dissector for ZeroTier {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn has_sides(&self) -> bool {
        false
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        if heads.datagrams.is_empty() || heads.datagrams.iter().any(|datagram| header(datagram).is_none()) {
            return Outcome::No;
        }
        let of = |side| heads.datagrams.iter().filter(move |datagram| datagram.from_client == side).filter_map(header);
        let paired = || of(true).any(|a| of(false).any(|b| a.destination == b.source && a.source == b.destination));
        let sealed = heads.datagrams.iter().filter_map(header).any(|header| header.sealed);
        if sealed && paired() {
            return Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Signature));
        }
        if heads.datagrams.len() >= crate::detect::MAX_DATAGRAMS { Outcome::No } else { Outcome::NeedMore }
    }
}

struct Header {
    destination: [u8; 5],
    source: [u8; 5],
    sealed: bool,
}

/// Reads a header; `None` when a field has what it may not have.
fn header(datagram: &Datagram<'_>) -> Option<Header> {
    let &flags = datagram.bytes.get(18)?;
    let (&destination, after) = datagram.bytes.get(8..)?.split_first_chunk::<5>()?;
    let (&source, _) = after.split_first_chunk::<5>()?;
    let reserved = |address: [u8; 5]| address[0] == 0xff || address == [0; 5];
    // Flags: fragmented, cipher suite (three bits), hops (three bits); suites 0 to 3 exist, 0 is a MAC without cipher.
    let cipher = flags >> 3 & 7;
    let sound =
        !reserved(destination) && !reserved(source) && destination != source && cipher <= 3 && flags & 0x80 == 0;
    (sound && datagram.wire_len >= 28).then_some(Header { destination, source, sealed: cipher != 0 })
}

const PROTOCOL: Protocol = Protocol(&"zerotier");

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{noise, probe_datagrams};
    use super::*;

    fn packet(to: u8, from: u8, flags: u8) -> Vec<u8> {
        [&noise(to, 8)[..], &[to; 5], &[from; 5], &[flags], &noise(from, 60)].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let found = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Signature));
        let cases: &[(&str, Vec<(bool, Vec<u8>)>, Outcome)] = &[
            ("both sides", vec![(true, packet(1, 2, 0)), (false, packet(2, 1, 8))], found),
            ("HELLO only", vec![(true, packet(1, 2, 0)), (false, packet(2, 1, 0))], Outcome::NeedMore),
            ("one side", vec![(true, packet(1, 2, 8)), (true, packet(1, 2, 8))], Outcome::NeedMore),
            ("not each other", vec![(true, packet(1, 2, 8)), (false, packet(3, 1, 8))], Outcome::NeedMore),
            ("reserved address", vec![(true, packet(0xff, 2, 8))], Outcome::No),
            ("no such cipher", vec![(true, packet(1, 2, 0x38))], Outcome::No),
            ("all zero", vec![(true, vec![0; 60])], Outcome::No),
            ("short", vec![(true, vec![1; 20])], Outcome::No),
        ];
        for (name, sent, want) in cases {
            assert_eq!(probe_datagrams(&ZeroTier, sent), *want, "{name}");
        }
    }
}
