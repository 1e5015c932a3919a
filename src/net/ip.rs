//! IPv4 and IPv6 headers, extension headers, and whether the packet is a fragment.
//!
//! Sources: RFC 791 section 3.1, RFC 8200 section 4, RFC 2675 (jumbo payloads), RFC 6946 (atomic fragments), RFC 4302
//! (AH), RFC 6275 (mobility). A length of zero is what a host captures before the network card cuts a large packet into
//! segments: the packet then goes to the end of the frame.

use crate::link::Cursor;
use crate::model::{Endpoint, FlowKey, Loss, Side, Transport};

/// Source and destination of an IP header, as a flow key wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hosts {
    pub(super) v4: bool,
    pub(super) from: [u8; 16],
    pub(super) to: [u8; 16],
}

impl Hosts {
    /// The ends of `key`, `from` first.
    pub(super) fn of(key: &FlowKey, from: Side) -> Self {
        let octets = |Endpoint { ip, .. }| match ip {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(v6) => v6.octets(),
        };
        Self { v4: key.is_ipv4(), from: octets(key.endpoint(from)), to: octets(key.endpoint(from.other())) }
    }

    #[inline]
    pub(super) fn key(&self, transport: Transport, from_port: u16, to_port: u16) -> (FlowKey, Side) {
        FlowKey::from_octets(transport, self.v4, self.from, from_port, self.to, to_port)
    }
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: u32,
    /// Unit: bytes.
    pub(super) offset: u32,
    pub(super) more: bool,
}

/// What an IP header says. The cursor then stands behind it and ends with the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// A whole packet, and the protocol of its payload.
    Whole(Hosts, u8),
    /// A part of one.
    Part(Hosts, u8, Place),
}

/// An IPv4 address as `::ffff:a.b.c.d`.
#[inline]
pub(super) fn mapped(a: u8, b: u8, c: u8, d: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// Reads the header of the version that the first four bits say.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Network, Loss> {
    match cursor.peek::<1>()?[0] >> 4 {
        4 => v4(cursor),
        6 => v6(cursor),
        _ => Err(Loss::MalformedHeader),
    }
}

fn v4(cursor: &mut Cursor<'_>) -> Result<Network, Loss> {
    let header = cursor.peek::<20>()?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header_len < 20 || (total_len != 0 && total_len < header_len) {
        return Err(Loss::MalformedHeader);
    }
    if total_len != 0 {
        cursor.limit(total_len);
    }
    cursor.skip(header_len)?;
    let hosts = Hosts {
        v4: true,
        from: mapped(header[12], header[13], header[14], header[15]),
        to: mapped(header[16], header[17], header[18], header[19]),
    };
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    let (more, offset) = (fragment & 0x2000 != 0, u32::from(fragment & 0x1fff) * 8);
    if more || offset != 0 {
        let id = u32::from(u16::from_be_bytes([header[4], header[5]]));
        return Ok(Network::Part(hosts, header[9], Place { id, offset, more }));
    }
    Ok(Network::Whole(hosts, header[9]))
}

fn v6(cursor: &mut Cursor<'_>) -> Result<Network, Loss> {
    let header = cursor.take::<40>()?;
    let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let next = header[6];
    if payload_len != 0 || next == NO_NEXT {
        cursor.limit(payload_len);
    } else if let Some(jumbo_len) = jumbo_len(cursor, next) {
        cursor.limit(jumbo_len);
    }
    let (mut from, mut to) = ([0; 16], [0; 16]);
    from.copy_from_slice(&header[8..24]);
    to.copy_from_slice(&header[24..40]);
    let hosts = Hosts { v4: false, from, to };
    Ok(Network::Whole(hosts, next))
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT: u8 = 59;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// The length in a jumbo payload option, which stands first among the hop-by-hop options in practice.
fn jumbo_len(cursor: &Cursor<'_>, next: u8) -> Option<usize> {
    if next != HOP_BY_HOP {
        return None;
    }
    match cursor.left() {
        [_, _, 0xc2, 4, a, b, c, d, ..] => usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok(),
        _ => None,
    }
}

/// Leaves extension headers behind, from `protocol` on. Every turn takes eight bytes or more.
///
/// The authentication header is one of them, in IPv4 too: its content is readable. Whether there was one is told beside.
pub(super) fn extensions(cursor: &mut Cursor<'_>, hosts: &Hosts, mut protocol: u8) -> Result<(Network, bool), Loss> {
    let mut authenticated = false;
    loop {
        protocol = match protocol {
            AUTHENTICATION => {
                authenticated = true;
                let header = cursor.peek::<8>()?;
                cursor.skip((usize::from(header[1]) + 2) * 4)?;
                header[0]
            }
            FRAGMENT if !hosts.v4 => {
                let header = cursor.take::<8>()?;
                let place = u16::from_be_bytes([header[2], header[3]]);
                let (offset, more) = (u32::from(place & 0xfff8), place & 1 != 0);
                if more || offset != 0 {
                    let id = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
                    return Ok((Network::Part(*hosts, header[0], Place { id, offset, more }), authenticated));
                }
                header[0]
            }
            HOP_BY_HOP | ROUTING | DESTINATION | HOST_IDENTITY | SHIM6 if !hosts.v4 => extension(cursor)?,
            MOBILITY if !hosts.v4 && cursor.peek::<1>()?[0] != NO_NEXT => extension(cursor)?,
            _ => return Ok((Network::Whole(*hosts, protocol), authenticated)),
        };
    }
}

/// A header of the common form: next header, length in units of eight bytes without the first one.
fn extension(cursor: &mut Cursor<'_>) -> Result<u8, Loss> {
    let header = cursor.peek::<2>()?;
    cursor.skip((usize::from(header[1]) + 1) * 8)?;
    Ok(header[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4_header(total_len: u16, fragment: u16) -> Vec<u8> {
        let mut header = vec![0x45, 0, 0, 0, 0, 7, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        header[2..4].copy_from_slice(&total_len.to_be_bytes());
        header[6..8].copy_from_slice(&fragment.to_be_bytes());
        header
    }

    fn v6_header(payload_len: u16, next: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = vec![0x60, 0, 0, 0];
        header.extend(payload_len.to_be_bytes());
        header.extend([next, 64]);
        header.extend([1; 16]);
        header.extend([2; 16]);
        header.extend(rest);
        header
    }

    #[test]
    fn v4_lengths_and_fragments() {
        let read_left = |bytes: &[u8]| {
            let mut cursor = Cursor::new(bytes, 0);
            read(&mut cursor).map(|network| (matches!(network, Network::Whole(..)), cursor.wire_left()))
        };
        let padded = |header: Vec<u8>| [header, vec![0; 26]].concat();
        assert_eq!(read_left(&padded(v4_header(30, 0))), Ok((true, 10)), "padding is not payload");
        assert_eq!(read_left(&padded(v4_header(0, 0))), Ok((true, 26)), "segmentation is left to the card");
        assert_eq!(read_left(&padded(v4_header(9000, 0x4000))), Ok((true, 26)), "no more than the frame had");
        assert_eq!(read_left(&padded(v4_header(19, 0))), Err(Loss::MalformedHeader));
        assert_eq!(read_left(&padded(v4_header(30, 0x2000))), Ok((false, 10)), "first fragment");
        assert_eq!(read_left(&padded(v4_header(30, 0x0001))), Ok((false, 10)), "last fragment");
        let mut options = padded(v4_header(46, 0));
        options[0] = 0x4f;
        assert_eq!(read_left(&options), Err(Loss::MalformedHeader), "options longer than the packet");
    }

    #[test]
    fn v6_extension_headers() {
        let last = |bytes: &[u8], wire_len: u32| {
            let mut cursor = Cursor::new(bytes, wire_len);
            match read(&mut cursor)? {
                Network::Whole(hosts, next) => extensions(&mut cursor, &hosts, next).map(|n| (n.0, cursor.wire_left())),
                part => Ok((part, 0)),
            }
        };
        let protocol = |bytes: &[u8], wire_len: u32| match last(bytes, wire_len) {
            Ok((Network::Whole(_, protocol), left)) => Ok((protocol, left)),
            Ok((Network::Part(_, protocol, place), _)) => Ok((protocol, place.offset as usize)),
            Err(loss) => Err(loss),
        };
        let options = [DESTINATION, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0, 9];
        assert_eq!(protocol(&v6_header(17, HOP_BY_HOP, &options), 0), Ok((17, 1)));
        assert_eq!(protocol(&v6_header(8, ROUTING, &[6, 9, 0, 0, 0, 0, 0, 0]), 0), Err(Loss::MalformedHeader));
        assert_eq!(protocol(&v6_header(80, ROUTING, &[6, 9, 0, 0, 0, 0, 0, 0]), 120), Err(Loss::HeaderCutShort));
        assert_eq!(protocol(&v6_header(9, FRAGMENT, &[17, 0, 0, 0, 0, 0, 0, 1, 9]), 0), Ok((17, 1)), "atomic");
        assert_eq!(protocol(&v6_header(9, FRAGMENT, &[17, 0, 0, 9, 0, 0, 0, 1, 9]), 0), Ok((17, 8)), "a part");
        assert_eq!(protocol(&v6_header(9, AUTHENTICATION, &[6, 0, 0, 0, 0, 0, 0, 1, 9]), 0), Ok((6, 1)));
        let jumbo = [17, 0, 0xc2, 4, 0, 1, 0, 8];
        assert_eq!(protocol(&v6_header(0, HOP_BY_HOP, &jumbo), 70_000), Ok((17, 65_536)));
        assert_eq!(protocol(&v6_header(0, NO_NEXT, &[0; 6]), 0), Ok((NO_NEXT, 0)));
    }
}
