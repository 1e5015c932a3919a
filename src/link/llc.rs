//! IEEE 802.2 logical link control and SNAP.
//!
//! Sources: IEEE 802.2 (service access points, control field), RFC 1042 (SNAP), RFC 2684 and RFC 2427 (bridged frames),
//! ISO/IEC TR 9577 (network layer identifiers).
//! NetBIOS frames (NBF) carry SMB 1 and know no encryption, hence plain; IPX may carry anything, hence opaque.

use super::{Cursor, Layer, Read, Step, ethernet};

/// Destination and source access point, control, then by access point.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Read {
    let head = cursor.peek::<3>()?;
    let (access_point, control) = (head[0] & 0xfe, head[2]);
    if head[..2] == [0xff, 0xff] {
        return Ok(Step::Opaque("ipx")); // "raw" 802.3: no LLC at all
    }
    if head[..2] == [0xaa, 0xaa] && is_data(control) {
        cursor.skip(control_len(control))?;
        return snap(cursor);
    }
    if !is_data(control) {
        return Ok(Step::Control("llc")); // supervisory, or unnumbered other than information
    }
    cursor.skip(control_len(control))?;
    Ok(match access_point {
        0x06 => Step::Next(Layer::Ip),
        0x42 => Step::Control("stp"),
        0x82 => Step::Plain("bacnet"),
        0x98 => Step::Control("arp"),
        0xbc => Step::Opaque("vines"),
        0xe0 => Step::Opaque("ipx"),
        0xf0 => Step::Plain("netbios"),
        0xf4 => Step::Control("lan-management"),
        0xfe => network_layer_id(cursor)?,
        0x00 => Step::Control("llc"),
        _ => Step::Opaque("llc"),
    })
}

/// Information transfer, or unnumbered information (poll bit aside).
const fn is_data(control: u8) -> bool {
    control & 0x01 == 0 || control & 0xef == 0x03
}

/// Length of both access points and the control field, which has two bytes when it counts frames.
const fn control_len(control: u8) -> usize {
    if control & 0x03 == 0x03 { 3 } else { 4 }
}

/// ISO/IEC TR 9577: who the packet belongs to.
pub(super) fn network_layer_id(cursor: &mut Cursor<'_>) -> Read {
    Ok(match cursor.peek::<1>()?[0] {
        0x81 => Step::Opaque("clnp"),
        0x82 => Step::Control("es-is"),
        0x83 => Step::Control("isis"),
        0x45 | 0x60..=0x6f => Step::Next(Layer::Ip),
        0xcc | 0x8e => {
            cursor.skip(1)?;
            Step::Next(Layer::Ip)
        }
        _ => Step::Opaque("osi"),
    })
}

/// Organisation and protocol.
pub(super) fn snap(cursor: &mut Cursor<'_>) -> Read {
    let &[a, b, c, high, low] = cursor.take::<5>()?;
    let protocol = u16::from_be_bytes([high, low]);
    Ok(match ([a, b, c], protocol) {
        ([0, 0, 0] | [0, 0, 0xf8], _) => Step::Next(Layer::EtherType(protocol)),
        ([0, 0, 0x0c], 0x010b) => Step::Control("stp"),
        ([0, 0, 0x0c], 0x0111) => Step::Control("udld"),
        ([0, 0, 0x0c], 0x0104 | 0x0105 | 0x010c | 0x0115 | 0x2003 | 0x2004) => Step::Control("cisco-control"),
        ([0, 0, 0x0c], 0x2000) => Step::Control("cdp"),
        ([0, 0x80, 0xc2], 0x0001 | 0x0007) => bridged(cursor),
        ([0, 0x80, 0xc2], 0x000e) => Step::Control("stp"),
        ([0x08, 0, 0x07], 0x809b) => ethernet::appletalk(cursor),
        ([0, 0xe0, 0x2b], _) => Step::Control("extreme-control"),
        _ => Step::Opaque("snap"),
    })
}

/// A bridged Ethernet frame: over ATM two bytes of padding stand before it (RFC 2684 section 5.2), elsewhere none.
fn bridged(cursor: &mut Cursor<'_>) -> Step {
    if cursor.left().starts_with(&[0, 0]) && cursor.left().get(14..16).is_some_and(is_common_type) {
        // Two zero bytes taken for the start of an address leave the type where it does not belong.
        let _ = cursor.skip(2);
    }
    Step::Next(Layer::Ethernet)
}

/// IPv4, IPv6, ARP or a VLAN tag.
fn is_common_type(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 0x00 | 0x06] | [0x86, 0xdd] | [0x81, 0x00])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Loss;

    #[test]
    fn access_points() {
        let cases: &[(&str, &[u8], Read)] = &[
            ("snap ip", &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], Ok(Step::Next(Layer::EtherType(0x0800)))),
            ("snap cut", &[0xaa, 0xaa, 3, 0, 0, 0], Err(Loss::MalformedHeader)),
            ("spanning tree", &[0x42, 0x42, 3], Ok(Step::Control("stp"))),
            ("per-vlan spanning tree", &[0xaa, 0xaa, 3, 0, 0, 0x0c, 1, 0x0b], Ok(Step::Control("stp"))),
            ("cdp", &[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0], Ok(Step::Control("cdp"))),
            ("raw ipx", &[0xff, 0xff, 0], Ok(Step::Opaque("ipx"))),
            ("netbios data", &[0xf0, 0xf0, 3, 0x2c], Ok(Step::Plain("netbios"))),
            ("netbios numbered", &[0xf0, 0xf0, 0x10, 0x10, 0], Ok(Step::Plain("netbios"))),
            ("netbios acknowledgement", &[0xf0, 0xf1, 0x01, 0x0a], Ok(Step::Control("llc"))),
            ("exchange identification", &[0, 1, 0xaf, 0x81], Ok(Step::Control("llc"))),
            ("isis", &[0xfe, 0xfe, 3, 0x83], Ok(Step::Control("isis"))),
            ("unknown point", &[0x22, 0x22, 3], Ok(Step::Opaque("llc"))),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(read(&mut Cursor::new(bytes, 0)), *want, "{name}");
        }
    }
}
