//! Tunnels of providers and campus switches: MPLS, PPPoE, L2TP, provider backbone bridges, port extenders, TRILL.
//!
//! Sources: RFC 3032 and RFC 5586 (MPLS), RFC 4385 and RFC 4928 (control word, first nibble), RFC 4023 and RFC 7510 (MPLS in
//! IP and UDP), RFC 2516 (PPPoE), RFC 2661 and RFC 3931 (L2TP), IEEE 802.1ah (PBB), IEEE 802.1BR (E-TAG), Cisco VN-Tag and
//! FabricPath as Wireshark describes them, RFC 6325 (TRILL).
//! What follows MPLS labels is not announced: an IP packet by its first bits and length, else Ethernet with or without
//! control word.

use super::{inside, number};
use crate::link::{Cursor, Layer, Read, Step};
use crate::model::{Loss, Tunnel};

const MPLS: Tunnel = number("mpls");
const L2TP: Tunnel = number("l2tp");

/// Labels in a stack; deeper ones are not believed.
const MAX_LABELS: usize = 16;

/// Labels up to the bottom of the stack; whether the channel for operation and maintenance follows.
fn labels(cursor: &mut Cursor<'_>) -> Result<bool, Loss> {
    const ASSOCIATED_CHANNEL: u32 = 13;
    for _ in 0..MAX_LABELS {
        let entry = cursor.u32()?;
        if entry & 0x100 != 0 {
            return Ok(entry >> 12 == ASSOCIATED_CHANNEL);
        }
    }
    Err(Loss::MalformedHeader)
}

pub(super) fn mpls(cursor: &mut Cursor<'_>) -> Read {
    if labels(cursor)? {
        return Ok(Step::Control("mpls-maintenance"));
    }
    let first = cursor.peek::<1>()?[0];
    Ok(match first >> 4 {
        4 | 6 if !inside::ethernet(cursor) => Step::Open(MPLS, Layer::Ip),
        1 if !inside::ethernet(cursor) => Step::Control("mpls-maintenance"),
        0 if !inside::ethernet(cursor) => {
            cursor.skip(4)?; // the control word
            Step::Open(MPLS, Layer::Ethernet)
        }
        _ => Step::Open(MPLS, Layer::Ethernet),
    })
}

pub(super) fn mpls_over_ip(cursor: &mut Cursor<'_>, _v4: bool) -> Read {
    mpls(cursor)
}

pub(super) fn mpls_over_udp(cursor: &mut Cursor<'_>) -> Option<Step> {
    // One or two labels, no more.
    if cursor.u32().ok()? & 0x100 == 0 && cursor.u32().ok()? & 0x100 == 0 {
        return None;
    }
    inside::bare_ip(cursor).then_some(Step::Open(MPLS, Layer::Ip))
}

/// Version and type 1, code 0: a session. What follows its length is padding.
pub(super) fn pppoe(cursor: &mut Cursor<'_>) -> Read {
    let &[version, code, _, _, high, low] = cursor.take::<6>()?;
    if version != 0x11 {
        return Err(Loss::MalformedHeader);
    }
    if code != 0 {
        return Ok(Step::Control("pppoe-discovery"));
    }
    cursor.limit(usize::from(u16::from_be_bytes([high, low])));
    Ok(Step::Open(const { number("pppoe") }, Layer::Ppp))
}

/// Session, or control when it is zero; then a payload behind a cookie and a sublayer of lengths that only the ends know.
pub(super) fn l2tp_over_ip(cursor: &mut Cursor<'_>, _v4: bool) -> Read {
    if cursor.u32()? == 0 {
        return Ok(Step::Control("l2tp"));
    }
    session(cursor).ok_or(Loss::MalformedHeader)
}

/// Data messages of version 2 (with PPP) and 3; control messages stay UDP packets.
pub(super) fn l2tp_over_udp(cursor: &mut Cursor<'_>) -> Option<Step> {
    const LENGTH: u8 = 0x40;
    const SEQUENCE: u8 = 0x08;
    const OFFSET: u8 = 0x02;
    const KNOWN: u8 = LENGTH | SEQUENCE | OFFSET | 0x01;
    let wire_len = cursor.wire_left();
    match cursor.take::<2>().ok()? {
        &[flags, 2] if flags & !KNOWN == 0 => {
            if flags & LENGTH != 0 && usize::from(cursor.u16().ok()?) != wire_len {
                return None;
            }
            cursor.skip(4).ok()?;
            if flags & SEQUENCE != 0 {
                cursor.skip(4).ok()?;
            }
            if flags & OFFSET != 0 {
                let offset = cursor.u16().ok()?;
                cursor.skip(usize::from(offset)).ok()?;
            }
            inside::ppp(cursor).then_some(Step::Open(L2TP, Layer::Ppp))
        }
        [0, 3] => {
            cursor.skip(6).ok()?;
            session(cursor)
        }
        _ => None,
    }
}

/// Ethernet (RFC 4719), PPP or IP behind a cookie of none, four or eight bytes, and a sublayer of none or four.
fn session(cursor: &mut Cursor<'_>) -> Option<Step> {
    for length in [0, 4, 8, 12] {
        let mut inner = *cursor;
        inner.skip(length).ok()?;
        let layer = match () {
            () if inside::ethernet(&inner) => Layer::Ethernet,
            () if inside::ppp(&inner) => Layer::Ppp,
            () if inside::bare_ip(&inner) => Layer::Ip,
            () => continue,
        };
        *cursor = inner;
        return Some(Step::Open(L2TP, layer));
    }
    None
}

/// Service tag, then the customer's frame.
pub(super) fn backbone(cursor: &mut Cursor<'_>) -> Read {
    cursor.skip(4)?;
    Ok(Step::Open(const { number("pbb") }, Layer::Ethernet))
}

pub(super) fn vn_tag(cursor: &mut Cursor<'_>) -> Read {
    tagged(cursor, 4, const { number("vntag") })
}

pub(super) fn e_tag(cursor: &mut Cursor<'_>) -> Read {
    tagged(cursor, 6, const { number("etag") })
}

/// A tag of `length` bytes, then an EtherType.
fn tagged(cursor: &mut Cursor<'_>, length: usize, tunnel: Tunnel) -> Read {
    cursor.skip(length)?;
    let ether_type = cursor.u16()?;
    Ok(Step::Open(tunnel, Layer::EtherType(ether_type)))
}

/// Version 0; options by their length in units of four bytes; the inner frame.
pub(super) fn trill(cursor: &mut Cursor<'_>) -> Read {
    let &[high, low, ..] = cursor.take::<6>()?;
    let first = u16::from_be_bytes([high, low]);
    if first >> 14 != 0 {
        return Err(Loss::MalformedHeader);
    }
    cursor.skip(usize::from(first >> 6 & 0x1f) * 4)?;
    Ok(Step::Open(const { number("trill") }, Layer::Ethernet))
}

/// A tag of two bytes, then the inner frame.
pub(super) fn fabric_path(cursor: &mut Cursor<'_>) -> Read {
    cursor.skip(2)?;
    Ok(Step::Open(const { number("fabricpath") }, Layer::Ethernet))
}
