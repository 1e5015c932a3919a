//! GRE: any EtherType over IP, or over UDP; and PPTP, which is PPP in GRE of version 1.
//!
//! Sources: RFC 2784, RFC 2890 (key, sequence number), RFC 1701 (routing), RFC 2637 (PPTP), RFC 8086 (over UDP); RFC 3640
//! plays no part. Aruba access points send 802.11 frames under the types 0x8200 to 0x8370 and 0x9000.
//! Compressed or encrypted PPP inside stays a GRE packet, unknown: which of the two it is was agreed earlier.

use super::{inside, mirror, number};
use crate::link::{Cursor, Layer, Read, Step};
use crate::model::{Loss, Tunnel};

const GRE: Tunnel = number("gre");
const PPTP: Tunnel = number("pptp");

const CHECKSUM: u8 = 0x80;
const ROUTING: u8 = 0x40;
const KEY: u8 = 0x20;
const SEQUENCE: u8 = 0x10;

pub(super) fn over_ip(cursor: &mut Cursor<'_>, _v4: bool) -> Read {
    let &[flags, version, high, low] = cursor.take::<4>()?;
    let protocol = u16::from_be_bytes([high, low]);
    match version & 0x07 {
        0 => {
            options(cursor, flags)?;
            payload(cursor, flags, protocol)
        }
        1 if protocol == 0x880b => pptp(cursor, flags, version),
        _ => Err(Loss::MalformedHeader),
    }
}

/// Checksum, routing, key, sequence number: those that the flags announce.
fn options(cursor: &mut Cursor<'_>, flags: u8) -> Result<(), Loss> {
    if flags & (CHECKSUM | ROUTING) != 0 {
        cursor.skip(4)?;
    }
    if flags & KEY != 0 {
        cursor.skip(4)?;
    }
    if flags & SEQUENCE != 0 {
        cursor.skip(4)?;
    }
    if flags & ROUTING != 0 {
        // Entries of address family, offset and length; an empty one ends them. Each takes four bytes or more.
        while let &[family_high, family_low, _, length] = cursor.take::<4>()?
            && [family_high, family_low, length] != [0, 0, 0]
        {
            cursor.skip(usize::from(length))?;
        }
    }
    Ok(())
}

fn payload(cursor: &mut Cursor<'_>, flags: u8, protocol: u16) -> Read {
    const ERSPAN: u16 = 0x88be;
    const ERSPAN_III: u16 = 0x22eb;
    const CACHE_REDIRECT: u16 = 0x883e;
    Ok(match protocol {
        0 if cursor.wire_left() == 0 => Step::Control("gre-keepalive"),
        // GRE is a part of ERSPAN, which is what the tunnel is called.
        ERSPAN if flags & SEQUENCE == 0 => mirror::ERSPAN_WITHOUT_HEADER,
        ERSPAN | ERSPAN_III => Step::Next(Layer::EtherType(protocol)),
        CACHE_REDIRECT => {
            // Version 2 of the protocol puts four bytes before the packet.
            if cursor.peek::<1>()?[0] >> 4 != 4 {
                cursor.skip(4)?;
            }
            Step::Open(GRE, Layer::Ip)
        }
        0x8200..=0x8370 | 0x9000 => Step::Open(GRE, Layer::Wlan { swapped: false }),
        0x00fe => Step::Control("osi"),
        0x2001 => Step::Control("nhrp"),
        _ => Step::Open(GRE, Layer::EtherType(protocol)),
    })
}

/// Version 1: payload length and call, then PPP. Without a sequence number it only acknowledges.
fn pptp(cursor: &mut Cursor<'_>, flags: u8, second: u8) -> Read {
    const ACKNOWLEDGEMENT: u8 = 0x80;
    let length = cursor.u16()?;
    cursor.skip(2)?;
    if flags & SEQUENCE != 0 {
        cursor.skip(4)?;
    }
    if second & ACKNOWLEDGEMENT != 0 {
        cursor.skip(4)?;
    }
    if flags & SEQUENCE == 0 || length == 0 {
        return Ok(Step::Control("pptp-acknowledgement"));
    }
    cursor.limit(usize::from(length));
    Ok(Step::Open(PPTP, Layer::Ppp))
}

/// Version 0 with all reserved bits zero, and the announced protocol.
pub(super) fn over_udp(cursor: &mut Cursor<'_>) -> Option<Step> {
    let &[flags, 0, high, low] = cursor.take::<4>().ok()? else { return None };
    if flags & !(CHECKSUM | KEY | SEQUENCE) != 0 {
        return None;
    }
    options(cursor, flags).ok()?;
    let protocol = u16::from_be_bytes([high, low]);
    inside::announced(cursor, protocol).then_some(Step::Open(GRE, Layer::EtherType(protocol)))
}
