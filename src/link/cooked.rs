//! Headers that operating systems put in place of the real link header: loopback, Linux "cooked", logs, taps.
//!
//! Sources: tcpdump.org/linktypes.html (NULL, LOOP, RAW, LINUX_SLL, LINUX_SLL2, NFLOG, PKTAP, ENC, PFLOG, IPNET); Linux
//! `if_arp.h` for ARPHRD values. The ARPHRD decides only where the header that follows is not told by the protocol field.

use super::{Cursor, Layer, Read, Step};
use crate::model::Loss;

/// No link header.
pub(super) fn raw(_cursor: &mut Cursor<'_>) -> Read {
    Ok(Step::Next(Layer::Ip))
}

/// BSD loopback: an address family in the byte order of the machine that captured, or of the network.
pub(super) fn null(cursor: &mut Cursor<'_>) -> Read {
    let bytes = *cursor.take::<4>()?;
    let (little, big) = (u32::from_le_bytes(bytes), u32::from_be_bytes(bytes));
    // A family is a small number: of the two readings the smaller one is meant.
    family(little.min(big))
}

/// What an AF_ value of any of the BSDs, macOS, Linux or Windows announces.
fn family(family: u32) -> Read {
    match family {
        2 | 10 | 23 | 24 | 28 | 30 => Ok(Step::Next(Layer::Ip)), // AF_INET, and AF_INET6 by system
        7 => Ok(Step::Control("osi")),
        _ => Ok(Step::Opaque("null")),
    }
}

/// OpenBSD's interface for IPsec: family in either order, security parameter index, flags.
pub(super) fn enc(cursor: &mut Cursor<'_>) -> Read {
    let step = null(cursor);
    cursor.skip(8)?;
    step
}

/// The packet filter's log: a header that says its own length (rounded up to four) and the family.
pub(super) fn pflog(cursor: &mut Cursor<'_>) -> Read {
    let head = cursor.peek::<2>()?;
    let length = usize::from(head[0]).next_multiple_of(4);
    if length < 45 {
        return Err(Loss::MalformedHeader);
    }
    let step = family(u32::from(head[1]));
    cursor.skip(length)?;
    step
}

/// Solaris: two bytes, lengths and zones; 24 bytes in all.
pub(super) fn ipnet(cursor: &mut Cursor<'_>) -> Read {
    cursor.skip(24)?;
    Ok(Step::Next(Layer::Ip))
}

/// Linux cooked, version 1.
pub(super) fn sll(cursor: &mut Cursor<'_>) -> Read {
    let header = cursor.take::<16>()?;
    cooked(cursor, u16::from_be_bytes([header[2], header[3]]), u16::from_be_bytes([header[14], header[15]]))
}

/// Linux cooked, version 2.
pub(super) fn sll2(cursor: &mut Cursor<'_>) -> Read {
    let header = cursor.take::<20>()?;
    cooked(cursor, u16::from_be_bytes([header[8], header[9]]), u16::from_be_bytes([header[0], header[1]]))
}

/// What follows a cooked header, by hardware type (ARPHRD) and protocol.
fn cooked(cursor: &mut Cursor<'_>, hardware: u16, protocol: u16) -> Read {
    const FRAME_RELAY: u16 = 770;
    const WLAN: u16 = 801;
    const WLAN_PRISM: u16 = 802;
    const WLAN_RADIOTAP: u16 = 803;
    const NETLINK: u16 = 824;
    match (hardware, protocol) {
        (NETLINK, _) => Err(Loss::UnsupportedLink),
        (FRAME_RELAY, _) => Ok(Step::Next(Layer::Link(107))),
        (WLAN, 0x0000..=0x0004) => Ok(Step::Next(Layer::Wlan { swapped: false })),
        (WLAN_PRISM, 0x0000..=0x0004) => Ok(Step::Next(Layer::Link(119))),
        (WLAN_RADIOTAP, 0x0000..=0x0004) => Ok(Step::Next(Layer::Link(127))),
        (_, 0x0001) => Ok(Step::Opaque("ipx")), // raw 802.3
        (_, 0x0004) => Ok(Step::Next(Layer::Llc)),
        (_, 0x000c..=0x000e) => Err(Loss::UnsupportedLink), // CAN
        (_, 0x00f6) => Err(Loss::UnsupportedLink),          // 802.15.4
        // Tunnel devices without a protocol of their own leave the field zero.
        (_, 0) if cursor.left().first().is_some_and(|first| matches!(first >> 4, 4 | 6)) => Ok(Step::Next(Layer::Ip)),
        _ => Ok(Step::Next(Layer::EtherType(protocol))),
    }
}

/// Netfilter log: family, version, resource, then attributes; one of them holds the packet.
pub(super) fn nflog(cursor: &mut Cursor<'_>) -> Read {
    const PAYLOAD: u16 = 9;
    let header = cursor.take::<4>()?;
    if header[1] != 0 {
        return Err(Loss::MalformedHeader);
    }
    // Lengths are in the byte order of the machine that logged. Every turn takes at least four bytes.
    loop {
        let &[a, b, c, d] = cursor.take::<4>()?;
        let (mut length, mut kind) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        if usize::from(length) > cursor.wire_left() + 4 || kind > 0x7fff {
            (length, kind) = (length.swap_bytes(), kind.swap_bytes());
        }
        let content = usize::from(length).checked_sub(4).ok_or(Loss::MalformedHeader)?;
        if kind & 0x7fff == PAYLOAD {
            cursor.limit(content);
            return Ok(Step::Next(Layer::Ip));
        }
        cursor.skip(content.next_multiple_of(4))?;
    }
}

/// macOS: header length, record type, then the link type of what follows. `USER2` is the same in old captures.
pub(super) fn pktap(cursor: &mut Cursor<'_>) -> Read {
    let head = cursor.peek::<12>()?;
    let word = |at: usize| {
        head.get(at..at + 4).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
    };
    let (length, kind, link_type) = (word(0) as usize, word(4), word(8));
    let link_type = u16::try_from(link_type).ok().filter(|_| kind == 1 && (12..=4096).contains(&length));
    let link_type = link_type.ok_or(Loss::UnsupportedLink)?;
    cursor.skip(length)?;
    Ok(Step::Next(Layer::Link(link_type)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_families_in_both_orders() {
        for family in [2_u32, 10, 23, 24, 28, 30] {
            for bytes in [family.to_le_bytes(), family.to_be_bytes()] {
                assert_eq!(null(&mut Cursor::new(&bytes, 0)), Ok(Step::Next(Layer::Ip)), "{family}");
            }
        }
        assert_eq!(null(&mut Cursor::new(&[9, 9, 0, 0], 0)), Ok(Step::Opaque("null")));
        assert_eq!(null(&mut Cursor::new(&[2, 0, 0], 0)), Err(Loss::MalformedHeader));
    }

    #[test]
    fn cooked_headers() {
        let ip = Ok(Step::Next(Layer::EtherType(0x0800)));
        for hardware in [1_u16, 512, 772, 778, 65534] {
            let mut one = [0; 16];
            one[2..4].copy_from_slice(&hardware.to_be_bytes());
            one[14..].copy_from_slice(&[8, 0]);
            assert_eq!(sll(&mut Cursor::new(&one, 0)), ip, "{hardware}");
            let mut two = [0; 20];
            two[..2].copy_from_slice(&[8, 0]);
            two[8..10].copy_from_slice(&hardware.to_be_bytes());
            assert_eq!(sll2(&mut Cursor::new(&two, 0)), ip, "{hardware}");
        }
        let mut netlink = [0; 16];
        netlink[2..4].copy_from_slice(&824_u16.to_be_bytes());
        assert_eq!(sll(&mut Cursor::new(&netlink, 0)), Err(Loss::UnsupportedLink));
    }

    #[test]
    fn netfilter_log() {
        let mut bytes = vec![2, 0, 0, 0]; // family, version, resource
        bytes.extend([6, 0, 10, 0, b'a', 0, 0, 0]); // a prefix, padded
        bytes.extend([6, 0, 9, 0, 0x45, 0x00, 0xee]); // the packet, then what is not part of it
        let mut cursor = Cursor::new(&bytes, 0);
        assert_eq!(nflog(&mut cursor), Ok(Step::Next(Layer::Ip)));
        assert_eq!(cursor.left(), &[0x45, 0x00]);
        assert_eq!(nflog(&mut Cursor::new(&[2, 0, 0, 0, 1, 0, 9, 0], 0)), Err(Loss::MalformedHeader));
    }

    #[test]
    fn tap_with_a_link_type() {
        let mut bytes = [12_u32.to_le_bytes(), 1_u32.to_le_bytes(), 101_u32.to_le_bytes()].concat();
        assert_eq!(pktap(&mut Cursor::new(&bytes, 0)), Ok(Step::Next(Layer::Link(101))));
        bytes[4] = 2;
        assert_eq!(pktap(&mut Cursor::new(&bytes, 0)), Err(Loss::UnsupportedLink));
    }
}
