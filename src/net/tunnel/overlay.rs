//! Overlays of data centres: VXLAN, VXLAN-GPE, GENEVE, STT, network service headers.
//!
//! Sources: RFC 7348 (VXLAN), draft-smith-vxlan-group-policy, draft-ietf-nvo3-vxlan-gpe, RFC 8926 (GENEVE), RFC 8300
//! (NSH), draft-davie-stt-08 sections 3.1 and 3.2 (STT: frames behind a TCP header without any connection).

use super::{inside, number};
use crate::link::{Cursor, Layer, Read, Step};
use crate::model::{Loss, Tunnel};

const VXLAN: Tunnel = number("vxlan");
const VXLAN_GPE: Tunnel = number("vxlan-gpe");
const GENEVE: Tunnel = number("geneve");
const NSH: Tunnel = number("nsh");

/// The I bit, a last byte of zero, and Ethernet. Other reserved bits are set by extensions and are to be ignored (RFC 7348
/// section 5).
pub(super) fn vxlan(cursor: &mut Cursor<'_>) -> Option<Step> {
    const HAS_NETWORK: u8 = 0x08;
    let &[flags, .., 0] = cursor.take::<8>().ok()? else { return None };
    (flags & HAS_NETWORK != 0 && inside::ethernet(cursor)).then_some(Step::Open(VXLAN, Layer::Ethernet))
}

/// Reserved bits zero, the I and P bits and a protocol.
pub(super) fn vxlan_gpe(cursor: &mut Cursor<'_>) -> Option<Step> {
    let &[flags, 0, 0, protocol, _, _, _, 0] = cursor.take::<8>().ok()? else { return None };
    if flags & 0xfe != 0x0c {
        return None;
    }
    let layer = match protocol {
        1 | 2 if inside::ip(cursor) => Layer::Ip,
        3 if inside::ethernet(cursor) => Layer::Ethernet,
        4 if service_path(&mut cursor.clone())
            .is_ok_and(|(ether_type, inner)| inside::announced(&inner, ether_type)) =>
        {
            Layer::EtherType(0x894f)
        }
        _ => return None,
    };
    Some(Step::Open(VXLAN_GPE, layer))
}

/// Version 0, reserved bits zero, options whose lengths add up, and the announced protocol.
pub(super) fn geneve(cursor: &mut Cursor<'_>) -> Option<Step> {
    let &[first, flags, high, low, _, _, _, 0] = cursor.take::<8>().ok()? else { return None };
    if first & 0xc0 != 0 || flags & 0x3f != 0 {
        return None;
    }
    let mut left = usize::from(first & 0x3f) * 4;
    while left > 0 {
        let option = cursor.take::<4>().ok()?;
        let length = usize::from(option[3] & 0x1f) * 4;
        cursor.skip(length).ok()?;
        left = left.checked_sub(length + 4)?;
    }
    let protocol = u16::from_be_bytes([high, low]);
    inside::announced(cursor, protocol).then_some(Step::Open(GENEVE, Layer::EtherType(protocol)))
}

/// Version 0, reserved bits and padding zero, an offset only with a checksum flag, and Ethernet.
pub(super) fn stt(cursor: &mut Cursor<'_>) -> Option<Step> {
    const RESERVED: u8 = 0xf0;
    let header = cursor.take::<18>().ok()?;
    let &[0, flags, _, 0, .., 0, 0] = header else { return None };
    (flags & RESERVED == 0 && inside::ethernet(cursor)).then_some(Step::Open(const { number("stt") }, Layer::Ethernet))
}

/// A service path, then what its header says.
pub(super) fn nsh(cursor: &mut Cursor<'_>) -> Read {
    let (ether_type, inner) = service_path(cursor)?;
    *cursor = inner;
    Ok(match ether_type {
        0 => Step::Opaque("nsh"),
        _ => Step::Open(NSH, Layer::EtherType(ether_type)),
    })
}

/// The protocol behind a network service header, 0 when it is not known; and the cursor there.
fn service_path<'a>(cursor: &mut Cursor<'a>) -> Result<(u16, Cursor<'a>), Loss> {
    let &[first, second, _, next] = cursor.peek::<4>()?;
    let length = usize::from(second & 0x3f) * 4;
    if first & 0xc0 != 0 || length < 8 {
        return Err(Loss::MalformedHeader);
    }
    cursor.skip(length)?;
    let ether_type = match next {
        1 => 0x0800,
        2 => 0x86dd,
        3 => 0x6558,
        4 => 0x894f,
        5 => 0x8847,
        _ => 0,
    };
    Ok((ether_type, *cursor))
}
